//! A stand-in for the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use super::fakes::lock;
use crate::accreditation::{Accreditation, AccreditationId};
use crate::audit::{AuditRecord, link};
use crate::party::OrgNumber;
use crate::ports::{
    AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, Place, PortFuture,
    ProofRecord, Store, StoreError, Stored, StoredAudit, Write,
};
use crate::time::Timestamp;
use crate::usage::{UsageKey, UsageRow};

/// A store in memory, without persistence or encryption; can be made to fail.
#[derive(Debug, Default)]
pub struct FakeStore {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    grants: BTreeMap<AccreditationId, Stored<Accreditation>>,
    audit: Vec<StoredAudit>,
    usage: BTreeMap<UsageKey, u64>,
    keys: BTreeMap<String, ApiKeyRecord>,
    key_uses: BTreeMap<String, KeyUse>,
    remembered: BTreeMap<(OrgNumber, [u8; 32]), IdempotencyRecord>,
    /// In the order they were kept.
    proofs: VecDeque<(u64, ProofRecord)>,
    proofs_ever: u64,
    down: bool,
    keys_unreadable: bool,
}

impl FakeStore {
    /// Makes every write and the reading of uses fail, or work again.
    pub fn set_down(&self, down: bool) {
        lock(&self.state).down = down;
    }

    /// Makes the reading of API keys fail, or work again.
    pub fn set_keys_unreadable(&self, unreadable: bool) {
        lock(&self.state).keys_unreadable = unreadable;
    }

    /// Every audit record so far.
    #[must_use]
    pub fn records(&self) -> Vec<AuditRecord> {
        lock(&self.state)
            .audit
            .iter()
            .map(|row| row.record.clone())
            .collect()
    }
}

impl State {
    fn apply(&mut self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::PutAccreditation { value, expect } => {
                self.expect_revision(&value.id, *expect)?;
                let stored = Stored {
                    value: (**value).clone(),
                    revision: expect.saturating_add(1),
                };
                self.grants.insert(value.id.clone(), stored);
            }
            Write::DeleteAccreditation { id, expect } => {
                self.expect_revision(id, *expect)?;
                // What is not there cannot be deleted, whatever revision is expected.
                self.grants.remove(id).ok_or(StoreError::Conflict)?;
            }
            Write::AppendAudit(record) => {
                let previous = self.audit.last().map_or([0; 32], |row| row.link);
                let sequence = u64::try_from(self.audit.len())
                    .unwrap_or(u64::MAX)
                    .saturating_add(1);
                let link = link(&previous, format!("{record:?}").as_bytes());
                self.audit.push(StoredAudit {
                    sequence,
                    record: (**record).clone(),
                    link,
                });
            }
            Write::CountUse(key) => {
                let count = self.usage.entry(key.clone()).or_default();
                *count = count.saturating_add(1);
            }
            Write::PutApiKey { value, expect } => {
                if self.keys.get(&value.id) != expect.as_deref() {
                    return Err(StoreError::Conflict);
                }
                self.keys.insert(value.id.clone(), (**value).clone());
            }
            Write::PutIdempotency { value, now } => {
                let key = (value.owner, value.key_digest);
                if self
                    .remembered
                    .get(&key)
                    .is_some_and(|known| known.expires > *now)
                {
                    return Err(StoreError::Conflict);
                }
                self.remembered.insert(key, (**value).clone());
            }
            Write::CountKeyUse(used) => {
                self.key_uses
                    .entry(used.key_id.clone())
                    .and_modify(|known| known.add(used))
                    .or_insert_with(|| used.clone());
            }
            Write::ForgetIdempotency(before) => {
                self.remembered.retain(|_, known| known.expires >= *before);
            }
            Write::KeepProof { value, count_max } => self.keep_proof(value, *count_max)?,
            Write::ForgetProofs(before) => {
                self.proofs.retain(|(_, known)| known.expires >= *before);
            }
        }
        Ok(())
    }

    fn keep_proof(&mut self, value: &ProofRecord, count_max: u32) -> Result<(), StoreError> {
        if self.proofs.iter().any(|(_, known)| known.id == value.id) {
            return Err(StoreError::Conflict);
        }
        self.proofs_ever = self.proofs_ever.saturating_add(1);
        self.proofs.push_back((self.proofs_ever, value.clone()));
        let gone = self.proofs_ever.saturating_sub(u64::from(count_max.max(1)));
        self.proofs.retain(|(number, _)| *number > gone);
        Ok(())
    }

    fn expect_revision(&self, id: &AccreditationId, expect: u64) -> Result<(), StoreError> {
        let actual = self.grants.get(id).map_or(0, |stored| stored.revision);
        if actual == expect {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }
}

impl Store for FakeStore {
    fn accreditation<'a>(
        &'a self,
        id: &'a AccreditationId,
    ) -> PortFuture<'a, Result<Option<Stored<Accreditation>>, StoreError>> {
        Box::pin(async move { Ok(lock(&self.state).grants.get(id).cloned()) })
    }

    fn accreditations<'a>(
        &'a self,
        filter: &'a AccreditationFilter,
    ) -> PortFuture<'a, Result<Vec<Stored<Accreditation>>, StoreError>> {
        Box::pin(async move {
            let mut found: Vec<_> = lock(&self.state)
                .grants
                .values()
                .filter(|stored| {
                    stored.value.owner == filter.owner
                        && stored.value.context == filter.context
                        && filter
                            .changed_after
                            .is_none_or(|after| stored.value.last_changed > after)
                })
                .cloned()
                .collect();
            found.sort_by_key(place_of);
            found.retain(|stored| {
                filter
                    .after
                    .as_ref()
                    .is_none_or(|after| place_of(stored) > *after)
            });
            found.truncate(usize::try_from(filter.count_max).unwrap_or(usize::MAX));
            Ok(found)
        })
    }

    fn ended(
        &self,
        before: Timestamp,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<Stored<Accreditation>>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            let mut found: Vec<_> = state
                .grants
                .values()
                .filter(|stored| stored.value.valid_to < before)
                .cloned()
                .collect();
            found.sort_by_key(|stored| stored.value.valid_to);
            found.truncate(usize::try_from(count_max).unwrap_or(usize::MAX));
            Ok(found)
        })
    }

    fn idempotency<'a>(
        &'a self,
        owner: OrgNumber,
        key_digest: &'a [u8; 32],
    ) -> PortFuture<'a, Result<Option<IdempotencyRecord>, StoreError>> {
        Box::pin(async move {
            Ok(lock(&self.state)
                .remembered
                .get(&(owner, *key_digest))
                .cloned())
        })
    }

    fn proof<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<Option<ProofRecord>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            let found = state.proofs.iter().find(|(_, known)| known.id == id);
            Ok(found.map(|(_, known)| known.clone()))
        })
    }

    fn api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            if state.keys_unreadable {
                return Err(StoreError::Unavailable("down".to_owned()));
            }
            Ok(state.keys.get(id).cloned())
        })
    }

    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(async move {
            let mut keys: Vec<_> = lock(&self.state).keys.values().cloned().collect();
            keys.sort_by_key(|key| key.created);
            Ok(keys)
        })
    }

    fn key_uses<'a>(
        &'a self,
        id: Option<&'a str>,
    ) -> PortFuture<'a, Result<Vec<KeyUse>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            if state.down {
                return Err(StoreError::Unavailable("down".to_owned()));
            }
            let wanted = |used: &&KeyUse| id.is_none_or(|id| id == used.key_id);
            Ok(state.key_uses.values().filter(wanted).cloned().collect())
        })
    }

    fn usage(&self, first: i32, last: i32) -> PortFuture<'_, Result<Vec<UsageRow>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            let rows = state
                .usage
                .iter()
                .filter(|(key, _)| (first..=last).contains(&key.month));
            Ok(rows
                .map(|(key, count)| UsageRow {
                    key: key.clone(),
                    count: *count,
                })
                .collect())
        })
    }

    fn audit(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<StoredAudit>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            let rows = state.audit.iter().filter(|row| row.sequence >= first);
            Ok(rows
                .take(usize::try_from(count_max).unwrap_or(usize::MAX))
                .cloned()
                .collect())
        })
    }

    fn ready(&self) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if lock(&self.state).down {
                Err(StoreError::Unavailable("down".to_owned()))
            } else {
                Ok(())
            }
        })
    }

    fn commit<'a>(&'a self, batch: &'a Batch) -> PortFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = lock(&self.state);
            if state.down {
                return Err(StoreError::Unavailable("down".to_owned()));
            }
            let mut next = state.clone();
            for write in &batch.0 {
                next.apply(write)?;
            }
            *state = next;
            Ok(())
        })
    }
}

fn place_of(stored: &Stored<Accreditation>) -> Place {
    Place {
        last_changed: stored.value.last_changed,
        id: stored.value.id.clone(),
    }
}
