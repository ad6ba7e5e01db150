//! Power cuts: whatever instant the power goes at, and whatever of the unsynced is left, what was acknowledged is there,
//! nothing is there that nobody asked for, and no document goes back.

mod facts;
mod image;
mod killed_tests;
mod recorder;
mod store;
mod workload;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::facts::{Fact, Promises};
use self::image::Image;
use self::recorder::{Honesty, Recorder, Step};
use self::workload::{Workload, options};
use super::Embedded;
use super::disk::Disk;
use crate::clock::Clock;
use crate::engine::{Append, Change, Durability, Engine, Expect, Key, LogSettings};

/// Every second one is of a store.
const TRACES: u64 = 25;
/// Where chance left out something, there are more.
const TRACES_MAX: u64 = 100;
const CUTS_PER_TRACE: usize = 40;
/// Each thing is done to a store so often at least.
const DONE_MIN: usize = 200;
/// And so often at least the power goes meanwhile.
const CUTS_IN_MIN: usize = 10;
/// Lives of one trace, and steps that it has at least.
const LIVES_MAX: usize = 40;
const STEPS_MIN: usize = 900;

/// A disk that has its power for good: nothing need be synced.
#[derive(Debug)]
struct Steady;

impl Disk for Steady {
    fn sync_data(&self, _: &std::fs::File, _: &Path) -> std::io::Result<()> {
        Ok(())
    }

    fn sync_all(&self, _: &std::fs::File, _: &Path) -> std::io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
}

/// What some cuts showed.
#[derive(Debug, Default)]
struct Verdict {
    cuts: usize,
    kept_records: usize,
    older_sleds: usize,
    retention: Retention,
    store: store::Tally,
    violations: Vec<String>,
}

impl Verdict {
    /// Whether everything that is to be interrupted was, often enough.
    fn has_met_everything(&self) -> bool {
        let Retention { expiries, changes, cuts_in_expiries, cuts_behind_expiries, .. } = self.retention;
        let store::Tally { done, cuts_in, .. } = &self.store;
        // The puts that the power interrupts are beside other changes.
        expiries > 3
            && changes > 5
            && cuts_in_expiries > 15
            && cuts_behind_expiries > 40
            && done.len() == store::KINDS
            && done.values().all(|count| *count >= DONE_MIN)
            && cuts_in.len() + 1 == store::KINDS
            && cuts_in.values().all(|count| *count >= CUTS_IN_MIN)
    }
}

/// How often retention had a part in it.
#[derive(Debug, Default)]
struct Retention {
    expiries: usize,
    expiries_in_vain: usize,
    changes: usize,
    cuts_in_expiries: usize,
    cuts_behind_expiries: usize,
}

impl Retention {
    fn count_trace(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Fact(Fact::Expired(0)) => self.expiries_in_vain += 1,
                Step::Fact(Fact::Expired(_)) => self.expiries += 1,
                Step::Fact(Fact::RetentionMade { .. }) => self.changes += 1,
                _ => {}
            }
        }
    }

    fn count_cut(&mut self, steps: &[Step]) {
        let told = |step: &&Step| matches!(step, Step::Fact(Fact::ExpiryAsked | Fact::Expired(_)));
        let is_inside = matches!(steps.iter().rev().find(told), Some(Step::Fact(Fact::ExpiryAsked)));
        let is_behind = steps.iter().any(|step| matches!(step, Step::Fact(Fact::Expired(1..))));
        self.cuts_in_expiries += usize::from(is_inside);
        self.cuts_behind_expiries += usize::from(is_behind);
    }
}

/// Where the power goes: anywhere, and now and then while something expires, which takes but a few steps.
fn place_of_cut(steps: &[Step], chance: &mut StdRng) -> usize {
    let begins = |at: &usize| matches!(steps.get(*at), Some(Step::Fact(Fact::ExpiryAsked)));
    let end = |from: usize| (from..steps.len()).find(|at| matches!(steps.get(*at), Some(Step::Fact(Fact::Expired(_)))));
    let all = (0..steps.len()).filter(begins).filter_map(|from| Some(from..=end(from)?));
    let fruitful = all.filter(|range| matches!(steps.get(*range.end()), Some(Step::Fact(Fact::Expired(1..)))));
    let fruitful: Vec<_> = fruitful.collect();
    if fruitful.is_empty() || chance.random_bool(0.8) {
        return chance.random_range(0..=steps.len());
    }
    let one = chance.random_range(0..fruitful.len());
    chance.random_range(fruitful[one].clone())
}

/// Records some lives of an engine or of a store, and cuts the power in them.
async fn cut_power(seed: u64, cuts: usize, honesty: Honesty, verdict: &mut Verdict) {
    let is_store = !seed.is_multiple_of(2);
    let steps = if is_store { store::record(seed, honesty).await } else { record(seed, honesty).await };
    verdict.retention.count_trace(&steps);
    verdict.store.count_trace(&steps);
    let mut chance = StdRng::seed_from_u64(seed ^ 0x5eed);
    for cut in 0..cuts {
        let place_of_cut = if is_store { store::place_of_cut } else { place_of_cut };
        let at = place_of_cut(&steps, &mut chance);
        let check = async {
            if is_store {
                store::check_cut(seed, &steps[..at], &mut chance, &mut verdict.store).await
            } else {
                verdict.retention.count_cut(&steps[..at]);
                check_cut(&steps[..at], &mut chance, verdict).await
            }
        };
        let broken = match AssertUnwindSafe(check).catch_unwind().await {
            Ok(Ok(())) => None,
            Ok(Err(what)) => Some(what),
            Err(_) => Some("a panic".to_owned()),
        };
        verdict.cuts += 1;
        verdict
            .violations
            .extend(broken.map(|what| format!("seed {seed}, cut {cut} after step {at} of {}: {what}", steps.len())));
    }
}

async fn record(seed: u64, honesty: Honesty) -> Vec<Step> {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::new(folder.path(), honesty));
    let mut workload = Workload::new(Arc::clone(&recorder), folder.path(), StdRng::seed_from_u64(seed));
    for _ in 0..LIVES_MAX {
        workload.live(30).await;
        if recorder.len() > STEPS_MIN {
            break;
        }
    }
    assert!(recorder.len() > STEPS_MIN, "the trace is too short to show anything: {} steps", recorder.len());
    recorder.take_steps()
}

async fn check_cut(steps: &[Step], chance: &mut StdRng, verdict: &mut Verdict) -> Result<(), String> {
    let promises =
        Promises::after(steps.iter().filter_map(|step| if let Step::Fact(fact) = step { Some(fact) } else { None }));
    let mut image = Image::after(steps, chance);
    let is_older = chance.random_bool(0.1) && image.restore_older_sled(steps, chance);
    let folder = tempfile::tempdir().unwrap();
    image.write(folder.path()).unwrap();
    let engine = match open(folder.path(), &promises) {
        Err(error) if is_older && error.contains("older than the meta log reaches") => {
            verdict.older_sleds += 1;
            return Ok(());
        }
        engine => engine?,
    };
    // An older sled may refer to a blob that nothing needed any more: an error, and never an older document.
    let check = async |engine: &Embedded| match promises.check(engine).await {
        Err(what) if is_older && what.contains("the file of the large document") => Ok(()),
        checked => checked,
    };
    verdict.kept_records += promises.kept_records();
    check(&engine).await?;
    go_on(&engine, &promises).await?;
    drop(engine);
    // Once more now and then: what was brought in order stays so.
    if chance.random_bool(0.2) { check(&open(folder.path(), &promises)?).await } else { Ok(()) }
}

fn open(folder: &Path, promises: &Promises) -> Result<Embedded, String> {
    Embedded::open_on(Arc::new(Steady), folder, Clock::manual(promises.now), options())
        .map_err(|error| error.to_string())
}

/// What is there takes new records and changes; what was to go goes.
async fn go_on(engine: &Embedded, promises: &Promises) -> Result<(), String> {
    for log in promises.logs() {
        let generation = engine.stats(log).await.map_err(|error| error.to_string())?.generation;
        engine.append(log, generation, Append::default()).await.map_err(|error| error.to_string())?;
    }
    for log in promises.dropped_logs() {
        engine.log_drop(log).await.map_err(|error| error.to_string())?;
    }
    let settings = LogSettings::kept_for(Duration::from_hours(24));
    engine.log_put(facts::log_id(999), settings).await.map_err(|error| error.to_string())?;
    let change = Change { key: Key::new("new"), expect: Expect::Absent, value: Some(vec![1].into()) };
    engine.compare_and_set(vec![change], Durability::Synced).await.map_err(|error| error.to_string())?;
    Ok(())
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what the test covered, for whoever reads its output")]
async fn what_was_acknowledged_is_there_after_a_power_cut() {
    let first: u64 =
        std::env::var("TIDEMILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut verdict = Verdict::default();
    for trace in 0..TRACES_MAX {
        cut_power(first.wrapping_add(trace), CUTS_PER_TRACE, Honesty::Honest, &mut verdict).await;
        if trace + 1 >= TRACES && verdict.has_met_everything() {
            break;
        }
    }
    assert!(verdict.violations.is_empty(), "TIDEMILL_SEED={first}: {:#?}", verdict.violations);
    assert!(verdict.cuts >= 1000);
    println!("{} records kept in all, {} times a sled too old", verdict.kept_records, verdict.older_sleds);
    println!("{:?}", verdict.retention);
    println!("{:#?}", verdict.store);
    assert!(verdict.kept_records > 10_000, "{verdict:?}");
    assert!(verdict.has_met_everything(), "something was too rare in {} cuts", verdict.cuts);
}

/// A check that cannot fail is none: without one of the disk's promises something acknowledged is lost.
async fn fails_without(honesty: Honesty) {
    let mut verdict = Verdict::default();
    for seed in 0..TRACES {
        cut_power(seed, CUTS_PER_TRACE, honesty, &mut verdict).await;
        if !verdict.violations.is_empty() {
            return;
        }
    }
    panic!("{} cuts showed nothing though the disk kept no promise of {honesty:?}", verdict.cuts);
}

#[tokio::test]
async fn without_fdatasync_the_same_cuts_lose_something() {
    fails_without(Honesty::NoDataSync).await;
}

#[tokio::test]
async fn without_fsync_of_folders_the_same_cuts_lose_something() {
    fails_without(Honesty::NoFolderSync).await;
}

#[tokio::test]
async fn without_fsync_of_files_the_same_cuts_lose_something() {
    fails_without(Honesty::NoFileSync).await;
}
