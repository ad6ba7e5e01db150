//! `tidemill up` and `tidemill serve`: a node until it is told to stop.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use serde::Serialize;
use tempfile::TempDir;
use tidemill_stream::capacity::Capacity;
use tidemill_stream::demand::DemandRules;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tracing::{error, info};

use super::access::{access, check_exposure, encryption_keys, warn_if_open};
use super::aids::AidArgs;
use super::open_files;
use super::output::{json_to_stdout, to_stdout, with_causes};
use super::signals::{self, Stop};
use super::supervised;
use super::view::View;
use super::watch::Watch;
use crate::build::{self, Build};
use crate::certificate::CertificateFiles;
use crate::deploy::{LoadError, Manifest, Plan, parse_duration, parse_quota};
use crate::http::limits::{
    CONSUMERS_DEFAULT, CONSUMERS_QUOTA_MAX, ON_DEMAND_STREAMS_DEFAULT, QUOTA_MAX, SHARDS_DEFAULT,
};
use crate::http::{ApplyOrder, NotApplied, Quotas};
use crate::limits::APPLY_ORDERS_WAITING_MAX;
use crate::node::{ApplyOrders, Node, NodeOptions, Observer, Place, TlsIdentity};
use crate::telemetry::{LogFormat, log_to, log_to_stderr};

/// The data folder unless another one is named.
pub(super) const DATA_DEFAULT: &str = ".tidemill";

/// Build the functions of a manifest, deploy it, and serve.
///
/// Crate folders are built with cargo for wasm32-wasip2. The node then takes records at its address with the Kinesis API
/// and feeds them to the functions.
///
/// Whenever the manifest, the source of a function or a .wasm file changes, it is built and applied again, between two
/// batches. On a terminal, a view below the log lines shows what the node does. What does not build, or a manifest that is
/// wrong, is told, and what was deployed goes on. `tidemill deploy` and SIGHUP do the same at once. Ctrl-C and SIGTERM stop
/// the node: requests and batches in work end first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill up
  tidemill up --manifest shop/deploy.yaml --data /var/lib/tidemill
  tidemill up --tls   # takes https:// too
  tidemill up --ephemeral --listen 127.0.0.1:0 --ready-json   # for tests: nothing is kept, any free port")]
pub(super) struct UpArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Do not watch files for changes; `tidemill deploy` and SIGHUP still apply them.
    #[arg(long)]
    no_watch: bool,
    /// Show log lines only, on a terminal too.
    #[arg(long)]
    no_view: bool,
}

/// Deploy a manifest whose functions are built already, and serve.
///
/// The same as up, without building: what a crate folder's last build left is taken, and it is an error if there is
/// none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill serve --manifest deploy.yaml --data /var/lib/tidemill
  tidemill serve --log-format json --log info,tidemill::trigger=debug
  tidemill deploy   # from another terminal: reads the manifest again, as kill -HUP PID does")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// The streams, functions and triggers that the node shall have.
    #[arg(long, value_name = "FILE", default_value = "deploy.yaml")]
    manifest: PathBuf,
    /// The folder that keeps everything; made if there is none.
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// Keep everything in memory: it is gone when the node stops.
    #[arg(long, conflicts_with_all = ["data", "ephemeral"])]
    memory: bool,
    /// Keep everything in a temporary folder, as durably as elsewhere, and remove it when the node stops: for tests.
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// The disk space that records may take, like 100GiB: puts are refused beyond it, before the disk is full. Without
    /// it there is no limit but the disk.
    #[arg(long, value_name = "SIZE", value_parser = parse_quota, conflicts_with = "memory")]
    disk_quota: Option<u64>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4567", value_parser = listen_address)]
    listen: SocketAddr,
    /// Speak TLS too, on the same port: with a certificate of the node's own, which is made at the first start and kept in
    /// the data folder, as tls/certificate.pem.
    #[arg(long)]
    tls: bool,
    /// Speak TLS too, with this certificate and those that vouch for it, in PEM. It is read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// A name by which the node may be asked, beside its IP addresses and localhost, while it listens on this machine
    /// only; may be given several times.
    #[arg(long = "allow-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// The access keys that may use the Kinesis API, in a file of YAML: every request must be signed with one of them.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// The keys that streams may be encrypted with on the disk, in a file of YAML outside the data folder.
    #[arg(long, value_name = "FILE")]
    encryption_keys: Option<PathBuf>,
    /// Listen beyond this machine without access keys, although anyone who can connect may read and write then.
    #[arg(long)]
    insecure: bool,
    /// The account of callers that name none, in ARNs.
    #[arg(long, value_name = "DIGITS", default_value = "000000000000")]
    account: String,
    /// The region of callers that name none, in ARNs.
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
    /// Split a shard of an on-demand stream that takes more than 512 KiB or 500 records a second for so long.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    on_demand_split_after: Duration,
    /// Merge neighbours of an on-demand stream that take less than a tenth of that for so long.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    on_demand_merge_after: Duration,
    /// Refuse the API further shards when so many are open, those of all streams together.
    #[arg(long, value_name = "COUNT", default_value_t = SHARDS_DEFAULT, value_parser = quota())]
    shard_limit: u32,
    /// Refuse the API further on-demand streams when there are so many.
    #[arg(long, value_name = "COUNT", default_value_t = ON_DEMAND_STREAMS_DEFAULT, value_parser = quota())]
    on_demand_stream_limit: u32,
    /// Refuse further registered consumers of a stream when it has so many.
    #[arg(long, value_name = "COUNT", default_value_t = CONSUMERS_DEFAULT, value_parser = consumers())]
    consumer_limit: u32,
    /// What each shard takes and gives in a second, where its stream does not say: as much as the disk does, or what a
    /// shard of AWS does, with AWS's errors beyond it.
    #[arg(long, value_name = "CAPACITY", default_value = Capacity::Unlimited.name(), value_parser = capacity())]
    capacity: Capacity,
    #[command(flatten)]
    aids: AidArgs,
    /// Print one line of JSON on standard output when the node is ready: ready, address and pid.
    #[arg(long)]
    ready_json: bool,
    /// What log lines on standard error look like.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "human")]
    log_format: LogFormat,
    /// Which log lines: a level, or target=level,..; without it the variable `RUST_LOG` counts, else info.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

fn quota() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(0..=u64::from(QUOTA_MAX))
}

fn consumers() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(0..=u64::from(CONSUMERS_QUOTA_MAX))
}

fn capacity() -> impl TypedValueParser<Value = Capacity> {
    PossibleValuesParser::new(Capacity::ALL.map(Capacity::name)).map(|name| Capacity::parse(&name).unwrap_or_default())
}

#[derive(Serialize)]
struct Announcement {
    ready: bool,
    address: SocketAddr,
    /// Whether it speaks TLS there, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tls: bool,
    pid: u32,
}

pub(super) async fn up(args: UpArgs) -> anyhow::Result<()> {
    let sources = (!args.no_watch).then(|| Watch::new(args.node.data.clone())).transpose()?;
    let has_view = !args.no_view && args.node.log_format == LogFormat::Human && std::io::stderr().is_terminal();
    let view = has_view.then(View::new).transpose()?;
    run(args.node, Build::Always, sources, view).await
}

pub(super) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    run(args.node, Build::Never, None, None).await
}

async fn run(args: NodeArgs, build: Build, sources: Option<Watch>, view: Option<View>) -> anyhow::Result<()> {
    match &view {
        Some(view) => log_to(view.clone(), args.log_format, args.log.as_deref())?,
        None => log_to_stderr(args.log_format, args.log.as_deref())?,
    }
    check_exposure(args.listen.ip(), args.insecure, args.credentials.is_some())?;
    let access = access(args.credentials.as_deref())?;
    let keys = encryption_keys(args.encryption_keys.as_deref(), &args.data)?;
    if let Some(key) = &args.tls_key {
        warn_if_open(key);
    }
    open_files::raise();
    let (mut stop, mut reload) = (Stop::new()?, signals::reload()?);
    let load = async {
        let (manifest, sources) = read(&args.manifest).await?;
        anyhow::Ok((built(manifest, build).await?, sources))
    };
    let loaded = tokio::select! {
        loaded = load => loaded?,
        () = stop.received() => return Ok(()),
    };
    let (place, _scratch) = place(&args)?;
    let (account, region) = (args.account.clone(), args.region.clone());
    let (orders, ordered) = mpsc::channel(APPLY_ORDERS_WAITING_MAX);
    let manifest = std::path::absolute(&args.manifest).context("cannot tell where the manifest is")?;
    let orders = Some(ApplyOrders { manifest, orders });
    let demand = DemandRules {
        split_after: args.on_demand_split_after,
        merge_after: args.on_demand_merge_after,
        ..DemandRules::default()
    };
    let (listen, allowed_hosts) = (args.listen, args.allowed_hosts.clone());
    let disk_quota_bytes = args.disk_quota;
    let quotas = Quotas {
        shards_max: args.shard_limit,
        on_demand_streams_max: args.on_demand_stream_limit,
        consumers_max: args.consumer_limit,
    };
    let options = NodeOptions {
        place,
        disk_quota_bytes,
        keys,
        access,
        listen,
        tls: identity(&args),
        allowed_hosts,
        account,
        region,
        orders,
        demand,
        quotas,
        capacity: args.capacity,
        aids: args.aids.aids(),
    };
    let mut node = Node::start(options).await?;
    let observer = node.observer();
    let told = Told { reload: &mut reload, sources, ordered, view: view.as_ref() };
    let ended = tokio::select! {
        done = serve_until_told(&mut node, loaded, &args, build.again(), told) => done,
        () = stop.received() => Ok(()),
        () = draw(view.as_ref(), &observer) => Ok(()),
    };
    if let Some(view) = &view {
        view.hide();
    }
    info!("stopping");
    supervised::stopping();
    node.stop().await;
    ended
}

/// Never ends.
async fn draw(view: Option<&View>, observer: &Observer) {
    match view {
        Some(view) => view.run(observer).await,
        None => std::future::pending().await,
    }
}

/// Whose certificate the node shows, where it speaks TLS.
fn identity(args: &NodeArgs) -> Option<TlsIdentity> {
    let given = args.tls_certificate.clone().zip(args.tls_key.clone());
    let given = given.map(|(certificate, key)| TlsIdentity::Given(CertificateFiles { certificate, key }));
    given.or_else(|| args.tls.then_some(TlsIdentity::SelfSigned))
}

/// Where the node keeps what it is given; a temporary folder goes when it is dropped.
fn place(args: &NodeArgs) -> anyhow::Result<(Place, Option<TempDir>)> {
    if args.memory {
        return Ok((Place::Memory, None));
    }
    if !args.ephemeral {
        return Ok((Place::Folder(args.data.clone()), None));
    }
    let scratch = tempfile::Builder::new().prefix("tidemill-").tempdir().context("cannot make a temporary folder")?;
    Ok((Place::Folder(scratch.path().to_owned()), Some(scratch)))
}

/// What tells the node to apply its manifest again.
struct Told<'a> {
    reload: &'a mut Signal,
    sources: Option<Watch>,
    ordered: mpsc::Receiver<ApplyOrder>,
    view: Option<&'a View>,
}

impl Told<'_> {
    fn watch(&mut self, manifest: &Path, sources: BTreeSet<PathBuf>) {
        if let Some(watch) = &mut self.sources {
            watch.set(sources.into_iter().chain([manifest.to_owned()]));
        }
    }

    /// Waits until it is time; whoever ordered it wants to know the outcome.
    async fn again(&mut self) -> anyhow::Result<Option<ApplyOrder>> {
        let Self { reload, sources, ordered, view: _ } = self;
        let changed = async {
            match sources {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = reload.recv() => signal.map(|()| None).context("signals cannot be received any more"),
            Some(order) = ordered.recv() => Ok(Some(order)),
            () = changed => Ok(None),
        }
    }
}

/// Ends only with an error.
async fn serve_until_told(
    node: &mut Node,
    (manifest, sources): (Manifest, BTreeSet<PathBuf>),
    args: &NodeArgs,
    build: Build,
    mut told: Told<'_>,
) -> anyhow::Result<()> {
    node.apply(&manifest).await?;
    told.watch(&args.manifest, sources);
    announce(node.address(), args)?;
    supervised::ready();
    loop {
        // Compilers write where the view stands.
        told.view.inspect(|view| view.show());
        let order = told.again().await?;
        told.view.inspect(|view| view.hide());
        let applied = apply_again(node, &args.manifest, build, &mut told).await;
        if let Err(error) = &applied {
            error!(error = with_causes(error), "the manifest was not applied; nothing has changed");
        }
        if let Some(order) = order {
            let _ = order.reply.send(outcome(applied)); // whoever ordered it may have gone
        }
    }
}

fn outcome(applied: anyhow::Result<Plan>) -> Result<serde_json::Value, NotApplied> {
    let failed = |error: anyhow::Error| {
        let said = with_causes(&error);
        if error.is::<LoadError>() { NotApplied::Invalid(said) } else { NotApplied::Failed(said) }
    };
    let plan = applied.map_err(failed)?;
    serde_json::to_value(plan).map_err(|error| NotApplied::Failed(error.to_string()))
}

async fn apply_again(node: &mut Node, manifest: &Path, build: Build, told: &mut Told<'_>) -> anyhow::Result<Plan> {
    let started = Instant::now();
    let (read, sources) = read(manifest).await?;
    // Before anything is built: what does not build is mended there.
    told.watch(manifest, sources);
    let plan = node.apply(&built(read, build).await?).await?;
    info!(manifest = %manifest.display(), took_ms = started.elapsed().as_millis(), "the manifest was read again");
    Ok(plan)
}

/// The manifest, and what its functions are made of.
pub(super) async fn read(path: &Path) -> anyhow::Result<(Manifest, BTreeSet<PathBuf>)> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let manifest = Manifest::load(&path)?;
        let sources = build::sources(&manifest);
        anyhow::Ok((manifest, sources))
    });
    read.await?
}

/// Finds or builds the functions, on a thread of its own.
pub(super) async fn built(mut manifest: Manifest, build: Build) -> anyhow::Result<Manifest> {
    let built = tokio::task::spawn_blocking(move || {
        build::resolve(&mut manifest, build)?;
        anyhow::Ok(manifest)
    });
    built.await?
}

fn announce(address: SocketAddr, args: &NodeArgs) -> anyhow::Result<()> {
    let tls = identity(args).is_some();
    if args.ready_json {
        return json_to_stdout(&serde_json::to_string(&Announcement {
            ready: true,
            address,
            tls,
            pid: std::process::id(),
        })?);
    }
    let and = if tls { format!(" and https://{address}") } else { String::new() };
    to_stdout(&format!("Tidemill is ready at http://{address}{and} (Kinesis API; GET /status, /health, /metrics)"))
}

/// An address, or a name that has one: of several the first of IPv4, as which most clients know localhost.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let rule = "write an address and a port, like 127.0.0.1:4567, [::1]:4567 or localhost:4567";
    let found = text.to_socket_addrs().map_err(|error| format!("{error}; {rule}"))?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().ok_or_else(|| rule.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_name() {
        assert_eq!(listen_address("localhost:4567").unwrap().port(), 4567);
        assert!(listen_address("localhost:0").unwrap().ip().is_loopback());
        assert_eq!(listen_address("[::1]:1").unwrap().to_string(), "[::1]:1");
        for bad in ["4567", "localhost", "127.0.0.1", ":4567:", "127.0.0.1:99999"] {
            let error = listen_address(bad).unwrap_err();
            assert!(error.contains("like 127.0.0.1:4567"), "{bad}: {error}");
        }
    }
}
