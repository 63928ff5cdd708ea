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

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The terminal went away: stop, as gently as for SIGTERM.
    Stops,
    /// Files may have changed: those who watch them look at once, and the node goes on.
    Reloads,
}

/// Ends at the first SIGTERM or SIGINT, and at SIGHUP where that stops.
///
/// # Errors
/// When the operating system gives no signals.
pub async fn signal(hangup: Hangup) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Asked for in any case: a signal that nobody listens to kills.
    let mut hangups = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = hangups.recv() => {
                if hangup == Hangup::Stops {
                    return Ok(());
                }
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}
