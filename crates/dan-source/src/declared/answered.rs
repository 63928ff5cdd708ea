//! [`Answered`] and [`AnswerCache`]: what a source answered, and when; kept only where a definition
//! says so, in memory only, bounded in bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dan_core::ports::{FetchError, FetchReply};
use dan_core::time::Timestamp;

use super::flight::RequestKey;

/// Most that all kept answers of a node may take, in bytes.
pub const CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an entry takes beside its body, in bytes; estimated.
const ENTRY_BYTES: usize = 512;

/// A reply, and when it came.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: FetchReply,
    pub(crate) at: Timestamp,
}

/// How long answers of a call are kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// Those of status 2xx.
    pub(crate) ok_ms: i64,
    /// All others, and failures; 0: not at all.
    pub(crate) error_ms: i64,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// The source was asked.
    Fetch(FetchError),
    /// It is left alone for now.
    Resting,
    /// Too many ask already.
    Crowded,
}

type Outcome = Result<Arc<Answered>, Missed>;

struct Entry {
    outcome: Outcome,
    until: Timestamp,
    bytes: usize,
    /// Place in the order of age.
    number: u64,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<RequestKey, Entry>,
    by_age: BTreeSet<(u64, RequestKey)>,
    bytes: usize,
    next: u64,
}

/// Kept answers. The oldest go when there is no room.
#[derive(Default)]
pub struct AnswerCache(Mutex<State>);

impl AnswerCache {
    /// What is kept of this request and still holds.
    pub(crate) fn find(&self, key: &RequestKey, now: Timestamp) -> Option<Outcome> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = state.entries.get(key)?;
        if now < entry.until {
            return Some(entry.outcome.clone());
        }
        state.remove(key);
        None
    }

    /// Keeps what came of a request, if it is to be kept at all.
    pub(crate) fn keep(
        &self,
        key: RequestKey,
        outcome: &Outcome,
        keeping: Keeping,
        now: Timestamp,
    ) {
        let is_good = |answered: &Arc<Answered>| (200..300).contains(&answered.reply.status);
        let ms = match outcome {
            Ok(answered) if is_good(answered) => keeping.ok_ms,
            Ok(_) | Err(Missed::Fetch(_)) => keeping.error_ms,
            // It was not asked.
            Err(Missed::Resting | Missed::Crowded) => 0,
        };
        let body = outcome
            .as_ref()
            .map_or(0, |answered| answered.reply.body.len());
        let bytes = body.saturating_add(ENTRY_BYTES);
        if ms <= 0 || bytes > CACHE_BYTES_MAX {
            return;
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.remove(&key);
        while state.bytes.saturating_add(bytes) > CACHE_BYTES_MAX {
            let Some((_, oldest)) = state.by_age.first().copied() else {
                break;
            };
            state.remove(&oldest);
        }
        let number = state.next;
        state.next = number.saturating_add(1);
        state.by_age.insert((number, key));
        state.bytes = state.bytes.saturating_add(bytes);
        let entry = Entry {
            outcome: outcome.clone(),
            until: now.plus_ms(ms),
            bytes,
            number,
        };
        state.entries.insert(key, entry);
    }

    /// Entries and bytes, for metrics.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.entries.len(), state.bytes)
    }
}

impl State {
    fn remove(&mut self, key: &RequestKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_age.remove(&(entry.number, *key));
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

/// Holds evidence: shows its size.
impl fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = self.size();
        write!(f, "AnswerCache({entries} entries, {bytes} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const KEEPING: Keeping = Keeping {
        ok_ms: 1000,
        error_ms: 10,
    };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn answered(status: u16, bytes: usize) -> Outcome {
        Ok(Arc::new(Answered {
            reply: FetchReply {
                status,
                media_type: None,
                retry_after_s: None,
                body: Bytes::from(vec![b'x'; bytes]),
            },
            at: at(7),
        }))
    }

    #[test]
    fn good_answers_and_failures_are_kept_for_their_time() {
        let cache = AnswerCache::default();
        cache.keep([1; 32], &answered(200, 3), KEEPING, at(0));
        cache.keep([2; 32], &answered(404, 0), KEEPING, at(0));
        let down = Err(Missed::Fetch(FetchError::Network("down".to_owned())));
        cache.keep([3; 32], &down, KEEPING, at(0));
        cache.keep(
            [4; 32],
            &down,
            Keeping {
                error_ms: 0,
                ..KEEPING
            },
            at(0),
        );
        assert_eq!(cache.find(&[1; 32], at(999)).unwrap().unwrap().at, at(7));
        assert!(cache.find(&[2; 32], at(9)).is_some() && cache.find(&[3; 32], at(9)).is_some());
        assert!(cache.find(&[4; 32], at(0)).is_none());
        for key in [[1; 32], [2; 32], [3; 32]] {
            assert!(cache.find(&key, at(1000)).is_none());
        }
        assert_eq!(cache.size(), (0, 0));
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let cache = AnswerCache::default();
        let third = CACHE_BYTES_MAX / 3;
        for key in 1..=4 {
            cache.keep(
                [key; 32],
                &answered(200, third - ENTRY_BYTES),
                KEEPING,
                at(0),
            );
        }
        assert!(cache.find(&[1; 32], at(0)).is_none());
        assert!(cache.find(&[4; 32], at(0)).is_some());
        assert!(cache.size().1 <= CACHE_BYTES_MAX);
        cache.keep([9; 32], &answered(200, CACHE_BYTES_MAX), KEEPING, at(0));
        assert!(
            cache.find(&[9; 32], at(0)).is_none(),
            "larger than all there is"
        );
        assert!(!format!("{cache:?}").contains('x'.to_string().repeat(3).as_str()));
    }
}
