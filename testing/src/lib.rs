//! Starts a Tidemill node in a Rust test, and waits for what its functions did.
//!
//! The node is the real one: it builds the functions of a manifest as `tidemill up` does, keeps streams in memory (or in
//! a temporary folder), and listens on a free port of 127.0.0.1 for whatever the test puts records with. It has threads
//! of its own, and goes when it is dropped; a test may start as many as it likes.
//!
//! ```no_run
//! use tidemill_testing::TestNode;
//!
//! #[tokio::test]
//! async fn a_strong_earthquake_is_an_alert() -> Result<(), tidemill_testing::TestError> {
//!     let node = TestNode::start("deploy.yaml").await?;
//!     node.put("quakes", "us", r#"{"place": "Hualien", "magnitude": 6.4, "time": 0}"#).await?;
//!     node.wait_for_log("alert", |line| line.text.contains("of magnitude 6.4, Hualien")).await?;
//!     node.wait_until_processed("quakes").await?;
//!     assert_eq!(node.records("quakes").await?.len(), 1);
//!     Ok(())
//! }
//! ```
//!
//! A wait ends when its fact is there. One that waits in vain fails after [`PATIENCE`], with what the triggers are doing
//! and what the functions logged.
//!
//! This crate promises that a test sees one node only, its own. It must not change how a node works.

mod error;
mod options;
mod running;
mod wait;

use bytes::Bytes;
use tidemill::status::Report;

pub use error::{Situation, TestError};
pub use options::TestNodeOptions;
pub use tidemill::functions::LogLine;
pub use tidemill_client::{Client, Placed, PutRecord, Record};
pub use wait::{Failure, PATIENCE};

use tidemill_client::Start;

use crate::running::Running;

/// The examples of the page compile, and those without a node are run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Page;

/// A node that runs until it is dropped.
#[derive(Debug)]
pub struct TestNode {
    running: Running,
    client: Client,
    url: String,
    patience: std::time::Duration,
}

impl TestNode {
    /// Starts a node in memory with the manifest in this file, after building its functions. A relative path is seen
    /// from the crate under test, as cargo runs tests there.
    pub async fn start(manifest: impl AsRef<std::path::Path>) -> Result<Self, TestError> {
        Self::of_file(manifest).start().await
    }

    /// How to start a node with the manifest in this file.
    pub fn of_file(manifest: impl AsRef<std::path::Path>) -> TestNodeOptions {
        TestNodeOptions::of_file(manifest.as_ref())
    }

    /// How to start a node with this text as its manifest; paths in it are seen from `folder`.
    pub fn of_text(manifest: impl Into<String>, folder: impl AsRef<std::path::Path>) -> TestNodeOptions {
        TestNodeOptions::of_text(manifest.into(), folder.as_ref())
    }

    /// Where the node listens, such as `http://127.0.0.1:41233`: for AWS SDKs, curl and other programs.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of the node.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the node's streams, functions and triggers are doing, as `tidemill status` shows it.
    pub fn status(&self) -> Report {
        self.running.node().status()
    }

    /// Where the node keeps its streams, if it was told to keep them [in a folder](TestNodeOptions::in_temporary_folder).
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.running.folder()
    }

    /// Puts a record, and returns where it is. It is acknowledged, not yet processed.
    pub async fn put(
        &self,
        stream: &str,
        partition_key: &str,
        data: impl AsRef<[u8]>,
    ) -> Result<Option<Placed>, TestError> {
        let data = Bytes::copy_from_slice(data.as_ref());
        let record = PutRecord { partition_key: partition_key.to_owned(), explicit_hash_key: None, data };
        Ok(self.client.put_records(stream, &[record]).await?.pop())
    }

    /// All records of a stream: shard by shard, each in its order.
    pub async fn records(&self, stream: &str) -> Result<Vec<Record>, TestError> {
        let mut records = Vec::new();
        for shard in self.client.list_shards(stream).await? {
            let first = self.client.get_shard_iterator(stream, &shard.shard_id, Start::TrimHorizon).await?;
            self.read_to_the_tip(first, &mut records).await?;
        }
        Ok(records)
    }

    async fn read_to_the_tip(&self, iterator: String, records: &mut Vec<Record>) -> Result<(), TestError> {
        let mut next = Some(iterator);
        while let Some(iterator) = next {
            let page = self.client.get_records(&iterator, None).await?;
            if page.records.is_empty() {
                return Ok(());
            }
            records.extend(page.records);
            next = page.next;
        }
        Ok(())
    }
}
