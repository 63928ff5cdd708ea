//! Whether a caller may ask now, and keeping count of what was asked.

use super::{Exchange, store_fault};
use crate::caller::Caller;
use crate::error::{Code, Fault};
use crate::limits::{Admission, Asker, Standing};
use crate::ports::{Batch, Write};

/// Keys whose use is written in one commit.
const KEY_USES_BATCH_MAX: usize = 1000;

/// A caller who may not ask now.
#[derive(Clone, Debug)]
pub struct Unadmitted {
    /// 1029 with when to ask again; 1013 when the day's quota cannot be read.
    pub fault: Fault,
    /// Where the caller stands against each limit; empty when that is not known.
    pub standings: Vec<Standing>,
}

impl Exchange {
    /// Counts a request of this caller against its limits. It is under way until the admission is dropped.
    ///
    /// # Errors
    /// [`Unadmitted`]; then nothing was counted.
    pub async fn admit(&self, caller: &Caller) -> Result<Admission, Unadmitted> {
        let asker = Asker {
            key_id: caller.key_id(),
            org: caller.owner(),
            allowance: caller.allowance(),
        };
        if self.limiter.needs_history(asker) {
            let uses = self.ports.store.key_uses(Some(asker.key_id)).await;
            let uses = uses.map_err(|error| Unadmitted {
                fault: store_fault(error),
                standings: Vec::new(),
            })?;
            self.limiter.learn(asker.key_id, uses.first(), self.now());
        }
        self.limiter.admit(asker, self.now()).map_err(|exceeded| {
            self.meter.callers_throttled.count();
            Unadmitted {
                fault: Fault::with(Code::QuotaExceeded, exceeded.what)
                    .retry_after(exceeded.retry_after_s),
                standings: exceeded.standings,
            }
        })
    }

    /// Keeps what was counted since the last time, and learns what other nodes counted. A node that dies in between
    /// forgets at most what it counted since.
    ///
    /// # Errors
    /// 1013; nothing is lost, the next call keeps it.
    pub async fn keep_key_uses(&self) -> Result<(), Fault> {
        let uses = self.limiter.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let mut rest = uses.as_slice();
        while !rest.is_empty() {
            let (part, behind) = rest
                .split_at_checked(KEY_USES_BATCH_MAX)
                .unwrap_or((rest, &[]));
            let batch = Batch(part.iter().cloned().map(Write::CountKeyUse).collect());
            if let Err(error) = self.ports.store.commit(&batch).await {
                self.limiter.put_back(rest);
                return Err(store_fault(error));
            }
            rest = behind;
        }
        let known = self.ports.store.key_uses(None).await.map_err(store_fault)?;
        for known in &known {
            self.limiter.learn(&known.key_id, Some(known), self.now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;
    use crate::limits::LimitSettings;
    use crate::testkit::builders;
    use crate::testkit::fakes::Fakes;

    const DAILY: LimitSettings = LimitSettings {
        key_per_day: 3,
        ..LimitSettings::NONE
    };

    fn limited(fakes: &Fakes) -> Exchange {
        Exchange::new(fakes.ports(), Fakes::settings(), Arc::default()).limited(DAILY)
    }

    #[tokio::test]
    async fn a_quota_outlives_the_process() {
        let fakes = Fakes::new(|_| Catalog::default());
        let caller = builders::caller(builders::AGENCY, &["dan:test"]);
        let first = limited(&fakes);
        for _ in 0..2 {
            first.admit(&caller).await.unwrap();
        }
        first.keep_key_uses().await.unwrap();
        first.keep_key_uses().await.unwrap();
        let second = limited(&fakes);
        let admission = second.admit(&caller).await.unwrap();
        assert_eq!(admission.standings[0].remaining, 0);
        let refused = second.admit(&caller).await.unwrap_err();
        assert_eq!(refused.fault.code, Code::QuotaExceeded);
        assert!(refused.fault.retry_after_s.is_some_and(|wait| wait > 0));
    }

    #[tokio::test]
    async fn a_quota_that_cannot_be_read_lets_nobody_in_and_what_was_counted_is_not_lost() {
        let fakes = Fakes::new(|_| Catalog::default());
        let caller = builders::caller(builders::AGENCY, &["dan:test"]);
        let exchange = limited(&fakes);
        exchange.admit(&caller).await.unwrap();
        fakes.store.set_down(true);
        assert!(exchange.keep_key_uses().await.is_err());
        let other = limited(&fakes);
        let refused = other.admit(&caller).await.unwrap_err();
        assert_eq!(refused.fault.code, Code::ServiceNotAvailable);
        fakes.store.set_down(false);
        exchange.keep_key_uses().await.unwrap();
        let admission = other.admit(&caller).await.unwrap();
        assert_eq!(admission.standings[0].remaining, 1);
    }
}
