//! Documents in doubt, and a catalogue that keeps up with them.

use std::collections::BTreeMap;

use super::*;
use crate::clock::Timestamp;
use crate::create::CreateStreamError;
use crate::engine::faulty::{Fault, Faulty, FaultyOptions};
use crate::engine::memory::Memory;
use crate::engine::{LogError, LogId};
use crate::stream::StreamMode;

async fn store_with(fault: Fault, in_a_row_max: u32) -> Store {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let options = FaultyOptions { per_mille: BTreeMap::from([(fault, 1000)]), in_a_row_max, ..Default::default() };
    Store::open(Arc::new(Faulty::new(Memory::new(clock.clone()), options)), clock).await.unwrap()
}

async fn create(store: &Store) -> Result<Arc<Stream>, CreateStreamError> {
    let name = StreamName::parse("s").unwrap();
    store.create_stream(&name, 2, StreamMode::Provisioned, Duration::from_hours(24)).await
}

fn key() -> Key {
    Key::new("d")
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_change_in_doubt_is_made_once() {
    for fault in [Fault::ChangeUnknownDone, Fault::ChangeUnknownNotDone] {
        let store = store_with(fault, 3).await;
        let first = store.change(key(), Expect::Absent, Some(value("1"))).await.unwrap();
        assert_eq!(store.engine().get(&key()).await.unwrap().unwrap().revision, first);
        let second = store.change(key(), Expect::At(first), Some(value("2"))).await.unwrap();
        assert!(second > first);
        // A revision that is past is refused, also where the content is the one that was wanted.
        let stale = store.change(key(), Expect::At(first), Some(value("3"))).await;
        assert!(matches!(stale, Err(DocumentError::Conflict { found: Some(found), .. }) if found == second));
        store.change(key(), Expect::At(second), None).await.unwrap();
        assert_eq!(store.engine().get(&key()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_change_to_the_same_content_that_was_not_made_is_tried_again() {
    let store = store_with(Fault::ChangeUnknownNotDone, 1).await;
    let first = store.change(key(), Expect::Absent, Some(value("1"))).await.unwrap();
    assert!(store.change(key(), Expect::At(first), Some(value("1"))).await.unwrap() > first);
}

#[tokio::test]
async fn a_change_that_stays_in_doubt_says_so() {
    let store = store_with(Fault::ChangeUnknownNotDone, u32::MAX).await;
    let unknown = store.change(key(), Expect::Absent, Some(value("1"))).await;
    assert!(matches!(unknown, Err(DocumentError::Unknown)), "{unknown:?}");
}

#[tokio::test]
async fn a_stream_that_was_made_after_all_is_not_taken_back() {
    let store = store_with(Fault::ChangeUnknownDone, 1).await;
    let stream = create(&store).await.unwrap();
    // What the maker knew before the change to ACTIVE, whose answer it never had.
    let before = Stream { status: StreamStatus::Creating, revision: Revision(1), ..Stream::clone(&stream) };
    store.forget(&stream);
    assert_eq!(store.take_back(&before).await, Some(Arc::clone(&stream)));
    assert_eq!(store.stream(&stream.name).as_ref(), Ok(&stream));
    for log in stream.logs() {
        store.engine().stats(log).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_was_not_made_is_taken_back_with_its_logs() {
    let store = store_with(Fault::ChangeUnknownNotDone, 1).await;
    let stream = create(&store).await.unwrap();
    store.take_back(&stream).await;
    assert_eq!(store.engine().get(&stream.key()).await.unwrap(), None);
    let log = LogId { stream: stream.id, part: 0 };
    assert!(matches!(store.engine().stats(log).await, Err(LogError::NoLog(_))));
}

#[tokio::test]
async fn a_stream_is_deleted_though_someone_else_finishes_it() {
    let store = store_with(Fault::ChangeUnknownNotDone, 0).await;
    let stream = create(&store).await.unwrap();
    let marked = store.mark_deleting(&stream).await.unwrap();
    store.finish_deletion(&marked).await.unwrap();
    store.finish_deletion(&marked).await.unwrap();
}

#[tokio::test]
async fn the_catalogue_takes_in_what_is_newer_and_nothing_that_was_forgotten() {
    let store = store_with(Fault::Pause, 0).await;
    let stream = create(&store).await.unwrap();
    let newer = Stream { status: StreamStatus::Updating, ..Stream::clone(&stream) };
    let revision = store.change(stream.key(), Expect::At(stream.revision), Some(newer.encode())).await.unwrap();
    store.reload(&stream).await.unwrap().unwrap();
    let known = store.stream(&stream.name).unwrap();
    assert_eq!((known.revision, known.status), (revision, StreamStatus::Updating));
    // Between the two steps of a deletion the document says that the stream is there.
    store.forget(&known);
    assert!(store.reload(&known).await.unwrap().is_some());
    assert!(store.stream(&stream.name).is_err());
    // A stream that went without this store's doing is forgotten.
    store.remember(Arc::clone(&known));
    store.change(stream.key(), Expect::Any, None).await.unwrap();
    assert_eq!(store.reload(&known).await.unwrap(), None);
    assert!(store.stream(&stream.name).is_err());
}
