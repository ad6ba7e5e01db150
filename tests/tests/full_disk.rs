//! A disk that is full, and then is not: what was acknowledged stays, what is refused says why, and when there is space
//! the node goes on by itself.
//!
//! The disk is a small file system in memory that only the node's own mount namespace has, so nobody needs to be root
//! and nothing is left behind. The test reaches it through `/proc/PID/root`.

#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::ShardIteratorType;
use tidemill_tests::client;
use tidemill_tests::node::{Node, Setup};
use tokio::time::Instant;

const DISK: &str = "size=40m";
/// What is removed later, to make space.
const BALLAST_BYTES: usize = 12 << 20;
/// Records of ever smaller sizes, so that the last of the space is used.
const SIZES: [usize; 3] = [200 << 10, 5 << 10, 100];
/// More than the disk holds of the smallest.
const PUTS_MAX: usize = 100_000;
/// Streams that are asked for in vain: more than the node can keep note of before it gets to its disk.
const CREATIONS: usize = 500;
/// Producers that put all the time, so that whatever space there is, is taken.
const GREEDY: usize = 4;
/// A node that is not back by then does not come back by itself.
const RECOVERY_MAX: Duration = Duration::from_secs(30);
const FULL: &str = "the disk is full";
/// Mounts the disk that the first word names, and becomes the command that the others are.
const MOUNT: &str = r#"mount -t tmpfs -o "$0" tidemill "$1" && mkdir "$1/data" && shift && exec "$@""#;
const NAMESPACE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

/// A node whose data folder lies on a small disk of its own.
struct SmallDisk {
    setup: Setup,
    mount: PathBuf,
}

impl SmallDisk {
    fn new(folder: &Path) -> Result<Self> {
        let mount = folder.join("disk");
        fs::create_dir(&mount)?;
        let mut setup = Setup::new(folder, "streams:\n  orders: { shards: 1 }\n")?;
        std::os::unix::fs::symlink(mount.join("data"), setup.data())?;
        setup.wrapper = NAMESPACE.map(str::to_owned).to_vec();
        setup.wrapper.extend(["sh", "-c", MOUNT, DISK].map(str::to_owned));
        setup.wrapper.push(mount.display().to_string());
        Ok(Self { setup, mount })
    }

    /// A path on the disk, as seen from here while the node runs.
    fn path(&self, node: &Node, name: &str) -> Result<PathBuf> {
        let root = PathBuf::from(format!("/proc/{}/root", node.process()));
        Ok(root.join(self.mount.strip_prefix("/")?).join(name))
    }

    /// Writes on in a file until the disk is full.
    fn fill(&self, node: &Node) -> Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.path(node, "filler")?)?;
        loop {
            match filler.write(&[7; 4096]) {
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                written => written.map(drop)?,
            }
        }
    }

    /// Kills the node, and gives the next one what it left, on a disk that is large.
    fn kill(mut self, node: Node) -> Result<Setup> {
        // As long as its folder is open the disk outlives the namespace.
        let data = File::open(self.path(&node, "data")?)?;
        node.kill()?;
        let target = self.setup.data();
        fs::remove_file(&target)?;
        copy(Path::new(&format!("/proc/self/fd/{}", data.as_raw_fd())), &target)?;
        self.setup.wrapper.clear();
        Ok(self.setup)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// A namespace of one's own is there for the asking on most systems; where it is not, this says how to get it.
fn namespaces_work() -> Result<()> {
    let output =
        Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let output = output.context("unshare and mount are needed: get util-linux from your system's packages")?;
    ensure!(
        output.status.success(),
        "user namespaces are needed: `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu also \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in a container --security-opt seccomp=unconfined ({})",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Numbers its records, and knows which were acknowledged.
struct Producer {
    client: Client,
    next: usize,
    acknowledged: BTreeSet<usize>,
}

impl Producer {
    /// Puts one record that begins with its number. Returns what the refusal said, if it was refused.
    async fn put(&mut self, bytes: usize) -> Result<Option<String>> {
        let number = self.next;
        self.next += 1;
        let refused = put(&self.client, "orders", format!("{number} {}", " ".repeat(bytes))).await?;
        if refused.is_none() {
            self.acknowledged.insert(number);
        }
        Ok(refused)
    }

    /// Puts records of this size until one is refused, for want of space.
    async fn put_until_full(&mut self, bytes: usize) -> Result<()> {
        for _ in 0..PUTS_MAX {
            if let Some(message) = self.put(bytes).await? {
                ensure!(message.contains(FULL), "a put of {bytes} bytes was refused otherwise: {message}");
                return Ok(());
            }
        }
        bail!("{PUTS_MAX} records of {bytes} bytes were taken")
    }

    /// Reads the stream, and checks that it holds what was acknowledged, in order, and nothing that nobody put.
    async fn check(&self) -> Result<()> {
        let numbers = read_all(&self.client).await?;
        ensure!(numbers.is_sorted_by(|before, after| before < after), "records are out of order");
        let read: BTreeSet<usize> = numbers.into_iter().collect();
        let lost: Vec<&usize> = self.acknowledged.difference(&read).collect();
        ensure!(lost.is_empty(), "of {} acknowledged records {lost:?} are lost", self.acknowledged.len());
        ensure!(read.iter().all(|number| *number < self.next), "there are records that nobody put");
        Ok(())
    }
}

async fn put(client: &Client, stream: &str, data: String) -> Result<Option<String>> {
    match client.put_record().stream_name(stream).partition_key("k").data(Blob::new(data)).send().await {
        Ok(_) => Ok(None),
        Err(error) => refusal(error).map(Some),
    }
}

/// What the answer to a request that failed said; that it was not answered is an error.
fn refusal<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(error: SdkError<E>) -> Result<String> {
    let SdkError::ServiceError(refused) = error else { return Err(error.into()) };
    let (status, code) = (refused.raw().status().as_u16(), refused.err().code());
    let message = refused.err().message().unwrap_or_default().to_owned();
    ensure!((status, code) == (500, Some("InternalFailureException")), "{status} {code:?}: {message}");
    Ok(message)
}

async fn read_all(client: &Client) -> Result<Vec<usize>> {
    let shard = client.get_shard_iterator().stream_name("orders").shard_id("shardId-000000000000");
    let first = shard.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
    let mut iterator = first.shard_iterator;
    let mut numbers = Vec::new();
    loop {
        let page = client.get_records().set_shard_iterator(iterator).send().await?;
        for record in page.records() {
            numbers.push(std::str::from_utf8(record.data().as_ref())?.trim_end().parse()?);
        }
        if page.millis_behind_latest() == Some(0) {
            return Ok(numbers);
        }
        iterator = page.next_shard_iterator;
    }
}

/// Deletes a stream on the full disk, while others take whatever space they get.
async fn delete_while_others_put(client: &Client, name: &str) -> Result<()> {
    let mut greedy = tokio::task::JoinSet::new();
    for _ in 0..GREEDY {
        let client = client.clone();
        greedy.spawn(async move { while put(&client, "greedy", "x".repeat(SIZES[1])).await.is_ok() {} });
    }
    let deleted = client.delete_stream().stream_name(name).send().await;
    greedy.shutdown().await;
    deleted.map(drop).map_err(|error| anyhow!("{name} was not deleted: {:?}", refusal(error)))
}

async fn create(client: &Client, name: &str) -> Result<Option<String>> {
    match client.create_stream().stream_name(name).shard_count(1).send().await {
        Ok(_) => Ok(None),
        Err(error) => refusal(error).map(Some),
    }
}

/// Asks for streams on the full disk, long enough for all parts of the node to meet it.
async fn create_in_vain(disk: &SmallDisk, node: &Node, client: &Client) -> Result<()> {
    for number in 0..CREATIONS {
        // A log of its own needs less than the smallest put, and a footer gives back what its segment did not need.
        disk.fill(node)?;
        let Some(message) = create(client, &format!("in-vain-{number}")).await? else {
            bail!("a stream was created on a full disk");
        };
        ensure!(message.contains(FULL), "creation {number} was refused otherwise: {message}");
    }
    Ok(())
}

/// A put of several records tells of each that the disk is full.
async fn check_put_records(client: &Client, bytes: usize) -> Result<()> {
    let entry = client::entry("k", &"x".repeat(bytes));
    let put = client.put_records().stream_name("orders").records(entry.clone()).records(entry).send().await?;
    ensure!(put.failed_record_count() == Some(2), "{put:?}");
    for result in put.records() {
        ensure!(result.error_code() == Some("InternalFailure"), "{result:?}");
        ensure!(result.error_message().is_some_and(|message| message.contains(FULL)), "{result:?}");
    }
    Ok(())
}

/// With space again puts work at once, and documents before long.
async fn recover(producer: &mut Producer) -> Result<()> {
    let refused = producer.put(SIZES[0]).await?;
    ensure!(refused.is_none(), "there is space, and a put is refused: {refused:?}");
    let end = Instant::now() + RECOVERY_MAX;
    let mut tries = tokio::time::interval(Duration::from_millis(50));
    for number in 0.. {
        tries.tick().await;
        let Some(refused) = create(&producer.client, &format!("new-{number}")).await? else {
            println!("streams were created again at try {number}");
            return Ok(());
        };
        ensure!(Instant::now() < end, "there is space, and no stream is created: {refused}");
    }
    Ok(())
}

/// Fills the disk, to the last byte of it, and asks for what needs space.
async fn fill_and_ask_in_vain(disk: &SmallDisk, node: &Node, producer: &mut Producer) -> Result<()> {
    producer.put_until_full(SIZES[0]).await?;
    disk.fill(node)?;
    for bytes in SIZES {
        producer.put_until_full(bytes).await?;
    }
    check_put_records(&producer.client, SIZES[0]).await?;
    create_in_vain(disk, node, &producer.client).await?;
    producer.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_puts_keeps_what_it_has_and_recovers_by_itself() -> Result<()> {
    namespaces_work()?;
    let folder = tempfile::tempdir()?;
    let disk = SmallDisk::new(folder.path())?;
    let node = disk.setup.start()?;
    let ballast = disk.path(&node, "ballast")?;
    fs::write(&ballast, vec![1; BALLAST_BYTES])?;
    let mut producer = Producer { client: client::sdk(&node.url()), next: 0, acknowledged: BTreeSet::new() };
    ensure!(create(&producer.client, "before").await?.is_none(), "no stream on an empty disk");
    fill_and_ask_in_vain(&disk, &node, &mut producer).await?;
    println!("{} records acknowledged on a disk of {DISK}", producer.acknowledged.len());
    fs::remove_file(ballast)?;
    recover(&mut producer).await?;
    producer.check().await?;
    let node = disk.kill(node)?.start()?;
    producer.client = client::sdk(&node.url());
    producer.check().await?;
    let streams = producer.client.list_streams().send().await?.stream_names;
    ensure!(streams.iter().any(|name| name.starts_with("new-")), "the new stream is not there: {streams:?}");
    node.stop()?;
    Ok(())
}

/// Deleting a stream is how users make space: it must work when there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_on_a_full_disk_gives_its_space_back() -> Result<()> {
    namespaces_work()?;
    let folder = tempfile::tempdir()?;
    let disk = SmallDisk::new(folder.path())?;
    let node = disk.setup.start()?;
    let mut producer = Producer { client: client::sdk(&node.url()), next: 0, acknowledged: BTreeSet::new() };
    for name in ["bulk", "greedy"] {
        ensure!(create(&producer.client, name).await?.is_none(), "no stream on an empty disk");
    }
    for _ in 0..BALLAST_BYTES / SIZES[0] {
        ensure!(put(&producer.client, "bulk", "x".repeat(SIZES[0])).await?.is_none(), "the disk is too small");
    }
    fill_and_ask_in_vain(&disk, &node, &mut producer).await?;
    delete_while_others_put(&producer.client, "bulk").await?;
    let streams = producer.client.list_streams().send().await?.stream_names;
    ensure!(!streams.contains(&"bulk".to_owned()), "the stream is still there: {streams:?}");
    recover(&mut producer).await?;
    producer.check().await?;
    let node = disk.kill(node)?.start()?;
    producer.client = client::sdk(&node.url());
    producer.check().await?;
    let streams = producer.client.list_streams().send().await?.stream_names;
    ensure!(!streams.contains(&"bulk".to_owned()), "the stream has come back: {streams:?}");
    node.stop()?;
    Ok(())
}
