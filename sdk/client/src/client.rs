//! The connection to a node, and the plain verbs.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rustls::RootCertStore;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidemill_wire::{
    CreateStreamRequest, DeleteStreamRequest, DescribeStreamSummaryRequest, DescribeStreamSummaryResponse, ErrorBody,
    JSON_CONTENT_TYPE, ListShardsRequest, ListShardsResponse, ListStreamsRequest, ListStreamsResponse, Operation,
    Shard, StreamDescriptionSummary, TARGET_PREFIX, UpdateShardCountRequest, UpdateShardCountResponse,
};

use crate::error::ClientError;
use crate::sign::AccessKey;
use crate::trust;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than the node's own deadline.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a node may take to apply its manifest: longer than its own deadline.
const APPLY_TIMEOUT: Duration = Duration::from_mins(11);

/// Whether a node at this endpoint is asked over TLS.
pub fn is_secured(endpoint: &str) -> bool {
    endpoint.trim_start().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// What the error of an answer is called that says nothing of an error.
const FOREIGN: &str = "UnknownAnswer";
/// The HTTP status of a node that works in part only.
const DEGRADED: u16 = 503;

/// What such a node says of its health.
#[derive(Deserialize)]
struct HealthBody {
    reasons: Vec<String>,
}

/// A client of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
    key: Option<Arc<AccessKey>>,
    /// Requests that were sent again, of all clones.
    retries: Arc<AtomicU64>,
}

impl Client {
    /// A client of the node at `endpoint`, such as `http://127.0.0.1:4567`. For `https://` it trusts whom the system trusts,
    /// which is read from files. Nothing is sent yet.
    pub fn new(endpoint: &str) -> Result<Self, ClientError> {
        // Without TLS nobody has to be trusted.
        let roots = if is_secured(endpoint) { trust::roots_of_the_system()? } else { RootCertStore::empty() };
        Self::trusting(endpoint, roots)
    }

    /// The same, which trusts nodes that one of the certificates in this text of PEM vouches for, and no others.
    pub fn with_ca_bundle(endpoint: &str, pem: &[u8]) -> Result<Self, ClientError> {
        Self::trusting(endpoint, trust::roots_in(pem)?)
    }

    fn trusting(endpoint: &str, roots: RootCertStore) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .tls_backend_preconfigured(trust::trusting(roots)?)
            .build()?;
        Ok(Self { http, endpoint: endpoint.trim_end_matches('/').to_owned(), key: None, retries: Arc::default() })
    }

    /// The same client, which signs what it asks of the Kinesis API.
    #[must_use]
    pub fn signing_with(self, key: AccessKey) -> Self {
        Self { key: Some(Arc::new(key)), ..self }
    }

    /// How many puts this client and its clones have sent again, because the node did not take them whole.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(crate) fn note_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Creates a provisioned stream.
    pub async fn create_stream(&self, stream: &str, shards: u32) -> Result<(), ClientError> {
        let request = CreateStreamRequest {
            stream_name: Some(stream.to_owned()),
            shard_count: Some(shards.into()),
            ..CreateStreamRequest::default()
        };
        self.send(Operation::CreateStream, &request).await.map(drop)
    }

    /// Deletes a stream and all that it holds.
    pub async fn delete_stream(&self, stream: &str) -> Result<(), ClientError> {
        let request = DeleteStreamRequest { stream_name: Some(stream.to_owned()), ..DeleteStreamRequest::default() };
        self.send(Operation::DeleteStream, &request).await.map(drop)
    }

    /// Changes the number of open shards, to twice as many or half as many at most. Returns how many there were.
    pub async fn update_shard_count(&self, stream: &str, target: u64) -> Result<u64, ClientError> {
        let request = UpdateShardCountRequest {
            stream_name: Some(stream.to_owned()),
            target_shard_count: i64::try_from(target).ok(),
            scaling_type: Some("UNIFORM_SCALING".to_owned()),
            ..UpdateShardCountRequest::default()
        };
        let response: UpdateShardCountResponse = self.call(Operation::UpdateShardCount, &request).await?;
        Ok(response.current_shard_count)
    }

    /// The names of all streams, sorted.
    pub async fn list_streams(&self) -> Result<Vec<String>, ClientError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let exclusive_start_stream_name = names.last().cloned();
            let request = ListStreamsRequest { exclusive_start_stream_name, ..ListStreamsRequest::default() };
            let page: ListStreamsResponse = self.call(Operation::ListStreams, &request).await?;
            let is_last = !page.has_more_streams || page.stream_names.is_empty();
            names.extend(page.stream_names);
            if is_last {
                return Ok(names);
            }
        }
    }

    /// What is known of a stream at a glance.
    pub async fn describe(&self, stream: &str) -> Result<StreamDescriptionSummary, ClientError> {
        let request = DescribeStreamSummaryRequest {
            stream_name: Some(stream.to_owned()),
            ..DescribeStreamSummaryRequest::default()
        };
        let response: DescribeStreamSummaryResponse = self.call(Operation::DescribeStreamSummary, &request).await?;
        Ok(response.stream_description_summary)
    }

    /// All shards of a stream.
    pub async fn list_shards(&self, stream: &str) -> Result<Vec<Shard>, ClientError> {
        let mut request = ListShardsRequest { stream_name: Some(stream.to_owned()), ..ListShardsRequest::default() };
        let mut shards = Vec::new();
        loop {
            let page: ListShardsResponse = self.call(Operation::ListShards, &request).await?;
            shards.extend(page.shards);
            match page.next_token {
                Some(token) => request = ListShardsRequest { next_token: Some(token), ..ListShardsRequest::default() },
                None => return Ok(shards),
            }
        }
    }

    /// What the node does: its `GET /status`.
    pub async fn status(&self) -> Result<serde_json::Value, ClientError> {
        told(self.http.get(format!("{}/status", self.endpoint)), "status").await
    }

    /// What the node has: its `GET /deployment`.
    pub async fn deployment(&self) -> Result<serde_json::Value, ClientError> {
        let request = self.http.get(format!("{}/deployment", self.endpoint));
        told(request, "deployment").await
    }

    /// Has the node read its manifest again and apply it; the steps that it took.
    pub async fn apply_deployment(&self) -> Result<serde_json::Value, ClientError> {
        let request = self.http.post(format!("{}/deployment", self.endpoint)).timeout(APPLY_TIMEOUT);
        told(request, "deployment").await
    }

    /// Whether the node works: its `GET /health`. What does not is named, one line each; nothing is: all of it works.
    pub async fn health(&self) -> Result<Vec<String>, ClientError> {
        let response = self.http.get(format!("{}/health", self.endpoint)).send().await?;
        let status = response.status().as_u16();
        if status != DEGRADED {
            return answered(response).await.map(|_| Vec::new());
        }
        let body = response.bytes().await?;
        let health: HealthBody =
            serde_json::from_slice(&body).map_err(|source| ClientError::Unreadable { operation: "health", source })?;
        Ok(health.reasons)
    }

    /// What a function has logged, as `GET /functions/NAME/log` says it: the last lines or, with `after`, those behind a
    /// number, waiting for the first one.
    pub async fn function_log(
        &self,
        function: &str,
        after: Option<u64>,
        lines_max: u64,
        wait: Duration,
    ) -> Result<serde_json::Value, ClientError> {
        let mut url = format!("{}/functions/{function}/log?lines={lines_max}", self.endpoint);
        if let Some(after) = after {
            let _ = write!(url, "&after={after}&wait_ms={}", wait.as_millis());
        }
        let body = answered(self.http.get(url).send().await?).await?;
        serde_json::from_slice(&body).map_err(|source| ClientError::Unreadable { operation: "log", source })
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        request: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = self.send(operation, request).await?;
        serde_json::from_slice(&body).map_err(|source| unreadable(operation, source))
    }

    pub(crate) async fn send(&self, operation: Operation, request: &impl Serialize) -> Result<Bytes, ClientError> {
        let body = serde_json::to_vec(request).map_err(|source| unreadable(operation, source))?;
        let target = format!("{TARGET_PREFIX}{}", operation.name());
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(JSON_CONTENT_TYPE))]);
        headers.extend(HeaderValue::try_from(target).map(|target| (HeaderName::from_static("x-amz-target"), target)));
        if let Some(key) = &self.key {
            key.sign(&self.endpoint, &mut headers, &body)?;
        }
        answered(self.http.post(&self.endpoint).headers(headers).body(body).send().await?).await
    }
}

pub(crate) fn unreadable(operation: Operation, source: serde_json::Error) -> ClientError {
    ClientError::Unreadable { operation: operation.name(), source }
}

async fn told(request: reqwest::RequestBuilder, operation: &'static str) -> Result<serde_json::Value, ClientError> {
    let body = answered(request.send().await?).await?;
    serde_json::from_slice(&body).map_err(|source| ClientError::Unreadable { operation, source })
}

/// The body of an answer, or the error in it.
async fn answered(response: reqwest::Response) -> Result<Bytes, ClientError> {
    let status = response.status();
    let url = response.url().clone();
    let body = response.bytes().await?;
    if status.is_success() {
        return Ok(body);
    }
    let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
    let kind = error.kind.rsplit('#').next().unwrap_or_default().to_owned();
    let message = error.message.or(error.capital_message).unwrap_or_default();
    if kind.is_empty() && message.is_empty() {
        let message = format!("{url} does not answer as a node does; check the node's address, which has no path");
        return Err(ClientError::Api { kind: FOREIGN.to_owned(), message, status: status.as_u16() });
    }
    Err(ClientError::Api { kind, message, status: status.as_u16() })
}
