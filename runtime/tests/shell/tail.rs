//! `tidemill tail`

use super::{House, json};

fn data(lines: &str) -> Vec<String> {
    lines.lines().map(|line| json(line)["data"].as_str().unwrap().to_owned()).collect()
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|number| number.to_string() + "\n").collect()
}

#[tokio::test]
async fn what_is_there_is_shown_once_and_in_order() {
    let house = House::new().await;
    house.done("stream create orders --shards 3").await;
    assert_eq!(house.done("tail orders --no-follow").await, "", "nothing is there");
    house.put("orders", "a", &numbers(0..2500)).await;
    house.put("orders", "b", &numbers(0..10)).await;
    let all = house.done("tail orders --no-follow --json").await;
    for (key, count) in [("a", 2500), ("b", 10)] {
        let of_key: String =
            all.lines().filter(|line| json(line)["partition_key"] == key).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(data(&of_key), numbers(0..count).lines().collect::<Vec<_>>(), "key {key}");
    }
    assert_eq!(all.lines().count(), 2510);

    let first = json(all.lines().find(|line| json(line)["partition_key"] == "a").unwrap());
    let shard = first["shard"].as_str().unwrap();
    let five = house.done(&format!("tail orders --from trim-horizon --shard {shard} --limit 5")).await;
    let fields: Vec<Vec<&str>> = five.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(fields.len(), 5);
    let number = shard.trim_start_matches("shardId-00000000000");
    assert_eq!(fields[0], [first["time"].as_str().unwrap(), number, "a", "0"]);
    let by_number = house.done(&format!("tail orders --from trim-horizon --shard {number} --limit 5")).await;
    assert_eq!(by_number, five);
    assert_eq!(house.done("tail orders --no-follow --from latest").await, "");
    assert_eq!(house.done("tail orders --no-follow --from 1h").await.lines().count(), 2510);

    let refusal = house.refused("tail orders --shard 7").await;
    assert!(refusal.contains("the stream 'orders' has no shard '7'; it has 3, from 0 to 2"), "{refusal}");
    let refusal = house.refused("tail none").await;
    assert!(refusal.contains("there is no stream 'none'"), "{refusal}");
}

#[tokio::test]
async fn data_that_is_no_text_is_base64() {
    let house = House::new().await;
    house.done("stream create orders").await;
    let client = tidemill_client::Client::new(&house.url).unwrap();
    let data = bytes::Bytes::from_static(&[0xff, 0x00]);
    let record = tidemill_client::PutRecord { partition_key: "k".to_owned(), explicit_hash_key: None, data };
    client.put_records("orders", &[record]).await.unwrap();
    let line = json(&house.done("tail orders --no-follow --json").await);
    assert_eq!((&line["data_base64"], line.get("data")), (&"/wA=".into(), None));
    assert!(house.done("tail orders --no-follow").await.ends_with("\tk\tbase64:/wA=\n"));
}

#[tokio::test]
async fn a_tail_goes_on_behind_a_restart_of_the_node() {
    let mut house = House::new().await;
    house.done("stream create orders --shards 2").await;
    house.put("orders", "a", "one\n").await;
    let mut tail = house.start("tail orders --from trim-horizon --json");
    assert_eq!(json(&tail.line().await)["data"], "one");

    house.stop().await;
    let waiting = tail.log_line("waiting for it").await;
    assert!(waiting.contains(&house.url), "{waiting}");
    house.start_again().await;
    tail.log_line("the node answers again").await;
    house.put("orders", "a", "two\n").await;
    assert_eq!(json(&tail.line().await)["data"], "two");
    tail.signal("INT");
    assert_eq!(tail.exit_code().await, 0, "Ctrl-C is how it ends");
}

#[tokio::test]
async fn a_tail_from_latest_shows_what_comes_and_stops_at_its_limit() {
    let house = House::new().await;
    house.done("stream create orders").await;
    house.put("orders", "a", "old\n").await;
    let mut tail = house.start("tail orders --limit 2 --json");
    // Only a record that comes behind its start shows that it has started: so they come until one was seen.
    let mut number = 0;
    let seen = loop {
        house.put("orders", "a", &format!("{number}\n")).await;
        number += 1;
        if let Some(line) = tail.line_at_once().await {
            break line;
        }
    };
    house.put("orders", "a", "last\n").await;
    let (first, second) = (json(&seen), json(&tail.line().await));
    let order = |line: &serde_json::Value| line["sequence_number"].as_str().unwrap().to_owned();
    assert!(first["data"] != "old" && order(&first) < order(&second), "{first} {second}");
    assert_eq!(tail.exit_code().await, 0);

    let mut unfinished = house.start("tail orders --from trim-horizon --limit 1000000");
    unfinished.line().await;
    unfinished.signal("INT");
    assert_eq!(unfinished.exit_code().await, 130, "it did not come to its end");
}

#[tokio::test]
async fn a_tail_that_nobody_reads_any_more_ends() {
    let house = House::new().await;
    house.done("stream create orders").await;
    house.put("orders", "a", "the last\n").await;
    let mut tail = house.start("tail orders --from trim-horizon");
    tail.line().await;
    assert_eq!(tail.unread().await, 0, "though no record comes that it could not write");
}
