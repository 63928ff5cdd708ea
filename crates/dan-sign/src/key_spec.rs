//! One key as configured, and what can be wrong with a list of them.

use std::fmt;
use std::sync::Arc;

use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_verify::jwk::{KEYS_MAX, KID_BYTES_MAX};
use dan_verify::quoted;

use crate::private_key::{KeyError, PrivateKey};

/// Where a key lies.
#[derive(Debug)]
pub enum KeySource {
    /// PEM text: PKCS#8, SEC 1 or PKCS#1; of a retired key, the public key is enough.
    Pem(Secret),
    /// A key that is open already, for instance one in a device.
    Held(Arc<dyn PrivateKey>),
}

impl From<Secret> for KeySource {
    fn from(pem: Secret) -> Self {
        Self::Pem(pem)
    }
}

/// One key as configured.
#[derive(Debug)]
pub struct KeySpec {
    /// Its name, at most [`KID_BYTES_MAX`] bytes; `None`: the thumbprint of the key (RFC 7638).
    pub kid: Option<String>,
    /// Where it lies.
    pub key: KeySource,
    /// PEM text of its certificates, its own first, for `x5c`; `None`: it has none.
    pub certificate: Option<String>,
    /// It is published at once, but signs nothing before this; `None`: may sign at once.
    pub signs_from: Option<Timestamp>,
    /// It signs nothing from this moment on; `None`: still in use.
    pub retired_at: Option<Timestamp>,
}

impl KeySpec {
    /// A key without a name of its own, certificate or limits in time.
    #[must_use]
    pub fn new(key: impl Into<KeySource>) -> Self {
        Self {
            kid: None,
            key: key.into(),
            certificate: None,
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
    /// Those that may sign at this moment cannot make this format.
    NoneForFormat,
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
            Self::NoneForFormat => f.write_str(
                "COSE_Sign1 is ES256, and no P-256 key may sign now; add one beside the RSA key",
            ),
            Self::NoneActive => f.write_str(
                "no signing key may sign now: all are retired or sign only from a later time",
            ),
        }
    }
}

impl std::error::Error for RingError {}
