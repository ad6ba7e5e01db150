//! `tidemill stream` and `tidemill shard`.

use super::{House, json};

#[tokio::test]
async fn a_stream_is_created_shown_and_deleted() {
    let house = House::new().await;
    let none = house.run("stream list").await;
    assert!(
        none.stdout.starts_with("STREAM ") && none.stderr.contains("tidemill stream create NAME"),
        "{}",
        none.stderr
    );

    let created = json(&house.done("stream create orders --shards 4 --json").await);
    assert_eq!((&created["status"], &created["open_shards"]), (&"ACTIVE".into(), &4.into()));
    let again = house.refused("stream create orders").await;
    assert!(again.contains("ResourceInUseException") && again.contains("orders"), "{again}");
    let run = house.run("stream create events").await;
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", "created the stream 'events' with 1 shard\n"));

    let listed = house.done("stream list").await;
    let cells: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells[1], ["events", "ACTIVE", "PROVISIONED", "1", "24", "h"]);
    assert_eq!(cells[2], ["orders", "ACTIVE", "PROVISIONED", "4", "24", "h"]);
    let listed = json(&house.done("stream list --json").await);
    assert_eq!((&listed[0]["name"], &listed[1]["name"]), (&"events".into(), &"orders".into()));

    let described = house.done("stream describe orders").await;
    for line in ["Name       orders", "Shards     4 open, 0 closed", "Retention  24 h", "Mode       PROVISIONED"] {
        assert!(described.contains(line), "{described}");
    }
    let arn = "ARN        arn:aws:kinesis:us-east-1:000000000000:stream/orders";
    assert!(described.contains(arn) && described.contains("3      open    25.0%"), "{described}");
    assert!(described.lines().all(|line| line.chars().count() <= 80), "{described}");
    let described = json(&house.done("stream describe orders --json").await);
    assert_eq!((&described["retention_hours"], &described["shards"][3]["open"]), (&24.into(), &true.into()));

    let refusal = house.refused("stream delete orders").await;
    assert!(refusal.contains("say --yes to delete 'orders'"), "{refusal}");
    assert!(house.done("stream list").await.contains("orders"));
    house.done("stream delete orders --yes").await;
    assert!(!house.done("stream list").await.contains("orders"));
    let gone = house.refused("stream delete orders --yes").await;
    assert!(gone.contains("there is no stream 'orders'") && gone.contains("'tidemill stream list'"), "{gone}");
}

#[tokio::test]
async fn a_stream_gets_another_number_of_shards() {
    let house = House::new().await;
    house.done("stream create orders --shards 2").await;
    let run = house.run("stream reshard orders --shards 9").await;
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("", "the stream 'orders' has 9 open shards now; it had 2\n")
    );
    let changed = json(&house.done("stream reshard orders --shards 1 --json").await);
    assert_eq!((&changed["status"], &changed["open_shards"]), (&"ACTIVE".into(), &1.into()));
    let described = house.done("stream describe orders").await;
    assert!(described.contains("Shards     1 open, "), "{described}");
    let refusal = house.refused("stream reshard none --shards 2").await;
    assert!(refusal.contains("there is no stream 'none'"), "{refusal}");
}

#[tokio::test]
async fn a_list_of_many_pages_is_whole() {
    let house = House::new().await;
    let client = tidemill_client::Client::new(&house.url).unwrap();
    for number in 0..101 {
        client.create_stream(&format!("s{number:03}"), 1).await.unwrap();
    }
    let listed = json(&house.done("stream list --json").await);
    assert_eq!((listed.as_array().unwrap().len(), &listed[100]["name"]), (101, &"s100".into()));
}

#[tokio::test]
async fn the_shards_are_a_map() {
    let house = House::new().await;
    house.done("stream create orders --shards 2").await;
    let map = house.done("shard orders").await;
    let lines: Vec<&str> = map.lines().collect();
    assert_eq!(lines[1], format!("0      open    50.0%  {}{}", "█".repeat(20), "·".repeat(20)));
    assert_eq!(lines[2], format!("1      open    50.0%  {}{}", "·".repeat(20), "█".repeat(20)));
    let map = json(&house.done("shard orders --json").await);
    assert_eq!(map[0]["id"], "shardId-000000000000");
    assert_eq!(map[1]["hash_key_end"], u128::MAX.to_string());
    let refusal = house.refused("shard none").await;
    assert!(refusal.contains("there is no stream 'none'"), "{refusal}");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_said_with_the_remedy() {
    let nobody = "http://127.0.0.1:1";
    for command in ["stream list", "shard orders", "tail orders", "status", "stream create orders"] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--node", nobody]).collect();
        let run = super::program::run(&arguments, "").await;
        assert_eq!(run.code, 1, "{command}");
        let said = "no node answers at http://127.0.0.1:1 (Connection refused";
        assert!(run.stderr.contains(said) && run.stderr.contains("'tidemill serve'"), "{command}: {}", run.stderr);
    }
}
