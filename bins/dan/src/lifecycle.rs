//! Signals and the order of stopping: no new requests, answers out, records written, then out.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells everybody that the node is stopping.
#[derive(Clone, Debug)]
pub struct Shutdown {
    sender: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Shutdown {
    /// Starts the stop; may be called twice.
    pub fn begin(&self) {
        self.sender.send_replace(true);
    }

    /// Ends when the stop begins.
    pub async fn begun(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        drop(receiver.wait_for(|stopping| *stopping).await);
    }
}

/// Ends at the first SIGTERM, SIGINT or SIGHUP: a terminal that goes away stops a node as gently.
///
/// # Errors
/// When the operating system gives no signals.
pub async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = hangup.recv() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
