//! A project as `tidemill new` makes it, and its edits.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::build;
use crate::node::Setup;

/// The project `sales` in this folder, to be run with `tidemill up`. It takes the versions of dependencies that the
/// repository's functions have.
pub fn sales(folder: &Path) -> Result<Setup> {
    build::run(Command::new(build::binary()?).current_dir(folder).args(["new", "sales"]))?;
    let project = folder.join("sales");
    fs::copy(build::repository().join("functions/Cargo.lock"), project.join("Cargo.lock"))?;
    Ok(Setup { folder: project, wrapper: Vec::new(), verb: "up", options: Vec::new() })
}

/// Saves a file with other words in it. A file that does not have them is an error.
pub fn edit(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    ensure!(text.contains(from), "{} has no {from:?}", file.display());
    Ok(fs::write(file, text.replace(from, to))?)
}
