//! Stand-ins for every port, and a node's worth of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::builders;
pub use super::fake_store::FakeStore;
use crate::accreditation::Accreditation;
use crate::catalog::{Catalog, CatalogHandle};
use crate::dataset::ValueType;
use crate::evidence::{Arriving, Evidence, EvidenceValue, Harvest, SourceCall};
use crate::flow::{Ports, Settings};
use crate::inquiry::ValidityDays;
use crate::parts::BoxParts;
use crate::party::Realm;
use crate::ports::{
    CallContext, Clock, ConsentError, ConsentState, Consents, Entropy, EnvelopeFormat,
    EvidencePart, Fact, FactError, FactQuery, Facts, HarvestOrder, PortFuture, SignError, Signable,
    Signer, Source, SourceError, Unit,
};
use crate::time::Timestamp;

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
    arriving: Mutex<Option<BoxParts<SourceError>>>,
    asked: AtomicU64,
}

impl Default for FakeSource {
    fn default() -> Self {
        Self {
            answer: Mutex::new(Ok(Value::from("svar"))),
            arriving: Mutex::new(None),
            asked: AtomicU64::new(0),
        }
    }
}

impl FakeSource {
    /// From now on it answers this as the value `navn`, plus a value nobody declared.
    pub fn set(&self, answer: Result<Value, SourceError>) {
        *lock(&self.answer) = answer;
    }

    /// The next time it is asked it sends these bytes.
    pub fn send(&self, parts: BoxParts<SourceError>) {
        *lock(&self.arriving) = Some(parts);
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
            let arriving = lock(&self.arriving).take();
            if let Some(parts) = arriving {
                return Ok(Harvest {
                    evidence: Evidence::Stream(Arriving {
                        parts,
                        media_type: "application/zip".to_owned(),
                        call: "c".to_owned(),
                        retrieved_at: START,
                    }),
                    calls: Vec::new(),
                });
            }
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

/// Signs nothing: the format, a dot, the statement in clear, and behind a space the evidence.
#[derive(Debug, Default)]
pub struct FakeSigner;

impl Signer for FakeSigner {
    fn key_set(&self, _now: Timestamp) -> String {
        r#"{"keys":[]}"#.to_owned()
    }

    fn can_sign(&self, _format: EnvelopeFormat, _now: Timestamp) -> bool {
        true
    }

    fn sign<'a>(
        &'a self,
        signable: Signable<'a>,
        format: EnvelopeFormat,
        _now: Timestamp,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>> {
        let mut text = format!("{format:?}.{}", signable.statement).into_bytes();
        if let Some(EvidencePart::Json(body) | EvidencePart::Bytes(body)) = signable.evidence {
            text.push(b' ');
            text.extend_from_slice(body);
        }
        Box::pin(async move { Ok(text) })
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Store;

    crate::store_conformance!(fake, async {
        (Arc::new(FakeStore::default()) as Arc<dyn Store>, ())
    });
}
