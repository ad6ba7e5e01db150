//! The store under load, judged from outside: producers and readers write down what they did and saw, and a pure
//! function finds out whether one order of records explains it all.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod doctored;
mod judge;
mod load;

use tidemill_stream::engine::embedded::EmbeddedOptions;

use self::load::run;

async fn check(options: EmbeddedOptions) {
    let history = run(options).await;
    let records: usize = history.durable.values().map(Vec::len).sum();
    let seen: usize = history.readers.iter().map(|reader| reader.seen.len()).sum();
    println!("{records} records, seen {seen} times by {} readers", history.readers.len());
    assert_eq!(judge::judge(&history), []);
    assert_eq!(records, load::RECORDS);
    assert!(seen > records, "readers saw {seen} of {records} records");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_at_the_tip_agree_on_one_order() {
    check(EmbeddedOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_the_disk_agree_on_one_order() {
    check(EmbeddedOptions { tail_bytes_max: 4 << 10, ..EmbeddedOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_several_logs_agree_on_one_order() {
    check(EmbeddedOptions { shards_per_log: 2, tail_bytes_max: 64 << 10, ..EmbeddedOptions::default() }).await;
}
