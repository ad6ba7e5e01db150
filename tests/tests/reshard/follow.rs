//! A reader that follows the lineage: it reads shards to their ends, then the children that these name, each when all of
//! its parents are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{ChildShard, Record, Shard, ShardFilter, ShardFilterType, ShardIteratorType};

use super::change::{open_shards, range};
use super::history::{Child, Kept, Met, Number, Reader, ShardId, Start, Told};
use super::produce::Ledger;

/// So often an iterator is not the next one, but one behind the last record.
const PAGES_AN_ITERATOR: usize = 7;

/// Where a reader begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// With all records.
    Roots,
    /// In every open shard behind, or at, the record that was acknowledged last.
    Newest,
    /// When such a record arrived.
    Time,
    /// In every open shard behind all records.
    Latest,
}

#[derive(Debug)]
struct Place {
    iterator: String,
    last: Option<Number>,
    pages: usize,
}

#[derive(Debug)]
struct Follower {
    client: Client,
    ledger: Arc<Ledger>,
    records_max: i32,
    places: BTreeMap<ShardId, Place>,
    children: BTreeMap<ShardId, Child>,
    reader: Reader,
}

/// Reads from when the shards were changed so often until all is put and read.
pub(crate) async fn follow(
    client: Client,
    ledger: Arc<Ledger>,
    records_max: i32,
    begin: Begin,
    changes_before: usize,
) -> Result<Reader> {
    ledger.changed.subscribe().wait_for(|changed| *changed >= changes_before).await?;
    let (places, children) = (BTreeMap::new(), BTreeMap::new());
    let mut follower = Follower { client, ledger, records_max, places, children, reader: Reader::default() };
    follower.begin(begin).await?;
    follower.read_all().await?;
    Ok(follower.reader)
}

impl Follower {
    async fn begin(&mut self, begin: Begin) -> Result<()> {
        match begin {
            Begin::Roots => {
                for shard in listed(&self.client, ShardFilterType::AtTrimHorizon, None).await? {
                    self.start(shard.shard_id(), Start::Horizon).await?;
                }
            }
            Begin::Newest => {
                for (index, shard) in open_shards(&self.client).await?.iter().enumerate() {
                    let start = match (self.ledger.newest_of(shard.shard_id()), index % 2) {
                        (Some(met), 0) => Start::At(met.number),
                        (Some(met), _) => Start::After(met.number),
                        (None, _) => Start::Horizon,
                    };
                    self.start(shard.shard_id(), start).await?;
                }
            }
            Begin::Time => self.begin_at_time().await?,
            Begin::Latest => {
                for shard in open_shards(&self.client).await? {
                    let asked = self.ledger.tick();
                    self.start(shard.shard_id(), Start::Latest { asked, answered: asked }).await?;
                    let start = Start::Latest { asked, answered: self.ledger.tick() };
                    self.reader.starts.insert(shard.shard_id().to_owned(), start);
                }
            }
        }
        Ok(())
    }

    /// Of the shards that were open at that time, those whose parents were not.
    async fn begin_at_time(&mut self) -> Result<()> {
        let newest = self.ledger.newest().context("nothing was put")?;
        let at = iterator(&self.client, &newest.shard, &Start::At(newest.number.clone())).await?;
        let page = self.client.get_records().shard_iterator(at).limit(1).send().await?;
        let time_ms = arrival_ms(page.records().first().context("an acknowledged record cannot be read")?)?;
        let open = listed(&self.client, ShardFilterType::AtTimestamp, Some(time_ms)).await?;
        for shard in &open {
            let is_parent = |other: &Shard| shard.parent_shard_id() == Some(other.shard_id());
            if !open.iter().any(is_parent) {
                self.start(shard.shard_id(), Start::TimeMs(time_ms)).await?;
            }
        }
        Ok(())
    }

    async fn start(&mut self, shard: &str, start: Start) -> Result<()> {
        let iterator = iterator(&self.client, shard, &start).await?;
        self.places.insert(shard.to_owned(), Place { iterator, last: None, pages: 0 });
        self.reader.starts.insert(shard.to_owned(), start);
        Ok(())
    }

    async fn read_all(&mut self) -> Result<()> {
        let (mut answered, mut is_done) = (self.ledger.answered.subscribe(), self.ledger.is_done.subscribe());
        loop {
            // Asked first: what was put before is then read.
            let was_done = *is_done.borrow_and_update();
            answered.borrow_and_update();
            let mut is_idle = true;
            for shard in self.places.keys().cloned().collect::<Vec<_>>() {
                is_idle &= self.read(&shard).await?;
            }
            match (is_idle, was_done) {
                (true, true) => return Ok(()),
                (true, false) => tokio::select! {
                    changed = answered.changed() => changed?,
                    changed = is_done.changed() => changed?,
                },
                (false, _) => {}
            }
        }
    }

    /// One page of a shard; says whether there is nothing more for now.
    async fn read(&mut self, shard: &str) -> Result<bool> {
        let Some(place) = self.places.get_mut(shard) else { return Ok(true) };
        place.pages += 1;
        if let Some(last) = place.last.clone().filter(|_| place.pages.is_multiple_of(PAGES_AN_ITERATOR)) {
            place.iterator = iterator(&self.client, shard, &Start::After(last)).await?;
        }
        let get = self.client.get_records().shard_iterator(&place.iterator).limit(self.records_max);
        let page = get.send().await?;
        let met = page.records().iter().map(|record| met(shard, record)).collect::<Result<Vec<_>>>()?;
        place.last = met.last().map(|met| met.number.clone()).or(place.last.take());
        self.reader.seen.extend(met);
        let is_idle = page.records().is_empty() && page.millis_behind_latest() == Some(0);
        match page.next_shard_iterator() {
            Some(next) => {
                next.clone_into(&mut place.iterator);
                Ok(is_idle)
            }
            None => self.end(shard, &page).await.map(|()| false),
        }
    }

    /// Goes on with the children that have no parent left to read.
    async fn end(&mut self, shard: &str, page: &GetRecordsOutput) -> Result<()> {
        self.places.remove(shard);
        let children = page.child_shards().iter().map(child).collect::<Result<Vec<_>>>()?;
        self.children.extend(children.iter().map(|child| (child.id.clone(), child.clone())));
        self.reader.ends.insert(shard.to_owned(), children);
        let ends = &self.reader.ends;
        let is_ready = |_: &ShardId, child: &mut Child| child.parents.iter().all(|parent| ends.contains_key(parent));
        for id in self.children.extract_if(.., is_ready).map(|(id, _)| id).collect::<Vec<_>>() {
            let iterator = iterator(&self.client, &id, &Start::Horizon).await?;
            self.places.insert(id, Place { iterator, last: None, pages: 0 });
        }
        Ok(())
    }
}

async fn listed(client: &Client, kind: ShardFilterType, time_ms: Option<u64>) -> Result<Vec<Shard>> {
    let filter = ShardFilter::builder().r#type(kind).set_timestamp(time_ms.map(time).transpose()?).build()?;
    Ok(client.list_shards().stream_name("orders").shard_filter(filter).send().await?.shards().to_vec())
}

async fn iterator(client: &Client, shard: &str, start: &Start) -> Result<String> {
    let get = client.get_shard_iterator().stream_name("orders").shard_id(shard);
    let get = match start {
        Start::Horizon => get.shard_iterator_type(ShardIteratorType::TrimHorizon),
        Start::Latest { .. } => get.shard_iterator_type(ShardIteratorType::Latest),
        Start::At(number) => {
            get.shard_iterator_type(ShardIteratorType::AtSequenceNumber).starting_sequence_number(number)
        }
        Start::After(number) => {
            get.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(number)
        }
        Start::TimeMs(at) => get.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(time(*at)?),
    };
    Ok(get.send().await?.shard_iterator().context("no iterator")?.to_owned())
}

fn time(millis: u64) -> Result<DateTime> {
    Ok(DateTime::from_millis(i64::try_from(millis)?))
}

fn arrival_ms(record: &Record) -> Result<u64> {
    let arrival = record.approximate_arrival_timestamp().context("a record without a time")?;
    Ok(u64::try_from(arrival.to_millis()?)?)
}

fn met(shard: &str, record: &Record) -> Result<Met> {
    let key = record.partition_key().context("a record without a key")?.to_owned();
    let count = std::str::from_utf8(record.data().as_ref())?.parse()?;
    Ok(Met { shard: shard.to_owned(), number: record.sequence_number().to_owned(), record: Told { key, count } })
}

fn child(child: &ChildShard) -> Result<Child> {
    let range = range(child.hash_key_range())?;
    Ok(Child { id: child.shard_id().to_owned(), parents: child.parent_shards().to_vec(), range })
}

/// All that a shard holds, whether it is closed or not.
pub(crate) async fn read_wholly(client: &Client, shard: &str) -> Result<Vec<Kept>> {
    let (mut next, mut records) = (Some(iterator(client, shard, &Start::Horizon).await?), Vec::new());
    while let Some(at) = next {
        let page = client.get_records().shard_iterator(at).send().await?;
        for record in page.records() {
            records.push(Kept { met: met(shard, record)?, arrival_ms: arrival_ms(record)? });
        }
        let is_at_tip = page.records().is_empty() && page.millis_behind_latest() == Some(0);
        next = page.next_shard_iterator().filter(|_| !is_at_tip).map(str::to_owned);
    }
    Ok(records)
}
