//! Proves who calls.

use std::net::IpAddr;
use std::sync::Arc;

use super::{CallContext, PortFuture};
use crate::caller::Proof;
use crate::secret::Secret;

/// What a request presented. Nothing of it has been believed yet.
#[derive(Debug)]
pub struct Credentials {
    /// `Ocp-Apim-Subscription-Key`, from header or query.
    pub api_key: Option<Secret>,
    /// The bearer token, without its scheme; `Arc`, since a source may be asked with it.
    pub bearer: Option<Arc<Secret>>,
    /// The client certificate. The TLS layer, ours or that of a trusted proxy, has seen that the peer holds its key;
    /// whether anybody should believe it has not been looked at.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The client's address, for limits; behind a trusted proxy the forwarded one.
    pub address: IpAddr,
}

/// A certificate and what the peer sent with it, in DER.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The peer's own.
    pub leaf: Vec<u8>,
    /// What may lie between it and a root, in the peer's order.
    pub intermediates: Vec<Vec<u8>>,
}

/// Finds one kind of proof.
pub trait Authenticator: Send + Sync {
    /// `Ok(None)`: nothing of my kind was presented; ask the next one. May be dropped at any time.
    ///
    /// # Errors
    /// [`AuthError`] when something of my kind was presented and is not good.
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>>;
}

/// Why a credential was not taken. Reasons are for the log; the peer learns only the class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// Not valid: 401 with 1024. Holds the reason for the log, never the credential.
    Rejected(String),
    /// No valid enterprise certificate: 401 with 1000. Holds the reason for the log.
    BadCertificate(String),
    /// Valid, but not allowed in: 403 with 1019, and why.
    Forbidden(String),
    /// Too many wrong tries from one address: 429 with 1029.
    Throttled {
        /// Seconds until the next try is looked at.
        retry_after_s: u32,
    },
    /// Cannot be told now, an authority is out of reach: 503 with 1013.
    Undecided(String),
}
