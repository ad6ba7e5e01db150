//! Bounds are reached: what is over them is refused, or comes in parts.

use super::*;
use crate::engine::Expect;
use crate::limits::{LIST_BYTES_MAX, PENDING_CHANGE_BYTES_MAX};
use crate::name::StreamName;
use crate::put::PutFailure;
use crate::record::{PartitionKey, Record};
use crate::store::Store;
use crate::stream::StreamMode;

fn change(key: &str, bytes: usize) -> Vec<Change> {
    vec![Change { key: Key::new(key), expect: Expect::Any, value: Some(vec![1; bytes].into()) }]
}

#[tokio::test]
async fn a_put_that_finds_no_room_among_the_pending_ones_is_a_throughput_error() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        EmbeddedOptions { pending_bytes_max: 2048, pending_wait: Duration::ZERO, ..EmbeddedOptions::default() };
    let engine = Arc::new(Embedded::open(folder.path(), Clock::system(), options).unwrap());
    let shared: Arc<dyn Engine> = engine.clone();
    let store = Store::open(shared, Clock::system()).await.unwrap();
    let name = StreamName::parse("s").unwrap();
    store.create_stream(&name, 1, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
    let put = || {
        let partition_key = PartitionKey::parse("k").unwrap();
        store.put(&name, vec![Record { partition_key, explicit_hash: None, data: vec![1; 1500].into() }])
    };
    let waiting = Arc::clone(&engine.room).try_acquire_owned().unwrap();
    let outcomes = put().await.unwrap();
    let [Err(PutFailure::Throughput(reason))] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("1024 bytes are waiting"), "{reason}");
    drop(waiting);
    assert!(put().await.unwrap()[0].is_ok());
}

#[tokio::test(start_paused = true)]
async fn changes_of_documents_that_find_no_room_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default()).unwrap();
    let all = (PENDING_CHANGE_BYTES_MAX / PERMIT_BYTES) as u32;
    let waiting = Arc::clone(&engine.documents.room).try_acquire_many_owned(all).unwrap();
    let refused = engine.compare_and_set(change("d", 1), Durability::Synced).await;
    assert!(matches!(&refused, Err(DocumentError::Unavailable(why)) if why.contains("too many")), "{refused:?}");
    assert!(engine.get(&Key::new("d")).await.unwrap().is_none());
    drop(waiting);
    engine.compare_and_set(change("d", 1), Durability::Synced).await.unwrap();
}

#[tokio::test]
async fn a_listing_is_bounded_in_bytes_and_goes_on_behind_its_last() {
    const LARGE: usize = LIST_BYTES_MAX / 3;
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default()).unwrap();
    let sizes = [("a", LARGE), ("b", LARGE), ("c", LARGE), ("d", LIST_BYTES_MAX + 1), ("e", 1)];
    for (key, bytes) in sizes {
        engine.compare_and_set(change(key, bytes), Durability::Lazy).await.unwrap();
    }
    let mut pages: Vec<Vec<String>> = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = engine.list("", after.as_ref(), 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        pages.push(page.iter().map(|document| document.key.as_str().to_owned()).collect());
    }
    assert_eq!(pages, [vec!["a", "b", "c"], vec!["d"], vec!["e"]]);
}
