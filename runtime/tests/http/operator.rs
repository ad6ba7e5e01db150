//! What an operator reads.

use serde_json::json;

use super::node::Node;

#[tokio::test]
async fn a_healthy_node_says_so() {
    let answer = Node::start().await.get("/health").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "status": "healthy" })));
}

#[tokio::test]
async fn status_is_what_the_node_provides() {
    let answer = Node::start().await.get("/status").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "triggers": [] })));
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_error() {
    let node = Node::with_stream(1).await;
    node.put("k", "hello").await;
    node.refused("DescribeStream", json!({ "StreamName": "none" }), "ResourceNotFoundException").await;
    node.refused("Nonsense", json!({}), "UnknownOperationException").await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    node.read(&iterator).await;
    let answer = node.get("/metrics").await;
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    for line in [
        r#"tidemill_http_requests_total{operation="PutRecord",error="none"} 1"#,
        r#"tidemill_http_requests_total{operation="DescribeStream",error="ResourceNotFoundException"} 1"#,
        r#"tidemill_http_requests_total{operation="unknown",error="UnknownOperationException"} 1"#,
        r#"tidemill_http_request_duration_seconds_count{operation="PutRecord"} 1"#,
        "tidemill_http_records_in_total 1",
        "tidemill_http_records_out_total 1",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line} is not in\n{}", answer.body);
    }
    let bytes = answer.body.lines().find_map(|line| line.strip_prefix("tidemill_http_request_bytes_total "));
    assert!(bytes.unwrap().parse::<u64>().unwrap() > 0);
}
