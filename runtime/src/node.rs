//! The node: a store, functions, triggers and the door, started and stopped in order.
//!
//! Here the rooms are introduced to each other; none of them knows this one.

mod aids;
mod apply;
mod demand;
mod expiry;
mod ingest;
mod logs;
mod present;
mod progress;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tidemill_stream::capacity::Capacity;
use tidemill_stream::clock::Clock;
use tidemill_stream::demand::DemandRules;
use tidemill_stream::encryption::Encryption;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::engine::{Change, DocumentError, Durability, Engine, Expect, Key};
use tidemill_stream::keys::Keyring;
use tidemill_stream::store::Store;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::{Level, error, info, warn};

pub use self::aids::TestingAids;
pub(crate) use self::apply::{read_functions, versions};
pub use self::progress::Ends;
use crate::certificate::{Certificate, CertificateFiles};
use crate::deploy::Inventory;
use crate::functions::{FunctionName, FunctionSettings, Functions, FunctionsOptions, LogLine};
use crate::home::{ACCOUNT_DEFAULT, Home, REGION_DEFAULT};
use crate::http::{
    Access, ApplyOrder, Defaults, DeploymentAccess, HttpLimits, HttpMetrics, HttpState, Ingest, IteratorKey, Quotas,
    StatusProvider,
};
use crate::limits::{DOOR_STOP_DEADLINE, UPKEEP_STOP_DEADLINE};
use crate::status::{Board, FunctionReport, Report, StreamReport, TriggerReport};
use crate::tasks::Tasks;
use crate::telemetry;
use crate::trigger::{Target, Targets, Triggers, kept_triggers};

use self::present::Present;

/// The document that keeps the key of shard iterators, so that they outlive a restart.
const ITERATOR_KEY: &str = "node/iterator-key";
/// The first byte of that document. Another number means another layout.
const ITERATOR_KEY_FORMAT: u8 = 1;

/// Where the node keeps what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this folder, which is made if there is none.
    Folder(PathBuf),
    /// In memory: everything is gone when the node stops.
    Memory,
}

/// How a node is started.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Where it keeps what it is given.
    pub place: Place,
    /// Bytes of disk that its records may take, if that is limited.
    pub disk_quota_bytes: Option<u64>,
    /// The keys that streams may be encrypted with.
    pub keys: Keyring,
    /// Who may use the Kinesis API.
    pub access: Access,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whose certificate clients with TLS are shown; without it there is no TLS.
    pub tls: Option<TlsIdentity>,
    /// Names by which it may be asked, beside its address and localhost, while only its own machine reaches it.
    pub allowed_hosts: Vec<String>,
    /// The account of callers that name none, 12 digits.
    pub account: String,
    /// The region of callers that name none.
    pub region: String,
    /// The manifest that the node is run from, and who applies it; without one nobody can order that over HTTP.
    pub orders: Option<ApplyOrders>,
    /// When shards of on-demand streams are split and merged.
    pub demand: DemandRules,
    /// How many shards and on-demand streams the API makes.
    pub quotas: Quotas,
    /// What the shards of streams that do not say take and give.
    pub capacity: Capacity,
    /// What is wrong on purpose.
    pub aids: TestingAids,
}

/// Whose certificate a node shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsIdentity {
    /// Its own, which it makes at its first start and keeps.
    SelfSigned,
    /// One that somebody else made; it is read again when its files change.
    Given(CertificateFiles),
}

/// Who applies a node's manifest when that is ordered over HTTP.
#[derive(Debug, Clone)]
pub struct ApplyOrders {
    /// The manifest, as an absolute path.
    pub manifest: PathBuf,
    /// Takes the orders; they wait here for their turn.
    pub orders: mpsc::Sender<ApplyOrder>,
}

impl NodeOptions {
    /// A node that keeps everything in memory and listens on a free port of the loopback interface.
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory,
            disk_quota_bytes: None,
            keys: Keyring::default(),
            access: Access::Anyone,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            allowed_hosts: Vec::new(),
            account: ACCOUNT_DEFAULT.to_owned(),
            region: REGION_DEFAULT.to_owned(),
            orders: None,
            demand: DemandRules::default(),
            quotas: Quotas::default(),
            capacity: Capacity::default(),
            aids: TestingAids::default(),
        }
    }
}

/// Functions with what they are made of.
pub(crate) type ByName = BTreeMap<FunctionName, (Bytes, FunctionSettings)>;

/// The functions that are deployed, as they were asked for: what a failed apply goes back to.
type Deployed = Arc<Mutex<ByName>>;

/// A running node. Dropped without [`Node::stop`], it leaves everything as a crash would.
pub struct Node {
    store: Store,
    functions: Functions,
    triggers: Triggers,
    observer: Observer,
    door: Tasks,
    /// Looks at on-demand streams and the certificate, and gives back what has expired.
    upkeep: Tasks,
    /// Who may put over plain HTTP; nobody before the first apply.
    ingest: Ingest,
    address: SocketAddr,
    deployed: Deployed,
    /// What there is, as plans are made of it.
    present: Present,
    /// The engine of a node with a folder, to be closed in good order.
    embedded: Option<Arc<Embedded>>,
    /// Holds the compiled cache of a node in memory.
    _scratch: Option<TempDir>,
}

/// Looks at a node while it runs. Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    store: Store,
    functions: Functions,
    deployed: Deployed,
    board: Board,
    /// The testing aids, as they are written on the command line.
    aids: Arc<[String]>,
}

impl Observer {
    /// What the node's streams, functions and triggers are doing.
    pub fn status(&self) -> Report {
        let Self { store, functions, deployed, board, aids } = self;
        let now = store.clock().now();
        let names: Vec<FunctionName> = deployed.lock().keys().cloned().collect();
        let function = |name: &FunctionName| {
            let version = functions.version(name)?.to_string();
            Some(FunctionReport { name: name.to_string(), version })
        };
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            testing_aids: aids.to_vec(),
            streams: store.streams().iter().map(|stream| StreamReport::of(stream, store.taken(stream))).collect(),
            functions: names.iter().filter_map(function).collect(),
            triggers: board.snapshot().into_iter().map(|row| TriggerReport::of(row, now)).collect(),
        }
    }

    /// The last lines of at least this level of all functions, each with its function's name: at most so many, by time.
    pub fn last_lines(&self, least: Level, lines_max: usize) -> Vec<(String, LogLine)> {
        let names: Vec<FunctionName> = self.deployed.lock().keys().cloned().collect();
        let of = |name: &FunctionName| {
            let lines = self.functions.log(name).map(|log| log.last_of(least, lines_max)).unwrap_or_default();
            lines.into_iter().map(|line| (name.to_string(), line)).collect::<Vec<_>>()
        };
        let mut lines: Vec<_> = names.iter().flat_map(of).collect();
        lines.sort_by_key(|(_, line)| line.at);
        lines.drain(..lines.len().saturating_sub(lines_max));
        lines
    }
}

impl Node {
    /// Opens what is kept, starts the rooms and the door. Functions and triggers come with [`Node::apply`].
    pub async fn start(options: NodeOptions) -> anyhow::Result<Self> {
        let clock = Clock::system_with(options.aids.clock);
        let Opened { engine, embedded, functions, folder, scratch } = opened(&options, clock.clone()).await?;
        let (tls, certificate) = tls::set_up(&options, folder.join(TLS), &clock).await?;
        let store = Store::open_with(engine, clock.clone(), options.capacity).await;
        let store = store.context("cannot open the store")?;
        warn_of_missing_keys(&store, &options.keys);
        let iterator_key = iterator_key(&store).await.context("cannot keep the key of shard iterators")?;
        let defaults = Defaults::new(&options.account, &options.region)?;
        let listener = TcpListener::bind(options.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", options.listen))?;
        let address = listener.local_addr()?;

        let aids: Arc<[String]> = options.aids.told().into();
        TestingAids::warn(&aids);
        let (board, deployed) = (Board::new(), Deployed::default());
        let kept = kept_triggers(&store).await.context("cannot read the triggers that are kept")?;
        let present = Present::new(&store, &functions, &deployed, kept);
        let home = Home { account: options.account.clone(), region: options.region.clone() };
        let triggers = Triggers::start(store.clone(), home, targets(&functions), board.clone());
        let (registry, metrics) = registry(&board, clock, embedded.as_ref());
        let observer = Observer {
            store: store.clone(),
            functions: functions.clone(),
            deployed: Arc::clone(&deployed),
            board: board.clone(),
            aids,
        };
        let ingest = Ingest::default();
        let door = Tasks::new();
        let state = HttpState {
            store: store.clone(),
            defaults,
            access: options.access,
            iterator_key,
            metrics,
            registry: Arc::new(registry),
            status: status_provider(observer.clone()),
            deployment: deployment_access(&present, options.orders),
            ingest: ingest.clone(),
            log: logs::provider(&functions, &door.stopping()),
            hosts: options.allowed_hosts,
            keys: options.keys,
            quotas: options.quotas,
            delays: options.aids.delays(),
            errors: options.aids.injected(),
            tls,
            limits: HttpLimits::default(),
        };
        let upkeep = upkeep(&store, options.demand, certificate);
        door.spawn("door", crate::http::serve(listener, state, door.stopping()));
        Ok(Self {
            store,
            functions,
            triggers,
            observer,
            door,
            upkeep,
            ingest,
            address,
            deployed,
            present,
            embedded,
            _scratch: scratch,
        })
    }

    /// What the node has.
    pub fn inventory(&self) -> Inventory {
        self.present.inventory()
    }

    /// Where the node listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The streams.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The functions.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// What the node's streams, functions and triggers are doing.
    pub fn status(&self) -> Report {
        self.observer.status()
    }

    /// Looks at the node while it runs.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Stops: no new requests, those in work end; then the triggers, between two batches.
    pub async fn stop(self) {
        if !self.door.stop(DOOR_STOP_DEADLINE).await {
            warn!("the door did not close in time");
        }
        self.triggers.stop().await;
        if !self.upkeep.stop(UPKEEP_STOP_DEADLINE).await {
            warn!("shards were being changed, or what has expired given back; the next start goes on with it");
        }
        if let Some(engine) = self.embedded {
            // Footers and a checkpoint are written: the next start reads no frames.
            if let Err(error) = tokio::task::spawn_blocking(move || engine.close()).await {
                error!(%error, "the data folder was not closed in good order; the next start recovers it");
            }
        }
        info!("stopped");
    }
}

/// What is counted, with the counts of requests apart.
fn registry(board: &Board, clock: Clock, embedded: Option<&Arc<Embedded>>) -> (Registry, HttpMetrics) {
    let mut registry = telemetry::registry();
    telemetry::register_triggers(&mut registry, board.clone(), clock);
    if let Some(engine) = embedded {
        telemetry::register_engine(&mut registry, Arc::clone(engine));
    }
    let metrics = HttpMetrics::register(&mut registry);
    (registry, metrics)
}

/// What goes on by itself.
fn upkeep(store: &Store, demand: DemandRules, certificate: Option<Certificate>) -> Tasks {
    let upkeep = Tasks::new();
    if let Some(certificate) = certificate {
        upkeep.spawn("certificate", certificate.follow(upkeep.stopping()));
    }
    upkeep.spawn("demand", demand::follow(store.clone(), demand, upkeep.stopping()));
    upkeep.spawn("expiry", expiry::run(store.clone(), upkeep.stopping()));
    upkeep
}

/// Opening recovers logs and reads files, on a thread of its own.
async fn opened(options: &NodeOptions, clock: Clock) -> anyhow::Result<Opened> {
    let place = options.place.clone();
    let (quota_bytes, keys) = (options.disk_quota_bytes, options.keys.clone());
    let options = EmbeddedOptions { quota_bytes, keys, ..EmbeddedOptions::default() };
    tokio::task::spawn_blocking(move || Opened::open(&place, options, clock)).await?
}

fn warn_of_missing_keys(store: &Store, keys: &Keyring) {
    for stream in store.streams() {
        if let Some(Encryption { key_id, key }) = stream.encryption.as_ref().filter(|given| !keys.holds(given.key)) {
            let name = crate::encryption_keys::name_of(key_id);
            let what = if keys.named(name).is_some() { "another key has this name now" } else { "it was not given" };
            warn!(stream = %stream.name, key_id, print = %key, "the stream is encrypted with a key that is not there: {what}");
        }
    }
}

/// Compiled functions, in the data folder.
const FUNCTIONS: &str = "functions";
/// The certificate that the node made for itself, there too; and what a crash left of one.
const TLS: &str = "tls";
const TLS_BEGUN: &str = "tls.new";
/// What the node has in the data folder beside the engine.
pub(crate) const FOLDERS: [&str; 3] = [FUNCTIONS, TLS, TLS_BEGUN];

/// What is opened on a thread of its own, since it reads files.
struct Opened {
    engine: Arc<dyn Engine>,
    embedded: Option<Arc<Embedded>>,
    functions: Functions,
    /// What the node keeps beside the engine is in it.
    folder: PathBuf,
    scratch: Option<TempDir>,
}

impl Opened {
    fn open(place: &Place, options: EmbeddedOptions, clock: Clock) -> anyhow::Result<Self> {
        match place {
            Place::Folder(folder) => {
                let engine = Embedded::open(folder, clock, options);
                let engine = engine.with_context(|| format!("cannot open the data folder {}", folder.display()))?;
                let functions = open_functions(&folder.join(FUNCTIONS))?;
                let engine = Arc::new(engine);
                let (embedded, folder) = (Some(Arc::clone(&engine)), folder.clone());
                Ok(Self { engine, embedded, functions, folder, scratch: None })
            }
            Place::Memory => {
                let scratch = tempfile::Builder::new().prefix("tidemill-").tempdir()?;
                let functions = open_functions(scratch.path())?;
                let (engine, folder) = (Arc::new(Memory::new(clock)), scratch.path().to_owned());
                Ok(Self { engine, embedded: None, functions, folder, scratch: Some(scratch) })
            }
        }
    }
}

fn open_functions(folder: &std::path::Path) -> anyhow::Result<Functions> {
    Ok(Functions::open(&folder.join("cache"), &FunctionsOptions::new(folder))?)
}

/// How pollers find functions.
fn targets(functions: &Functions) -> Targets {
    let functions = functions.clone();
    Arc::new(move |name| {
        functions.version(name)?;
        let threads = Some(functions.threads());
        Some(Target { invoke: Box::new(functions.lane(name)), versions: functions.watch(name), threads })
    })
}

/// The key of shard iterators: made at the first start, durable before it is used.
async fn iterator_key(store: &Store) -> anyhow::Result<IteratorKey> {
    let key = Key::new(ITERATOR_KEY);
    if let Some(document) = store.engine().get(&key).await? {
        return read_iterator_key(&document.value);
    }
    let mut value = [0; 33];
    getrandom::fill(&mut value)?;
    value[0] = ITERATOR_KEY_FORMAT;
    let change = Change { key: key.clone(), expect: Expect::Absent, value: Some(Bytes::copy_from_slice(&value)) };
    match store.engine().compare_and_set(vec![change], Durability::Synced).await {
        Ok(_) => read_iterator_key(&value),
        // It may be there, or another node's may be.
        Err(DocumentError::Unknown | DocumentError::Conflict { .. }) => {
            let found = store.engine().get(&key).await?.context("its outcome is unknown; start again")?;
            read_iterator_key(&found.value)
        }
        Err(error) => Err(error.into()),
    }
}

fn read_iterator_key(value: &[u8]) -> anyhow::Result<IteratorKey> {
    let Some((&ITERATOR_KEY_FORMAT, key)) = value.split_first() else {
        bail!("the document {ITERATOR_KEY} has a format that this version does not know");
    };
    let key: [u8; 32] = key.try_into().with_context(|| format!("the document {ITERATOR_KEY} is damaged"))?;
    Ok(IteratorKey::from_bytes(key))
}

fn status_provider(observer: Observer) -> StatusProvider {
    Arc::new(move || serde_json::to_value(observer.status()).unwrap_or_default())
}

fn deployment_access(present: &Present, orders: Option<ApplyOrders>) -> DeploymentAccess {
    let (present, manifest) = (present.clone(), orders.as_ref().map(|orders| orders.manifest.display().to_string()));
    let shown = move || {
        let mut shown = serde_json::to_value(present.inventory()).unwrap_or_default();
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("manifest".to_owned(), manifest.clone().into());
        }
        shown
    };
    DeploymentAccess { shown: Arc::new(shown), orders: orders.map(|orders| orders.orders) }
}
