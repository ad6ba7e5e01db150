//! How soon a node is ready, and what memory it holds when nothing happens.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::ROUNDS;
use super::figure::Figure;
use super::rounds::{median, rounds};
use crate::build;
use crate::node::{Node, Setup};

pub(super) const START: [&str; 1] = ["node.start"];
pub(super) const MEMORY: [&str; 1] = ["node.idle_rss"];

/// As Linux counts processor time.
const TICKS_A_SECOND: f64 = 100.0;
const STREAMS: &str = "streams:\n  orders: { shards: 1 }\n";

/// From the start of the process to its ready line, on a data folder that it has used before.
pub(super) fn start(folder: &Path) -> Result<Vec<Figure>> {
    let setup = Setup::new(folder, STREAMS)?;
    setup.start()?.stop()?;
    let mut times = Vec::new();
    for _ in rounds("node.start", ROUNDS) {
        let start = Instant::now();
        let node = setup.start()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        node.stop()?;
    }
    START.into_iter().map(|name| Ok(Figure::new(name, median(&times)?, "ms"))).collect()
}

/// The resident memory of a node with a stream and a function, of which nothing is asked.
pub(super) fn memory(folder: &Path) -> Result<Vec<Figure>> {
    let path = build::function("counter")?;
    let setup = Setup::new(folder, &format!("{STREAMS}functions:\n  counter: {{ path: {} }}\n", path.display()))?;
    setup.start()?.stop()?; // compiles the function
    let mut sizes = Vec::new();
    for _ in rounds("node.idle_rss", ROUNDS) {
        let node = setup.start()?;
        sizes.push(resident_mb(node.process())?);
        node.stop()?;
    }
    MEMORY.into_iter().map(|name| Ok(Figure::new(name, median(&sizes)?, "MB"))).collect()
}

/// `VmRSS` of a process; Linux says it in KiB.
pub(super) fn resident_mb(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("this needs Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// The processor time of a process, its own and that of the system for it (`utime` and `stime` in `/proc/PID/stat`).
pub(super) fn busy_secs(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("this needs Linux")?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat has no name")?;
    let times: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum::<f64>() / TICKS_A_SECOND)
}

/// What a node works while it is watched, in percent of a core. Blocks.
pub(super) fn busy_percent(node: &Node, watched: Duration) -> Result<f64> {
    let before = busy_secs(node.process())?;
    thread::sleep(watched);
    Ok((busy_secs(node.process())? - before) / watched.as_secs_f64() * 100.0)
}
