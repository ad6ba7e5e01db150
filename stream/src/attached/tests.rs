//! What hangs on a stream changes as one, and goes with it.

use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::create::NewStream;
use crate::delete::DeleteStreamError;
use crate::engine::Engine;
use crate::engine::memory::Memory;
use crate::settings::Settings;
use crate::stream::StreamMode;

fn name() -> StreamName {
    StreamName::parse("s").unwrap()
}

fn consumer(name: &str) -> ConsumerName {
    ConsumerName::parse(name).unwrap()
}

fn meant(name: &str, created_secs: Option<u64>) -> ConsumerRef {
    ConsumerRef { name: consumer(name), created_secs }
}

fn tags(range: std::ops::Range<usize>) -> Tags {
    range.map(|n| (format!("k{n:02}"), "v".to_owned())).collect()
}

async fn opened() -> (Arc<Memory>, Clock, Store) {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_123));
    let engine = Arc::new(Memory::new(clock.clone()));
    let store = Store::open(Arc::clone(&engine) as Arc<dyn Engine>, clock.clone()).await.unwrap();
    (engine, clock, store)
}

async fn create(store: &Store, tags: Tags) -> Result<Arc<Stream>, crate::create::CreateStreamError> {
    let (mode, retention) = (StreamMode::Provisioned, Duration::from_hours(24));
    let new = NewStream { shards: 1, mode, retention, settings: Settings::default(), tags };
    store.create_stream_as(&name(), new).await
}

async fn documents(engine: &Memory) -> usize {
    engine.list(PREFIX, None, 100).await.unwrap().len()
}

#[tokio::test]
async fn what_hangs_on_a_stream_goes_with_it_and_comes_to_no_other_of_its_name() {
    let (engine, _, store) = opened().await;
    create(&store, tags(0..2)).await.unwrap();
    store.register_consumer(&name(), consumer("c"), tags(0..1), 20).await.unwrap();
    assert_eq!(documents(&engine).await, 1);
    store.delete_stream(&name()).await.unwrap();
    assert_eq!(documents(&engine).await, 0);
    let again = create(&store, Tags::new()).await.unwrap();
    assert_eq!(store.attached(&again).await.unwrap(), Attached::default());
    assert_eq!(documents(&engine).await, 0, "where nothing hangs on a stream nothing is kept");
}

#[tokio::test]
async fn a_store_that_is_opened_anew_has_it_all() {
    let (engine, clock, store) = opened().await;
    let stream = create(&store, tags(0..1)).await.unwrap();
    store.register_consumer(&name(), consumer("c"), tags(0..1), 20).await.unwrap();
    let holder = Holder::Consumer(meant("c", Some(1_700_000_000)));
    store.set_policy(&name(), holder, "{}".to_owned()).await.unwrap();
    let before = store.attached(&stream).await.unwrap();
    let again = Store::open(engine as Arc<dyn Engine>, clock).await.unwrap();
    let after = again.attached(&again.stream(&name()).unwrap()).await.unwrap();
    assert_eq!(after, before);
    assert_eq!((after.stream.tags.len(), after.consumers_count()), (1, 1));
}

#[tokio::test]
async fn a_stream_with_consumers_is_deleted_only_where_that_is_meant() {
    let (_, _, store) = opened().await;
    create(&store, Tags::new()).await.unwrap();
    store.register_consumer(&name(), consumer("c"), Tags::new(), 20).await.unwrap();
    let refused = store.delete_stream_without_consumers(&name()).await;
    assert!(matches!(refused, Err(DeleteStreamError::HasConsumers { consumers: 1, .. })), "{refused:?}");
    assert!(store.stream(&name()).is_ok(), "a stream that was not deleted is there");
    store.deregister_consumer(&name(), meant("c", None)).await.unwrap();
    store.delete_stream_without_consumers(&name()).await.unwrap();
    assert!(store.stream(&name()).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_comes_while_its_stream_is_deleted_leaves_nothing() {
    let (engine, _, store) = opened().await;
    for round in 0..400 {
        create(&store, Tags::new()).await.unwrap();
        let stream = name();
        let (delete, tag) = (store.delete_stream(&stream), store.tag(&stream, Holder::Stream, tags(0..1)));
        let (deleted, tagged) = if round % 2 == 0 {
            tokio::join!(delete, tag)
        } else {
            let (tagged, deleted) = tokio::join!(tag, delete);
            (deleted, tagged)
        };
        deleted.unwrap();
        assert!(matches!(tagged, Ok(()) | Err(AttachError::NoStream(_))), "{tagged:?}");
        assert_eq!(documents(&engine).await, 0);
    }
}

#[tokio::test]
async fn tags_are_limited_together() {
    let (_, _, store) = opened().await;
    assert!(create(&store, tags(0..51)).await.is_err());
    let stream = create(&store, tags(0..50)).await.unwrap();
    let refused = store.tag(&name(), Holder::Stream, tags(50..51)).await;
    assert!(matches!(refused, Err(AttachError::TooManyTags { given: 51, max: 50 })), "{refused:?}");
    store.tag(&name(), Holder::Stream, tags(0..1)).await.unwrap();
    store.untag(&name(), Holder::Stream, vec!["k00".to_owned(), "none".to_owned()]).await.unwrap();
    store.tag(&name(), Holder::Stream, tags(50..51)).await.unwrap();
    assert_eq!(store.attached(&stream).await.unwrap().stream.tags, tags(1..51));
}

#[tokio::test]
async fn consumers_have_one_name_each_and_a_limit() {
    let (_, clock, store) = opened().await;
    let stream = create(&store, Tags::new()).await.unwrap();
    for n in 0..2 {
        store.register_consumer(&name(), consumer(&format!("c{n}")), Tags::new(), 2).await.unwrap();
    }
    let again = store.register_consumer(&name(), consumer("c0"), Tags::new(), 2).await;
    assert!(matches!(again, Err(AttachError::ConsumerExists(_))), "{again:?}");
    let third = store.register_consumer(&name(), consumer("c2"), Tags::new(), 2).await;
    assert!(matches!(third, Err(AttachError::TooManyConsumers { max: 2 })), "{third:?}");
    store.deregister_consumer(&name(), meant("c0", Some(1_700_000_000))).await.unwrap();
    clock.set(clock.now().plus(Duration::from_secs(1)));
    store.register_consumer(&name(), consumer("c0"), Tags::new(), 2).await.unwrap();
    let earlier = store.deregister_consumer(&name(), meant("c0", Some(1_700_000_000))).await;
    assert!(matches!(earlier, Err(AttachError::NoConsumer(_))), "{earlier:?}");
    assert_eq!(store.attached(&stream).await.unwrap().consumers_count(), 2);
}
