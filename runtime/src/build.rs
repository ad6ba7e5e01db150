//! From the paths of a manifest to `.wasm` files: builds crate folders, or finds what was built before.
//!
//! Promises that what it returns is there, and that what it cannot do is told with the remedy. What the compiler says goes
//! to standard error as it is. It must not know of nodes, nor of who wants the functions.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::deploy::Manifest;

/// What functions are compiled for.
const TARGET: &str = "wasm32-wasip2";
/// How often the progress line moves.
const TICK: Duration = Duration::from_millis(120);

/// Whether crate folders are built first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// They are.
    Always,
    /// They are; of one that does not build, what its last build left is taken.
    Again,
    /// They must have been.
    Never,
}

impl Build {
    /// How functions are built when a node has them already.
    #[must_use]
    pub fn again(self) -> Self {
        match self {
            Self::Always | Self::Again => Self::Again,
            Self::Never => Self::Never,
        }
    }
}

/// The crate folders and files that the functions of a manifest are made of.
pub fn sources(manifest: &Manifest) -> BTreeSet<PathBuf> {
    let mut sources = BTreeSet::new();
    for function in &manifest.functions {
        add_sources(&function.path, &mut sources);
    }
    sources
}

/// A crate, the crates beside it that it depends on, and the files of its workspace. What cannot be read is left out.
fn add_sources(path: &Path, sources: &mut BTreeSet<PathBuf>) {
    let Ok(path) = path.canonicalize() else { return };
    if !sources.insert(path.clone()) || path.is_file() {
        return;
    }
    let Ok(metadata) = metadata(&path) else { return };
    let root = &metadata.workspace_root;
    sources.extend(["Cargo.toml", "Cargo.lock"].map(|file| root.join(file)).into_iter().filter(|file| file.is_file()));
    let own = metadata.packages.iter().find(|package| package.manifest_path == path.join("Cargo.toml"));
    for dependency in own.iter().flat_map(|package| &package.dependencies) {
        if let Some(path) = &dependency.path {
            add_sources(path, sources);
        }
    }
}

/// Makes every function's path a `.wasm` file. Blocks while compilers run.
pub fn resolve(manifest: &mut Manifest, build: Build) -> anyhow::Result<()> {
    for function in &mut manifest.functions {
        let wasm = wasm_of(&function.path, build);
        function.path = wasm.with_context(|| format!("function '{}'", function.name))?;
    }
    Ok(())
}

/// Whether a function's path leads to something that it could be made of.
pub(crate) fn check_path(path: &Path) -> anyhow::Result<()> {
    ensure!(path.exists(), "its path {} does not exist; name a crate folder or a .wasm file", path.display());
    ensure!(
        path.is_file() || path.join("Cargo.toml").is_file(),
        "its path {} is a folder without a Cargo.toml; name a crate folder or a .wasm file",
        path.display()
    );
    Ok(())
}

fn wasm_of(path: &Path, build: Build) -> anyhow::Result<PathBuf> {
    check_path(path)?;
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let built = match build {
        Build::Always => {
            check_target(path)?;
            build_crate(path)?
        }
        Build::Again => build_again(path),
        Build::Never => None,
    };
    let wasm = built.map_or_else(|| built_file(path), Ok)?;
    ensure!(
        wasm.is_file(),
        "{} has not been built: there is no {}; run 'cargo build --release --target {TARGET}' there, or 'tidemill up'",
        path.display(),
        wasm.display()
    );
    Ok(wasm)
}

/// Somebody waits for this with an edit just saved, so what can be asked after a failure is not asked before.
fn build_again(folder: &Path) -> Option<PathBuf> {
    let built = build_crate(folder).or_else(|error| check_target(folder).and(Err(error)));
    built.unwrap_or_else(|error| {
        tracing::error!("{error:#}; what was built before goes on");
        None
    })
}

/// Builds with cargo. What the compiler says goes to standard error as it is. `None`: cargo does not say which file is the
/// crate's.
fn build_crate(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let manifest = folder.join("Cargo.toml").canonicalize()?;
    tracing::info!(folder = %folder.display(), "building");
    let spinner = ProgressBar::new_spinner().with_message(format!("building {}", folder.display()));
    spinner.set_style(ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")?);
    spinner.enable_steady_tick(TICK);
    let mut cargo = cargo(folder);
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics", "--quiet"]);
    let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(missing_cargo)?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut wasm = None;
    for line in BufReader::new(stdout).lines() {
        if let Ok(artifact) = serde_json::from_str::<Artifact>(&line?) {
            spinner.set_message(format!("building {} ({})", folder.display(), artifact.target.name));
            wasm = wasm.or_else(|| artifact.wasm_file_of(&manifest));
        }
    }
    let status = child.wait()?;
    spinner.finish_and_clear();
    ensure!(status.success(), "{} does not build", folder.display());
    tracing::info!(folder = %folder.display(), "built");
    Ok(wasm)
}

/// Where cargo puts the crate's wasm file. This asks it once more, so it is for where no build has said it.
fn built_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let metadata = metadata(folder)?;
    let manifest = folder.join("Cargo.toml").canonicalize()?;
    let package = metadata.packages.iter().find(|package| package.manifest_path == manifest);
    let package = package.with_context(|| format!("{} is a workspace, not a crate", folder.display()))?;
    let Some(file) = package.targets.iter().find_map(Target::wasm_file) else {
        bail!("{} makes no wasm file: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]", folder.display());
    };
    Ok(metadata.target_directory.join(TARGET).join("release").join(file))
}

/// The packages of a crate's workspace.
fn metadata(folder: &Path) -> anyhow::Result<Metadata> {
    let mut cargo = cargo(folder);
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo.stderr(Stdio::piped()).output().map_err(missing_cargo)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo cannot read {}: {}", folder.display(), said.trim());
    serde_json::from_slice(&output.stdout).context("cargo metadata cannot be read")
}

/// Whether the compiler can make wasm at all; otherwise its own message is a riddle.
fn check_target(folder: &Path) -> anyhow::Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder);
    let output = rustc.output().map_err(|error| missing("rustc", error))?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    ensure!(
        output.status.success() && libraries.is_dir(),
        "the compiler's target {TARGET} is not installed; run 'rustup target add {TARGET}'"
    );
    Ok(())
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_another_crate(name)) {
        cargo.env_remove(name);
    }
    cargo
}

/// What cargo tells a program that it runs, a test for example, of that program's own crate. Another cargo below it would
/// take it for a change, and build everything anew.
fn is_of_another_crate(variable: &OsStr) -> bool {
    const PREFIXES: [&[u8]; 3] = [b"CARGO_PKG_", b"CARGO_MANIFEST_", b"CARGO_BIN_"];
    PREFIXES.iter().any(|prefix| variable.as_encoded_bytes().starts_with(prefix))
}

fn missing_cargo(error: std::io::Error) -> anyhow::Error {
    missing("cargo", error)
}

fn missing(program: &str, error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return anyhow::anyhow!("{program} is not installed; get Rust from https://rustup.rs, or name a .wasm file");
    }
    anyhow::Error::new(error).context(format!("{program} cannot be run"))
}

/// A line of `cargo build --message-format json`, as far as it matters here.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

impl Artifact {
    /// The file of a library, of which a crate has one at most.
    fn wasm_file_of(&self, manifest: &Path) -> Option<PathBuf> {
        let is_of = self.manifest_path == manifest && self.target.is("cdylib");
        let is_wasm = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
        self.filenames.iter().find(is_wasm).filter(|_| is_of).cloned()
    }
}

/// `cargo metadata`, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    /// Where it lies, if that is beside the crate.
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Target {
    fn wasm_file(&self) -> Option<String> {
        if self.is("cdylib") {
            return Some(format!("{}.wasm", self.name.replace('-', "_")));
        }
        self.is("bin").then(|| format!("{}.wasm", self.name))
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|known| known == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &Path, build: Build, expected: &str) {
        let error = wasm_of(path, build).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn paths_that_lead_to_no_wasm_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("none"), Build::Never, "does not exist");
        check(folder.path(), Build::Never, "without a Cargo.toml");
        let manifest = "[package]\nname = \"a-b\"\nedition = \"2024\"\n[workspace]\n";
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/lib.rs"), "").unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        check(folder.path(), Build::Never, "crate-type = [\"cdylib\"]");
        std::fs::write(folder.path().join("Cargo.toml"), format!("{manifest}[lib]\ncrate-type = [\"cdylib\"]\n"))
            .unwrap();
        check(folder.path(), Build::Never, "has not been built: there is no");
        let wasm = folder.path().join("target/wasm32-wasip2/release/a_b.wasm");
        std::fs::create_dir_all(wasm.parent().unwrap()).unwrap();
        std::fs::write(&wasm, "").unwrap();
        assert_eq!(wasm_of(folder.path(), Build::Never).unwrap(), wasm.canonicalize().unwrap());
        assert_eq!(wasm_of(&wasm, Build::Never).unwrap(), wasm, "a file is taken as it is");
    }

    #[test]
    fn the_file_of_a_crate_is_among_what_cargo_says_it_built() {
        let said = |folder: &str, kind: &str| {
            let artifact = format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/{folder}/Cargo.toml","target":{{"name":"a-b","kind":["{kind}"]}},
                "filenames":["/t/liba_b.rlib","/t/a_b.wasm"]}}"#
            );
            let artifact: Artifact = serde_json::from_str(&artifact).unwrap();
            artifact.wasm_file_of(Path::new("/own/Cargo.toml"))
        };
        assert_eq!(said("own", "cdylib"), Some(PathBuf::from("/t/a_b.wasm")));
        assert_eq!(said("other", "cdylib"), None, "a crate that it depends on");
        assert_eq!(said("own", "bin"), None, "of these there may be several");
        let others = [r#"{"reason":"build-finished","success":true}"#, r#"{"reason":"build-script-executed"}"#];
        assert!(others.iter().all(|line| serde_json::from_str::<Artifact>(line).is_err()));
    }
}
