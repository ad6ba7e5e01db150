//! What the world, its functions and its ear share: the log, and what is known while the world goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tokio::time::Instant;

use super::history::{Change, Event, Number, Rules, What};
use super::script::Script;

/// How long a stop waits for calls.
const STOP_MS: u64 = 5000;

pub(crate) struct Stage {
    pub(crate) script: Script,
    pub(crate) store: Store,
    began: Instant,
    /// From now on only poison fails.
    pub(crate) is_calm: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    ids: BTreeMap<usize, TriggerId>,
    runs: BTreeMap<(usize, u32), Rules>,
    calls: u32,
    /// The calls, and when they end if they are let.
    in_work: BTreeMap<u32, u64>,
    requests: BTreeMap<String, u32>,
    lanes: BTreeMap<String, usize>,
    tries: BTreeMap<(usize, u64), u32>,
    newest_seen: BTreeMap<usize, u32>,
}

impl Stage {
    pub(crate) fn new(script: Script, store: Store) -> Arc<Self> {
        let (began, is_calm, state) = (Instant::now(), AtomicBool::new(false), Mutex::default());
        Arc::new(Self { script, store, began, is_calm, state })
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, what: What) {
        let at_ms = self.now_ms();
        self.state.lock().events.push(Event { at_ms, what });
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state.lock().events)
    }

    /// A run of a trigger is ordered; its number.
    pub(crate) fn order(&self, trigger: usize, rules: &Rules, change: Change) -> u32 {
        let mut state = self.state.lock();
        let run = state.runs.keys().filter(|(of, _)| *of == trigger).count() as u32;
        state.runs.insert((trigger, run), rules.clone());
        drop(state);
        self.note(What::Ordered { trigger, run, rules: rules.clone(), change });
        run
    }

    pub(crate) fn rules(&self, trigger: usize, run: u32) -> Rules {
        self.state.lock().runs[&(trigger, run)].clone()
    }

    /// Somebody asks for the function of a run.
    pub(crate) fn see(&self, trigger: usize, run: u32) {
        let mut state = self.state.lock();
        let newest = state.newest_seen.entry(trigger).or_default();
        *newest = run.max(*newest);
    }

    /// The newest run of a trigger whose function was asked for.
    pub(crate) fn newest_run(&self, trigger: usize) -> u32 {
        self.state.lock().newest_seen.get(&trigger).copied().unwrap_or_default()
    }

    pub(crate) fn next_call(&self, request_id: &str) -> u32 {
        let mut state = self.state.lock();
        state.calls += 1;
        let call = state.calls;
        state.in_work.insert(call, 0);
        state.requests.insert(request_id.to_owned(), call);
        call
    }

    pub(crate) fn call_of(&self, request_id: &str) -> Option<u32> {
        self.state.lock().requests.get(request_id).copied()
    }

    /// A lane is about to make this request.
    pub(crate) fn know_lane(&self, request_id: String, lane: usize) {
        self.state.lock().lanes.insert(request_id, lane);
    }

    pub(crate) fn lane_of(&self, request_id: &str) -> usize {
        self.state.lock().lanes[request_id]
    }

    pub(crate) fn call_ended(&self, call: u32) {
        self.state.lock().in_work.remove(&call);
    }

    pub(crate) fn call_ends_at(&self, call: u32, at_ms: u64) {
        self.state.lock().in_work.insert(call, at_ms);
    }

    pub(crate) fn in_work(&self) -> usize {
        self.state.lock().in_work.len()
    }

    /// Whether a call in work lasts longer than a stop does.
    pub(crate) fn is_stalled(&self) -> bool {
        let late_ms = self.now_ms() + STOP_MS;
        self.state.lock().in_work.values().any(|at_ms| *at_ms > late_ms)
    }

    /// How often the function met this before.
    pub(crate) fn tried(&self, trigger: usize, what: u64) -> u32 {
        let mut state = self.state.lock();
        let tries = state.tries.entry((trigger, what)).or_default();
        *tries += 1;
        *tries - 1
    }

    pub(crate) fn know_id(&self, trigger: usize, id: TriggerId) {
        self.state.lock().ids.insert(trigger, id);
    }

    pub(crate) fn id(&self, trigger: usize) -> Option<TriggerId> {
        self.state.lock().ids.get(&trigger).copied()
    }

    pub(crate) async fn look_at_cursor(&self, trigger: usize, shard: u32) {
        let Some(id) = self.id(trigger) else { return };
        if let Ok(Some(cursor)) = self.store.cursor(id, ShardIndex(shard)).await {
            self.note(What::Cursor { trigger, shard, progress: cursor.progress });
        }
    }
}

/// The number that a record's data says.
pub(crate) fn number_of(data: &[u8]) -> Number {
    String::from_utf8_lossy(data).parse().unwrap()
}
