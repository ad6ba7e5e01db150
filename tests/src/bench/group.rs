//! How many small appends at once the store commits, beside a group commit that knows no format, and beside plain writes.

use std::io::Write as _;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use tidemill_stream::name::StreamName;
use tidemill_stream::store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::ROUNDS;
use super::append::{self, SMALL_BYTES, random};
use super::disk::Prepared;
use super::figure::{Bar, Figure};
use super::rounds::{Pairs, per_second, rounds};
use super::store;

pub(super) const NAMES: [&str; 2] = ["store.append.1x100B.c64", "store.append.1x100B.c64.vs_fdatasync"];

/// Those who append at the same time.
const APPENDERS: usize = 64;
/// Appends of each of them in a round.
const APPENDS: usize = 200;
/// Plain writes of a round.
const WRITES: usize = 1000;

/// Measures the store, the bare group commit and the plain writes in turn.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let (store, stream) = append::warm(folder).await?;
    let (mut grouped, mut plain) = (Pairs::default(), Pairs::default());
    for _ in rounds("store.append.1x100B.c64", ROUNDS) {
        let bare = bare_round(folder).await?;
        let writes = extending_round(folder)?;
        let appends = store_round(&store, &stream).await?;
        grouped.note(bare, appends);
        plain.note(writes, appends);
    }
    let [name, plain_name] = NAMES;
    let figure = |name, pairs: &Pairs| Ok(Figure::new(name, pairs.value()?, "records/s").with_limit(pairs.limit()?));
    let (grouped, plain): (Result<_>, Result<_>) = (figure(name, &grouped), figure(plain_name, &plain));
    Ok(vec![grouped?.with_bar(Bar::AtLeast(0.6)), plain?.with_bar(Bar::AtLeast(12.0))])
}

async fn store_round(store: &Store, stream: &StreamName) -> Result<f64> {
    let shares: Vec<_> = (0..APPENDERS).map(|_| store::puts(APPENDS, 1, SMALL_BYTES)).collect::<Result<_>>()?;
    let (mut appenders, start) = (JoinSet::new(), Instant::now());
    for puts in shares {
        appenders.spawn(store::put_each(store.clone(), stream.clone(), puts));
    }
    store::join_all(appenders).await?;
    Ok(per_second(APPENDERS * APPENDS, start))
}

/// The same appends, by tasks of the same runtime, to one thread that writes whatever waits and syncs it.
async fn bare_round(folder: &Path) -> Result<f64> {
    let group = BareGroup::start(Prepared::new(folder, APPENDERS * APPENDS * SMALL_BYTES)?)?;
    let (mut appenders, start) = (JoinSet::new(), Instant::now());
    for _ in 0..APPENDERS {
        appenders.spawn(append_each(group.queue.clone(), Bytes::from(random(SMALL_BYTES))));
    }
    store::join_all(appenders).await?;
    let rate = per_second(APPENDERS * APPENDS, start);
    group.finish()?;
    Ok(rate)
}

async fn append_each(queue: mpsc::Sender<Waiting>, bytes: Bytes) -> Result<()> {
    for _ in 0..APPENDS {
        let (answer, answered) = oneshot::channel();
        queue.send(Waiting { bytes: bytes.clone(), answer }).await.context("the writer is gone")?;
        answered.await.context("the writer failed")?;
    }
    Ok(())
}

struct Waiting {
    bytes: Bytes,
    answer: oneshot::Sender<()>,
}

/// A group commit without frames, checksums, indexes or readers.
struct BareGroup {
    queue: mpsc::Sender<Waiting>,
    thread: JoinHandle<Result<()>>,
}

impl BareGroup {
    fn start(file: Prepared) -> Result<Self> {
        let (queue, taken) = mpsc::channel(APPENDERS);
        let thread = thread::Builder::new().name("bare-group".to_owned()).spawn(move || commit_groups(file, taken))?;
        Ok(Self { queue, thread })
    }

    fn finish(self) -> Result<()> {
        drop(self.queue);
        self.thread.join().map_err(|_| anyhow!("the writer panicked"))?
    }
}

fn commit_groups(mut file: Prepared, mut queue: mpsc::Receiver<Waiting>) -> Result<()> {
    let (mut bytes, mut answers) = (Vec::new(), Vec::new());
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        while let Some(waiting) = next {
            bytes.extend_from_slice(&waiting.bytes);
            answers.push(waiting.answer);
            next = queue.try_recv().ok();
        }
        file.commit(&bytes)?;
        bytes.clear();
        for answer in answers.drain(..) {
            let _ = answer.send(()); // the appender may have failed meanwhile, and says so itself
        }
    }
    Ok(())
}

/// Writes and syncs a second of one thread, one record each, to a file that grows with every write.
fn extending_round(folder: &Path) -> Result<f64> {
    let bytes = random(SMALL_BYTES);
    let (mut file, _) = tempfile::Builder::new().prefix("extending-").tempfile_in(folder)?.keep()?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let start = Instant::now();
    for _ in 0..WRITES {
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(per_second(WRITES, start))
}
