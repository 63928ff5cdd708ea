//! `Remembered`: tokens whose signature has been verified, so that the next use of the same token costs a hash.
//!
//! What is kept is the SHA-256 of a token, what it says, and the key set that has vouched for it. Never the
//! token. Only the signature is remembered: audience, expiry and every other claim are judged at each use, and
//! a token that was verified with other keys than those of now is verified again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use dan_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::claims::Claims;
use crate::jwk::KeySet;
use crate::jwks::lock;

/// Most tokens that are remembered; the next ones push out those that end first.
pub const TOKENS_MAX: usize = 10_000;
/// Longest token that is remembered, in bytes: bounds what one entry holds.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// SHA-256 of a token.
pub(crate) type TokenDigest = [u8; 32];

/// A token that a key set has vouched for.
pub(crate) struct Verified {
    /// What it says.
    pub(crate) claims: Claims,
    /// By which keys.
    pub(crate) keys: Arc<KeySet>,
}

/// The memory. Bounded by [`TOKENS_MAX`]; nothing stays in it past its end once somebody looks.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    tokens: BTreeMap<TokenDigest, Arc<Verified>>,
    /// The same, those that end first in front.
    ends: BTreeSet<(Timestamp, TokenDigest)>,
}

impl Memory {
    fn forget(&mut self, (end, digest): (Timestamp, TokenDigest)) {
        self.ends.remove(&(end, digest));
        self.tokens.remove(&digest);
    }

    /// Forgets what has ended, a few at a time: each new token takes at least as many away as it adds.
    fn forget_ended(&mut self, now: Timestamp) {
        const AT_ONCE_MAX: usize = 16;
        for _ in 0..AT_ONCE_MAX {
            match self.ends.first() {
                Some(first) if first.0 <= now => self.forget(*first),
                Some(_) | None => return,
            }
        }
    }
}

impl Remembered {
    /// Under which name a token is remembered; `None` for one that is too long.
    pub(crate) fn digest(token: &str) -> Option<TokenDigest> {
        (token.len() <= TOKEN_BYTES_MAX).then(|| Sha256::digest(token).into())
    }

    /// The token, if it has been verified before.
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<Arc<Verified>> {
        lock(&self.0).tokens.get(digest).cloned()
    }

    /// Remembers a token, in place of what was known under the same digest.
    pub(crate) fn keep(&self, digest: TokenDigest, verified: Verified, now: Timestamp) {
        let end = verified.claims.ends();
        let mut memory = lock(&self.0);
        memory.forget_ended(now);
        while memory.tokens.len() >= TOKENS_MAX {
            match memory.ends.first().copied() {
                Some(first) => memory.forget(first),
                None => break,
            }
        }
        memory.tokens.insert(digest, Arc::new(verified));
        memory.ends.insert((end, digest));
    }

    /// Number of tokens in it.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(NOW_S.saturating_add(seconds).saturating_mul(1000))
    }

    fn ending(in_s: i64) -> Verified {
        let claims = json!({
            "iss": "a", "exp": NOW_S.saturating_add(in_s),
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:991825827"},
        });
        Verified {
            claims: Claims::read(claims.as_object().unwrap()).unwrap(),
            keys: Arc::default(),
        }
    }

    fn name(number: usize) -> TokenDigest {
        Remembered::digest(&number.to_string()).unwrap()
    }

    #[test]
    fn a_token_is_found_by_its_digest_only() {
        let memory = Remembered::default();
        memory.keep(name(1), ending(60), at(0));
        assert!(memory.find(&name(1)).is_some());
        assert!(memory.find(&name(2)).is_none());
        memory.keep(name(1), ending(60), at(0));
        assert_eq!(memory.len(), 1);
    }

    #[test]
    fn the_memory_is_bounded_and_what_ends_first_goes_first() {
        let memory = Remembered::default();
        memory.keep(name(0), ending(10), at(0));
        for number in 1..=TOKENS_MAX {
            memory.keep(name(number), ending(60), at(0));
        }
        assert_eq!(memory.len(), TOKENS_MAX);
        assert_eq!(lock(&memory.0).ends.len(), TOKENS_MAX);
        assert!(memory.find(&name(0)).is_none());
        assert!(memory.find(&name(TOKENS_MAX)).is_some());
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let memory = Remembered::default();
        for number in 0..100 {
            memory.keep(name(number), ending(10), at(0));
        }
        for number in 100..110 {
            memory.keep(name(number), ending(600), at(40));
        }
        assert_eq!(memory.len(), 10);
    }

    #[test]
    fn long_tokens_are_not_remembered() {
        assert!(Remembered::digest(&"x".repeat(TOKEN_BYTES_MAX)).is_some());
        assert!(Remembered::digest(&"x".repeat(TOKEN_BYTES_MAX.saturating_add(1))).is_none());
    }
}
