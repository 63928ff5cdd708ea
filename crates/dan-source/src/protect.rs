//! [`Protection`]: keeps one slow or broken source from taking the node with it, and the node from
//! taking a struggling source down. A decorator around any source.
//!
//! A bulkhead bounds how many harvests run and wait; a breaker stops asking a source that keeps
//! failing, and lets one harvest through now and then to see whether it is back. What a client did
//! wrong never counts against a source. A binary answer counts until its last byte.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dan_core::evidence::{Arriving, Evidence, Harvest};
use dan_core::flow::{AHEAD_BYTES, STREAM_IDLE_MAX};
use dan_core::parts::{BoxParts, Parts};
use dan_core::ports::{
    CallContext, Clock, HarvestOrder, PortFuture, Source, SourceError, SourceFailure,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::breaker::{Breaker, Pass};

/// Detail of an error for which the source was not asked; says nothing about its health.
pub const DETAIL_NOT_ASKED: u32 = 5005;
/// Detail of an error of a full bulkhead.
pub const DETAIL_BUSY: u32 = 5006;
/// Detail of an error of an open breaker.
pub const DETAIL_RESTING: u32 = 5007;

/// Harvests of one source that may run at once, unless [`Limits`] says otherwise.
pub const RUNNING_MAX: usize = 256;
/// Harvests of one source that may wait for their turn.
pub const WAITING_MAX: usize = 1024;
/// Longest wait for a turn, in milliseconds.
pub const WAIT_MS_MAX: u64 = 2_000;
/// Failures among the last 50 harvests that open a breaker (`security.md` F4).
pub const FAILURES_MAX: u32 = 20;

/// Sources whose state is kept, also when they are not in the catalogue any more.
pub const SOURCES_MAX: usize = 1024;

/// Bounds of one source.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Harvests that run at once.
    pub running_max: usize,
    /// Harvests that wait.
    pub waiting_max: usize,
    /// Failures among the last 50 harvests that open the breaker.
    pub failures_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            running_max: RUNNING_MAX,
            waiting_max: WAITING_MAX,
            failures_max: FAILURES_MAX,
        }
    }
}

/// Puts a bulkhead and a breaker around sources, and keeps their state by [`Source::id`], so that a
/// new catalogue does not forget which source is down.
pub struct Protection {
    limits: Limits,
    clock: Arc<dyn Clock>,
    guards: Mutex<BTreeMap<String, Arc<Guard>>>,
}

impl Protection {
    /// One set of limits for every source.
    #[must_use]
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            limits,
            clock,
            guards: Mutex::new(BTreeMap::new()),
        }
    }

    /// The source, protected. Sources of the same identifier share their state.
    #[must_use]
    pub fn around(&self, source: Arc<dyn Source>) -> Arc<dyn Source> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.len() >= SOURCES_MAX {
            guards.retain(|_, guard| Arc::strong_count(guard) > 1);
        }
        let guard = guards
            .entry(source.id().to_owned())
            .or_insert_with(|| Arc::new(Guard::new(source.id(), self.limits, &self.clock)));
        Arc::new(Protected {
            guard: Arc::clone(guard),
            source,
        })
    }

    /// Identifiers of the sources that are left alone now, for metrics and readiness.
    #[must_use]
    pub fn resting(&self) -> Vec<String> {
        let guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = guards.iter().filter(|(_, guard)| guard.breaker.is_open());
        resting.map(|(id, _)| id.clone()).collect()
    }
}

struct Protected {
    source: Arc<dyn Source>,
    guard: Arc<Guard>,
}

impl Source for Protected {
    fn id(&self) -> &str {
        self.source.id()
    }

    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>> {
        Box::pin(self.guard.run(self.source.harvest(order, ctx), ctx))
    }
}

/// Bulkhead and breaker of one source.
struct Guard {
    id: String,
    breaker: Arc<Breaker>,
    /// Running and waiting together.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Guard {
    fn new(id: &str, limits: Limits, clock: &Arc<dyn Clock>) -> Self {
        let most = Semaphore::MAX_PERMITS;
        let places = limits.running_max.saturating_add(limits.waiting_max);
        Self {
            id: id.to_owned(),
            breaker: Arc::new(Breaker::new(id, limits.failures_max, Arc::clone(clock))),
            places: Arc::new(Semaphore::new(places.min(most))),
            turns: Arc::new(Semaphore::new(limits.running_max.min(most))),
        }
    }

    async fn run(
        &self,
        asking: impl Future<Output = Result<Harvest, SourceError>> + Send,
        ctx: &CallContext,
    ) -> Result<Harvest, SourceError> {
        let Some(pass) = self.breaker.admit() else {
            return Err(self.error(DETAIL_RESTING, "the source has failed too often; try again"));
        };
        let busy = || {
            self.error(
                DETAIL_BUSY,
                "too many requests wait for the source; try again",
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_full| busy())?;
        let turn = self.turn(ctx).await.ok_or_else(busy)?;
        let pass = pass.until(ctx.deadline);
        let answer = asking.await;
        if let Ok(Harvest {
            evidence: Evidence::Stream(arriving),
            calls,
        }) = answer
        {
            let parts = Box::pin(Watched {
                parts: arriving.parts,
                pass: Some(pass),
                waits: true,
                passed_bytes: 0,
                head_by: ctx.deadline,
                _places: [place, turn],
            });
            let evidence = Evidence::Stream(Arriving { parts, ..arriving });
            return Ok(Harvest { evidence, calls });
        }
        pass.settle(answer.as_ref().is_err_and(is_outage));
        answer
    }

    async fn turn(&self, ctx: &CallContext) -> Option<OwnedSemaphorePermit> {
        let wait = Instant::now().checked_add(Duration::from_millis(WAIT_MS_MAX))?;
        let turn = Arc::clone(&self.turns).acquire_owned();
        timeout_at(wait.min(ctx.deadline), turn).await.ok()?.ok()
    }

    fn error(&self, detail: u32, text: &str) -> SourceError {
        SourceError {
            failure: SourceFailure::Transient,
            source: self.id.to_uppercase(),
            detail,
            text: Some(text.to_owned()),
            cause: format!("{}: {text}", self.id),
        }
    }
}

/// An answer that still arrives: it holds its places, and its end is the outcome. Dropped while the source was waited for
/// longer than it may be, it tells of a source that is down; dropped because the reader left, of nothing.
struct Watched {
    parts: BoxParts<SourceError>,
    pass: Option<Pass>,
    /// Somebody waits for the source.
    waits: bool,
    passed_bytes: usize,
    /// Until when what is read ahead must be here.
    head_by: Instant,
    _places: [OwnedSemaphorePermit; 2],
}

impl Watched {
    fn expect(&mut self, waits: bool) {
        if self.waits == waits {
            return;
        }
        self.waits = waits;
        if let Some(pass) = &mut self.pass {
            let by = if self.passed_bytes <= AHEAD_BYTES {
                Some(self.head_by)
            } else {
                Instant::now().checked_add(STREAM_IDLE_MAX)
            };
            pass.expect_by(by.filter(|_| waits));
        }
    }
}

impl Parts<SourceError> for Watched {
    fn poll_part(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        let next = self.parts.as_mut().poll_part(cx);
        let outcome = match &next {
            Poll::Pending => {
                self.expect(true);
                return next;
            }
            Poll::Ready(Some(Ok(part))) => {
                self.passed_bytes = self.passed_bytes.saturating_add(part.len());
                self.expect(false);
                return next;
            }
            Poll::Ready(None) => false,
            Poll::Ready(Some(Err(error))) => is_outage(error),
        };
        if let Some(pass) = self.pass.take() {
            pass.settle(outcome);
        }
        next
    }
}

/// Whether this tells of a source that is down: out of reach, overloaded, or crashed. A source that
/// refuses one client or one dataset is well (`Unreachable` with a 4xx status as its detail).
fn is_outage(error: &SourceError) -> bool {
    match error.failure {
        SourceFailure::Transient => true,
        SourceFailure::Unreachable => {
            let refused = matches!(error.detail, 400..=407 | 409..=428 | 430..=499);
            !refused && error.detail != DETAIL_NOT_ASKED
        }
        SourceFailure::Broken => matches!(error.detail, 5001 | 5002),
        SourceFailure::Refused => false,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use dan_core::parts::next_part;
    use dan_core::testkit::fakes::{FakeSource, StillClock, call_context};
    use tokio::sync::{mpsc, oneshot};
    use tokio::task::yield_now;

    use super::*;
    use crate::breaker::{FORGET_MS, REST_MS};

    fn guard(limits: Limits) -> (Guard, Arc<StillClock>) {
        let clock = Arc::new(StillClock::default());
        let shared: Arc<dyn Clock> = Arc::<StillClock>::clone(&clock);
        (Guard::new("fake", limits, &shared), clock)
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands for what a source answers")]
    fn good() -> Result<Harvest, SourceError> {
        Ok(Harvest {
            evidence: Evidence::Values(Vec::new()),
            calls: Vec::new(),
        })
    }

    fn bad(failure: SourceFailure, detail: u32) -> SourceError {
        SourceError {
            failure,
            source: "FAKE".to_owned(),
            detail,
            text: None,
            cause: "test".to_owned(),
        }
    }

    async fn fail(guard: &Guard, failure: SourceFailure, detail: u32) -> u32 {
        let answer = async { Err(bad(failure, detail)) };
        let error = guard.run(answer, &call_context()).await.unwrap_err();
        error.detail
    }

    async fn succeed(guard: &Guard) -> Result<(), u32> {
        let answer = guard.run(async { good() }, &call_context()).await;
        answer.map(drop).map_err(|error| error.detail)
    }

    #[tokio::test]
    async fn twenty_failures_open_the_breaker_and_one_probe_closes_it_w24() {
        let (guard, clock) = guard(Limits::default());
        for _ in 0..FAILURES_MAX - 1 {
            fail(&guard, SourceFailure::Unreachable, 0).await;
            succeed(&guard).await.unwrap();
        }
        assert!(!guard.breaker.is_open());
        fail(&guard, SourceFailure::Transient, 1001).await;
        assert!(guard.breaker.is_open());
        assert_eq!(succeed(&guard).await, Err(DETAIL_RESTING));
        clock.advance_ms(REST_MS - 1);
        assert_eq!(succeed(&guard).await, Err(DETAIL_RESTING));
        clock.advance_ms(1);
        assert_eq!(fail(&guard, SourceFailure::Broken, 5002).await, 5002);
        assert_eq!(succeed(&guard).await, Err(DETAIL_RESTING));
        clock.advance_ms(REST_MS);
        assert_eq!(succeed(&guard).await, Ok(()));
        assert!(!guard.breaker.is_open());
    }

    #[tokio::test]
    async fn an_open_breaker_asks_nobody_and_blames_the_source_for_now() {
        let (guard, _clock) = guard(Limits {
            failures_max: 1,
            ..Limits::default()
        });
        fail(&guard, SourceFailure::Unreachable, 503).await;
        let asked = async { panic!("the source was asked") };
        let error = guard.run(asked, &call_context()).await.unwrap_err();
        assert_eq!(error.failure, SourceFailure::Transient);
        assert_eq!(
            (error.source.as_str(), error.detail),
            ("FAKE", DETAIL_RESTING)
        );
        assert!(error.text.is_some());
    }

    #[tokio::test]
    async fn what_clients_do_wrong_does_not_open_it_w24() {
        let (guard, _clock) = guard(Limits {
            failures_max: 1,
            ..Limits::default()
        });
        for _ in 0..3 {
            fail(&guard, SourceFailure::Refused, 1).await;
            fail(&guard, SourceFailure::Broken, 5003).await;
            fail(&guard, SourceFailure::Unreachable, 404).await;
            fail(&guard, SourceFailure::Unreachable, DETAIL_NOT_ASKED).await;
        }
        assert!(!guard.breaker.is_open());
        for detail in [0, 301, 408, 429, 503] {
            assert!(
                is_outage(&bad(SourceFailure::Unreachable, detail)),
                "{detail}"
            );
        }
    }

    /// A source that sends what it is told, when it is told.
    struct Tap(mpsc::UnboundedReceiver<Result<Bytes, SourceError>>);

    impl Parts<SourceError> for Tap {
        fn poll_part(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Bytes, SourceError>>> {
            self.0.poll_recv(cx)
        }
    }

    async fn stream(
        guard: &Guard,
    ) -> (
        mpsc::UnboundedSender<Result<Bytes, SourceError>>,
        BoxParts<SourceError>,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let arriving = Arriving {
            parts: Box::pin(Tap(receiver)),
            media_type: "a/b".to_owned(),
            call: "c".to_owned(),
            retrieved_at: StillClock::default().now(),
        };
        let harvest = Harvest {
            evidence: Evidence::Stream(arriving),
            calls: Vec::new(),
        };
        let answer = guard.run(async { Ok(harvest) }, &call_context()).await;
        match answer.unwrap().evidence {
            Evidence::Stream(arriving) => (sender, arriving.parts),
            Evidence::Values(_) | Evidence::Binary { .. } => panic!("no stream"),
        }
    }

    fn one_at_a_time() -> Guard {
        let limits = Limits {
            running_max: 1,
            waiting_max: 0,
            failures_max: 1,
        };
        guard(limits).0
    }

    #[tokio::test]
    async fn an_answer_under_way_holds_its_place_until_its_last_byte() {
        let guard = one_at_a_time();
        let (sender, mut parts) = stream(&guard).await;
        assert_eq!(succeed(&guard).await, Err(DETAIL_BUSY));
        sender.send(Ok(Bytes::from_static(b"x"))).unwrap();
        drop(sender);
        next_part(&mut parts).await.unwrap().unwrap();
        assert!(next_part(&mut parts).await.is_none());
        assert_eq!(
            succeed(&guard).await,
            Err(DETAIL_BUSY),
            "it is not let go of"
        );
        drop(parts);
        assert_eq!(succeed(&guard).await, Ok(()));
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_counts_against_its_source() {
        let guard = one_at_a_time();
        let (sender, mut parts) = stream(&guard).await;
        sender
            .send(Err(bad(SourceFailure::Unreachable, 0)))
            .unwrap();
        assert!(next_part(&mut parts).await.unwrap().is_err());
        assert!(guard.breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_a_source_that_sends_tells_nothing_of_it_and_who_waited_in_vain_does() {
        let guard = one_at_a_time();
        let (sender, mut parts) = stream(&guard).await;
        sender.send(Ok(Bytes::from_static(b"x"))).unwrap();
        next_part(&mut parts).await.unwrap().unwrap();
        // The reader took his time, and then left.
        tokio::time::advance(STREAM_IDLE_MAX * 10).await;
        drop(parts);
        assert!(!guard.breaker.is_open());
        let large = || Ok(Bytes::from(vec![b'x'; AHEAD_BYTES + 1]));
        for (waits, blamed) in [(STREAM_IDLE_MAX / 2, false), (STREAM_IDLE_MAX, true)] {
            let (silent, mut parts) = stream(&guard).await;
            silent.send(large()).unwrap();
            next_part(&mut parts).await.unwrap().unwrap();
            tokio::time::advance(STREAM_IDLE_MAX * 10).await;
            let waited = timeout_at(Instant::now(), next_part(&mut parts)).await;
            assert!(waited.is_err());
            tokio::time::advance(waits).await;
            drop(parts);
            assert_eq!(guard.breaker.is_open(), blamed, "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_sends_a_little_and_then_nothing_has_failed_when_time_is_up() {
        let guard = one_at_a_time();
        let (silent, mut parts) = stream(&guard).await;
        silent.send(Ok(Bytes::from_static(b"x"))).unwrap();
        next_part(&mut parts).await.unwrap().unwrap();
        let deadline = call_context().deadline;
        let waited = timeout_at(deadline, next_part(&mut parts)).await;
        assert!(waited.is_err());
        drop(parts);
        assert!(guard.breaker.is_open());
    }

    #[tokio::test]
    async fn old_failures_are_forgotten() {
        let (guard, clock) = guard(Limits::default());
        for _ in 0..FAILURES_MAX * 2 {
            fail(&guard, SourceFailure::Transient, 0).await;
            clock.advance_ms(FORGET_MS + 1);
        }
        assert!(!guard.breaker.is_open());
    }

    #[tokio::test]
    async fn a_full_bulkhead_refuses_at_once_and_lets_the_next_one_in() {
        let (guard, _clock) = guard(Limits {
            running_max: 1,
            waiting_max: 1,
            ..Limits::default()
        });
        let ctx = call_context();
        let (release, gate) = oneshot::channel();
        let running = guard.run(
            async {
                gate.await.unwrap();
                good()
            },
            &ctx,
        );
        let waiting = guard.run(async { good() }, &ctx);
        let refused = async {
            yield_now().await;
            let mut asking = pin!(guard.run(async { good() }, &ctx));
            let at_once = asking
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            release.send(()).unwrap();
            at_once.map(|answer| answer.unwrap_err().detail)
        };
        let (first, second, third) = tokio::join!(running, waiting, refused);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(third, Poll::Ready(DETAIL_BUSY));
        assert_eq!(succeed(&guard).await, Ok(()));
        assert!(!guard.breaker.is_open());
    }

    #[tokio::test]
    async fn a_source_that_is_given_up_on_when_time_is_up_has_failed() {
        let (guard, _clock) = guard(Limits {
            failures_max: 1,
            ..Limits::default()
        });
        let ctx = CallContext {
            deadline: Instant::now(),
            ..call_context()
        };
        let asking = guard.run(std::future::pending(), &ctx);
        assert!(timeout_at(ctx.deadline, asking).await.is_err());
        assert!(guard.breaker.is_open());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_his_own_deadline() {
        let (guard, _clock) = guard(Limits {
            running_max: 0,
            failures_max: 1,
            ..Limits::default()
        });
        let ctx = CallContext {
            deadline: Instant::now(),
            ..call_context()
        };
        let error = guard.run(async { good() }, &ctx).await.unwrap_err();
        assert_eq!(error.detail, DETAIL_BUSY);
        assert!(!guard.breaker.is_open(), "the source was not even asked");
    }

    #[test]
    fn state_stays_with_the_identifier_when_the_source_is_replaced() {
        let protection = Protection::new(Limits::default(), Arc::new(StillClock::default()));
        let source = || protection.around(Arc::new(FakeSource::default()));
        assert_eq!((source().id(), source().id()), ("fake", "fake"));
        let guards = || protection.guards.lock().unwrap().clone();
        assert_eq!(guards().len(), 1);
        for _ in 0..FAILURES_MAX {
            guards()["fake"].breaker.admit().unwrap().settle(true);
        }
        let _replaced = source();
        assert_eq!(protection.resting(), ["fake"]);
    }

    #[test]
    fn what_nobody_uses_any_more_is_forgotten_before_there_is_too_much() {
        struct Named(String);
        impl Source for Named {
            fn id(&self) -> &str {
                &self.0
            }

            fn harvest<'a>(
                &'a self,
                _order: &'a HarvestOrder,
                _ctx: &'a CallContext,
            ) -> PortFuture<'a, Result<Harvest, SourceError>> {
                Box::pin(async { good() })
            }
        }
        let protection = Protection::new(Limits::default(), Arc::new(StillClock::default()));
        let kept = protection.around(Arc::new(Named("kept".to_owned())));
        for at in 0..SOURCES_MAX {
            drop(protection.around(Arc::new(Named(at.to_string()))));
        }
        let guards = protection.guards.lock().unwrap();
        assert!(guards.len() <= SOURCES_MAX && guards.contains_key(kept.id()));
    }
}
