//! Functions that do what the script says: an outcome follows from the record, and from how often it was met.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tidemill::functions::{Answer, Emission, Emitted, FunctionName, Invocation, Invoke, InvokeError, Reply};
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record, StoredRecord};
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashRange, Shard};

use super::history::{Call, How, LARGE, Number, Outcome, Rules, START_MS, What, Window};
use super::script::Temper;
use super::stage::{Stage, number_of};

/// Bytes of a state that is too large.
const LARGE_BYTES: usize = (1 << 20) + 1;
const TIMEOUT_MS: u64 = 3000;

/// One for each lane.
pub(crate) struct Scripted {
    stage: Arc<Stage>,
    trigger: usize,
    run: u32,
    rules: Rules,
}

/// What a call shall do.
struct Act {
    outcome: Outcome,
    how: How,
    takes_ms: u64,
    /// What the response says of failures.
    failures: String,
    emits: Vec<(Number, &'static str)>,
    state: Option<String>,
}

/// The function of a run names both.
pub(crate) fn name_of(trigger: usize, run: u32) -> FunctionName {
    FunctionName::parse(&format!("f{trigger}-{run}")).unwrap()
}

impl Scripted {
    pub(crate) fn new(stage: &Arc<Stage>, name: &FunctionName) -> Self {
        let (trigger, run) = name.as_str()[1..].split_once('-').unwrap();
        let (trigger, run) = (trigger.parse().unwrap(), run.parse().unwrap());
        stage.see(trigger, run);
        Self { stage: Arc::clone(stage), trigger, run, rules: stage.rules(trigger, run) }
    }

    fn begin(&self, invocation: &Invocation) -> u32 {
        let call = self.stage.next_call(&invocation.request_id);
        let since = |time: tidemill_stream::clock::Timestamp| time.as_millis() - START_MS;
        let window = invocation.window.as_ref().map(|window| Window {
            start_ms: since(window.start),
            end_ms: since(window.end),
            state: noted(&String::from_utf8_lossy(&window.state)),
            is_final: window.is_final,
            is_early: window.is_terminated_early,
        });
        self.stage.note(What::Begin(Call {
            call,
            trigger: self.trigger,
            run: self.run,
            shard: invocation.shard.0,
            lane: self.stage.lane_of(&invocation.request_id),
            attempt: invocation.attempt,
            records: invocation.records.iter().map(|record| number_of(&record.data)).collect(),
            window,
        }));
        call
    }

    fn act(&self, invocation: &Invocation, call: u32) -> Act {
        let script = &self.stage.script;
        let mut act = self.temper(invocation);
        act.takes_ms += script.takes_ms(self.trigger, call);
        let is_large = act.state.is_some();
        let has_state = self.rules.window_ms.is_some() && matches!(act.outcome, Outcome::Taken | Outcome::TookSome(_));
        act.state = has_state.then(|| {
            if is_large {
                format!("\"{LARGE} {call}{}\"", "x".repeat(LARGE_BYTES))
            } else {
                format!("{{\"at\":{call}}}")
            }
        });
        if act.outcome == Outcome::Taken && act.emits.is_empty() {
            let numbers = invocation.records.iter().map(|record| number_of(&record.data));
            act.emits =
                numbers.filter(|number| script.emits(self.trigger, *number)).map(|number| (number, "out")).collect();
        }
        act
    }

    /// The first record that is not met kindly decides.
    fn temper(&self, invocation: &Invocation) -> Act {
        let mut good = Act::new(Outcome::Taken, How::Succeeded);
        if let Some(window) = invocation.window.as_ref().filter(|window| window.is_final) {
            let start_ms = window.start.as_millis() - START_MS;
            let tried = self.stage.tried(self.trigger, (1 << 40) + start_ms);
            let fails = !self.stage.is_calm() && tried < self.stage.script.final_failures(self.trigger, start_ms);
            return if fails { Act::new(Outcome::Failed, How::Failed) } else { good };
        }
        let tempers: Vec<_> = invocation.records.iter().map(|record| self.temper_of(record)).collect();
        let Some(first) = tempers.iter().position(|temper| *temper != Temper::Good) else { return good };
        match tempers[first] {
            Temper::Good => {}
            Temper::Fails(_) | Temper::Poison => return Act::new(Outcome::Failed, How::Failed),
            Temper::Traps(_) => return Act::new(Outcome::Failed, How::Trapped),
            Temper::TimesOut(_) => return Act { takes_ms: TIMEOUT_MS, ..Act::new(Outcome::Failed, How::TimedOut) },
            Temper::Unavailable(_) => return Act::new(Outcome::Unreached, How::Unavailable),
            Temper::Nonsense(_) if self.has_response() => return Act::new(Outcome::Failed, How::Nonsense),
            Temper::UnknownRecord(_) if self.rules.reports => return Act::unknown(),
            Temper::Reports(_) | Temper::PoisonReports if self.rules.reports => {
                return self.report(invocation, &tempers, first);
            }
            Temper::PoisonReports => return Act::new(Outcome::Failed, How::Failed),
            Temper::Nonsense(_) | Temper::UnknownRecord(_) | Temper::Reports(_) => {}
            Temper::Stalls(takes_ms) => return Act { takes_ms, ..Act::new(Outcome::Taken, How::Stalled) },
            Temper::EmitsNowhere(_) => good.emits = vec![(number_of(&invocation.records[first].data), "nowhere")],
            Temper::Large => good.state = Some(String::new()),
        }
        good
    }

    fn has_response(&self) -> bool {
        self.rules.reports || self.rules.window_ms.is_some()
    }

    /// The names of all records that are not taken, the last first.
    fn report(&self, invocation: &Invocation, tempers: &[Temper], first: usize) -> Act {
        let is_reported = |temper: &Temper| matches!(temper, Temper::Reports(_) | Temper::PoisonReports);
        let reported = invocation.records.iter().zip(tempers).filter(|(_, temper)| is_reported(temper)).rev();
        let item = |record: &StoredRecord| format!(r#"{{"itemIdentifier":"{}"}}"#, sequence_number(invocation, record));
        let items: Vec<String> = reported.map(|(record, _)| item(record)).collect();
        Act { failures: items.join(","), ..Act::new(Outcome::TookSome(first), How::Reported) }
    }

    fn temper_of(&self, record: &StoredRecord) -> Temper {
        let number = number_of(&record.data);
        let temper = self.stage.script.temper(self.trigger, number);
        let tried = self.stage.tried(self.trigger, u64::from(number));
        let times = match temper {
            Temper::Poison | Temper::PoisonReports => return temper,
            Temper::Good => 0,
            Temper::Stalls(_) | Temper::Large => 1,
            Temper::Fails(times)
            | Temper::Traps(times)
            | Temper::TimesOut(times)
            | Temper::Unavailable(times)
            | Temper::Nonsense(times)
            | Temper::UnknownRecord(times)
            | Temper::Reports(times)
            | Temper::EmitsNowhere(times) => times,
        };
        if tried < times && !self.stage.is_calm() { temper } else { Temper::Good }
    }

    fn answer(&self, act: Act) -> Result<Answer, InvokeError> {
        let message = "as the script says".to_owned();
        match act.how {
            How::Failed => return Err(InvokeError::Failed { message }),
            How::Trapped => return Err(InvokeError::Trapped { message }),
            How::TimedOut => return Err(InvokeError::TimedOut { limit: Duration::from_millis(TIMEOUT_MS) }),
            How::Unavailable => return Err(InvokeError::Unavailable { message }),
            How::Succeeded | How::Stalled | How::Nonsense | How::UnknownRecord | How::Reported => {}
        }
        let emission = |(number, stream): &(Number, &str)| Emission {
            stream: StreamName::parse(stream).unwrap(),
            record: Record {
                partition_key: PartitionKey::parse("k").unwrap(),
                explicit_hash: None,
                data: format!("{} {number}", self.trigger).into(),
            },
        };
        let emitted = Emitted(act.emits.iter().map(emission).collect());
        let state = act.state.map(|state| format!("\"state\":{state},")).unwrap_or_default();
        let reply = match act.how {
            How::Nonsense => Reply::Response(Bytes::from_static(b"[nonsense")),
            _ if self.has_response() => {
                Reply::Response(format!("{{{state}\"batchItemFailures\":[{}]}}", act.failures).into())
            }
            _ => Reply::Taken,
        };
        Ok(Answer { emitted, reply })
    }
}

impl Act {
    fn new(outcome: Outcome, how: How) -> Self {
        Self { outcome, how, takes_ms: 0, failures: String::new(), emits: Vec::new(), state: None }
    }

    fn unknown() -> Self {
        let failures = r#"{"itemIdentifier":"123"}"#.to_owned();
        Self { failures, ..Self::new(Outcome::Failed, How::UnknownRecord) }
    }
}

#[async_trait]
impl Invoke for Scripted {
    async fn invoke(&mut self, invocation: &Invocation) -> Result<Answer, InvokeError> {
        let call = self.begin(invocation);
        let mut in_work = InWork { stage: &self.stage, call, has_ended: false };
        let act = self.act(invocation, call);
        self.stage.call_ends_at(call, self.stage.now_ms() + act.takes_ms);
        self.stage.look_at_cursor(self.trigger, invocation.shard.0).await;
        tokio::time::sleep(Duration::from_millis(act.takes_ms)).await;
        self.stage.look_at_cursor(self.trigger, invocation.shard.0).await;
        in_work.has_ended = true;
        drop(in_work);
        let state = act.state.as_deref().map(noted);
        let emits = act.emits.iter().map(|(number, _)| *number).collect();
        self.stage.note(What::End { call, outcome: act.outcome, how: act.how, state, emits });
        self.answer(act)
    }
}

/// A call that may be dropped.
struct InWork<'a> {
    stage: &'a Stage,
    call: u32,
    has_ended: bool,
}

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.stage.call_ended(self.call);
        if !self.has_ended {
            self.stage.note(What::Cut { call: self.call });
        }
    }
}

/// A state as the log has it: large ones by their number.
fn noted(state: &str) -> String {
    state.trim_matches('"').trim_end_matches('x').to_owned()
}

fn sequence_number(invocation: &Invocation, record: &StoredRecord) -> SequenceNumber {
    let (index, created) = (invocation.shard, invocation.shard_created);
    let shard = Shard { index, range: HashRange::uniform(1)[0], created, parents: Vec::new(), closed: None };
    SequenceNumber::new(&shard, record.position, record.arrival)
}
