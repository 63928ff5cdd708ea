//! What was last known of single certificates: when they were good, and whether they were revoked.
//! A certificate known as revoked stays out until something newer says otherwise.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dan_core::time::Timestamp;

use crate::jwks::lock;

/// Most certificates remembered. Only certificates of configured issuers come this far.
pub const REMEMBERED_MAX: usize = 10_000;

/// Issuer and serial of a certificate, hashed.
pub(crate) type Key = [u8; 32];

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The moment that the evidence of its revocation was made.
    revoked: Option<Timestamp>,
    /// The moment that a good answer came.
    good: Option<Timestamp>,
}

/// A bounded memory. When it is full, what was good the longest ago is forgotten first; what was
/// revoked last.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<Key, Known>>);

impl Memory {
    /// Evidence made at `evidence` says that it is revoked.
    pub(crate) fn revoke(&self, key: Key, evidence: Timestamp) {
        let mut all = lock(&self.0);
        make_room(&mut all, &key);
        let known = all.entry(key).or_default();
        known.revoked = known.revoked.max(Some(evidence));
        known.good = None;
    }

    /// Evidence made at `evidence`, that came at `came`, says that it is good. False when newer evidence,
    /// or one of the same moment, says that it is revoked: then nothing changes.
    pub(crate) fn confirm(&self, key: Key, evidence: Timestamp, came: Timestamp) -> bool {
        let mut all = lock(&self.0);
        make_room(&mut all, &key);
        let known = all.entry(key).or_default();
        if known.revoked.is_some_and(|revoked| evidence <= revoked) {
            return false;
        }
        *known = Known {
            revoked: None,
            good: known.good.max(Some(came)),
        };
        true
    }

    pub(crate) fn is_revoked(&self, key: &Key) -> bool {
        let all = lock(&self.0);
        all.get(key).is_some_and(|known| known.revoked.is_some())
    }

    /// When a good answer came last.
    pub(crate) fn last_good(&self, key: &Key) -> Option<Timestamp> {
        lock(&self.0).get(key)?.good
    }
}

fn make_room(all: &mut BTreeMap<Key, Known>, key: &Key) {
    if all.len() < REMEMBERED_MAX || all.contains_key(key) {
        return;
    }
    let oldest = all
        .iter()
        .min_by_key(|(_, known)| (known.revoked, known.good))
        .map(|(key, _)| *key);
    if let Some(oldest) = oldest {
        all.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_revocation_yields_only_to_newer_evidence() {
        let memory = Memory::default();
        let key = [1; 32];
        assert!(memory.confirm(key, at(5), at(6)));
        assert_eq!(memory.last_good(&key), Some(at(6)));
        memory.revoke(key, at(10));
        assert!(memory.is_revoked(&key));
        assert_eq!(memory.last_good(&key), None);
        assert!(!memory.confirm(key, at(9), at(20)));
        assert!(!memory.confirm(key, at(10), at(20)));
        assert!(memory.is_revoked(&key));
        memory.revoke(key, at(3));
        assert!(!memory.confirm(key, at(10), at(20)));
        assert!(memory.confirm(key, at(11), at(20)));
        assert!(!memory.is_revoked(&key));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_revoked_last() {
        let memory = Memory::default();
        memory.revoke([255; 32], at(1));
        for number in 0..=u16::try_from(REMEMBERED_MAX).unwrap() {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            assert!(memory.confirm(key, at(2), at(i64::from(number))));
        }
        assert_eq!(lock(&memory.0).len(), REMEMBERED_MAX);
        assert!(memory.is_revoked(&[255; 32]));
        assert_eq!(memory.last_good(&[0; 32]), None);
    }
}
