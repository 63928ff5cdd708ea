//! Verdicts about whole chains, kept for a short while, so that a peer who sends many requests
//! over one connection costs one validation a minute.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dan_core::party::OrgNumber;
use dan_core::ports::ClientCertificate;
use dan_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::jwks::lock;

/// How long a verdict serves, in ms: so long an expiry or a revocation may go unseen beyond what
/// lists and responders themselves allow.
pub const ACCEPTED_MS_MAX: i64 = 60 * 1000;
/// How long a refusal for want of knowledge serves, in ms.
pub const REFUSED_MS: i64 = 10 * 1000;
/// Most verdicts kept.
pub const VERDICTS_MAX: usize = 4096;

/// SHA-256 over everything that was presented.
pub(crate) type ChainKey = [u8; 32];

/// What was found, and in which time it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    outcome: Result<OrgNumber, String>,
    made: Timestamp,
    until: Timestamp,
    /// Which set of lists it rests on.
    edition: u64,
}

/// The bounded cache.
#[derive(Default)]
pub(crate) struct Verdicts(Mutex<BTreeMap<ChainKey, Verdict>>);

/// What a chain is known under. Each part is led by its length, so that no two chains share one.
pub(crate) fn key_of(chain: &ClientCertificate) -> ChainKey {
    let mut hash = Sha256::new();
    for part in std::iter::once(&chain.leaf).chain(&chain.intermediates) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Verdicts {
    /// What was found about this chain, if it still counts.
    pub(crate) fn find(
        &self,
        key: &ChainKey,
        edition: u64,
        now: Timestamp,
    ) -> Option<Result<OrgNumber, String>> {
        let all = lock(&self.0);
        let verdict = all.get(key)?;
        // A clock that was set back makes no verdict older than it is.
        let counts = verdict.edition == edition && verdict.made <= now && now < verdict.until;
        counts.then(|| verdict.outcome.clone())
    }

    /// Keeps what was found at `now`, until `until` at the longest.
    pub(crate) fn keep(
        &self,
        key: ChainKey,
        edition: u64,
        outcome: Result<OrgNumber, String>,
        (now, until): (Timestamp, Timestamp),
    ) {
        let longest = match outcome {
            Ok(_) => ACCEPTED_MS_MAX,
            Err(_) => REFUSED_MS,
        };
        let verdict = Verdict {
            outcome,
            made: now,
            until: until.min(now.plus_ms(longest)),
            edition,
        };
        let mut all = lock(&self.0);
        if all.len() >= VERDICTS_MAX && !all.contains_key(&key) {
            all.retain(|_, verdict| verdict.made <= now && now < verdict.until);
        }
        if all.len() >= VERDICTS_MAX
            && !all.contains_key(&key)
            && let Some(oldest) = oldest(&all)
        {
            all.remove(&oldest);
        }
        all.insert(key, verdict);
    }
}

fn oldest(all: &BTreeMap<ChainKey, Verdict>) -> Option<ChainKey> {
    let oldest = all.iter().min_by_key(|(_, verdict)| verdict.made);
    oldest.map(|(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_ms(1_000_000);
    const LATE: Timestamp = Timestamp::from_ms(i64::MAX);

    fn org() -> OrgNumber {
        OrgNumber::parse("991825827").unwrap()
    }

    #[test]
    fn a_verdict_ends_with_its_time_its_edition_and_what_it_rests_on() {
        let verdicts = Verdicts::default();
        verdicts.keep([1; 32], 7, Ok(org()), (START, LATE));
        let found = |edition, ms| verdicts.find(&[1; 32], edition, START.plus_ms(ms));
        assert_eq!(found(7, 0), Some(Ok(org())));
        assert_eq!(found(7, ACCEPTED_MS_MAX - 1), Some(Ok(org())));
        assert_eq!(found(7, ACCEPTED_MS_MAX), None);
        assert_eq!(found(7, -1), None);
        assert_eq!(found(8, 0), None);
        verdicts.keep([1; 32], 7, Ok(org()), (START, START.plus_ms(5)));
        assert_eq!(found(7, 4), Some(Ok(org())));
        assert_eq!(found(7, 5), None);
        verdicts.keep([1; 32], 7, Err("no".to_owned()), (START, LATE));
        assert_eq!(found(7, REFUSED_MS - 1), Some(Err("no".to_owned())));
        assert_eq!(found(7, REFUSED_MS), None);
    }

    #[test]
    fn the_number_of_verdicts_is_bounded_and_the_oldest_goes_first() {
        let verdicts = Verdicts::default();
        for number in 0..=u16::try_from(VERDICTS_MAX).unwrap() {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            let now = START.plus_ms(i64::from(number));
            verdicts.keep(key, 0, Ok(org()), (now, LATE));
        }
        assert_eq!(lock(&verdicts.0).len(), VERDICTS_MAX);
        let now = START.plus_ms(i64::try_from(VERDICTS_MAX).unwrap());
        assert_eq!(verdicts.find(&[0; 32], 0, now), None);
    }

    #[test]
    fn no_two_chains_share_a_key() {
        let chain = |leaf: &[u8], rest: &[&[u8]]| {
            key_of(&ClientCertificate {
                leaf: leaf.to_vec(),
                intermediates: rest.iter().map(|der| der.to_vec()).collect(),
            })
        };
        let keys = [
            chain(b"ab", &[]),
            chain(b"a", &[b"b"]),
            chain(b"", &[b"ab"]),
            chain(b"a", &[b"", b"b"]),
            chain(b"a", &[b"b", b""]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
    }
}
