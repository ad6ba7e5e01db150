//! The servers that the HTTP figures are compared with. Each reads a body whole and gives a fixed answer: the bare one at
//! once, the durable one when the body is on the disk, with those that came meanwhile.
//!
//! A process of its own, as the node is, so that both sides pay the same: this binary, started again.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
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
use tokio::sync::{mpsc, oneshot};

/// Bodies that wait for the disk.
const WAITING_MAX: usize = 1024;

/// A body, and who waits for it to be on the disk.
type Waiting = (Bytes, oneshot::Sender<()>);

/// Answers every request with what comes on standard input, until the process is killed. Says its address on standard
/// output. With a file, what is asked is on the disk before it is answered.
pub async fn serve(file: Option<PathBuf>) -> Result<()> {
    let mut answer = Vec::new();
    std::io::stdin().read_to_end(&mut answer)?;
    let answer = Bytes::from(answer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let log = file.map(|file| append_to(&file)).transpose()?;
    let reply = move |body: Bytes| {
        let (answer, log) = (answer.clone(), log.clone());
        async move {
            if let Some(log) = log {
                let (done, is_done) = oneshot::channel();
                let _ = log.send((body, done)).await;
                let _ = is_done.await;
            }
            ([(CONTENT_TYPE, JSON_CONTENT_TYPE)], answer)
        }
    };
    let router = Router::new().route("/", post(reply)).layer(DefaultBodyLimit::disable());
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, router).await?)
}

/// A thread that appends what has come, all of it with one write and one sync.
fn append_to(path: &Path) -> Result<mpsc::Sender<Waiting>> {
    let mut file = File::create(path)?;
    let (log, mut waiting) = mpsc::channel::<Waiting>(WAITING_MAX);
    std::thread::spawn(move || {
        while let Some(first) = waiting.blocking_recv() {
            let mut group = vec![first];
            group.extend(std::iter::from_fn(|| waiting.try_recv().ok()));
            let bytes = group.iter().map(|(body, _)| body.as_ref()).collect::<Vec<&[u8]>>().concat();
            if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
                return;
            }
            for (_, done) in group {
                let _ = done.send(());
            }
        }
    });
    Ok(log)
}

/// A sink that runs; dropped, it is killed.
#[derive(Debug)]
pub(super) struct Sink {
    child: Child,
    pub(super) address: String,
}

impl Sink {
    pub(super) fn start(answer: &[u8], file: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--sink").args(file.map(|file| ["--log".as_ref(), file.as_os_str()]).into_iter().flatten());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
