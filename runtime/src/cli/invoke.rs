//! `tidemill invoke`: one call of a function without a node.

mod event;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tidemill_stream::clock::Clock;
use tidemill_stream::name::StreamName;

use self::event::Event;
use super::output::{json_to_stdout, to_stderr, to_stdout};
use super::text::{counted, on_one_line};
use crate::build::{self, Build};
use crate::deploy::{FunctionSpec, Manifest};
use crate::functions::{
    Answer, Emission, Emitted, FunctionName, Functions, FunctionsOptions, Invocation, Invoke as _, Reply,
};
use crate::home::Home;
use crate::telemetry::{LogFormat, log_to_stderr};

/// The stream of an event that names none, and that no trigger feeds to the function.
const STREAM_DEFAULT: &str = "test";

/// Call a function once with a batch of records, without a node.
///
/// The event is a file: one record a line, or an event as AWS Lambda gets it from Kinesis. The function is built if it
/// is a crate, runs under the limits and with the configuration of the manifest, and its log lines go to standard error.
/// What it emits is put nowhere, and printed instead: stream, partition key and payload. The response of a handler of AWS
/// Lambda's shape is printed too, as a line of JSON; it gets the event of the file with all that the file says.
/// Ends with 0 when the function took the batch, with 1 when it failed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill invoke orders --event events.jsonl
  tidemill invoke orders --event lambda-event.json --json
  tail -n 1 events.jsonl | tidemill invoke orders --event - --key alice")]
pub(super) struct InvokeArgs {
    /// The function's name in the manifest.
    function: String,
    /// The records; '-' is standard input.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// The partition key of records that are lines.
    #[arg(long, value_name = "KEY", default_value = "test")]
    key: String,
    /// Which attempt at these records it is.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: u32,
    /// The manifest.
    #[arg(long, value_name = "FILE", default_value = "deploy.yaml")]
    manifest: PathBuf,
    /// Print one line of JSON on standard output: whether it succeeded, its error, how long it took, its response, what it emitted.
    #[arg(long)]
    json: bool,
}

/// How it went, for `--json`.
#[derive(Serialize)]
struct Outcome {
    ok: bool,
    records: usize,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of a function of the world `lambda`.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Value>,
    emitted: Vec<EmittedJson>,
}

/// A record for another stream, for `--json`.
#[derive(Serialize)]
struct EmittedJson {
    stream: String,
    partition_key: String,
    /// What is no UTF-8 is replaced.
    data: String,
}

impl From<Emission> for EmittedJson {
    fn from(Emission { stream, record }: Emission) -> Self {
        let data = String::from_utf8_lossy(&record.data).into_owned();
        Self { stream: stream.as_str().to_owned(), partition_key: record.partition_key.as_str().to_owned(), data }
    }
}

pub(super) async fn invoke(args: InvokeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr(LogFormat::Human, Some("error,tidemill::function=trace,tidemill::functions=error"))?;
    let (function, stream) = find(&args)?;
    let event = Event::read(&args.event, &args.key, Clock::system().now())?;
    let scratch = tempfile::Builder::new().prefix("tidemill-").tempdir()?;
    let functions = Functions::open(scratch.path(), &FunctionsOptions::new(scratch.path()))?;
    let FunctionSpec { name, path, .. } = &function;
    let wasm = tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))?;
    functions.deploy(name, wasm.into(), function.settings()).await?;
    let batch = invocation(event, stream, name, args.attempt);
    let started = Instant::now();
    let called = functions.lane(name).invoke(&batch).await;
    let took_ms = started.elapsed().as_secs_f64() * 1000.0;
    let (ok, records) = (called.is_ok(), batch.records.len());
    let (Answer { emitted: Emitted(emitted), reply }, error) = match called {
        Ok(answer) => (answer, None),
        Err(error) => (Answer::default(), Some(error.to_string())),
    };
    let emitted = emitted.into_iter().map(EmittedJson::from).collect();
    report(&args, &Outcome { ok, records, took_ms, error, response: response(&reply), emitted })?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The function with its `.wasm` file, and the stream that feeds it.
fn find(args: &InvokeArgs) -> anyhow::Result<(FunctionSpec, StreamName)> {
    let mut manifest = Manifest::load(&args.manifest)?;
    let name = FunctionName::parse(&args.function)?;
    let known: Vec<_> = manifest.functions.iter().map(|function| function.name.to_string()).collect();
    manifest.functions.retain(|function| function.name == name);
    build::resolve(&mut manifest, Build::Always)?;
    let Some(function) = manifest.functions.pop() else {
        bail!("{} has no function '{name}'; it has {}", args.manifest.display(), known.join(", "));
    };
    let feeds = manifest.triggers.into_iter().find(|trigger| trigger.function == name);
    let stream = feeds.map_or_else(|| StreamName::parse(STREAM_DEFAULT), |trigger| Ok(trigger.stream))?;
    Ok((function, stream))
}

fn invocation(event: Event, stream: StreamName, function: &FunctionName, attempt: u32) -> Invocation {
    let Event { source, shard, shard_created, records, window } = event;
    let (home, stream) = source.unwrap_or_else(|| (Home::default(), stream));
    Invocation {
        request_id: "invoke".to_owned(),
        arns: Arc::new(home.arns(&stream, function)),
        stream,
        shard,
        shard_created,
        attempt,
        records: records.into(),
        window,
    }
}

/// A response as JSON, or as a text if it is none.
fn response(reply: &Reply) -> Option<Value> {
    match reply {
        Reply::Taken => None,
        Reply::Response(response) => Some(
            serde_json::from_slice(response).unwrap_or_else(|_| String::from_utf8_lossy(response).into_owned().into()),
        ),
    }
}

fn report(args: &InvokeArgs, outcome: &Outcome) -> anyhow::Result<()> {
    if args.json {
        return json_to_stdout(&serde_json::to_string(outcome)?);
    }
    let Outcome { records, took_ms, error, response, emitted, .. } = outcome;
    let records = counted(*records as u64, "record");
    for EmittedJson { stream, partition_key, data } in emitted {
        to_stdout(&format!("{stream}\t{}\t{}", on_one_line(partition_key), on_one_line(data)))?;
    }
    if let Some(response) = response {
        to_stdout(&response.to_string())?;
    }
    match error {
        None => to_stderr(&format!("{} took {records} in {took_ms:.1} ms", args.function)),
        Some(error) => to_stderr(&format!("error: {error} (after {took_ms:.1} ms; {records})")),
    }
    Ok(())
}

/// A file, or standard input, of at most so many bytes.
fn read_file(path: &Path, bytes_max: u64) -> anyhow::Result<Bytes> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let reader: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
    };
    reader.take(bytes_max + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() as u64 <= bytes_max,
        "{} has more than {bytes_max} bytes: too much for one call",
        path.display()
    );
    Ok(bytes.into())
}
