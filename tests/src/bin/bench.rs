//! `make bench`: what the node can do, beside what this machine can do.

use std::alloc::System;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidemill_tests::bench::{self, Selection};

/// Counts what is allocated, for the figures that say so.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Measure the node, and in the same run the limit that the machine sets for each figure.
///
/// Prints a table and writes target/bench.json. Each figure is the median of several rounds, and its limit is measured
/// between those rounds. Takes a few minutes. A bar that is not met is shown, and does not fail the run.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:
  make bench
  cargo run --release --package tidemill-tests --bin bench -- store.append   # the figures whose names begin so"
)]
struct Arguments {
    /// Only the figures whose names begin with this.
    #[arg(value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Be the server that the HTTP figures are compared with: answers what comes on standard input.
    #[arg(long, hide = true)]
    sink: bool,
    /// Write what is asked to this file, and sync it, before it is answered.
    #[arg(long, hide = true, requires = "sink")]
    log: Option<PathBuf>,
    /// Fill the store in this folder, and end without closing it.
    #[arg(long, hide = true, requires = "puts")]
    fill: Option<PathBuf>,
    /// How often 500 records are put there.
    #[arg(long, hide = true)]
    puts: Option<usize>,
}

impl Arguments {
    async fn run(self) -> anyhow::Result<()> {
        match (self.sink, self.fill.zip(self.puts)) {
            (true, _) => bench::sink(self.log).await,
            (false, Some((folder, puts))) => bench::fill(&folder, puts).await,
            (false, None) => bench::run(&Selection::new(self.prefix)).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bench::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
