//! How fast `tidemill put` puts the lines of a file into a node.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::ROUNDS;
use super::figure::{Bar, Figure};
use super::rounds::{median, rounds};
use crate::build;
use crate::node::Setup;

pub(super) const NAMES: [&str; 1] = ["cli.put.rate"];

const MANIFEST: &str = "streams:\n  orders: { shards: 4 }\n";
/// Lines of a round.
const LINES: usize = 200_000;
/// Bytes of a line, with its end.
const LINE_BYTES: usize = 200;
/// What it should come to, records a second.
const RATE_MIN: f64 = 100_000.0;

/// The rate as a user sees it: the whole program, from its start to its end.
pub(super) fn run(folder: &Path) -> Result<Vec<Figure>> {
    let file = folder.join("lines.jsonl");
    write_lines(&file)?;
    let node = Setup::new(folder, MANIFEST)?.start()?;
    put(&node.url(), &file)?; // warms the node up
    let mut rates = Vec::new();
    for _ in rounds("cli.put.rate", ROUNDS) {
        rates.push(put(&node.url(), &file)?);
    }
    node.stop()?;
    let figure =
        |name| Ok(Figure::new(name, median(&rates)?, "records/s").with_limit(RATE_MIN).with_bar(Bar::AtLeast(1.0)));
    NAMES.into_iter().map(figure).collect()
}

fn write_lines(file: &Path) -> Result<()> {
    let mut lines = BufWriter::new(std::fs::File::create(file)?);
    for number in 0..LINES {
        let head = format!("{{\"key\":\"k{}\",\"number\":{number},\"text\":\"", number % 997);
        writeln!(lines, "{head:x<width$}\"}}", width = LINE_BYTES - 3)?;
    }
    Ok(lines.flush()?)
}

fn put(url: &str, file: &Path) -> Result<f64> {
    let mut command = Command::new(build::binary()?);
    command.args(["put", "orders", "--key-field", "key", "--json", "--node", url]).arg(file).stdin(Stdio::null());
    let start = std::time::Instant::now();
    let output = command.output()?;
    let elapsed = start.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: Value = serde_json::from_slice(&output.stdout)?;
    let records = done.get("records").and_then(Value::as_u64).context("no records are said")?;
    ensure!(records == LINES as u64, "{records} records were put of {LINES}");
    Ok(records as f64 / elapsed.as_secs_f64())
}
