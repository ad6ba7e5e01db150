//! `tidemill up` and `tidemill serve`: a node until it is told to stop.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::signal::unix::Signal;
use tracing::{debug, error, info};

use super::build::{self, Build};
use super::output::to_stdout;
use super::signals::{self, Stop};
use crate::deploy::Manifest;
use crate::node::{Node, NodeOptions, Place};
use crate::telemetry::{LogFormat, log_to_stderr};

/// The data folder unless another one is named.
pub(super) const DATA_DEFAULT: &str = ".tidemill";

/// Build the functions of a manifest, deploy it, and serve.
///
/// Crate folders are built with cargo for wasm32-wasip2. The node then takes records at its address with the Kinesis API
/// and feeds them to the functions. SIGHUP builds and applies the manifest again: a manifest that is wrong is logged and
/// changes nothing. Ctrl-C and SIGTERM stop the node: requests and batches in work end first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill up
  tidemill up --manifest shop/deploy.yaml --data /var/lib/tidemill
  tidemill up --memory --listen 127.0.0.1:0 --ready-json   # for tests: nothing is kept, any free port")]
pub(super) struct UpArgs {
    #[command(flatten)]
    node: NodeArgs,
}

/// Deploy a manifest whose functions are built already, and serve.
///
/// The same as up, without building: what a crate folder's last build left is taken, and it is an error if there is
/// none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill serve --manifest deploy.yaml --data /var/lib/tidemill
  tidemill serve --log-format json --log info,tidemill::trigger=debug
  kill -HUP PID   # reads the manifest again")]
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
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4567")]
    listen: SocketAddr,
    /// Listen beyond this machine although anyone who can connect may read and write: no credentials can be set yet.
    #[arg(long)]
    insecure: bool,
    /// The account of callers that name none, in ARNs.
    #[arg(long, value_name = "DIGITS", default_value = "000000000000")]
    account: String,
    /// The region of callers that name none, in ARNs.
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
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

#[derive(Serialize)]
struct Announcement {
    ready: bool,
    address: SocketAddr,
    pid: u32,
}

pub(super) async fn up(args: UpArgs) -> anyhow::Result<()> {
    run(args.node, Build::Always).await
}

pub(super) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    run(args.node, Build::Never).await
}

async fn run(args: NodeArgs, build: Build) -> anyhow::Result<()> {
    log_to_stderr(args.log_format, args.log.as_deref())?;
    check_exposure(args.listen.ip(), args.insecure)?;
    raise_open_files();
    let (mut stop, mut reload) = (Stop::new()?, signals::reload()?);
    let manifest = tokio::select! {
        manifest = load(&args.manifest, build) => manifest?,
        () = stop.received() => return Ok(()),
    };
    let place = if args.memory { Place::Memory } else { Place::Folder(args.data.clone()) };
    let (account, region) = (args.account.clone(), args.region.clone());
    let mut node = Node::start(NodeOptions { place, listen: args.listen, account, region }).await?;
    let ended = tokio::select! {
        done = serve_until_told(&mut node, &manifest, &args, build, &mut reload) => done,
        () = stop.received() => Ok(()),
    };
    info!("stopping");
    node.stop().await;
    ended
}

/// Ends only with an error.
async fn serve_until_told(
    node: &mut Node,
    manifest: &Manifest,
    args: &NodeArgs,
    build: Build,
    reload: &mut Signal,
) -> anyhow::Result<()> {
    node.apply(manifest).await?;
    announce(node.address(), args)?;
    while reload.recv().await.is_some() {
        match apply_again(node, &args.manifest, build).await {
            Ok(()) => info!(manifest = %args.manifest.display(), "the manifest was read again"),
            Err(error) => error!(error = format!("{error:#}"), "the manifest was not applied; nothing has changed"),
        }
    }
    anyhow::bail!("signals cannot be received any more")
}

async fn apply_again(node: &mut Node, manifest: &Path, build: Build) -> anyhow::Result<()> {
    let manifest = load(manifest, build).await?;
    node.apply(&manifest).await.map(drop)
}

/// Reads the manifest and finds or builds its functions, on a thread of its own.
async fn load(path: &Path, build: Build) -> anyhow::Result<Manifest> {
    let path = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || {
        let mut manifest = Manifest::load(&path)?;
        build::resolve(&mut manifest, build)?;
        anyhow::Ok(manifest)
    });
    loaded.await?
}

fn announce(address: SocketAddr, args: &NodeArgs) -> anyhow::Result<()> {
    if args.ready_json {
        return to_stdout(&serde_json::to_string(&Announcement { ready: true, address, pid: std::process::id() })?);
    }
    to_stdout(&format!("Tidemill is ready at http://{address} (Kinesis API; GET /status, /health, /metrics)"))
}

/// Segments and connections stay open, and what a shell allows is little: as many files as the system lets this process
/// have. The engine takes its measure when it is opened, so this comes before.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => debug!(before = ?limit.current, now = ?limit.maximum, "the limit of open files is raised"),
        Err(error) => debug!(limit = ?limit.current, %error, "the limit of open files stays as it is"),
    }
}

/// Anyone who can connect may do everything, so only this machine may connect unless the user says otherwise.
fn check_exposure(ip: IpAddr, insecure: bool) -> anyhow::Result<()> {
    ensure!(
        ip.is_loopback() || insecure,
        "listening on {ip} would let everyone who can reach this machine read and write: no credentials can be set yet; \
         listen on 127.0.0.1, or say --insecure"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_without_asking() {
        for (ip, insecure, allowed) in [
            ("127.0.0.1", false, true),
            ("::1", false, true),
            ("0.0.0.0", false, false),
            ("192.168.0.1", false, false),
            ("::", false, false),
            ("0.0.0.0", true, true),
        ] {
            assert_eq!(check_exposure(ip.parse().unwrap(), insecure).is_ok(), allowed, "{ip} {insecure}");
        }
    }
}
