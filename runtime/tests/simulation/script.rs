//! What a seed makes: rules, the tempers of records, and the steps of a world. Pure.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::history::{Number, Rules};

pub(crate) const KEYS: usize = 8;
/// So many failures in a row that the wait behind them is as long as it gets.
const MANY: u32 = 10;
const RECORDS_MIN: usize = 40;
const RECORDS_MAX: usize = 100;

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) is_faulty: bool,
    pub(crate) shards: u32,
    pub(crate) shards_per_log: u32,
    pub(crate) triggers: Vec<Trigger>,
    /// Each with the milliseconds to wait before it.
    pub(crate) steps: Vec<(u64, Step)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) rules: Rules,
    pub(crate) is_lambda: bool,
    /// Whether somebody is told of what is given up.
    pub(crate) has_destination: bool,
    pub(crate) batching_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Records of these keys.
    Put(Vec<usize>),
    /// Any open shard, by this number.
    Split(usize),
    Merge(usize),
    Restart,
    /// When no call is in work, if that comes soon.
    RestartAtRest,
    /// While a call is in work, if that comes soon.
    RestartAtWork,
    /// While a call is in work that does not end in time.
    RestartAtStall,
    Change {
        trigger: usize,
        lanes: usize,
        batch_max: usize,
    },
    /// Of all triggers, and a restart before that is done.
    ChangeAndRestart {
        lanes: usize,
    },
    Disable(usize),
    Enable(usize),
    Version,
}

/// How a function meets a record: what it does before it takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    Good,
    /// So many times.
    Fails(u32),
    Traps(u32),
    TimesOut(u32),
    Unavailable(u32),
    Nonsense(u32),
    UnknownRecord(u32),
    /// Reports it as not taken.
    Reports(u32),
    /// Takes so many milliseconds.
    Stalls(u64),
    /// Emits to a stream that is not there.
    EmitsNowhere(u32),
    /// Returns a state that is too large.
    Large,
    /// Never.
    Poison,
    PoisonReports,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let triggers: Vec<_> = (0..random.random_range(1..=2)).map(|_| trigger(&mut random)).collect();
        let steps = steps(&mut random, triggers.len());
        Self {
            seed,
            is_faulty: !seed.is_multiple_of(4),
            shards: random.random_range(1..=3),
            shards_per_log: *[1, 2, u32::MAX].choose(&mut random).unwrap(),
            triggers,
            steps,
        }
    }

    /// Whether there is an end to what a trigger delivers in vain.
    fn is_bounded(&self, trigger: usize) -> bool {
        let rules = &self.triggers[trigger].rules;
        rules.retries_max.is_some() || rules.age_max_ms.is_some()
    }

    pub(crate) fn temper(&self, trigger: usize, number: Number) -> Temper {
        let mut random = StdRng::seed_from_u64(mixed(self.seed, trigger, u64::from(number)));
        let times = random.random_range(1..=3);
        match random.random_range(0..100) {
            0..61 => Temper::Good,
            61..63 => Temper::Large,
            63..66 => Temper::Stalls(random.random_range(5000..12_000)),
            66..71 => Temper::Fails(times),
            71..74 => Temper::Traps(times),
            74..77 => Temper::TimesOut(times),
            77..79 => Temper::Unavailable(times),
            79..80 => Temper::Unavailable(MANY),
            80..82 => Temper::Nonsense(times),
            82..84 => Temper::UnknownRecord(times),
            84..88 => Temper::Reports(times),
            88..92 => Temper::Stalls(random.random_range(1000..5000)),
            92..93 => Temper::EmitsNowhere(times),
            93..94 => Temper::Large,
            94..97 if self.is_bounded(trigger) => Temper::Poison,
            97..100 if self.is_bounded(trigger) => Temper::PoisonReports,
            _ => Temper::Good,
        }
    }

    /// Whether a record that is taken makes the function emit one.
    pub(crate) fn emits(&self, trigger: usize, number: Number) -> bool {
        mixed(self.seed, trigger, 1_000_000 + u64::from(number)).is_multiple_of(8)
    }

    /// How often the last call of a window fails.
    pub(crate) fn final_failures(&self, trigger: usize, start_ms: u64) -> u32 {
        [0, 0, 1, 2][(mixed(self.seed, trigger, 2_000_000 + start_ms) % 4) as usize]
    }

    /// How long a call takes at least.
    pub(crate) fn takes_ms(&self, trigger: usize, call: u32) -> u64 {
        mixed(self.seed, trigger, 3_000_000 + u64::from(call)) % 60
    }
}

fn mixed(seed: u64, trigger: usize, number: u64) -> u64 {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ (number << 8) ^ trigger as u64);
    random.random()
}

fn trigger(random: &mut StdRng) -> Trigger {
    let keys: Vec<String> = (0..KEYS).filter(|_| random.random_bool(0.6)).map(|key| format!("k{key}")).collect();
    let mut sometimes = |share: f64| random.random_bool(share);
    let (is_filtered, is_aged, is_tumbling, is_retried) =
        (sometimes(0.3) && !keys.is_empty(), sometimes(0.3), sometimes(0.35), sometimes(0.6));
    let (bisects, reports, is_batching) = (sometimes(0.4), sometimes(0.5), sometimes(0.3));
    let (is_lambda, has_destination) = (sometimes(0.5), sometimes(0.5));
    Trigger {
        rules: Rules {
            batch_max: random.random_range(1..=8),
            lanes: random.random_range(1..=5),
            retries_max: is_retried.then(|| random.random_range(0..=3)),
            age_max_ms: is_aged.then(|| random.random_range(8_000..20_000)),
            bisects,
            reports,
            keys: is_filtered.then_some(keys),
            window_ms: is_tumbling.then(|| *[2_000, 5_000, 10_000].choose(random).unwrap()),
        },
        is_lambda,
        has_destination,
        batching_ms: if is_batching { random.random_range(200..1500) } else { 0 },
    }
}

fn steps(random: &mut StdRng, triggers: usize) -> Vec<(u64, Step)> {
    let mut left = random.random_range(RECORDS_MIN..=RECORDS_MAX);
    let mut steps = Vec::new();
    let (mut lane_changes, mut reshards) = (0, 0);
    while left > 0 {
        let wait_ms = if random.random_bool(0.5) { random.random_range(0..100) } else { random.random_range(0..2500) };
        let trigger = random.random_range(0..triggers);
        let step = match random.random_range(0..100) {
            0..10 if reshards < 4 => Step::Split(random.random_range(0..8)),
            10..20 if reshards < 4 => Step::Merge(random.random_range(0..8)),
            20..24 => Step::Restart,
            24..30 => Step::RestartAtRest,
            30..33 => Step::RestartAtWork,
            33..37 => Step::RestartAtStall,
            37..42 if lane_changes < 4 => {
                let (lanes, batch_max) = (random.random_range(1..=5), random.random_range(1..=8));
                Step::Change { trigger, lanes, batch_max }
            }
            42..45 if lane_changes < 4 => Step::ChangeAndRestart { lanes: random.random_range(1..=5) },
            45..48 => Step::Disable(trigger),
            48..54 => Step::Enable(trigger),
            54..58 => Step::Version,
            _ => {
                let count = random.random_range(1..=10).min(left);
                left -= count;
                Step::Put((0..count).map(|_| random.random_range(0..KEYS)).collect())
            }
        };
        lane_changes += usize::from(matches!(step, Step::Change { .. } | Step::ChangeAndRestart { .. }));
        reshards += usize::from(matches!(step, Step::Split(_) | Step::Merge(_)));
        steps.push((wait_ms, step));
    }
    steps
}
