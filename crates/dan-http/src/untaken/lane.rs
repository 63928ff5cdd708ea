//! [`Lane`]: the share that an answer has while it leaves as a stream.
//!
//! A stream has a fixed share of the budgets of its connection and its listener for as long as it lives, and asks its
//! source for more only when that fits into the share: a slow peer slows the source down, and nothing piles up between
//! them. What waits counts for the pace that is asked of the peer, as with any other answer.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dan_core::flow::FRAME_BYTES_MAX;
use tokio::time::Instant;

use super::{Leaves, Untaken};

/// Bytes of one stream that may wait for its peer.
pub const STREAM_BYTES_MAX: usize = 64 * 1024;
const _: () = assert!(FRAME_BYTES_MAX * 2 <= STREAM_BYTES_MAX);

/// The books of one stream.
#[derive(Debug, Default)]
pub(super) struct LaneBook {
    /// Bytes that wait, those in `copied` included.
    pub(super) held: usize,
    /// Bytes that were dropped and not flushed yet.
    pub(super) copied: usize,
    /// Nothing more comes; the book is closed when nothing waits any more.
    ended: bool,
    /// Waits for room.
    waker: Option<Waker>,
}

/// The share of one stream, which is given back when it and all its bytes are gone.
pub struct Lane(Arc<Share>);

struct Share {
    untaken: Arc<Untaken>,
    id: u64,
}

/// Bytes of a stream that wait for its peer.
struct HeldPart {
    bytes: Bytes,
    share: Arc<Share>,
}

impl Lane {
    /// `None` when there is no room for one more stream.
    pub(super) fn open(untaken: &Arc<Untaken>) -> Option<Self> {
        let mut books = untaken.books();
        if !untaken.fits(&books, STREAM_BYTES_MAX) {
            return None;
        }
        let id = books.lanes_ever;
        books.lanes_ever = id.wrapping_add(1);
        books.lanes.insert(id, LaneBook::default());
        drop(books);
        let untaken = Arc::clone(untaken);
        Some(Self(Arc::new(Share { untaken, id })))
    }

    /// Ready when one more part fits.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut books = self.0.untaken.books();
        let Some(lane) = books.lanes.get_mut(&self.0.id) else {
            return Poll::Ready(());
        };
        let then = lane.held.saturating_add(FRAME_BYTES_MAX);
        if lane.held == 0 || then <= STREAM_BYTES_MAX {
            return Poll::Ready(());
        }
        lane.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A part that waits from now on, until the last of it has left.
    pub(crate) fn hold(&self, bytes: Bytes) -> Bytes {
        let untaken = &self.0.untaken;
        let mut books = untaken.books();
        let due = untaken.due_with(&books, bytes.len(), Instant::now());
        books.due = Some(due);
        books.in_lanes = books.in_lanes.saturating_add(bytes.len());
        if let Some(lane) = books.lanes.get_mut(&self.0.id) {
            lane.held = lane.held.saturating_add(bytes.len());
        }
        if std::mem::take(&mut books.asleep) {
            untaken.begun.notify_one();
        }
        drop(books);
        let share = Arc::clone(&self.0);
        Bytes::from_owner(HeldPart { bytes, share })
    }
}

impl Untaken {
    /// Part of a stream has left.
    fn part_left(&self, id: u64, bytes: usize) {
        let mut books = self.books();
        let Some(lane) = books.lanes.get_mut(&id) else {
            return;
        };
        if self.leaves == Leaves::Flushed {
            lane.copied = lane.copied.saturating_add(bytes);
            return;
        }
        lane.held = lane.held.saturating_sub(bytes);
        let waker = lane.waker.take();
        books.in_lanes = books.in_lanes.saturating_sub(bytes);
        self.look_again(&mut books);
        drop(books);
        waker.into_iter().for_each(Waker::wake);
    }

    /// What the streams had copied has left.
    pub(super) fn lanes_flushed(&self) {
        let mut books = self.books();
        if books.lanes.is_empty() {
            return;
        }
        let mut left: usize = 0;
        let mut wakers = Vec::new();
        let mut closed = Vec::new();
        for (id, lane) in &mut books.lanes {
            let copied = std::mem::take(&mut lane.copied);
            if copied == 0 {
                continue;
            }
            lane.held = lane.held.saturating_sub(copied);
            left = left.saturating_add(copied);
            wakers.extend(lane.waker.take());
            if lane.ended {
                closed.push(*id);
            }
        }
        for id in closed {
            self.close_lane(&mut books, id);
        }
        books.in_lanes = books.in_lanes.saturating_sub(left);
        if left > 0 {
            self.look_again(&mut books);
        }
        drop(books);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl AsRef<[u8]> for HeldPart {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for HeldPart {
    fn drop(&mut self) {
        self.share
            .untaken
            .part_left(self.share.id, self.bytes.len());
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut books = self.untaken.books();
        match books.lanes.get_mut(&self.id) {
            Some(lane) if lane.copied > 0 => lane.ended = true,
            Some(_) | None => self.untaken.close_lane(&mut books, self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::untaken::UntakenLimits;

    const WAIT: Duration = Duration::from_secs(30);

    fn connection(all: &Arc<AtomicUsize>, leaves: Leaves, streams: usize) -> Arc<Untaken> {
        let limits = UntakenLimits {
            connection_bytes: STREAM_BYTES_MAX.saturating_mul(streams),
            listener_bytes: STREAM_BYTES_MAX * 3,
            bytes_per_s: 1024,
        };
        Untaken::new(Arc::clone(all), limits, WAIT, leaves)
    }

    fn has_room(lane: &Lane) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        lane.poll_room(&mut cx).is_ready()
    }

    fn part() -> Bytes {
        Bytes::from(vec![b'x'; FRAME_BYTES_MAX])
    }

    #[test]
    fn a_stream_has_room_for_its_share_and_gets_it_back_as_it_leaves() {
        let all = Arc::new(AtomicUsize::new(0));
        for leaves in [Leaves::Dropped, Leaves::Flushed] {
            let untaken = connection(&all, leaves, 9);
            let lane = Lane::open(&untaken).unwrap();
            let mut parts = Vec::new();
            while has_room(&lane) {
                parts.push(lane.hold(part()));
            }
            assert_eq!(parts.len() * FRAME_BYTES_MAX, STREAM_BYTES_MAX);
            let copy = parts[0].slice(..1);
            parts.clear();
            assert_eq!(has_room(&lane), leaves == Leaves::Dropped);
            drop(copy);
            untaken.lanes_flushed();
            assert!(has_room(&lane));
            assert_eq!(untaken.books().waiting(), 0);
            assert_eq!(all.load(Ordering::Relaxed), STREAM_BYTES_MAX);
            drop(lane);
            assert_eq!(all.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_share_is_held_until_the_last_of_the_stream_has_left() {
        let all = Arc::new(AtomicUsize::new(0));
        let untaken = connection(&all, Leaves::Dropped, 9);
        let lane = Lane::open(&untaken).unwrap();
        let last = lane.hold(part());
        drop(lane);
        assert_eq!(all.load(Ordering::Relaxed), STREAM_BYTES_MAX);
        drop(last);
        assert_eq!(all.load(Ordering::Relaxed), 0);
        // Copied bytes leave with the next flush.
        let untaken = connection(&all, Leaves::Flushed, 9);
        let lane = Lane::open(&untaken).unwrap();
        drop(lane.hold(part()));
        drop(lane);
        assert_eq!(all.load(Ordering::Relaxed), STREAM_BYTES_MAX);
        assert_eq!(untaken.books().waiting(), FRAME_BYTES_MAX);
        untaken.lanes_flushed();
        assert_eq!(all.load(Ordering::Relaxed), 0);
        // Or with the connection.
        let lane = Lane::open(&untaken).unwrap();
        drop(lane.hold(part()));
        drop(lane);
        drop(untaken);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn streams_are_as_many_as_the_budgets_have_shares() {
        let all = Arc::new(AtomicUsize::new(0));
        let (one, two) = (
            connection(&all, Leaves::Dropped, 2),
            connection(&all, Leaves::Dropped, 2),
        );
        let lanes = [Lane::open(&one).unwrap(), Lane::open(&one).unwrap()];
        assert!(Lane::open(&one).is_none(), "the connection has two");
        let other = Lane::open(&two).unwrap();
        assert!(Lane::open(&two).is_none(), "the listener has three");
        drop(lanes);
        assert!(Lane::open(&two).is_some());
        drop(other);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_wins_time_with_each_part_that_is_taken_and_with_nothing_else() {
        let untaken = connection(&Arc::default(), Leaves::Dropped, 9);
        let lane = Lane::open(&untaken).unwrap();
        let start = Instant::now();
        // At the pace that is asked for, for ten minutes: 32 KiB in 32 s.
        let mut waiting = lane.hold(part());
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(31)).await;
            let next = lane.hold(part());
            drop(std::mem::replace(&mut waiting, next));
            let due = untaken.books().due.unwrap();
            assert!(due > Instant::now(), "{:?}", start.elapsed());
        }
        // Nothing is taken any more.
        let stopped = Instant::now();
        untaken.overdue().await;
        let waited = stopped.elapsed().as_secs();
        assert!((1..=30 + 64).contains(&waited), "{waited}");
        drop(waiting);
    }
}
