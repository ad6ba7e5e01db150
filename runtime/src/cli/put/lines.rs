//! Lines and their partition keys, read by a thread of its own.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tidemill_client::PutRecord;
use tidemill_stream::limits::RECORD_BYTES_DEFAULT;
use tidemill_stream::record::PartitionKey;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::key_field::key_in;

/// Bytes that are asked of the file at once.
const READ_BYTES: usize = 256 << 10;
/// Lines that go from the reader to the sender together: handing over one by one costs more than reading them.
const CHUNK_LINES_MAX: usize = 64;
/// Bytes of their data, but for the last one's.
const CHUNK_BYTES_MAX: usize = 256 << 10;
/// Chunks that wait between the two.
const WAITING_CHUNKS_MAX: usize = 32;

/// Where partition keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    /// All records have this one.
    Fixed(String),
    /// The value of this field of the line's JSON object, or by dots of one inside.
    Field(String),
    /// The SHA-256 of the line, in hexadecimal.
    Digest,
}

/// A line that becomes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1, blank ones included.
    pub(super) number: u64,
    /// Where it ends in the file, bytes.
    pub(super) end_bytes: u64,
    key: String,
    pub(super) data: Bytes,
}

/// The lines of a file that are left to put.
#[derive(Debug)]
pub(super) struct Lines {
    waiting: mpsc::Receiver<anyhow::Result<Vec<Line>>>,
    /// What was received and not given out.
    received: VecDeque<Line>,
    /// What comes behind the batch that was given out last.
    failure: Option<anyhow::Error>,
}

impl Line {
    fn new(position: &Position, key: String, data: &[u8]) -> Self {
        Self { number: position.number, end_bytes: position.end_bytes, key, data: Bytes::copy_from_slice(data) }
    }

    /// A line that ends there.
    #[cfg(test)]
    pub(super) fn at(number: u64, end_bytes: u64, data: &'static str) -> Self {
        Self { number, end_bytes, key: String::new(), data: Bytes::from_static(data.as_bytes()) }
    }

    pub(super) fn record(&self) -> PutRecord {
        PutRecord { partition_key: self.key.clone(), explicit_hash_key: None, data: self.data.clone() }
    }
}

impl KeySource {
    /// From the two options, of which at most one is given.
    pub(super) fn new(key: Option<String>, field: Option<String>) -> anyhow::Result<Self> {
        match (key, field) {
            (Some(key), _) => {
                PartitionKey::parse(key.as_str()).context("--key")?;
                Ok(Self::Fixed(key))
            }
            (None, Some(field)) => Ok(Self::Field(field)),
            (None, None) => Ok(Self::Digest),
        }
    }

    fn key_of(&self, line: &[u8]) -> anyhow::Result<String> {
        match self {
            Self::Fixed(key) => Ok(key.clone()),
            Self::Digest => Ok(hexadecimal(&Sha256::digest(line))),
            Self::Field(field) => Ok(key_in(line, field)?.as_str().to_owned()),
        }
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a string takes every byte
        text
    })
}

impl Lines {
    /// The lines of a file (`-`: of standard input) behind the first `skip`, and the file's size if it has one.
    pub(super) fn open(file: &Path, key: KeySource, skip: u64) -> anyhow::Result<(Self, Option<u64>)> {
        let (reader, bytes): (Box<dyn Read + Send>, _) = if file == Path::new("-") {
            (Box::new(io::stdin()), None)
        } else {
            let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            let bytes = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
            (Box::new(opened), bytes)
        };
        let reader = BufReader::with_capacity(READ_BYTES, reader);
        let (sender, waiting) = mpsc::channel(WAITING_CHUNKS_MAX);
        let name = file.display().to_string();
        let read = move || send_lines(reader, &name, &key, skip, &sender);
        std::thread::Builder::new().name("lines".to_owned()).spawn(read).context("cannot start a thread")?;
        Ok((Self { waiting, received: VecDeque::new(), failure: None }, bytes))
    }

    /// The lines that are there, at least one and at most `records_max`; none at the end. A line that is wrong comes as
    /// an error behind the good ones before it.
    pub(super) async fn next_batch(&mut self, records_max: usize) -> anyhow::Result<Vec<Line>> {
        if self.received.is_empty() {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let Some(chunk) = self.waiting.recv().await else { return Ok(Vec::new()) };
            self.received.extend(chunk?);
        }
        while self.received.len() < records_max && self.failure.is_none() {
            match self.waiting.try_recv() {
                Ok(Ok(chunk)) => self.received.extend(chunk),
                Ok(Err(failure)) => self.failure = Some(failure),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let count = records_max.min(self.received.len());
        Ok(self.received.drain(..count).collect())
    }
}

/// Ends at the end of the file, at the first line that is wrong, or when nobody waits any more.
fn send_lines(
    mut reader: BufReader<impl Read>,
    name: &str,
    key: &KeySource,
    skip: u64,
    sender: &mpsc::Sender<anyhow::Result<Vec<Line>>>,
) {
    let mut position = Position { number: 0, end_bytes: 0 };
    loop {
        let (chunk, end) = read_chunk(&mut reader, &mut position, key, skip);
        if !chunk.is_empty() && sender.blocking_send(Ok(chunk)).is_err() {
            return;
        }
        match end {
            ChunkEnd::Open => {}
            ChunkEnd::File => return,
            ChunkEnd::Wrong(error) => {
                let _ = sender.blocking_send(Err(error.context(format!("line {} of {name}", position.number))));
                return;
            }
        }
    }
}

/// How far the reader has come.
struct Position {
    number: u64,
    end_bytes: u64,
}

/// What is behind a chunk.
enum ChunkEnd {
    /// Perhaps more: but it is time to send the lines that are there.
    Open,
    File,
    Wrong(anyhow::Error),
}

/// The next lines: as many as go together, or those that can be had without waiting.
fn read_chunk(
    reader: &mut BufReader<impl Read>,
    position: &mut Position,
    key: &KeySource,
    skip: u64,
) -> (Vec<Line>, ChunkEnd) {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    loop {
        position.number += 1;
        let line = match read_line(reader) {
            Ok(Some(line)) => line,
            Ok(None) => return (chunk, ChunkEnd::File),
            Err(error) => return (chunk, ChunkEnd::Wrong(error)),
        };
        position.end_bytes += line.len() as u64;
        let data = without_end(&line);
        if position.number > skip && !data.is_empty() {
            bytes += data.len();
            match key.key_of(data) {
                Ok(key) => chunk.push(Line::new(position, key, data)),
                Err(error) => return (chunk, ChunkEnd::Wrong(error)),
            }
        }
        let is_full = chunk.len() == CHUNK_LINES_MAX || bytes >= CHUNK_BYTES_MAX;
        if is_full || !reader.buffer().contains(&b'\n') {
            return (chunk, ChunkEnd::Open);
        }
    }
}

/// A line with its end; `None` at the end of the file.
fn read_line(reader: &mut BufReader<impl Read>) -> anyhow::Result<Option<Vec<u8>>> {
    let bytes_max = RECORD_BYTES_DEFAULT as u64 + 2;
    let mut line = Vec::new();
    let bytes = reader.take(bytes_max).read_until(b'\n', &mut line).context("cannot be read")?;
    ensure!(
        without_end(&line).len() <= RECORD_BYTES_DEFAULT,
        "it is longer than {RECORD_BYTES_DEFAULT} bytes, which is the most that a record may have"
    );
    Ok((bytes > 0).then_some(line))
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str, key: KeySource, skip: u64) -> (Vec<(u64, String, String)>, Option<String>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (mut lines, bytes) = Lines::open(file.path(), key, skip).unwrap();
        assert_eq!(bytes, Some(text.len() as u64));
        let mut found = Vec::new();
        loop {
            match lines.next_batch(2).await {
                Ok(batch) if batch.is_empty() => return (found, None),
                Ok(batch) => {
                    let text = |line: Line| (line.number, line.key, String::from_utf8(line.data.to_vec()).unwrap());
                    found.extend(batch.into_iter().map(text));
                }
                Err(error) => return (found, Some(format!("{error:#}"))),
            }
        }
    }

    fn field(name: &str) -> KeySource {
        KeySource::Field(name.to_owned())
    }

    #[tokio::test]
    async fn lines_are_numbered_and_blank_ones_skipped() {
        let key = || KeySource::Fixed("k".to_owned());
        let line = |number, text: &str| (number, "k".to_owned(), text.to_owned());
        let all = vec![line(1, "a"), line(3, "b"), line(4, "c")];
        assert_eq!(read("a\n\nb\r\nc", key(), 0).await, (all.clone(), None));
        assert_eq!(read("a\n\nb\r\nc\n", key(), 1).await, (all[1..].to_vec(), None), "behind the checkpoint");
        assert_eq!(read("", key(), 0).await, (vec![], None));
        assert_eq!(read("a\n", key(), 9).await, (vec![], None), "a checkpoint behind the end");
    }

    #[tokio::test]
    async fn keys_come_from_a_field_or_from_the_line() {
        let (found, error) = read("{\"n\":\"uw\"}\n{\"n\":7}\n", field("n"), 0).await;
        assert_eq!(error, None);
        assert_eq!(found.iter().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>(), ["uw", "7"]);
        let (found, _) = read("abc\nabc\nx\n", KeySource::Digest, 0).await;
        // The digest of "abc" is FIPS 180-2's example.
        assert_eq!(found[0].1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(found[0].1 == found[1].1 && found[1].1 != found[2].1);
    }

    #[tokio::test]
    async fn a_line_that_is_wrong_is_named_behind_the_good_ones() {
        for (bad, expected) in [
            ("{\"m\":1}", "line 2 of FILE: it has no field 'n' to be the partition key"),
            ("[1]", "line 2 of FILE: it is no JSON object, so it has no field 'n' to be the partition key"),
            ("{", "line 2 of FILE: it is no JSON: EOF while parsing an object at line 1 column 1"),
            ("{\"n\":null}", "line 2 of FILE: its field 'n' is null; a partition key is a text or a number"),
            ("{\"n\":\"\"}", "line 2 of FILE: its field 'n': a partition key has 1 to 256 characters, this one has 0"),
        ] {
            let (found, error) = read(&format!("{{\"n\":\"a\"}}\n{bad}\n{{\"n\":\"c\"}}\n"), field("n"), 0).await;
            assert_eq!(found.len(), 1, "{bad}");
            let error = error.unwrap();
            let (head, tail) = error.split_once(" of /").map_or((error.as_str(), ""), |(head, tail)| {
                (head, tail.split_once(": ").map_or("", |(_, tail)| tail))
            });
            assert_eq!(format!("{head} of FILE: {tail}"), expected);
        }
        let long = "x".repeat(RECORD_BYTES_DEFAULT + 1);
        let (found, error) = read(&format!("{}\n{long}\n", &long[1..]), KeySource::Digest, 0).await;
        assert_eq!(found.len(), 1, "the longest record is taken");
        assert!(error.unwrap().contains("it is longer than 1048576 bytes"));
    }
}
