//! What a service manager is told: that the node is ready, and that it stops. Without one (no `NOTIFY_SOCKET`), nothing.

use sd_notify::NotifyState;
use tracing::warn;

/// The node takes requests.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The node takes no more requests, and ends what is in work.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "the service manager could not be told; it may end the node when its patience does");
    }
}
