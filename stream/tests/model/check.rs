//! The comparison of all that is in the store with all that the model says is in it.

use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::{Bound, Health};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::ShardIndex;

use super::reads::Bookmark;
use super::steps::Limits;
use super::world::World;

/// Pages of a whole read: several of them where a shard has large records.
const PAGE: Limits = Limits { records_max: 100, bytes_max: 1 << 20 };

impl World {
    pub(crate) async fn compare_wholly(&self) {
        assert_eq!(self.store().health(), Health::Healthy);
        let found: Vec<StreamName> = self.store().streams().iter().map(|stream| stream.name.clone()).collect();
        assert_eq!(found, self.streams.keys().cloned().collect::<Vec<_>>());
        let mut readers: Vec<Bookmark> = self.bookmarks.iter().cloned().collect();
        for (name, kept) in &self.streams {
            assert_eq!(self.store().stream(name).unwrap(), kept.stream);
            kept.map.check_cover();
            for shard in kept.map.all().map(|shard| shard.index) {
                let reader = |bound, passed| Bookmark { name: name.clone(), shard, bound, passed };
                let bound = self.store().position(&kept.stream, shard, StartAt::TrimHorizon).await.unwrap();
                readers.push(reader(bound, kept.expired(shard)));
                // One from before all that has expired is told so.
                readers.push(reader(Bound::START, 0));
            }
        }
        for reader in readers {
            self.read_to_the_end(reader).await;
        }
        assert_eq!(self.found_cells().await, self.cells.under(""));
    }

    async fn read_to_the_end(&self, mut bookmark: Bookmark) {
        let records = self.streams[&bookmark.name].records(bookmark.shard).len();
        while bookmark.passed < records {
            self.read_page(&mut bookmark, PAGE).await;
        }
        // Nothing lies behind what was put.
        self.read_page(&mut bookmark, PAGE).await;
    }
}

/// Says where two lists of records part, and not all that they hold.
pub(crate) fn compare(found: &[StoredRecord], expected: &[StoredRecord], shard: ShardIndex) {
    for (index, record) in found.iter().enumerate() {
        let told = |record: &StoredRecord| {
            let StoredRecord { position, arrival, partition_key, explicit_hash, data } = record;
            format!("{position:?} {arrival:?} {partition_key:?} {explicit_hash:?} {} bytes", data.len())
        };
        let other = expected.get(index);
        assert!(Some(record) == other, "{shard}: record {index} is {}, not {:?}", told(record), other.map(told));
    }
    assert_eq!(found.len(), expected.len(), "{shard}: the records differ in number");
    let arrivals: Vec<Timestamp> = found.iter().map(|record| record.arrival).collect();
    assert!(arrivals.is_sorted(), "{shard}: arrivals step back: {arrivals:?}");
}
