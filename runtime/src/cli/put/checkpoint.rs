//! How many lines of a file were acknowledged, in a file of its own.
//!
//! Promises that lines are only skipped where they were put: into the same stream, and from a file that still begins as
//! it did. Whatever does not fit is an error.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tidemill_stream::clock::Timestamp;

use super::lines::{Line, hexadecimal};
use crate::cli::text::time;

/// The progress through one file.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// Where it is kept; `None`: nowhere.
    path: Option<PathBuf>,
    progress: Progress,
}

/// What the lines are put into: a stream that is deleted and made again is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) stream: String,
    /// When the stream was created.
    pub(super) created_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    #[serde(flatten)]
    target: Target,
    /// The file that the lines are of.
    file: String,
    /// Lines that are done, from the first.
    lines: u64,
    /// Bytes that are done, with the end of the last line.
    bytes: u64,
    /// What the last line was that is done; `None`: none is.
    last_line: Option<LastLine>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LastLine {
    /// Without its end.
    bytes: u64,
    sha256: String,
}

impl Checkpoint {
    /// For a put that remembers nothing.
    pub(super) fn none() -> Self {
        let target = Target { stream: String::new(), created_ms: 0 };
        Self { path: None, progress: Progress::none(target, Path::new("-")) }
    }

    /// The progress that was kept, or none. It must be that of `file` into `target`.
    pub(super) fn open(path: &Path, file: &Path, target: Target) -> anyhow::Result<Self> {
        let fresh = Progress::none(target, file);
        let progress = match fs::read_to_string(path) {
            Ok(text) => kept(&text, &fresh, file).with_context(|| {
                format!("the checkpoint {} does not fit; delete it, or name another", path.display())
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                check_folder(path)?;
                fresh
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read the checkpoint {}", path.display())),
        };
        Ok(Self { path: Some(path.to_owned()), progress })
    }

    /// Lines that are done.
    pub(super) fn lines(&self) -> u64 {
        self.progress.lines
    }

    /// This line and those before it are done now. A crash leaves the old state or the new one.
    pub(super) fn advance(&mut self, line: &Line) -> anyhow::Result<()> {
        self.progress.lines = line.number;
        self.progress.bytes = line.end_bytes;
        let Some(path) = &self.path else { return Ok(()) };
        self.progress.last_line = Some(LastLine::of(&line.data));
        let written = write(path, &serde_json::to_string(&self.progress)?);
        written.with_context(|| format!("cannot write the checkpoint {}", path.display()))
    }
}

impl Progress {
    fn none(target: Target, file: &Path) -> Self {
        Self { target, file: file.display().to_string(), lines: 0, bytes: 0, last_line: None }
    }
}

impl LastLine {
    fn of(data: &[u8]) -> Self {
        Self { bytes: data.len() as u64, sha256: hexadecimal(&Sha256::digest(data)) }
    }
}

/// What a checkpoint says, if it fits what is to be done.
fn kept(text: &str, fresh: &Progress, file: &Path) -> anyhow::Result<Progress> {
    let kept: Progress =
        serde_json::from_str(text).context("it is no checkpoint of this version, which says stream, file and bytes")?;
    ensure!(kept.file == fresh.file, "it is of the file {}, not of {}", kept.file, fresh.file);
    let (was, is) = (&kept.target, &fresh.target);
    ensure!(was.stream == is.stream, "it is of the stream '{}', not of '{}'", was.stream, is.stream);
    let created = |target: &Target| time(Timestamp::from_millis(target.created_ms));
    ensure!(
        was == is,
        "it is of a stream '{}' that was created at {}, and this one was at {}",
        is.stream,
        created(was),
        created(is)
    );
    if let Some(last) = &kept.last_line {
        check_file(file, kept.lines, kept.bytes, last)?;
    }
    Ok(kept)
}

/// Whether the last line that is done stands in the file where it did.
fn check_file(path: &Path, lines: u64, bytes: u64, last: &LastLine) -> anyhow::Result<()> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    let has = file.metadata()?.len();
    ensure!(has >= bytes, "{name} has {has} bytes, and {bytes} were put: it is another file now");
    // The line, its end of at most two bytes, and the end of the one before it.
    let from = bytes.saturating_sub(last.bytes.saturating_add(3));
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(bytes - from).read_to_end(&mut tail).with_context(|| format!("cannot read {name}"))?;
    let has_end = tail.ends_with(b"\n");
    let line = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let line = if has_end { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let length = usize::try_from(last.bytes).unwrap_or(usize::MAX);
    let (before, line) = line.split_at_checked(line.len().saturating_sub(length)).unwrap_or_default();
    let is_whole_line = if before.is_empty() { from == 0 } else { before.ends_with(b"\n") };
    if !is_whole_line || LastLine::of(line).sha256 != last.sha256 {
        bail!("line {lines} of {name} is not the one that was put: it is another file now");
    }
    ensure!(has_end || has == bytes, "line {lines} of {name} had no end when it was put, and goes on now");
    Ok(())
}

/// A folder that is not there is most likely a slip of the pen.
fn check_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(
        folder.is_dir(),
        "there is no folder {} for the checkpoint {}; make it, or name another",
        folder.display(),
        path.display()
    );
    Ok(())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Desk(tempfile::TempDir);

    impl Desk {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn open(&self, stream: &str, created_ms: u64) -> Result<u64, String> {
            self.checkpoint("feed", stream, created_ms).map(|checkpoint| checkpoint.lines())
        }

        fn checkpoint(&self, name: &str, stream: &str, created_ms: u64) -> Result<Checkpoint, String> {
            let target = Target { stream: stream.to_owned(), created_ms };
            let opened = Checkpoint::open(&self.path(name), &self.path("lines"), target);
            opened.map_err(|error| format!("{error:#}"))
        }

        fn write(&self, text: &str) {
            fs::write(self.path("lines"), text).unwrap();
        }

        /// Notes that the lines up to this one are done.
        fn done(&self, number: u64, end_bytes: u64, data: &'static str) {
            let mut checkpoint = self.checkpoint("feed", "s", 1).unwrap();
            checkpoint.advance(&Line::at(number, end_bytes, data)).unwrap();
        }
    }

    fn desk() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    #[test]
    fn a_file_that_grows_goes_on() {
        let desk = desk();
        assert_eq!(desk.open("s", 1), Ok(0));
        for (text, end_bytes) in [("one\ntwo\n", 8), ("one\r\ntwo\r\n", 10), ("one\ntwo", 7)] {
            desk.write(text);
            let _ = fs::remove_file(desk.path("feed")); // that of the text before
            desk.done(2, end_bytes, "two");
            assert_eq!(desk.open("s", 1), Ok(2), "{text:?}");
            if text.ends_with('\n') {
                desk.write(&format!("{text}three\n"));
                assert_eq!(desk.open("s", 1), Ok(2), "{text:?}");
            }
        }
        desk.write("one\ntwo more\n");
        assert!(desk.open("s", 1).unwrap_err().contains("line 2 of"), "the last line had no end");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let desk = desk();
        desk.write("one\ntwo\n");
        desk.done(2, 8, "two");
        for (stream, created_ms, text, said) in [
            ("other", 1, "one\ntwo\n", "it is of the stream 's', not of 'other'"),
            ("s", 2, "one\ntwo\n", "created at 1970-01-01T00:00:00.001Z, and this one was at 1970-01-01T00:00:00.002Z"),
            ("s", 1, "one\n", "has 4 bytes, and 8 were put"),
            ("s", 1, "one\nTwo\n", "is not the one that was put"),
            ("s", 1, "onettwo\nand more", "is not the one that was put"),
        ] {
            desk.write(text);
            let error = desk.open(stream, created_ms).unwrap_err();
            assert!(error.contains(said) && error.contains("delete it, or name another"), "{text:?}: {error}");
        }
        fs::write(desk.path("feed"), r#"{"file":"f","lines":10}"#).unwrap();
        let error = desk.open("s", 1).unwrap_err();
        assert!(error.contains("no checkpoint of this version") && error.contains("delete it"), "{error}");
    }

    #[test]
    fn a_folder_is_not_made() {
        let desk = desk();
        let error = desk.checkpoint("nodir/feed", "s", 1).unwrap_err();
        assert!(error.contains("there is no folder") && error.contains("nodir"), "{error}");
        assert!(!desk.path("nodir").exists());
    }
}
