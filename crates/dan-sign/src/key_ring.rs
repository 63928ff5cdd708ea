//! The keys of a node: which one signs now, and what is published about all of them.
//!
//! Keys stand in a list, newest first. The first that is active signs; all are published. To rotate
//! without a gap, put the new key first with a `signs_from` far enough ahead that every verifier has
//! fetched it by then, and give the old one a `retired_at` no earlier than that. It stays in the
//! list, so that old answers verify; its file may be cut down to the public key.

use std::collections::BTreeSet;
use std::fmt;

use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_verify::jwk::{self, KEYS_MAX, KID_BYTES_MAX, PublishedKey, Validity};
use dan_verify::jws::{self, Purpose};
use dan_verify::public_key::PublicKey;
use dan_verify::{cose, quoted};

use crate::pem::{self, KeyPem};
use crate::soft_key::{KeyError, SoftKey};

/// One key as configured.
#[derive(Debug)]
pub struct KeySpec {
    /// Its name, at most [`KID_BYTES_MAX`] bytes; `None`: the thumbprint of the key (RFC 7638).
    pub kid: Option<String>,
    /// PEM text: PKCS#8 or SEC 1; of a retired key, the public key is enough.
    pub key: Secret,
    /// It is published at once, but signs nothing before this; `None`: may sign at once.
    pub signs_from: Option<Timestamp>,
    /// It signs nothing from this moment on; `None`: still in use.
    pub retired_at: Option<Timestamp>,
}

impl KeySpec {
    /// A key without a name of its own or limits in time.
    #[must_use]
    pub const fn new(key: Secret) -> Self {
        Self {
            kid: None,
            key,
            signs_from: None,
            retired_at: None,
        }
    }
}

/// Why a list of keys is none to sign with. Keys are counted from 1 in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The list is empty.
    NoKeys,
    /// More keys than verifiers will read.
    TooManyKeys,
    /// A key cannot be read.
    Key {
        /// Place in the list.
        place: usize,
        /// What is wrong with it.
        error: KeyError,
    },
    /// A name is empty, too long, or has control characters.
    Kid {
        /// Place in the list.
        place: usize,
    },
    /// Two keys have the same name.
    SameKid {
        /// The name.
        kid: String,
    },
    /// Retired before, or as soon as, it would sign.
    NeverSigns {
        /// The name.
        kid: String,
    },
    /// Only the public half is there, but the key is not retired.
    PublicOnly {
        /// The name.
        kid: String,
    },
    /// No key may sign at this moment.
    NoneActive,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys => f.write_str("no signing key is configured"),
            Self::TooManyKeys => write!(
                f,
                "more than {KEYS_MAX} signing keys; archive the key set and drop the oldest"
            ),
            Self::Key { place, error } => write!(f, "signing key {place}: {error}"),
            Self::Kid { place } => write!(
                f,
                "signing key {place}: its kid must have 1 to {KID_BYTES_MAX} bytes and no control \
                 characters"
            ),
            Self::SameKid { kid } => write!(f, "two signing keys have the kid {}", quoted(kid)),
            Self::NeverSigns { kid } => write!(
                f,
                "signing key {} is retired before it would sign",
                quoted(kid)
            ),
            Self::PublicOnly { kid } => write!(
                f,
                "signing key {} is only a public key; that is enough only once it is retired",
                quoted(kid)
            ),
            Self::NoneActive => f.write_str(
                "no signing key may sign now: all are retired or sign only from a later time",
            ),
        }
    }
}

impl std::error::Error for RingError {}

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
    signs_from: Option<Timestamp>,
    retired_at: Option<Timestamp>,
    /// `None`: published only.
    active: Option<ActiveKey>,
}

/// A key that may sign, with everything that is the same for all its signatures.
#[derive(Debug)]
pub(crate) struct ActiveKey {
    pub(crate) key: SoftKey,
    pub(crate) jwt_header: String,
    pub(crate) jose_header: String,
    pub(crate) cose_header: Vec<u8>,
}

impl KeyRing {
    /// Reads the keys, at most [`KEYS_MAX`], and has each prove that it verifies what it signs.
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
        let ring = Self { keys, published };
        ring.active(now).ok_or(RingError::NoneActive)?;
        Ok(ring)
    }

    /// The key that signs now; `None` when all are retired or still to come.
    pub(crate) fn active(&self, now: Timestamp) -> Option<&ActiveKey> {
        self.keys
            .iter()
            .filter(|key| key.may_sign(now))
            .find_map(|key| key.active.as_ref())
    }

    /// Name of the key that signs now.
    #[must_use]
    pub fn active_kid(&self, now: Timestamp) -> Option<&str> {
        self.keys
            .iter()
            .find(|key| key.may_sign(now) && key.active.is_some())
            .map(|key| key.kid.as_str())
    }

    /// JWK Set of all keys in the order of the list, as JSON text.
    #[must_use]
    pub fn published(&self) -> &str {
        &self.published
    }
}

impl RingKey {
    fn new(spec: &KeySpec, place: usize, now: Timestamp) -> Result<Self, RingError> {
        let failed = |error| RingError::Key { place, error };
        let read = pem::read(&spec.key).map_err(failed)?;
        let public = match &read {
            KeyPem::Private(key) => {
                key.self_test().map_err(failed)?;
                *key.public()
            }
            KeyPem::Public(key) => *key,
        };
        let kid = spec.kid.clone().unwrap_or_else(|| public.thumbprint());
        if kid.is_empty() || kid.len() > KID_BYTES_MAX || kid.contains(char::is_control) {
            return Err(RingError::Kid { place });
        }
        if let (Some(from), Some(until)) = (spec.signs_from, spec.retired_at)
            && until <= from
        {
            return Err(RingError::NeverSigns { kid });
        }
        let is_retired = spec.retired_at.is_some_and(|at| at <= now);
        let active = match read {
            // Nothing signs with it any more: its private half need not stay in memory.
            KeyPem::Private(_) | KeyPem::Public(_) if is_retired => None,
            KeyPem::Private(key) => Some(ActiveKey::new(key, &kid).map_err(failed)?),
            KeyPem::Public(_) => return Err(RingError::PublicOnly { kid }),
        };
        Ok(Self {
            kid,
            public,
            signs_from: spec.signs_from,
            retired_at: spec.retired_at,
            active,
        })
    }

    fn may_sign(&self, now: Timestamp) -> bool {
        self.signs_from.is_none_or(|from| from <= now)
            && self.retired_at.is_none_or(|until| now < until)
    }

    fn to_json(&self) -> String {
        let published = PublishedKey {
            key: self.public,
            validity: Validity {
                signs_from: self.signs_from.map(Timestamp::as_seconds),
                retired_at: self.retired_at.map(Timestamp::as_seconds),
            },
        };
        jwk::to_json(&self.kid, &published)
    }
}

impl ActiveKey {
    fn new(key: SoftKey, kid: &str) -> Result<Self, KeyError> {
        Ok(Self {
            jwt_header: jws::header(Purpose::Jwt, kid),
            jose_header: jws::header(Purpose::Jose, kid),
            cose_header: cose::protected_header(kid).map_err(|_why| KeyError::Damaged)?,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{key, public_pem, spec};
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
            key: public_pem(2),
            signs_from: None,
            retired_at,
        };
        let ring = KeyRing::new(&[spec(1, "new"), cut(Some(T))], T).unwrap();
        let set = KeySet::parse(ring.published()).unwrap();
        assert_eq!(&set.get("old").unwrap().key, key(2).public());
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
        for line in specs[0].key.expose().lines() {
            assert!(!printed.contains(line));
        }
    }
}
