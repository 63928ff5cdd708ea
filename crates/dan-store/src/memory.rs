//! State that ends with the process: one map each, one lock. The model that SQLite is held against.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dan_core::accreditation::{Accreditation, AccreditationId};
use dan_core::audit::link;
use dan_core::party::OrgNumber;
use dan_core::ports::{
    AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, PortFuture, ProofRecord,
    Store, StoreError, Stored, StoredAudit, Write,
};
use dan_core::time::Timestamp;
use dan_core::usage::{UsageKey, UsageRow};

use crate::record::{AuditRow, decode_audit, encode_audit};
use crate::seal::Sealer;

/// Most rows of each kind; a node that gets there has outgrown memory.
const ROWS_MAX: usize = 1_000_000;

/// Owner, and digest of its key.
type ApplicationKey = (OrgNumber, [u8; 32]);

/// Keeps values as they are; audit rows as they would be stored, under a key that nobody has.
pub(crate) struct MemoryStore {
    state: Mutex<State>,
    /// `None` when the machine had no randomness at the start; then nothing can be recorded.
    sealer: Option<Sealer>,
}

#[derive(Default)]
struct State {
    grants: BTreeMap<AccreditationId, Stored<Accreditation>>,
    keys: BTreeMap<String, ApiKeyRecord>,
    key_uses: BTreeMap<String, KeyUse>,
    usage: BTreeMap<UsageKey, u64>,
    applications: BTreeMap<ApplicationKey, IdempotencyRecord>,
    proofs: Proofs,
    /// Text and link of each row; the first has sequence 1.
    audit: Vec<(String, [u8; 32])>,
}

/// What a batch will change, until all of it is known to be possible.
#[derive(Default)]
struct Changes {
    grants: BTreeMap<AccreditationId, Option<Stored<Accreditation>>>,
    keys: BTreeMap<String, ApiKeyRecord>,
    key_uses: Vec<KeyUse>,
    uses: BTreeMap<UsageKey, u64>,
    applications: BTreeMap<ApplicationKey, Option<IdempotencyRecord>>,
    proofs: Vec<ProofStep>,
    audit: Vec<String>,
}

/// What a batch does to the proofs.
enum ProofStep {
    Keep(Box<ProofRecord>, u32),
    Forget(Timestamp),
}

/// Proofs by release, and the order in which they were kept.
#[derive(Default)]
struct Proofs {
    by_id: BTreeMap<String, (u64, ProofRecord)>,
    order: BTreeMap<u64, String>,
    ever: u64,
}

impl Proofs {
    fn take(&mut self, step: ProofStep) {
        match step {
            ProofStep::Keep(value, count_max) => {
                self.ever = self.ever.saturating_add(1);
                self.order.insert(self.ever, value.id.clone());
                self.by_id.insert(value.id.clone(), (self.ever, *value));
                let gone = self.ever.saturating_sub(u64::from(count_max.max(1)));
                while let Some(oldest) = self.order.first_entry()
                    && *oldest.key() <= gone
                {
                    self.by_id.remove(&oldest.remove());
                }
            }
            ProofStep::Forget(before) => {
                let (by_id, order) = (&mut self.by_id, &mut self.order);
                by_id.retain(|_, (number, value)| {
                    let stays = value.expires >= before;
                    if !stays {
                        order.remove(number);
                    }
                    stays
                });
            }
        }
    }
}

impl MemoryStore {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            sealer: Sealer::random().ok(),
        }
    }

    /// The state is whole whenever the lock is free, also after a panic: changes are applied last.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealer(&self) -> Result<&Sealer, StoreError> {
        self.sealer.as_ref().ok_or_else(|| {
            StoreError::Unavailable("the random source of the machine failed".to_owned())
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut changes = Changes::default();
        for write in &batch.0 {
            if let Write::AppendAudit(record) = write {
                changes.audit.push(encode_audit(record, self.sealer()?)?);
            }
        }
        let mut state = self.lock();
        for write in &batch.0 {
            changes.add(&state, write)?;
        }
        changes.check_room(&state)?;
        state.apply(changes);
        Ok(())
    }

    fn list(&self, filter: &AccreditationFilter) -> Vec<Stored<Accreditation>> {
        let mut found: Vec<_> = self
            .lock()
            .grants
            .values()
            .filter(|stored| {
                stored.value.owner == filter.owner
                    && stored.value.context == filter.context
                    && filter
                        .changed_after
                        .is_none_or(|after| stored.value.last_changed > after)
                    && filter.after.as_ref().is_none_or(|after| {
                        let grant = &stored.value;
                        (grant.last_changed, &grant.id) > (after.last_changed, &after.id)
                    })
            })
            .cloned()
            .collect();
        // Stable, and the map is in order of identifiers: equal changes always come alike.
        found.sort_by_key(|stored| stored.value.last_changed);
        found.truncate(wide(filter.count_max));
        found
    }

    fn list_ended(&self, before: Timestamp, count_max: u32) -> Vec<Stored<Accreditation>> {
        let mut found: Vec<_> = self
            .lock()
            .grants
            .values()
            .filter(|stored| stored.value.valid_to < before)
            .cloned()
            .collect();
        found.sort_by_key(|stored| stored.value.valid_to);
        found.truncate(wide(count_max));
        found
    }

    fn read_audit(&self, first: u64, count_max: u32) -> Result<Vec<StoredAudit>, StoreError> {
        let first = first.max(1);
        let skipped = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
        let (previous, rows) = {
            let state = self.lock();
            let previous = skipped
                .checked_sub(1)
                .and_then(|at| state.audit.get(at))
                .map_or([0; 32], |(_, link)| *link);
            let rows = state.audit.iter().skip(skipped).take(wide(count_max));
            let rows: Vec<_> = rows
                .zip(first..)
                .map(|((text, link), sequence)| AuditRow {
                    sequence,
                    text: text.clone(),
                    link: *link,
                })
                .collect();
            (previous, rows)
        };
        decode_audit(first, previous, rows, self.sealer()?)
    }
}

impl Changes {
    fn add(&mut self, state: &State, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::PutAccreditation { value, expect } => {
                self.expect(state, &value.id, *expect)?;
                let stored = Stored {
                    value: (**value).clone(),
                    revision: expect.saturating_add(1),
                };
                self.grants.insert(value.id.clone(), Some(stored));
            }
            Write::DeleteAccreditation { id, expect } => {
                if *expect == 0 {
                    return Err(StoreError::Conflict);
                }
                self.expect(state, id, *expect)?;
                self.grants.insert(id.clone(), None);
            }
            Write::AppendAudit(_) => {}
            Write::CountUse(key) => {
                let uses = self.uses.entry(key.clone()).or_default();
                *uses = uses.saturating_add(1);
            }
            Write::PutApiKey { value, expect } => {
                let known = self
                    .keys
                    .get(&value.id)
                    .or_else(|| state.keys.get(&value.id));
                if known != expect.as_deref() {
                    return Err(StoreError::Conflict);
                }
                self.keys.insert(value.id.clone(), (**value).clone());
            }
            Write::CountKeyUse(used) => self.key_uses.push(used.clone()),
            Write::PutIdempotency { value, now } => self.remember(state, value, *now)?,
            Write::ForgetIdempotency(before) => self.forget(state, *before),
            Write::KeepProof { value, count_max } => self.keep_proof(state, value, *count_max)?,
            Write::ForgetProofs(before) => self.proofs.push(ProofStep::Forget(*before)),
        }
        Ok(())
    }

    fn keep_proof(
        &mut self,
        state: &State,
        value: &ProofRecord,
        count_max: u32,
    ) -> Result<(), StoreError> {
        let kept = state.proofs.by_id.get(&value.id);
        let mut expires = kept.map(|(_, kept)| kept.expires);
        for step in &self.proofs {
            match step {
                ProofStep::Keep(kept, _) if kept.id == value.id => expires = Some(kept.expires),
                ProofStep::Forget(before) => expires = expires.filter(|at| at >= before),
                ProofStep::Keep(..) => {}
            }
        }
        if expires.is_some() {
            return Err(StoreError::Conflict);
        }
        let kept = Box::new(value.clone());
        self.proofs.push(ProofStep::Keep(kept, count_max));
        Ok(())
    }

    fn remember(
        &mut self,
        state: &State,
        value: &IdempotencyRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = (value.owner, value.key_digest);
        let known = match self.applications.get(&key) {
            Some(changed) => changed.as_ref(),
            None => state.applications.get(&key),
        };
        if known.is_some_and(|known| known.expires > now) {
            return Err(StoreError::Conflict);
        }
        self.applications.insert(key, Some(value.clone()));
        Ok(())
    }

    fn forget(&mut self, state: &State, before: Timestamp) {
        for (key, known) in &state.applications {
            if known.expires < before {
                self.applications.entry(*key).or_insert(None);
            }
        }
        for changed in self.applications.values_mut() {
            if changed.as_ref().is_some_and(|new| new.expires < before) {
                *changed = None;
            }
        }
    }

    fn expect(&self, state: &State, id: &AccreditationId, revision: u64) -> Result<(), StoreError> {
        let current = match self.grants.get(id) {
            Some(changed) => changed.as_ref(),
            None => state.grants.get(id),
        };
        if current.map_or(0, |stored| stored.revision) == revision {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }

    fn check_room(&self, state: &State) -> Result<(), StoreError> {
        let new_grants = self
            .grants
            .iter()
            .filter(|(id, changed)| changed.is_some() && !state.grants.contains_key(id));
        let new_keys = self.keys.keys().filter(|id| !state.keys.contains_key(*id));
        let new_uses = self
            .key_uses
            .iter()
            .filter(|used| !state.key_uses.contains_key(&used.key_id));
        let new_counts = self
            .uses
            .keys()
            .filter(|key| !state.usage.contains_key(key));
        let new_applications = self
            .applications
            .iter()
            .filter(|(key, changed)| changed.is_some() && !state.applications.contains_key(key));
        let full = [
            (state.grants.len(), new_grants.count()),
            (state.keys.len(), new_keys.count()),
            (state.key_uses.len(), new_uses.count()),
            (state.usage.len(), new_counts.count()),
            (state.applications.len(), new_applications.count()),
            (state.audit.len(), self.audit.len()),
        ]
        .into_iter()
        .any(|(kept, new)| new > 0 && kept.saturating_add(new) > ROWS_MAX);
        if full {
            return Err(StoreError::Unavailable(format!(
                "the store in memory holds {ROWS_MAX} rows of a kind; use sqlite"
            )));
        }
        Ok(())
    }
}

impl State {
    fn apply(&mut self, changes: Changes) {
        for (id, changed) in changes.grants {
            match changed {
                Some(stored) => self.grants.insert(id, stored),
                None => self.grants.remove(&id),
            };
        }
        self.keys.extend(changes.keys);
        for used in changes.key_uses {
            match self.key_uses.get_mut(&used.key_id) {
                Some(known) => known.add(&used),
                None => {
                    self.key_uses.insert(used.key_id.clone(), used);
                }
            }
        }
        for (key, uses) in changes.uses {
            let count = self.usage.entry(key).or_default();
            *count = count.saturating_add(uses);
        }
        for (key, changed) in changes.applications {
            match changed {
                Some(value) => self.applications.insert(key, value),
                None => self.applications.remove(&key),
            };
        }
        for step in changes.proofs {
            self.proofs.take(step);
        }
        for text in changes.audit {
            let previous = self.audit.last().map_or([0; 32], |(_, link)| *link);
            let next = link(&previous, text.as_bytes());
            self.audit.push((text, next));
        }
    }
}

impl Store for MemoryStore {
    fn accreditation<'a>(
        &'a self,
        id: &'a AccreditationId,
    ) -> PortFuture<'a, Result<Option<Stored<Accreditation>>, StoreError>> {
        Box::pin(async move { Ok(self.lock().grants.get(id).cloned()) })
    }

    fn accreditations<'a>(
        &'a self,
        filter: &'a AccreditationFilter,
    ) -> PortFuture<'a, Result<Vec<Stored<Accreditation>>, StoreError>> {
        Box::pin(async move { Ok(self.list(filter)) })
    }

    fn ended(
        &self,
        before: Timestamp,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<Stored<Accreditation>>, StoreError>> {
        Box::pin(async move { Ok(self.list_ended(before, count_max)) })
    }

    fn idempotency<'a>(
        &'a self,
        owner: OrgNumber,
        key_digest: &'a [u8; 32],
    ) -> PortFuture<'a, Result<Option<IdempotencyRecord>, StoreError>> {
        Box::pin(async move { Ok(self.lock().applications.get(&(owner, *key_digest)).cloned()) })
    }

    fn proof<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<Option<ProofRecord>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(state.proofs.by_id.get(id).map(|(_, kept)| kept.clone()))
        })
    }

    fn api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        Box::pin(async move { Ok(self.lock().keys.get(id).cloned()) })
    }

    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(async move {
            let mut keys: Vec<_> = self.lock().keys.values().cloned().collect();
            keys.sort_by_key(|key| key.created);
            Ok(keys)
        })
    }

    fn key_uses<'a>(
        &'a self,
        id: Option<&'a str>,
    ) -> PortFuture<'a, Result<Vec<KeyUse>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            let wanted = |used: &&KeyUse| id.is_none_or(|id| id == used.key_id);
            Ok(state.key_uses.values().filter(wanted).cloned().collect())
        })
    }

    fn usage(&self, first: i32, last: i32) -> PortFuture<'_, Result<Vec<UsageRow>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            let counted = state.usage.iter();
            Ok(counted
                .filter(|(key, _)| (first..=last).contains(&key.month))
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
        Box::pin(async move { self.read_audit(first, count_max) })
    }

    fn ready(&self) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.sealer().map(|_sealer| ()) })
    }

    fn commit<'a>(&'a self, batch: &'a Batch) -> PortFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.write(batch) })
    }
}

fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::testkit::store_suite;
    use std::sync::Arc;

    dan_core::store_conformance!(conformance, async {
        (Arc::new(MemoryStore::new()) as Arc<dyn Store>, ())
    });

    #[tokio::test]
    async fn a_full_store_refuses_instead_of_growing() {
        let store = MemoryStore::new();
        store.lock().audit = vec![(String::new(), [0; 32]); ROWS_MAX];
        let batch = Batch(vec![
            Write::CountUse(store_suite::usage_key(1, "d")),
            store_suite::append(&store_suite::row(1)),
        ]);
        let refused = store.commit(&batch).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
        assert_eq!(store.usage(0, 9).await, Ok(Vec::new()));
    }
}
