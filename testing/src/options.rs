//! How a node for a test is started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::build::{self, Build};
use tidemill::deploy::Manifest;
use tidemill_client::Client;

use crate::TestNode;
use crate::error::TestError;
use crate::running::{Keep, Running};
use crate::wait::PATIENCE;

/// What manifest texts are called in errors.
const TEXT_NAME: &str = "the manifest";

/// How to start a [`TestNode`].
#[derive(Debug, Clone)]
#[must_use = "nothing starts before start()"]
pub struct TestNodeOptions {
    source: Source,
    keep: Keep,
    build: Build,
    patience: Duration,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Text { text: String, folder: PathBuf },
}

impl TestNodeOptions {
    fn new(source: Source) -> Self {
        Self { source, keep: Keep::InMemory, build: Build::Always, patience: PATIENCE }
    }

    pub(crate) fn of_file(path: &Path) -> Self {
        Self::new(Source::File(path.to_owned()))
    }

    pub(crate) fn of_text(text: String, folder: &Path) -> Self {
        Self::new(Source::Text { text, folder: folder.to_owned() })
    }

    /// Keeps streams on disk, as durably as a real node does, in a folder that goes with the node.
    pub fn in_temporary_folder(mut self) -> Self {
        self.keep = Keep::InTemporaryFolder;
        self
    }

    /// Takes what the last build of each crate folder left, as `tidemill serve` does.
    pub fn without_building(mut self) -> Self {
        self.build = Build::Never;
        self
    }

    /// How long a wait goes on before it fails.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Builds the functions, starts the node and applies the manifest. What the compiler says goes to standard error.
    pub async fn start(self) -> Result<TestNode, TestError> {
        let patience = self.patience;
        // Compilers run, and files are read. The node gets threads of its own.
        let started = tokio::task::spawn_blocking(move || self.start_blocking()).await;
        let running = started.map_err(|error| TestError::Start(error.into()))??;
        let url = format!("http://{}", running.node().address());
        Ok(TestNode { client: Client::new(&url)?, url, running, patience })
    }

    fn start_blocking(self) -> Result<Running, TestError> {
        let mut manifest = self.source.manifest()?;
        build::resolve(&mut manifest, self.build).map_err(TestError::Start)?;
        Running::start(manifest, self.keep).map_err(TestError::Start)
    }
}

impl Source {
    fn manifest(&self) -> Result<Manifest, TestError> {
        Ok(match self {
            Self::File(path) => Manifest::load(path)?,
            Self::Text { text, folder } => Manifest::parse(TEXT_NAME, folder, text)?,
        })
    }
}
