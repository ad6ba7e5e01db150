//! Log lines for a person. What a function says comes without the rooms that it passed through.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

use crate::functions::LOG_TARGET;

/// Function lines are `TIME LEVEL FUNCTION STREAM/SHARD: MESSAGE`; all others are as the library writes them.
#[derive(Debug, Default)]
pub(super) struct Human(Format);

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for Human {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != LOG_TARGET {
            return self.0.format_event(context, writer, event);
        }
        let mut line = Line::default();
        event.record(&mut line);
        let (dim, level, end) = colours(*event.metadata().level(), writer.has_ansi_escapes());
        write!(writer, "{dim}")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{end} {level}{:>5}{end} {} ", event.metadata().level(), line.function)?;
        if !line.stream.is_empty() {
            write!(writer, "{dim}{}/{}:{end} ", line.stream, line.shard)?;
        }
        writeln!(writer, "{}", line.message)
    }
}

/// Of the time, of the level, and what ends either.
fn colours(level: tracing::Level, has_colours: bool) -> (&'static str, &'static str, &'static str) {
    if !has_colours {
        return ("", "", "");
    }
    let level = match level {
        tracing::Level::ERROR => "\u{1b}[31m",
        tracing::Level::WARN => "\u{1b}[33m",
        tracing::Level::INFO => "\u{1b}[32m",
        tracing::Level::DEBUG => "\u{1b}[34m",
        tracing::Level::TRACE => "\u{1b}[35m",
    };
    ("\u{1b}[2m", level, "\u{1b}[0m")
}

/// The fields of a function's line.
#[derive(Default)]
struct Line {
    function: String,
    stream: String,
    shard: String,
    message: String,
}

impl Line {
    fn field(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "function" => Some(&mut self.function),
            "stream" => Some(&mut self.stream),
            "shard" => Some(&mut self.shard),
            "message" => Some(&mut self.message),
            _ => None,
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(text) = self.field(field.name()) {
            // As `tidemill status` and `tidemill tail` name shards.
            let digits = value.strip_prefix("shardId-").map(|digits| digits.trim_start_matches('0'));
            text.push_str(digits.map_or(value, |digits| if digits.is_empty() { "0" } else { digits }));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(text) = self.field(field.name()) {
            let _ = write!(text, "{value:?}"); // a String takes everything
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_function_says_is_short_and_the_rest_is_as_ever() {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).event_format(Human::default());
        let lines = lines.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(lines, || {
            let _span = tracing::info_span!("poller", trigger = "t").entered();
            let (function, shard) = ("alert", "shardId-000000000000");
            tracing::warn!(target: LOG_TARGET, %function, stream = "quakes", shard, request = "r", "{}", "strong");
            tracing::info!(count = 7, "applied");
        });
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines[0], " WARN alert quakes/0: strong");
        assert!(
            lines[1].starts_with(" INFO poller{trigger=\"t\"}: ") && lines[1].ends_with("applied count=7"),
            "{text}"
        );
    }
}
