//! `make bench`: what the node can do, beside what this machine can do.

use std::process::ExitCode;

use clap::Parser;
use tidemill_tests::bench::{self, Selection};

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.sink { bench::sink().await } else { bench::run(&Selection::new(arguments.prefix)).await };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bench::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
