//! What retention promises: behind the horizon nothing is read, inside nothing is lost, and nothing comes back.

use super::*;

const DAY: Duration = Duration::from_hours(24);
/// Between records: so short that all of them lie together, and one read may return them all.
const STEP: Duration = Duration::from_mins(20);
const START: Timestamp = Timestamp::from_millis(1_000_000);

pub(super) async fn check(make: Make<'_>) {
    records_behind_the_horizon_are_not_read(make).await;
    a_reader_from_behind_the_horizon_goes_on_there_and_is_told(make).await;
    what_has_expired_stays_so(make).await;
    a_shorter_retention_counts_at_once(make).await;
    a_log_goes_on_when_its_records_have_expired(make).await;
    a_quiet_shard_skips_nothing(make).await;
    a_purged_shard_ends_for_every_reader(make).await;
    a_log_that_is_small_enough_loses_nothing(make).await;
}

/// A log of three records, one step apart.
async fn three(make: Make<'_>, clock: &Clock) -> (Subject, Vec<Position>) {
    let engine = with_log(make, clock.clone()).await;
    let mut positions = Vec::new();
    for (steps, data) in (0..).zip(["1", "2", "3"]) {
        clock.set(START.plus(STEP * steps));
        positions.extend(engine.append(LOG, Generation::FIRST, append(&[(A, data)])).await.unwrap().positions);
    }
    (engine, positions)
}

async fn records_behind_the_horizon_are_not_read(make: Make<'_>) {
    let clock = clock();
    let (engine, _) = three(make, &clock).await;
    for _ in 0..2 {
        clock.set(START.plus(DAY));
        engine.shows(A, Bound::START, ALL, &["1", "2", "3"]).await;
        assert_eq!(engine.stats(LOG).await.unwrap().oldest, Some(START));
        engine.expire(LOG).await.unwrap();
    }
    clock.set(START.plus(DAY + Duration::from_millis(1)));
    for is_trimmed in [false, true] {
        if is_trimmed {
            engine.expire(LOG).await.unwrap();
        }
        engine.shows(A, Bound::START, ALL, &["2", "3"]).await;
        for seek in [Seek::Horizon, Seek::Time(Timestamp::default()), Seek::Time(START)] {
            let bound = engine.seek(LOG, A, seek).await.unwrap();
            let batch = engine.read_until(LOG, A, bound, ALL, |batch| batch.records.len() == 2).await;
            assert_eq!((texts(&batch), batch.skipped), (vec!["2".to_owned(), "3".to_owned()], false), "{seek:?}");
        }
        assert_eq!(engine.stats(LOG).await.unwrap().oldest, Some(START.plus(STEP)));
    }
}

async fn a_reader_from_behind_the_horizon_goes_on_there_and_is_told(make: Make<'_>) {
    let clock = clock();
    let (engine, positions) = three(make, &clock).await;
    let inside = Bound::after(positions[0]);
    clock.set(START.plus(DAY + Duration::from_millis(1)));
    let all = |batch: &Batch| batch.records.len() == 2;
    for from in [Bound::START, Bound::at(positions[0])] {
        assert!(engine.read_until(LOG, A, from, ALL, all).await.skipped, "{from:?}");
    }
    assert!(!engine.read_until(LOG, A, inside, ALL, all).await.skipped);
    clock.set(START.plus(DAY + STEP * 3));
    for is_trimmed in [false, true] {
        if is_trimmed {
            engine.expire(LOG).await.unwrap();
        }
        let gone = engine.read_until(LOG, A, inside, ALL, |batch| batch.skipped).await;
        assert!(gone.skipped && gone.is_at_tip() && gone.records.is_empty(), "{gone:?}");
        let again = engine.read(LOG, A, gone.next, ALL).await.unwrap();
        assert!(!again.skipped && again.is_at_tip() && again.records.is_empty(), "told once: {again:?}");
        assert_eq!(engine.seek(LOG, A, Seek::Horizon).await.unwrap(), gone.next);
    }
}

async fn what_has_expired_stays_so(make: Make<'_>) {
    let clock = clock();
    let (engine, _) = three(make, &clock).await;
    clock.set(START.plus(DAY + STEP));
    engine.log_change(LOG, LogSettings::kept_for(DAY * 7)).await.unwrap();
    assert_eq!(engine.stats(LOG).await.unwrap().settings, LogSettings::kept_for(DAY * 7));
    engine.shows(A, Bound::START, ALL, &["2", "3"]).await;
    clock.set(START);
    engine.shows(A, Bound::START, ALL, &["2", "3"]).await;
    clock.set(START.plus(DAY * 7));
    engine.expire(LOG).await.unwrap();
    engine.shows(A, Bound::START, ALL, &["2", "3"]).await;
}

async fn a_shorter_retention_counts_at_once(make: Make<'_>) {
    let clock = clock();
    let (engine, _) = three(make, &clock).await;
    engine.log_put(LOG, LogSettings::kept_for(STEP)).await.unwrap();
    engine.shows(A, Bound::START, ALL, &["2", "3"]).await;
    engine.log_put(LOG, SETTINGS).await.unwrap();
    engine.expire(LOG).await.unwrap();
    engine.shows(A, Bound::START, ALL, &["2", "3"]).await;
}

async fn a_log_goes_on_when_its_records_have_expired(make: Make<'_>) {
    let clock = clock();
    let (engine, positions) = three(make, &clock).await;
    let mark = MarkChange { key: Bytes::from_static(b"m"), expect: None, value: Bytes::from_static(b"x") };
    let marked = Append { marks: vec![mark], ..Append::default() };
    engine.append(LOG, Generation::FIRST, marked).await.unwrap();
    let sealed = engine.seal(LOG, Generation::FIRST, &[A], &[B]).await.unwrap();
    for round in 1..4 {
        clock.set(START.plus((DAY * 2) * round));
        engine.expire(LOG).await.unwrap();
        let ended = engine.read_until(LOG, A, Bound::START, ALL, Batch::is_at_end).await;
        assert_eq!((texts(&ended), ended.closed_at), (vec![], Some(sealed.position)));
        engine.shows(B, Bound::START, ALL, &[]).await;
        assert_eq!(&engine.mark(LOG, b"m").await.unwrap().unwrap().value[..], b"x");
        let stats = engine.stats(LOG).await.unwrap();
        assert_eq!((stats.generation, stats.oldest), (sealed.generation, None));
        let appended = engine.append(LOG, sealed.generation, append(&[(B, "new")])).await.unwrap();
        assert!(appended.positions[0] > positions[2]);
        engine.shows(B, Bound::START, ALL, &["new"]).await;
    }
    assert!(matches!(engine.expire(OTHER).await, Err(LogError::NoLog(OTHER))));
    assert!(matches!(engine.log_change(OTHER, SETTINGS).await, Err(LogError::NoLog(OTHER))));
}

async fn a_quiet_shard_skips_nothing(make: Make<'_>) {
    let clock = clock();
    let (engine, _) = three(make, &clock).await;
    clock.set(START.plus(DAY * 2));
    engine.expire(LOG).await.unwrap();
    engine.append(LOG, Generation::FIRST, append(&[(B, "1")])).await.unwrap();
    let first = engine.read_until(LOG, B, Bound::START, ALL, |batch| !batch.records.is_empty()).await;
    assert_eq!((texts(&first), first.skipped), (vec!["1".to_owned()], false), "others expired, not its own");
}

async fn a_purged_shard_ends_for_every_reader(make: Make<'_>) {
    let clock = clock();
    let (engine, positions) = three(make, &clock).await;
    engine.seal(LOG, Generation::FIRST, &[A], &[B]).await.unwrap();
    clock.set(START.plus(DAY * 2));
    engine.purge(LOG, A).await.unwrap();
    let end = Bound::after(positions[2]);
    for (from, skipped) in [(Bound::START, true), (Bound::at(positions[2]), true), (end, false)] {
        let ended = engine.read_until(LOG, A, from, ALL, |batch| batch.is_at_end() && batch.skipped == skipped).await;
        assert_eq!((ended.is_at_end(), ended.skipped, texts(&ended)), (true, skipped, vec![]), "{from:?}");
        assert_eq!(engine.seek(LOG, A, Seek::Latest).await.unwrap(), end);
    }
}

async fn a_log_that_is_small_enough_loses_nothing(make: Make<'_>) {
    let clock = clock();
    let (engine, _) = three(make, &clock).await;
    let settings = LogSettings { retention_bytes: Some(1 << 20), ..LogSettings::kept_for(DAY) };
    engine.log_put(LOG, settings).await.unwrap();
    engine.expire(LOG).await.unwrap();
    assert_eq!(engine.stats(LOG).await.unwrap().settings, settings);
    engine.shows(A, Bound::START, ALL, &["1", "2", "3"]).await;
}
