//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port.
//!
//! Promises that a connection is bounded in number, in time and in what it may ask at once, and that a stop lets
//! requests in work end. It must not know what is asked.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::dispatch::{Door, kinesis};
use super::limits::{H1_HEAD_BYTES_MAX, H2_HEADER_BYTES_MAX};
use super::patience::Patient;
use super::{HttpLimits, HttpState, deployment, ingest, operator};
use crate::tasks::Tasks;

/// How long to wait when the system has no socket to give.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
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
    let server = Server { builder: builder(&limits, &tasks), router: router(state), limits, tasks: tasks.clone() };
    tokio::select! {
        () = server.accept(&listener) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    if !tasks.stop(limits.drain_timeout).await {
        tracing::warn!("connections were cut off: they had not ended in time");
    }
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/", post(kinesis))
        .route("/streams/{name}/records", post(ingest::records).options(ingest::preflight))
        .route("/health", get(operator::health))
        .route("/metrics", get(operator::metrics))
        .route("/status", get(operator::status))
        .route("/deployment", get(deployment::show).post(deployment::apply))
        .route("/functions/{name}/log", get(operator::function_log))
        .with_state(Arc::new(Door::new(state)))
}

fn builder(limits: &HttpLimits, tasks: &Tasks) -> Builder<Streams> {
    let mut builder = Builder::new(Streams(tasks.clone()));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(H1_HEAD_BYTES_MAX);
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
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        let slots = Arc::new(Semaphore::new(self.limits.connections_max));
        // Nobody closes the slots.
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => self.spawn(stream, slot),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let (builder, router) = (self.builder.clone(), self.router.clone());
        let (limits, stopping) = (self.limits, self.tasks.stopping());
        self.tasks.spawn("http-connection", async move {
            converse(builder, router, stream, limits, stopping).await;
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
) {
    let (requests, in_work) = watch::channel(0);
    let requests = Arc::new(requests);
    let service = service_fn(move |request| answer(router.clone(), request, InWork::begin(&requests)));
    let stream = Patient::new(stream, limits.write_progress_timeout);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => log(ended),
        () = idle(in_work, limits.header_timeout) => {
            connection.as_mut().graceful_shutdown();
            if let Ok(ended) = timeout(limits.write_progress_timeout, connection).await {
                log(ended);
            } else {
                tracing::debug!("an idle connection was cut off: it did not end in time");
            }
        }
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            log(connection.await);
        }
    }
}

async fn answer(router: Router, request: http::Request<Incoming>, in_work: InWork) -> Result<Response, Infallible> {
    let answer = router.oneshot(request.map(Body::new)).await;
    drop(in_work);
    answer
}

/// One request between its head and its answer, in the count of its connection.
struct InWork(Arc<watch::Sender<usize>>);

impl InWork {
    fn begin(requests: &Arc<watch::Sender<usize>>) -> Self {
        requests.send_modify(|count| *count += 1);
        Self(Arc::clone(requests))
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Ends when a connection has had no request in work for so long. It holds before the first request too, when it is not
/// known yet which protocol is spoken, and for HTTP/2, where an answered ping is no reason to stay.
async fn idle(mut in_work: watch::Receiver<usize>, patience: Duration) {
    loop {
        if in_work.wait_for(|count| *count == 0).await.is_err() {
            // The connection has ended and dropped its service.
            return;
        }
        if timeout(patience, in_work.changed()).await.is_err() {
            return;
        }
    }
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
