//! A connection that may not block its writer for ever.
//!
//! Promises that a write which makes no progress for a given time fails, and that bytes which arrive or wait are told of. It must
//! not know what is written; reading is not timed here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::idle::Pulse;

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] after waiting for so long.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Set while a write waits.
    end: Option<Pin<Box<Sleep>>>,
    /// Told of bytes that arrive, and of those that wait.
    pulse: Pulse,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration, pulse: Pulse) -> Self {
        Self { stream, patience, end: None, pulse }
    }

    /// What the stream said of a write; a wait that lasts too long is an error.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.end.take().is_some() {
                self.pulse.writing(false);
            }
            return written;
        }
        self.pulse.writing(true);
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(patience)));
        end.as_mut().poll(context).map(|()| {
            let message = format!("the peer took no byte for {} ms", patience.as_millis());
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > filled {
            self.pulse.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    /// Without it, HTTP/1.1 would copy answers and so lose sight of their bytes.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // A flush of a socket is ready at once, which says nothing of a write that waits.
        if flushed.is_ready() { flushed } else { self.watch(context, flushed) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_in_time() {
        let (near, _far) = duplex(1);
        let started = Instant::now();
        let error = Patient::new(near, PATIENCE, Pulse::new()).write_all(b"two").await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_taken_slowly_goes_on() {
        let (near, mut far) = duplex(1);
        let mut near = Patient::new(near, PATIENCE, Pulse::new());
        let read = async {
            for _ in 0..5 {
                sleep(Duration::from_secs(29)).await;
                far.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(near.write_all(b"five!"), read);
        written.unwrap();
    }
}
