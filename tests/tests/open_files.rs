//! A shell allows few open files, and a node with many streams needs many: it takes what the system lets it have.

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use tidemill_tests::client::{self, get};
use tidemill_tests::node::{Node, Setup};

/// What the shell allows.
const ALLOWED: usize = 64;
const STREAMS: usize = 200;
/// Becomes the command, with few open files allowed until it asks for more.
const SHELL: &str = r#"ulimit -Sn "$0" && exec "$@""#;

async fn open_files(node: &Node) -> Result<usize> {
    let metrics = get(node.address(), "/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tidemill_open_files "));
    Ok(line.context("there is no such metric")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_started_with_few_open_files_keeps_those_of_many_streams_open() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let streams: Vec<String> = (0..STREAMS).map(|number| format!("  s{number}: {{ shards: 1 }}\n")).collect();
    let mut setup = Setup::new(folder.path(), &format!("streams:\n{}", streams.concat()))?;
    setup.wrapper = ["sh", "-c", SHELL, &ALLOWED.to_string()].map(str::to_owned).to_vec();
    let node = setup.start()?;
    let client = client::sdk(&node.url());
    for number in 0..STREAMS {
        let put = client.put_record().stream_name(format!("s{number}")).partition_key("k").data(Blob::new("x"));
        put.send().await?;
    }
    let open = open_files(&node).await?;
    ensure!(open >= STREAMS, "{STREAMS} streams take records, and only {open} files are kept open");
    node.stop()?;
    Ok(())
}
