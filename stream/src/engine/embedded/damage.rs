//! What readers find to be damaged: the engine's health names it until it is trimmed or its log is dropped.
//!
//! Must not know what a reader does about it.

use parking_lot::Mutex;

use super::log::Log;
use crate::engine::{Corruption, LogError};

/// What a reader of this log found last.
#[derive(Debug, Default)]
pub(super) struct Damage(Mutex<Option<Corruption>>);

impl Log {
    /// Counts and keeps what a reader found to be damaged.
    pub(super) fn watched<T>(&self, read: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(LogError::Corrupt(corruption)) = &read {
            self.shared.counters.corruptions.inc();
            *self.damage.0.lock() = Some(corruption.clone());
        }
        read
    }

    /// What a reader found to be damaged, if the log still has it.
    pub(super) fn damage(&self) -> Option<Corruption> {
        let found = self.damage.0.lock().clone()?;
        let view = self.view.read();
        let closed = view.closed.iter().map(|segment| &segment.path);
        let mut paths = closed.chain(view.active.as_ref().map(|active| &active.path));
        paths.any(|path| path.display().to_string() == found.file).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use ::bytes::Bytes;

    use super::super::{Embedded, EmbeddedOptions};
    use super::*;
    use crate::clock::Clock;
    use crate::engine::{
        Append, Bound, Engine, Generation, Health, LogId, LogSettings, Position, ReadLimits, StreamId, Trouble,
    };
    use crate::record::{PartitionKey, Record};
    use crate::shard::ShardIndex;

    const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
    const SHARD: ShardIndex = ShardIndex(0);

    fn open(folder: &Path) -> Embedded {
        Embedded::open(folder, Clock::system(), EmbeddedOptions::default()).unwrap()
    }

    async fn append(engine: &Embedded, data: &'static [u8]) {
        let partition_key = PartitionKey::parse("k").unwrap();
        let record = Record { partition_key, explicit_hash: None, data: Bytes::from_static(data) };
        let append = Append { records: vec![(SHARD, record)], marks: Vec::new() };
        engine.append(LOG, Generation::FIRST, append).await.unwrap();
    }

    /// An engine whose only log has a damaged frame, which nobody has read yet; and the file.
    async fn damaged(folder: &Path) -> (Embedded, String) {
        let engine = open(folder);
        engine.log_put(LOG, LogSettings::kept_for(Duration::from_hours(24))).await.unwrap();
        for data in [b"first", b"other", b"third"] {
            append(&engine, data).await;
        }
        engine.close();
        drop(engine);
        let logs = folder.join("logs").join(LOG.to_string());
        let path = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(5).position(|bytes| bytes == b"other").unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        (open(folder), path.display().to_string())
    }

    async fn read(engine: &Embedded) -> Corruption {
        let limits = ReadLimits { records_max: 10, bytes_max: 1 << 20 };
        let error = engine.read(LOG, SHARD, Bound::START, limits).await.unwrap_err();
        let LogError::Corrupt(corruption) = error else { panic!("{error}") };
        corruption
    }

    #[tokio::test]
    async fn what_a_reader_finds_damaged_is_in_the_health_until_it_is_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, file) = damaged(folder.path()).await;
        assert_eq!(engine.health(), Health::Healthy, "nobody has looked");
        let found = read(&engine).await;
        assert_eq!(found.file, file);
        let trouble = Trouble { log: Some(LOG), what: found.to_string() };
        assert_eq!(engine.health(), Health::Degraded(vec![trouble.clone()]));
        assert_eq!(engine.counts().corruptions, 1);
        append(&engine, b"later").await;
        assert_eq!(engine.health(), Health::Degraded(vec![trouble]), "the damage is still there");
        engine.log(LOG).unwrap().trim(Position(u64::MAX)).unwrap();
        assert_eq!(engine.health(), Health::Healthy);
    }

    #[tokio::test]
    async fn a_log_that_is_dropped_takes_its_damage_along() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = damaged(folder.path()).await;
        read(&engine).await;
        engine.log_drop(LOG).await.unwrap();
        assert_eq!(engine.health(), Health::Healthy);
    }
}
