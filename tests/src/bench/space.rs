//! What the store takes of the disk.

use std::path::Path;

use anyhow::Result;

use super::dataset::{self, PUT_BYTES};
use super::figure::{Bar, Figure};
use super::process_io::disk_used_bytes;
use super::report::say;
use super::store::{self, Opened};

pub(super) const NAMES: [&str; 2] = ["store.disk.used_per_byte", "store.disk.idle_stream"];

/// About 1 GB.
const PUTS: usize = 2000;
const IDLE_STREAMS: usize = 100;
const KIB: f64 = 1024.0;
/// What a stream without a record may take.
const IDLE_LIMIT_KIB: f64 = 64.0;

/// Measures both on stores that are open.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let [used, idle] = NAMES;
    say(&format!("{used}: {} MB are put", PUTS * PUT_BYTES / 1_000_000));
    let used_per_byte = used_per_byte(&folder.join("full")).await?;
    say(&format!("{idle}: {IDLE_STREAMS} streams are made"));
    let idle_kib = idle_kib(&folder.join("idle")).await?;
    let used = Figure::new(used, used_per_byte, "B/B").with_limit(1.0).with_bar(Bar::AtMost(1.1));
    let idle = Figure::new(idle, idle_kib, "KiB").with_limit(IDLE_LIMIT_KIB).with_bar(Bar::AtMost(1.0));
    Ok(vec![used, idle])
}

/// Bytes of blocks for each byte of data and partition keys, the room for records to come included.
async fn used_per_byte(data: &Path) -> Result<f64> {
    let opened = Opened::open(data).await?;
    dataset::fill(&opened, PUTS).await?;
    let used = disk_used_bytes(data)?;
    opened.close();
    Ok(used as f64 / (PUTS * PUT_BYTES) as f64)
}

/// KiB of blocks for each stream that has no record: its folder, its segment, its documents. The first stream does not
/// count, since with it the store makes files that all streams share.
async fn idle_kib(data: &Path) -> Result<f64> {
    let opened = Opened::open(data).await?;
    store::create(&opened.store, "first", 1).await?;
    let before = disk_used_bytes(data)?;
    for index in 0..IDLE_STREAMS {
        store::create(&opened.store, &format!("idle-{index:03}"), 1).await?;
    }
    let used = disk_used_bytes(data)?.saturating_sub(before);
    opened.close();
    Ok(used as f64 / KIB / IDLE_STREAMS as f64)
}
