//! A stand-in for the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use super::fakes::lock;
use crate::accreditation::{Accreditation, AccreditationId};
use crate::audit::{AuditRecord, TrailHead, link};
use crate::party::OrgNumber;
use crate::ports::{
    AboutFilter, AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, Place,
    PortFuture, ProofRecord, Store, StoreError, Stored, StoredAudit, TrailRow, Write,
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
    heads: Vec<TrailHead>,
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

    /// Does to rows and heads what somebody with the database could.
    pub fn forge(&self, change: impl FnOnce(&mut Vec<StoredAudit>, &mut Vec<TrailHead>)) {
        let mut state = lock(&self.state);
        let State { audit, heads, .. } = &mut *state;
        change(audit, heads);
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
                let text = format!("{record:?}");
                let link = link(&previous, text.as_bytes());
                self.audit.push(StoredAudit {
                    sequence,
                    record: (**record).clone(),
                    text,
                    link,
                });
            }
            Write::AppendHead {
                value,
                link,
                previous,
            } => self.append_head(value, link, *previous)?,
            Write::StampHead { last, stamp } => {
                let mut heads = self.heads.iter_mut();
                let head = heads.find(|head| head.last == *last && head.stamp.is_none());
                head.ok_or(StoreError::Conflict)?.stamp = Some(stamp.clone());
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
            Write::PutIdempotency { value, now } => self.remember(value, *now)?,
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

    fn remember(&mut self, value: &IdempotencyRecord, now: Timestamp) -> Result<(), StoreError> {
        let key = (value.owner, value.key_digest);
        let known = self.remembered.get(&key);
        if known.is_some_and(|known| known.expires > now) {
            return Err(StoreError::Conflict);
        }
        self.remembered.insert(key, value.clone());
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

    fn append_head(
        &mut self,
        value: &TrailHead,
        link: &[u8; 32],
        previous: u64,
    ) -> Result<(), StoreError> {
        let newest = self.heads.last().map_or(0, |head| head.last);
        let mut rows = self.audit.iter();
        let covers = rows.any(|row| row.sequence == value.last && row.link == *link);
        let begins = value.first == previous.saturating_add(1) && value.first <= value.last;
        if newest != previous || !begins || !covers {
            return Err(StoreError::Conflict);
        }
        self.heads.push(value.clone());
        Ok(())
    }

    fn rows(&self, first: u64, count_max: u32) -> impl Iterator<Item = &StoredAudit> {
        let rows = self.audit.iter().filter(move |row| row.sequence >= first);
        rows.take(usize::try_from(count_max).unwrap_or(usize::MAX))
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
        Box::pin(async move { Ok(lock(&self.state).rows(first, count_max).cloned().collect()) })
    }

    fn trail(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<TrailRow>, StoreError>> {
        let stored = |row: &StoredAudit| TrailRow {
            sequence: row.sequence,
            text: row.text.clone(),
            link: row.link,
        };
        Box::pin(async move {
            let state = lock(&self.state);
            Ok(state.rows(first, count_max).map(stored).collect())
        })
    }

    fn links(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            Ok(state.rows(first, count_max).map(|row| row.link).collect())
        })
    }

    fn heads(
        &self,
        after: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<TrailHead>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            let heads = state.heads.iter().filter(|head| head.last > after);
            let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
            Ok(heads.take(count_max).cloned().collect())
        })
    }

    fn newest_head(&self) -> PortFuture<'_, Result<Option<TrailHead>, StoreError>> {
        Box::pin(async move { Ok(lock(&self.state).heads.last().cloned()) })
    }

    fn about<'a>(
        &'a self,
        filter: &'a AboutFilter,
    ) -> PortFuture<'a, Result<Vec<StoredAudit>, StoreError>> {
        Box::pin(async move {
            let state = lock(&self.state);
            let rows = state.rows(filter.after.saturating_add(1), u32::MAX);
            let rows = rows.filter(|row| row.record.subject.as_ref() == Some(&filter.subject));
            let count_max = usize::try_from(filter.count_max).unwrap_or(usize::MAX);
            Ok(rows.take(count_max).cloned().collect())
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
