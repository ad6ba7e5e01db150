//! How soon a function that is being edited takes batches as it was saved last.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use jiff::Timestamp;
use serde::Deserialize;
use tidemill_stream::clock::Clock;
use tokio::task::JoinSet;
use tokio::time::{Duration, interval};

use super::ROUNDS;
use super::figure::{Bar, Figure};
use super::report;
use super::rounds::{median, rounds};
use crate::node::Node;
use crate::{client, project};

pub(super) const NAMES: [&str; 1] = ["deploy.edit_to_running"];

/// What it should come to, milliseconds.
const LIMIT_MS: f64 = 500.0;
/// A record comes so often: the new version has something to take as soon as it can.
const PUT_INTERVAL: Duration = Duration::from_millis(10);
/// What the function of a new project says of a record, in its source.
const SAID: &str = "{name}, {amount}";

/// From the save of a source file to the first line that the new version logs, less the time between the start and the end of
/// cargo: what the compiler takes is not for this program to decide.
pub(super) fn run(folder: &Path) -> Result<Vec<Figure>> {
    let setup = project::sales(folder)?;
    let (source, node) = (setup.folder.join("src/lib.rs"), setup.start()?);
    let mut puts = JoinSet::new();
    puts.spawn(put_without_end(client::sdk(&node.url())));
    wait_for_line(&node, 0, ": tea")?;
    let (mut times, mut said) = (Vec::new(), SAID.to_owned());
    for round in rounds("deploy.edit_to_running", ROUNDS) {
        let says = format!("{{name}} of round {round}, {{amount}}");
        let (lines_before, saved) = (node.lines().len(), now()?);
        project::edit(&source, &said, &says)?;
        let lines = wait_for_line(&node, lines_before, &format!("tea of round {round},"))?;
        if let Some(ended) = puts.try_join_next() {
            bail!("the records ended: {ended:?}");
        }
        times.push(Steps::read(saved, &lines)?.shown().without_cargo());
        said = says;
    }
    drop(puts);
    node.stop()?;
    let figure = |name| Ok(Figure::new(name, median(&times)?, "ms").with_limit(LIMIT_MS).with_bar(Bar::AtMost(1.0)));
    NAMES.into_iter().map(figure).collect()
}

/// Ends only with an error.
async fn put_without_end(client: Client) -> Result<()> {
    let mut pace = interval(PUT_INTERVAL);
    let record = Blob::new(r#"{"name": "tea", "amount": 3}"#);
    loop {
        pace.tick().await;
        client.put_record().stream_name("events").partition_key("alice").data(record.clone()).send().await?;
    }
}

/// The log from this line on, to the first line that has the text.
fn wait_for_line(node: &Node, from: usize, text: &str) -> Result<Vec<String>> {
    let to_it = |lines: &[String]| {
        let new = lines.get(from..)?;
        let found = new.iter().position(|line| line.contains(text))?;
        new.get(..=found).map(<[String]>::to_vec)
    };
    tokio::task::block_in_place(|| node.wait_for(&format!("{text:?}"), to_it))
}

/// By the clock that the log has.
fn now() -> Result<Timestamp> {
    Ok(Timestamp::from_millisecond(i64::try_from(Clock::system().now().as_millis())?)?)
}

/// When things happened.
#[derive(Debug, Clone, Copy)]
struct Steps {
    saved: Timestamp,
    building: Timestamp,
    built: Timestamp,
    deployed: Timestamp,
    ran: Timestamp,
}

/// A line of the log, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    timestamp: String,
    message: String,
}

impl Steps {
    /// From the lines of one round; the last one is what the new version said.
    fn read(saved: Timestamp, lines: &[String]) -> Result<Self> {
        // The compiler's own lines are no JSON.
        let lines: Vec<Line> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let once = |message: &str| {
            let mut found = lines.iter().filter(|line| line.message == message);
            let first = found.next().with_context(|| format!("the log does not say '{message}'"))?;
            ensure!(found.next().is_none(), "the log says '{message}' more than once for one save");
            anyhow::Ok(first.timestamp.parse()?)
        };
        let ran = lines.last().context("the log says nothing")?.timestamp.parse()?;
        let (building, built, deployed) = (once("building")?, once("built")?, once("function deployed")?);
        Ok(Self { saved, building, built, deployed, ran })
    }

    fn without_cargo(&self) -> f64 {
        millis(self.saved, self.building) + millis(self.built, self.ran)
    }

    /// Each step, since it is not one thing that takes the time.
    fn shown(self) -> Self {
        let Self { saved, building, built, deployed, ran } = self;
        let (seen, cargo) = (millis(saved, building), millis(building, built));
        let (deploying, running) = (millis(built, deployed), millis(deployed, ran));
        report::say(&format!(
            "  {:.0} ms, and {cargo:.0} in cargo: {seen:.0} until it starts; then {deploying:.0} until the version is \
             deployed, {running:.0} until it has a batch",
            self.without_cargo()
        ));
        self
    }
}

fn millis(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: &str, message: &str) -> String {
        format!(r#"{{"timestamp":"2026-11-22T00:00:{second}Z","level":"INFO","message":"{message}"}}"#)
    }

    #[test]
    fn cargo_does_not_count() {
        let saved: Timestamp = "2026-11-22T00:00:01Z".parse().unwrap();
        let mut lines = vec![
            line("01.050", "alice: tea, 3"),
            line("01.100", "building"),
            "warning: unused".to_owned(),
            line("03.100", "built"),
            line("03.250", "function deployed"),
            line("03.260", "alice: tea of round 1, 3"),
        ];
        let steps = Steps::read(saved, &lines).unwrap();
        assert!((steps.without_cargo() - 260.0).abs() < 1e-6, "{steps:?}");
        lines.insert(2, line("01.200", "building"));
        assert!(Steps::read(saved, &lines).is_err(), "two builds for one save");
        lines.retain(|line| !line.contains("building"));
        assert!(Steps::read(saved, &lines).is_err(), "no build");
    }
}
