//! Builds the guests, once for all tests of a run.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;

/// Logs each record.
pub(crate) fn recorder() -> Bytes {
    test_guest("recorder")
}

/// Fails in the way that its configuration's `mode` says.
pub(crate) fn misbehave() -> Bytes {
    test_guest("misbehave")
}

/// A component of another world.
pub(crate) fn stranger() -> Bytes {
    test_guest("stranger")
}

/// A component that imports what a node does not offer.
pub(crate) fn importer() -> Bytes {
    test_guest("importer")
}

/// A component whose `handle` has another type.
pub(crate) fn impostor() -> Bytes {
    test_guest("impostor")
}

/// A handler of AWS Lambda's shape that does what its configuration's `mode` says.
pub(crate) fn lambda_recorder() -> Bytes {
    test_guest("lambda_recorder")
}

/// A component of both worlds.
pub(crate) fn chimera() -> Bytes {
    test_guest("chimera")
}

/// The example.
pub(crate) fn alert() -> Bytes {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("functions"));
    read("alert")
}

fn test_guest(name: &str) -> Bytes {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("tests/functions"));
    read(name)
}

/// Runs cargo on a workspace of guests. It has a target folder of its own, so it does not wait for the cargo that runs
/// the tests.
fn build(workspace: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--target-dir", "target/guests"])
        .args(["--manifest-path", &format!("{workspace}/Cargo.toml")])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn read(name: &str) -> Bytes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/wasm32-wasip2/release");
    std::fs::read(folder.join(name).with_extension("wasm")).unwrap().into()
}
