//! The laws on files with other options than the default, and under troubles.

use super::*;
use crate::engine::laws;

/// Engines, each on a folder of its own. Only the newest folder is kept: no law goes back to an engine before.
#[derive(Default)]
struct Folders {
    newest: parking_lot::Mutex<Option<tempfile::TempDir>>,
}

impl Folders {
    fn open(&self, clock: Clock, options: EmbeddedOptions) -> Embedded {
        let folder = tempfile::tempdir().unwrap();
        let engine = Embedded::open(folder.path(), clock, options).unwrap();
        *self.newest.lock() = Some(folder);
        engine
    }
}

#[tokio::test]
async fn files_with_four_shards_a_log_keep_the_laws() {
    let folders = Folders::default();
    let options = EmbeddedOptions { shards_per_log: 4, ..EmbeddedOptions::default() };
    laws::check(&|clock| Arc::new(folders.open(clock, options.clone()))).await;
}

#[tokio::test(start_paused = true)]
async fn files_with_troubles_keep_the_laws() {
    let folders = Folders::default();
    laws::check_under_faults("files", &|clock| folders.open(clock, EmbeddedOptions::default())).await;
}
