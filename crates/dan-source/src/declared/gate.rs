//! [`Gates`]: what stands between the node and each source — a breaker, a pause the source has asked
//! for, and a budget for asking again. Kept by name, so that a new catalogue does not forget which
//! source is down; one source's gate never closes another's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dan_core::ports::{Clock, FetchError};
use dan_core::time::Timestamp;

use crate::breaker::{Breaker, Pass};
use crate::protect::{FAILURES_MAX, SOURCES_MAX};

/// Longest pause that a source can ask for, in seconds.
pub const PAUSE_S_MAX: u32 = 30;
/// Each question earns this share of one more try; see [`RETRIES_SAVED_MAX`].
const RETRY_SHARE: u32 = 10;
/// Tries that may be saved up, so that a source that is down is not asked twice as often.
const RETRIES_SAVED_MAX: u32 = 10;

/// Of every source that has been asked.
pub struct Gates {
    clock: Arc<dyn Clock>,
    gates: Mutex<BTreeMap<String, Arc<Gate>>>,
}

/// Of one source.
pub(crate) struct Gate {
    breaker: Arc<Breaker>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    paused_until: Option<Timestamp>,
    /// In shares of a try.
    saved: u32,
}

impl Gates {
    /// None closed.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            gates: Mutex::default(),
        }
    }

    /// The gate of a source.
    pub(crate) fn of(&self, source: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(source) {
            return Arc::clone(gate);
        }
        if gates.len() >= SOURCES_MAX {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = Arc::new(Gate::new(source, &self.clock));
        gates.insert(source.to_owned(), Arc::clone(&gate));
        gate
    }

    /// Names of the sources that are left alone now.
    #[must_use]
    pub fn resting(&self) -> Vec<String> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = gates.iter().filter(|(_, gate)| gate.is_closed());
        closed.map(|(name, _)| name.clone()).collect()
    }
}

impl Gate {
    fn new(source: &str, clock: &Arc<dyn Clock>) -> Self {
        let breaker = Breaker::new(source, FAILURES_MAX, Arc::clone(clock));
        Self {
            breaker: Arc::new(breaker),
            clock: Arc::clone(clock),
            state: Mutex::new(State {
                paused_until: None,
                saved: RETRY_SHARE,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to ask once; `None` while the source is left alone.
    pub(crate) fn admit(&self) -> Option<Pass> {
        if self.is_paused() {
            return None;
        }
        let pass = self.breaker.admit()?;
        let mut state = self.state();
        state.saved = state
            .saved
            .saturating_add(1)
            .min(RETRIES_SAVED_MAX.saturating_mul(RETRY_SHARE));
        Some(pass)
    }

    fn is_paused(&self) -> bool {
        let now = self.clock.now();
        let pause_ms = i64::from(PAUSE_S_MAX).saturating_mul(1000);
        // A clock that was set back must not keep it closed.
        let paused = |until: Timestamp| {
            let left = until.as_ms().saturating_sub(now.as_ms());
            (1..=pause_ms).contains(&left)
        };
        self.state().paused_until.is_some_and(paused)
    }

    fn is_closed(&self) -> bool {
        self.is_paused() || self.breaker.is_open()
    }

    /// What came of a question: whether the source is down, and whether it asks for a pause
    /// (RFC 9110 §10.2.3). What the caller did wrong is no failure of a source.
    pub(crate) fn settle(&self, pass: Pass, came: Result<(u16, Option<u32>), &FetchError>) {
        let is_down = match came {
            Ok((status, _)) => matches!(status, 408 | 429 | 500..=599),
            Err(FetchError::Network(_) | FetchError::Timeout) => true,
            Err(FetchError::Refused(_) | FetchError::TooLarge) => false,
        };
        if let Ok((429 | 503, Some(seconds))) = came {
            let ms = i64::from(seconds.min(PAUSE_S_MAX)).saturating_mul(1000);
            self.state().paused_until = Some(self.clock.now().plus_ms(ms));
        }
        pass.settle(is_down);
    }

    /// Whether a question that found no answer may be asked once more.
    pub(crate) fn may_retry(&self) -> bool {
        let mut state = self.state();
        match state.saved.checked_sub(RETRY_SHARE) {
            Some(left) => {
                state.saved = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use dan_core::testkit::fakes::StillClock;

    use super::*;
    use crate::breaker::REST_MS;

    fn gates() -> (Gates, Arc<StillClock>) {
        let clock = Arc::new(StillClock::default());
        (Gates::new(Arc::clone(&clock) as _), clock)
    }

    fn ask(gate: &Gate, came: Result<(u16, Option<u32>), &FetchError>) -> bool {
        let pass = gate.admit();
        let admitted = pass.is_some();
        if let Some(pass) = pass {
            gate.settle(pass, came);
        }
        admitted
    }

    #[test]
    fn failures_of_a_source_close_its_gate_and_no_other() {
        let (gates, clock) = gates();
        let (one, other) = (gates.of("one"), gates.of("other"));
        for _ in 0..FAILURES_MAX {
            assert!(ask(&one, Err(&FetchError::Timeout)));
        }
        assert!(
            !ask(&gates.of("one"), Ok((200, None))),
            "the same gate by the same name"
        );
        assert!(ask(&other, Ok((200, None))));
        assert_eq!(gates.resting(), ["one"]);
        clock.advance_ms(REST_MS);
        assert!(ask(&one, Ok((200, None))));
        assert_eq!(gates.resting(), [""; 0]);
    }

    #[test]
    fn what_callers_did_wrong_closes_nothing() {
        let (gates, _clock) = gates();
        let gate = gates.of("one");
        let large = FetchError::TooLarge;
        for status in [400, 401, 403, 404, 410, 422] {
            for _ in 0..FAILURES_MAX {
                assert!(ask(&gate, Ok((status, Some(60)))));
                assert!(ask(&gate, Err(&large)));
            }
        }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_reason() {
        let (gates, clock) = gates();
        let gate = gates.of("one");
        assert!(ask(&gate, Ok((503, Some(2)))));
        assert!(!ask(&gate, Ok((200, None))));
        clock.advance_ms(2000);
        assert!(ask(&gate, Ok((429, Some(3600)))));
        clock.advance_ms(i64::from(PAUSE_S_MAX) * 1000 - 1);
        assert!(!ask(&gate, Ok((200, None))));
        clock.advance_ms(1);
        assert!(ask(&gate, Ok((200, None))));
    }

    #[test]
    fn one_question_in_ten_may_be_asked_again() {
        let (gates, _clock) = gates();
        let gate = gates.of("one");
        assert!(gate.may_retry() && !gate.may_retry());
        for _ in 0..9 {
            ask(&gate, Ok((200, None)));
        }
        assert!(!gate.may_retry());
        ask(&gate, Ok((200, None)));
        assert!(gate.may_retry() && !gate.may_retry());
    }
}
