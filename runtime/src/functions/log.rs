//! What a guest says, as lines of the node's log.
//!
//! This file promises that a line is clean and bounded, that a call's output is bounded, and that each line stands with
//! the function, stream, shard and request it belongs to. It must not know what a function is run by.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;

use super::deploy::Deployment;
use super::invoke::{Invocation, InvokeError};
use super::name::FunctionName;
use super::recent::{CallName, FunctionLog};
use super::{limits, text};

/// The target of every line, for filters.
pub const TARGET: &str = "tidemill::function";

/// The log of one instance; clones share it.
#[derive(Debug, Clone)]
pub(super) struct GuestLog(Arc<Mutex<State>>);

/// Where bytes without a level come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Stdout,
    Stderr,
}

#[derive(Debug)]
struct State {
    sink: Sink,
    stdout: PartialLine,
    stderr: PartialLine,
    stderr_tail: Tail,
}

/// The call that lines belong to, and how much it may still say.
#[derive(Debug)]
struct Sink {
    function: FunctionName,
    call: Arc<CallName>,
    bytes_left: usize,
    recent: FunctionLog,
}

impl GuestLog {
    pub(super) fn new(deployment: &Deployment) -> Self {
        Self::of(deployment.name.clone(), deployment.log.clone())
    }

    fn of(function: FunctionName, recent: FunctionLog) -> Self {
        let sink = Sink { function, call: Arc::default(), bytes_left: limits::LOG_BYTES_PER_CALL_MAX, recent };
        let (stdout, stderr) = (PartialLine::default(), PartialLine::default());
        Self(Arc::new(Mutex::new(State { sink, stdout, stderr, stderr_tail: Tail::default() })))
    }

    /// What follows belongs to this call.
    pub(super) fn begin(&self, call: &Invocation) {
        let mut state = self.0.lock();
        state.sink.call = Arc::new(CallName {
            stream: call.stream.as_str().to_owned(),
            shard: call.shard.to_string(),
            request_id: call.request_id.clone(),
        });
        state.sink.bytes_left = limits::LOG_BYTES_PER_CALL_MAX;
        state.stderr_tail = Tail::default();
    }

    /// The call is over: what was written without a line end is a line too, and so is a failure, though only for who
    /// reads the function's lines: the node's log has it from whoever called.
    pub(super) fn end(&self, failure: Option<&InvokeError>) {
        let State { sink, stdout, stderr, .. } = &mut *self.0.lock();
        stdout.flush(|line| sink.line(Level::INFO, line));
        stderr.flush(|line| sink.line(Level::WARN, line));
        if let Some(failure) = failure {
            sink.recent.push(Level::ERROR, &sink.call, &failure.to_string());
        }
    }

    /// A message with a level, one line of the log for each of its lines.
    pub(super) fn message(&self, level: Level, message: &str) {
        let sink = &mut self.0.lock().sink;
        message.lines().for_each(|line| sink.line(level, line));
    }

    /// Bytes written to a standard stream.
    pub(super) fn write(&self, source: Source, bytes: &[u8]) {
        let State { sink, stdout, stderr, stderr_tail } = &mut *self.0.lock();
        match source {
            Source::Stdout => stdout.extend(bytes, |line| sink.line(Level::INFO, line)),
            Source::Stderr => {
                stderr_tail.extend(bytes);
                stderr.extend(bytes, |line| sink.line(Level::WARN, line));
            }
        }
    }

    /// What the call last wrote to standard error: from the last panic on, if there was one.
    pub(super) fn last_words(&self) -> Option<String> {
        let tail = String::from_utf8_lossy(&self.0.lock().stderr_tail.0).into_owned();
        let words = tail.rfind("panicked at ").and_then(|start| tail.get(start..)).unwrap_or(&tail);
        let lines: Vec<_> = words.lines().filter(|line| !line.trim().is_empty() && !is_hint(line)).collect();
        let words = text::clean(&lines.join("\n"), limits::FAILURE_BYTES_MAX);
        (!words.is_empty()).then_some(words)
    }
}

/// Rust's standard advice at a panic, which does not apply here.
fn is_hint(line: &str) -> bool {
    line.starts_with("note: run with `RUST_BACKTRACE")
}

impl Sink {
    fn line(&mut self, level: Level, line: &str) {
        let cost = line.len().min(limits::LOG_LINE_BYTES_MAX) + limits::LOG_LINE_COST_BYTES;
        if cost <= self.bytes_left {
            self.bytes_left -= cost;
            self.emit(level, &text::clean(line, limits::LOG_LINE_BYTES_MAX));
        } else if self.bytes_left > 0 {
            self.bytes_left = 0;
            self.emit(Level::WARN, &format!("output cut: a call may log {} bytes", limits::LOG_BYTES_PER_CALL_MAX));
        }
    }

    fn emit(&self, level: Level, line: &str) {
        self.recent.push(level, &self.call, line);
        let function = &self.function;
        let CallName { stream, shard, request_id } = &*self.call;
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(target: TARGET, $level, %function, stream, shard, request = request_id, "{line}")
            };
        }
        match level {
            Level::TRACE => event!(Level::TRACE),
            Level::DEBUG => event!(Level::DEBUG),
            Level::INFO => event!(Level::INFO),
            Level::WARN => event!(Level::WARN),
            Level::ERROR => event!(Level::ERROR),
        }
    }
}

/// The beginning of a line whose end has not been written yet. Of a line that is too long only the part that will be
/// shown is kept.
#[derive(Debug, Default)]
struct PartialLine(Vec<u8>);

impl PartialLine {
    fn extend(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            // One byte more than is shown tells that the line was cut.
            let room = (limits::LOG_LINE_BYTES_MAX + 1).saturating_sub(self.0.len());
            let text = piece.strip_suffix(b"\n");
            self.0.extend(text.unwrap_or(piece).iter().take(room));
            if text.is_some() {
                line(&String::from_utf8_lossy(&self.0));
                self.0.clear();
            }
        }
    }

    fn flush(&mut self, mut line: impl FnMut(&str)) {
        if !self.0.is_empty() {
            line(&String::from_utf8_lossy(&self.0));
            self.0.clear();
        }
    }
}

/// The last bytes that were written.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn extend(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(bytes.len().saturating_sub(limits::STDERR_TAIL_BYTES_MAX)..).unwrap_or(bytes);
        let excess = (self.0.len() + bytes.len()).saturating_sub(limits::STDERR_TAIL_BYTES_MAX);
        self.0.drain(..excess);
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use tidemill_stream::clock::Clock;

    use super::*;

    fn lines(writes: &[&[u8]]) -> Vec<String> {
        let (mut partial, mut lines) = (PartialLine::default(), Vec::new());
        for write in writes {
            partial.extend(write, |line| lines.push(line.to_owned()));
        }
        partial.flush(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn writes_are_put_together_into_lines() {
        assert_eq!(lines(&[b"a", b"b\nc", b"\n\nd"]), ["ab", "c", "", "d"]);
        assert_eq!(lines(&[b"\xc3", b"\xa9\n"]), ["é"]);
    }

    #[test]
    fn a_long_line_is_kept_only_as_far_as_it_is_shown() {
        let long = vec![b'x'; 3 * limits::LOG_LINE_BYTES_MAX];
        let lines = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!((lines[0].len(), lines[1].as_str()), (limits::LOG_LINE_BYTES_MAX + 1, "next"));
    }

    #[test]
    fn last_words_begin_at_the_panic() {
        let recent = FunctionLog::new(Clock::system());
        let log = GuestLog::of(FunctionName::parse("f").unwrap(), recent);
        assert_eq!(log.last_words(), None);
        let noise = vec![b'x'; 2 * limits::STDERR_TAIL_BYTES_MAX];
        log.write(Source::Stderr, &noise);
        log.write(Source::Stderr, b"\nthread '<unnamed>' panicked at src/lib.rs:1:2:\n\x1b[1mno such account\n");
        log.write(Source::Stderr, b"note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n");
        assert_eq!(log.last_words().unwrap(), "panicked at src/lib.rs:1:2: \u{fffd}[1mno such account");
    }
}
