//! How long a peer may keep a connection waiting, and the timers that hold it to that, for both protocols.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Interval, interval};

/// A whole head must be here this long after its first byte, and a new connection's first byte this long after it opened.
pub const HEAD_WAIT: Duration = Duration::from_secs(5);
/// How long a connection may be silent between two requests.
pub const IDLE_WAIT: Duration = Duration::from_secs(60);
/// How long a body may be silent while it is being read.
pub const BODY_WAIT: Duration = Duration::from_secs(10);
/// How long the peer may take nothing of an answer.
pub const WRITE_WAIT: Duration = Duration::from_secs(30);
/// How long a connection that we close may keep sending, so that a reset does not take our answer from the peer.
pub const LINGER_WAIT: Duration = Duration::from_secs(1);
/// How much of what such a connection sends is read and thrown away, bytes.
pub(crate) const LINGER_BYTES: usize = 2 * 1024 * 1024;
pub(crate) const LINGER_CHUNK: usize = 4 * 1024;

/// How long the peer may keep a connection waiting; the defaults are this module's constants.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// See [`HEAD_WAIT`]. Then 408, or a silent close if nothing was sent.
    pub head: Duration,
    /// See [`IDLE_WAIT`]. Then a silent close.
    pub idle: Duration,
    /// See [`BODY_WAIT`]. Then reading the body fails, see [`crate::head_guard::refusal_of_body`].
    pub body: Duration,
    /// See [`WRITE_WAIT`]. Then the connection is dropped.
    pub write: Duration,
    /// See [`LINGER_WAIT`].
    pub linger: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: HEAD_WAIT,
            idle: IDLE_WAIT,
            body: BODY_WAIT,
            write: WRITE_WAIT,
            linger: LINGER_WAIT,
        }
    }
}

/// What the peer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Opening,
    Idle,
    Head,
    Body,
    Closing,
}

/// One bounded wait at a time. A phase's time runs from the first wait in it until [`Wait::over`], so a head that
/// trickles in does not win time with every byte.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// Made at the first wait and then reused, since re-arming is far cheaper than making.
    timer: Option<Interval>,
    pub(crate) phase: Option<Phase>,
}

impl Wait {
    pub(crate) const fn over(&mut self) {
        self.phase = None;
    }

    pub(crate) fn poll_over(
        &mut self,
        phase: Phase,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let limit = limit.max(Duration::from_millis(1));
        let timer = self.timer.get_or_insert_with(|| interval(limit));
        if self.phase != Some(phase) {
            timer.reset_after(limit);
            self.phase = Some(phase);
        }
        timer.poll_tick(cx).map(|_| ())
    }
}

impl Wait {
    /// What became of a write, unless the peer has taken nothing for as long as `limit`.
    pub(crate) fn bound<R>(
        &mut self,
        limit: Duration,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if progress.is_ready() {
            self.over();
            return progress;
        }
        ready!(self.poll_over(Phase::Closing, limit, cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer takes nothing",
        )))
    }
}

/// Takes in what a peer still sends on a connection that we close, and throws it away.
#[derive(Debug, Default)]
pub(crate) struct Linger {
    bytes: usize,
}

impl Linger {
    /// Ready when the peer is done, fails, or has sent too much; pending while it is silent.
    pub(crate) fn poll<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scratch = [0_u8; LINGER_CHUNK];
        loop {
            let mut chunk = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *io).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() && self.bytes < LINGER_BYTES => {
                    self.bytes = self.bytes.saturating_add(chunk.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
