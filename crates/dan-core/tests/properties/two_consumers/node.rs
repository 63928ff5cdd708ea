//! A node with its model: who holds which grants, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::chance::Chance;
use dan_core::audit::{Action, AuditRecord, Phase};
use dan_core::caller::Caller;
use dan_core::error::{Code, Fault};
use dan_core::evidence::DatasetStatus;
use dan_core::flow::{Call, Envelope, Exchange, Form, Idempotency, ListQuery, Wish};
use dan_core::inquiry::OfferedTokens;
use dan_core::meter::Meter;
use dan_core::ports::{CallContext, Clock as _, Store as _};
use dan_core::testkit::fakes::{Fakes, call_context};
use dan_core::time::{DAY_MS, Timestamp};

use super::exchanged::{Watchful, any_form, application, everything, shown};
use super::offered::{CONSUMERS, Parrot, caller, catalog};

/// A grant as the model knows it.
#[derive(Clone, Debug)]
struct Held {
    consumer: usize,
    id: String,
    datasets: Vec<String>,
    valid_to: Timestamp,
    /// Text that stands in this grant only.
    mark: String,
    gone: bool,
}

/// What an `Idempotency-Key` stands for.
#[derive(Clone, Debug)]
struct Remembered {
    body: usize,
    id: String,
    expires: Timestamp,
}

pub(super) struct Node {
    fakes: Fakes,
    source: Arc<Parrot>,
    exchange: Exchange,
    callers: Vec<Caller>,
    held: Vec<Held>,
    remembered: BTreeMap<(usize, &'static str), Remembered>,
    requests: u64,
    released: u64,
    /// Audit rows looked at so far, and what they said.
    rows: u64,
    intents: BTreeSet<String>,
    delivered: u64,
    pub(super) tally: Tally,
}

/// How often what happened, over all nodes: a run without it says nothing.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) granted: u64,
    pub(super) released: u64,
    pub(super) foreign: u64,
    pub(super) expired: u64,
    pub(super) purged: u64,
    pub(super) repeated: u64,
}

impl Node {
    pub(super) fn new(tally: Tally) -> Self {
        let source = Arc::new(Parrot::default());
        let fakes = Fakes::new(|_| catalog(Arc::clone(&source)));
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        let callers = CONSUMERS
            .iter()
            .map(|(owner, context, _)| caller(owner, context));
        Self {
            callers: callers.collect(),
            fakes,
            source,
            exchange,
            held: Vec::new(),
            remembered: BTreeMap::new(),
            requests: 0,
            released: 0,
            rows: 0,
            intents: BTreeSet::new(),
            delivered: 0,
            tally,
        }
    }

    fn now(&self) -> Timestamp {
        self.fakes.clock.now()
    }

    fn next_ctx(&mut self) -> CallContext {
        self.requests += 1;
        CallContext {
            request_id: Arc::from(format!("request-{}", self.requests)),
            ..call_context()
        }
    }

    /// Any grant that was ever given; `None` before the first.
    fn any_held(&self, chance: &mut Chance) -> Option<usize> {
        (!self.held.is_empty()).then(|| chance.below(self.held.len()))
    }

    /// One of a consumer's own, rather one that can be used.
    fn own(&self, chance: &mut Chance, consumer: usize) -> Option<usize> {
        let mut own: Vec<usize> = (0..self.held.len()).collect();
        own.retain(|at| self.held[*at].consumer == consumer);
        let usable: Vec<usize> = own
            .iter()
            .copied()
            .filter(|at| !self.held[*at].gone && self.held[*at].valid_to >= self.now())
            .collect();
        let from = if usable.is_empty() || chance.percent(30) {
            &own
        } else {
            &usable
        };
        (!from.is_empty()).then(|| chance.pick(from))
    }

    /// What a consumer got must hold nobody else's canary.
    fn assert_own(consumer: usize, got: &str) {
        for (other, (_, _, canary)) in CONSUMERS.iter().enumerate() {
            assert!(
                other == consumer || !got.contains(canary),
                "consumer {consumer} got {canary}: {got}"
            );
        }
    }

    /// A fault that a consumer got, for its code.
    fn code(consumer: usize, fault: &Fault) -> Code {
        Self::assert_own(consumer, &shown(fault));
        fault.code
    }

    async fn create(&mut self, chance: &mut Chance, consumer: usize) {
        let (_, context, canary) = CONSUMERS[consumer];
        let mark = format!("{canary}/{}.", self.requests);
        // Two bodies for each key: the same again, or another under a key that was used.
        let body = chance.below(2);
        let key = chance.percent(40).then(|| chance.pick(&["k1", "k2"]));
        let idempotency = key.map(|key| {
            let context_id = format!("{context}-product");
            Idempotency::new(key, &context_id, body.to_string().as_bytes()).unwrap()
        });
        let application = application(chance, context, &mark, self.now());
        let ctx = self.next_ctx();
        let call = Call {
            caller: &self.callers[consumer],
            ctx: &ctx,
        };
        let tokens = OfferedTokens::default();
        let granted = self
            .exchange
            .grant(call, application, tokens, idempotency)
            .await
            .map(|granted| granted.accreditation);
        let now = self.now();
        let known = key.and_then(|key| self.remembered.get(&(consumer, key)));
        if let Some(known) = known.filter(|known| known.expires > now) {
            self.tally.repeated += 1;
            let there = self
                .held
                .iter()
                .any(|held| held.id == known.id && !held.gone);
            match granted {
                Ok(grant) => {
                    Self::assert_own(consumer, &everything(&grant));
                    assert!(there && known.body == body && grant.id.as_str() == known.id);
                }
                Err(fault) if known.body == body => {
                    let code = Self::code(consumer, &fault);
                    assert!(!there && code == Code::NonExistentAccreditation);
                }
                Err(fault) => {
                    let code = Self::code(consumer, &fault);
                    assert_eq!(code, Code::InvalidAuthorizationRequest);
                }
            }
            return;
        }
        let grant = granted.unwrap();
        let got = everything(&grant);
        assert!(got.contains(&mark));
        Self::assert_own(consumer, &got);
        let id = grant.id.to_string();
        assert!(self.held.iter().all(|held| held.id != id));
        if let Some(key) = key {
            let remembered = Remembered {
                body,
                id: id.clone(),
                expires: now.plus_ms(DAY_MS),
            };
            self.remembered.insert((consumer, key), remembered);
        }
        self.tally.granted += 1;
        self.held.push(Held {
            consumer,
            id,
            datasets: grant.datasets.into_iter().map(|one| one.name).collect(),
            valid_to: grant.valid_to,
            mark,
            gone: false,
        });
    }

    /// Harvests, and compares what comes with the model.
    async fn harvest(&mut self, chance: &mut Chance, consumer: usize, at: usize) {
        let dataset = self.dataset_of(chance, at);
        let (ctx, form) = (self.next_ctx(), any_form(chance));
        let harvested = self.ask(consumer, at, &dataset, (&ctx, form)).await;
        self.settle(consumer, at, &dataset, harvested);
    }

    /// Two consumers harvest at the same time.
    async fn harvest_both(&mut self, chance: &mut Chance, ours: [usize; 2]) {
        let [Some(one), Some(other)] = ours.map(|consumer| self.own(chance, consumer)) else {
            return;
        };
        let (first, second) = (self.dataset_of(chance, one), self.dataset_of(chance, other));
        let (ctx, other_ctx) = (self.next_ctx(), self.next_ctx());
        let (got, other_got) = tokio::join!(
            self.ask(ours[0], one, &first, (&ctx, Form::Plain)),
            self.ask(ours[1], other, &second, (&other_ctx, Form::Jose)),
        );
        self.settle(ours[0], one, &first, got);
        self.settle(ours[1], other, &second, other_got);
    }

    fn dataset_of(&self, chance: &mut Chance, at: usize) -> String {
        if chance.percent(10) {
            return chance
                .pick(&["Both", "OnlyOne", "TwoNames", "nothing"])
                .to_owned();
        }
        let datasets = &self.held[at].datasets;
        let name = &datasets[chance.below(datasets.len())];
        if chance.percent(20) {
            name.to_uppercase()
        } else {
            name.clone()
        }
    }

    async fn ask(
        &self,
        consumer: usize,
        at: usize,
        dataset: &str,
        (ctx, form): (&CallContext, Form),
    ) -> Result<Envelope, Fault> {
        let presenter = Watchful {
            store: Arc::clone(&self.fakes.store),
            request_id: Arc::clone(&ctx.request_id),
            form,
        };
        let tokens = OfferedTokens::default();
        let wish = Wish {
            tokens: &tokens,
            presenter: &presenter,
        };
        let call = Call {
            caller: &self.callers[consumer],
            ctx,
        };
        let id = &self.held[at].id;
        let released = self.exchange.harvest(call, id, dataset, wish).await;
        released.map(|released| released.whole().unwrap())
    }

    fn settle(
        &mut self,
        consumer: usize,
        at: usize,
        dataset: &str,
        harvested: Result<Envelope, Fault>,
    ) {
        let held = &self.held[at];
        let offered = held
            .datasets
            .iter()
            .any(|name| name.eq_ignore_ascii_case(dataset));
        let expected = if held.consumer != consumer || held.gone {
            self.tally.foreign += u64::from(held.consumer != consumer);
            Some(Code::NonExistentAccreditation)
        } else if self.now() > held.valid_to {
            self.tally.expired += 1;
            Some(Code::ExpiredAccreditation)
        } else if !offered {
            Some(Code::InvalidEvidenceRequest)
        } else if self.source.failing.load(Ordering::SeqCst) {
            Some(Code::EvidenceSourcePermanentClient)
        } else {
            None
        };
        match harvested {
            Ok(envelope) => {
                self.released += 1;
                self.tally.released += 1;
                assert_eq!(expected, None, "{held:?}");
                let body = String::from_utf8(envelope.body.to_vec()).unwrap();
                assert!(body.contains(&held.mark), "{body}");
                Self::assert_own(consumer, &body);
                Self::assert_own(consumer, &envelope.signature);
            }
            Err(fault) => assert_eq!(Some(Self::code(consumer, &fault)), expected, "{held:?}"),
        }
    }

    async fn list(&mut self, chance: &mut Chance, consumer: usize) {
        let mut query = ListQuery {
            limit: chance.percent(50).then(|| chance.pick(&[1, 3, 1000])),
            only_available: chance.percent(30),
            ..ListQuery::default()
        };
        let ctx = self.next_ctx();
        let mut found = Vec::new();
        loop {
            let call = Call {
                caller: &self.callers[consumer],
                ctx: &ctx,
            };
            let page = self.exchange.list(call, query.clone()).await.unwrap();
            for row in page.rows {
                Self::assert_own(consumer, &everything(&row.accreditation));
                let expired = self.now() > row.accreditation.valid_to;
                assert_eq!(row.aggregate == DatasetStatus::Expired, expired);
                found.push(row.accreditation.id.to_string());
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        let now = self.now();
        let own = self.held.iter().filter(|held| {
            held.consumer == consumer
                && !held.gone
                && (!query.only_available || held.valid_to >= now)
        });
        let mut expected: Vec<String> = own.map(|held| held.id.clone()).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    async fn status(&mut self, consumer: usize, at: usize) {
        let held = &self.held[at];
        let status = self
            .exchange
            .status(&self.callers[consumer], &held.id)
            .await;
        match status {
            Ok(states) => {
                assert!(held.consumer == consumer && !held.gone);
                Self::assert_own(consumer, &format!("{states:?}"));
                let names: Vec<&String> = states.iter().map(|state| &state.dataset).collect();
                assert_eq!(names, held.datasets.iter().collect::<Vec<_>>());
                let expired = self.now() > held.valid_to;
                let is_expired = |status| status == DatasetStatus::Expired;
                assert!(
                    states
                        .iter()
                        .all(|state| is_expired(state.status) == expired)
                );
            }
            Err(fault) => {
                assert!(held.consumer != consumer || held.gone);
                self.tally.foreign += u64::from(held.consumer != consumer);
                let code = Self::code(consumer, &fault);
                assert_eq!(code, Code::NonExistentAccreditation);
            }
        }
    }

    async fn delete(&mut self, consumer: usize, at: usize) {
        let ctx = self.next_ctx();
        let call = Call {
            caller: &self.callers[consumer],
            ctx: &ctx,
        };
        let held = &mut self.held[at];
        let deleted = self.exchange.withdraw(call, &held.id).await;
        let may = held.consumer == consumer && !held.gone;
        self.tally.foreign += u64::from(held.consumer != consumer);
        match deleted {
            Ok(()) => {
                assert!(may);
                held.gone = true;
            }
            Err(fault) => {
                let code = Self::code(consumer, &fault);
                assert!(!may && code == Code::NonExistentAccreditation);
            }
        }
    }

    async fn sweep(&mut self) {
        let days = i64::from(Fakes::settings().retention_days);
        let before = self.now().plus_ms(-days * DAY_MS);
        let mut expected = 0;
        for held in &mut self.held {
            if !held.gone && held.valid_to < before {
                held.gone = true;
                expected += 1;
            }
        }
        assert_eq!(self.exchange.sweep().await.unwrap(), expected);
        self.tally.purged += u64::from(expected);
    }

    async fn usage(&self, consumer: usize) {
        let (owner, ..) = CONSUMERS[consumer];
        let rows = self.exchange.own_usage(&self.callers[consumer]).await;
        let rows = rows.unwrap();
        assert!(rows.iter().all(|row| row.key.owner == owner));
    }

    /// With a store that takes nothing, nothing is given, left or taken away.
    async fn store_is_down(&mut self, chance: &mut Chance, consumer: usize) {
        let Some(at) = self.own(chance, consumer) else {
            return;
        };
        self.fakes.store.set_down(true);
        let dataset = self.dataset_of(chance, at);
        let ctx = self.next_ctx();
        let harvested = self.ask(consumer, at, &dataset, (&ctx, Form::Plain)).await;
        Self::code(consumer, &harvested.unwrap_err());
        let application = application(
            chance,
            CONSUMERS[consumer].1,
            CONSUMERS[consumer].2,
            self.now(),
        );
        let (grant_ctx, delete_ctx) = (self.next_ctx(), self.next_ctx());
        let call = |ctx| Call {
            caller: &self.callers[consumer],
            ctx,
        };
        let tokens = OfferedTokens::default();
        let granted = self
            .exchange
            .grant(call(&grant_ctx), application, tokens, None);
        let code = Self::code(consumer, &granted.await.unwrap_err());
        assert_eq!(code, Code::ServiceNotAvailable);
        let deleted = self.exchange.withdraw(call(&delete_ctx), &self.held[at].id);
        Self::code(consumer, &deleted.await.unwrap_err());
        self.fakes.store.set_down(false);
    }

    /// What is recorded so far: intents before deliveries, as many of these as bodies were released,
    /// and in every row its owner's words only.
    async fn look_at_records(&mut self) {
        // Not closed: there is more to come.
        let all_written = async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = self.exchange.keep_records() => panic!("nobody closed it"),
            () = all_written => {}
        }
        let rows = self.fakes.store.audit(self.rows + 1, u32::MAX).await;
        for row in rows.unwrap() {
            assert_eq!(row.sequence, self.rows + 1);
            self.rows = row.sequence;
            self.look_at(&row.record);
        }
        assert_eq!(self.delivered, self.released);
    }

    fn look_at(&mut self, record: &AuditRecord) {
        if record.action == Action::DatasetRetrieved {
            let id = &record.request_id;
            match record.phase {
                Phase::Intent => assert!(self.intents.insert(id.clone())),
                Phase::Delivered { .. } => {
                    assert!(self.intents.contains(id), "{record:?}");
                    self.delivered += 1;
                }
                Phase::Failed { .. } | Phase::BrokenOff { .. } => {}
                Phase::Done => assert_ne!(record.phase, Phase::Done, "{record:?}"),
            }
        }
        let owner = record.owner.unwrap().to_string();
        let consumer = CONSUMERS
            .iter()
            .position(|(of, within, _)| *of == owner && *within == record.context);
        Self::assert_own(consumer.unwrap(), &format!("{record:?}"));
    }

    pub(super) async fn step(&mut self, chance: &mut Chance) {
        let consumer = chance.below(CONSUMERS.len());
        let other = (consumer + 1 + chance.below(CONSUMERS.len() - 1)) % CONSUMERS.len();
        let failing = chance.percent(5);
        self.source.failing.store(failing, Ordering::SeqCst);
        let (own, any) = (self.own(chance, consumer), self.any_held(chance));
        match (chance.below(20), own, any) {
            (0..=5, Some(at), _) | (6..=7, _, Some(at)) => {
                self.harvest(chance, consumer, at).await;
            }
            (8, _, _) => self.harvest_both(chance, [consumer, other]).await,
            (9, _, _) => self.list(chance, consumer).await,
            (10, Some(at), _) | (11, _, Some(at)) => self.status(consumer, at).await,
            (12, Some(at), _) | (13, _, Some(at)) => self.delete(consumer, at).await,
            (14, _, _) => {
                let hours = chance.pick(&[1, 23, 25, 240, 1000]);
                self.fakes.clock.advance_ms(hours * 3_600_000);
            }
            (15, _, _) => match chance.below(3) {
                0 => self.sweep().await,
                1 => self.usage(consumer).await,
                _ => self.store_is_down(chance, consumer).await,
            },
            _ => self.create(chance, consumer).await,
        }
        self.look_at_records().await;
    }
}
