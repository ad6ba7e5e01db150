//! Runs the `tidemill` program, and waits for facts about it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that goes wrong shall stop"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tidemill::status::Report;
use tidemill_client::Client;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How long a fact may take before a test gives up: far longer than it ever takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// How often the status is asked for.
const POLL: Duration = Duration::from_millis(10);

/// A program that runs, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    stdout: tokio::io::Lines<BufReader<ChildStdout>>,
    stderr: tokio::io::Lines<BufReader<ChildStderr>>,
}

/// A program that has run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

fn tidemill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(arguments).env_remove("RUST_LOG").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end, with this on its standard input.
pub(crate) async fn run(arguments: &[&str], input: &str) -> Run {
    let mut child = tidemill(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = tidemill(arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stdout, stderr }
    }

    /// Waits for the line of `--ready-json`; where the node listens.
    pub(crate) async fn ready(&mut self) -> SocketAddr {
        let line = tokio::time::timeout(PATIENCE, self.stdout.next_line()).await.unwrap().unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line.expect("a line before the end")).unwrap();
        assert_eq!((&ready["ready"], &ready["pid"]), (&true.into(), &self.child.id().unwrap().into()));
        ready["address"].as_str().unwrap().parse().unwrap()
    }

    /// Waits for the next line of its standard output.
    pub(crate) async fn line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.stdout.next_line()).await.unwrap().unwrap().expect("the program goes on")
    }

    /// The next line of its standard output, if it comes before the next look at it is due.
    pub(crate) async fn line_at_once(&mut self) -> Option<String> {
        tokio::time::timeout(POLL, self.stdout.next_line()).await.ok()?.unwrap()
    }

    /// Waits for a log line with this text.
    pub(crate) async fn log_line(&mut self, text: &str) -> String {
        let find = async {
            loop {
                let line = self.stderr.next_line().await.unwrap().expect("the program goes on");
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, find).await.unwrap()
    }

    /// The folder whose lock the node holds: its data.
    pub(crate) fn data_folder(&self) -> Option<PathBuf> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()?)).ok()?;
        let mut files = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        files.find(|file| file.ends_with("lock")).and_then(|lock| lock.parent().map(Path::to_path_buf))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Pauses it; returns when none of its threads runs any more.
    pub(crate) async fn pause(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id().unwrap());
        let is_paused = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
            // The state stands behind the name in parentheses.
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
        };
        let mut ticks = tokio::time::interval(POLL);
        let wait = async {
            while !std::fs::read_dir(&threads).unwrap().all(is_paused) {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    /// Closes the other end of its standard output, and waits for its end.
    pub(crate) async fn unread(self) -> i32 {
        let Self { mut child, stdout, stderr: _stderr } = self;
        drop(stdout);
        tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code().unwrap()
    }

    /// Waits for its end, however it comes.
    pub(crate) async fn ended(mut self) {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
    }

    pub(crate) async fn exit_code(mut self) -> i32 {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code().unwrap()
    }
}

pub(crate) fn client(address: SocketAddr) -> Client {
    Client::new(&format!("http://{address}")).unwrap()
}

/// Asks for the status until it is as wanted.
pub(crate) async fn status_where(client: &Client, wanted: impl Fn(&Report) -> bool) -> Report {
    let mut ticks = tokio::time::interval(POLL);
    let find = async {
        loop {
            ticks.tick().await;
            let report: Report = serde_json::from_value(client.status().await.unwrap()).unwrap();
            if wanted(&report) {
                return report;
            }
        }
    };
    tokio::time::timeout(PATIENCE, find).await.expect("the status becomes as wanted")
}
