//! [`Recorder`]: outcomes and refusals reach the audit trail behind the answer, in groups.
//!
//! The intent of a harvest is durable before anything leaves; what is written here follows. The
//! queue is bounded: when it is full, the request waits.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::meter::Meter;
use crate::ports::{Batch, Store, Write};

/// Batches that may wait to be written.
const WAITING_MAX: usize = 1024;
/// Batches that are written together.
const GROUP_MAX: usize = 64;

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
            let mut writes = Vec::new();
            let mut closers = Vec::new();
            for entry in entries.drain(..) {
                match entry {
                    Entry::Write(more) => writes.extend(more),
                    Entry::Close(done) => closers.push(done),
                }
            }
            self.commit(writes).await;
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

    async fn commit(&self, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        if let Err(error) = self.store.commit(&Batch(writes)).await {
            self.meter.outcomes_lost.count();
            tracing::error!(
                ?error,
                "outcomes could not be recorded; their intents stand alone"
            );
        }
    }

    pub(super) async fn close(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.sender.send(Entry::Close(sender)).await.is_ok() {
            // An error means that the writer is gone already, with everything written.
            drop(receiver.await);
        }
    }
}
