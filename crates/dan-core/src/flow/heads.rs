//! Heads: every second, and at the end, the rows of the audit trail that are new are put under a
//! signature, behind the answers and without their waiting for it.
//!
//! A head that cannot be made now is made later: it covers all rows since the one before. What a
//! node that is killed had not covered is covered by its next start. A trail that was changed behind
//! the node is not signed (`watch.rs`).

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Exchange, store_fault};
use crate::audit::{HEAD_ROWS_MAX, HeadClaims, TrailHead};
use crate::error::{Code, Fault};
use crate::ports::{Batch, CallContext, EnvelopeFormat, StoreError, Write};

/// How long a row waits for its head at most, where the store and the signer can.
pub const HEAD_EVERY: Duration = Duration::from_secs(1);
/// How long signing one head may take.
const SIGN_MAX: Duration = Duration::from_secs(10);
/// How long the last heads may take when the node stops.
const LAST_HEADS_MAX: Duration = Duration::from_secs(10);

impl Exchange {
    /// Puts heads over the audit trail every [`HEAD_EVERY`], and notes another catalogue or another
    /// signing key, until `stop` ends. Run it once, in a tracked task, after
    /// [`Exchange::record_start`]; [`Exchange::record_stop`] makes the last head. Dropping it loses
    /// nothing.
    pub async fn keep_heads(&self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        let mut ticks = interval(HEAD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = ticks.tick() => {}
            }
            self.note_changes().await;
            // However many rows wait: what is left is for the last heads, or the next start.
            let put = tokio::select! {
                () = &mut stop => return,
                put = self.put_heads() => put,
            };
            failing = match put {
                Ok(()) => false,
                Err(fault) => {
                    self.meter.heads_failed.count();
                    if !failing {
                        tracing::error!(
                            cause = fault.cause,
                            "the audit trail gets no signed head for now; it is tried every second"
                        );
                    }
                    true
                }
            };
        }
    }

    /// The newest head of the trail; `None` while there is none.
    ///
    /// # Errors
    /// 1013 when the store is out of reach.
    pub async fn newest_head(&self) -> Result<Option<TrailHead>, Fault> {
        let newest = self.ports.store.newest_head().await;
        newest.map_err(store_fault)
    }

    /// Covers every row that is there now, each head [`HEAD_ROWS_MAX`] at most.
    pub(super) async fn put_heads(&self) -> Result<(), Fault> {
        let whole = usize::try_from(HEAD_ROWS_MAX).unwrap_or(usize::MAX);
        while self.put_head().await? >= whole {}
        Ok(())
    }

    /// The last heads, within a time that lets the node end.
    pub(super) async fn put_last_heads(&self) {
        match timeout(LAST_HEADS_MAX, self.put_heads()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::error!(
                cause = fault.cause,
                "the end of the audit trail has no signed head; the next start makes it"
            ),
            Err(_elapsed) => tracing::error!(
                "time was up before the end of the audit trail had its signed head; the next start makes it"
            ),
        }
    }

    /// One head over the rows behind the newest one. Returns how many rows it covers; no row, no
    /// head.
    async fn put_head(&self) -> Result<usize, Fault> {
        let newest = self.newest_head().await?;
        let before = newest.as_ref().map_or(0, |head| head.last);
        let previous = match &newest {
            None => None,
            Some(head) => Some((head, claims_of(head)?)),
        };
        let previous = previous.as_ref().map(|(head, claims)| (*head, claims));
        self.watch_trail(previous).await?;
        let links = self
            .ports
            .store
            .links(before.saturating_add(1), HEAD_ROWS_MAX)
            .await
            .map_err(store_fault)?;
        let now = self.now();
        let node = || self.new_id();
        let iss = &self.settings.public_url;
        let Some(claims) = HeadClaims::over(&links, previous, node, iss, now) else {
            return Ok(0);
        };
        let head = TrailHead {
            first: claims.first,
            last: claims.last,
            jws: self.sign_head(&claims).await?,
            stamp: None,
        };
        self.note_head(&head, &claims);
        let head = Write::AppendHead {
            value: Box::new(head),
            link: claims.link,
            previous: before,
        };
        let batch = Batch(vec![head]);
        self.ports
            .store
            .commit(&batch)
            .await
            .map_err(not_appended)?;
        self.head_was_taken();
        self.meter.heads.count();
        Ok(links.len())
    }

    async fn sign_head(&self, claims: &HeadClaims) -> Result<String, Fault> {
        let now = Instant::now();
        let ctx = CallContext {
            request_id: self.new_id().into(),
            deadline: now.checked_add(SIGN_MAX).unwrap_or(now),
        };
        let payload = claims.to_json();
        let signing = self.ports.signer.sign(
            payload.as_str().into(),
            EnvelopeFormat::Head,
            self.now(),
            &ctx,
        );
        let refused = |cause: String| Fault::new(Code::InternalServerError).because(cause);
        let signed = timeout(SIGN_MAX, signing)
            .await
            .map_err(|elapsed| refused(elapsed.to_string()))?
            .map_err(|error| refused(error.0))?;
        String::from_utf8(signed).map_err(|error| refused(error.to_string()))
    }
}

/// One process makes heads for a store, so nobody can have been faster.
fn not_appended(error: StoreError) -> Fault {
    match error {
        StoreError::Conflict => Fault::new(Code::InternalServerError).because(
            "another process put a head over these rows, or the last of them is not what it was",
        ),
        StoreError::Unavailable(_) | StoreError::Corrupt(_) => store_fault(error),
    }
}

fn claims_of(head: &TrailHead) -> Result<HeadClaims, Fault> {
    head.claims_unverified().map_err(|error| {
        let cause = format!(
            "the stored head over row {} does not read: {error}",
            head.last
        );
        Fault::new(Code::InternalServerError).because(cause)
    })
}
