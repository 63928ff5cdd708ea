//! Time stamps: now and then the newest head of the trail is shown to an authority that says when it
//! saw it. Beside the traffic: an authority that is down, slow or wrong makes a warning and a count.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Exchange, HEAD_EVERY, store_fault};
use crate::error::{Code, Fault};
use crate::ports::{Batch, CallContext, StoreError, TimeStamper, Write};

/// How long after one question to the authority the next may be asked.
pub const STAMP_EVERY: Duration = Duration::from_secs(60);
/// How long the authority may take.
const STAMP_MAX: Duration = Duration::from_secs(30);
/// Largest stamp that is kept, in bytes; one with a chain of certificates has some 6000.
pub const STAMP_BYTES_MAX: usize = 64 * 1024;

impl Exchange {
    /// Has the newest head stamped, at most once in [`STAMP_EVERY`], until `stop` ends. Run it once, in a tracked
    /// task of its own. Dropping it loses nothing: the next start stamps a head that covers more.
    pub async fn keep_stamps(
        &self,
        authority: Arc<dyn TimeStamper>,
        stop: impl Future<Output = ()> + Send,
    ) {
        tokio::pin!(stop);
        let mut ticks = interval(HEAD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked_last: Option<Instant> = None;
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = ticks.tick() => {}
            }
            if asked_last.is_some_and(|asked| asked.elapsed() < STAMP_EVERY) {
                continue;
            }
            let stamping = self.stamp_newest(authority.as_ref());
            let outcome = tokio::select! {
                () = &mut stop => return,
                outcome = stamping => outcome,
            };
            if !matches!(outcome, Ok(false)) {
                asked_last = Some(Instant::now());
            }
            if let Err(fault) = outcome {
                self.meter.stamps_failed.count();
                tracing::warn!(
                    cause = fault.cause,
                    "the head of the audit trail got no time stamp; it is tried again in a minute"
                );
            }
        }
    }

    /// Has the newest head stamped; false when there is nothing to ask.
    async fn stamp_newest(&self, authority: &dyn TimeStamper) -> Result<bool, Fault> {
        let newest = self.newest_head().await?;
        let Some(head) = newest.filter(|head| head.stamp.is_none()) else {
            return Ok(false);
        };
        let refused = |cause: String| Fault::new(Code::ServiceNotAvailable).because(cause);
        let now = Instant::now();
        let ctx = CallContext {
            request_id: self.new_id().into(),
            deadline: now.checked_add(STAMP_MAX).unwrap_or(now),
        };
        let stamp = timeout(STAMP_MAX, authority.stamp(&head.digest(), &ctx))
            .await
            .map_err(|_elapsed| refused("no answer in time".to_owned()))?
            .map_err(|error| refused(error.0))?;
        if stamp.len() > STAMP_BYTES_MAX {
            return Err(refused(format!("a stamp of {} bytes", stamp.len())));
        }
        let kept = Batch(vec![Write::StampHead {
            last: head.last,
            stamp,
        }]);
        match self.ports.store.commit(&kept).await {
            Ok(()) => self.meter.stamps.count(),
            // It has one already.
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(store_fault(error)),
        }
        Ok(true)
    }
}
