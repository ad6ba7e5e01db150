//! A random test of the store over the embedded engine: steps that a strategy makes up are taken by the store and by a
//! model of maps and lists, and the two are compared wholly whenever the folder was opened anew.
//!
//! A case that fails is shrunk, and says its seed: `TIDEMILL_MODEL_SEED=SEED cargo test -p tidemill-stream --test model`
//! runs that case alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod cells;
mod check;
mod documents;
mod map;
mod reads;
mod records;
mod reshards;
mod retention;
mod steps;
mod tally;
mod world;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tidemill_stream::engine::Durability;
use tidemill_stream::engine::embedded::EmbeddedOptions;

use self::steps::{End, Knowledge, NewChange, Step, steps};
use self::tally::Tally;
use self::world::World;

/// Steps of all cases together, at least.
const STEPS: usize = 24_000;
/// At most: more than the least are taken only while a kind of step was too rare.
const STEPS_MAX: usize = 2 * STEPS;
/// Cases at a time: most of a case is waiting for the disk.
const THREADS: usize = 4;
/// Small enough that most reads after a large put come from the disk.
const SMALL_TAIL_BYTES: usize = 64 << 10;
/// Cases that a failing one is shrunk by at most: each takes a part of a second.
const SHRINKS_MAX: u32 = 500;

/// Small enough that a log has many segments, and logs of documents are trimmed.
const SMALL_SEGMENT_BYTES: [u64; 4] = [16 << 10, 32 << 10, 64 << 10, 64 << 10];
const SMALL_CHECKPOINT_BYTES: u64 = 100_000;
/// Copied with the rest of the folder at each kill.
const SMALL_RESERVE_BYTES: u64 = 64 << 10;

/// The engine's settings, of sixteen kinds in turn.
fn options(seed: u64) -> EmbeddedOptions {
    let mut options = EmbeddedOptions { reserve_bytes: SMALL_RESERVE_BYTES, ..EmbeddedOptions::default() };
    if seed & 4 == 4 {
        options.shards_per_log = 4;
    }
    if seed & 8 == 8 {
        options.tail_bytes_max = SMALL_TAIL_BYTES;
    }
    // Mostly: the larger ones cost the time of being copied.
    if !seed.is_multiple_of(4) {
        options.segment_bytes = SMALL_SEGMENT_BYTES;
        options.checkpoint_bytes = SMALL_CHECKPOINT_BYTES;
    }
    options
}

/// Takes the steps in a new folder, and compares all at the end.
fn run(steps: &[Step], options: EmbeddedOptions, tally: &Mutex<Tally>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(options).await;
        for step in steps {
            world.take(step).await;
        }
        world.compare_wholly().await;
        world.count_segments();
        tally.lock().add(&world.tally, world.segments_rolled);
    });
}

/// One case: so many steps as its seed makes up. Returns how many they were.
fn case(seed: u64, tally: &Mutex<Tally>) -> usize {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_iters: SHRINKS_MAX, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tree = steps().new_tree(&mut runner).unwrap();
    let taken = Cell::new(0);
    let outcome = runner.run_one(tree, |steps| {
        taken.set(steps.len());
        run(&steps, options(seed), tally);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("TIDEMILL_MODEL_SEED={seed} fails with {:?}: {error}", options(seed));
    }
    taken.into_inner()
}

#[test]
fn the_store_does_what_the_model_does() {
    let tally = Mutex::new(Tally::default());
    if let Ok(seed) = std::env::var("TIDEMILL_MODEL_SEED") {
        case(seed.parse().unwrap(), &tally);
        return;
    }
    let first = getrandom::u64().unwrap() >> 16;
    let (next, taken) = (AtomicU64::new(first), AtomicUsize::new(0));
    let is_enough = || match taken.load(Ordering::Relaxed) {
        0..STEPS => false,
        STEPS..STEPS_MAX => tally.lock().rare().is_empty(),
        STEPS_MAX.. => true,
    };
    let work = || {
        while !is_enough() {
            taken.fetch_add(case(next.fetch_add(1, Ordering::Relaxed), &tally), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let (steps, next, tally) = (taken.into_inner(), next.into_inner(), tally.into_inner());
    println!("{steps} steps, seeds {first}..{next}\n{tally}");
    tally.judge();
}

/// The smallest case of a revision that a crash took back and that another change got again.
#[test]
fn a_revision_that_a_crash_took_back_is_not_given_again() {
    let document = |document, bytes| NewChange { document, knowledge: Knowledge::None, bytes: Some(bytes) };
    let change = |durability| Step::Change { changes: vec![document(0, 8)], durability };
    let steps = [
        change(Durability::Synced),
        Step::Reopen(End::Drop),
        change(Durability::Lazy),
        Step::Reopen(End::Kill),
        change(Durability::Lazy),
    ];
    run(&steps, options(0), &Mutex::default());
}
