//! The benchmarks: what the node can do, beside the limit that the machine sets, measured in the same run.
//!
//! A figure is the median of [`ROUNDS`] rounds, and the rounds of its limit lie between them, so that whatever else the
//! machine does meets both alike. Unlike the tests, some of these look inside the node: they use its rooms as a library
//! where a process boundary would blur what is measured.

mod append;
mod cold;
mod dataset;
mod disk;
mod drain;
mod edit;
mod efo;
mod encoding;
mod figure;
mod function;
mod group;
mod guest;
mod http;
mod idle;
mod load;
mod many;
mod node;
mod opening;
mod process_io;
mod put;
mod report;
mod reshard;
mod rounds;
mod scale;
mod sink;
mod space;
mod store;
mod streams;
mod subscriber;
mod tail;
mod tls;
mod trigger;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub use self::dataset::fill_unclosed as fill;
pub use self::report::say;
pub use self::sink::serve as sink;

use self::figure::Figure;

/// Rounds of each figure, and of its limit.
const ROUNDS: usize = 7;
/// Bytes of data and partition key of a record, where no other size is said.
const RECORD_BYTES: usize = 1024;
/// Records of a put where there are many.
const PUT_RECORDS: usize = 500;
/// Bytes of a megabyte, as throughput counts them.
const MB: f64 = 1e6;

/// Which figures to measure.
#[derive(Debug, Clone)]
pub struct Selection {
    prefix: String,
}

impl Selection {
    /// Those whose names begin with `prefix`.
    pub fn new(prefix: String) -> Self {
        Self { prefix }
    }

    fn has(&self, name: &str) -> bool {
        name.starts_with(&self.prefix)
    }
}

/// One measurement; some give several figures.
#[derive(Debug, Clone, Copy)]
enum Bench {
    Append(append::Load),
    AppendGroup,
    AppendStreams,
    ReadTail,
    ReadCold,
    Disk,
    Opening,
    Http(http::Call),
    HttpEncodings,
    HttpTls,
    HttpIdle,
    Efo,
    EfoThroughput,
    Trigger,
    TriggerThroughput,
    TriggersIdle,
    Function,
    CliPut,
    Edit,
    NodeStart,
    NodeMemory,
    ScalePut(scale::Load),
    ScaleNode,
    ScaleStreams,
    Reshard,
}

const BENCHES: [Bench; 28] = [
    Bench::Append(append::Load::Many),
    Bench::Append(append::Load::One),
    Bench::AppendGroup,
    Bench::AppendStreams,
    Bench::ReadTail,
    Bench::ReadCold,
    Bench::Disk,
    Bench::Opening,
    Bench::Http(http::Call::PutRecords),
    Bench::Http(http::Call::PutRecord),
    Bench::HttpEncodings,
    Bench::HttpTls,
    Bench::HttpIdle,
    Bench::Efo,
    Bench::EfoThroughput,
    Bench::Trigger,
    Bench::TriggerThroughput,
    Bench::TriggersIdle,
    Bench::Function,
    Bench::CliPut,
    Bench::Edit,
    Bench::NodeStart,
    Bench::NodeMemory,
    Bench::ScalePut(scale::Load::One),
    Bench::ScalePut(scale::Load::Many),
    Bench::ScaleNode,
    Bench::ScaleStreams,
    Bench::Reshard,
];

impl Bench {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Append(load) => load.names(),
            Self::AppendGroup => &group::NAMES,
            Self::AppendStreams => &streams::NAMES,
            Self::ReadTail => &tail::NAMES,
            Self::ReadCold => &cold::NAMES,
            Self::Disk => &space::NAMES,
            Self::Opening => &opening::NAMES,
            Self::Http(call) => call.names(),
            Self::HttpEncodings => &encoding::NAMES,
            Self::HttpTls => &tls::NAMES,
            Self::HttpIdle => &idle::NAMES,
            Self::Efo => &efo::LATENCY,
            Self::EfoThroughput => &efo::THROUGHPUT,
            Self::Trigger => &trigger::NAMES,
            Self::TriggerThroughput => &drain::NAMES,
            Self::TriggersIdle => &scale::TRIGGERS,
            Self::Function => &function::NAMES,
            Self::CliPut => &put::NAMES,
            Self::Edit => &edit::NAMES,
            Self::NodeStart => &node::START,
            Self::NodeMemory => &node::MEMORY,
            Self::ScalePut(load) => load.names(),
            Self::ScaleNode => &scale::NODE,
            Self::ScaleStreams => &many::NAMES,
            Self::Reshard => &reshard::NAMES,
        }
    }

    async fn run(self, folder: &Path) -> Result<Vec<Figure>> {
        match self {
            Self::Append(load) => append::run(load, folder).await,
            Self::AppendGroup => group::run(folder).await,
            Self::AppendStreams => streams::run(folder).await,
            Self::ReadTail => tail::run(folder).await,
            Self::ReadCold => cold::run(folder).await,
            Self::Disk => space::run(folder).await,
            Self::Opening => opening::run(folder).await,
            Self::Http(call) => http::run(call, folder).await,
            Self::HttpEncodings => encoding::run(folder).await,
            Self::HttpTls => tls::run(folder).await,
            Self::HttpIdle => idle::run(folder).await,
            Self::Efo => efo::latency(folder).await,
            Self::EfoThroughput => efo::throughput(folder).await,
            Self::Trigger => trigger::run(folder).await,
            Self::TriggerThroughput => drain::run(folder).await,
            Self::TriggersIdle => scale::triggers(folder),
            Self::Function => function::run(folder).await,
            Self::CliPut => put::run(folder),
            Self::Edit => edit::run(folder),
            Self::NodeStart => node::start(folder),
            Self::NodeMemory => node::memory(folder),
            Self::ScalePut(load) => scale::puts(load, folder).await,
            Self::ScaleNode => scale::nodes(folder),
            Self::ScaleStreams => many::run(folder).await,
            Self::Reshard => reshard::run(folder).await,
        }
    }
}

/// Measures, prints the table, and writes `target/bench.json`.
pub async fn run(selection: &Selection) -> Result<()> {
    let target = target()?;
    let chosen = BENCHES.into_iter().filter(|bench| bench.names().iter().any(|name| selection.has(name)));
    let chosen: Vec<Bench> = chosen.collect();
    if chosen.is_empty() {
        let names: Vec<_> = BENCHES.iter().flat_map(|bench| bench.names()).copied().collect();
        bail!("no figure's name begins with '{}'; there are {}", selection.prefix, names.join(", "));
    }
    let machine = report::Machine::look();
    machine.describe();
    let mut figures = Vec::new();
    for bench in chosen {
        let folder = scratch(&target)?;
        let measured = bench.run(folder.path()).await.with_context(|| format!("{:?}", bench.names()))?;
        figures.extend(measured.into_iter().filter(|figure| selection.has(figure.name)));
        drop(folder);
        rustix::fs::sync(); // what the disk has to do for that is not for the next measurement to wait for
    }
    report::write(&target.join("bench.json"), &figures)?;
    report::print(&machine, &figures)
}

/// The folder that this binary was built into: `TARGET/PROFILE/bench`.
fn target() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).filter(|target| target.join("CACHEDIR.TAG").exists());
    Ok(target.with_context(|| format!("{} does not lie in a target folder", own.display()))?.to_path_buf())
}

/// Where a measurement keeps its files: on the disk that the repository is on, since `/tmp` may be memory.
fn scratch(target: &Path) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(target)?)
}
