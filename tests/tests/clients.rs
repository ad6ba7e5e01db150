//! The AWS SDK for Rust: what the node's log says of it, and what it is sent.

use anyhow::{Result, bail};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use serde_json::Value;
use tidemill_tests::client;
use tidemill_tests::node::Setup;

#[tokio::test]
async fn the_log_names_the_sdk_for_rust() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut setup = Setup::new(folder.path(), "streams: {}\n")?;
    setup.options.extend(["--log".to_owned(), "tidemill::http=debug".to_owned()]);
    let node = setup.start()?;
    client::sdk(&node.url()).list_streams().send().await?;
    let of_request = |line: &String| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event.pointer("/span/operation")? == "ListStreams").then_some(event)
    };
    let event = node.wait_for("a request", |lines| lines.iter().find_map(of_request))?;
    let of = |name: &str| event.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(of("/user_agent").starts_with("aws-sdk-rust/"), "{event}");
    assert_eq!((of("/http_version"), of("/message")), ("HTTP/1.1".to_owned(), "answered".to_owned()));
    assert_eq!(event.pointer("/span/status"), Some(&Value::from(200)), "{event}");
    node.stop()?;
    Ok(())
}

#[tokio::test]
async fn the_sdk_for_rust_is_sent_what_is_put() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Setup::new(folder.path(), "streams: { orders: {} }\n")?.start()?;
    is_sent_what_is_put(&client::sdk(&node.url())).await?;
    node.stop()?;
    Ok(())
}

/// It speaks HTTP/2 there, and takes the certificate that the node has made.
#[tokio::test]
async fn the_sdk_for_rust_is_sent_what_is_put_inside_of_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut setup = Setup::new(folder.path(), "streams: { orders: {} }\n")?;
    setup.options.push("--tls".to_owned());
    let node = setup.start()?;
    let certificate = std::fs::read_to_string(setup.data().join("tls/certificate.pem"))?;
    let url = format!("https://{}", node.address());
    is_sent_what_is_put(&client::sdk_trusting(&url, &certificate)?).await?;
    node.stop()?;
    Ok(())
}

/// The SDK checks each frame; what it is sent is what was put, in order.
async fn is_sent_what_is_put(kinesis: &Client) -> Result<()> {
    let summary = kinesis.describe_stream_summary().stream_name("orders").send().await?;
    let arn = summary.stream_description_summary().map(|summary| summary.stream_arn().to_owned());
    let registered = kinesis.register_stream_consumer().set_stream_arn(arn).consumer_name("c").send().await?;
    let consumer = registered.consumer().map(|consumer| consumer.consumer_arn().to_owned());
    let start = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build()?;
    let subscription = kinesis
        .subscribe_to_shard()
        .set_consumer_arn(consumer)
        .shard_id("shardId-000000000000")
        .starting_position(start)
        .send();
    let mut events = subscription.await?.event_stream;
    let put = async {
        for number in 0..100 {
            let data = Blob::new(number.to_string());
            kinesis.put_record().stream_name("orders").partition_key("k").data(data).send().await?;
        }
        anyhow::Ok(())
    };
    let read = async {
        let mut found = Vec::new();
        while found.len() < 100 {
            let Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) = events.recv().await? else {
                bail!("no event, after {} records", found.len());
            };
            found.extend(
                event.records().iter().map(|record| String::from_utf8_lossy(record.data().as_ref()).into_owned()),
            );
        }
        Ok(found)
    };
    let ((), found) = tokio::try_join!(put, read)?;
    assert_eq!(found, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    Ok(())
}
