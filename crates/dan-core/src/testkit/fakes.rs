//! Stand-ins for every port, and a node's worth of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::builders;
use crate::accreditation::{Accreditation, AccreditationId};
use crate::audit::{AuditRecord, link};
use crate::catalog::{Catalog, CatalogHandle};
use crate::dataset::ValueType;
use crate::evidence::{Evidence, EvidenceValue, Harvest, SourceCall};
use crate::flow::{Ports, Settings};
use crate::inquiry::ValidityDays;
use crate::party::{OrgNumber, Realm};
use crate::ports::{
    AccreditationFilter, ApiKeyRecord, Batch, CallContext, Clock, ConsentError, ConsentState,
    Consents, Entropy, EnvelopeFormat, Fact, FactError, FactQuery, Facts, HarvestOrder,
    IdempotencyRecord, Place, PortFuture, SignError, Signer, Source, SourceError, Store,
    StoreError, Stored, StoredAudit, Unit, Write,
};
use crate::time::Timestamp;
use crate::usage::{UsageKey, UsageRow};

/// The moment tests start at: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// A call context with a deadline a minute ahead.
#[must_use]
pub fn call_context() -> CallContext {
    let now = Instant::now();
    CallContext {
        request_id: Arc::from("11111111-2222-4333-8444-555555555555"),
        deadline: now.checked_add(Duration::from_secs(60)).unwrap_or(now),
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct StillClock(AtomicI64);

impl Default for StillClock {
    fn default() -> Self {
        Self(AtomicI64::new(START.as_ms()))
    }
}

impl StillClock {
    /// Moves it.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// Chance that repeats: a counter, spread over the bytes.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, out: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        for (byte, value) in out.iter_mut().zip(count.to_le_bytes().into_iter().cycle()) {
            *byte = value;
        }
    }
}

/// A register that knows what it is told, or is down.
#[derive(Debug, Default)]
pub struct FakeFacts {
    units: Mutex<BTreeMap<FactQuery, Arc<Unit>>>,
    held: Mutex<BTreeSet<FactQuery>>,
    down: Mutex<bool>,
    asked: AtomicU64,
}

impl FakeFacts {
    /// From now on this role or right is held.
    pub fn hold(&self, query: FactQuery) {
        lock(&self.held).insert(query);
    }

    /// Adds a unit.
    pub fn put(&self, unit: Unit) {
        lock(&self.units).insert(FactQuery::Unit(unit.number), Arc::new(unit));
    }

    /// Takes it down, or brings it back.
    pub fn set_down(&self, down: bool) {
        *lock(&self.down) = down;
    }

    /// How many questions were asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Facts for FakeFacts {
    fn find<'a>(
        &'a self,
        query: &'a FactQuery,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Fact, FactError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if *lock(&self.down) {
                let authority = "the entity register".to_owned();
                return Err(FactError {
                    authority,
                    cause: "down".to_owned(),
                });
            }
            Ok(match query {
                FactQuery::Unit(_) => Fact::Unit(lock(&self.units).get(query).cloned()),
                FactQuery::SubUnits(parent) => {
                    let below = |unit: &&Arc<Unit>| unit.parent == Some(*parent);
                    Fact::Units(lock(&self.units).values().filter(below).cloned().collect())
                }
                FactQuery::HasRole { .. } | FactQuery::HasRight { .. } => {
                    Fact::Held(lock(&self.held).contains(query))
                }
            })
        })
    }
}

/// Consents as they are told; pending until then.
#[derive(Debug)]
pub struct FakeConsents(Mutex<Result<ConsentState, ConsentError>>);

impl Default for FakeConsents {
    fn default() -> Self {
        Self(Mutex::new(Ok(ConsentState::Pending)))
    }
}

impl FakeConsents {
    /// From now on every consent is in this state.
    pub fn set(&self, state: Result<ConsentState, ConsentError>) {
        *lock(&self.0) = state;
    }
}

impl Consents for FakeConsents {
    fn state<'a>(
        &'a self,
        _grant: &'a Accreditation,
        _dataset: &'a str,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<ConsentState, ConsentError>> {
        Box::pin(async move { lock(&self.0).clone() })
    }
}

/// A source that answers what it is told, and counts.
pub struct FakeSource {
    answer: Mutex<Result<Value, SourceError>>,
    asked: AtomicU64,
}

impl Default for FakeSource {
    fn default() -> Self {
        Self {
            answer: Mutex::new(Ok(Value::from("svar"))),
            asked: AtomicU64::new(0),
        }
    }
}

impl FakeSource {
    /// From now on it answers this as the value `navn`, plus a value nobody declared.
    pub fn set(&self, answer: Result<Value, SourceError>) {
        *lock(&self.answer) = answer;
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Source for FakeSource {
    fn id(&self) -> &str {
        "fake"
    }

    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = lock(&self.answer).clone()?;
            let value = |name: &str, value: Value| EvidenceValue {
                name: name.to_owned(),
                value_type: order
                    .dataset()
                    .values
                    .first()
                    .map_or(ValueType::String, |v| v.value_type),
                source: "Testregisteret".to_owned(),
                timestamp: Some(START),
                mime_type: None,
                value,
            };
            Ok(Harvest {
                evidence: Evidence::Values(vec![
                    value("navn", answer),
                    value("udeklarert", Value::from("secret extra")),
                ]),
                calls: vec![SourceCall {
                    id: "c".to_owned(),
                    retrieved_at: START,
                    digest: [9; 32],
                }],
            })
        })
    }
}

/// Signs nothing: `header.payload.signature` with the payload in clear.
#[derive(Debug, Default)]
pub struct FakeSigner;

impl Signer for FakeSigner {
    fn key_set(&self, _now: Timestamp) -> String {
        r#"{"keys":[]}"#.to_owned()
    }

    fn sign<'a>(
        &'a self,
        payload: &'a [u8],
        format: EnvelopeFormat,
        _now: Timestamp,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>> {
        let mut text = format!("{format:?}.").into_bytes();
        text.extend_from_slice(payload);
        Box::pin(async move { Ok(text) })
    }
}

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
    remembered: BTreeMap<(OrgNumber, [u8; 32]), IdempotencyRecord>,
    down: bool,
}

impl FakeStore {
    /// Makes every write fail, or work again.
    pub fn set_down(&self, down: bool) {
        lock(&self.state).down = down;
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
            Write::PutApiKey(record) => {
                self.keys.insert(record.id.clone(), (**record).clone());
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
            Write::ForgetIdempotency(before) => {
                self.remembered.retain(|_, known| known.expires >= *before);
            }
        }
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

    fn api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        Box::pin(async move { Ok(lock(&self.state).keys.get(id).cloned()) })
    }

    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(async move {
            let mut keys: Vec<_> = lock(&self.state).keys.values().cloned().collect();
            keys.sort_by_key(|key| key.created);
            Ok(keys)
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

/// A node's worth of stand-ins, each at hand.
#[derive(Clone)]
pub struct Fakes {
    /// Register; knows [`builders::AGENCY`], [`builders::OTHER_AGENCY`] and [`builders::COMPANY`].
    pub facts: Arc<FakeFacts>,
    /// Consents.
    pub consents: Arc<FakeConsents>,
    /// Source of every dataset.
    pub source: Arc<FakeSource>,
    /// Store.
    pub store: Arc<FakeStore>,
    /// Clock.
    pub clock: Arc<StillClock>,
    /// Catalogue.
    pub catalog: Arc<CatalogHandle>,
}

impl Fakes {
    /// Stand-ins with this catalogue, made from the source they share.
    #[must_use]
    pub fn new(catalog: impl FnOnce(Arc<FakeSource>) -> Catalog) -> Self {
        let source = Arc::new(FakeSource::default());
        let facts = Arc::new(FakeFacts::default());
        facts.put(builders::unit(builders::AGENCY, "ORGL"));
        facts.put(builders::unit(builders::OTHER_AGENCY, "STAT"));
        facts.put(builders::unit(builders::COMPANY, "AS"));
        let handle = Arc::new(CatalogHandle::default());
        handle.replace(catalog(Arc::clone(&source)));
        Self {
            facts,
            consents: Arc::new(FakeConsents::default()),
            source,
            store: Arc::new(FakeStore::default()),
            clock: Arc::new(StillClock::default()),
            catalog: handle,
        }
    }

    /// The ports they make.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports {
            catalog: Arc::clone(&self.catalog),
            facts: Arc::clone(&self.facts) as _,
            consents: Arc::clone(&self.consents) as _,
            signer: Arc::new(FakeSigner),
            store: Arc::clone(&self.store) as _,
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(CountingEntropy::default()),
        }
    }

    /// Settings of a production node.
    #[must_use]
    pub fn settings() -> Settings {
        Settings {
            public_url: "https://dan.example.no/v1".to_owned(),
            realm: Realm::Production,
            validity: ValidityDays::default(),
            retention_days: 30,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::store_conformance!(fake, async {
        (Arc::new(FakeStore::default()) as Arc<dyn Store>, ())
    });
}
