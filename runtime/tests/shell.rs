//! Streams from the shell: the real program against a real node.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

#[allow(dead_code, reason = "shared with the tests of other commands")]
mod program;

#[path = "shell/careful.rs"]
mod careful;
#[path = "shell/streams.rs"]
mod streams;
#[path = "shell/tail.rs"]
mod tail;
#[path = "shell/terminal.rs"]
mod terminal;

use std::path::Path;

use program::{Program, Run};
use tempfile::TempDir;

/// A node without a manifest's streams, whose data outlives it.
struct House {
    folder: TempDir,
    node: Option<Program>,
    url: String,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deploy.yaml"), "{}").unwrap();
        let (node, url) = serve(folder.path(), "127.0.0.1:0").await;
        Self { folder, node: Some(node), url }
    }

    /// Ends the node, and waits until its data and its port are free.
    async fn stop(&mut self) {
        let node = self.node.take().unwrap();
        node.signal("TERM");
        assert_eq!(node.exit_code().await, 0);
    }

    /// Starts a node again, where the one before it was.
    async fn start_again(&mut self) {
        let address = self.url.trim_start_matches("http://");
        self.node = Some(serve(self.folder.path(), address).await.0);
    }

    /// Runs a command that asks this node.
    async fn run(&self, arguments: &str) -> Run {
        self.run_with(arguments, "").await
    }

    async fn run_with(&self, arguments: &str, input: &str) -> Run {
        program::run(&self.arguments(arguments), input).await
    }

    /// Runs a command that shall do what it is asked to; its standard output.
    async fn done(&self, arguments: &str) -> String {
        let run = self.run(arguments).await;
        assert_eq!(run.code, 0, "{arguments}: {}", run.stderr);
        run.stdout
    }

    async fn refused(&self, arguments: &str) -> String {
        let run = self.run(arguments).await;
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{arguments}: {}", run.stderr);
        run.stderr
    }

    async fn put(&self, stream: &str, key: &str, lines: &str) {
        let run = self.run_with(&format!("put {stream} --key {key}"), lines).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
    }

    fn start(&self, arguments: &str) -> Program {
        Program::start(&self.arguments(arguments))
    }

    fn arguments<'a>(&'a self, arguments: &'a str) -> Vec<&'a str> {
        arguments.split_whitespace().chain(["--node", &self.url]).collect()
    }
}

/// Starts a node on the data of this folder.
async fn serve(folder: &Path, listen: &str) -> (Program, String) {
    let (manifest, data) = (folder.join("deploy.yaml"), folder.join("data"));
    let (manifest, data) = (manifest.to_str().unwrap(), data.to_str().unwrap());
    let arguments = ["serve", "--manifest", manifest, "--data", data, "--listen", listen, "--ready-json"];
    let mut node = Program::start(&arguments);
    let address = node.ready().await;
    (node, format!("http://{address}"))
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}
