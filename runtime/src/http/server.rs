//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port.
//!
//! Promises that a connection is bounded in number, in time and in what it may ask at once, and that a stop lets
//! requests in work end. It must not know what is asked.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, middleware};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::dispatch::{Door, kinesis};
use super::guard::{Guard, Peer};
use super::idle::{Close, Idlers, InWork, Pulse};
use super::leftover::Leftover;
use super::limits::{H1_HEAD_BYTES_MAX, H2_HEADER_BYTES_MAX};
use super::patience::Patient;
use super::{HttpLimits, HttpState, deployment, guard, ingest, operator};
use crate::tasks::Tasks;

/// How long to wait when the system has no socket to give.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long an idle HTTP/2 connection that gives up its place may take to end, with answers that it has not read.
const CROWDED_GRACE: Duration = Duration::from_secs(1);
/// How long a new connection waits for that before another one is to end as well.
const CROWDED_RETRY: Duration = Duration::from_millis(50);
/// How often an HTTP/2 connection is asked whether it is alive, and how long it may take to say so.
const H2_PING: Duration = Duration::from_secs(20);
/// What an HTTP/2 connection may send of one request before it is read.
const H2_STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// What it may send of all its requests.
const H2_CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Serves until `stop`, then lets requests in work end within [`HttpLimits::drain_timeout`].
pub async fn serve(listener: TcpListener, state: HttpState, stop: CancellationToken) {
    let limits = state.limits;
    let tasks = Tasks::new();
    let guard = Guard::new(listener.local_addr().ok(), &state.hosts, state.ingest.clone(), &state.access);
    let (builder, router) = (builder(&limits, &tasks), router(state, guard));
    let server = Server { builder, router, limits, tasks: tasks.clone(), idlers: Idlers::default() };
    tokio::select! {
        () = server.accept(&listener) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    if !tasks.stop(limits.drain_timeout).await {
        tracing::warn!("connections were cut off: they had not ended in time");
    }
}

fn router(state: HttpState, guard: Guard) -> Router {
    Router::new()
        .route("/", post(kinesis))
        .route("/streams/{name}/records", post(ingest::records).options(ingest::preflight))
        .route("/health", get(operator::health))
        .route("/metrics", get(operator::metrics))
        .route("/status", get(operator::status))
        .route("/deployment", get(deployment::show).post(deployment::apply))
        .route("/functions/{name}/log", get(operator::function_log))
        .with_state(Arc::new(Door::new(state)))
        .layer(middleware::from_fn_with_state(guard, guard::guard))
}

fn builder(limits: &HttpLimits, tasks: &Tasks) -> Builder<Streams> {
    let mut builder = Builder::new(Streams(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(H1_HEAD_BYTES_MAX)
        // A client that sends no more still waits for its answer.
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_header_list_size(H2_HEADER_BYTES_MAX)
        .keep_alive_interval(H2_PING)
        .keep_alive_timeout(H2_PING);
    builder
}

/// Runs the requests of HTTP/2 connections.
#[derive(Clone)]
struct Streams(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, request: F) {
        self.0.spawn("http2-request", request);
    }
}

struct Server {
    builder: Builder<Streams>,
    router: Router,
    limits: HttpLimits,
    tasks: Tasks,
    idlers: Idlers,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        let slots = Arc::new(Semaphore::new(self.limits.connections_max));
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let slot = self.slot(&slots).await;
                    self.spawn(stream, slot);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// A place for a connection; where all are taken, that of the one that has been idle longest.
    async fn slot(&self, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        loop {
            if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
                return slot;
            }
            let came = self.idlers.came();
            self.idlers.close_oldest();
            tokio::select! {
                biased;
                Ok(slot) = Arc::clone(slots).acquire_owned() => return slot,
                () = came => {}
                () = tokio::time::sleep(CROWDED_RETRY) => {}
            }
        }
    }

    fn spawn(&self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let (builder, router) = (self.builder.clone(), self.router.clone());
        let (limits, stopping, idlers) = (self.limits, self.tasks.stopping(), self.idlers.clone());
        self.tasks.spawn("http-connection", async move {
            converse(builder, router, stream, limits, stopping, idlers).await;
            drop(slot);
        });
    }
}

/// One connection, from its first byte to its end.
async fn converse(
    builder: Builder<Streams>,
    router: Router,
    stream: TcpStream,
    limits: HttpLimits,
    stopping: CancellationToken,
    idlers: Idlers,
) {
    let (pulse, progress) = Pulse::new();
    let peer = Peer(stream.peer_addr().ok());
    let stream = Patient::new(stream, limits.write_progress_timeout, pulse.clone());
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let in_work = pulse.begin(request.version() == http::Version::HTTP_2);
        answer(router.clone(), request, in_work, limits)
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let close = tokio::select! {
        ended = connection.as_mut() => return log(ended),
        close = idlers.watch(progress.clone(), &limits) => close,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            return log(connection.await);
        }
    };
    connection.as_mut().graceful_shutdown();
    // What is ready to be said is said; a request that has just come is served.
    let ended = futures_util::poll!(connection.as_mut());
    if let Poll::Ready(ended) = ended {
        return log(ended);
    }
    if progress.borrow().is_done() {
        tracing::debug!(?close, "an idle connection was cut off");
        return;
    }
    let is_hurried = close == Close::Crowded && progress.borrow().is_at_rest();
    let patience = if is_hurried { CROWDED_GRACE } else { limits.write_progress_timeout };
    if let Ok(ended) = timeout(patience, connection).await {
        log(ended);
    } else {
        tracing::debug!("an idle connection was cut off: it did not end in time");
    }
}

async fn answer(
    router: Router,
    request: http::Request<Incoming>,
    in_work: InWork,
    limits: HttpLimits,
) -> Result<Response, Infallible> {
    let (request, leftover) = Leftover::of(request);
    let mut answer = router.oneshot(request).await?;
    if let Some(leftover) = leftover {
        leftover.discard(&mut answer, &limits).await;
    }
    drop(in_work);
    Ok(answer)
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
