//! Durable on acknowledgement, seen from below: between the write of a record and its HTTP answer the kernel has
//! finished an `fdatasync` of that file.
//!
//! A killed process keeps its page cache, so killing one shows nothing of this; the calls themselves do.

#![allow(clippy::indexing_slicing, reason = "a test may fail")]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tidemill_tests::client;
use tidemill_tests::node::Setup;

const PUTS: usize = 40;

/// One finished system call, in the order that they finished.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Write { file: String, text: String },
    Synced { file: String },
    Answer,
}

/// Reads a trace of `strace -f -y`: calls that were interrupted by another thread's stand in two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ').map(|(thread, rest)| (thread, rest.trim_start())) else {
            continue;
        };
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, start);
        } else if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            let whole = format!("{}{end}", begun.remove(thread).unwrap_or_default());
            calls.extend(call(&whole));
        } else {
            calls.extend(call(rest));
        }
    }
    calls
}

/// Reads one call with its result: `name(fd</path>, "text", ...) = result`. An injected result is no result.
fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let file = arguments.split_once('<')?.1.split_once('>')?.0.to_owned();
    match name {
        "pwrite64" | "pwritev" => Some(Call::Write { file, text: arguments.to_owned() }),
        "fdatasync" | "fsync" if result.trim() == "0" => Some(Call::Synced { file }),
        "write" | "writev" | "sendto" | "sendmsg" if arguments.contains("HTTP/1.1 200") => Some(Call::Answer),
        _ => None,
    }
}

/// The first put whose record was not synced between its write and its answer.
fn first_not_durable(calls: &[Call]) -> Option<usize> {
    (0..PUTS).find(|put| !is_durable(calls, &marker(*put)))
}

fn is_durable(calls: &[Call], marker: &str) -> bool {
    let written = calls.iter().position(|call| matches!(call, Call::Write { text, .. } if text.contains(marker)));
    let Some(written) = written else { return false };
    let Call::Write { file: target, .. } = &calls[written] else { return false };
    let until_answer = calls[written..].iter().take_while(|call| **call != Call::Answer);
    until_answer.into_iter().any(|call| matches!(call, Call::Synced { file } if file == target))
}

fn marker(put: usize) -> String {
    format!("marked-record-{put:06}-")
}

/// Puts marked records one after another into a node that is traced. Returns what it called.
async fn trace_puts(folder: &Path, injected: Option<&str>) -> Result<Vec<Call>> {
    let trace = folder.join("trace");
    let mut setup = Setup::new(folder, "streams:\n  orders: { shards: 2 }\n")?;
    let calls_traced = "trace=pwrite64,pwritev,fdatasync,fsync,write,writev,sendto,sendmsg";
    let strace = ["strace", "-f", "-y", "-s", "200000", "-e", calls_traced, "-o", &trace.display().to_string()];
    setup.wrapper = strace.map(str::to_owned).to_vec();
    if let Some(injected) = injected {
        setup.wrapper.extend(["-e".to_owned(), format!("inject={injected}")]);
    }
    let node = setup.start()?;
    let client = client::sdk(&node.url());
    for put in 0..PUTS {
        let data = aws_sdk_kinesis::primitives::Blob::new(marker(put));
        client.put_record().stream_name("orders").partition_key(put.to_string()).data(data).send().await?;
    }
    node.stop()?;
    Ok(calls(&std::fs::read_to_string(trace)?))
}

fn strace_works() -> Result<()> {
    let output = Command::new("strace").args(["-e", "trace=none", "true"]).output();
    let output = output.context("strace is needed: `make tools` installs it")?;
    ensure!(output.status.success(), "strace cannot trace here: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_record_was_synced_before_its_answer() -> Result<()> {
    strace_works()?;
    let folder = tempfile::tempdir()?;
    let calls = trace_puts(folder.path(), None).await?;
    assert_eq!(first_not_durable(&calls), None);
    let answers = calls.iter().filter(|call| **call == Call::Answer).count();
    assert!(answers >= PUTS, "the trace shows {answers} answers to {PUTS} puts");
    Ok(())
}

/// The check above can fail: with an `fdatasync` that does nothing it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_does_nothing_is_found_out() -> Result<()> {
    strace_works()?;
    let folder = tempfile::tempdir()?;
    let calls = trace_puts(folder.path(), Some("fdatasync:retval=0")).await?;
    assert_eq!(first_not_durable(&calls), Some(0));
    Ok(())
}

#[test]
fn calls_in_two_lines_are_read_as_one() {
    let trace = "\
7 pwrite64(9</d/1.seg>, \"abc marked-record-000000- def\", 30, 0) = 30
7 fdatasync(9</d/1.seg> <unfinished ...>
8 write(4</x>, \"log\", 3) = 3
7 <... fdatasync resumed>) = 0
8 writev(5<socket:[1]>, [{iov_base=\"HTTP/1.1 200 OK\", iov_len=15}], 1) = 15
9 fdatasync(9</d/1.seg>) = 0 (INJECTED)
";
    let file = "/d/1.seg".to_owned();
    let calls = calls(trace);
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[1..], [Call::Synced { file }, Call::Answer]);
    assert!(is_durable(&calls, &marker(0)));
    assert!(!is_durable(&calls, &marker(1)));
}
