//! `tidemill check`: whether a manifest is right, without a node.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;

use super::output::{to_stderr, to_stdout};
use super::text::counted;
use crate::build;
use crate::deploy::{FunctionSpec, Manifest};

/// Read a manifest and say what is wrong with it.
///
/// Every mistake is one line on standard error: file, line, column, what is wrong and what would be right. In a manifest
/// without one, the paths of functions must lead to a crate folder or a file. The exit code is 0 when there is no mistake,
/// else 1; a warning is no mistake. Nothing is built and no node is asked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidemill check deploy.yaml")]
pub(super) struct CheckArgs {
    /// The manifest.
    file: PathBuf,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let manifest = Manifest::load(&args.file)?;
    check_paths(&args.file, &manifest)?;
    for warning in manifest.warnings() {
        to_stderr(&format!("warning: {warning}"));
    }
    let (streams, functions, triggers) = (manifest.streams.len(), manifest.functions.len(), manifest.triggers.len());
    to_stdout(&format!(
        "{} is right: {}, {}, {}",
        args.file.display(),
        counted(streams as u64, "stream"),
        counted(functions as u64, "function"),
        counted(triggers as u64, "trigger")
    ))
}

/// Whether functions can be made of what their paths name.
fn check_paths(file: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let wrong = |function: &FunctionSpec| {
        let error = build::check_path(&function.path).err()?;
        Some(format!("{}: function '{}': {error}", file.display(), function.name))
    };
    let wrong: Vec<String> = manifest.functions.iter().filter_map(wrong).collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.yaml");
        let checked = |text: &str| {
            std::fs::write(&file, text).unwrap();
            check(&CheckArgs { file: file.clone() }).map_err(|error| error.to_string())
        };
        std::fs::write(folder.path().join("f.wasm"), "").unwrap();
        assert_eq!(checked("functions: { f: { path: f.wasm } }"), Ok(()));
        let error = checked("functions: { f: { path: nope }, g: { path: f.wasm }, h: { path: '.' } }").unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        assert!(lines[0].contains("function 'f': its path ") && lines[0].contains("nope does not exist"), "{error}");
        assert!(lines[1].contains("function 'h'") && lines[1].contains("without a Cargo.toml"), "{error}");
        let error = checked("functions: { f: { path: '' } }").unwrap_err();
        assert!(error.ends_with("'path' of function 'f' must be a crate folder or a .wasm file, not an empty text"));
    }
}
