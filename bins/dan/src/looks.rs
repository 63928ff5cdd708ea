//! When files are to be looked at again: every ten seconds, and at once after a SIGHUP.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often files are read again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The moments to look at.
pub(crate) struct Looks {
    ticks: Interval,
    /// `None` where the system gives no signals.
    hangups: Option<Signal>,
}

impl Looks {
    /// The first moment is now.
    pub(crate) fn new() -> Self {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            ticks,
            hangups: signal(SignalKind::hangup()).ok(),
        }
    }

    /// Waits for the next moment. Dropping it loses none.
    pub(crate) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangups {
                Some(hangups) => {
                    hangups.recv().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.ticks.tick() => {}
            () = hangup => {}
        }
    }
}
