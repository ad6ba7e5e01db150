//! A stream of 8 shards with data in it, for what must not come from memory.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tidemill_stream::name::StreamName;
use tidemill_stream::stream::Stream;

use super::report::say;
use super::store::{self, Opened};
use super::{PUT_RECORDS, RECORD_BYTES};

pub(super) const SHARDS: u32 = 8;
pub(super) const PUT_BYTES: usize = PUT_RECORDS * RECORD_BYTES;
const STREAM: &str = "orders";
/// Different puts, made beforehand and put in turn.
const PUTS: usize = 64;

/// The stream, made when it is not there.
pub(super) async fn stream(opened: &Opened) -> Result<Arc<Stream>> {
    match opened.store.stream(&StreamName::parse(STREAM)?) {
        Ok(stream) => Ok(stream),
        Err(_) => store::create(&opened.store, STREAM, SHARDS).await,
    }
}

/// Puts so many times 500 records of 1 KiB, one put after another: a commit each, so that every frame holds some records
/// of each shard.
pub(super) async fn fill(opened: &Opened, count: usize) -> Result<()> {
    let stream = stream(opened).await?;
    let puts = store::puts(PUTS, PUT_RECORDS, RECORD_BYTES)?;
    for records in puts.iter().cycle().take(count) {
        store::put(&opened.store, &stream.name, records.clone()).await?;
    }
    Ok(())
}

/// Fills in a process of its own, which ends without closing the store, as in a crash.
pub(super) fn fill_and_crash(folder: &Path, puts: usize) -> Result<()> {
    say(&format!("  {} MB are put", puts * PUT_BYTES / 1_000_000));
    let mut child = Command::new(std::env::current_exe()?);
    let ended = child.arg("--fill").arg(folder).arg("--puts").arg(puts.to_string()).status()?;
    ensure!(ended.success(), "the process that fills {} ended with {ended}", folder.display());
    Ok(())
}

/// What that process does.
pub async fn fill_unclosed(folder: &Path, puts: usize) -> Result<()> {
    let opened = Opened::open(folder).await?;
    fill(&opened, puts).await?;
    std::mem::forget(opened);
    Ok(())
}
