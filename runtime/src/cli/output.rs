//! Lines to standard output and standard error.

use std::io::{self, Write as _};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use tokio::sync::oneshot;

use crate::harmless;

/// Lines of what the command was asked for, harmless to a terminal. They are out when this returns, unless nobody reads
/// them any more: then the command ends as it would have.
pub(super) fn to_stdout(text: &str) -> anyhow::Result<()> {
    while_read(as_it_is_to_stdout(&harmless::lines(text)))
}

/// The same of JSON.
pub(super) fn json_to_stdout(json: &str) -> anyhow::Result<()> {
    while_read(as_it_is_to_stdout(&harmless::json(json)))
}

/// Lines that were made harmless, and perhaps coloured. That nobody reads them is an error.
pub(super) fn as_it_is_to_stdout(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}

/// That nobody reads standard output is no reason to fail.
pub(super) fn while_read(written: anyhow::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        written => written,
    }
}

/// Whether a line was not written because nobody reads standard output any more.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Returns when nobody reads standard output any more, as when it is a pipe into `head -n 1` that has its line: a command
/// that waits for what may never come ends by it. On a terminal and into a file this never returns. It costs a thread.
pub(super) async fn reader_gone() {
    let (gone, is_gone) = oneshot::channel();
    // A thread of its own: a blocking task of the runtime would have to end before the program does.
    std::thread::spawn(move || {
        // That the other end is closed is told whatever is asked for, so nothing is.
        let stdout = io::stdout();
        let watched = retry_on_intr(|| poll(&mut [PollFd::new(&stdout, PollFlags::empty())], None));
        watched.map(|_| gone.send(()))
    });
    if is_gone.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Lines to the user, harmless to a terminal. That nobody reads them is no reason to fail.
pub(super) fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless::lines(text));
}

/// An error and its causes on one line, without the causes that it names itself.
pub(super) fn with_causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            said = [said, cause].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let named = anyhow::Error::new(missing()).context(format!("cannot read it: {}", missing()));
        assert_eq!(with_causes(&named.context("no plan")), "no plan: cannot read it: entity not found");
        let unnamed = anyhow::Error::new(missing()).context("cannot read it").context("no plan");
        assert_eq!(with_causes(&unnamed), "no plan: cannot read it: entity not found");
    }
}
