//! What functions log, caught from tracing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

/// One event: its level and its fields, `message` among them.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Line {
    pub(crate) fn message(&self) -> &str {
        &self.fields["message"]
    }
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// Begins to catch; the tests of this process share one subscriber and tell their lines apart by the function's name.
pub(crate) fn catch() {
    static CAUGHT: OnceLock<()> = OnceLock::new();
    CAUGHT.get_or_init(|| tracing::subscriber::set_global_default(registry().with(Catch)).unwrap());
}

/// What a function logged so far, in order.
pub(crate) fn of(function: &str) -> Vec<Line> {
    let is_from = |line: &&Line| line.target == tidemill::functions::LOG_TARGET && line.fields["function"] == function;
    LINES.lock().iter().filter(is_from).cloned().collect()
}

/// The texts of those of level `info`.
pub(crate) fn infos(function: &str) -> Vec<String> {
    of(function).iter().filter(|line| line.level == Level::INFO).map(|line| line.message().to_owned()).collect()
}

/// What the node itself warned of, as text.
pub(crate) fn warnings() -> Vec<String> {
    let is_own = |line: &&Line| line.target != tidemill::functions::LOG_TARGET && line.level == Level::WARN;
    LINES.lock().iter().filter(is_own).map(|line| format!("{:?}", line.fields)).collect()
}

struct Catch;

impl<S: Subscriber> Layer<S> for Catch {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let facts = event.metadata();
        if !facts.target().starts_with("tidemill") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        LINES.lock().push(Line { level: *facts.level(), target: facts.target(), fields: fields.0 });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
