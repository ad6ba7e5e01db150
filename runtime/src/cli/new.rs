//! `tidemill new`: the project of a function that builds, is tested and runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::output::to_stdout;
use crate::functions::FunctionName;

/// The files of a project, and what is in them; `@NAME@` and `@SDK@` stand for the project's own.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("new/lib.rs.txt")),
    ("deploy.yaml", include_str!("new/deploy.yaml.txt")),
    ("events.jsonl", include_str!("new/events.jsonl.txt")),
    (".gitignore", "/target\n/.tidemill\n"),
];
/// The Rust SDK of the checkout that this program was built from.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/function");

/// What that crate is called.
const SDK_CRATE: &str = "tidemill-function";

/// Make the project of a function: a Rust crate with a test, a manifest and some records to try it on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill new orders
  cd orders && cargo test && tidemill up
  tidemill put events --key-field user events.jsonl     # in another terminal, in the same folder")]
pub(super) struct NewArgs {
    /// The function's name, and the folder's.
    name: String,
    /// The folder of the Rust SDK, sdk/function of a checkout; without it that of the checkout that this program was
    /// built from.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

pub(super) fn new(args: &NewArgs) -> anyhow::Result<()> {
    let folder = Path::new(&args.name);
    let name = folder.file_name().and_then(|name| name.to_str()).context("a name is missing")?;
    check_name(name)?;
    let sdk = sdk(args.sdk.as_deref())?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; choose another name, or remove it", folder.display())
        }
        created => created.with_context(|| format!("cannot create {}", folder.display()))?,
    }
    fs::create_dir(folder.join("src"))?;
    for (file, text) in FILES {
        let text = text.replace("@NAME@", name).replace("@SDK@", &sdk.display().to_string());
        let path = folder.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    to_stdout(&format!(
        "{folder} is made. Next:\n  cd {folder}\n  cargo test       # the function's own tests, natively\n  \
         tidemill up      # builds, serves, and deploys again what you change\n  \
         tidemill put events --key-field user events.jsonl     # in another terminal",
        folder = folder.display()
    ))
}

/// It names a crate and a function.
fn check_name(name: &str) -> anyhow::Result<()> {
    FunctionName::parse(name)?;
    ensure!(name != SDK_CRATE, "'{name}' is the crate that the project uses; choose another name");
    let is_crate = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    ensure!(is_crate, "'{name}' cannot name a Rust crate: begin with a letter, then letters, digits, '-' and '_'");
    Ok(())
}

fn sdk(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let sdk = given.unwrap_or(Path::new(SDK));
    let remedy = "say where it is with --sdk DIR (sdk/function in a checkout of Tidemill)";
    ensure!(sdk.join("Cargo.toml").is_file(), "the Rust SDK is not in {}; {remedy}", sdk.display());
    sdk.canonicalize().with_context(|| format!("cannot find {}", sdk.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_made_once_and_under_a_name_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        let args = |name: &str| NewArgs { name: folder.path().join(name).display().to_string(), sdk: None };
        new(&args("orders")).unwrap();
        let manifest = crate::deploy::Manifest::load(&folder.path().join("orders/deploy.yaml")).unwrap();
        assert_eq!(manifest.functions[0].name.to_string(), "orders");
        let again = new(&args("orders")).unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
        for name in ["1st", "a.b", "a b", "tidemill-function"] {
            new(&args(name)).unwrap_err();
            assert!(!folder.path().join(name).exists());
        }
        let lost = NewArgs { sdk: Some(folder.path().to_owned()), ..args("lost") };
        assert!(new(&lost).unwrap_err().to_string().contains("--sdk"));
    }
}
