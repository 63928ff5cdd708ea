//! [`TtlMap`]: a bounded cache over dashmap in which one miss asks once, however many wait.
//!
//! No guard of the map leaves this file; none is held across an await.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Mutex;

use crate::time::Timestamp;

/// A value with the moment it was made at.
type Slot<V> = Arc<Mutex<Option<(V, Timestamp)>>>;

/// A cache with a bounded number of entries. Keys must not hold secrets or identity numbers.
pub struct TtlMap<K, V> {
    slots: DashMap<K, Slot<V>>,
    entries_max: usize,
}

/// What to do with the value found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Use it as it is.
    Fresh,
    /// Ask again; use it if asking fails.
    Stale,
    /// Never use it again.
    Dead,
}

impl<K: Eq + Hash + Clone + Send + Sync, V: Clone + Send> TtlMap<K, V> {
    /// A cache that never holds more than about `entries_max` entries.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            slots: DashMap::new(),
            entries_max,
        }
    }

    /// The value under `key`, made by `make` when there is none that `judge` calls fresh. While
    /// one caller makes it, others with the same key wait for it. If `make` fails and the old value
    /// is only stale, the old value is given. If the maker is dropped, the next waiter makes it.
    ///
    /// # Errors
    /// What `make` gave, when there is no value to fall back on.
    pub async fn get_or_make<E, F>(
        &self,
        key: &K,
        now: Timestamp,
        judge: impl Fn(&V, Timestamp) -> Freshness + Send,
        make: F,
    ) -> Result<V, E>
    where
        E: Send,
        F: Future<Output = Result<V, E>> + Send,
    {
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        let old = held.take().map(|(value, made)| {
            let freshness = judge(&value, made);
            (value, made, freshness)
        });
        if let Some((value, made, Freshness::Fresh)) = old {
            *held = Some((value.clone(), made));
            return Ok(value);
        }
        let fallback = old.filter(|(.., freshness)| *freshness == Freshness::Stale);
        // Kept in place while asking, so that a dropped maker loses nothing.
        if let Some((value, made, _)) = &fallback {
            *held = Some((value.clone(), *made));
        }
        match make.await {
            Ok(value) => {
                *held = Some((value.clone(), now));
                Ok(value)
            }
            Err(error) => match fallback {
                Some((value, ..)) => Ok(value),
                None => Err(error),
            },
        }
    }

    /// Number of entries, also empty ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn slot(&self, key: &K) -> Slot<V> {
        if let Some(slot) = self.slots.get(key) {
            return Arc::clone(&slot);
        }
        if self.slots.len() >= self.entries_max {
            self.shrink();
        }
        Arc::clone(&self.slots.entry(key.clone()).or_default())
    }

    /// Drops entries nobody is using: the map starts over rather than growing without end.
    fn shrink(&self) {
        self.slots.retain(|_, slot| Arc::strong_count(slot) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(0);

    fn fresh(_: &u32, _: Timestamp) -> Freshness {
        Freshness::Fresh
    }

    #[tokio::test]
    async fn many_callers_make_it_once() {
        let map = TtlMap::new(10);
        let calls = AtomicUsize::new(0);
        let ask = || {
            map.get_or_make(&"k", NOW, fresh, async {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<u32, ()>(7)
            })
        };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        assert_eq!((a, b, c), (Ok(7), Ok(7), Ok(7)));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_stale_value_stands_in_for_an_error_and_a_dead_one_does_not() {
        let map = TtlMap::new(10);
        let put = map
            .get_or_make(&1, NOW, fresh, async { Ok::<_, &str>(5) })
            .await;
        assert_eq!(put, Ok(5));
        let failing = || async { Err::<u32, _>("down") };
        let stale = map
            .get_or_make(&1, NOW, |_, _| Freshness::Stale, failing())
            .await;
        assert_eq!(stale, Ok(5));
        let dead = map
            .get_or_make(&1, NOW, |_, _| Freshness::Dead, failing())
            .await;
        assert_eq!(dead, Err("down"));
        let forgotten = map.get_or_make(&1, NOW, fresh, failing()).await;
        assert_eq!(forgotten, Err("down"));
    }

    #[tokio::test]
    async fn the_number_of_entries_is_bounded() {
        let map = TtlMap::new(100);
        for key in 0..1000 {
            let made = map
                .get_or_make(&key, NOW, fresh, async { Ok::<_, ()>(1) })
                .await;
            assert_eq!(made, Ok(1));
        }
        assert!(map.len() <= 100, "{}", map.len());
    }
}
