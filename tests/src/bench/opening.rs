//! How soon a store with 4 GB in one stream is open, and what it reads for that.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::ROUNDS;
use super::dataset::{self, PUT_BYTES};
use super::figure::{Bar, Figure};
use super::process_io::{ProcessIo, disk_free_bytes, forget_pages};
use super::report::{say, shown};
use super::rounds::{median, rounds};
use super::store::Opened;

pub(super) const NAMES: [&str; 4] =
    ["store.open.4GB", "store.open.4GB.read", "store.open.4GB.crash", "store.open.4GB.crash.read"];

const PUTS: usize = 4_000_000_000_usize.div_ceil(PUT_BYTES);
/// What lies in front of each further crash: a log that was opened begins with small segments, and these puts bring it
/// to the middle of a large one, which then has frames and no footer.
const CRASH_PUTS: usize = (1 + 4 + 16 + 48) * (1 << 20) / PUT_BYTES;
const DISK_BYTES: u64 = 5_000_000_000;
/// What is asked of an opening.
const TIME_LIMIT_MS: f64 = 1000.0;
const READ_LIMIT_MIB: f64 = 128.0;

/// What some openings took.
#[derive(Debug, Default)]
struct Openings {
    times_ms: Vec<f64>,
    asked_mib: Vec<f64>,
}

/// Opens after a crash and after an end in good order, in turn, each time with no page of the data in memory.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let free = disk_free_bytes(folder)?;
    if free < DISK_BYTES {
        say(&format!("{NAMES:?} are left out: they need {DISK_BYTES} bytes of disk, and {free} are free"));
        return Ok(Vec::new());
    }
    let data = folder.join("data");
    let (mut closed, mut crashed) = (Openings::default(), Openings::default());
    dataset::fill_and_crash(&data, PUTS)?;
    for round in rounds("store.open.4GB", ROUNDS) {
        crashed.note("crash", &data).await?;
        closed.note("good order", &data).await?;
        if round < ROUNDS {
            dataset::fill_and_crash(&data, CRASH_PUTS)?;
        }
    }
    let [time, read, crash_time, crash_read] = NAMES;
    Ok([closed.figures(time, read)?, crashed.figures(crash_time, crash_read)?].concat())
}

impl Openings {
    /// Opens the store, and closes it in good order.
    async fn note(&mut self, after: &str, data: &Path) -> Result<()> {
        forget_pages(data)?;
        let (before, start) = (ProcessIo::now()?, Instant::now());
        let opened = Opened::open(data).await?;
        let (time_ms, io) = (start.elapsed().as_secs_f64() * 1e3, ProcessIo::since(before)?);
        opened.close();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (asked, disk) = (mib(io.asked_bytes), mib(io.disk_bytes));
        let (time, asked_shown, disk) = (shown(time_ms), shown(asked), shown(disk));
        say(&format!("  after {after}: {time} ms, {asked_shown} MiB read, {disk} MiB of them from the disk"));
        self.times_ms.push(time_ms);
        self.asked_mib.push(asked);
        Ok(())
    }

    fn figures(&self, time: &'static str, read: &'static str) -> Result<[Figure; 2]> {
        let bar = Bar::AtMost(1.0);
        let time = Figure::new(time, median(&self.times_ms)?, "ms").with_limit(TIME_LIMIT_MS).with_bar(bar);
        let read = Figure::new(read, median(&self.asked_mib)?, "MiB").with_limit(READ_LIMIT_MIB).with_bar(bar);
        Ok([time, read])
    }
}
