//! A node to ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tidemill::http::{
    Access, ApplyOrder, Defaults, DelayTimes, Delays, DeploymentAccess, HttpLimits, HttpMetrics, HttpState, Ingest,
    IngestSettings, InjectedError, InjectedErrors, IteratorKey, Quotas, Tls, serve,
};
use tidemill::tasks::Tasks;
use tidemill_client::trusting;
use tidemill_stream::capacity::Capacity;
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::Engine;
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::store::Store;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::rustls::RootCertStore;

pub(crate) const START: u64 = 1_763_859_985_123;
/// Decides which calls fail on a node with injected errors.
pub(crate) const SEED: u64 = 20_261_123;
pub(crate) const JSON: &str = "application/x-amz-json-1.1";

/// A client, which trusts nobody: it asks without TLS.
pub(crate) fn http() -> reqwest::ClientBuilder {
    http_trusting(RootCertStore::empty(), &[])
}

/// A client for nodes that one of these vouches for. It says that it speaks these protocols.
pub(crate) fn http_trusting(roots: RootCertStore, protocols: &[&str]) -> reqwest::ClientBuilder {
    let mut config = trusting(roots).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config)
}

/// A listening server; it ends with the test's runtime.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) client: reqwest::Client,
    pub(crate) tasks: Tasks,
    pub(crate) ingest: Ingest,
}

/// What differs between the nodes of tests.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) limits: HttpLimits,
    pub(crate) orders: Option<mpsc::Sender<ApplyOrder>>,
    pub(crate) quotas: Quotas,
    pub(crate) capacity: Capacity,
    pub(crate) delays: DelayTimes,
    pub(crate) errors: Vec<InjectedError>,
    pub(crate) tls: Option<Tls>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_str(&self.body).unwrap() }
    }

    /// The error's name, which header and body agree on.
    pub(crate) fn error(&self) -> String {
        let kind = self.json()["__type"].as_str().unwrap_or("none").to_owned();
        if self.status == 200 {
            return "none".to_owned();
        }
        assert_eq!(self.headers["x-amzn-errortype"], kind);
        kind
    }

    pub(crate) fn message(&self) -> String {
        let body = self.json();
        let member = if body["__type"] == "SerializationException" { "Message" } else { "message" };
        body[member].as_str().unwrap_or_else(|| panic!("no {member}: {body}")).to_owned()
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with_limits(HttpLimits::default()).await
    }

    pub(crate) async fn with_limits(limits: HttpLimits) -> Self {
        Self::with(Setup { limits, ..Setup::default() }).await
    }

    /// A node whose deployments these orders go to.
    pub(crate) async fn with_orders(orders: mpsc::Sender<ApplyOrder>) -> Self {
        Self::with(Setup { orders: Some(orders), ..Setup::default() }).await
    }

    /// A node whose API makes no more than that.
    pub(crate) async fn with_quotas(quotas: Quotas) -> Self {
        Self::with(Setup { quotas, ..Setup::default() }).await
    }

    /// A node over an engine that is made for its clock.
    pub(crate) async fn over<E: Engine>(engine: impl Fn(Clock) -> E) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(START));
        Self::serving(Arc::new(engine(clock.clone())), clock, Setup::default()).await
    }

    /// A node in memory.
    pub(crate) async fn with(setup: Setup) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(START));
        Self::serving(Arc::new(Memory::new(clock.clone())), clock, setup).await
    }

    /// A node over this engine, which may have served another before.
    pub(crate) async fn serving(engine: Arc<dyn Engine>, clock: Clock, setup: Setup) -> Self {
        let Setup { limits, orders, quotas, capacity, delays, errors, tls } = setup;
        let store = Store::open_with(engine, clock.clone(), capacity).await.unwrap();
        let ingest = Ingest::default();
        ingest.set(IngestSettings::default());
        let mut registry = Registry::with_prefix("tidemill");
        let metrics = HttpMetrics::register(&mut registry);
        let state = HttpState {
            store,
            defaults: Defaults::default(),
            access: Access::Anyone,
            iterator_key: IteratorKey::random().unwrap(),
            metrics,
            registry: Arc::new(registry),
            status: Arc::new(|| json!({ "triggers": [] })),
            deployment: DeploymentAccess { shown: Arc::new(|| json!({ "streams": {} })), orders },
            log: Arc::new(|question| Box::pin(async move { Some(json!({ "asked": format!("{question:?}") })) })),
            ingest: ingest.clone(),
            hosts: Vec::new(),
            keys: tidemill_stream::keys::Keyring::default(),
            quotas,
            delays: Delays::of(delays).map(Arc::new),
            errors: (!errors.is_empty()).then(|| Arc::new(InjectedErrors::new(errors, SEED))),
            tls,
            limits,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        tasks.spawn("server", serve(listener, state, tasks.stopping()));
        let client = http().build().unwrap();
        Self { address, clock, client, tasks, ingest }
    }

    /// A whole node that listens there; somebody else stops it.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let client = http().build().unwrap();
        Self { address, clock: Clock::system(), client, tasks: Tasks::new(), ingest: Ingest::default() }
    }

    /// A node with a stream `s`.
    pub(crate) async fn with_stream(shards: u32) -> Self {
        let node = Self::start().await;
        node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": shards })).await;
        node
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, operation: &str) -> reqwest::RequestBuilder {
        let target = format!("Kinesis_20131202.{operation}");
        self.client.post(self.url("/")).header("x-amz-target", target).header("content-type", JSON)
    }

    pub(crate) async fn raw(&self, operation: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.request(operation).body(body).send().await.unwrap()).await
    }

    pub(crate) async fn ask(&self, operation: &str, body: Value) -> Answer {
        self.raw(operation, body.to_string()).await
    }

    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let answer = self.ask(operation, body).await;
        assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
        answer.json()
    }

    /// Asks what must be refused with this error; returns the message.
    pub(crate) async fn refused(&self, operation: &str, body: Value, error: &str) -> String {
        let shown: String = body.to_string().chars().take(200).collect();
        let answer = self.ask(operation, body).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{operation} {shown}: {}", answer.body);
        answer.message()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.set(self.clock.now().plus(time));
    }

    /// Puts one record to `s`; returns its sequence number.
    pub(crate) async fn put(&self, key: &str, data: &str) -> String {
        let body = json!({ "StreamName": "s", "PartitionKey": key, "Data": base64(data) });
        self.ok("PutRecord", body).await["SequenceNumber"].as_str().unwrap().to_owned()
    }

    /// An iterator on the first shard of `s`; `more` are further members of the request.
    pub(crate) async fn iterator(&self, kind: &str, more: Value) -> String {
        let mut body = json!({ "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": kind });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ok("GetShardIterator", body).await["ShardIterator"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn read(&self, iterator: &str) -> Value {
        self.ok("GetRecords", json!({ "ShardIterator": iterator })).await
    }

    /// The payloads behind an iterator.
    pub(crate) async fn payloads(&self, iterator: &str) -> Vec<String> {
        payloads(&self.read(iterator).await)
    }
}

pub(crate) fn payloads(answer: &Value) -> Vec<String> {
    let records = answer["Records"].as_array().unwrap();
    records.iter().map(|record| unbase64(record["Data"].as_str().unwrap())).collect()
}

pub(crate) fn base64(data: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(data)
}

fn unbase64(text: &str) -> String {
    use base64::Engine;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}
