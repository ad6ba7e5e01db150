//! The laws on files with other options than the default, and under troubles.

use super::*;
use crate::engine::laws;

/// An engine on a folder of its own.
#[derive(Default)]
struct Folders {
    opened: parking_lot::Mutex<Vec<tempfile::TempDir>>,
}

impl Folders {
    fn open(&self, clock: Clock, options: EmbeddedOptions) -> Embedded {
        let folder = tempfile::tempdir().unwrap();
        let engine = Embedded::open(folder.path(), clock, options).unwrap();
        self.opened.lock().push(folder);
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
