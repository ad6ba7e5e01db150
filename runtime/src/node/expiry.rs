//! What has expired is given back, now and then. Must not know what that is.

use std::collections::BTreeMap;

use tidemill_stream::name::StreamName;
use tidemill_stream::store::Store;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::EXPIRY_INTERVAL;

/// Runs until it is asked to stop. A trouble that lasts is told once.
pub(super) async fn run(store: Store, stopping: CancellationToken) {
    let mut told: BTreeMap<StreamName, String> = BTreeMap::new();
    loop {
        let expiry = store.expire().await;
        if expiry.bytes > 0 {
            info!(bytes = expiry.bytes, "what has expired was given back");
        }
        for (stream, error) in expiry.troubles.iter().filter(|(stream, error)| told.get(*stream) != Some(*error)) {
            warn!(%stream, error, "what has expired of the stream could not be given back");
        }
        told = expiry.troubles;
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(EXPIRY_INTERVAL) => {}
        }
    }
}
