//! Keeps state: reads, and one atomic write.

use super::PortFuture;
use crate::accreditation::{Accreditation, AccreditationId};
use crate::audit::AuditRecord;
use crate::caller::Allowance;
use crate::network::Network;
use crate::party::OrgNumber;
use crate::time::Timestamp;
use crate::usage::{UsageKey, UsageRow};

/// A value with the revision it was read at; the first is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// Goes up by one with every write.
    pub revision: u64,
}

/// Which grants to list. All parts must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccreditationFilter {
    /// The owner.
    pub owner: OrgNumber,
    /// Name of the context.
    pub context: String,
    /// Changed strictly after this moment.
    pub changed_after: Option<Timestamp>,
    /// Strictly behind this place in the order of the list.
    pub after: Option<Place>,
    /// Most rows to return.
    pub count_max: u32,
}

/// A place in a list of grants: they are ordered by last change, then by identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Last change of the grant at this place.
    pub last_changed: Timestamp,
    /// Its identifier.
    pub id: AccreditationId,
}

/// The answer to an application that named an `Idempotency-Key`, kept so that a repeat of it finds
/// the same grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who applied.
    pub owner: OrgNumber,
    /// SHA-256 of the context and the key: what a client chooses as key is not kept.
    pub key_digest: [u8; 32],
    /// SHA-256 of the application, so that another application under the same key is noticed.
    pub request_digest: [u8; 32],
    /// What was granted.
    pub accreditation: AccreditationId,
    /// Forgotten from this moment on.
    pub expires: Timestamp,
}

/// The signed statement of an answer that left as a stream, for those who could not read it at its end. Never the
/// evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofRecord {
    /// Identifier of the release, the `jti` of the statement.
    pub id: String,
    /// Whom the answer was for; `None` for open data.
    pub owner: Option<OrgNumber>,
    /// The compact JWS, as `X-Signature-JWT` has it.
    pub statement: String,
    /// Not given out from this moment on.
    pub expires: Timestamp,
}

/// An API key, as it is kept: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Public identifier, the first part of the key.
    pub id: String,
    /// SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// Identifier of the service context.
    pub context_id: String,
    /// The organisation it is bound to.
    pub org: Option<OrgNumber>,
    /// A name for people.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Not valid from this moment on; `None` while in force.
    pub expires: Option<Timestamp>,
    /// What a holder who comes with a certificate may do.
    pub scopes: Vec<String>,
    /// Where it may be used from; empty means anywhere.
    pub networks: Vec<Network>,
    /// How much its holder may ask.
    pub allowance: Allowance,
    /// The key that this one replaces.
    pub replaces: Option<String>,
}

/// When and how often an API key was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Public identifier of the key.
    pub key_id: String,
    /// When it was last used.
    pub last_used: Timestamp,
    /// The day that `count` is of: days since 1970-01-01, UTC.
    pub day: i64,
    /// Requests of that day.
    pub count: u64,
}

impl KeyUse {
    /// Adds as [`Write::CountKeyUse`] says.
    pub fn add(&mut self, used: &Self) {
        let ahead = self.day.saturating_sub(used.day);
        if ahead > 1 {
            self.last_used = used.last_used;
        }
        self.last_used = self.last_used.max(used.last_used);
        if ahead == 0 {
            self.count = self.count.saturating_add(used.count);
        } else if ahead != 1 {
            (self.day, self.count) = (used.day, used.count);
        }
    }
}

/// A row of the audit trail with its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAudit {
    /// Position, from 1 without gaps.
    pub sequence: u64,
    /// The record.
    pub record: AuditRecord,
    /// The link that this row makes.
    pub link: [u8; 32],
}

/// One step of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Writes a grant. `expect` is the revision it replaces; 0 when it must not exist.
    PutAccreditation {
        /// The grant.
        value: Box<Accreditation>,
        /// Revision that must be the current one.
        expect: u64,
    },
    /// Deletes a grant.
    DeleteAccreditation {
        /// Which.
        id: AccreditationId,
        /// Revision that must be the current one.
        expect: u64,
    },
    /// Appends to the audit trail.
    AppendAudit(Box<AuditRecord>),
    /// Counts one use.
    CountUse(UsageKey),
    /// Writes an API key, new or changed.
    PutApiKey {
        /// The key.
        value: Box<ApiKeyRecord>,
        /// What must be stored now, so that a key that was ended meanwhile is not brought back; `None` when there
        /// must be none.
        expect: Option<Box<ApiKeyRecord>>,
    },
    /// Adds to what is known of a key's use: the later `last_used` stays; `count` is added when the day is the one
    /// that is kept, replaces it when the day is later, and is dropped when it is the day before. What is kept of a
    /// day further ahead was written by a clock that was wrong, and is replaced.
    CountKeyUse(KeyUse),
    /// Remembers an answered application. [`StoreError::Conflict`] when the owner's key is
    /// remembered already and has not expired at `now`.
    PutIdempotency {
        /// What to remember.
        value: Box<IdempotencyRecord>,
        /// The moment that decides whether an older one has expired.
        now: Timestamp,
    },
    /// Forgets every remembered application that expired before this moment.
    ForgetIdempotency(Timestamp),
    /// Keeps a proof. [`StoreError::Conflict`] when there is one of the same release.
    KeepProof {
        /// What to keep.
        value: Box<ProofRecord>,
        /// Only so many of those kept last stay, this one among them: the oldest go. At least 1.
        count_max: u32,
    },
    /// Forgets every proof that expired before this moment.
    ForgetProofs(Timestamp),
}

impl Write {
    /// Writes an API key that is new.
    #[must_use]
    pub fn new_api_key(value: ApiKeyRecord) -> Self {
        Self::PutApiKey {
            value: Box::new(value),
            expect: None,
        }
    }

    /// Writes an API key in the place of what was read of it.
    #[must_use]
    pub fn change_api_key(value: ApiKeyRecord, read: ApiKeyRecord) -> Self {
        Self::PutApiKey {
            value: Box::new(value),
            expect: Some(Box::new(read)),
        }
    }
}

/// Steps that happen together, in order, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch(pub Vec<Write>);

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// A revision was not the expected one; nothing was written.
    Conflict,
    /// Full, closed, or too many waiting; nothing was written. For the log.
    Unavailable(String),
    /// Something stored cannot be read. For the log.
    Corrupt(String),
}

/// Keeps state. All reads see whole batches only.
pub trait Store: Send + Sync {
    /// A grant by its identifier, whoever owns it.
    ///
    /// # Errors
    /// [`StoreError`]; "not there" is `None`.
    fn accreditation<'a>(
        &'a self,
        id: &'a AccreditationId,
    ) -> PortFuture<'a, Result<Option<Stored<Accreditation>>, StoreError>>;

    /// Grants that match, ordered by last change, then by identifier.
    ///
    /// # Errors
    /// [`StoreError`]; none is an empty list.
    fn accreditations<'a>(
        &'a self,
        filter: &'a AccreditationFilter,
    ) -> PortFuture<'a, Result<Vec<Stored<Accreditation>>, StoreError>>;

    /// Grants of any owner whose validity ended before this moment, the longest ended first, at most
    /// `count_max`. For retention.
    ///
    /// # Errors
    /// [`StoreError`]; none is an empty list.
    fn ended(
        &self,
        before: Timestamp,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<Stored<Accreditation>>, StoreError>>;

    /// A remembered application of this owner, whether or not it has expired.
    ///
    /// # Errors
    /// [`StoreError`]; "not there" is `None`.
    fn idempotency<'a>(
        &'a self,
        owner: OrgNumber,
        key_digest: &'a [u8; 32],
    ) -> PortFuture<'a, Result<Option<IdempotencyRecord>, StoreError>>;

    /// The proof of a release, whoever it was for, and whether or not it has expired.
    ///
    /// # Errors
    /// [`StoreError`]; "not there" is `None`.
    fn proof<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<Option<ProofRecord>, StoreError>>;

    /// An API key by its public identifier.
    ///
    /// # Errors
    /// [`StoreError`]; "not there" is `None`.
    fn api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>>;

    /// Every API key, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>>;

    /// What is known of the use of this key, or of every key, ordered by identifier.
    ///
    /// # Errors
    /// [`StoreError`]; a key never used is not in the list.
    fn key_uses<'a>(
        &'a self,
        id: Option<&'a str>,
    ) -> PortFuture<'a, Result<Vec<KeyUse>, StoreError>>;

    /// Counts of the months from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`StoreError`].
    fn usage(&self, first: i32, last: i32) -> PortFuture<'_, Result<Vec<UsageRow>, StoreError>>;

    /// Rows of the audit trail from `first` on, at most `count_max`.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] when a link does not follow from its row.
    fn audit(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<StoredAudit>, StoreError>>;

    /// Whether writes are possible right now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when not.
    fn ready(&self) -> PortFuture<'_, Result<(), StoreError>>;

    /// The only write: all steps in order, or none. Durable once it returns `Ok`. Dropping the
    /// future leaves it open whether the batch was written; never half of it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written.
    fn commit<'a>(&'a self, batch: &'a Batch) -> PortFuture<'a, Result<(), StoreError>>;
}
