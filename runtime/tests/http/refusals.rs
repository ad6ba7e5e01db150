//! What is refused, and how it is told.

use serde_json::{Value, json};

use super::node::{Answer, JSON, Node, START, base64};

fn put(records: &Value) -> Value {
    json!({ "StreamName": "s", "Records": records })
}

#[tokio::test]
async fn what_the_model_cannot_say_is_an_invalid_argument() {
    let node = Node::with_stream(1).await;
    let other = "arn:aws:kinesis:us-east-1:000000000000:stream/other";
    let iterator =
        |kind: &str| json!({ "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": kind });
    let with = |mut body: Value, member: &str, value: Value| {
        body[member] = value;
        body
    };
    let full = base64(vec![0; 1 << 20]);
    let bulky = json!({ "PartitionKey": "k", "Data": base64(vec![0; 960 << 10]) });
    let future = START as f64 / 1000.0 + 1.0;
    let foreign = "4".repeat(56);
    let elsewhere = {
        node.ok("CreateStream", json!({ "StreamName": "two", "ShardCount": 2 })).await;
        let body =
            json!({ "StreamName": "two", "PartitionKey": "k", "ExplicitHashKey": u128::MAX.to_string(), "Data": "" });
        node.ok("PutRecord", body).await["SequenceNumber"].clone()
    };
    for (operation, body) in [
        ("DescribeStream", json!({})),
        ("DescribeStream", json!({ "StreamName": "s", "StreamARN": other })),
        ("DescribeStream", json!({ "StreamName": "s", "ExclusiveStartShardId": "0" })),
        (
            "CreateStream",
            json!({ "StreamName": "d", "ShardCount": 1, "StreamModeDetails": { "StreamMode": "ON_DEMAND" } }),
        ),
        ("CreateStream", json!({ "StreamName": "d", "ShardCount": 1, "RecordDistributionStrategy": "AUTO" })),
        ("PutRecord", json!({ "StreamName": "s", "PartitionKey": "k", "Data": full })),
        (
            "PutRecord",
            json!({ "StreamName": "s", "PartitionKey": "k", "Data": "", "ExplicitHashKey": "340282366920938463463374607431768211456" }),
        ),
        ("PutRecord", json!({ "StreamName": "s", "PartitionKey": "k", "Data": "", "SequenceNumberForOrdering": "1" })),
        ("PutRecords", put(&Value::from(vec![bulky; 11]))),
        ("GetShardIterator", iterator("AT_SEQUENCE_NUMBER")),
        ("GetShardIterator", iterator("AFTER_SEQUENCE_NUMBER")),
        ("GetShardIterator", iterator("AT_TIMESTAMP")),
        ("GetShardIterator", with(iterator("AT_TIMESTAMP"), "Timestamp", json!(future))),
        ("GetShardIterator", with(iterator("LATEST"), "StartingSequenceNumber", json!("1"))),
        ("GetShardIterator", with(iterator("AT_SEQUENCE_NUMBER"), "StartingSequenceNumber", json!(foreign))),
        ("GetShardIterator", with(iterator("AT_SEQUENCE_NUMBER"), "StartingSequenceNumber", elsewhere)),
    ] {
        node.refused(operation, body, "InvalidArgumentException").await;
    }
}

#[tokio::test]
async fn iterators_that_the_node_did_not_make_are_invalid() {
    let node = Node::with_stream(1).await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    let forged = iterator.replace(&iterator[40..44], if &iterator[40..44] == "AAAA" { "BBBB" } else { "AAAA" });
    assert_ne!(forged, iterator);
    for bad in [forged.as_str(), "x", "AAAAAAAAAAE=", &iterator[..iterator.len() - 4], &base64([0; 64])] {
        let message = node.refused("GetRecords", json!({ "ShardIterator": bad }), "InvalidArgumentException").await;
        assert_eq!(message, "Invalid ShardIterator.");
    }
    let other = Node::with_stream(1).await;
    other.refused("GetRecords", json!({ "ShardIterator": iterator }), "InvalidArgumentException").await;
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/other";
    let body = json!({ "ShardIterator": iterator, "StreamARN": arn });
    node.refused("GetRecords", body, "InvalidArgumentException").await;
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_not_found() {
    let node = Node::start().await;
    let shard = json!({ "StreamName": "none", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST" });
    for (operation, body) in [
        ("DeleteStream", json!({ "StreamName": "none" })),
        ("DescribeStream", json!({ "StreamName": "none" })),
        ("DescribeStreamSummary", json!({ "StreamName": "none" })),
        ("ListShards", json!({ "StreamName": "none" })),
        ("GetShardIterator", shard),
        ("PutRecord", json!({ "StreamName": "none", "PartitionKey": "k", "Data": "" })),
        ("PutRecords", json!({ "StreamName": "none", "Records": [{ "PartitionKey": "k", "Data": "" }] })),
    ] {
        let message = node.refused(operation, body, "ResourceNotFoundException").await;
        assert_eq!(message, "Stream none under account 000000000000 not found.", "{operation}");
    }
}

#[tokio::test]
async fn a_shard_that_is_not_there_is_not_found() {
    let node = Node::with_stream(1).await;
    for shard in ["shardId-000000000001", "shardId-1", "other"] {
        let body = json!({ "StreamName": "s", "ShardId": shard, "ShardIteratorType": "LATEST" });
        let message = node.refused("GetShardIterator", body, "ResourceNotFoundException").await;
        assert_eq!(message, format!("Could not find shard {shard} in stream s under account 000000000000."));
    }
}

#[tokio::test]
async fn a_name_is_used_once_and_shards_are_limited() {
    let node = Node::with_stream(1).await;
    let again = json!({ "StreamName": "s", "ShardCount": 1 });
    let message = node.refused("CreateStream", again, "ResourceInUseException").await;
    assert_eq!(message, "Stream s under account 000000000000 already exists.");
    let huge = json!({ "StreamName": "t", "ShardCount": 10_001 });
    node.refused("CreateStream", huge, "LimitExceededException").await;
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_serialization_exception() {
    let node = Node::with_stream(1).await;
    for body in [
        "",
        "{",
        "[]",
        "nonsense",
        r#"{"StreamName":1}"#,
        r#"{"StreamName":"s","Records":{}}"#,
        r#"{"StreamName":"s","Records":[{"PartitionKey":"k","Data":"a"}]}"#,
        r#"{"StreamName":"s","Records":[{"PartitionKey":"k","Data":"***"}]}"#,
        r#"{"StreamName":"s","Records":[{"PartitionKey":"k","Data":7}]}"#,
        "{\"StreamName\":\"\u{0}\"}",
    ] {
        let answer = node.raw("PutRecords", body).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "SerializationException"), "{body}");
        assert!(!answer.message().is_empty());
    }
    let answer = node.raw("PutRecords", b"{\"StreamName\":\"\xff\"}".to_vec()).await;
    assert_eq!(answer.error(), "SerializationException");
}

#[tokio::test]
async fn an_operation_that_is_not_served_says_so() {
    let node = Node::start().await;
    let message = node.refused("ListQueues", json!({}), "UnknownOperationException").await;
    assert!(message.contains("a node has no queues"), "{message}");
    let message = node.refused("Nonsense", json!({}), "UnknownOperationException").await;
    assert!(message.contains("no operation 'Kinesis_20131202.Nonsense'"), "{message}");
    for target in ["", "DynamoDB_20120810.PutRecords", "PutRecords"] {
        let request = node.client.post(node.url("/")).header("content-type", JSON).header("x-amz-target", target);
        let answer = Answer::of(request.body("{}").send().await.unwrap()).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "UnknownOperationException"), "{target}");
    }
    let request = node.client.post(node.url("/")).header("content-type", JSON).body("{}");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "UnknownOperationException"));
    assert!(answer.message().contains("X-Amz-Target is missing"), "{}", answer.body);
}

#[tokio::test]
async fn only_json_is_taken() {
    let node = Node::start().await;
    let target = "Kinesis_20131202.ListStreams";
    for (given, status) in [
        (Some("application/json; charset=utf-8"), 200),
        (Some("application/x-amz-json-1.1"), 200),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (None, 415),
    ] {
        let mut request = node.client.post(node.url("/")).header("x-amz-target", target).body("{}");
        if let Some(given) = given {
            request = request.header("content-type", given);
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{given:?}");
        if status == 415 {
            assert_eq!(answer.error(), "UnsupportedMediaTypeException");
        }
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let node = Node::start().await;
    let mut seen = std::collections::HashSet::new();
    for operation in ["ListStreams", "DescribeStream", "Nonsense"] {
        let answer = node.ask(operation, json!({})).await;
        let id = answer.headers["x-amzn-requestid"].to_str().unwrap().to_owned();
        assert_eq!(id.len(), 36, "{id}");
        assert!(!answer.headers["x-amz-id-2"].is_empty());
        assert_eq!(answer.headers["content-type"], JSON);
        assert!(seen.insert(id));
    }
}

/// Each member of a good request is replaced by what nobody expects there.
#[tokio::test]
async fn no_request_makes_the_node_fail() {
    let node = Node::with_stream(1).await;
    let iterator = node.iterator("LATEST", json!({})).await;
    let record = json!({ "PartitionKey": "k", "Data": "", "ExplicitHashKey": "1" });
    let requests = [
        (
            "CreateStream",
            json!({ "StreamName": "n", "ShardCount": 1, "StreamModeDetails": { "StreamMode": "PROVISIONED" }, "Tags": {}, "MaxRecordSizeInKiB": 1024 }),
        ),
        ("DescribeStream", json!({ "StreamName": "s", "StreamARN": "", "Limit": 1, "ExclusiveStartShardId": "" })),
        ("DescribeStreamSummary", json!({ "StreamName": "s", "StreamARN": "" })),
        ("ListStreams", json!({ "Limit": 1, "ExclusiveStartStreamName": "a", "NextToken": "" })),
        (
            "ListShards",
            json!({ "StreamName": "s", "NextToken": "", "MaxResults": 1, "ShardFilter": { "Type": "AT_LATEST" }, "StreamCreationTimestamp": 1 }),
        ),
        (
            "PutRecord",
            json!({ "StreamName": "s", "PartitionKey": "k", "Data": "", "ExplicitHashKey": "1", "SequenceNumberForOrdering": "0" }),
        ),
        ("PutRecords", json!({ "StreamName": "s", "Records": [record] })),
        (
            "GetShardIterator",
            json!({ "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1, "StartingSequenceNumber": "0" }),
        ),
        ("GetRecords", json!({ "ShardIterator": iterator, "Limit": 1, "StreamARN": "" })),
        ("DeleteStream", json!({ "StreamName": "n", "StreamARN": "", "EnforceConsumerDeletion": true })),
    ];
    let oddities = [
        json!(null),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(true),
        json!(""),
        json!("\u{0}"),
        json!("ä".repeat(600)),
        json!([]),
        json!([null]),
        json!([[]]),
        json!({}),
        json!({ "": {} }),
        json!("arn:aws:kinesis:::stream/"),
        json!("shardId-999999999999"),
        json!("9".repeat(200)),
    ];
    for (operation, body) in &requests {
        for member in body.as_object().unwrap().keys() {
            for oddity in &oddities {
                let mut odd = body.clone();
                odd[member] = oddity.clone();
                let answer = node.ask(operation, odd.clone()).await;
                assert!([200, 400].contains(&answer.status), "{operation} {odd}: {} {}", answer.status, answer.body);
            }
        }
    }
}
