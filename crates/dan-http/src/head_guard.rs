//! The stream between the socket and hyper: it lets through only what [`crate::framing`] has judged, and bounds every
//! wait for the peer.
//!
//! hyper alone accepts heads that smuggle (`security.md §2`), and it answers what it refuses without our JSON body.
//! So a head it would refuse never reaches it: in that head's place, after the requests before it, it reads one
//! well-formed request under a method that no peer can send, because the guard refuses methods of that length. The
//! listener turns it into [`crate::listen::Inbound::Refused`].

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::framing::{Framing, MAX_METHOD_BYTES, Refusal, Stop};
use crate::patience::{Linger, Phase, Wait};

pub use crate::patience::Patience;

const REFUSED_METHOD: &str = "REFUSED-BY-THE-GUARD-IN-FRONT-OF-HYPER";
const REFUSED_HEAD: &[u8] =
    b"REFUSED-BY-THE-GUARD-IN-FRONT-OF-HYPER / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";
const _: () = assert!(REFUSED_METHOD.len() > MAX_METHOD_BYTES);

/// What is to be said to a peer whose request body could not be read, from the error hyper gave: 408 where it stalled,
/// 400 where its framing is broken or it was cut short. hyper closes the connection after that answer whatever it says;
/// the answer should say so in `connection: close`.
#[must_use]
pub fn refusal_of_body(error: &(dyn Error + 'static)) -> Refusal {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(refusal) = inner.and_then(|inner| inner.downcast_ref::<Refusal>()) {
            return *refusal;
        }
        next = error.source();
    }
    Refusal::bad("the request body ended before its declared end")
}

/// Whether hyper was given the stand-in for a refused head.
pub(crate) fn stands_for_refusal(method: &http::Method) -> bool {
    method.as_str() == REFUSED_METHOD
}

/// The guard itself, around a TCP or TLS stream. Not printable: it holds what peers send.
pub struct HeadGuard<T> {
    io: T,
    framing: Framing,
    /// Bytes read but not given to hyper: first those that may be given, then an incomplete head.
    held: Vec<u8>,
    /// How many bytes of `held` may be given.
    ready: usize,
    /// How many of those have been.
    given: usize,
    refused: Arc<OnceLock<Refusal>>,
    patience: Patience,
    opened: bool,
    reading: Wait,
    writing: Wait,
    lingering: Option<Linger>,
}

impl<T> HeadGuard<T> {
    /// Guards `io`; the reason is in `refused` before hyper reads the stand-in for the refused head.
    #[must_use]
    pub fn new(io: T, patience: Patience, refused: Arc<OnceLock<Refusal>>) -> Self {
        Self {
            io,
            framing: Framing::new(),
            held: Vec::new(),
            ready: 0,
            given: 0,
            refused,
            patience,
            opened: false,
            reading: Wait::default(),
            writing: Wait::default(),
            lingering: None,
        }
    }

    fn withheld(&self) -> &[u8] {
        self.held.get(self.ready..).unwrap_or_default()
    }

    /// Gives hyper what is ready and fits; false when nothing is ready.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let ready = self.held.get(self.given..self.ready).unwrap_or_default();
        if ready.is_empty() {
            return false;
        }
        let fits = ready
            .split_at_checked(buf.remaining())
            .map_or(ready, |(fits, _)| fits);
        buf.put_slice(fits);
        self.given = self.given.saturating_add(fits.len());
        true
    }

    /// Drops from `held` what hyper has.
    fn forget_given(&mut self) {
        self.held.drain(..self.given.min(self.held.len()));
        self.ready = self.ready.saturating_sub(self.given);
        self.given = 0;
        if self.held.is_empty() {
            // A connection at rest holds no buffer.
            self.held = Vec::new();
        }
    }

    /// Judges what was just read into `buf` from `start` on; what may not be given yet leaves `buf` again.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let fresh = buf.filled_mut().get_mut(start..).unwrap_or_default();
        let (kept, stop) = if self.withheld().is_empty() {
            // The common case: whole heads and body bytes stay where they were read.
            let admitted = self.framing.admit(fresh);
            self.held
                .extend_from_slice(fresh.get(admitted.seen..).unwrap_or_default());
            (admitted.kept, admitted.stop)
        } else {
            self.held.extend_from_slice(fresh);
            let admitted = self.framing.admit(&mut self.held);
            self.held.drain(admitted.kept..admitted.seen);
            self.ready = admitted.kept;
            (0, admitted.stop)
        };
        buf.set_filled(start.saturating_add(kept));
        if let Some(stop) = stop {
            self.close_after(stop);
        }
        if kept > 0 || self.ready > 0 {
            self.reading.over();
        }
    }

    /// Puts the stand-in behind what may still be given; the rest is thrown away.
    fn close_after(&mut self, stop: Stop) {
        self.held.truncate(self.ready);
        match stop {
            Stop::Head(refusal) => {
                if self.refused.set(refusal).is_ok() {
                    self.held.extend_from_slice(REFUSED_HEAD);
                    self.ready = self.held.len();
                }
            }
            Stop::Body(_) => {}
        }
    }

    fn stop(&mut self, refusal: Refusal) {
        let stop = self.framing.stop(refusal);
        self.close_after(stop);
    }

    /// The peer keeps us waiting: true when the connection is to be closed without a word.
    fn waited(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let at_rest = self.framing.at_rest(self.withheld());
        let (phase, limit) = if self.framing.in_body() {
            (Phase::Body, self.patience.body)
        } else if at_rest && self.opened {
            (Phase::Idle, self.patience.idle)
        } else if at_rest {
            (Phase::Opening, self.patience.head)
        } else {
            (Phase::Head, self.patience.head)
        };
        ready!(self.reading.poll_over(phase, limit, cx));
        match phase {
            Phase::Body => self.stop(Refusal::late("the request body stalled")),
            Phase::Head => self.stop(Refusal::late("the request head was not complete in time")),
            Phase::Opening | Phase::Idle | Phase::Closing => return Poll::Ready(true),
        }
        Poll::Ready(false)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for HeadGuard<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.give(buf) {
                return Poll::Ready(Ok(()));
            }
            this.forget_given();
            match this.framing.stopped() {
                Some(Stop::Head(_)) => return Poll::Ready(Ok(())),
                Some(Stop::Body(refusal)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal)));
                }
                None => {}
            }
            let start = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if ready!(this.waited(cx)) {
                        return Poll::Ready(Ok(()));
                    }
                    continue;
                }
            }
            if buf.filled().len() > start {
                this.opened = true;
                this.judge(buf, start);
                if buf.filled().len() > start {
                    return Poll::Ready(Ok(()));
                }
            } else if this.framing.in_body() || this.framing.at_rest(this.withheld()) {
                return Poll::Ready(Ok(()));
            } else {
                this.stop(Refusal::bad("the request head was cut short"));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadGuard<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.writing.bound(this.patience.write, cx, progress)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.writing.bound(this.patience.write, cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.io).poll_flush(cx);
        this.writing.bound(this.patience.write, cx, progress)
    }

    /// Closes our side, then takes in what the peer still sends: closing a socket with unread bytes resets it, and the
    /// peer would lose the answer (RFC 9112 §9.6).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let progress = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.writing.bound(this.patience.write, cx, progress))?;
        }
        let lingering = this.lingering.get_or_insert_default();
        if lingering.poll(&mut this.io, cx).is_pending()
            // Only a peer that we know to be in the middle of something is waited for.
            && !this.framing.at_rest(this.held.get(this.ready..).unwrap_or_default())
        {
            ready!(
                this.reading
                    .poll_over(Phase::Closing, this.patience.linger, cx)
            );
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::{LINGER_BYTES, LINGER_CHUNK};
    use std::collections::VecDeque;
    use std::task::Waker;
    use std::time::Duration;

    /// Gives its pieces one a read, then ends; takes a bounded number of bytes.
    struct Scripted {
        pieces: VecDeque<Vec<u8>>,
        silent_at_end: bool,
    }

    impl AsyncRead for Scripted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some(mut piece) = self.pieces.pop_front() else {
                return if self.silent_at_end {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                };
            };
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.pieces.push_front(rest);
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Scripted {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Seen {
        bytes: String,
        refused: Option<Refusal>,
        failed: Option<io::ErrorKind>,
    }

    /// All that hyper would read, `room` bytes at a time.
    fn seen(input: &[u8], step: usize, room: usize) -> Seen {
        let pieces = input.chunks(step).map(<[u8]>::to_vec).collect();
        let refused = Arc::new(OnceLock::new());
        let io = Scripted {
            pieces,
            silent_at_end: false,
        };
        let mut guard = HeadGuard::new(io, Patience::default(), Arc::clone(&refused));
        let mut cx = Context::from_waker(Waker::noop());
        let mut bytes = Vec::new();
        let failed = loop {
            let mut room = vec![0; room];
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut guard).poll_read(&mut cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => break None,
                Poll::Ready(Ok(())) => bytes.extend_from_slice(buf.filled()),
                Poll::Ready(Err(error)) => break Some(error.kind()),
                Poll::Pending => panic!("waits without cause"),
            }
        };
        Seen {
            bytes: String::from_utf8_lossy(&bytes).into_owned(),
            refused: refused.get().copied(),
            failed,
        }
    }

    const GOOD: &str = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    const CHUNKED: &str =
        "POST /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";

    #[test]
    fn hyper_reads_the_same_however_bytes_arrive_and_however_little_it_asks_for() {
        let stand_in = String::from_utf8_lossy(REFUSED_HEAD);
        for (input, expected, status, failed) in [
            (GOOD.to_owned(), GOOD.to_owned(), None, None),
            (format!("{GOOD}\r\n"), GOOD.to_owned(), None, None),
            (
                format!("{GOOD}GET / HTTP/1.1\r\n\r\nGET /"),
                format!("{GOOD}{stand_in}"),
                Some(400),
                None,
            ),
            (
                format!("{GOOD}GET / HTT"),
                format!("{GOOD}{stand_in}"),
                Some(400),
                None,
            ),
            (
                format!("{GOOD}{CHUNKED}0\r\na: b\r\n\r\n"),
                format!("{GOOD}{CHUNKED}0\r\n\r\n"),
                None,
                None,
            ),
            (
                format!("{CHUNKED}0\n\r\n{GOOD}"),
                format!("{CHUNKED}0"),
                None,
                Some(io::ErrorKind::InvalidData),
            ),
            (CHUNKED.to_owned(), CHUNKED.to_owned(), None, None),
        ] {
            for step in [1, 2, 5, 64, input.len()] {
                for room in [1, 3, 4096] {
                    let seen = seen(input.as_bytes(), step, room);
                    assert_eq!(seen.bytes, expected, "step {step}, room {room}");
                    assert_eq!(seen.refused.map(|refusal| refusal.status), status);
                    assert_eq!(seen.failed, failed);
                }
            }
        }
    }

    #[test]
    fn the_stand_in_is_well_formed_and_no_peer_can_send_its_method() {
        let head = std::str::from_utf8(REFUSED_HEAD).unwrap();
        assert_eq!(head.split_once(' ').unwrap().0, REFUSED_METHOD);
        assert!(
            http::Method::from_bytes(REFUSED_METHOD.as_bytes())
                .is_ok_and(|m| stands_for_refusal(&m))
        );
        let seen = seen(REFUSED_HEAD, REFUSED_HEAD.len(), 4096);
        assert_eq!(seen.refused.map(|refusal| refusal.status), Some(400));
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_dropped() {
        let patience = Patience {
            write: Duration::from_millis(5),
            ..Patience::default()
        };
        let io = Scripted {
            pieces: VecDeque::new(),
            silent_at_end: true,
        };
        let mut guard = HeadGuard::new(io, patience, Arc::default());
        let written = tokio::io::AsyncWriteExt::write(&mut guard, b"answer").await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn each_silence_has_its_own_end() {
        let quick = Duration::from_millis(5);
        let long = Duration::from_secs(600);
        let patience = |head, idle, body| Patience {
            head,
            idle,
            body,
            write: long,
            linger: quick,
        };
        for (input, patience, expected) in [
            ("", patience(quick, long, long), Ok("")),
            (GOOD, patience(long, quick, long), Ok(GOOD)),
            ("GET", patience(quick, long, long), Err(408)),
            (CHUNKED, patience(long, long, quick), Err(0)),
        ] {
            let io = Scripted {
                pieces: input.as_bytes().chunks(64).map(<[u8]>::to_vec).collect(),
                silent_at_end: true,
            };
            let refused = Arc::new(OnceLock::new());
            let mut guard = HeadGuard::new(io, patience, Arc::clone(&refused));
            let mut bytes = Vec::new();
            let read = tokio::io::AsyncReadExt::read_to_end(&mut guard, &mut bytes).await;
            match expected {
                Ok(text) => {
                    assert_eq!((read.unwrap(), &bytes[..]), (text.len(), text.as_bytes()));
                    assert!(refused.get().is_none());
                }
                Err(408) => {
                    assert_eq!(bytes, REFUSED_HEAD);
                    assert_eq!(refused.get().unwrap().status, 408);
                }
                Err(_) => assert_eq!(refusal_of_body(&read.unwrap_err()).status, 408),
            }
            // What was in the middle of something is waited for, and not longer than said.
            tokio::io::AsyncWriteExt::shutdown(&mut guard)
                .await
                .unwrap();
        }
    }

    fn guard(pieces: &[&[u8]], patience: Patience) -> HeadGuard<Scripted> {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        HeadGuard::new(
            Scripted {
                pieces,
                silent_at_end: true,
            },
            patience,
            Arc::default(),
        )
    }

    fn read_once(guard: &mut HeadGuard<Scripted>) -> Poll<usize> {
        let mut room = [0; 512];
        let mut buf = ReadBuf::new(&mut room);
        let polled = Pin::new(guard).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
        polled.map(|read| read.map_or(0, |()| buf.filled().len()))
    }

    #[tokio::test]
    async fn bytes_of_an_unfinished_head_win_it_no_time() {
        let mut guard = guard(&[b"GET / "], Patience::default());
        assert!(read_once(&mut guard).is_pending());
        assert_eq!(guard.reading.phase, Some(Phase::Head));
        let mut room = *b"HTTP/1.1";
        let mut buf = ReadBuf::new(&mut room);
        buf.set_filled(8);
        guard.judge(&mut buf, 0);
        assert_eq!(
            guard.reading.phase,
            Some(Phase::Head),
            "the same wait goes on"
        );
        guard.io.pieces.push_back(b"\r\nhost: a\r\n\r\n".to_vec());
        assert_eq!(read_once(&mut guard), Poll::Ready(27));
        assert_eq!(guard.reading.phase, None);
    }

    #[tokio::test]
    async fn closing_takes_in_what_is_sent_and_waits_only_for_a_peer_in_the_middle_of_something() {
        let mut cx = Context::from_waker(Waker::noop());
        for (first, waits) in [
            (&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], false),
            (b"GET / HTTP/1.1\r\n\r\n", true),
        ] {
            let mut guard = guard(&[first, b"more", b"and more"], Patience::default());
            assert!(read_once(&mut guard).is_ready());
            let closed = Pin::new(&mut guard).poll_shutdown(&mut cx);
            assert_eq!(closed.is_pending(), waits);
            assert!(guard.io.pieces.is_empty());
            guard.io.pieces.push_back(b"still".to_vec());
            assert_eq!(
                Pin::new(&mut guard).poll_shutdown(&mut cx).is_pending(),
                waits
            );
        }
    }

    #[tokio::test]
    async fn closing_takes_in_a_bounded_amount() {
        let chunk = [b'x'; LINGER_CHUNK];
        let pieces = vec![&chunk[..]; LINGER_BYTES / LINGER_CHUNK + 10];
        let mut guard = guard(&pieces, Patience::default());
        let closed = Pin::new(&mut guard).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        assert!(closed.is_ready());
        assert_eq!(guard.io.pieces.len(), 9);
    }
}
