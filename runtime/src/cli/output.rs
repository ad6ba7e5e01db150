//! Lines to standard output and standard error.

use std::io::{self, Write as _};

use anyhow::Context as _;

/// A line of what the command was asked for. It is out when this returns.
pub(super) fn to_stdout(line: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}

/// Whether a line was not written because nobody reads standard output any more.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A line to the user. That nobody reads it is no reason to fail.
pub(super) fn to_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
