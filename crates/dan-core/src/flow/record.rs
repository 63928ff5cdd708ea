//! [`Recorder`]: outcomes and refusals reach the audit trail behind the answer, in groups.
//!
//! The intent of a harvest is durable before anything leaves; what is written here follows. The
//! queue is bounded: when it is full, the request waits. An answer that leaves as a stream may end at any moment, also
//! where nobody can wait: it takes its [`Place`] in a queue of its own before it begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::meter::Meter;
use crate::ports::{Batch, Store, StoreError, Write};

/// Batches that may wait to be written.
const WAITING_MAX: usize = 1024;
/// Answers that may leave as streams at the same time; each has a place for its outcome.
pub const STREAMS_MAX: usize = 512;
/// Batches that are written together.
const GROUP_MAX: usize = 64;
/// How long the end waits for what is still to be written.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// How an answer that left as a stream ended.
struct Ending {
    writes: Vec<Write>,
    /// Who waits until it is durable.
    done: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// The place that the outcome of one stream has in the queue. Using it never waits.
pub(super) struct Place(mpsc::OwnedPermit<Ending>);

impl Place {
    /// Hands over the outcome, for which nobody waits.
    pub(super) fn write(self, writes: Vec<Write>) {
        self.0.send(Ending { writes, done: None });
    }

    /// Hands over the outcome; the answer comes once it is durable. It is written whether or not anybody waits.
    pub(super) fn commit(self, writes: Vec<Write>) -> oneshot::Receiver<Result<(), StoreError>> {
        let (done, answer) = oneshot::channel();
        self.0.send(Ending {
            writes,
            done: Some(done),
        });
        answer
    }
}

enum Entry {
    Write(Vec<Write>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Recorder {
    store: Arc<dyn Store>,
    meter: Arc<Meter>,
    sender: mpsc::Sender<Entry>,
    endings: mpsc::Sender<Ending>,
    receivers: Mutex<Receivers>,
}

struct Receivers {
    entries: mpsc::Receiver<Entry>,
    endings: mpsc::Receiver<Ending>,
}

impl Recorder {
    pub(super) fn new(store: Arc<dyn Store>, meter: Arc<Meter>) -> Self {
        let (sender, entries) = mpsc::channel(WAITING_MAX);
        let (endings, ended) = mpsc::channel(STREAMS_MAX);
        Self {
            store,
            meter,
            sender,
            endings,
            receivers: Mutex::new(Receivers {
                entries,
                endings: ended,
            }),
        }
    }

    /// A place for the outcome of a stream; `None` when there are [`STREAMS_MAX`] already. Half of
    /// them are kept for callers who say who they are: open data is anybody's.
    pub(super) fn place(&self, is_open: bool) -> Option<Place> {
        if is_open && self.endings.capacity() <= STREAMS_MAX / 2 {
            return None;
        }
        self.endings.clone().try_reserve_owned().ok().map(Place)
    }

    /// Hands over what is to be written; waits when too much is waiting already.
    pub(super) async fn write(&self, writes: Vec<Write>) {
        if self.sender.send(Entry::Write(writes)).await.is_err() {
            self.meter.outcomes_lost.count();
        }
    }

    pub(super) async fn run(&self) {
        let mut receivers = self.receivers.lock().await;
        let Receivers {
            entries: queue,
            endings: ended,
        } = &mut *receivers;
        if queue.is_closed() {
            return;
        }
        let mut entries = Vec::with_capacity(GROUP_MAX);
        let mut endings = Vec::with_capacity(GROUP_MAX);
        loop {
            // Neither end is ever without a sender: this recorder holds one of each.
            tokio::select! {
                _count = queue.recv_many(&mut entries, GROUP_MAX) => {}
                _count = ended.recv_many(&mut endings, GROUP_MAX) => {}
            }
            let mut group = Vec::new();
            let mut closers = Vec::new();
            for entry in entries.drain(..) {
                match entry {
                    Entry::Write(writes) => group.push(Ending { writes, done: None }),
                    Entry::Close(done) => closers.push(done),
                }
            }
            if !closers.is_empty() {
                while let Ok(ending) = ended.try_recv() {
                    group.push(ending);
                }
            }
            group.append(&mut endings);
            self.commit(group).await;
            if closers.is_empty() {
                continue;
            }
            self.end(queue, ended).await;
            for closer in closers {
                // Whoever asked may have given up waiting; then nobody needs to know.
                closer.send(()).unwrap_or_default();
            }
            return;
        }
    }

    /// Nothing is taken any more, so that whoever comes later counts it as lost and does not wait for
    /// nobody; what was in time is written.
    async fn end(&self, queue: &mut mpsc::Receiver<Entry>, ended: &mut mpsc::Receiver<Ending>) {
        queue.close();
        let mut group = Vec::new();
        while let Ok(entry) = queue.try_recv() {
            match entry {
                Entry::Write(writes) => group.push(Ending { writes, done: None }),
                // It waits for the same end.
                Entry::Close(done) => drop(done),
            }
        }
        while let Ok(ending) = ended.try_recv() {
            group.push(ending);
        }
        self.commit(group).await;
    }

    /// A group that fails is written one by one, so that no entry takes others with it; nothing of
    /// a failed batch has been written.
    async fn commit(&self, group: Vec<Ending>) {
        if group.is_empty() {
            return;
        }
        let mut waiting = Vec::with_capacity(group.len());
        let mut writes = Vec::new();
        for ending in group {
            waiting.push((ending.writes.len(), ending.done));
            writes.extend(ending.writes);
        }
        let batch = Batch(writes);
        if self.store.commit(&batch).await.is_ok() {
            for (_, done) in waiting {
                tell(done, Ok(()));
            }
            return;
        }
        let mut writes = batch.0.into_iter();
        for (size, done) in waiting {
            let entry = Batch(writes.by_ref().take(size).collect());
            let written = self.store.commit(&entry).await;
            if let Err(error) = &written {
                self.meter.outcomes_lost.count();
                tracing::error!(
                    ?error,
                    "an outcome could not be recorded; its intent stands alone"
                );
            }
            tell(done, written);
        }
    }

    /// Waits for what was handed over, at most [`CLOSE_MAX`].
    pub(super) async fn close(&self) {
        let (sender, receiver) = oneshot::channel();
        let closing = async {
            if self.sender.send(Entry::Close(sender)).await.is_ok() {
                // An error means that the writer is gone already, with everything written.
                drop(receiver.await);
            }
        };
        if timeout(CLOSE_MAX, closing).await.is_err() {
            tracing::error!("outcomes were still waiting to be recorded when time was up");
        }
    }
}

/// Whoever waits may have gone; then nobody needs to know.
fn tell(done: Option<oneshot::Sender<Result<(), StoreError>>>, written: Result<(), StoreError>) {
    if let Some(done) = done {
        done.send(written).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::accreditation::AccreditationId;
    use crate::testkit::fakes::FakeStore;
    use crate::usage::UsageKey;

    fn counted(month: i32) -> Write {
        Write::CountUse(UsageKey {
            month,
            context: String::new(),
            dataset: String::new(),
            owner: String::new(),
        })
    }

    #[tokio::test]
    async fn an_entry_that_fails_takes_no_other_with_it() {
        let (store, meter) = (Arc::new(FakeStore::default()), Arc::new(Meter::default()));
        let recorder = Recorder::new(Arc::clone(&store) as _, Arc::clone(&meter));
        let gone = Write::DeleteAccreditation {
            id: AccreditationId::from_random([7; 16]),
            expect: 1,
        };
        recorder.write(vec![counted(1), counted(1)]).await;
        recorder.write(vec![counted(2), gone]).await;
        recorder.write(vec![counted(3)]).await;
        tokio::join!(recorder.run(), recorder.close());
        let rows = store.usage(0, 9).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.key.month, row.count)).collect();
        assert_eq!(rows, [(1, 2), (3, 1)]);
        assert_eq!(meter.outcomes_lost.read(), 1);
    }

    #[tokio::test]
    async fn what_comes_after_the_end_is_counted_as_lost() {
        let (store, meter) = (Arc::new(FakeStore::default()), Arc::new(Meter::default()));
        let recorder = Recorder::new(Arc::clone(&store) as _, Arc::clone(&meter));
        tokio::join!(recorder.run(), recorder.close());
        for lost in 1..1026 {
            recorder.write(vec![counted(1)]).await;
            assert_eq!(meter.outcomes_lost.read(), lost);
        }
        assert_eq!(store.usage(0, 9).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_stream_has_its_place_however_many_outcomes_wait() {
        let (store, meter) = (Arc::new(FakeStore::default()), Arc::new(Meter::default()));
        let recorder = Recorder::new(Arc::clone(&store) as _, meter);
        let mut places: Vec<_> = (0..STREAMS_MAX)
            .map(|_| recorder.place(false).unwrap())
            .collect();
        assert!(
            recorder.place(false).is_none(),
            "one more than there may be"
        );
        for _ in 0..WAITING_MAX {
            recorder.write(vec![counted(1)]).await;
        }
        places.pop().unwrap().write(vec![counted(2)]);
        let done = places.pop().unwrap().commit(vec![counted(2)]);
        assert!(
            recorder.place(false).is_none(),
            "what is not written yet keeps its place"
        );
        tokio::select! {
            () = recorder.run() => panic!("nobody closed it"),
            written = done => assert_eq!(written, Ok(Ok(()))),
        }
        assert!(recorder.place(false).is_some());
        tokio::join!(recorder.run(), recorder.close());
        let rows = store.usage(2, 2).await.unwrap();
        assert_eq!(rows[0].count, 2);
    }

    #[tokio::test]
    async fn an_outcome_that_is_not_durable_is_not_reported_as_such() {
        let (store, meter) = (Arc::new(FakeStore::default()), Arc::new(Meter::default()));
        let recorder = Recorder::new(Arc::clone(&store) as _, Arc::clone(&meter));
        store.set_down(true);
        let done = recorder.place(false).unwrap().commit(vec![counted(1)]);
        tokio::join!(recorder.run(), recorder.close());
        assert!(matches!(done.await, Ok(Err(StoreError::Unavailable(_)))));
        assert_eq!(meter.outcomes_lost.read(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_does_not_wait_for_ever_for_a_writer_that_is_stuck() {
        let store = Arc::new(FakeStore::default());
        let recorder = Recorder::new(store, Arc::new(Meter::default()));
        let begun = Instant::now();
        recorder.close().await;
        assert_eq!(begun.elapsed().as_secs(), CLOSE_MAX.as_secs());
    }

    #[test]
    fn open_data_leaves_places_for_callers_who_say_who_they_are() {
        let store = Arc::new(FakeStore::default());
        let recorder = Recorder::new(store, Arc::new(Meter::default()));
        let open: Vec<_> = std::iter::from_fn(|| recorder.place(true)).collect();
        assert_eq!(open.len(), STREAMS_MAX / 2);
        assert!(recorder.place(false).is_some());
    }
}
