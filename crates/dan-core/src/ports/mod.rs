//! Ports: what the core asks of the outside. Adapters implement them; `bins/` chooses.

mod auth;
mod clock;
mod consents;
mod facts;
mod fetch;
mod keys;
mod sign;
mod source;
mod store;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

pub use auth::{AuthError, Authenticator, ClientCertificate, Credentials};
pub use clock::{Clock, Entropy, random_id};
pub use consents::{ConsentError, ConsentState, Consents};
pub use facts::{Fact, FactError, FactQuery, FactTable, Facts, Unit};
pub use fetch::{Fetch, FetchError, FetchReply, FetchRequest, FetchStream, Method};
pub use keys::{
    IssuedKey, KEY_LIST_MAX, KEY_NAME_CHARS_MAX, KeyDesk, KeyError, KeyGrant, ListedKey,
    OVERLAP_DAYS_MAX,
};
pub use sign::{EnvelopeFormat, EvidencePart, SignError, Signable, Signer};
pub use source::{HarvestOrder, Source, SourceError, SourceFailure};
pub use store::{
    AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, Place, ProofRecord, Store,
    StoreError, Stored, StoredAudit, Write,
};

/// What every port method returns: a boxed future, so that ports are plain `Arc<dyn …>`.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What one request carries through every port call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Identifier of the request, for logs and sources.
    pub request_id: Arc<str>,
    /// When the answer must be there. No call invents its own.
    pub deadline: Instant,
}
