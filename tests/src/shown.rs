//! What a process has written so far, for those who wait for a line of it.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

#[derive(Debug, Default)]
pub(crate) struct Shown {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Shown {
    /// Takes lines until there are no more.
    pub(crate) fn read(&self, from: impl Read) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.lock().push(text);
            self.more.notify_all();
            line.clear();
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Waits until the lines show a fact; `hanging` without a new line is an error.
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        hanging: Duration,
        fact: impl Fn(&[String]) -> Option<T>,
    ) -> Result<T> {
        let mut lines = self.lines();
        loop {
            if let Some(found) = fact(&lines) {
                return Ok(found);
            }
            let mut all = self.lock();
            if all.len() == lines.len() {
                let (more, waited) = self.more.wait_timeout(all, hanging).unwrap_or_else(PoisonError::into_inner);
                if waited.timed_out() {
                    let from = lines.len().saturating_sub(20);
                    let last = lines.get(from..).unwrap_or_default().join("\n");
                    bail!("waited in vain for {what}; the log ends:\n{last}");
                }
                all = more;
            }
            // Looked at without the lock: however long that takes, lines are read meanwhile, and there are few looks.
            lines.extend(all.iter().skip(lines.len()).cloned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
