//! Runs futures of handlers that are written as `async fn`.
//!
//! A function has nothing that could wake it: no network, no threads. So a future that waits for anything but its own
//! next turn would wait for ever, and is an error instead.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::Result;

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a future comes to.
pub(super) fn run<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            return Err("the handler waits for something that a function does not have".into());
        }
    }
}
