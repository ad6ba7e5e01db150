//! What the functions of a node log, kept for the test that started it.
//!
//! Promises that the lines of a node are told from those of all others in the same process: each node has a span, and
//! whatever runs for it runs below. Of each node the newest lines are kept, up to a limit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Once};

use tidemill::functions::LOG_TARGET;
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Span, Subscriber, error_span};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Lines that are kept of a node; older ones go.
pub(crate) const LINES_MAX: usize = 10_000;
/// The node's rooms have targets that begin so.
const NODE_TARGET: &str = "tidemill";

/// A line that a function logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The function's name in the manifest.
    pub function: String,
    /// Its level; what was printed is `INFO`, and what went to standard error is `WARN`.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// The stream of the batch that was in work.
    pub stream: String,
    /// The shard, such as `shardId-000000000000`.
    pub shard: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, level, text, stream, shard } = self;
        write!(f, "{function} ({stream}, {shard}) {}: {text}", level.as_str().to_lowercase())
    }
}

impl LogLine {
    fn of(event: &Event<'_>) -> Self {
        let empty = String::new;
        let level = *event.metadata().level();
        let mut line = Self { function: empty(), level, text: empty(), stream: empty(), shard: empty() };
        event.record(&mut line);
        line
    }
}

impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "function" => &mut self.function,
            "message" => &mut self.text,
            "stream" => &mut self.stream,
            "shard" => &mut self.shard,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// The newest lines, each with its number from 0.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    lines: VecDeque<LogLine>,
    gone: usize,
}

impl Kept {
    fn push(&mut self, line: LogLine) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.gone += 1;
        }
        self.lines.push_back(line);
    }

    /// Those that are kept, from this number on.
    pub(crate) fn from(&self, number: usize) -> impl Iterator<Item = &LogLine> {
        self.lines.iter().skip(number.saturating_sub(self.gone))
    }

    /// How many there have been.
    pub(crate) fn count(&self) -> usize {
        self.gone + self.lines.len()
    }
}

/// The lines of one node, and the span that it runs in.
#[derive(Debug)]
pub(crate) struct Lines {
    kept: Arc<watch::Sender<Kept>>,
    span: Span,
    is_captured: bool,
}

impl Lines {
    /// Of a node that is started in [`Lines::span`].
    pub(crate) fn new() -> Self {
        install();
        let (kept, span) = (Arc::<watch::Sender<Kept>>::default(), error_span!(parent: None, "test_node"));
        let is_captured = span.with_subscriber(|(id, dispatch)| {
            let node = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
            node.map(|node| node.extensions_mut().replace(Arc::clone(&kept)));
            dispatch.downcast_ref::<Capture>().is_some()
        });
        Self { kept, span, is_captured: is_captured == Some(true) }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Whether anything will ever be seen here.
    pub(crate) fn are_captured(&self) -> bool {
        self.is_captured
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Kept> {
        self.kept.subscribe()
    }

    pub(crate) fn last(&self, count: usize) -> Vec<LogLine> {
        let kept = self.kept.borrow();
        kept.from(kept.count().saturating_sub(count)).cloned().collect()
    }
}

/// Captures from now on in the whole process, unless the test has a subscriber of its own. With `RUST_LOG` set, the log
/// lines of all nodes go to standard error too.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let shown = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
        let shown = shown.map(|filter| {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            lines.with_filter(EnvFilter::new(filter))
        });
        // An error: the test was first, and says itself what is captured.
        let _ = tracing_subscriber::registry().with(capture()).with(shown).try_init();
    });
}

/// The layer that captures what functions log, for tests that set a tracing subscriber of their own:
/// `tracing_subscriber::registry().with(capture()).with(..).init()`.
pub fn capture<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let spans = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with(NODE_TARGET);
    let lines = |metadata: &Metadata<'_>| metadata.is_event() && metadata.target() == LOG_TARGET;
    Capture.with_filter(filter_fn(spans).or(filter_fn(lines)))
}

#[derive(Debug)]
struct Capture;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    /// A span is of the node that its parent is of. One that was made without a parent, as those of pollers are, is of
    /// the node in whose task it was made.
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some(near) = span.parent().or_else(|| context.lookup_current()) else { return };
        let kept = near.extensions().get::<Arc<watch::Sender<Kept>>>().cloned();
        if let Some(kept) = kept {
            span.extensions_mut().replace(kept);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let kept = span.extensions().get::<Arc<watch::Sender<Kept>>>().cloned();
        if let Some(kept) = kept {
            kept.send_modify(|kept| kept.push(LogLine::of(event)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> LogLine {
        let (function, stream, shard) = ("f".to_owned(), "s".to_owned(), "0".to_owned());
        LogLine { function, level: Level::INFO, text: number.to_string(), stream, shard }
    }

    #[test]
    fn the_newest_lines_are_kept_and_keep_their_numbers() {
        let mut kept = Kept::default();
        (0..LINES_MAX + 5).for_each(|number| kept.push(line(number)));
        assert_eq!((kept.lines.len(), kept.count()), (LINES_MAX, LINES_MAX + 5));
        assert_eq!(kept.from(0).next().unwrap().text, "5");
        assert_eq!(kept.from(LINES_MAX + 3).map(|line| line.text.as_str()).collect::<Vec<_>>(), ["10003", "10004"]);
    }

    #[test]
    fn a_subscriber_of_the_test_captures_when_it_is_told_to() {
        let are_captured = || Lines::new().are_captured();
        let of_test = || Registry::default().with(tracing_subscriber::fmt::layer().with_writer(std::io::sink));
        assert!(!tracing::subscriber::with_default(of_test(), are_captured));
        assert!(tracing::subscriber::with_default(of_test().with(capture()), are_captured));
    }
}
