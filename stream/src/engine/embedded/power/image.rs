//! What is on the disk after a power cut: all that was synced, and of the rest what chance has left.
//!
//! Assumed of the file system: what `fsync` and `fdatasync` promise; that the changes of one folder's entries reach the
//! disk in their order (as on journaling file systems); and nothing else. Bytes that were not synced are there or not by
//! sectors of 512 bytes, in any order; folders among each other in any order.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use super::recorder::{Copied, FileId, Step};

const SECTOR: usize = 512;

/// What may be left of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Everything,
    SomeSteps,
    SomeSectors,
}

/// The data folder after a cut.
#[derive(Debug, Default)]
pub(super) struct Image {
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    sled: Option<Copied>,
}

impl Image {
    /// The disk when the power goes after these steps.
    pub(super) fn after(steps: &[Step], chance: &mut StdRng) -> Self {
        let contents = contents(steps, chance);
        let mut entries = Entries::after(steps, chance);
        let files = entries.files.drain().filter_map(|(path, file)| Some((path, contents.get(&file)?.clone())));
        Self { files: files.collect(), folders: entries.folders, sled: sled(steps, chance) }
    }

    /// An older sled than the disk promised, as from a backup; false when there is none.
    pub(super) fn restore_older_sled(&mut self, steps: &[Step], chance: &mut StdRng) -> bool {
        let synced: Vec<_> =
            steps.iter().filter_map(|step| if let Step::SledSynced(sled) = step { Some(sled) } else { None }).collect();
        if synced.len() < 2 {
            return false;
        }
        self.sled = Some(synced[chance.random_range(0..synced.len() - 1)].clone());
        true
    }

    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        for folder in &self.folders {
            fs::create_dir_all(root.join(folder))?;
        }
        for (path, bytes) in &self.files {
            let path = root.join(path);
            // A file whose folder did not reach the disk is not there.
            if path.parent().is_some_and(Path::exists) {
                fs::write(path, bytes)?;
            }
        }
        for (path, bytes) in self.sled.iter().flat_map(|sled| sled.iter()) {
            let path = root.join("sled").join(path);
            fs::create_dir_all(path.parent().unwrap())?;
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}

/// The last synced sled, or one that may have reached the disk since.
fn sled(steps: &[Step], chance: &mut StdRng) -> Option<Copied> {
    let mut candidates = Vec::new();
    for step in steps {
        match step {
            Step::SledSynced(sled) => candidates = vec![sled.clone()],
            Step::SledFlushed(sled) => candidates.push(sled.clone()),
            _ => {}
        }
    }
    // Before the first sync sled may not be there at all.
    let is_sure = steps.iter().any(|step| matches!(step, Step::SledSynced(_)));
    if candidates.is_empty() || (!is_sure && chance.random_bool(0.5)) {
        return None;
    }
    let at = chance.random_range(0..candidates.len());
    Some(candidates.swap_remove(at))
}

/// What each file holds.
fn contents(steps: &[Step], chance: &mut StdRng) -> HashMap<FileId, Vec<u8>> {
    let syncs = syncs(steps);
    let mut left: HashMap<FileId, Left> = HashMap::new();
    let mut contents: HashMap<FileId, Vec<u8>> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        let (Step::Write { file, .. }
        | Step::Truncate { file, .. }
        | Step::Allocate { file, .. }
        | Step::Link { file, .. }) = step
        else {
            continue;
        };
        let content = contents.entry(*file).or_default();
        // The first sync decides: what one that failed has covered is not written again by the next.
        let first = syncs.get(file).and_then(|syncs| syncs.iter().find(|(began, _)| at < *began));
        let is_synced = first.is_some_and(|(_, is_done)| *is_done);
        let left = if is_synced { Left::Everything } else { *left.entry(*file).or_insert_with(|| any_left(chance)) };
        apply(content, step, left, chance);
    }
    contents
}

/// For each file: the step before which each sync began, and whether it succeeded.
fn syncs(steps: &[Step]) -> HashMap<FileId, Vec<(usize, bool)>> {
    let mut syncs: HashMap<FileId, Vec<(usize, bool)>> = HashMap::new();
    for step in steps {
        match step {
            Step::SyncFile { file, began } => syncs.entry(*file).or_default().push((*began, true)),
            Step::SyncFileFailed { file, began } => syncs.entry(*file).or_default().push((*began, false)),
            _ => {}
        }
    }
    syncs
}

fn any_left(chance: &mut StdRng) -> Left {
    match chance.random_range(0..10) {
        0..3 => Left::Nothing,
        3..5 => Left::Everything,
        5..7 => Left::SomeSteps,
        _ => Left::SomeSectors,
    }
}

fn apply(content: &mut Vec<u8>, step: &Step, left: Left, chance: &mut StdRng) {
    let is_kept = match left {
        Left::Nothing => false,
        Left::Everything => true,
        Left::SomeSteps => chance.random_bool(0.5),
        Left::SomeSectors => chance.random_bool(0.8),
    };
    match step {
        Step::Write { offset, bytes, .. } if is_kept => write(content, *offset as usize, bytes, left, chance),
        Step::Truncate { len, .. } if is_kept => content.resize(*len as usize, 0),
        Step::Allocate { len, .. } if is_kept => content.resize(content.len().max(*len as usize), 0),
        _ => {}
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8], left: Left, chance: &mut impl Rng) {
    let end = offset + bytes.len();
    content.resize(content.len().max(end), 0);
    let mut at = offset;
    while at < end {
        let next = (at / SECTOR + 1) * SECTOR;
        let next = next.min(end);
        if left != Left::SomeSectors || chance.random_bool(0.5) {
            content[at..next].copy_from_slice(&bytes[at - offset..next - offset]);
        }
        at = next;
    }
}

/// Which names there are.
#[derive(Debug, Default)]
struct Entries {
    files: HashMap<PathBuf, FileId>,
    folders: Vec<PathBuf>,
}

impl Entries {
    fn after(steps: &[Step], chance: &mut StdRng) -> Self {
        let mut synced: HashMap<&Path, usize> = HashMap::new();
        for step in steps {
            if let Step::SyncFolder { path, began } = step {
                let latest = synced.entry(path).or_default();
                *latest = (*latest).max(*began);
            }
        }
        let mut cut: HashMap<PathBuf, bool> = HashMap::new();
        let mut entries = Self::default();
        for (at, step) in steps.iter().enumerate() {
            let Some(folder) = folder_of(step) else { continue };
            let is_synced = synced.get(folder).is_some_and(|began| at < *began);
            // From the first change on that is lost all are.
            let is_cut = cut.entry(folder.to_owned()).or_insert(false);
            *is_cut |= !is_synced && chance.random_bool(0.3);
            if is_synced || !*is_cut {
                entries.apply(step);
            }
        }
        entries
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Link { path, file } => drop(self.files.insert(path.clone(), *file)),
            Step::Rename { from, to } => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
            Step::Unlink { path } => drop(self.files.remove(path)),
            Step::CreateFolder { path } => self.folders.push(path.clone()),
            Step::RemoveFolder { path } => {
                self.folders.retain(|folder| folder != path);
                self.files.retain(|file, _| !file.starts_with(path));
            }
            _ => {}
        }
    }
}

/// The folder whose entries a step changes.
fn folder_of(step: &Step) -> Option<&Path> {
    match step {
        Step::Link { path, .. }
        | Step::Unlink { path }
        | Step::Rename { to: path, .. }
        | Step::CreateFolder { path }
        | Step::RemoveFolder { path } => path.parent(),
        _ => None,
    }
}
