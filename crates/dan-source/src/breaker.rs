//! [`Breaker`]: stops asking somebody who keeps failing, and looks now and then whether he is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dan_core::ports::Clock;
use dan_core::time::Timestamp;
use tokio::time::Instant;

/// Outcomes that a breaker remembers; fits the bits of a `u64`.
const OUTCOMES_COUNT: u32 = 50;
/// How long an open breaker lets nothing through, in milliseconds.
pub(crate) const REST_MS: i64 = 10_000;
/// Outcomes are forgotten when none followed for this long, in milliseconds.
pub(crate) const FORGET_MS: i64 = 60_000;

/// Stops asking somebody who keeps failing.
pub(crate) struct Breaker {
    name: String,
    failures_max: u32,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// One bit an outcome, 1 for a failure, the newest lowest.
    outcomes: u64,
    last: Option<Timestamp>,
    opened: Option<Timestamp>,
    probing: bool,
}

impl Breaker {
    pub(crate) fn new(name: &str, failures_max: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.to_owned(),
            failures_max: failures_max.max(1),
            clock,
            state: Mutex::new(State::default()),
        }
    }

    /// `None` while open. Afterwards one is let through at a time until one of them succeeds.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Pass> {
        let now = self.clock.now();
        let mut state = self.lock();
        let mut probe = false;
        if let Some(opened) = state.opened {
            // A clock that was set back must not keep it open.
            let rested = !(0..REST_MS).contains(&now.as_ms().saturating_sub(opened.as_ms()));
            if state.probing || !rested {
                return None;
            }
            state.probing = true;
            probe = true;
        }
        Some(Pass {
            breaker: Arc::clone(self),
            probe,
            deadline: None,
            settled: false,
        })
    }

    /// Whether it lets nothing through but probes.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().opened.is_some()
    }

    fn record(&self, probe: bool, failed: bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        match (probe, state.opened) {
            (true, _) if failed => {
                state.opened = Some(now);
                state.probing = false;
            }
            (true, _) => {
                *state = State::default();
                tracing::info!(source = self.name, "asked again, it is back");
            }
            // Those that were under way when it opened change nothing any more.
            (false, Some(_)) => {}
            (false, None) => {
                let forget = |last: Timestamp| now.as_ms().saturating_sub(last.as_ms()) > FORGET_MS;
                if state.last.is_some_and(forget) {
                    state.outcomes = 0;
                }
                state.last = Some(now);
                let kept = (1_u64 << OUTCOMES_COUNT).wrapping_sub(1);
                state.outcomes = ((state.outcomes << 1) | u64::from(failed)) & kept;
                if state.outcomes.count_ones() >= self.failures_max {
                    state.opened = Some(now);
                    tracing::warn!(source = self.name, "fails too often, is left alone");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to ask once. Dropped without an outcome it counts as a failure if time was up, because
/// callers drop what is late; before that the caller went away, which says nothing.
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    probe: bool,
    deadline: Option<Instant>,
    settled: bool,
}

impl Pass {
    /// From now on somebody is asked, and has failed when nothing has come back at `deadline`.
    pub(crate) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same on the way: until when something must come back next, or `None` while nobody waits for it.
    pub(crate) const fn expect_by(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether it looks if somebody is back, and all others wait for that.
    pub(crate) const fn is_probe(&self) -> bool {
        self.probe
    }

    /// What came of it.
    pub(crate) fn settle(mut self, failed: bool) {
        self.settled = true;
        self.breaker.record(self.probe, failed);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if self.deadline.is_some_and(|at| Instant::now() >= at) {
            self.breaker.record(self.probe, true);
        } else if self.probe {
            self.breaker.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use dan_core::testkit::fakes::{StillClock, call_context};

    use super::*;

    #[test]
    fn who_is_dropped_late_has_failed_and_who_left_early_has_not() {
        let clock = Arc::new(StillClock::default());
        let breaker = Arc::new(Breaker::new("b", 1, Arc::clone(&clock) as _));
        let later = call_context().deadline;
        drop(breaker.admit().unwrap().until(later));
        drop(breaker.admit().unwrap());
        assert!(!breaker.is_open());
        drop(breaker.admit().unwrap().until(Instant::now()));
        assert!(breaker.is_open());
        clock.advance_ms(REST_MS);
        let probe = breaker.admit().unwrap().until(later);
        assert!(breaker.admit().is_none(), "one probe at a time");
        drop(probe);
        drop(breaker.admit().unwrap().until(Instant::now()));
        assert!(breaker.admit().is_none(), "the late probe opened it again");
    }

    #[test]
    fn late_outcomes_and_a_clock_set_back_do_not_hold_it_open() {
        let clock = Arc::new(StillClock::default());
        let breaker = Arc::new(Breaker::new("b", 1, Arc::clone(&clock) as _));
        let (one, two) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        one.settle(true);
        two.settle(false);
        assert!(breaker.is_open());
        clock.advance_ms(-1);
        breaker.admit().unwrap().settle(false);
        assert!(!breaker.is_open());
    }
}
