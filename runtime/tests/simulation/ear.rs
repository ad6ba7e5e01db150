//! Hears what the node says of records that it gives up, of outputs that were not put, and of who makes a call.

use std::fmt;
use std::sync::Arc;

use tidemill_stream::sequence::SequenceNumber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::history::{What, Why};
use super::stage::Stage;

pub(crate) struct Ear(pub(crate) Arc<Stage>);

/// The poller that a span is of: the trigger and its run.
struct Poller(usize, u32);

#[derive(Default)]
struct Heard {
    message: String,
    trigger: String,
    condition: String,
    first: String,
    request_id: String,
    records: u64,
    lane: u64,
}

impl Visit for Heard {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "records" => self.records = value,
            "lane" => self.lane = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trigger" => value.clone_into(&mut self.trigger),
            "condition" => value.clone_into(&mut self.condition),
            "first" => value.clone_into(&mut self.first),
            "request_id" => value.clone_into(&mut self.request_id),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Ear {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut heard = Heard::default();
        attributes.record(&mut heard);
        match attributes.metadata().name() {
            "poller" => {}
            "batch" => return self.0.know_lane(heard.request_id, heard.lane as usize),
            _ => return,
        }
        let trigger = heard.trigger[1..].parse().unwrap();
        let span = context.span(id).unwrap();
        span.extensions_mut().insert(Poller(trigger, self.0.newest_run(trigger)));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut heard = Heard::default();
        event.record(&mut heard);
        if !heard.condition.is_empty() {
            self.given_up(&heard, event, &context);
        } else if heard.message.starts_with("the batch was not processed")
            && let Some(call) = self.0.call_of(&heard.request_id)
        {
            self.0.note(What::NotPut { call });
        }
    }
}

impl Ear {
    fn given_up<S: Subscriber + for<'s> LookupSpan<'s>>(
        &self,
        heard: &Heard,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) {
        let first = SequenceNumber::parse(&heard.first).unwrap();
        let mut scope = context.event_scope(event).unwrap();
        let (trigger, run) =
            scope.find_map(|span| span.extensions().get::<Poller>().map(|poller| (poller.0, poller.1))).unwrap();
        let why = if heard.condition == "RecordAgeExceeded" { Why::Age } else { Why::Retries };
        let (shard, first, count) = (first.shard().0, first.position().0, heard.records as usize);
        self.0.note(What::GivenUp { trigger, run, shard, first, count, why });
    }
}
