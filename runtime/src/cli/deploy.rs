//! `tidemill deploy`: what a manifest changes, and having a node apply it.

mod shown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use tidemill_client::{Client, ClientError};

use self::shown::shown;
use super::asked::Asked;
use super::output::{as_it_is_to_stdout, json_to_stdout, to_stderr, to_stdout, while_read};
use super::serve;
use crate::build::Build;
use crate::deploy::{Action, Inventory, Kind, Manifest, Plan};
use crate::functions::{Functions, FunctionsOptions};
use crate::node::{ByName, read_functions, versions};

/// Show what a manifest changes on a running node, and have the node apply it.
///
/// Functions are built first. Then the node is asked for what it has, and the difference is printed: + is new, ~ gets
/// other settings, - is taken away, = stays although the manifest does not name it. A stream is never deleted: its data
/// stays until 'tidemill stream delete'.
///
/// The node reads the manifest that it was started with, so that is the one to name. With --dry-run any manifest will do,
/// and nothing changes; where no node answers, it is compared with a new node.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill deploy --dry-run
  tidemill deploy
  tidemill deploy --manifest shop/deploy.yaml --node http://127.0.0.1:4567")]
pub(super) struct DeployArgs {
    /// The streams, functions and triggers that the node shall have.
    #[arg(long, value_name = "FILE", default_value = "deploy.yaml")]
    manifest: PathBuf,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Outcome<'a> {
    /// The node that was asked, if there is one.
    node: Option<&'a str>,
    /// Whether the node has carried the plan out.
    applied: bool,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// A node's answer to what it has.
#[derive(Deserialize)]
struct Deployment {
    /// The manifest that it was started with.
    manifest: Option<PathBuf>,
    #[serde(flatten)]
    inventory: Inventory,
}

pub(super) async fn deploy(args: DeployArgs) -> anyhow::Result<ExitCode> {
    let Wanted { inventory: wanted, functions, warnings } = wanted(&args.manifest).await?;
    for warning in &warnings {
        to_stderr(&format!("warning: {warning}"));
    }
    let client = args.asked.client()?;
    let there = found(&client, &args).await?;
    let has = there.as_ref().map(|there| there.inventory.clone()).unwrap_or_default();
    let plan = Plan::between(&has, &wanted);
    if args.dry_run {
        notice(&args, there.as_ref())?;
        show(&args, &plan, there.is_some().then_some(args.asked.url.as_str()), false)?;
        try_out(&plan, functions).await?;
        return Ok(ExitCode::SUCCESS);
    }
    check_same(&args, there.as_ref())?;
    if !args.json {
        show(&args, &plan, None, false)?;
    }
    apply(&client, &args, &plan).await
}

/// What a manifest asks for.
struct Wanted {
    inventory: Inventory,
    functions: ByName,
    warnings: Vec<String>,
}

/// Reads the manifest and builds its functions, as the node will.
async fn wanted(manifest: &Path) -> anyhow::Result<Wanted> {
    let (manifest, _) = serve::read(manifest).await?;
    let manifest: Manifest = serve::built(manifest, Build::Always).await?;
    let functions = read_functions(&manifest.functions).await?;
    let inventory = Inventory::wanted(&manifest, &versions(&functions).await?);
    Ok(Wanted { inventory, functions, warnings: manifest.warnings() })
}

/// Deploys what the plan would deploy where nobody sees it: what the node would refuse is refused here.
async fn try_out(plan: &Plan, functions: ByName) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("tidemill-").tempdir().context("cannot make a temporary folder")?;
    let room = Functions::open(scratch.path(), &FunctionsOptions::new(scratch.path()))?;
    for (name, (wasm, settings)) in functions {
        let is_planned = |action| plan.does(action, Kind::Function, name.as_str());
        if is_planned(Action::Add) || is_planned(Action::Change) {
            let deployed = room.deploy(&name, wasm, settings).await;
            deployed.with_context(|| format!("the node would not deploy the function '{name}'"))?;
        }
    }
    Ok(())
}

/// What the node has; a dry run needs none.
async fn found(client: &Client, args: &DeployArgs) -> anyhow::Result<Option<Deployment>> {
    let said = match client.deployment().await {
        Err(error) if error.is_unreachable() && args.dry_run => return Ok(None),
        said => said.map_err(|error| failure(&args.asked, error))?,
    };
    let there = serde_json::from_value(said).context("the node is of another version")?;
    Ok(Some(there))
}

fn failure(asked: &Asked, error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Api { status: 404, .. } => {
            anyhow!("{} has no /deployment: it is another server, or an older Tidemill; update it first", asked.url)
        }
        ClientError::Api { message, status: 409 | 422, .. } => {
            anyhow!("the node did not apply the manifest, and nothing has changed: {message}")
        }
        ClientError::Api { message, status: 503, .. } => anyhow!("{message}"),
        other => asked.failure(other),
    }
}

/// What a dry run is compared with, where that is not what one would think.
fn notice(args: &DeployArgs, there: Option<&Deployment>) -> anyhow::Result<()> {
    match there {
        None => to_stderr(&format!("no node answers at {}: compared with a new node", args.asked.url)),
        Some(Deployment { manifest: Some(own), .. }) if !is_same(own, &args.manifest)? => {
            to_stderr(&format!("the node itself applies another manifest: {}", own.display()));
        }
        Some(_) => {}
    }
    Ok(())
}

/// A node applies the manifest that it was started with, and no other.
fn check_same(args: &DeployArgs, there: Option<&Deployment>) -> anyhow::Result<()> {
    let Some(own) = there.and_then(|there| there.manifest.as_ref()) else {
        bail!("the node at {} is not run from a manifest; start one with 'tidemill serve'", args.asked.url);
    };
    if is_same(own, &args.manifest)? {
        return Ok(());
    }
    bail!(
        "the node at {} applies the manifest it was started with, {}, and not {}; change that one, or start the node with \
         this one (--dry-run compares any)",
        args.asked.url,
        own.display(),
        std::path::absolute(&args.manifest)?.display()
    )
}

fn is_same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    Ok(real(one)? == real(other)?)
}

async fn apply(client: &Client, args: &DeployArgs, plan: &Plan) -> anyhow::Result<ExitCode> {
    let said = client.apply_deployment().await.map_err(|error| failure(&args.asked, error))?;
    let done: Plan = serde_json::from_value(said).context("the node is of another version")?;
    if args.json {
        show(args, &done, Some(&args.asked.url), true)?;
    } else if done == *plan {
        if plan.has_changes() {
            to_stdout("Applied.")?;
        }
    } else if done.has_changes() {
        to_stdout("\nThe node has changed meanwhile. It did:\n")?;
        show(args, &done, None, true)?;
    } else {
        to_stdout("The node had applied it already.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &DeployArgs, plan: &Plan, node: Option<&str>, applied: bool) -> anyhow::Result<()> {
    if args.json {
        return json_to_stdout(&serde_json::to_string_pretty(&Outcome { node, applied, plan })?);
    }
    while_read(as_it_is_to_stdout(&shown(plan)))
}
