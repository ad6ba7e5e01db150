//! Reading: the steps, and what a reader must be given.

use std::time::Duration;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{Shard, ShardIndex};

use super::check::compare;
use super::records::Kept;
use super::steps::{From, Limits, Target};
use super::tally::Kind;
use super::world::{FIRST, World};

const BOOKMARKS_MAX: usize = 8;

/// How far someone has read.
#[derive(Debug, Clone)]
pub(crate) struct Bookmark {
    pub(crate) name: StreamName,
    pub(crate) shard: ShardIndex,
    pub(crate) bound: Bound,
    /// Records of the shard that lie before it.
    pub(crate) passed: usize,
}

/// What a page had to say besides its records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    is_skipped: bool,
    is_at_end: bool,
}

impl Kept {
    /// Three times of four one that has records, if any has.
    fn nth_shard(&self, nth: u32) -> &Shard {
        let with_records: Vec<&ShardIndex> = self.shards.keys().collect();
        let all: Vec<&Shard> = self.map.all().collect();
        match (nth / 4).checked_rem(with_records.len() as u32) {
            Some(filled) if !nth.is_multiple_of(4) => self.map.get(*with_records[filled as usize]).unwrap(),
            Some(_) | None => all[nth as usize % all.len()],
        }
    }

    /// How many of a shard's records have expired.
    pub(crate) fn expired(&self, shard: ShardIndex) -> usize {
        let horizon = self.horizon(shard);
        self.records(shard).partition_point(|record| record.arrival < horizon)
    }
}

impl World {
    pub(crate) async fn read(&mut self, target: Target, shard: u32, from: From, limits: Limits, pages: usize) {
        let (name, kind) = (self.target(target), kind_of(from));
        let Some(kept) = self.streams.get(&name) else {
            assert!(self.store().stream(&name).is_err());
            self.tally.in_vain(kind);
            return;
        };
        let shard = kept.nth_shard(shard).clone();
        let (records, expired) = (kept.records(shard.index), kept.expired(shard.index));
        let (start, passed) = start(records, expired, &shard, from);
        let is_empty = records.is_empty();
        let bound = self.store().position(&kept.stream, shard.index, start).await.unwrap();
        let mut bookmark = Bookmark { name, shard: shard.index, bound, passed };
        for _ in 0..pages {
            let page = self.read_page(&mut bookmark, limits).await;
            self.count_page(page);
        }
        self.bookmarks.push_back(bookmark);
        if self.bookmarks.len() > BOOKMARKS_MAX {
            self.bookmarks.pop_front();
        }
        if is_empty { self.tally.in_vain(kind) } else { self.tally.succeeded(kind) }
    }

    pub(crate) async fn read_on(&mut self, nth: usize, limits: Limits) {
        let Some(nth) = nth.checked_rem(self.bookmarks.len()) else { return self.tally.in_vain(Kind::ReadOn) };
        let mut bookmark = self.bookmarks[nth].clone();
        let page = self.read_page(&mut bookmark, limits).await;
        self.count_page(page);
        self.bookmarks[nth] = bookmark;
        self.tally.succeeded(Kind::ReadOn);
    }

    /// Reads one page, compares it, and moves the bookmark behind it. What has expired is passed over, and told.
    pub(crate) async fn read_page(&self, bookmark: &mut Bookmark, limits: Limits) -> Page {
        let Limits { records_max, bytes_max } = limits;
        let kept = &self.streams[&bookmark.name];
        let limits = ReadLimits { records_max, bytes_max };
        let page = self.store().read(&kept.stream, bookmark.shard, bookmark.bound, limits).await.unwrap();
        let first = kept.expired(bookmark.shard).max(bookmark.passed);
        let is_skipped = first > bookmark.passed;
        let rest = &kept.records(bookmark.shard)[first..];
        let bytes: usize = page.records.iter().map(StoredRecord::size_bytes).sum();
        assert!(page.records.len() <= records_max, "{} records, over {records_max}", page.records.len());
        assert!(bytes <= bytes_max || page.records.len() == 1, "{bytes} bytes, over {bytes_max}");
        assert!(!page.records.is_empty() || rest.is_empty(), "a page without records before the tip");
        compare(&page.records, &rest[..page.records.len().min(rest.len())], bookmark.shard);
        let is_at_tip = page.records.len() == rest.len();
        let is_at_end = is_at_tip && kept.map.get(bookmark.shard).unwrap().closed.is_some();
        let last = page.records.last().filter(|_| !is_at_tip);
        let behind = last.map_or(Duration::ZERO, |last| self.clock.now().since(last.arrival));
        assert_eq!(
            (page.is_at_tip, page.is_at_end, page.behind, page.skipped),
            (is_at_tip, is_at_end, behind, is_skipped),
            "at the tip, at the end, behind, skipped: {bookmark:?}"
        );
        bookmark.passed = first + page.records.len();
        bookmark.bound = page.next;
        Page { is_skipped, is_at_end }
    }

    fn count_page(&mut self, page: Page) {
        if page.is_skipped {
            self.tally.succeeded(Kind::ReadSkipped);
        }
        if page.is_at_end {
            self.tally.succeeded(Kind::ReadEnd);
        }
    }
}

/// A position, and how many of these records lie before it. So many of them have expired.
fn start(records: &[StoredRecord], expired: usize, shard: &Shard, from: From) -> (StartAt, usize) {
    let nth = |fraction: u8| usize::from(fraction) * records.len() / 256;
    let number = |nth: usize| {
        let record: Option<&StoredRecord> = records.get(nth);
        record
            .map_or(SequenceNumber::start_of(shard), |found| SequenceNumber::new(shard, found.position, found.arrival))
    };
    match from {
        From::Horizon => (StartAt::TrimHorizon, expired),
        From::Latest => (StartAt::Latest, records.len()),
        From::Time { fraction, by_ms } => {
            let near = records.get(nth(fraction)).map_or(FIRST, |record| record.arrival);
            let time = Timestamp::from_millis(near.as_millis().saturating_add_signed(by_ms));
            let before = records.iter().take_while(|record| record.arrival < time).count();
            (StartAt::Time(time), before.max(expired))
        }
        From::At { fraction } => (StartAt::AtSequence(number(nth(fraction))), nth(fraction)),
        From::After { fraction } => {
            (StartAt::AfterSequence(number(nth(fraction))), (nth(fraction) + 1).min(records.len()))
        }
    }
}

fn kind_of(from: From) -> Kind {
    match from {
        From::Horizon => Kind::ReadHorizon,
        From::Latest => Kind::ReadLatest,
        From::Time { .. } => Kind::ReadTime,
        From::At { .. } => Kind::ReadAt,
        From::After { .. } => Kind::ReadAfter,
    }
}
