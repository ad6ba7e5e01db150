//! Watching files: what a deployment is made of has changed.
//!
//! Promises that a change is told once it is over (an editor writes a file in several steps), and that what builds leave
//! behind and what this program says itself is no change. It must not know what is done about one.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// A change is over when nothing has changed for so long.
const QUIET: Duration = Duration::from_millis(50);
/// A change that never ends is told after so long.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(1);
/// The folder that cargo builds into.
const TARGET: &str = "target";

/// The files and folders that are watched.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    /// At most one entry: something has changed.
    changes: mpsc::Receiver<()>,
    /// What the system was asked to watch.
    watched: BTreeMap<PathBuf, RecursiveMode>,
    data: PathBuf,
    sources: Arc<Mutex<Sources>>,
}

/// Files and crate folders, and a folder apart: what is in it is no source.
#[derive(Default)]
struct Sources {
    paths: Vec<PathBuf>,
    apart: PathBuf,
    /// Files that this program's output goes to.
    outputs: Vec<FileId>,
}

/// Tells a file from all others of the machine: device and inode.
type FileId = (u64, u64);

fn id_of(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Where this program's output goes.
fn outputs() -> Vec<FileId> {
    let id = |stream: BorrowedFd<'_>| Some(id_of(&File::from(stream.try_clone_to_owned().ok()?).metadata().ok()?));
    [id(std::io::stdout().as_fd()), id(std::io::stderr().as_fd())].into_iter().flatten().collect()
}

impl Watch {
    /// Watches nothing yet. The node writes into its data folder, which may lie in a crate's.
    pub(super) fn new(data: PathBuf) -> anyhow::Result<Self> {
        let (changed, changes) = mpsc::channel(1);
        let sources = Arc::<Mutex<Sources>>::default();
        let of_interest = Arc::clone(&sources);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| of_interest.lock().concerns(&event)) {
                // One that is told already is enough.
                let _ = changed.try_send(());
            }
        })?;
        Ok(Self { watcher, changes, watched: BTreeMap::new(), data, sources })
    }

    /// Watches these files and crate folders, and no others. One that the system cannot watch is logged.
    pub(super) fn set(&mut self, sources: impl IntoIterator<Item = PathBuf>) {
        let paths = sources.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
        let apart = self.data.canonicalize().unwrap_or_else(|_| self.data.clone());
        let sources = Sources { paths, apart, outputs: outputs() };
        let wanted = sources.places();
        *self.sources.lock() = sources;
        for gone in self.watched.keys().filter(|path| !wanted.contains_key(*path)) {
            // It may be gone from the disk too.
            let _ = self.watcher.unwatch(gone);
        }
        for (path, mode) in wanted.iter().filter(|(path, _)| !self.watched.contains_key(*path)) {
            if let Err(error) = self.watcher.watch(path, *mode) {
                warn!(path = %path.display(), %error, "changes here are not seen; SIGHUP applies them");
            }
        }
        self.watched = wanted;
    }

    /// Waits until something has changed, and is quiet again.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        let end = Instant::now() + QUIET_WAIT_MAX;
        while let Ok(Some(())) = timeout_at((Instant::now() + QUIET).min(end), self.changes.recv()).await {}
    }
}

impl Sources {
    /// What the system is to watch. A file is watched by its folder, as editors put another file in its place; of a crate
    /// everything but what is built, what is hidden and what is apart.
    fn places(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let mut places = BTreeMap::new();
        for source in &self.paths {
            if !source.is_dir() {
                places.extend(source.parent().map(|folder| (folder.to_owned(), RecursiveMode::NonRecursive)));
                continue;
            }
            places.insert(source.clone(), RecursiveMode::NonRecursive);
            let inside = fs::read_dir(source).into_iter().flatten().flatten().map(|entry| entry.path());
            let folders = inside.filter(|path| path.is_dir() && is_source(source, path) && *path != self.apart);
            places.extend(folders.map(|folder| (folder, RecursiveMode::Recursive)));
        }
        places
    }

    fn concerns(&self, event: &Event) -> bool {
        let is_change = !matches!(event.kind, EventKind::Access(_));
        let is_of = |path: &Path| self.paths.iter().any(|source| path == source || is_source(source, path));
        let is_apart = |path: &Path| path.starts_with(&self.apart) || self.is_output(path);
        is_change && event.paths.iter().any(|path| is_of(path) && !is_apart(path))
    }

    /// Whether a build that tells of itself there would be the cause of the next one.
    fn is_output(&self, path: &Path) -> bool {
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        is_log || fs::metadata(path).is_ok_and(|metadata| self.outputs.contains(&id_of(&metadata)))
    }
}

/// Whether a path is in a crate's folder, and neither built nor hidden.
fn is_source(folder: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else { return false };
    let hidden = inside.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
    !hidden && !inside.starts_with(TARGET) && inside.components().next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(watch: &mut Watch) {
        tokio::time::timeout(Duration::from_mins(1), watch.changed()).await.unwrap();
    }

    #[tokio::test]
    async fn changes_of_sources_are_told_and_those_of_builds_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (krate, manifest) = (root.join("crate"), root.join("deploy.yaml"));
        for inside in ["src/deep", "src/data", "data", "target/debug", ".git"] {
            fs::create_dir_all(krate.join(inside)).unwrap();
        }
        fs::write(&manifest, "").unwrap();
        let mut watch = Watch::new(krate.join("data")).unwrap();
        watch.set([krate.clone(), manifest.clone()]);
        fs::write(krate.join("target/debug/out"), "").unwrap();
        fs::write(krate.join(".git/index"), "").unwrap();
        fs::write(root.join("other.yaml"), "").unwrap();
        // Events come in order: those above are seen before this one.
        fs::write(krate.join("src/deep/lib.rs"), "").unwrap();
        told(&mut watch).await;
        let kind = EventKind::Modify(notify::event::ModifyKind::Any);
        let event = |path: PathBuf| Event::new(kind).add_path(path);
        for (path, is_told) in [
            ("src/data", true),
            ("data", false),
            ("data/lock", false),
            ("target/debug/out", false),
            (".git/index", false),
            ("../other.yaml", false),
        ] {
            assert_eq!(watch.sources.lock().concerns(&event(krate.join(path))), is_told, "{path}");
        }
        // A build says that it begins: that must not begin another one.
        let output = krate.join("output");
        fs::write(&output, "").unwrap();
        assert!(watch.sources.lock().concerns(&event(output.clone())));
        watch.sources.lock().outputs.push(id_of(&fs::metadata(&output).unwrap()));
        for own in [output, krate.join("up.log")] {
            assert!(!watch.sources.lock().concerns(&event(own)));
        }
        assert!(!watch.watched.contains_key(&krate.join("data")));
        // As editors save: another file takes the place.
        fs::write(root.join("new"), "streams: {}").unwrap();
        fs::rename(root.join("new"), &manifest).unwrap();
        told(&mut watch).await;
        fs::create_dir(krate.join("tests")).unwrap();
        told(&mut watch).await;
    }
}
