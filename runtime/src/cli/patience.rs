//! Waiting for a node that is not there: longer each time, up to a limit, and said once.

use std::time::Duration;

use tidemill_client::ClientError;

use crate::cli::asked::root_cause;
use crate::cli::output::to_stderr;

/// The first wait.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What is known of a node that may be away. The user ends the waiting.
#[derive(Debug)]
pub(super) struct Patience {
    url: String,
    /// The next wait; `None` while the node answers.
    wait: Option<Duration>,
}

impl Patience {
    pub(super) fn new(url: String) -> Self {
        Self { url, wait: None }
    }

    pub(super) async fn wait(&mut self, error: &ClientError) {
        if self.wait.is_none() {
            to_stderr(&format!("no answer from the node at {} ({}); waiting for it", self.url, root_cause(error)));
        }
        let wait = self.wait.unwrap_or(WAIT_MIN);
        self.wait = Some((wait * 2).min(WAIT_MAX));
        tokio::time::sleep(wait).await;
    }

    pub(super) fn answered(&mut self) {
        if self.wait.take().is_some() {
            to_stderr("the node answers again");
        }
    }
}
