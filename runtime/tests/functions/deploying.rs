//! Deployments: what is refused, what is kept, what changes under a running lane.

use std::time::Duration;

use bytes::Bytes;
use tidemill::functions::{
    Answer, DeployError, FunctionSettings, Invoke as _, InvokeError, Origin, Version, WasmError, limits,
};

use crate::setting::{Setting, batch, batches_seen, mode, name, poison};
use crate::{guests, lines};

async fn refused(wasm: Bytes) -> DeployError {
    let setting = Setting::new();
    let outcome = setting.functions.deploy(&name("refused"), wasm, FunctionSettings::default()).await;
    assert_eq!(setting.functions.version(&name("refused")), None);
    outcome.unwrap_err()
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    assert_eq!(refused(Bytes::from_static(b"#!/bin/sh")).await, DeployError::Wasm(WasmError::NotWasm));
    assert_eq!(refused(Bytes::from_static(b"\0asm\x01\0\0\0")).await, DeployError::Wasm(WasmError::CoreModule));
    let damaged = guests::recorder().slice(..5000);
    assert!(matches!(refused(damaged).await, DeployError::Wasm(WasmError::Invalid { .. })));
    let large = Bytes::from(vec![0; limits::WASM_BYTES_MAX + 1]);
    assert!(matches!(refused(large).await, DeployError::Wasm(WasmError::TooLarge { .. })));
}

#[tokio::test]
async fn a_component_of_another_world_is_told_what_is_missing() {
    let error = refused(guests::stranger()).await.to_string();
    let expected = "the component is of no world of a function: it exports neither 'handle' (tidemill:function/consumer) nor 'handle-event' (tidemill:function/lambda), it exports 'wasi:cli/run@0.2.";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn an_import_that_is_not_offered_is_named() {
    let error = refused(guests::importer()).await.to_string();
    let expected = ["not of the world tidemill:function/consumer", "`tests:importer/nowhere`"];
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
}

#[tokio::test]
async fn an_export_of_another_type_is_refused() {
    let error = refused(guests::impostor()).await.to_string();
    let expected = ["not of the world tidemill:function/consumer", "export func `handle`", "found `u32`"];
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
}

#[tokio::test]
async fn settings_are_checked() {
    let setting = Setting::new();
    let default = FunctionSettings::default();
    let small = FunctionSettings { memory_bytes: 1000, ..default.clone() };
    let long = FunctionSettings { timeout: Duration::from_secs(901), ..default.clone() };
    let never = FunctionSettings { timeout: Duration::ZERO, ..default.clone() };
    let large = FunctionSettings { config: [("a".to_owned(), "x".repeat(limits::CONFIG_BYTES_MAX))].into(), ..default };
    let expected = [
        (small, "a memory of 1000 bytes is out of range: choose 1048576 to 4294967296"),
        (long, "a timeout of 901s is out of range: choose 1ms to 900s"),
        (never, "a timeout of 0ns is out of range: choose 1ms to 900s"),
        (large, "the configuration has 65537 bytes of names and values; a function may have 65536"),
    ];
    for (settings, message) in expected {
        let error = setting.functions.deploy(&name("checked"), guests::recorder(), settings).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test]
async fn a_function_that_cannot_start_is_refused_and_the_old_one_stays() {
    let setting = Setting::new();
    let before = setting.deploy("start", guests::recorder(), FunctionSettings::default()).await;
    let settings = FunctionSettings { memory_bytes: limits::MEMORY_BYTES_MIN, ..FunctionSettings::default() };
    let error = setting.functions.deploy(&name("start"), guests::misbehave(), settings).await.unwrap_err();
    assert_eq!(error, DeployError::Start(InvokeError::OutOfMemory { limit_bytes: limits::MEMORY_BYTES_MIN }));
    assert_eq!(setting.functions.version(&name("start")), Some(before.version));
}

#[tokio::test]
async fn deploying_the_same_again_changes_nothing() {
    let setting = Setting::new();
    let first = setting.deploy("same", guests::misbehave(), mode("ok")).await;
    assert!(matches!(first.origin, Origin::Compiled { took } if !took.is_zero()) && !first.from_cache());
    assert_eq!(first.version, Version::of(&guests::misbehave()));
    let mut lane = setting.lane("same");
    let mut changes = setting.functions.watch(&name("same"));
    changes.mark_unchanged();
    assert_eq!(batches_seen(&mut lane).await, 1);
    let second = setting.deploy("same", guests::misbehave(), mode("ok")).await;
    assert_eq!((second.version, second.origin), (first.version, Origin::Unchanged));
    assert!(!changes.has_changed().unwrap());
    assert_eq!(batches_seen(&mut lane).await, 2);
}

#[tokio::test]
async fn a_lane_goes_over_to_the_new_version() {
    let setting = Setting::new();
    setting.deploy("renewed", guests::misbehave(), mode("error")).await;
    let mut lane = setting.lane("renewed");
    let mut changes = setting.functions.watch(&name("renewed"));
    changes.mark_unchanged();
    assert!(poison(&mut lane).await.is_err());
    setting.deploy("renewed", guests::misbehave(), mode("ok")).await;
    changes.changed().await.unwrap();
    assert_eq!(poison(&mut lane).await, Ok(()));
    setting.deploy("renewed", guests::recorder(), FunctionSettings::default()).await;
    lane.invoke(&batch(&["by the recorder"])).await.unwrap();
    assert!(lines::infos("renewed").last().unwrap().ends_with("data=by the recorder"));
}

#[tokio::test]
async fn a_lane_waits_for_its_function_and_outlives_it() {
    let setting = Setting::new();
    let mut lane = setting.lane("later");
    let missing = InvokeError::Unavailable { message: "no function named 'later' is deployed".to_owned() };
    assert_eq!(lane.invoke(&batch(&["a"])).await, Err(missing.clone()));
    setting.deploy("later", guests::recorder(), FunctionSettings::default()).await;
    assert_eq!(lane.invoke(&batch(&["a"])).await, Ok(Answer::default()));
    assert!(setting.functions.remove(&name("later")) && !setting.functions.remove(&name("later")));
    assert_eq!(lane.invoke(&batch(&["a"])).await, Err(missing));
}

#[tokio::test]
async fn what_was_compiled_once_is_loaded_after_a_restart() {
    let setting = Setting::new();
    setting.deploy("kept", guests::recorder(), FunctionSettings::default()).await;
    let setting = setting.restart();
    let deployed = setting.deploy("kept", guests::recorder(), FunctionSettings::default()).await;
    assert_eq!(deployed.origin, Origin::Cache);
    assert_eq!(setting.lane("kept").invoke(&batch(&["a"])).await, Ok(Answer::default()));
}

#[tokio::test]
async fn a_compiled_file_that_was_tampered_with_is_compiled_again() {
    let setting = Setting::new();
    setting.deploy("tampered", guests::recorder(), FunctionSettings::default()).await;
    let files = setting.compiled();
    let [file] = files.as_slice() else { panic!("one file: {files:?}") };
    let good = std::fs::read(file).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 0x80;
    std::fs::write(file, &bad).unwrap();
    let setting = setting.restart();
    let deployed = setting.deploy("tampered", guests::recorder(), FunctionSettings::default()).await;
    assert!(matches!(deployed.origin, Origin::Compiled { .. }));
    let name = file.file_stem().unwrap().to_str().unwrap();
    assert!(lines::warnings().iter().any(|line| line.contains(name) && line.contains("authentication does not match")));
    assert_eq!(setting.lane("tampered").invoke(&batch(&["a"])).await, Ok(Answer::default()));
    assert_ne!(std::fs::read(file).unwrap(), bad);
}
