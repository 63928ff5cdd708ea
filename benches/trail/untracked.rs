//! A store that keeps everything but the audit trail.

use std::sync::Arc;

use dan_core::accreditation::{Accreditation, AccreditationId};
use dan_core::audit::TrailHead;
use dan_core::party::OrgNumber;
use dan_core::ports::{
    AboutFilter, AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, PortFuture,
    ProofRecord, Store, StoreError, Stored, StoredAudit, TrailRow, Write,
};
use dan_core::time::Timestamp;
use dan_core::usage::UsageRow;

pub struct Untracked(pub Arc<dyn Store>);

impl Store for Untracked {
    fn accreditation<'a>(
        &'a self,
        id: &'a AccreditationId,
    ) -> PortFuture<'a, Result<Option<Stored<Accreditation>>, StoreError>> {
        self.0.accreditation(id)
    }

    fn accreditations<'a>(
        &'a self,
        filter: &'a AccreditationFilter,
    ) -> PortFuture<'a, Result<Vec<Stored<Accreditation>>, StoreError>> {
        self.0.accreditations(filter)
    }

    fn ended(
        &self,
        before: Timestamp,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<Stored<Accreditation>>, StoreError>> {
        self.0.ended(before, count_max)
    }

    fn idempotency<'a>(
        &'a self,
        owner: OrgNumber,
        key_digest: &'a [u8; 32],
    ) -> PortFuture<'a, Result<Option<IdempotencyRecord>, StoreError>> {
        self.0.idempotency(owner, key_digest)
    }

    fn proof<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<Option<ProofRecord>, StoreError>> {
        self.0.proof(id)
    }

    fn api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        self.0.api_key(id)
    }

    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>> {
        self.0.api_keys()
    }

    fn key_uses<'a>(
        &'a self,
        id: Option<&'a str>,
    ) -> PortFuture<'a, Result<Vec<KeyUse>, StoreError>> {
        self.0.key_uses(id)
    }

    fn usage(&self, first: i32, last: i32) -> PortFuture<'_, Result<Vec<UsageRow>, StoreError>> {
        self.0.usage(first, last)
    }

    fn audit(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<StoredAudit>, StoreError>> {
        self.0.audit(first, count_max)
    }

    fn trail(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<TrailRow>, StoreError>> {
        self.0.trail(first, count_max)
    }

    fn links(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        self.0.links(first, count_max)
    }

    fn heads(
        &self,
        after: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<TrailHead>, StoreError>> {
        self.0.heads(after, count_max)
    }

    fn newest_head(&self) -> PortFuture<'_, Result<Option<TrailHead>, StoreError>> {
        self.0.newest_head()
    }

    fn about<'a>(
        &'a self,
        filter: &'a AboutFilter,
    ) -> PortFuture<'a, Result<Vec<StoredAudit>, StoreError>> {
        self.0.about(filter)
    }

    fn ready(&self) -> PortFuture<'_, Result<(), StoreError>> {
        self.0.ready()
    }

    fn commit<'a>(&'a self, batch: &'a Batch) -> PortFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let rest = batch.0.iter();
            let rest = rest.filter(|write| !matches!(write, Write::AppendAudit(_)));
            let rest = Batch(rest.cloned().collect());
            if rest.0.is_empty() {
                return Ok(());
            }
            self.0.commit(&rest).await
        })
    }
}
