//! The server that the HTTP figures are compared with: it reads each body whole and gives a fixed answer.
//!
//! A process of its own, as the node is, so that both sides pay the same: this binary, started again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use tidemill_wire::JSON_CONTENT_TYPE;
use tokio::net::TcpListener;

/// Answers every request with what comes on standard input, until the process is killed. Says its address on standard
/// output.
pub async fn serve() -> Result<()> {
    let mut answer = Vec::new();
    std::io::stdin().read_to_end(&mut answer)?;
    let answer = Bytes::from(answer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let reply = move |body: Bytes| {
        drop(body);
        let answer = answer.clone();
        async move { ([(CONTENT_TYPE, JSON_CONTENT_TYPE)], answer) }
    };
    let router = Router::new().route("/", post(reply)).layer(DefaultBodyLimit::disable());
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, router).await?)
}

/// A sink that runs; dropped, it is killed.
#[derive(Debug)]
pub(super) struct Sink {
    child: Child,
    pub(super) address: String,
}

impl Sink {
    pub(super) fn start(answer: &[u8]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--sink").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut sink = Self { child, address: String::new() };
        stdin.context("the sink has no standard input")?.write_all(answer)?;
        BufReader::new(stdout.context("the sink has no standard output")?).read_line(&mut sink.address)?;
        sink.address.truncate(sink.address.trim_end().len());
        Ok(sink)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
