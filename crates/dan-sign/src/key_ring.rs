//! The keys of a node: which one signs now, and what is published about all of them.
//!
//! Keys stand in a list, newest first. The first that is active signs; all are published. To rotate
//! without a gap, put the new key first with a `signs_from` far enough ahead that every verifier has
//! fetched it by then, and give the old one a `retired_at` no earlier than that. It stays in the
//! list, so that old answers verify; its file may be cut down to the public key.
//!
//! `COSE_Sign1` is ES256 only: where an RSA key is first, the first active key on P-256 makes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dan_core::ports::EnvelopeFormat;
use dan_core::time::Timestamp;
use dan_verify::cose;
use dan_verify::jwk::{self, KEYS_MAX, KID_BYTES_MAX, PublishedKey, Validity};
use dan_verify::jws::{self, Purpose};
use dan_verify::public_key::{Algorithm, PublicKey};

use crate::certificate::Chain;
pub use crate::key_spec::{KeySource, KeySpec, RingError};
use crate::pem::{self, KeyPem};
use crate::private_key::{KeyError, PrivateKey, self_test};

/// What a key of a ring is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and signs from a later moment on.
    Next,
    /// Signs now.
    Active,
    /// May sign now, but a newer key does.
    Standby,
    /// Published, and signs nothing any more.
    Retired,
}

impl KeyState {
    /// Its name for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Retired => "retired",
        }
    }
}

/// What there is to say of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub kid: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// What it is doing.
    pub state: KeyState,
    /// Since when it signs.
    pub signs_from: Option<Timestamp>,
    /// Until when it signs.
    pub retired_at: Option<Timestamp>,
    /// When its certificate ends, where it has one.
    pub certificate_ends: Option<Timestamp>,
}

/// Active, coming and retired keys.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    published: String,
}

#[derive(Debug)]
struct RingKey {
    kid: String,
    public: PublicKey,
    chain: Option<Chain>,
    signs_from: Option<Timestamp>,
    retired_at: Option<Timestamp>,
    /// `None`: published only.
    active: Option<Arc<ActiveKey>>,
}

/// A key that may sign, with everything that is the same for all its signatures.
#[derive(Debug)]
pub(crate) struct ActiveKey {
    pub(crate) key: Arc<dyn PrivateKey>,
    pub(crate) jwt_header: String,
    pub(crate) jose_header: String,
    /// `None`: not a key for `COSE_Sign1`.
    pub(crate) cose_header: Option<Vec<u8>>,
}

impl KeyRing {
    /// Reads the keys, at most [`KEYS_MAX`], and has each that may sign prove that it verifies what it
    /// signs. Asks devices and waits for them: call it where waiting is allowed.
    ///
    /// # Errors
    /// [`RingError`]; also when no key may sign at `now`.
    pub fn new(specs: &[KeySpec], now: Timestamp) -> Result<Self, RingError> {
        if specs.is_empty() {
            return Err(RingError::NoKeys);
        }
        if specs.len() > KEYS_MAX {
            return Err(RingError::TooManyKeys);
        }
        let mut keys = Vec::with_capacity(specs.len());
        let mut names = BTreeSet::new();
        for (spec, place) in specs.iter().zip(1..) {
            let key = RingKey::new(spec, place, now)?;
            if !names.insert(key.kid.clone()) {
                return Err(RingError::SameKid { kid: key.kid });
            }
            keys.push(key);
        }
        let published: Vec<String> = keys.iter().map(RingKey::to_json).collect();
        let published = format!("{{\"keys\":[{}]}}", published.join(","));
        if published.len() > jwk::KEY_SET_BYTES_MAX {
            return Err(RingError::TooManyKeys);
        }
        let ring = Self { keys, published };
        ring.active(EnvelopeFormat::Jwt, now)
            .ok_or(RingError::NoneActive)?;
        Ok(ring)
    }

    /// The key that signs this format now; `None` when all that could are retired or still to come.
    pub(crate) fn active(&self, format: EnvelopeFormat, now: Timestamp) -> Option<&Arc<ActiveKey>> {
        self.keys
            .iter()
            .find(|key| key.signs(format, now))
            .and_then(|key| key.active.as_ref())
    }

    /// Name of the key that signs the header of an answer now.
    #[must_use]
    pub fn active_kid(&self, now: Timestamp) -> Option<&str> {
        self.keys
            .iter()
            .find(|key| key.signs(EnvelopeFormat::Jwt, now))
            .map(|key| key.kid.as_str())
    }

    /// Every key in the order of the list.
    #[must_use]
    pub fn entries(&self, now: Timestamp) -> Vec<KeyEntry> {
        let formats = [EnvelopeFormat::Jwt, EnvelopeFormat::Cose];
        let active = formats.map(|format| self.keys.iter().find(|key| key.signs(format, now)));
        let state = |key: &RingKey| {
            if key.signs_from.is_some_and(|from| now < from) {
                KeyState::Next
            } else if !key.may_sign(now) || key.active.is_none() {
                KeyState::Retired
            } else if active.iter().flatten().any(|one| one.kid == key.kid) {
                KeyState::Active
            } else {
                KeyState::Standby
            }
        };
        let entry = |key: &RingKey| KeyEntry {
            kid: key.kid.clone(),
            algorithm: key.public.algorithm(),
            state: state(key),
            signs_from: key.signs_from,
            retired_at: key.retired_at,
            certificate_ends: key.chain.as_ref().map(Chain::not_after),
        };
        self.keys.iter().map(entry).collect()
    }

    /// JWK Set of all keys in the order of the list, as JSON text.
    #[must_use]
    pub fn published(&self) -> &str {
        &self.published
    }

    /// Names of keys that sign at `now` although `known`, the ring before this one, did not publish
    /// them: who has fetched the key set shortly before cannot verify what they sign.
    #[must_use]
    pub fn unannounced(&self, known: &Self, now: Timestamp) -> Vec<&str> {
        let is_known = |key: &RingKey| known.keys.iter().any(|one| one.public == key.public);
        let active = self.keys.iter().filter(|key| key.may_sign(now));
        let unknown = active.filter(|key| key.active.is_some() && !is_known(key));
        unknown.map(|key| key.kid.as_str()).collect()
    }
}

impl RingKey {
    fn new(spec: &KeySpec, place: usize, now: Timestamp) -> Result<Self, RingError> {
        let failed = |error| RingError::Key { place, error };
        let (public, private) = open(&spec.key).map_err(failed)?;
        let kid = spec.kid.clone().unwrap_or_else(|| public.thumbprint());
        if kid.is_empty() || kid.len() > KID_BYTES_MAX || kid.contains(char::is_control) {
            return Err(RingError::Kid { place });
        }
        if let (Some(from), Some(until)) = (spec.signs_from, spec.retired_at)
            && until <= from
        {
            return Err(RingError::NeverSigns { kid });
        }
        let chain = spec.certificate.as_deref();
        let chain = chain
            .map(|pem| Chain::read(pem, &public))
            .transpose()
            .map_err(|error| failed(KeyError::Certificate(error)))?;
        let is_retired = spec.retired_at.is_some_and(|at| at <= now);
        let active = match private {
            // Nothing signs with it any more: its private half need not stay in memory.
            _ if is_retired => None,
            Some(key) => {
                let ders = chain.as_ref().map_or(&[][..], Chain::ders);
                Some(Arc::new(ActiveKey::new(key, &kid, ders).map_err(failed)?))
            }
            None => return Err(RingError::PublicOnly { kid }),
        };
        Ok(Self {
            kid,
            public,
            chain,
            signs_from: spec.signs_from,
            retired_at: spec.retired_at,
            active,
        })
    }

    fn may_sign(&self, now: Timestamp) -> bool {
        self.signs_from.is_none_or(|from| from <= now)
            && self.retired_at.is_none_or(|until| now < until)
    }

    fn signs(&self, format: EnvelopeFormat, now: Timestamp) -> bool {
        self.may_sign(now)
            && self.active.as_ref().is_some_and(|key| match format {
                EnvelopeFormat::Jwt | EnvelopeFormat::Jose => true,
                EnvelopeFormat::Cose => key.cose_header.is_some(),
            })
    }

    fn to_json(&self) -> String {
        let published = PublishedKey {
            key: self.public.clone(),
            validity: Validity {
                signs_from: self.signs_from.map(Timestamp::as_seconds),
                retired_at: self.retired_at.map(Timestamp::as_seconds),
            },
        };
        let ders = self.chain.as_ref().map_or(&[][..], Chain::ders);
        jwk::to_json_certified(&self.kid, &published, ders)
    }
}

impl ActiveKey {
    fn new(
        key: Arc<dyn PrivateKey>,
        kid: &str,
        certificates: &[Vec<u8>],
    ) -> Result<Self, KeyError> {
        self_test(&*key)?;
        let algorithm = key.public().algorithm();
        let header = |purpose| jws::header_of(purpose, algorithm, kid, certificates);
        let cose_header = match algorithm {
            Algorithm::Es256 => {
                Some(cose::protected_header(kid).map_err(|_why| KeyError::Damaged)?)
            }
            Algorithm::Rs256 => None,
        };
        Ok(Self {
            jwt_header: header(Purpose::Jwt),
            jose_header: header(Purpose::Jose),
            cose_header,
            key,
        })
    }
}

/// The key in both its halves, the private one with whatever signs fastest in this build.
fn open(source: &KeySource) -> Result<(PublicKey, Option<Arc<dyn PrivateKey>>), KeyError> {
    let key: Arc<dyn PrivateKey> = match source {
        KeySource::Held(key) => Arc::clone(key),
        KeySource::Pem(text) => match pem::read(text)? {
            KeyPem::Public(key) => return Ok((key, None)),
            #[cfg(feature = "aws-lc")]
            KeyPem::P256(key) => Arc::new(crate::fast_key::FastKey::new(&key)?),
            #[cfg(not(feature = "aws-lc"))]
            KeyPem::P256(key) => Arc::new(key),
            #[cfg(feature = "aws-lc")]
            KeyPem::Rsa(key) => Arc::new(key),
        },
    };
    Ok((key.public().clone(), Some(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::ChainError;
    use crate::testing::{Broken, certificate_of, key, public_pem, spec};
    use dan_core::secret::Secret;
    use dan_verify::jwk::KeySet;

    const T: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    #[test]
    fn the_first_key_signs_and_all_are_published_in_order() {
        let ring = KeyRing::new(&[spec(1, "new"), spec(2, "old")], T).unwrap();
        assert_eq!(ring.active_kid(T), Some("new"));
        let set: serde_json::Value = serde_json::from_str(ring.published()).unwrap();
        assert_eq!(set["keys"][0]["kid"], "new");
        assert_eq!(set["keys"][1]["kid"], "old");
        assert_eq!(KeySet::parse(ring.published()).unwrap().len(), 2);
    }

    #[test]
    fn without_a_name_the_thumbprint_is_the_kid() {
        let unnamed = KeySpec::new(key(1).to_pem().unwrap());
        let ring = KeyRing::new(&[unnamed], T).unwrap();
        assert_eq!(
            ring.active_kid(T),
            Some(key(1).public().thumbprint().as_str())
        );
    }

    #[test]
    fn a_rotation_leaves_no_moment_without_a_key() {
        let start = T.plus_ms(1000);
        let end = T.plus_ms(2000);
        let new = KeySpec {
            signs_from: Some(start),
            ..spec(1, "new")
        };
        let old = KeySpec {
            retired_at: Some(end),
            ..spec(2, "old")
        };
        let ring = KeyRing::new(&[new, old], T).unwrap();
        assert_eq!(KeySet::parse(ring.published()).unwrap().len(), 2);
        for (now, kid) in [
            (T, "old"),
            (start.plus_ms(-1), "old"),
            (start, "new"),
            (end, "new"),
            (end.plus_days(4000), "new"),
        ] {
            assert_eq!(ring.active_kid(now), Some(kid), "{now}");
        }
    }

    #[test]
    fn a_retired_key_stays_published_with_its_validity_and_never_signs() {
        let old = KeySpec {
            signs_from: Some(Timestamp::from_ms(1_500)),
            retired_at: Some(Timestamp::from_ms(9_999)),
            ..spec(2, "old")
        };
        // First in the list, and still not used.
        let ring = KeyRing::new(&[old, spec(1, "new")], T).unwrap();
        assert_eq!(ring.active_kid(T), Some("new"));
        // Not even if the clock goes back: its private half is gone.
        assert_eq!(ring.active_kid(Timestamp::from_ms(5_000)), Some("new"));
        let set = KeySet::parse(ring.published()).unwrap();
        let validity = set.get("old").unwrap().validity;
        assert_eq!(
            (validity.signs_from, validity.retired_at),
            (Some(1), Some(9))
        );
    }

    #[test]
    fn a_retired_key_may_be_cut_down_to_its_public_half() {
        let cut = |retired_at| KeySpec {
            kid: Some("old".to_owned()),
            retired_at,
            ..KeySpec::new(public_pem(2))
        };
        let ring = KeyRing::new(&[spec(1, "new"), cut(Some(T))], T).unwrap();
        let set = KeySet::parse(ring.published()).unwrap();
        assert_eq!(set.get("old").unwrap().key, *key(2).public());
        for retired_at in [None, Some(T.plus_ms(1))] {
            let outcome = KeyRing::new(&[spec(1, "new"), cut(retired_at)], T);
            let kid = "old".to_owned();
            assert_eq!(outcome.unwrap_err(), RingError::PublicOnly { kid });
        }
    }

    #[test]
    fn lists_that_cannot_sign_are_refused() {
        let at = |signs_from, retired_at| KeySpec {
            signs_from,
            retired_at,
            ..spec(1, "k")
        };
        let kid = || "k".to_owned();
        let named = |kid: &str| KeySpec {
            kid: Some(kid.to_owned()),
            ..spec(1, "")
        };
        let broken = KeySpec::new(Secret::new("x".to_owned()));
        let many = (0..=KEYS_MAX).map(|n| spec(1, &n.to_string())).collect();
        for (specs, expected) in [
            (vec![], RingError::NoKeys),
            (many, RingError::TooManyKeys),
            (
                vec![spec(1, "k"), spec(2, "k")],
                RingError::SameKid { kid: kid() },
            ),
            (vec![at(Some(T.plus_ms(1)), None)], RingError::NoneActive),
            (vec![at(None, Some(T))], RingError::NoneActive),
            (
                vec![at(Some(T), Some(T))],
                RingError::NeverSigns { kid: kid() },
            ),
            (vec![named("")], RingError::Kid { place: 1 }),
            (vec![named("a\nb")], RingError::Kid { place: 1 }),
            (
                vec![named(&"k".repeat(KID_BYTES_MAX + 1))],
                RingError::Kid { place: 1 },
            ),
            (
                vec![spec(1, "k"), broken],
                RingError::Key {
                    place: 2,
                    error: KeyError::NotPem,
                },
            ),
        ] {
            assert_eq!(KeyRing::new(&specs, T).unwrap_err(), expected);
        }
    }

    #[test]
    fn the_same_key_unnamed_twice_is_refused() {
        let unnamed = || KeySpec::new(key(1).to_pem().unwrap());
        let outcome = KeyRing::new(&[unnamed(), unnamed()], T);
        assert!(matches!(outcome, Err(RingError::SameKid { .. })));
    }

    #[test]
    fn no_key_is_printed() {
        let specs = [spec(1, "k")];
        let printed = format!("{specs:?} {:?}", KeyRing::new(&specs, T).unwrap());
        assert!(!printed.contains("BEGIN"));
        for line in key(1).to_pem().unwrap().expose().lines() {
            assert!(!printed.contains(line));
        }
    }

    #[test]
    fn a_key_that_fails_its_self_test_is_neither_used_nor_published() {
        let broken = || KeySpec::new(KeySource::Held(Arc::new(Broken(key(1)))));
        let error = KeyError::SelfTest;
        let outcome = KeyRing::new(&[spec(2, "good"), broken()], T);
        assert_eq!(outcome.unwrap_err(), RingError::Key { place: 2, error });
        let coming = KeySpec {
            signs_from: Some(T.plus_days(1)),
            ..broken()
        };
        assert!(KeyRing::new(&[coming, spec(2, "good")], T).is_err());
        // What it signed before is checked with its public half, which is no worse for it.
        let retired = KeySpec {
            retired_at: Some(T),
            ..broken()
        };
        assert!(KeyRing::new(&[retired, spec(2, "good")], T).is_ok());
    }

    #[test]
    fn a_certificate_is_published_with_its_key_and_no_other() {
        let certified = |seed| KeySpec {
            certificate: Some(certificate_of(&key(seed))),
            ..spec(1, "k")
        };
        let ring = KeyRing::new(&[certified(1)], T).unwrap();
        let set: serde_json::Value = serde_json::from_str(ring.published()).unwrap();
        assert_eq!(set["keys"][0]["x5c"].as_array().unwrap().len(), 1);
        assert!(set["keys"][0]["x5t#S256"].is_string());
        assert!(ring.entries(T)[0].certificate_ends.is_some());
        let error = KeyError::Certificate(ChainError::OtherKey);
        let outcome = KeyRing::new(&[certified(2)], T);
        assert_eq!(outcome.unwrap_err(), RingError::Key { place: 1, error });
    }

    #[test]
    fn entries_say_what_each_key_is_doing() {
        let from = |specs: KeySpec, days| KeySpec {
            signs_from: Some(T.plus_days(days)),
            ..specs
        };
        let retired = KeySpec {
            retired_at: Some(T),
            ..spec(4, "d")
        };
        let specs = [from(spec(1, "a"), 1), spec(2, "b"), spec(3, "c"), retired];
        let ring = KeyRing::new(&specs, T).unwrap();
        let states = |now| {
            ring.entries(now)
                .iter()
                .map(|one| one.state.name())
                .collect()
        };
        let now: Vec<&str> = states(T);
        assert_eq!(now, ["next", "active", "standby", "retired"]);
        let later: Vec<&str> = states(T.plus_days(1));
        assert_eq!(later, ["active", "standby", "standby", "retired"]);
    }

    #[test]
    fn a_key_that_signs_before_it_was_published_is_found() {
        let before = KeyRing::new(&[spec(1, "a")], T).unwrap();
        let announced = KeySpec {
            signs_from: Some(T.plus_ms(1)),
            ..spec(2, "b")
        };
        let during = KeyRing::new(&[announced, spec(1, "a")], T).unwrap();
        assert!(during.unannounced(&before, T).is_empty());
        let after = KeyRing::new(&[spec(2, "b"), spec(3, "c")], T).unwrap();
        assert_eq!(after.unannounced(&during, T), ["c"]);
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn where_an_rsa_key_is_first_the_first_on_p256_makes_cose() {
        let rsa = || KeySpec {
            kid: Some("rsa".to_owned()),
            ..KeySpec::new(crate::testing::rsa_pem())
        };
        let alone = KeyRing::new(&[rsa()], T).unwrap();
        assert!(alone.active(EnvelopeFormat::Jose, T).is_some());
        assert!(alone.active(EnvelopeFormat::Cose, T).is_none());
        let both = KeyRing::new(&[rsa(), spec(1, "ec")], T).unwrap();
        assert_eq!(both.active_kid(T), Some("rsa"));
        let makes_cose = both.active(EnvelopeFormat::Cose, T).unwrap();
        assert_eq!(makes_cose.key.public(), key(1).public());
        let states: Vec<_> = both.entries(T).iter().map(|one| one.state).collect();
        assert_eq!(states, [KeyState::Active, KeyState::Active]);
        let set = KeySet::parse(both.published()).unwrap();
        assert_eq!(set.get("rsa").unwrap().key.algorithm(), Algorithm::Rs256);
    }
}
