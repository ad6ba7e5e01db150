//! How many lines of a file were acknowledged, in a file of its own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// The progress through one file.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// Where it is kept; `None`: nowhere.
    path: Option<PathBuf>,
    progress: Progress,
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// The file that the lines are of.
    file: String,
    /// Lines that are done, from the first.
    lines: u64,
}

impl Checkpoint {
    /// The progress that was kept, or none. It must be that of `file`.
    pub(super) fn open(path: Option<&Path>, file: &Path) -> anyhow::Result<Self> {
        let fresh = Progress { file: file.display().to_string(), lines: 0 };
        let Some(path) = path else { return Ok(Self { path: None, progress: fresh }) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { path: Some(path.to_owned()), progress: fresh });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read the checkpoint {}", path.display())),
        };
        let kept: Progress = serde_json::from_str(&text)
            .with_context(|| format!("{} is no checkpoint; remove it to begin anew", path.display()))?;
        ensure!(
            kept.file == fresh.file,
            "the checkpoint {} is of {}, not of {}; remove it to begin anew",
            path.display(),
            kept.file,
            fresh.file
        );
        Ok(Self { path: Some(path.to_owned()), progress: kept })
    }

    /// Lines that are done.
    pub(super) fn lines(&self) -> u64 {
        self.progress.lines
    }

    /// So many lines are done now. A crash leaves the old number or the new one.
    pub(super) fn advance(&mut self, lines: u64) -> anyhow::Result<()> {
        self.progress.lines = lines;
        let Some(path) = &self.path else { return Ok(()) };
        let written = write(path, &serde_json::to_string(&self.progress)?);
        written.with_context(|| format!("cannot write the checkpoint {}", path.display()))
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_is_kept_for_its_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/feed");
        let mut checkpoint = Checkpoint::open(Some(&path), Path::new("a.jsonl")).unwrap();
        assert_eq!(checkpoint.lines(), 0);
        checkpoint.advance(7).unwrap();
        assert_eq!(Checkpoint::open(Some(&path), Path::new("a.jsonl")).unwrap().lines(), 7);
        let error = Checkpoint::open(Some(&path), Path::new("b.jsonl")).unwrap_err().to_string();
        assert!(error.contains("is of a.jsonl, not of b.jsonl"), "{error}");
        fs::write(&path, "7").unwrap();
        let error = Checkpoint::open(Some(&path), Path::new("a.jsonl")).unwrap_err().to_string();
        assert!(error.contains("is no checkpoint"), "{error}");
    }
}
