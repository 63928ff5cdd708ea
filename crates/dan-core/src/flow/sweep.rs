//! Retention: what has ended long enough is purged, with a record that it was.

use super::{Exchange, store_fault};
use crate::accreditation::Accreditation;
use crate::audit::{Action, AuditRecord, Phase};
use crate::error::Fault;
use crate::ports::{Batch, StoreError, Stored, Write};

/// Grants purged in one round; the next round takes the rest.
pub const SWEEP_COUNT_MAX: u32 = 500;

impl Exchange {
    /// Purges grants whose validity ended more than `retention_days` of the settings ago, and
    /// forgets expired idempotency keys and proofs. Returns how many grants were purged. May be called again
    /// at any time, also beside other nodes: a grant that somebody else changed is left for the
    /// next round.
    ///
    /// # Errors
    /// 1013 when the store is out of reach; what was purged before stays purged.
    pub async fn sweep(&self) -> Result<u32, Fault> {
        let now = self.now();
        let days = i64::from(self.settings.retention_days);
        let before = now.plus_ms(days.saturating_mul(crate::time::DAY_MS).saturating_neg());
        let ended = self
            .ports
            .store
            .ended(before, SWEEP_COUNT_MAX)
            .await
            .map_err(store_fault)?;
        let mut purged: u32 = 0;
        for stored in ended {
            let record = self.purge_record(&stored.value);
            match self.purge(stored, record).await {
                Ok(()) => purged = purged.saturating_add(1),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(store_fault(error)),
            }
        }
        let forget = Batch(vec![
            Write::ForgetIdempotency(now),
            Write::ForgetProofs(now),
        ]);
        self.ports
            .store
            .commit(&forget)
            .await
            .map_err(store_fault)?;
        Ok(purged)
    }

    async fn purge(
        &self,
        stored: Stored<Accreditation>,
        record: AuditRecord,
    ) -> Result<(), StoreError> {
        let batch = Batch(vec![
            Write::DeleteAccreditation {
                id: stored.value.id,
                expect: stored.revision,
            },
            Write::AppendAudit(Box::new(record)),
        ]);
        self.ports.store.commit(&batch).await
    }

    /// That it was there and is gone; nothing about the subject.
    fn purge_record(&self, grant: &Accreditation) -> AuditRecord {
        AuditRecord {
            at: self.now(),
            action: Action::AccreditationPurged,
            phase: Phase::Done,
            request_id: self.new_id(),
            key_id: String::new(),
            owner: Some(grant.owner),
            supplier: None,
            system_user: None,
            context: grant.context.clone(),
            dataset: String::new(),
            accreditation: Some(grant.id.to_string()),
            requestor: None,
            subject: None,
            basis: Vec::new(),
            external_reference: None,
        }
    }
}
