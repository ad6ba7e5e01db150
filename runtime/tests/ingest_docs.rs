//! The commands of `docs/http-ingest.md` do what it says: each is run against the program with the manifest above it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that goes wrong shall stop"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TOKEN: &str = "a-token-of-the-test";

/// A fenced block: its language and its text.
struct Block {
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some(Block { language: language.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// A node that runs, killed when it is dropped.
struct Node {
    child: Child,
    address: String,
}

impl Node {
    fn start(folder: &Path, manifest: &str) -> Self {
        let path = folder.join("deploy.yaml");
        std::fs::write(&path, manifest).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        command.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--ready-json", "--manifest"]).arg(path);
        let mut child = command.env("INGEST_TOKEN", TOKEN).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        Self { child, address: ready["address"].as_str().unwrap().to_owned() }
    }

    /// What a command writes; it must end well.
    fn run(&self, command: &str) -> String {
        let command = command.replace("127.0.0.1:4567", &self.address);
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &command]).env("INGEST_TOKEN", TOKEN).env("no_proxy", "*");
        let output = shell.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sequence numbers differ from run to run: all are 0 here.
fn without_numbers(text: &str) -> String {
    let mut parts = text.trim().split("\"sequence_number\":\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        assert!(digits > 0, "no number: {text}");
        out += "\"sequence_number\":\"0";
        out += &part[digits..];
    }
    out
}

#[test]
fn every_command_of_the_page_answers_as_the_page_says() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-ingest.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut node, mut said, mut checked) = (None, None, 0);
    for Block { language, text } in blocks(&page) {
        match (language.as_str(), &node) {
            ("yaml", _) => node = Some(Node::start(folder.path(), &text)),
            ("sh", Some(node)) => said = Some(node.run(&text)),
            ("json" | "text", Some(_)) => {
                let said = said.take().expect("an answer has a command before it");
                assert_eq!(without_numbers(&said), without_numbers(&text));
                checked += 1;
            }
            (other, _) => panic!("a block of {other} that is not checked"),
        }
    }
    assert!(checked >= 7, "{checked} answers were checked");
}
