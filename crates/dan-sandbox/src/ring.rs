//! The keys of the identity provider over time: those that sign, and those that did and are still published.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::error::Unspecified;
use serde_json::{Value, json};

use crate::keys::Keys;

/// Pairs of keys that stay published after they stopped signing; the oldest fall out.
pub(crate) const OLD_MAX: usize = 4;

/// The keys of now, and those before, the newest first.
#[derive(Clone)]
struct Pairs {
    current: Arc<Keys>,
    old: Vec<Arc<Keys>>,
}

/// Keys that can be exchanged while they are in use.
pub(crate) struct Ring(Mutex<Pairs>);

impl Ring {
    /// A ring with one pair of keys.
    pub(crate) fn new(keys: Keys) -> Self {
        Self(Mutex::new(Pairs {
            current: Arc::new(keys),
            old: Vec::new(),
        }))
    }

    fn pairs(&self) -> Pairs {
        let pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.clone()
    }

    /// The keys that sign.
    pub(crate) fn current(&self) -> Arc<Keys> {
        self.pairs().current
    }

    /// Signs with other keys from now on. The old ones stay published, unless `drop_old`: then every key that
    /// does not sign is taken away.
    pub(crate) fn rotate(&self, keys: Keys, drop_old: bool) {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut pairs.current, Arc::new(keys));
        if drop_old {
            pairs.old.clear();
        } else {
            pairs.old.insert(0, before);
            pairs.old.truncate(OLD_MAX);
        }
    }

    /// The JWK set (RFC 7517 §5), the keys that sign first.
    pub(crate) fn published(&self) -> Value {
        let Pairs { current, old } = self.pairs();
        let all = std::iter::once(&current).chain(&old);
        let keys: Vec<Value> = all.flat_map(|keys| keys.published()).collect();
        json!({ "keys": keys })
    }

    /// The claims of an honest token of any published key; `None` for every other text.
    pub(crate) fn claims(&self, token: &str) -> Option<Value> {
        let Pairs { current, old } = self.pairs();
        std::iter::once(&current)
            .chain(&old)
            .find_map(|keys| keys.claims(token))
    }
}

/// New keys for a ring, made on a thread of their own, since that takes a while.
///
/// # Errors
/// When the library cannot make them.
pub(crate) async fn new_keys() -> Result<Keys, Unspecified> {
    tokio::task::spawn_blocking(Keys::generate)
        .await
        .unwrap_or(Err(Unspecified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Signer;
    use serde_json::Map;

    fn count(ring: &Ring) -> usize {
        ring.published()["keys"].as_array().unwrap().len()
    }

    #[test]
    fn old_keys_stay_published_until_they_are_dropped() {
        let ring = Ring::new(Keys::generate().unwrap());
        let sign = || {
            let keys = ring.current();
            let claims = json!({ "scope": "a" });
            keys.token(Signer::Ec, None, &Map::new(), &claims).unwrap()
        };
        let first = sign();
        ring.rotate(Keys::generate().unwrap(), false);
        let second = sign();
        assert_eq!(count(&ring), 4);
        assert!(ring.claims(&first).is_some() && ring.claims(&second).is_some());
        ring.rotate(Keys::generate().unwrap(), true);
        assert_eq!(count(&ring), 2);
        assert!(ring.claims(&first).is_none() && ring.claims(&second).is_none());
        assert!(ring.claims(&sign()).is_some());
    }

    #[test]
    fn the_ring_is_bounded() {
        let ring = Ring::new(Keys::generate().unwrap());
        for _ in 0..=OLD_MAX {
            ring.rotate(Keys::generate().unwrap(), false);
        }
        assert_eq!(count(&ring), 2 * (OLD_MAX + 1));
    }
}
