//! What memory a node holds for connections that ask nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::figure::{Bar, Figure};
use super::node::resident_mb;
use super::report;
use super::streams::allow_open_files;
use crate::node::{Node, Setup};

/// After one request each, and without any.
pub(super) const NAMES: [&str; 2] = ["http.idle.10000", "http.idle.10000.silent"];

const CONNECTIONS: usize = 10_000;
/// The most that they may cost, and the node with them.
const MEMORY_MB: f64 = 100.0;
/// Clients that connect, and ask, at once.
const CLIENTS: usize = 16;
/// Until a connection that asked has given back what it had, and before it is closed.
const SETTLES: Duration = Duration::from_secs(10);
const STREAMS: &str = "streams:\n  orders: { shards: 1 }\n";

/// A node with ten thousand connections: what it holds once they ask nothing any more, and where they never did.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    allow_open_files(2 * CONNECTIONS as u64)?;
    let mut figures = Vec::new();
    for (name, asks) in NAMES.into_iter().zip([true, false]) {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let node = Setup::new(&folder, STREAMS)?.start()?;
        report::say(&format!("{name}: {CONNECTIONS} connections"));
        let connections = connect_all(&node, asks).await?;
        tokio::time::sleep(SETTLES).await;
        let memory = resident_mb(node.process())?;
        let open = fs::read_dir(format!("/proc/{}/fd", node.process()))?.count();
        ensure!(open >= connections.len(), "the node has {open} open files for {} connections", connections.len());
        drop(connections);
        node.stop()?;
        figures.push(Figure::new(name, memory, "MB").with_limit(MEMORY_MB).with_bar(Bar::AtMost(1.0)));
    }
    Ok(figures)
}

async fn connect_all(node: &Node, asks: bool) -> Result<Vec<TcpStream>> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let address = node.address().to_owned();
        clients.spawn(async move {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS / CLIENTS {
                let mut stream = TcpStream::connect(&address).await?;
                if asks {
                    put(&mut stream).await?;
                }
                connections.push(stream);
            }
            Ok(connections)
        });
    }
    let connections: Vec<Result<Vec<_>>> = clients.join_all().await;
    Ok(connections.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// A put of one record, answered whole.
async fn put(stream: &mut TcpStream) -> Result<()> {
    let body = r#"{"StreamName":"orders","PartitionKey":"k","Data":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"}"#;
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.PutRecord\r\n\
         content-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection was closed");
    }
    let answer = String::from_utf8(answer).context("the answer is no text")?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}
