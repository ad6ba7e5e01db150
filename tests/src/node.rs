//! A node as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tidemill_client::Client;

use crate::build;
use crate::shown::Shown;

/// A test that waits longer than this for a fact hangs: the fact will not come.
const HANGING: Duration = Duration::from_mins(5);

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// The node itself, which may run below a tracer.
    process: rustix::process::Pid,
    address: String,
    shown: Arc<Shown>,
    reader: Option<JoinHandle<()>>,
}

/// What to start a node with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Holds the manifest and the data.
    pub folder: PathBuf,
    /// Put before the command, e.g. a tracer.
    pub wrapper: Vec<String>,
    /// `serve` or `up`.
    pub verb: &'static str,
    /// Put behind the command's own options.
    pub options: Vec<String>,
}

impl Setup {
    /// A node in this folder, with this manifest.
    pub fn new(folder: &Path, manifest: &str) -> Result<Self> {
        let setup = Self { folder: folder.to_owned(), wrapper: Vec::new(), verb: "serve", options: Vec::new() };
        setup.write_manifest(manifest)?;
        Ok(setup)
    }

    /// Replaces the manifest.
    pub fn write_manifest(&self, manifest: &str) -> Result<()> {
        Ok(std::fs::write(self.manifest(), manifest)?)
    }

    /// Where the manifest is.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("deploy.yaml")
    }

    /// The node's data folder, hidden as it is by default: `up` watches what is not.
    pub fn data(&self) -> PathBuf {
        self.folder.join(".tidemill")
    }

    /// The command that starts the node.
    pub fn command(&self) -> Result<Command> {
        let binary = build::binary()?.display().to_string();
        let mut words = self.wrapper.clone();
        words.push(binary);
        let (program, arguments) = words.split_first().context("there is no command")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(self.verb).arg("--manifest").arg(self.manifest()).arg("--data").arg(self.data());
        command.args(["--listen", "127.0.0.1:0", "--ready-json", "--log-format", "json"]).args(&self.options);
        Ok(command)
    }

    /// Starts the node and waits until it is ready. What it builds goes where the tests' functions go.
    pub fn start(&self) -> Result<Node> {
        let mut command = self.command()?;
        command.env("CARGO_TARGET_DIR", build::guests()?);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("the node has no standard error")?;
        let shown = Arc::new(Shown::default());
        let reader = {
            let shown = Arc::clone(&shown);
            std::thread::spawn(move || shown.read(stderr))
        };
        let stdout = child.stdout.take().context("the node has no standard output")?;
        let mut ready = String::new();
        BufReader::new(stdout).read_line(&mut ready)?;
        let parsed: Option<Value> = serde_json::from_str(&ready).ok();
        let ready_node = parsed.as_ref().and_then(|ready| {
            let address = ready.get("address")?.as_str()?.to_owned();
            let process = i32::try_from(ready.get("pid")?.as_i64()?).ok()?;
            Some((address, rustix::process::Pid::from_raw(process)?))
        });
        let Some((address, process)) = ready_node else {
            let _ = child.kill();
            let _ = child.wait();
            let _ = reader.join();
            bail!("the node did not start: {ready}\n{}", shown.lines().join("\n"));
        };
        Ok(Node { child, process, address, shown, reader: Some(reader) })
    }
}

impl Node {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The node's process.
    pub fn process(&self) -> u32 {
        self.process.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills the node without a warning, and returns all that it had written to its log.
    pub fn kill(mut self) -> Result<Vec<String>> {
        self.child.kill()?;
        self.end()
    }

    /// Asks the node to stop, and returns its log. A node that does not end with success is an error.
    pub fn stop(mut self) -> Result<Vec<String>> {
        self.signal(rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        let lines = self.end()?;
        if !status.success() {
            bail!("the node ended with {status}:\n{}", lines.join("\n"));
        }
        Ok(lines)
    }

    /// Asks the node to read its manifest again.
    pub fn reload(&self) -> Result<()> {
        self.signal(rustix::process::Signal::HUP)
    }

    fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        Ok(rustix::process::kill_process(self.process, signal)?)
    }

    fn end(&mut self) -> Result<Vec<String>> {
        self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        Ok(self.shown.lines())
    }

    /// All lines of the log until now.
    pub fn lines(&self) -> Vec<String> {
        self.shown.lines()
    }

    /// Waits until the log shows a fact.
    pub fn wait_for<T>(&self, what: &str, fact: impl Fn(&[String]) -> Option<T>) -> Result<T> {
        self.shown.wait_for(what, HANGING, fact)
    }

    /// What `GET /status` says.
    pub async fn status(&self) -> Result<Value> {
        Ok(Client::new(&self.url())?.status().await?)
    }

    /// Waits until the status shows a fact.
    pub async fn wait_for_status<T>(&self, what: &str, fact: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let looking = async {
            loop {
                looks.tick().await;
                let status = self.status().await?;
                if let Some(found) = fact(&status) {
                    return Ok(found);
                }
            }
        };
        let hanging = || format!("waited in vain for {what}");
        tokio::time::timeout(HANGING, looking).await.with_context(hanging)?
    }
}

/// A node that a test forgot is killed.
impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
