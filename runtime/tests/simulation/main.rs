//! A simulation of triggers. A seed makes a world: a store with troubles, triggers with rules, functions that fail as a
//! script says, chaos, and time that passes at once. All that happens is written down, and a pure judge finds out whether
//! it keeps the laws.
//!
//! `SIMULATION_SEED=SEED cargo test -p tidemill --test simulation -- worlds --nocapture` runs one world alone and shows its
//! log.

#![allow(
    clippy::assigning_clones,
    clippy::match_same_arms,
    clippy::needless_for_each,
    clippy::struct_field_names,
    clippy::unused_self,
    reason = "cases are written one by one, as they are read"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod doctored;
mod ear;
mod function;
mod history;
mod judge;
mod script;
mod stage;
mod tally;
mod world;

use self::judge::judge;
use self::tally::Tally;

const WORLDS: u64 = 500;
/// Each of these is made twice.
const TWICE: u64 = 25;
/// Violations of one world that are shown.
const SHOWN: usize = 8;

fn one_world(seed: u64) {
    let (history, counts) = world::run(seed);
    for event in &history.events {
        println!("{:>7} {:?}", event.at_ms, event.what);
    }
    let mut tally = Tally::default();
    tally.add(&history, &counts);
    println!("{:#?}\n{tally}", history.shards);
    assert_eq!(judge(&history), []);
}

#[test]
fn worlds_keep_the_laws() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        return one_world(seed.parse().unwrap());
    }
    let worlds = std::env::var("SIMULATION_WORLDS").map_or(WORLDS, |worlds| worlds.parse().unwrap());
    let (mut tally, mut bad) = (Tally::default(), Vec::new());
    for seed in 0..worlds {
        let (history, counts) = world::run(seed);
        tally.add(&history, &counts);
        let found = judge(&history);
        if let Some(first) = found.first() {
            println!("SIMULATION_SEED={seed}: {} violations, the first of them:", found.len());
            found.iter().take(SHOWN).for_each(|violation| println!("  {violation:?}"));
            bad.push((seed, first.law));
        }
    }
    println!("{tally}");
    assert!(bad.is_empty(), "{} worlds break laws; run one alone with SIMULATION_SEED=SEED: {bad:?}", bad.len());
    if worlds >= WORLDS {
        tally.judge();
    }
}

#[test]
fn the_same_seed_makes_the_same_world() {
    for seed in 0..TWICE {
        let [one, other] = [(); 2].map(|()| world::run(seed).0);
        for (one, other) in one.events.iter().zip(&other.events) {
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "SIMULATION_SEED={seed}");
        }
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "SIMULATION_SEED={seed}");
    }
}
