//! Processes that are killed at each step of one change, and the power cut that comes after the next process has answered.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::facts::{RETENTION, log_id};
use super::image::Image;
use super::recorder::{Honesty, Recorder};
use super::workload::options;
use super::{Embedded, Steady};
use crate::clock::{Clock, Timestamp};
use crate::engine::{Engine, LogSettings};

/// More than a log is made in.
const STEPS: usize = 30;
/// What a cut leaves is chance.
const CUTS: u64 = 20;

#[tokio::test]
async fn a_log_that_a_killed_process_began_is_durable_when_the_next_one_answers() {
    let (log, clock) = (log_id(1), Clock::manual(Timestamp::from_millis(1_700_000_000_000)));
    let settings = LogSettings::kept_for(RETENTION);
    for killed_after in 0..STEPS {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::new(folder.path(), Honesty::Honest));
        let open = || Embedded::open_on(recorder.clone(), folder.path(), clock.clone(), options()).unwrap();
        let engine = open();
        recorder.kill_after(killed_after);
        let _ = engine.log_put(log, settings).await;
        drop(engine);
        recorder.revive();
        let engine = open();
        engine.log_put(log, settings).await.unwrap();
        let steps = recorder.take_steps();
        for seed in 0..CUTS {
            let left = tempfile::tempdir().unwrap();
            Image::after(&steps, &mut StdRng::seed_from_u64(seed)).write(left.path()).unwrap();
            let found = Embedded::open_on(Arc::new(Steady), left.path(), clock.clone(), options()).unwrap();
            let stats = found.stats(log).await;
            assert!(stats.is_ok(), "killed after {killed_after} steps, cut {seed}: {stats:?}");
        }
    }
}
