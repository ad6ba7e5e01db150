//! What the node has, and the order to apply its manifest.

use serde_json::json;
use tidemill::http::{ApplyOrder, NotApplied};
use tokio::sync::mpsc;

use super::node::{Answer, Node};

async fn post(node: &Node) -> Answer {
    Answer::of(node.client.post(node.url("/deployment")).send().await.unwrap()).await
}

#[tokio::test]
async fn what_the_node_has_is_shown() {
    let answer = Node::start().await.get("/deployment").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "streams": {} })));
}

#[tokio::test]
async fn an_order_is_answered_with_its_outcome() {
    let (orders, mut ordered) = mpsc::channel::<ApplyOrder>(1);
    let node = Node::with_orders(orders).await;
    for (outcome, status, body) in [
        (Ok(json!({ "steps": [] })), 200, json!({ "steps": [] })),
        (
            Err(NotApplied::Invalid("line 3".to_owned())),
            422,
            json!({ "error": "invalid_manifest", "message": "line 3" }),
        ),
        (Err(NotApplied::Failed("no".to_owned())), 409, json!({ "error": "not_applied", "message": "no" })),
    ] {
        let carry_out = async { ordered.recv().await.unwrap().reply.send(outcome).unwrap() };
        let (answer, ()) = tokio::join!(post(&node), carry_out);
        assert_eq!((answer.status, answer.json()), (status, body));
    }
}

#[tokio::test]
async fn a_page_can_order_nothing() {
    let (orders, ordered) = mpsc::channel::<ApplyOrder>(1);
    drop(ordered); // an order that is given is answered at once
    let node = Node::with_orders(orders).await;
    for origin in ["http://evil.example", "null", &node.url("")] {
        let request = node.client.post(node.url("/deployment")).header("origin", origin);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!((answer.status, &answer.json()["error"]), (403, &json!("origin_not_allowed")), "{origin}");
    }
    assert_eq!(post(&node).await.status, 503, "whoever is no page gets through");
}

#[tokio::test]
async fn orders_that_nobody_can_take_are_refused() {
    let answer = post(&Node::start().await).await;
    assert_eq!((answer.status, &answer.json()["error"]), (409, &json!("no_manifest")));

    let (orders, ordered) = mpsc::channel::<ApplyOrder>(1);
    let (reply, _answered) = tokio::sync::oneshot::channel();
    orders.send(ApplyOrder { reply }).await.unwrap();
    let node = Node::with_orders(orders).await;
    let answer = post(&node).await;
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("busy")), "the line is full");
    assert_eq!(answer.headers["retry-after"], "1");
    drop(ordered);
    let answer = post(&node).await;
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("stopping")));
}

#[tokio::test]
async fn an_order_that_is_dropped_is_answered() {
    let (orders, mut ordered) = mpsc::channel::<ApplyOrder>(1);
    let node = Node::with_orders(orders).await;
    let (answer, ()) = tokio::join!(post(&node), async { drop(ordered.recv().await) });
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("stopping")));
}
