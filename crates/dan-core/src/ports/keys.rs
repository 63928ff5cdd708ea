//! Issues API keys and ends them: what an operator does, at a terminal or over the management listener.

use std::fmt;

use super::{ApiKeyRecord, KeyUse, PortFuture, StoreError};
use crate::caller::Allowance;
use crate::network::Network;
use crate::party::OrgNumber;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Longest name of a key, in characters.
pub const KEY_NAME_CHARS_MAX: usize = 200;
/// Most scopes, and most networks, of one key.
pub const KEY_LIST_MAX: usize = 32;
/// Most days a key that was replaced keeps working.
pub const OVERLAP_DAYS_MAX: u32 = 90;

/// What a new key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGrant {
    /// Identifier of the service context.
    pub context_id: String,
    /// The organisation the key is bound to.
    pub org: Option<OrgNumber>,
    /// A name for people.
    pub name: String,
    /// Not valid from this moment on.
    pub expires: Option<Timestamp>,
    /// Scopes of a holder who comes with a certificate.
    pub scopes: Vec<String>,
    /// Where it may be used from; empty means anywhere.
    pub networks: Vec<Network>,
    /// How much its holder may ask.
    pub allowance: Allowance,
}

/// A key that was just made.
#[derive(Debug)]
pub struct IssuedKey {
    /// What is kept of it.
    pub record: ApiKeyRecord,
    /// The key itself: shown once, never kept.
    pub key: Secret,
}

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// What is kept of it.
    pub record: ApiKeyRecord,
    /// Its use; `None` when it was never used. Lags behind by some seconds.
    pub used: Option<KeyUse>,
}

/// Why a key was not made or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No key has this identifier.
    Unknown,
    /// It ended at this moment.
    Ended(Timestamp),
    /// It replaces a key that still works: two at a time is enough.
    Overlapping {
        /// The older key.
        older: String,
        /// When that one ends.
        ends: Timestamp,
    },
    /// Something about the wish, in words for the operator.
    Invalid(String),
    /// The store did not do it.
    Store(StoreError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("there is no such API key; list them to see which there are")
            }
            Self::Ended(at) => write!(f, "the key ended at {at}"),
            Self::Overlapping { older, ends } => write!(
                f,
                "the key {older} that this one replaced works until {ends}; revoke it first"
            ),
            Self::Invalid(why) => f.write_str(why),
            Self::Store(StoreError::Conflict) => {
                f.write_str("somebody changed it at the same time; try again")
            }
            Self::Store(StoreError::Unavailable(why) | StoreError::Corrupt(why)) => {
                write!(f, "the store: {why}")
            }
        }
    }
}

impl std::error::Error for KeyError {}

/// Makes and ends keys. Each act is recorded in the commit that does it. Other nodes on the same store see it within
/// a second.
pub trait KeyDesk: Send + Sync {
    /// Makes a key. The caller has checked that the context exists.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for a wish that makes no sense, [`KeyError::Store`].
    fn create(&self, grant: KeyGrant) -> PortFuture<'_, Result<IssuedKey, KeyError>>;

    /// Every key, oldest first, without the keys themselves.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    fn list(&self) -> PortFuture<'_, Result<Vec<ListedKey>, KeyError>>;

    /// Makes a successor with the same rights. The old key ends after `overlap_days`, or when it would have ended
    /// anyway; given as its record is now.
    ///
    /// # Errors
    /// [`KeyError`]; nothing was changed.
    fn rotate<'a>(
        &'a self,
        id: &'a str,
        overlap_days: u32,
    ) -> PortFuture<'a, Result<(IssuedKey, ApiKeyRecord), KeyError>>;

    /// Ends a key now.
    ///
    /// # Errors
    /// [`KeyError`].
    fn revoke<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<ApiKeyRecord, KeyError>>;
}
