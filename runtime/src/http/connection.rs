//! One connection: TLS or none, HTTP/1.1 or HTTP/2 with prior knowledge, told apart by its first bytes.
//!
//! Promises that a connection which asks nothing keeps no buffers but those of TLS, and that neither its rest nor its end
//! loses a request that has come. It must not know what is asked.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::HttpLimits;
use super::dispatch::Lasting;
use super::guard::Peer;
use super::idle::{Place, Pulse, Turn};
use super::leftover::Leftover;
use super::limits::{APPLY_TIMEOUT, H1_HEAD_BYTES_MAX, H2_HEADER_BYTES_MAX};
use super::patience::Patient;
use super::replay::Replay;
use super::routes::Routes;
use super::streams::{self, Parts, Streams};
use super::tls::Tls;
use crate::tasks::Tasks;

/// What HTTP/2 begins with (RFC 9113, section 3.4).
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long an idle HTTP/2 connection that gives up its place may take to end, with answers that it has not read.
const CROWDED_GRACE: Duration = Duration::from_secs(1);
/// How often an HTTP/2 connection is asked whether it is alive, and how long it may take to say so.
const H2_PING: Duration = Duration::from_secs(20);
/// What an HTTP/2 connection may send of one request before it is read.
const H2_STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// What it may send of all its requests.
const H2_CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// What all connections of a server share.
pub(super) struct Host {
    routes: Routes,
    limits: HttpLimits,
    tls: Option<Tls>,
    /// Whether the log has that there is none; strangers may try for ever.
    has_told_of_tls: AtomicBool,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

type Socket = Patient<TcpStream>;
/// What HTTP is spoken on: a socket, or the inside of TLS.
type Stream = Replay<Either<Socket, Box<TlsStream<Replay<Socket>>>>>;
type Io = TokioIo<Stream>;

impl Host {
    pub(super) fn new(routes: Routes, limits: HttpLimits, tls: Option<Tls>, tasks: &Tasks) -> Self {
        let mut http1 = http1::Builder::new();
        // A client that sends no more still waits for its answer.
        http1.max_buf_size(H1_HEAD_BYTES_MAX).half_close(true);
        let mut http2 = http2::Builder::new(Streams::new(tasks, APPLY_TIMEOUT + limits.write_progress_timeout));
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.h2_streams_max)
            .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
            .max_header_list_size(H2_HEADER_BYTES_MAX)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING);
        Self { routes, limits, tls, has_told_of_tls: AtomicBool::new(false), http1, http2 }
    }

    /// Serves a connection from its first byte to its end.
    pub(super) async fn converse(self: Arc<Self>, stream: TcpStream, place: Place) {
        let peer = Peer(stream.peer_addr().ok());
        let pulse = &place.pulse;
        let socket = Patient::new(stream, self.limits.write_progress_timeout, pulse.clone());
        let Some(mut stream) = self.begin(socket, pulse).await else { return };
        let Some(is_http2) = self.protocol(&mut stream, pulse).await else { return };
        if is_http2 {
            // In a box, as is HTTP/1.1 below: a connection at rest is as small as can be.
            Box::pin(self.serve_http2(TokioIo::new(stream), peer, pulse)).await;
            return;
        }
        while let Some(rested) = Box::pin(self.serve_http1(TokioIo::new(stream), peer, pulse)).await {
            stream = rested;
            if self.rest(&mut stream, pulse).await.is_none() {
                // Inside of TLS an end is said, or it could be somebody else's.
                let _ = stream.shutdown().await;
                return;
            }
        }
    }

    /// What HTTP is spoken on; `None` where the connection ends before it is.
    async fn begin(&self, mut socket: Socket, pulse: &Pulse) -> Option<Stream> {
        let first = self.wait(&mut socket, pulse).await?;
        if !Tls::is_begun_by(first) {
            return Some(Replay::new(Either::Left(socket), &[first]));
        }
        let Some(tls) = &self.tls else {
            if !self.has_told_of_tls.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "a client speaks TLS and this node does not: start it with --tls, or let the client ask http://"
                );
            }
            // To an answer in plain text clients say what is wrong.
            return Some(Replay::new(Either::Left(socket), &[first]));
        };
        let agreed = tokio::select! {
            biased;
            agreed = Box::pin(tls.accept(Replay::new(socket, &[first]))) => agreed,
            turn = pulse.watch(&self.limits, true) => {
                tracing::debug!(?turn, "a connection was closed before there was agreement on TLS");
                return None;
            }
        };
        let inside = agreed.inspect_err(|error| tracing::debug!(%error, "there is no agreement on TLS")).ok()?;
        pulse.greeted();
        Some(Replay::new(Either::Right(Box::new(inside)), &[]))
    }

    /// Reads just enough to know the protocol; `None` where the connection ends before.
    async fn protocol(&self, stream: &mut Stream, pulse: &Pulse) -> Option<bool> {
        let mut first = Vec::with_capacity(H2_PREFACE.len());
        while first.len() < H2_PREFACE.len() && H2_PREFACE.starts_with(&first) {
            first.push(self.wait(stream, pulse).await?);
        }
        stream.put_back(&first);
        Some(first == H2_PREFACE)
    }

    /// Waits for the next request; `None` where the connection ends before.
    async fn rest(&self, stream: &mut Stream, pulse: &Pulse) -> Option<()> {
        let first = self.wait(stream, pulse).await?;
        stream.put_back(&[first]);
        Some(())
    }

    /// Waits for a byte, with no more room than for that.
    async fn wait(&self, stream: &mut (impl AsyncRead + Unpin), pulse: &Pulse) -> Option<u8> {
        tokio::select! {
            biased;
            read = stream.read_u8() => read.ok(),
            turn = pulse.watch(&self.limits, true) => {
                tracing::debug!(?turn, "a connection at rest was closed");
                None
            }
        }
    }

    /// Serves HTTP/1.1 until the connection ends, or returns it for a rest.
    async fn serve_http1(&self, io: Io, peer: Peer, pulse: &Pulse) -> Option<Stream> {
        let service = service_fn(|request| self.answer(request, peer, pulse));
        let mut connection = self.http1.serve_connection(io, service);
        let turn = tokio::select! {
            biased;
            ended = &mut connection => {
                log(ended);
                return None;
            }
            turn = pulse.watch(&self.limits, false) => turn,
        };
        if turn == Turn::Rest {
            let parts = connection.into_parts();
            let mut stream = parts.io.into_inner();
            if !parts.read_buf.is_empty() {
                stream.put_back(&parts.read_buf);
                pulse.received();
            }
            return Some(stream);
        }
        Pin::new(&mut connection).graceful_shutdown();
        self.end(Pin::new(&mut connection), turn, pulse).await;
        None
    }

    async fn serve_http2(self: &Arc<Self>, io: Io, peer: Peer, pulse: &Pulse) {
        let shared = (Arc::clone(self), pulse.clone());
        let service = service_fn(move |request| {
            let (host, pulse) = shared.clone();
            async move { host.answer(request, peer, &pulse).await }
        });
        let mut connection = pin!(self.http2.serve_connection(io, service));
        let turn = tokio::select! {
            biased;
            ended = streams::together(connection.as_mut()) => return log(ended),
            turn = pulse.watch(&self.limits, false) => turn,
        };
        connection.as_mut().graceful_shutdown();
        self.end(connection, turn, pulse).await;
    }

    /// Ends a connection that takes no more requests.
    async fn end(&self, mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>, turn: Turn, pulse: &Pulse) {
        // What is ready to be said is said; a request that has just come is served.
        let ended = futures_util::poll!(connection.as_mut());
        if let Poll::Ready(ended) = ended {
            return log(ended);
        }
        if pulse.is_done() {
            tracing::debug!(?turn, "an idle connection was cut off");
            return;
        }
        if turn == Turn::Stop {
            return log(connection.await);
        }
        let is_hurried = turn == Turn::Crowded && pulse.is_at_rest();
        let patience = if is_hurried { CROWDED_GRACE } else { self.limits.write_progress_timeout };
        if let Ok(ended) = timeout(patience, connection).await {
            log(ended);
        } else {
            tracing::debug!("an idle connection was cut off: it did not end in time");
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer, pulse: &Pulse) -> Result<Response, Infallible> {
        let is_http2 = request.version() == Version::HTTP_2;
        let in_work = pulse.begin(is_http2);
        let (request, leftover) = Leftover::of(request);
        let mut answer = self.routes.answer(request, peer).await;
        if let Some(leftover) = leftover {
            leftover.discard(&mut answer, &self.limits).await;
        }
        let mut patience = self.limits.write_progress_timeout;
        if let Some(Lasting(interval)) = answer.extensions().get() {
            patience = *interval + self.limits.event_timeout;
            answer = answer.map(|body| {
                Body::from_stream(body.into_data_stream().inspect(move |_| {
                    let _in_work_with_its_body = &in_work;
                }))
            });
        }
        Ok(if is_http2 { answer.map(|body| Body::new(Parts::new(body, patience))) } else { answer })
    }
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
