//! Reading the shards of a stream, in turn, each from where it was left.
//!
//! Promises that no record is left out while the stream exists, whatever the node does meanwhile; that a shard is read
//! in order, and its children only behind its end. It must not know how records are shown.

use std::time::Duration;

use tidemill_client::{Client, ClientError, Record, Shard, Start};
use tidemill_stream::clock::Clock;
use tokio::time::Instant;

use super::beginning::Beginning;
use crate::cli::text::short_shard;

/// Records of one read.
const READ_RECORDS_MAX: u32 = 1000;
/// How old the list of shards may become.
const SHARDS_AGE_MAX: Duration = Duration::from_secs(5);

/// What came of a turn of one shard.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) records: Vec<Record>,
    /// There may be more at once.
    pub(super) has_moved: bool,
}

/// Why a turn came to nothing. The next one goes on where it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the stream '{stream}' has no shard '{shard}'; it has {known}")]
    NoShard { stream: String, shard: String, known: String },
}

/// The shards of a stream that are read.
#[derive(Debug)]
pub(super) struct Follow {
    client: Client,
    stream: String,
    /// The one shard that is wanted; `None`: all.
    only: Option<String>,
    /// Where those shards begin that are there at first.
    from: Beginning,
    readers: Vec<Reader>,
    /// When the shards were listed; `None`: they have to be.
    listed: Option<Instant>,
}

#[derive(Debug)]
struct Reader {
    shard: String,
    parents: Vec<String>,
    /// Where to go on without an iterator, or with one that has expired.
    resume: Start,
    place: Place,
    is_at_tip: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// To be found from where the reader resumes.
    Unknown,
    /// An iterator.
    At(String),
    /// Behind the last record of a closed shard.
    End,
}

impl Follow {
    pub(super) fn new(client: Client, stream: &str, only: Option<&str>, from: Beginning) -> Self {
        let (stream, only) = (stream.to_owned(), only.map(str::to_owned));
        Self { client, stream, only, from, readers: Vec::new(), listed: None }
    }

    pub(super) fn shards(&self) -> usize {
        self.readers.len()
    }

    pub(super) fn shard(&self, index: usize) -> &str {
        self.readers.get(index).map_or("", |reader| &reader.shard)
    }

    /// Whether the last turn of a shard reached its newest record.
    pub(super) fn is_at_tip(&self, index: usize) -> bool {
        self.readers.get(index).is_some_and(|reader| reader.is_at_tip)
    }

    /// Whether nothing will ever come: a stream as a whole has no end.
    pub(super) fn has_ended(&self) -> bool {
        self.only.is_some() && self.readers.iter().all(|reader| reader.place == Place::End)
    }

    /// Looks for new shards when it is time to. Those of the first look begin where the user said, later ones at their
    /// beginning.
    pub(super) async fn find_shards(&mut self) -> Result<(), FollowError> {
        if self.listed.is_some_and(|listed| listed.elapsed() < SHARDS_AGE_MAX) {
            return Ok(());
        }
        let shards = self.client.list_shards(&self.stream).await?;
        let start = if self.readers.is_empty() { self.from.start() } else { Start::TrimHorizon };
        let known = |shard: &Shard| self.readers.iter().any(|reader| reader.shard == shard.shard_id);
        let wanted = |shard: &Shard| self.only.as_deref().is_none_or(|only| is_named(&shard.shard_id, only));
        let new: Vec<Reader> = shards
            .iter()
            .filter(|shard| wanted(shard) && !known(shard))
            .map(|shard| Reader::new(shard, start.clone()))
            .collect();
        self.readers.extend(new);
        self.listed = Some(Instant::now());
        match &self.only {
            Some(only) if self.readers.is_empty() => Err(self.no_shard(only, &shards)),
            Some(_) | None => Ok(()),
        }
    }

    fn no_shard(&self, only: &str, shards: &[Shard]) -> FollowError {
        let short =
            |shard: Option<&Shard>| shard.map_or_else(String::new, |shard| short_shard(&shard.shard_id).to_owned());
        let known = match shards.len() {
            1 => short(shards.first()),
            count => format!("{count}, from {} to {}", short(shards.first()), short(shards.last())),
        };
        FollowError::NoShard { stream: self.stream.clone(), shard: only.to_owned(), known }
    }

    /// Reads on in one shard.
    pub(super) async fn read(&mut self, index: usize) -> Result<Turn, FollowError> {
        if self.waits_for_parents(index) {
            return Ok(Turn::default());
        }
        let Some(reader) = self.readers.get_mut(index) else { return Ok(Turn::default()) };
        let turn = reader.read(&self.client, &self.stream).await?;
        if turn.has_moved && reader.place == Place::End {
            self.listed = None; // it has children now
        }
        Ok(turn)
    }

    fn waits_for_parents(&self, index: usize) -> bool {
        let Some(child) = self.readers.get(index) else { return false };
        let is_parent = |reader: &&Reader| child.parents.contains(&reader.shard);
        self.readers.iter().filter(is_parent).any(|parent| parent.place != Place::End)
    }
}

impl Reader {
    fn new(shard: &Shard, resume: Start) -> Self {
        let parents = shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id).cloned().collect();
        Self { shard: shard.shard_id.clone(), parents, resume, place: Place::Unknown, is_at_tip: false }
    }

    async fn read(&mut self, client: &Client, stream: &str) -> Result<Turn, ClientError> {
        let iterator = match &self.place {
            Place::End => return Ok(Turn::default()),
            Place::At(iterator) => iterator.clone(),
            Place::Unknown => {
                let found = client.get_shard_iterator(stream, &self.shard, self.resume.clone()).await?;
                self.place = Place::At(found.clone());
                found
            }
        };
        let asked = Clock::system().now();
        let read = match client.get_records(&iterator, Some(READ_RECORDS_MAX)).await {
            Err(error) if error.is_iterator_expired() => {
                self.place = Place::Unknown;
                return Ok(Turn { records: Vec::new(), has_moved: true });
            }
            read => read?,
        };
        if let Some(last) = read.records.last() {
            self.resume = Start::After(last.sequence_number.clone());
        } else if self.resume == Start::Latest {
            // What is latest moves on while the node is away: what comes behind this read has a later time.
            self.resume = Start::Timestamp(asked.as_millis());
        }
        self.is_at_tip = read.behind_ms == 0 || read.next.is_none();
        let has_moved = !read.records.is_empty() || read.next.is_none() || !self.is_at_tip;
        self.place = read.next.map_or(Place::End, Place::At);
        Ok(Turn { records: read.records, has_moved })
    }
}

/// By its id, or by its number alone.
fn is_named(id: &str, name: &str) -> bool {
    id == name || short_shard(id) == name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(number: u32, parents: [Option<u32>; 2]) -> Shard {
        let id = |number: u32| format!("shardId-{number:012}");
        let [parent, adjacent] = parents.map(|parent| parent.map(id));
        Shard { shard_id: id(number), parent_shard_id: parent, adjacent_parent_shard_id: adjacent, ..Shard::default() }
    }

    #[test]
    fn a_child_waits_for_the_end_of_each_parent_that_is_read() {
        let client = Client::new("http://127.0.0.1:1").unwrap();
        let mut follow = Follow::new(client, "orders", None, Beginning::TrimHorizon);
        let shards =
            [shard(0, [None, None]), shard(1, [None, None]), shard(2, [Some(0), Some(1)]), shard(3, [Some(9), None])];
        follow.readers = shards.iter().map(|shard| Reader::new(shard, Start::TrimHorizon)).collect();
        let waiting = |follow: &Follow| [0, 1, 2, 3].map(|index| follow.waits_for_parents(index));
        assert_eq!(waiting(&follow), [false, false, true, false], "shard 9 is gone: nobody waits for it");
        follow.readers[0].place = Place::End;
        assert_eq!(waiting(&follow), [false, false, true, false]);
        follow.readers[1].place = Place::End;
        assert_eq!(waiting(&follow), [false; 4]);
        assert!(!follow.has_ended());
    }

    #[test]
    fn a_shard_is_named_by_its_id_or_number() {
        let id = "shardId-000000000012";
        assert!(is_named(id, id) && is_named(id, "12"));
        assert!(!is_named(id, "2") && !is_named(id, "012") && !is_named(id, ""));
    }
}
