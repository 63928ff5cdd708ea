//! Answers that peers have not taken: how many bytes of them may wait in memory, and for how long.
//!
//! hyper holds an answer until its last byte is written, and over HTTP/2 a peer decides with its windows when that is.
//! Each answer therefore has a share in the budgets of its connection and of its listener, which travels with its bytes
//! and is given back when nobody holds them any more.

mod lane;

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};

pub use lane::{Lane, STREAM_BYTES_MAX};

use crate::body::AnswerBody;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::render;

/// Bytes of answers that one connection may leave untaken. One larger answer may wait alone.
pub const CONNECTION_UNTAKEN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The same for all connections of one listener together.
pub const LISTENER_UNTAKEN_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How fast a peer must take answers, bytes a second on the average of what waits for it, beyond
/// [`crate::patience::WRITE_WAIT`] that it has in any case.
pub const TAKEN_BYTES_PER_S_MIN: usize = 16 * 1024;

/// What peers may leave untaken; the defaults are this module's constants.
#[derive(Clone, Copy, Debug)]
pub struct UntakenLimits {
    /// See [`CONNECTION_UNTAKEN_BYTES_MAX`]. At it, further requests of the connection wait; over it, 503.
    pub connection_bytes: usize,
    /// See [`LISTENER_UNTAKEN_BYTES_MAX`]. Then 503.
    pub listener_bytes: usize,
    /// See [`TAKEN_BYTES_PER_S_MIN`]. A slower peer loses its connection. At least one.
    pub bytes_per_s: usize,
}

impl Default for UntakenLimits {
    fn default() -> Self {
        Self {
            connection_bytes: CONNECTION_UNTAKEN_BYTES_MAX,
            listener_bytes: LISTENER_UNTAKEN_BYTES_MAX,
            bytes_per_s: TAKEN_BYTES_PER_S_MIN,
        }
    }
}

/// When the bytes of an answer have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// When they are dropped: HTTP/2 holds them until they are written.
    Dropped,
    /// At the flush after that: HTTP/1.1 copies them first.
    Flushed,
}

/// The books of one connection.
#[derive(Debug)]
pub(crate) struct Untaken {
    /// Bytes held by all connections of the listener.
    all: Arc<AtomicUsize>,
    limits: UntakenLimits,
    /// What a peer has beside the time that its bytes win it.
    wait: Duration,
    leaves: Leaves,
    books: Mutex<Books>,
    /// Something has left.
    room: Notify,
    /// Something waits again, and the watch was asleep.
    begun: Notify,
}

#[derive(Debug, Default)]
struct Books {
    /// Bytes that wait, those in `copied` included.
    held: usize,
    /// Bytes that were dropped and not flushed yet.
    copied: usize,
    /// Until when what is held must have left; `None` while nothing is.
    due: Option<Instant>,
    /// The watch waits for `begun`.
    asleep: bool,
    /// Streams under way, each with a share of [`STREAM_BYTES_MAX`] that is not in `held`.
    lanes: BTreeMap<u64, lane::LaneBook>,
    lanes_ever: u64,
    /// Bytes that wait in all of them.
    in_lanes: usize,
}

impl Books {
    /// Bytes that wait for the peer.
    fn waiting(&self) -> usize {
        self.held.saturating_add(self.in_lanes)
    }

    /// Bytes that are taken from the budgets.
    fn taken(&self) -> usize {
        let lanes = self.lanes.len().saturating_mul(STREAM_BYTES_MAX);
        self.held.saturating_add(lanes)
    }
}

/// The bytes of one answer, which give back their share when the last part of them is dropped.
struct Held {
    bytes: Bytes,
    untaken: Arc<Untaken>,
}

impl Untaken {
    pub(crate) fn new(
        all: Arc<AtomicUsize>,
        limits: UntakenLimits,
        wait: Duration,
        leaves: Leaves,
    ) -> Arc<Self> {
        Arc::new(Self {
            all,
            limits,
            wait,
            leaves,
            books: Mutex::default(),
            room: Notify::new(),
            begun: Notify::new(),
        })
    }

    /// Waits until the connection has room for one more answer, of whatever size. May be dropped at any time.
    pub(crate) async fn room(&self) {
        loop {
            let left = self.room.notified();
            let taken = self.books().taken();
            if taken == 0 || taken < self.limits.connection_bytes {
                return;
            }
            left.await;
        }
    }

    /// The answer with its share, or 503 in its place.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        response: Response<AnswerBody>,
    ) -> Response<AnswerBody> {
        let (parts, body) = response.into_parts();
        let admitted = match body {
            AnswerBody::Whole(whole) => self.admit_whole(whole).await,
            AnswerBody::Stream(mut stream) => Lane::open(self).map(|lane| {
                stream.enter(lane);
                AnswerBody::Stream(stream)
            }),
        };
        if let Some(body) = admitted {
            return Response::from_parts(parts, body);
        }
        tracing::warn!("an answer found no room among those that peers have not taken");
        let mut refusal = render::no_room(&parts.headers);
        if self.leaves == Leaves::Flushed {
            render::close(&mut refusal);
        }
        refusal
    }

    async fn admit_whole(self: &Arc<Self>, whole: Full<Bytes>) -> Option<AnswerBody> {
        let Ok(body) = whole.collect().await;
        let bytes = body.to_bytes();
        self.take(bytes.len()).then(|| {
            AnswerBody::from(Bytes::from_owner(Held {
                bytes,
                untaken: Arc::clone(self),
            }))
        })
    }

    /// Ends when the peer has taken too little for too long, at most `wait` late.
    pub(crate) async fn overdue(&self) {
        loop {
            let begun = self.begun.notified();
            let now = Instant::now();
            let due = {
                let mut books = self.books();
                books.asleep = books.due.is_none();
                books.due
            };
            match due {
                None => begun.await,
                Some(due) if due <= now => return,
                // An answer that is taken early can bring the end nearer, so it is looked at again and again.
                Some(due) => {
                    let look = now.checked_add(self.wait).map_or(due, |look| look.min(due));
                    timeout_at(look, begun).await.ok();
                }
            }
        }
    }

    /// The peer has taken all that was copied.
    fn flushed(&self) {
        let mut books = self.books();
        let copied = std::mem::take(&mut books.copied);
        if copied > 0 {
            self.left(&mut books, copied);
        }
        drop(books);
        self.lanes_flushed();
    }

    fn take(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let now = Instant::now();
        let mut books = self.books();
        if !self.fits(&books, bytes) {
            return false;
        }
        books.due = Some(self.due_with(&books, bytes, now));
        books.held = books.held.saturating_add(bytes);
        if std::mem::take(&mut books.asleep) {
            self.begun.notify_one();
        }
        true
    }

    /// Takes so many bytes from the budget of the listener, if both budgets have them.
    fn fits(&self, books: &Books, bytes: usize) -> bool {
        let taken = books.taken();
        if taken > 0 && taken.saturating_add(bytes) > self.limits.connection_bytes {
            return false;
        }
        let within = |all: usize| {
            let all = all.checked_add(bytes)?;
            (all <= self.limits.listener_bytes).then_some(all)
        };
        self.all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_ok()
    }

    fn left(&self, books: &mut Books, bytes: usize) {
        books.held = books.held.saturating_sub(bytes);
        self.look_again(books);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    /// A stream is at its end, and nothing of it waits.
    fn close_lane(&self, books: &mut Books, id: u64) {
        if books.lanes.remove(&id).is_some() {
            self.all.fetch_sub(STREAM_BYTES_MAX, Ordering::Relaxed);
            self.room.notify_waiters();
        }
    }

    /// Something has left: until when the rest must have.
    fn look_again(&self, books: &mut Books) {
        books.due = (books.waiting() > 0).then(|| self.at_most(books, Instant::now()));
    }

    /// The same when so many bytes more wait.
    fn due_with(&self, books: &Books, bytes: usize, now: Instant) -> Instant {
        let due = self.at_most(books, now);
        due.checked_add(self.time_for(bytes)).unwrap_or(due)
    }

    /// What was taken fast wins no time for what is left: the end is no later than if the peer began now.
    fn at_most(&self, books: &Books, now: Instant) -> Instant {
        let time = self.wait.saturating_add(self.time_for(books.waiting()));
        let fresh = now.checked_add(time).unwrap_or(now);
        books.due.map_or(fresh, |due| due.min(fresh))
    }

    fn time_for(&self, bytes: usize) -> Duration {
        let ms = bytes
            .saturating_mul(1000)
            .checked_div(self.limits.bytes_per_s.max(1));
        Duration::from_millis(ms.and_then(|ms| ms.try_into().ok()).unwrap_or_default())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        let taken = self.books().taken();
        self.all.fetch_sub(taken, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut books = self.untaken.books();
        match self.untaken.leaves {
            Leaves::Dropped => self.untaken.left(&mut books, self.bytes.len()),
            Leaves::Flushed => books.copied = books.copied.saturating_add(self.bytes.len()),
        }
    }
}

/// A stream that says when all that was written to it has left. hyper flushes it only when it holds nothing itself.
pub(crate) struct Flushes<T> {
    pub(crate) io: T,
    pub(crate) untaken: Arc<Untaken>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Flushes<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Flushes<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            this.untaken.flushed();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UntakenLimits = UntakenLimits {
        connection_bytes: 1000,
        listener_bytes: 1500,
        bytes_per_s: 10,
    };
    const WAIT: Duration = Duration::from_secs(30);

    fn connection(all: &Arc<AtomicUsize>, leaves: Leaves) -> Arc<Untaken> {
        Untaken::new(Arc::clone(all), LIMITS, WAIT, leaves)
    }

    async fn admitted(untaken: &Arc<Untaken>, bytes: usize) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::from(Bytes::from(vec![b'x'; bytes])));
        let id = http::HeaderValue::from_static("the-id");
        response.headers_mut().insert("x-invocationid", id);
        untaken.admit(response).await
    }

    async fn seconds_until_overdue(untaken: &Untaken) -> u64 {
        let start = Instant::now();
        untaken.overdue().await;
        start.elapsed().as_secs()
    }

    #[tokio::test]
    async fn answers_over_a_budget_become_503_and_what_is_dropped_makes_room() {
        let all = Arc::new(AtomicUsize::new(0));
        let (one, two) = (
            connection(&all, Leaves::Dropped),
            connection(&all, Leaves::Dropped),
        );
        let first = admitted(&one, 600).await;
        let refused = admitted(&one, 401).await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "5");
        assert_eq!(refused.headers()["x-invocationid"], "the-id");
        let said = refused.into_body().collect().await.unwrap().to_bytes();
        assert!(said.windows(4).any(|part| part == b"1013"), "{said:?}");
        // Another connection has room of its own, as far as the listener has.
        let second = admitted(&two, 900).await;
        assert_eq!(
            (first.status(), second.status()),
            (200.try_into().unwrap(), 200.try_into().unwrap())
        );
        assert_eq!(all.load(Ordering::Relaxed), 1500);
        assert_eq!(admitted(&one, 1).await.status(), 503);
        assert_eq!(
            admitted(&one, 0).await.status(),
            200,
            "nothing needs no room"
        );
        // A part of the bytes keeps them all.
        let bytes = first.into_body().collect().await.unwrap().to_bytes();
        let part = bytes.slice(..1);
        drop(bytes);
        assert_eq!(all.load(Ordering::Relaxed), 1500);
        drop(part);
        assert_eq!(all.load(Ordering::Relaxed), 900);
        drop(second);
        assert_eq!(all.load(Ordering::Relaxed), 0);
        assert_eq!(
            admitted(&one, 1500).await.status(),
            200,
            "a large one alone"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_connection_makes_requests_wait_until_something_has_left() {
        let all = Arc::new(AtomicUsize::new(0));
        let untaken = connection(&all, Leaves::Flushed);
        let large = admitted(&untaken, 1200).await;
        assert!(
            timeout_at(Instant::now() + WAIT, untaken.room())
                .await
                .is_err()
        );
        // It was copied, and that copy has not left.
        drop(large);
        assert!(
            timeout_at(Instant::now() + WAIT, untaken.room())
                .await
                .is_err()
        );
        assert_eq!(all.load(Ordering::Relaxed), 1200);
        let flush = async { untaken.flushed() };
        tokio::join!(untaken.room(), flush);
        assert_eq!(all.load(Ordering::Relaxed), 0);
        // What was copied when the connection ended is given back as well.
        drop(admitted(&untaken, 100).await);
        assert_eq!(all.load(Ordering::Relaxed), 100);
        drop(untaken);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_won_by_bytes_and_not_by_what_was_taken_early() {
        let all = Arc::new(AtomicUsize::new(0));
        let untaken = connection(&all, Leaves::Dropped);
        let _small = admitted(&untaken, 10).await;
        assert_eq!(seconds_until_overdue(&untaken).await, 31);
        let untaken = connection(&all, Leaves::Dropped);
        let _small = admitted(&untaken, 10).await;
        let large = admitted(&untaken, 900).await;
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(large);
        assert_eq!(seconds_until_overdue(&untaken).await, 31);
        // Nothing held is never overdue.
        let idle = connection(&all, Leaves::Dropped);
        assert!(
            timeout_at(Instant::now() + WAIT * 100, idle.overdue())
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_slept_is_woken_by_the_first_answer() {
        let untaken = connection(&Arc::default(), Leaves::Dropped);
        let admit = async {
            tokio::task::yield_now().await;
            admitted(&untaken, 100).await
        };
        let (seconds, _answer) = tokio::join!(seconds_until_overdue(&untaken), admit);
        assert_eq!(seconds, 40);
    }
}
