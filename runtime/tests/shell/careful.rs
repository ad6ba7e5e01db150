//! What goes wrong in silence elsewhere: foreign text on a terminal, readers that go away, progress of another file.

use super::{House, json, program};

/// What commands a terminal or turns its writing round.
const HARMFUL: [char; 3] = ['\u{1b}', '\u{9b}', '\u{202e}'];

fn assert_harmless(text: &str) {
    assert!(!text.contains(HARMFUL), "{text:?}");
}

#[tokio::test]
async fn foreign_text_commands_no_terminal() {
    let house = House::new().await;
    let manifest = house.folder.path().join("m.yaml");
    std::fs::write(&manifest, "streams: {\"\\e[31m\\x9b\\u202e\": {}}").unwrap();
    let manifest = manifest.to_str().unwrap();
    for arguments in [&["check", manifest][..], &["deploy", "--dry-run", "--manifest", manifest]] {
        let run = program::run(arguments, "").await;
        assert_eq!(run.code, 1);
        assert!(run.stderr.contains("'\\u{1b}[31m\\u{9b}\\u{202e}' is not a stream name"), "{}", run.stderr);
        assert_harmless(&run.stderr);
    }
    house.done("stream create orders").await;
    let data = "\u{1b}[1m\u{9b}31m \u{202e}";
    house.put("orders", "k\u{9b}\u{202e}", data).await;
    let shown = house.done("tail orders --no-follow").await;
    assert!(shown.ends_with("\\u{1b}[1m\\u{9b}31m \\u{202e}\n"), "{shown}");
    assert_harmless(&shown);
    let shown = house.done("tail orders --no-follow --json").await;
    assert_harmless(&shown);
    assert_eq!((&json(&shown)["data"], &json(&shown)["partition_key"]), (&data.into(), &"k\u{9b}\u{202e}".into()));
}

#[tokio::test]
async fn progress_is_that_of_one_file_in_one_stream() {
    let house = House::new().await;
    for stream in ["one", "two"] {
        house.done(&format!("stream create {stream}")).await;
    }
    let (file, checkpoint) = (house.folder.path().join("lines"), house.folder.path().join("checkpoint"));
    let put = |stream: &str| format!("put {stream} {} --checkpoint {}", file.display(), checkpoint.display());
    std::fs::write(&file, "1\n2\n").unwrap();
    house.done(&put("one")).await;
    let refusal = house.refused(&put("two")).await;
    assert!(refusal.contains("is of the stream 'one', not of 'two'") && refusal.contains("delete it"), "{refusal}");
    std::fs::write(&file, "7\n").unwrap();
    let refusal = house.refused(&put("one")).await;
    assert!(refusal.contains("has 2 bytes, and 4 were put"), "{refusal}");
    std::fs::write(&file, "1\n2\n3\n").unwrap();
    house.done(&put("one")).await;
    assert_eq!(house.done("tail one --no-follow").await.lines().count(), 3);
    house.done("stream delete one --yes").await;
    house.done("stream create one").await;
    let refusal = house.refused(&put("one")).await;
    assert!(refusal.contains("a stream 'one' that was created at"), "{refusal}");
}

#[tokio::test]
async fn a_command_that_nobody_reads_ends_as_its_work_does() {
    let house = House::new().await;
    for command in ["status", "stream list", "stream create orders --json", "health"] {
        let node = house.node.as_ref().unwrap();
        node.pause().await;
        let program = house.start(command);
        // Nobody reads it from before the node answers.
        let (code, ()) = tokio::join!(program.unread(), async { node.signal("CONT") });
        assert_eq!(code, 0, "{command}");
    }
    assert!(house.done("stream list").await.contains("orders"));
}

#[tokio::test]
async fn what_is_piped_is_whole() {
    let house = House::new().await;
    let name = "n".repeat(100);
    house.done(&format!("stream create {name}")).await;
    assert!(house.done("stream list").await.contains(&name));
    assert!(house.done("status").await.contains(&name));
}

#[tokio::test]
async fn a_node_that_hangs_and_a_server_that_is_none_are_told() {
    let house = House::new().await;
    let elsewhere = format!("{}/foo", house.url);
    let run = program::run(&["put", "orders", "--node", &elsewhere], "x\n").await;
    assert!(run.code == 1 && run.stderr.contains("check the node's address, which has no path"), "{}", run.stderr);
    house.done("stream create orders").await;
    let refusal = house.refused("tail orders --no-follow --from 2999-01-01T00:00:00Z").await;
    assert!(refusal.contains("lies in the future: 2999-01-01T00:00:00Z, and now is 2"), "{refusal}");
    house.node.as_ref().unwrap().pause().await;
    let refusal = house.refused("health --timeout 100ms").await;
    assert!(refusal.contains("did not answer within 100 ms"), "{refusal}");
    house.node.as_ref().unwrap().signal("CONT");
    let run = program::run(&["serve", "--memory", "--log", "inof"], "").await;
    assert!(run.code == 1 && run.stderr.contains("'inof' names no level; write error, warn, info"), "{}", run.stderr);
}
