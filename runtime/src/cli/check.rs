//! `tidemill check`: whether a manifest is right, without a node.

use std::path::PathBuf;

use clap::Args;

use super::output::to_stdout;
use crate::deploy::Manifest;

/// Read a manifest and say what is wrong with it.
///
/// Every mistake is one line on standard error: file, line, column, what is wrong and what would be right. The exit code
/// is 0 when there is none, else 1. Nothing is built and no node is asked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidemill check deploy.yaml")]
pub(super) struct CheckArgs {
    /// The manifest.
    file: PathBuf,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let manifest = Manifest::load(&args.file)?;
    let (streams, functions, triggers) = (manifest.streams.len(), manifest.functions.len(), manifest.triggers.len());
    to_stdout(&format!(
        "{} is right: {}, {}, {}",
        args.file.display(),
        counted(streams, "stream"),
        counted(functions, "function"),
        counted(triggers, "trigger")
    ))
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
