//! The store under test, and beside it what the model says is in it.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::Engine;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::name::StreamName;
use tidemill_stream::store::Store;

use super::cells::Cells;
use super::reads::Bookmark;
use super::records::Kept;
use super::steps::{End, Step};
use super::tally::{Kind, Tally};

/// When the clock of each case begins.
pub(crate) const FIRST: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    options: EmbeddedOptions,
    pub(crate) clock: Clock,
    open: Option<Open>,
    /// The newest segment of each log when the folder was opened.
    opened_at: BTreeMap<OsString, u64>,
    pub(crate) segments_rolled: u64,
    pub(crate) streams: BTreeMap<StreamName, Kept>,
    pub(crate) bookmarks: VecDeque<Bookmark>,
    pub(crate) cells: Cells,
    /// Numbers what is written, so that no two records or documents are alike.
    pub(crate) written: u64,
    pub(crate) tally: Tally,
}

#[derive(Debug)]
struct Open {
    engine: Arc<Embedded>,
    store: Store,
}

impl World {
    pub(crate) async fn new(options: EmbeddedOptions) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            options,
            clock: Clock::manual(FIRST),
            open: None,
            opened_at: BTreeMap::new(),
            segments_rolled: 0,
            streams: BTreeMap::new(),
            bookmarks: VecDeque::new(),
            cells: Cells::default(),
            written: 0,
            tally: Tally::default(),
        };
        world.open().await;
        world
    }

    pub(crate) fn store(&self) -> &Store {
        &self.open.as_ref().unwrap().store
    }

    pub(crate) async fn take(&mut self, step: &Step) {
        match step {
            Step::Create { name, shards } => self.create(*name, *shards).await,
            Step::Delete(target) => self.delete(*target).await,
            Step::Put(target, records) => self.put(*target, records).await,
            Step::Read { target, shard, from, limits, pages } => {
                self.read(*target, *shard, *from, *limits, *pages).await;
            }
            Step::ReadOn { bookmark, limits } => self.read_on(*bookmark, *limits).await,
            Step::Reopen(end) => self.reopen(*end).await,
            Step::Change { changes, durability } => self.change(changes, *durability).await,
            Step::FixCursors { trigger, shards, bound, with } => {
                self.fix_cursors(*trigger, shards, *bound, with).await;
            }
            Step::MoveCursor { cursor, to, knowledge } => self.move_cursor(*cursor, *to, *knowledge).await,
            Step::DropCursors { trigger, shards } => self.drop_cursors(*trigger, shards).await,
            Step::Split { target, which, cut } => self.split(*target, *which, *cut).await,
            Step::Merge { target, nth, pair } => self.merge(*target, *nth, *pair).await,
            Step::UpdateCount { target, shards, scale } => self.update_count(*target, *shards, *scale).await,
            Step::SetMode(target, mode) => self.set_mode(*target, *mode).await,
            Step::SetRetention(target, way) => self.set_retention(*target, *way).await,
            Step::Expire => self.expire().await,
            Step::Clock { by_ms } => self.move_clock(*by_ms).await,
            Step::Hours(hours) => self.pass_hours(*hours).await,
        }
    }

    async fn open(&mut self) {
        let engine = Embedded::open(self.folder.path(), self.clock.clone(), self.options.clone()).unwrap();
        let engine = Arc::new(engine);
        let shared: Arc<dyn Engine> = engine.clone();
        let store = Store::open(shared, self.clock.clone()).await.unwrap();
        self.open = Some(Open { engine, store });
        self.opened_at = self.newest_segments();
    }

    async fn reopen(&mut self, end: End) {
        self.count_segments();
        let Open { engine, store } = self.open.take().unwrap();
        let left = match end {
            End::Close => {
                engine.close();
                None
            }
            End::Drop => None,
            End::Kill => Some(copied_while_it_runs(self.folder.path())),
        };
        drop(store);
        drop(Arc::into_inner(engine).unwrap());
        if let Some(left) = left {
            self.folder = left;
        }
        self.open().await;
        let found = self.found_cells().await;
        let kind = match end {
            End::Close => {
                self.cells.expect(&found);
                Kind::Close
            }
            End::Drop => {
                self.cells.accept(&found);
                Kind::Drop
            }
            End::Kill => {
                self.cells.accept(&found);
                Kind::Kill
            }
        };
        self.settle_horizons().await;
        self.compare_wholly().await;
        self.tally.succeeded(kind);
    }

    async fn pass_hours(&mut self, hours: u8) {
        self.clock.set(self.clock.now().plus(Duration::from_hours(u64::from(hours))));
        self.look_at_horizons().await;
        self.tally.succeeded(Kind::ClockHours);
    }

    async fn move_clock(&mut self, by_ms: i64) {
        let before = self.clock.now();
        let after = Timestamp::from_millis(before.as_millis().saturating_add_signed(by_ms)).max(FIRST);
        self.clock.set(after);
        self.look_at_horizons().await;
        let kind = if by_ms < 0 { Kind::ClockBack } else { Kind::ClockForward };
        if after == before { self.tally.in_vain(kind) } else { self.tally.succeeded(kind) }
    }

    /// Segments that began because the one before was full: the first after an opening begins in any case.
    pub(crate) fn count_segments(&mut self) {
        let rolled = |(log, newest): (OsString, u64)| {
            let opened_at = self.opened_at.get(&log).copied().unwrap_or(0);
            (newest - opened_at).saturating_sub(1)
        };
        self.segments_rolled += self.newest_segments().into_iter().map(rolled).sum::<u64>();
    }

    fn newest_segments(&self) -> BTreeMap<OsString, u64> {
        let newest = |log: &Path| {
            let names = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().file_name());
            let numbers = names.filter_map(|name| name.to_str()?.strip_suffix(".seg")?.parse::<u64>().ok());
            numbers.max().unwrap_or(0)
        };
        let logs = fs::read_dir(self.folder.path().join("logs")).unwrap().map(Result::unwrap);
        logs.map(|log| (log.file_name(), newest(&log.path()))).collect()
    }
}

/// The folder's files as a process that is killed now would leave them. Should one change meanwhile, they are copied
/// anew, so that all are of one moment.
fn copied_while_it_runs(folder: &Path) -> TempDir {
    loop {
        let before = looks(folder);
        let copy = tempfile::tempdir().unwrap();
        for (path, _, _) in &before {
            let to = copy.path().join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if fs::copy(folder.join(path), &to).is_err() {
                break;
            }
        }
        if looks(folder) == before {
            return copy;
        }
    }
}

/// Each file below a folder: its path in it, its size, and when it was changed.
fn looks(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => folders.push(path),
                Ok(found) => {
                    let changed = found.modified().unwrap();
                    files.push((path.strip_prefix(folder).unwrap().to_owned(), found.len(), changed));
                }
                // Gone between the listing and the look: the next look shows it.
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}
