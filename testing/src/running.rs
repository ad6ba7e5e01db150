//! A node on threads of its own.
//!
//! Promises that the node goes on whatever the test's thread does, and that nothing of it is left when this is dropped:
//! no thread, no open port, no folder. What was in work is given up, as in a crash.

use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tidemill::deploy::Manifest;
use tidemill::node::{Node, NodeOptions, Place};
use tokio::runtime::{Builder, Runtime};

/// How long threads that are in the middle of something may take to end.
const END_WAIT_MAX: Duration = Duration::from_secs(5);

/// Where a node keeps its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    InMemory,
    InTemporaryFolder,
}

pub(crate) struct Running {
    /// `None` only while this is being dropped.
    parts: Option<Parts>,
    manifest: Manifest,
}

struct Parts {
    node: Node,
    runtime: Runtime,
    scratch: Option<TempDir>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl Running {
    /// Starts a node with a manifest whose functions are built. Blocks, and is not for threads that run async code.
    pub(crate) fn start(manifest: Manifest, keep: Keep) -> anyhow::Result<Self> {
        let scratch = match keep {
            Keep::InMemory => None,
            Keep::InTemporaryFolder => Some(tempfile::Builder::new().prefix("tidemill-test-").tempdir()?),
        };
        let place = scratch.as_ref().map_or(Place::Memory, |folder| Place::Folder(folder.path().to_owned()));
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("test-node").enable_all().build();
        let runtime = runtime.context("cannot start threads")?;
        let started = async {
            let mut node = Node::start(NodeOptions { place, ..NodeOptions::in_memory() }).await?;
            node.apply(&manifest).await?;
            anyhow::Ok(node)
        };
        let node = runtime.block_on(started)?;
        Ok(Self { parts: Some(Parts { node, runtime, scratch }), manifest })
    }

    #[expect(clippy::expect_used, reason = "they are there until this is dropped")]
    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("a node that runs")
    }

    pub(crate) fn node(&self) -> &Node {
        &self.parts().node
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where streams are kept, if that is a folder.
    pub(crate) fn folder(&self) -> Option<&std::path::Path> {
        self.parts().scratch.as_ref().map(TempDir::path)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        // Threads may not be waited for where async code runs, and this may be dropped there.
        let ended = thread::Builder::new().name("test-node-end".to_owned()).spawn(move || parts.end());
        if let Ok(ended) = ended {
            // A panic there was printed.
            let _ = ended.join();
        }
    }
}

impl Parts {
    /// The tasks go first, then what they used, then its folder.
    fn end(self) {
        let Self { node, runtime, scratch } = self;
        runtime.shutdown_timeout(END_WAIT_MAX);
        drop(node);
        drop(scratch);
    }
}
