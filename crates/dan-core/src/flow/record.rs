//! [`Recorder`]: outcomes and refusals reach the audit trail behind the answer, in groups.
//!
//! The intent of a harvest is durable before anything leaves; what is written here follows. The
//! queue is bounded: when it is full, the request waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::meter::Meter;
use crate::ports::{Batch, Store, Write};

/// Batches that may wait to be written.
const WAITING_MAX: usize = 1024;
/// Batches that are written together.
const GROUP_MAX: usize = 64;
/// How long the end waits for what is still to be written.
const CLOSE_MAX: Duration = Duration::from_secs(10);

enum Entry {
    Write(Vec<Write>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Recorder {
    store: Arc<dyn Store>,
    meter: Arc<Meter>,
    sender: mpsc::Sender<Entry>,
    receiver: Mutex<mpsc::Receiver<Entry>>,
}

impl Recorder {
    pub(super) fn new(store: Arc<dyn Store>, meter: Arc<Meter>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self {
            store,
            meter,
            sender,
            receiver: Mutex::new(receiver),
        }
    }

    /// Hands over what is to be written; waits when too much is waiting already.
    pub(super) async fn write(&self, writes: Vec<Write>) {
        if self.sender.send(Entry::Write(writes)).await.is_err() {
            self.meter.outcomes_lost.count();
        }
    }

    pub(super) async fn run(&self) {
        let mut receiver = self.receiver.lock().await;
        let mut entries = Vec::with_capacity(GROUP_MAX);
        while receiver.recv_many(&mut entries, GROUP_MAX).await > 0 {
            let mut group = Vec::new();
            let mut closers = Vec::new();
            for entry in entries.drain(..) {
                match entry {
                    Entry::Write(writes) => group.push(writes),
                    Entry::Close(done) => closers.push(done),
                }
            }
            self.commit(group).await;
            if closers.is_empty() {
                continue;
            }
            for closer in closers {
                // Whoever asked may have given up waiting; then nobody needs to know.
                closer.send(()).unwrap_or_default();
            }
            return;
        }
    }

    /// A group that fails is written one by one, so that no entry takes others with it; nothing of
    /// a failed batch has been written.
    async fn commit(&self, group: Vec<Vec<Write>>) {
        if group.is_empty() {
            return;
        }
        let sizes: Vec<usize> = group.iter().map(Vec::len).collect();
        let batch = Batch(group.into_iter().flatten().collect());
        if self.store.commit(&batch).await.is_ok() {
            return;
        }
        let mut writes = batch.0.into_iter();
        for size in sizes {
            let entry = Batch(writes.by_ref().take(size).collect());
            if let Err(error) = self.store.commit(&entry).await {
                self.meter.outcomes_lost.count();
                tracing::error!(
                    ?error,
                    "an outcome could not be recorded; its intent stands alone"
                );
            }
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

    #[tokio::test(start_paused = true)]
    async fn closing_does_not_wait_for_ever_for_a_writer_that_is_stuck() {
        let store = Arc::new(FakeStore::default());
        let recorder = Recorder::new(store, Arc::new(Meter::default()));
        let begun = Instant::now();
        recorder.close().await;
        assert_eq!(begun.elapsed().as_secs(), CLOSE_MAX.as_secs());
    }
}
