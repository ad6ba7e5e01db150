//! What is installed: the commands of the container and of the service start a node that says when it is ready, is found
//! healthy, and stops; and what is written down twice agrees.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::panic_in_result_fn,
    reason = "a test may fail"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tidemill::limits::{DOOR_STOP_DEADLINE, POLLER_STOP_DEADLINE};
use tidemill_tests::build::{binary, repository, run};
use tidemill_tests::node::Setup;

/// A test that waits longer than this for a fact hangs.
const HANGING: Duration = Duration::from_mins(5);

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

/// What follows a word at the beginning of a line; the last such line counts.
fn line_of(text: &str, word: &str) -> String {
    let found = text.lines().filter_map(|line| line.strip_prefix(word)).next_back();
    found.unwrap_or_else(|| panic!("no line begins with {word}")).trim().to_owned()
}

/// The command of the image, and that of the service, without the program.
fn commands() -> [Vec<String>; 2] {
    let image = serde_json::from_str(&line_of(&read("Dockerfile"), "CMD ")).unwrap();
    let unit = line_of(&read("packaging/tidemill.service"), "ExecStart=/usr/local/bin/tidemill ");
    [image, unit.split(' ').map(str::to_owned).collect()]
}

/// The same command with places that a test may use.
fn here(command: &[String], data: &Path) -> Vec<String> {
    let replaced = |word: &String| match word.as_str() {
        "/etc/tidemill/deploy.yaml" => repository().join("packaging/deploy.yaml").display().to_string(),
        "/data" | "/var/lib/tidemill" => data.display().to_string(),
        "0.0.0.0:4567" => "127.0.0.1:0".to_owned(),
        other => other.to_owned(),
    };
    let mut words: Vec<String> = command.iter().map(replaced).collect();
    if !words.contains(&"--listen".to_owned()) {
        words.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    }
    words.push("--ready-json".to_owned());
    words
}

/// A node that is killed if the test fails.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ready(node: &mut Started) -> Result<String> {
    let mut line = String::new();
    BufReader::new(node.0.stdout.take().context("no output")?).read_line(&mut line)?;
    let ready: serde_json::Value = serde_json::from_str(&line).context("the node did not start")?;
    Ok(format!("http://{}", ready["address"].as_str().context("no address")?))
}

fn health(url: &str) -> Result<Output> {
    Ok(Command::new(binary()?).args(["health", "--node", url]).output()?)
}

fn told(socket: &UnixDatagram) -> Result<String> {
    let mut bytes = [0; 256];
    let length = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned())
}

#[test]
fn the_commands_of_the_image_and_of_the_service_start_a_node_that_is_supervised() -> Result<()> {
    for command in commands() {
        let folder = tempfile::tempdir()?;
        let manager = UnixDatagram::bind(folder.path().join("notify"))?;
        manager.set_read_timeout(Some(HANGING))?;
        let mut node = Command::new(binary()?);
        node.args(here(&command, &folder.path().join("data"))).env("NOTIFY_SOCKET", folder.path().join("notify"));
        let mut node = Started(node.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
        let url = ready(&mut node).with_context(|| format!("{command:?}"))?;
        assert_eq!(told(&manager)?, "READY=1");
        let healthy = health(&url)?;
        assert_eq!((healthy.status.code(), healthy.stdout.as_slice()), (Some(0), &b"healthy\n"[..]), "{healthy:?}");
        run(Command::new("kill").args(["-s", "TERM", &node.0.id().to_string()]))?;
        assert_eq!(told(&manager)?, "STOPPING=1");
        assert_eq!(node.0.wait()?.code(), Some(0));
        let gone = health(&url)?;
        assert_eq!(gone.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&gone.stderr).contains("no node answers at"), "{gone:?}");
    }
    Ok(())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_node_that_works_in_part_is_not_healthy_and_says_why() -> Result<()> {
    const PAYLOAD: &[u8] = b"a payload that is found again";
    let folder = tempfile::tempdir()?;
    let setup = Setup::new(folder.path(), "streams: { orders: {} }\n")?;
    let node = setup.start()?;
    let lines = folder.path().join("lines");
    fs::write(&lines, PAYLOAD)?;
    run(Command::new(binary()?).args(["put", "orders", "--node", &node.url()]).arg(&lines))?;
    node.stop()?;
    let is_it = |path: &PathBuf| fs::read(path).unwrap().windows(PAYLOAD.len()).any(|window| window == PAYLOAD);
    let segment = files(&setup.data()).into_iter().find(is_it).context("no segment has the record")?;
    let mut bytes = fs::read(&segment)?;
    bytes[20] ^= 1; // the header, without which nothing of it can be read
    fs::write(&segment, bytes)?;

    let node = setup.start()?;
    let sick = health(&node.url())?;
    assert_eq!(sick.status.code(), Some(1), "{sick:?}");
    let said = String::from_utf8_lossy(&sick.stderr);
    for fact in ["part of it does not work", "the stream 'orders'", "is damaged", segment.to_str().unwrap()] {
        assert!(said.contains(fact), "'{fact}' is missing in {said}");
    }
    node.stop()?;
    Ok(())
}

#[test]
fn the_image_is_built_with_the_compiler_and_the_crates_of_the_repository() {
    let (image, toolchain) = (read("Dockerfile"), read("rust-toolchain.toml"));
    let channel = line_of(&toolchain, "channel = ").replace('"', "");
    assert!(image.contains(&format!("FROM rust:{channel}-")), "rust-toolchain.toml says {channel}");
    let ignored = read(".dockerignore");
    let members = line_of(&read("Cargo.toml"), "members = [");
    for member in members.split('"').skip(1).step_by(2) {
        let top = member.split('/').next().unwrap();
        assert!(ignored.lines().any(|line| line == format!("!{top}")), "{member} does not reach the builder");
    }
}

#[test]
fn the_service_is_given_the_time_that_a_node_takes_to_stop() {
    let given = line_of(&read("packaging/tidemill.service"), "TimeoutStopSec=");
    let given = Duration::from_secs(given.trim_end_matches('s').parse().unwrap());
    let needed = DOOR_STOP_DEADLINE + POLLER_STOP_DEADLINE * 2;
    assert!(given >= needed * 2, "a node may take {needed:?} before it closes its logs, and gets {given:?}");
}
