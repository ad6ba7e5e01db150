//! What may happen to a store, and how often it does.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tidemill_stream::engine::Durability;
use tidemill_stream::reshard::Scale;
use tidemill_stream::stream::StreamMode;

/// Steps of one case.
const STEPS_MAX: usize = 250;
/// Streams that there can be at a time.
pub(crate) const STREAMS_MAX: u8 = 4;
/// More than four, so that a stream has several logs where four shards share one.
const SHARDS_MAX: u32 = 9;
pub(crate) const TRIGGERS: u8 = 2;
pub(crate) const CURSORS_EACH: u8 = 4;
const DOCUMENTS: u8 = 8;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create {
        name: u8,
        shards: u32,
    },
    Delete(Target),
    Put(Target, Vec<NewRecord>),
    Read {
        target: Target,
        shard: u32,
        from: From,
        limits: Limits,
        pages: usize,
    },
    /// A page more for someone who read before.
    ReadOn {
        bookmark: usize,
        limits: Limits,
    },
    Reopen(End),
    Change {
        changes: Vec<NewChange>,
        durability: Durability,
    },
    FixCursors {
        trigger: u8,
        shards: BTreeSet<u8>,
        bound: u64,
        with: NewChange,
    },
    MoveCursor {
        cursor: usize,
        to: u64,
        knowledge: Knowledge,
    },
    DropCursors {
        trigger: u8,
        shards: BTreeSet<u8>,
    },
    Split {
        target: Target,
        which: Which,
        cut: Cut,
    },
    Merge {
        target: Target,
        nth: usize,
        pair: Pair,
    },
    UpdateCount {
        target: Target,
        shards: u32,
        scale: Scale,
    },
    SetMode(Target, StreamMode),
    SetRetention(Target, Way),
    Expire,
    Clock {
        by_ms: i64,
    },
    /// The clock goes on by so much that something may expire.
    Hours(u8),
}

/// Which shard of a stream a step means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Open(usize),
    /// One that has children; where there is none, one that is not there.
    Closed(usize),
    Absent,
}

/// Where a shard is to be split.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// So far into its range, in 65,536 parts.
    Inside(u16),
    /// So many keys behind its first.
    AtStart(u8),
    /// So many keys before its last.
    AtEnd(u8),
    Before,
    Behind,
}

/// Which two shards are to be merged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pair {
    Neighbours,
    Swapped,
    /// One lies between them, if there are so many.
    Apart,
    Itself,
    FirstClosed,
    SecondClosed,
    SecondAbsent,
}

/// How a retention changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    To(Duration),
    Longer(Duration),
    Shorter(Duration),
}

/// Which stream a step means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// One of those that there are, if any.
    Existing(usize),
    /// One of all names.
    Named(u8),
}

#[derive(Debug, Clone)]
pub(crate) struct NewRecord {
    pub(crate) key: u8,
    pub(crate) explicit_hash: Option<u128>,
    pub(crate) bytes: usize,
}

/// Where a read starts; fractions are of the records of the shard, in 256 parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    Horizon,
    Latest,
    /// So long behind a record's arrival, or before it.
    Time {
        fraction: u8,
        by_ms: i64,
    },
    At {
        fraction: u8,
    },
    After {
        fraction: u8,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) records_max: usize,
    pub(crate) bytes_max: usize,
}

/// How the store ends before it is opened again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// In good order.
    Close,
    /// Its threads end and its files stay as they are.
    Drop,
    /// The files as they are while it runs are all that is left, as after `kill -9`.
    Kill,
}

#[derive(Debug, Clone)]
pub(crate) struct NewChange {
    pub(crate) document: u8,
    pub(crate) knowledge: Knowledge,
    /// The size of the new value; `None` deletes.
    pub(crate) bytes: Option<usize>,
}

/// What whoever makes a change knows of what is there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Knowledge {
    Right,
    Wrong,
    /// None needed.
    None,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..=STEPS_MAX)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..STREAMS_MAX, 1..=SHARDS_MAX).prop_map(|(name, shards)| Step::Create { name, shards }),
        4 => target().prop_map(Step::Delete),
        22 => put(),
        40 => read(),
        12 => (any::<usize>(), limits()).prop_map(|(bookmark, limits)| Step::ReadOn { bookmark, limits }),
        8 => prop_oneof![Just(End::Close), Just(End::Drop), Just(End::Kill)].prop_map(Step::Reopen),
        13 => (vec(change(), 1..4), durability()).prop_map(|(changes, durability)| Step::Change { changes, durability }),
        9 => fix_cursors(),
        13 => (any::<usize>(), any::<u32>(), knowledge())
            .prop_map(|(cursor, to, knowledge)| Step::MoveCursor { cursor, to: u64::from(to), knowledge }),
        8 => (0..TRIGGERS, btree_set(0..CURSORS_EACH, 2..=4)).prop_map(|(trigger, shards)| Step::DropCursors { trigger, shards }),
        7 => (-5_000..6_000i64).prop_map(|by_ms| Step::Clock { by_ms }),
        10 => (1..10u8).prop_map(Step::Hours),
        18 => (target(), which(), cut()).prop_map(|(target, which, cut)| Step::Split { target, which, cut }),
        16 => (target(), any::<usize>(), pair()).prop_map(|(target, nth, pair)| Step::Merge { target, nth, pair }),
        16 => update_count(),
        10 => (target(), prop_oneof![1 => Just(StreamMode::OnDemand), 2 => Just(StreamMode::Provisioned)])
            .prop_map(|(target, mode)| Step::SetMode(target, mode)),
        14 => (target(), way()).prop_map(|(target, way)| Step::SetRetention(target, way)),
        15 => Just(Step::Expire),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        5 => any::<usize>().prop_map(Which::Open),
        2 => any::<usize>().prop_map(Which::Closed),
        1 => Just(Which::Absent),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![
        3 => any::<u16>().prop_map(Cut::Inside),
        1 => (0..3u8).prop_map(Cut::AtStart),
        1 => (0..2u8).prop_map(Cut::AtEnd),
        1 => prop_oneof![Just(Cut::Before), Just(Cut::Behind)],
    ]
}

fn pair() -> impl Strategy<Value = Pair> {
    let wrong = prop_oneof![
        Just(Pair::Swapped),
        Just(Pair::Apart),
        Just(Pair::Itself),
        Just(Pair::FirstClosed),
        Just(Pair::SecondClosed),
        Just(Pair::SecondAbsent),
    ];
    prop_oneof![1 => Just(Pair::Neighbours), 1 => wrong]
}

fn update_count() -> impl Strategy<Value = Step> {
    let shards = prop_oneof![4 => 1..=SHARDS_MAX, 1 => prop_oneof![Just(0), Just(10_001u32)]];
    let scale = prop_oneof![3 => Just(Scale::Twofold), 1 => Just(Scale::Any)];
    (target(), shards, scale).prop_map(|(target, shards, scale)| Step::UpdateCount { target, shards, scale })
}

fn way() -> impl Strategy<Value = Way> {
    let span = || prop_oneof![Just(1u64), Just(3), Just(6), Just(12), Just(24)].prop_map(Duration::from_hours);
    prop_oneof![
        1 => span().prop_map(Way::To),
        1 => span().prop_map(Way::Longer),
        1 => span().prop_map(Way::Shorter),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![9 => any::<usize>().prop_map(Target::Existing), 1 => (0..STREAMS_MAX).prop_map(Target::Named)]
}

fn put() -> impl Strategy<Value = Step> {
    let small = prop_oneof![3 => 0..300usize, 1 => 0..6_000usize];
    // Enough for a segment, or more.
    let large = 100_000..300_000usize;
    let records = prop_oneof![8 => vec(record(small), 1..8), 1 => vec(record(large), 2..8)];
    (target(), records).prop_map(|(target, records)| Step::Put(target, records))
}

fn record(bytes: impl Strategy<Value = usize>) -> impl Strategy<Value = NewRecord> {
    (any::<u8>(), proptest::option::weighted(0.2, any::<u128>()), bytes)
        .prop_map(|(key, explicit_hash, bytes)| NewRecord { key, explicit_hash, bytes })
}

fn read() -> impl Strategy<Value = Step> {
    let from = prop_oneof![
        1 => Just(From::Horizon),
        1 => Just(From::Latest),
        1 => (any::<u8>(), prop_oneof![-1..=1i64, -6_000..6_000i64])
            .prop_map(|(fraction, by_ms)| From::Time { fraction, by_ms }),
        2 => old().prop_map(|fraction| From::At { fraction }),
        1 => old().prop_map(|fraction| From::After { fraction }),
    ];
    (target(), any::<u32>(), from, limits(), 1..6usize).prop_map(|(target, shard, from, limits, pages)| Step::Read {
        target,
        shard,
        from,
        limits,
        pages,
    })
}

/// A place among a shard's records, rather an old one: those expire.
fn old() -> impl Strategy<Value = u8> {
    (any::<u8>(), any::<u8>()).prop_map(|(one, other)| one.min(other))
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..20usize, prop_oneof![1..2_000usize, 1..1_000_000usize])
        .prop_map(|(records_max, bytes_max)| Limits { records_max, bytes_max })
}

fn change() -> impl Strategy<Value = NewChange> {
    let bytes = prop_oneof![3 => (0..2_000usize).prop_map(Some), 1 => Just(None)];
    (0..DOCUMENTS, knowledge(), bytes).prop_map(|(document, knowledge, bytes)| NewChange { document, knowledge, bytes })
}

fn knowledge() -> impl Strategy<Value = Knowledge> {
    prop_oneof![5 => Just(Knowledge::Right), 1 => Just(Knowledge::None), 2 => Just(Knowledge::Wrong)]
}

fn durability() -> impl Strategy<Value = Durability> {
    prop_oneof![Just(Durability::Synced), Just(Durability::Lazy)]
}

fn fix_cursors() -> impl Strategy<Value = Step> {
    (0..TRIGGERS, btree_set(0..CURSORS_EACH, 1..=2), any::<u32>(), change())
        .prop_map(|(trigger, shards, bound, with)| Step::FixCursors { trigger, shards, bound: u64::from(bound), with })
}
