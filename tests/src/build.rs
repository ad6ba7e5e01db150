//! Builds what the tests run: the binary, and the functions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The node's binary, which cargo builds beside the tests of the workspace.
pub fn binary() -> Result<PathBuf> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let binary = target()?.join(profile).join("tidemill");
    ensure!(binary.exists(), "{} is missing: test or build the whole workspace", binary.display());
    Ok(binary)
}

/// The wasm file of a function: `tests/functions/NAME`, or `functions/NAME`.
pub fn function(name: &str) -> Result<PathBuf> {
    let repository = repository();
    let places = [repository.join("tests/functions"), repository.join("functions")];
    let workspace = places.iter().find(|place| place.join(name).is_dir()).context("there is no such function")?;
    let folder = guests()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace.join(name)).args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"]);
    cargo.arg("--target-dir").arg(&folder);
    run(&mut cargo)?;
    Ok(folder.join("wasm32-wasip2/release").join(format!("{}.wasm", name.replace('-', "_"))))
}

/// The folder that functions are built into.
pub fn guests() -> Result<PathBuf> {
    Ok(target()?.join("guests"))
}

/// The folder that cargo builds into, found from where this test runs: `target/PROFILE/deps/TEST`.
fn target() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    Ok(target.with_context(|| format!("{} lies in no target folder", own.display()))?.to_path_buf())
}

/// Runs a command to its end; one that fails is an error with what it said.
pub fn run(command: &mut Command) -> Result<()> {
    // Set by `cargo test` for the package under test: it would make cargo build everything anew.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
