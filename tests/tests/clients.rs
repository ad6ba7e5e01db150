//! What the node's log says of who asks.

use anyhow::Result;
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
