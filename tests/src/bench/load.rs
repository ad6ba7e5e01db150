//! A load generator: keep-alive connections that send prepared requests one after another.
//!
//! It does as little as it can: bodies are made beforehand, and of an answer only what proves success is looked at.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tidemill_client::AccessKey;
use tidemill_wire::TARGET_PREFIX;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;

/// What to send.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// The operation's name.
    pub(super) operation: &'static str,
    pub(super) content_type: &'static str,
    /// Sent in turn.
    pub(super) bodies: Arc<[Bytes]>,
    pub(super) connections: usize,
    /// With what each request is signed, once: a signature holds for longer than a round.
    pub(super) key: Option<AccessKey>,
    /// Whom it trusts, inside of TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Every answer holds this.
    pub(super) expected: &'static str,
}

/// What one connection did.
#[derive(Debug)]
struct Done {
    calls: usize,
    start: Instant,
    end: Instant,
}

impl Load {
    /// Sends to `address` for about `time`; returns how many calls a second were answered.
    pub(super) async fn calls_per_second(&self, address: &str, time: Duration) -> Result<f64> {
        let ready = Arc::new(Barrier::new(self.connections));
        let mut connections = JoinSet::new();
        for index in 0..self.connections {
            let (load, address, ready) = (self.clone(), address.to_owned(), Arc::clone(&ready));
            connections.spawn(async move { load.connection(&address, index, &ready, time).await });
        }
        let done = connections.join_all().await.into_iter().collect::<Result<Vec<Done>>>()?;
        let calls: usize = done.iter().map(|done| done.calls).sum();
        let start = done.iter().map(|done| done.start).min().context("no connection")?;
        let end = done.iter().map(|done| done.end).max().context("no connection")?;
        Ok(calls as f64 / (end - start).as_secs_f64())
    }

    /// One call; returns the whole answer.
    pub(super) async fn call_once(&self, address: &str) -> Result<Bytes> {
        let (mut sender, connection) = self.connect(address).await?;
        let request = self.requests(address)?.into_iter().next().context("nothing to send")?;
        tokio::select! {
            ended = connection => Err(anyhow::anyhow!("the connection ended: {ended:?}")),
            answer = self.call(&mut sender, request) => answer,
        }
    }

    /// A connection that nothing was sent on.
    pub(super) async fn connect(&self, address: &str) -> Result<(SendRequest<Full<Bytes>>, Connection)> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = match &self.tls {
            None => Either::Left(stream),
            Some(trust) => {
                let name = ServerName::try_from("localhost")?;
                Either::Right(TlsConnector::from(Arc::clone(trust)).connect(name, stream).await?)
            }
        };
        Ok(http1::handshake(TokioIo::new(stream)).await?)
    }

    async fn connection(&self, address: &str, index: usize, ready: &Barrier, time: Duration) -> Result<Done> {
        let connected = self.connect(address).await;
        ready.wait().await; // those that failed too: the others wait for all
        let (sender, connection) = connected?;
        tokio::select! {
            ended = connection => Err(anyhow::anyhow!("the connection ended: {ended:?}")),
            done = self.send(sender, address, index, time) => done,
        }
    }

    async fn send(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        address: &str,
        first: usize,
        time: Duration,
    ) -> Result<Done> {
        let requests = self.requests(address)?;
        let (start, mut calls) = (Instant::now(), 0);
        let mut requests = requests.iter().cycle().skip(first);
        while start.elapsed() < time {
            let request = requests.next().context("nothing to send")?.clone();
            self.call(&mut sender, request).await?;
            calls += 1;
        }
        Ok(Done { calls, start, end: Instant::now() })
    }

    /// What is sent in turn, whole.
    pub(super) fn requests(&self, address: &str) -> Result<Vec<Request<Full<Bytes>>>> {
        let request = |body: &Bytes| {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri("/")
                .header(CONTENT_TYPE, self.content_type)
                .header("x-amz-target", format!("{TARGET_PREFIX}{}", self.operation))
                .body(Full::new(body.clone()))?;
            if let Some(key) = &self.key {
                key.sign(&format!("http://{address}/"), request.headers_mut(), body)?;
            }
            request.headers_mut().insert(HOST, address.parse()?);
            Ok(request)
        };
        self.bodies.iter().map(request).collect()
    }

    /// One call on a connection.
    pub(super) async fn call(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Bytes> {
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let answer = answer.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&answer));
        let head = answer.get(..answer.len().min(256)).unwrap_or_default();
        let is_expected = head.windows(self.expected.len()).any(|window| window == self.expected.as_bytes());
        ensure!(is_expected, "the answer does not say {}: {}", self.expected, String::from_utf8_lossy(head));
        Ok(answer)
    }
}

pub(super) type Connection = http1::Connection<TokioIo<Either<TcpStream, TlsStream<TcpStream>>>, Full<Bytes>>;
