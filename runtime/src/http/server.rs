//! The listener: who is let in, and the end of all.
//!
//! Promises that connections are bounded in number, that where every place is taken one that asks nothing makes room, and
//! that a stop lets requests in work end. It must not know what is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::HttpState;
use super::connection::Host;
use super::guard::Guard;
use super::idle::Connections;
use super::routes::Routes;
use crate::tasks::Tasks;

/// How long to wait when the system has no socket to give.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long a new connection waits for one that is to end before it asks another.
const CROWDED_RETRY: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets requests in work end within [`HttpLimits::drain_timeout`](super::HttpLimits).
pub async fn serve(listener: TcpListener, state: HttpState, stop: CancellationToken) {
    let (limits, tls) = (state.limits, state.tls.clone());
    let tasks = Tasks::new();
    let guard = Guard::new(listener.local_addr().ok(), &state.hosts, state.ingest.clone(), &state.access);
    let host = Arc::new(Host::new(Routes::new(state, guard, stop.clone()), limits, tls, &tasks));
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let server = Server { host, slots, tasks, connections: Connections::default() };
    tokio::select! {
        () = server.accept(&listener) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    server.connections.stop();
    if !server.tasks.stop(limits.drain_timeout).await {
        tracing::warn!("connections were cut off: they had not ended in time");
    }
}

struct Server {
    host: Arc<Host>,
    slots: Arc<Semaphore>,
    tasks: Tasks,
    connections: Connections,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let Some(slot) = self.slot().await else { return };
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
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return Some(slot);
            }
            self.connections.close_oldest();
            if let Ok(slot) = timeout(CROWDED_RETRY, Arc::clone(&self.slots).acquire_owned()).await {
                return slot.ok();
            }
        }
    }

    fn spawn(&self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let (host, place) = (Arc::clone(&self.host), self.connections.enter());
        self.tasks.spawn("http-connection", async move {
            host.converse(stream, place).await;
            drop(slot);
        });
    }
}
