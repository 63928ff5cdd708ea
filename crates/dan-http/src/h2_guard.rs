//! The stream between TLS and hyper's HTTP/2: it counts frames before hyper pays for them, and bounds every wait.
//!
//! Unlike [`crate::head_guard`] it changes no byte. What breaks a limit of [`crate::h2_traffic`] is answered with GOAWAY
//! where the frames allow it, and then the connection ends, whatever hyper would have made of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, interval_at};

use crate::h2_frames::goaway;
use crate::h2_traffic::{Traffic, Violation, Waiting};
use crate::patience::{Linger, Patience, Phase, Wait};

/// What the guard and the rest of its connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    at_work: AtomicUsize,
    leaving: AtomicBool,
    too_slow: AtomicBool,
    /// The connection is to be closed in good order.
    pub(crate) leave: Notify,
}

/// One request that the service works on; dropping it ends that.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<Link>);

impl Link {
    pub(crate) fn work(self: &Arc<Self>) -> AtWork {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(self))
    }

    /// Hyper has been told to close in good order, for whatever reason.
    pub(crate) fn leaves(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// The peer takes its answers too slowly: the connection is to end at once. It must be polled after this.
    pub(crate) fn give_up(&self) {
        self.too_slow.store(true, Ordering::Relaxed);
    }

    fn works(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far the end has come.
#[derive(Debug)]
enum Ending {
    No,
    /// In good order: hyper has been told, and has until then.
    Asked(Instant),
    /// At once: what is still to be written, then a short wait for the peer to have it.
    Cut {
        goaway: [u8; 17],
        from: usize,
        linger: Linger,
        reason: &'static str,
    },
}

/// The guard itself. Not printable: it holds what peers send.
pub(crate) struct H2Guard<T> {
    io: T,
    traffic: Traffic,
    patience: Patience,
    link: Arc<Link>,
    ending: Ending,
    timer: Option<Interval>,
    armed: Option<Instant>,
    writing: Wait,
    closing: Wait,
    lingering: Option<Linger>,
}

impl<T> H2Guard<T> {
    pub(crate) fn new(io: T, patience: Patience, link: Arc<Link>) -> Self {
        Self {
            io,
            traffic: Traffic::new(Instant::now()),
            patience,
            link,
            ending: Ending::No,
            timer: None,
            armed: None,
            writing: Wait::default(),
            closing: Wait::default(),
            lingering: None,
        }
    }

    fn cut(&mut self, violation: Violation) {
        let goaway = goaway(self.traffic.last_stream(), violation.code);
        // In the middle of a frame of hyper's a GOAWAY would be read as its payload.
        let from = if self.traffic.may_interject() {
            0
        } else {
            goaway.len()
        };
        self.ending = Ending::Cut {
            goaway,
            from,
            linger: Linger::default(),
            reason: violation.reason,
        };
    }

    /// Whether the connection is being cut.
    fn is_cut(&mut self) -> bool {
        let cut = matches!(self.ending, Ending::Cut { .. });
        if !cut && self.link.too_slow.load(Ordering::Relaxed) {
            self.cut(Violation::calm("the peer takes its answers too slowly"));
            return true;
        }
        cut
    }

    /// The peer keeps us waiting. True when hyper is to see the end of the stream.
    fn waited(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let now = Instant::now();
        let soon = now.checked_add(self.patience.linger).unwrap_or(now);
        let Some((mut waiting, mut until)) =
            self.traffic.due(self.link.works(), &self.patience, now)
        else {
            return Poll::Pending;
        };
        if matches!(self.ending, Ending::No) && self.link.leaving.load(Ordering::Relaxed) {
            self.ending = Ending::Asked(soon);
        }
        // What was still under way is finished; then a peer that ignores the goodbye is not waited for.
        if let (Ending::Asked(end), Waiting::Request) = (&self.ending, waiting) {
            (waiting, until) = (Waiting::Start, *end);
        }
        ready!(self.poll_until(until, cx));
        match waiting {
            Waiting::Start => return Poll::Ready(true),
            Waiting::Request => {
                self.ending = Ending::Asked(soon);
                self.link.leave.notify_one();
            }
            Waiting::Frame => self.cut(Violation::calm("a frame or header block took too long")),
            Waiting::Data => self.cut(Violation::calm("a DATA frame stalled")),
            Waiting::Taking => self.cut(Violation::calm("the peer takes no answer")),
        }
        Poll::Ready(false)
    }

    fn poll_until(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| interval_at(until, std::time::Duration::from_secs(3600)));
        if self.armed != Some(until) {
            timer.reset_at(until);
            self.armed = Some(until);
        }
        ready!(timer.poll_tick(cx));
        self.armed = None;
        Poll::Ready(())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> H2Guard<T> {
    /// Says goodbye as far as the socket takes it, and takes in for a moment what still comes.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Ending::Cut {
            goaway,
            from,
            linger,
            reason,
        } = &mut self.ending
        else {
            return Poll::Pending;
        };
        let gone = io::Error::new(io::ErrorKind::InvalidData, *reason);
        while let Some(rest) = goaway.get(*from..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.io).poll_write(cx, rest) {
                Poll::Ready(Ok(written)) if written > 0 => *from = from.saturating_add(written),
                Poll::Ready(_) => return Poll::Ready(gone),
                Poll::Pending => break,
            }
        }
        let sent = *from >= goaway.len()
            && matches!(Pin::new(&mut self.io).poll_flush(cx), Poll::Ready(Ok(())))
            && Pin::new(&mut self.io).poll_shutdown(cx).is_ready();
        if linger.poll(&mut self.io, cx).is_ready() && sent {
            return Poll::Ready(gone);
        }
        self.closing
            .poll_over(Phase::Closing, self.patience.linger, cx)
            .map(|()| gone)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for H2Guard<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.is_cut() {
                return this.poll_cut(cx).map(Err);
            }
            let start = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {
                    let fresh = buf.filled().get(start..).unwrap_or_default();
                    let Err(violation) = this.traffic.received(fresh, Instant::now()) else {
                        return Poll::Ready(Ok(()));
                    };
                    buf.set_filled(start);
                    this.cut(violation);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if ready!(this.waited(cx)) {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for H2Guard<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_cut() {
            // Nothing more reaches the peer; reading tells hyper why, once the goodbye is said.
            return Poll::Ready(Ok(bytes.len()));
        }
        let progress = Pin::new(&mut this.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &progress {
            let written = bytes.get(..*written).unwrap_or_default();
            this.traffic.sent(written, Instant::now());
        }
        this.writing.bound(this.patience.write, cx, progress)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_cut() {
            return Poll::Ready(Ok(()));
        }
        let progress = Pin::new(&mut this.io).poll_flush(cx);
        this.writing.bound(this.patience.write, cx, progress)
    }

    /// Closes our side, then takes in what the peer still sends, so that a reset does not take our last frames from it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let progress = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.writing.bound(this.patience.write, cx, progress))?;
        }
        let lingering = this.lingering.get_or_insert_default();
        if lingering.poll(&mut this.io, cx).is_pending() {
            ready!(
                this.closing
                    .poll_over(Phase::Closing, this.patience.linger, cx)
            );
        }
        Poll::Ready(Ok(()))
    }
}
