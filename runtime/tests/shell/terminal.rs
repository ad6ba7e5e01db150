//! What a person at a terminal sees. `script` makes the terminal.

#![cfg(target_os = "linux")]

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::House;

/// A program on a terminal of 80 columns.
struct Terminal {
    child: Child,
    seen: String,
}

impl Terminal {
    fn start(house: &House, arguments: &str) -> Self {
        let command = format!("exec {} {}", env!("CARGO_BIN_EXE_tidemill"), house.arguments(arguments).join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &format!("stty cols 80 rows 24; {command}"), "/dev/null"]).env("SHELL", "/bin/sh");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self { child: script.spawn().unwrap(), seen: String::new() }
    }

    /// Reads until this stands there, so many times.
    async fn wait_for(&mut self, text: &str, times: usize) {
        let read = async {
            while self.seen.matches(text).count() < times {
                let mut bytes = [0; 4096];
                let count = self.child.stdout.as_mut().unwrap().read(&mut bytes).await.unwrap();
                assert!(count > 0, "it ended without '{text}': {}", self.seen);
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        let waited = tokio::time::timeout(super::program::PATIENCE, read).await;
        assert!(waited.is_ok(), "'{text}' does not come");
    }

    async fn press(&mut self, keys: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(keys).await.unwrap();
    }

    /// Waits for its end; how it ended, and all that was seen.
    async fn ended(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        self.child.stdout.as_mut().unwrap().read_to_end(&mut rest).await.unwrap();
        let code = self.child.wait().await.unwrap().code().unwrap();
        (code, self.seen + &String::from_utf8_lossy(&rest))
    }
}

#[tokio::test]
async fn a_deletion_is_asked_for_and_says_what_is_lost() {
    let house = House::new().await;
    house.done("stream create orders --shards 2").await;
    for (answer, code, left) in [("n\n", 1, true), ("\n", 1, true), ("y\n", 0, false)] {
        let mut terminal = Terminal::start(&house, "stream delete orders");
        terminal.wait_for("Delete it? [y/N]", 1).await;
        terminal.press(answer.as_bytes()).await;
        let (ended, seen) = terminal.ended().await;
        assert!(seen.contains("the stream 'orders', its 2 shards and all records"), "{seen}");
        assert_eq!(ended, code, "{answer:?}: {seen}");
        assert_eq!(house.done("stream list").await.contains("orders"), left, "{answer:?}");
    }
}

#[tokio::test]
async fn a_tail_is_cut_to_the_terminal() {
    let house = House::new().await;
    house.done("stream create orders").await;
    house.put("orders", "key", &format!("\u{1b}[31m{}\nshort\n", "x".repeat(500))).await;
    let (code, seen) = Terminal::start(&house, "tail orders --no-follow").ended().await;
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!((code, lines.len()), (0, 2), "{seen}");
    assert_eq!(lines[0].chars().count(), 80, "{seen}");
    assert!(lines[0].contains("key              \\u{1b}[31mxxx") && lines[0].ends_with("x…"), "{seen}");
    assert!(lines[1].ends_with(" short"), "{seen}");
}

#[tokio::test]
async fn a_watch_draws_anew_until_it_is_ended() {
    let house = House::new().await;
    house.done("stream create orders").await;
    let mut terminal = Terminal::start(&house, "status --watch");
    terminal.wait_for("orders", 2).await;
    assert!(terminal.seen.contains("\u{1b}[8A\r\u{1b}[J"), "it goes back over its 8 lines: {:?}", terminal.seen);
    terminal.press(b"\x03").await;
    assert_eq!(terminal.ended().await.0, 0);

    let refusal = house.refused("status --watch").await;
    assert!(refusal.contains("--watch draws on a terminal"), "{refusal}");
}

#[tokio::test]
async fn a_put_shows_how_far_it_is() {
    let house = House::new().await;
    house.done("stream create orders").await;
    let file = house.folder.path().join("lines");
    std::fs::write(&file, "line\n".repeat(50)).unwrap();
    let (code, seen) = Terminal::start(&house, &format!("put orders {} --rate 100", file.display())).ended().await;
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("records/s") && seen.contains('%'), "{seen}");
    assert!(seen.contains("put 50 records into orders"), "{seen}");
}
