//! Logs like `recorder`, until a record's data contains the word "poison": then it does what its configuration's `mode`
//! says. `loop`, `memory`, `panic`, `error`, `exit`, `sleep`, `trap` and `escapes` fail the batch, each in its own way;
//! `flood`, `reach` (for files, the environment and the network) and `emit` do not (the last one fails a record that says
//! "fail", after it has emitted); `ok` does nothing.
//!
//! A line of level `debug` tells how many batches this instance has seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidemill_function::{Batch, Raw, Result, config, emit_raw, handler, log};

handler!(misbehave);

static BATCHES: AtomicU64 = AtomicU64::new(0);

fn misbehave(batch: Batch<Raw>) -> Result<()> {
    let batches = BATCHES.fetch_add(1, Ordering::Relaxed) + 1;
    log::debug(&format!("batches={batches}"));
    for record in &batch {
        let (key, number, data) = (&record.partition_key, record.sequence_number(), record.text()?);
        if data.contains("poison") {
            act(&config::get("mode").unwrap_or_default(), key, data)?;
        }
        log::info(&format!("record key={key} seq={number} data={data}"));
    }
    Ok(())
}

fn act(mode: &str, key: &str, data: &str) -> Result<()> {
    match mode {
        "" | "ok" => {}
        "loop" => loop {
            std::hint::spin_loop();
        },
        "memory" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                log::info(&format!("{} MiB", hoard.len()));
            }
        }
        "panic" => panic!("the poison worked"),
        "error" => Err("the poison failed the batch")?,
        "exit" => std::process::exit(3),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "trap" => trap(),
        "flood" => (0..100_000).for_each(|line| println!("line {line}")),
        "escapes" => {
            println!("\x1b[2Jon stdout");
            eprintln!("\x1b]0;title\x07on stderr");
            log::error("\u{9b}31mby log\r\u{202e}");
            eprint!("without a line end");
            Err("\x1b[31man error\nof two lines")?;
        }
        "emit" => {
            emit_raw("allowed", key, data.as_bytes())?;
            log::info(&emit_raw("forbidden", key, data.as_bytes()).unwrap_err().to_string());
            emit_raw("allowed", key, &vec![b'x'; (1 << 20) - key.len()])?;
            if data.contains("fail") {
                Err("the poison failed the batch")?;
            }
        }
        "reach" => {
            log::info(&format!("files {}", std::fs::read_dir("/").is_ok()));
            log::info(&format!("environment {}", std::env::vars().count()));
            log::info(&format!("arguments {}", std::env::args().count()));
            log::info(&format!("network {}", std::net::TcpStream::connect("127.0.0.1:1").is_ok()));
            log::info(&format!("listener {}", std::net::TcpListener::bind("127.0.0.1:0").is_ok()));
        }
        other => Err(format!("no such mode: '{other}'"))?,
    }
    Ok(())
}

/// Traps without a panic.
#[cfg(target_family = "wasm")]
fn trap() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn trap() {}
