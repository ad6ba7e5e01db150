//! Records as lines.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tidemill_client::Record;
use tidemill_stream::clock::Timestamp;

use crate::cli::text::{cell, cut, on_one_line, short_shard, time};
use crate::harmless;

/// Columns of a partition key on a terminal.
const KEY_COLUMNS: usize = 16;

/// How a record is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// In columns, cut to this width.
    Columns(usize),
    /// Whole, divided by tabs.
    Tabs,
    /// As JSON.
    Json,
}

/// Standard output, until as many records were shown as are wanted, or nobody reads it any more.
#[derive(Debug)]
pub(super) struct Out {
    shown: Shown,
    /// How many records are still wanted; `None`: all.
    left: Option<u64>,
    is_read: bool,
}

/// A record, for `--json`.
#[derive(Debug, Serialize)]
struct RecordJson<'a> {
    /// RFC 3339.
    time: String,
    shard: &'a str,
    partition_key: &'a str,
    sequence_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    /// In place of `data` where that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl Out {
    pub(super) fn new(shown: Shown, limit: Option<u64>) -> Self {
        Self { shown, left: limit, is_read: true }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_read && self.left != Some(0)
    }

    /// Shows a shard's next records. They are out when this returns.
    pub(super) fn show(&mut self, shard: &str, records: &[Record]) -> anyhow::Result<()> {
        let wanted = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let mut lines = String::new();
        let mut count = 0;
        for record in records.iter().take(wanted) {
            lines.push_str(&self.shown.line(shard, record)?);
            lines.push('\n');
            count += 1;
        }
        self.left = self.left.map(|left| left - count);
        let mut stdout = io::stdout().lock();
        match stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_read = false,
            written => written.context("cannot write to standard output")?,
        }
        Ok(())
    }
}

impl Shown {
    fn line(self, shard: &str, record: &Record) -> anyhow::Result<String> {
        match self {
            Self::Json => json(shard, record),
            Self::Tabs => {
                let (key, data) = (on_one_line(&record.partition_key), text(&record.data));
                Ok(format!("{}\t{}\t{key}\t{data}", arrival(record), short_shard(shard)))
            }
            Self::Columns(columns) => Ok(cut(&in_columns(shard, record, columns), columns)),
        }
    }
}

fn json(shard: &str, record: &Record) -> anyhow::Result<String> {
    let data = std::str::from_utf8(&record.data).ok();
    Ok(harmless::json(&serde_json::to_string(&RecordJson {
        time: arrival(record),
        shard,
        partition_key: &record.partition_key,
        sequence_number: &record.sequence_number,
        data,
        data_base64: data.is_none().then(|| STANDARD.encode(&record.data)),
    })?))
}

fn in_columns(shard: &str, record: &Record, columns: usize) -> String {
    // What is behind the terminal's edge is not worth the work.
    let head = record.data.get(..4 * columns).unwrap_or(&record.data);
    let (key, data) = (cell(&on_one_line(&record.partition_key), KEY_COLUMNS), text(whole_characters(head)));
    let mut line = arrival(record).replace('T', " ");
    let _ = write!(line, " {:>4} {key} {data}", short_shard(shard)); // a string takes all
    line
}

/// The bytes without a character at their end that was cut in two.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        Ok(_) | Err(_) => bytes,
    }
}

fn text(data: &[u8]) -> String {
    std::str::from_utf8(data).map_or_else(|_| format!("base64:{}", STANDARD.encode(data)), on_one_line)
}

fn arrival(record: &Record) -> String {
    time(Timestamp::from_millis(u64::try_from(record.arrival_ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SHARD: &str = "shardId-000000000007";

    fn record(key: &str, data: &'static [u8]) -> Record {
        let data = Bytes::from_static(data);
        Record { sequence_number: "49".into(), arrival_ms: 1_763_889_153_120, partition_key: key.into(), data }
    }

    #[test]
    fn each_way_has_its_lines() {
        let long = "k".repeat(20);
        for (shown, record, expected) in [
            (Shown::Tabs, record("us", b"a\tb"), "2025-11-23T09:12:33.120Z\t7\tus\ta\\tb".to_owned()),
            (Shown::Tabs, record("us", &[0xff, 0]), "2025-11-23T09:12:33.120Z\t7\tus\tbase64:/wA=".to_owned()),
            (
                Shown::Columns(80),
                record("us", b"some text that is not too long"),
                "2025-11-23 09:12:33.120Z    7 us               some text that is not too long".to_owned(),
            ),
            (
                Shown::Columns(55),
                record(&long, b"some text"),
                format!("2025-11-23 09:12:33.120Z    7 {}… some te…", &long[..15]),
            ),
            (
                Shown::Json,
                record("us", b"{\"a\": 1}"),
                format!(
                    r#"{{"time":"2025-11-23T09:12:33.120Z","shard":"{SHARD}","partition_key":"us","sequence_number":"49","data":"{{\"a\": 1}}"}}"#
                ),
            ),
            (
                Shown::Json,
                record("us", &[0xff, 0]),
                format!(
                    r#"{{"time":"2025-11-23T09:12:33.120Z","shard":"{SHARD}","partition_key":"us","sequence_number":"49","data_base64":"/wA="}}"#
                ),
            ),
        ] {
            assert_eq!(shown.line(SHARD, &record).unwrap(), expected);
        }
    }

    #[test]
    fn a_cut_inside_a_character_does_not_make_text_binary() {
        let text = "ä".repeat(200);
        let record = Record { data: Bytes::from(format!("x{text}")), ..record("k", b"") };
        let line = Shown::Columns(80).line(SHARD, &record).unwrap();
        assert!(line.contains(" xäää") && line.ends_with("ä…"), "{line}");
    }
}
