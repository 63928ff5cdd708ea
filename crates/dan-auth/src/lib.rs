//! Proves who calls: API keys and bearer tokens.
//!
//! Each authenticator finds one kind of [`Proof`]; [`Authenticators`] asks them in turn, and
//! [`dan_core::caller::Caller::join`] makes one caller of what they found, or refuses. Reading
//! tokens ([`jwt`], [`jwk`], [`claims`]) is pure; keys of issuers come through the Fetch port and
//! API keys from the Store port. No reason that leaves this crate holds a key or a token.

pub mod api_key;
pub mod bearer;
pub mod claims;
pub mod jwk;
pub mod jwks;
pub mod jwt;
mod strict_json;
pub mod throttle;

use std::fmt;
use std::sync::Arc;

use dan_core::caller::Proof;
use dan_core::error::{Code, Fault};
use dan_core::ports::{AuthError, Authenticator, CallContext, Clock, Credentials, Fetch, Store};

pub use api_key::{ApiKey, KeyGrant, mint};
pub use bearer::{Bearer, IssuerConfig};

/// What the operator says about callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// Who may vouch for a caller. With none, no bearer token is good.
    pub issuers: Vec<IssuerConfig>,
}

/// What is wrong with an [`AuthConfig`], in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Every authenticator of a node, in the order in which they are asked.
pub struct Authenticators {
    key: Arc<dyn Authenticator>,
    identities: Vec<Arc<dyn Authenticator>>,
}

impl Authenticators {
    /// API keys of `store` first, then bearer tokens of the issuers of `config`.
    ///
    /// # Errors
    /// [`ConfigError`] when an issuer is not set up safely.
    pub fn new(
        config: AuthConfig,
        store: Arc<dyn Store>,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            key: Arc::new(ApiKey::new(store, Arc::clone(clock))),
            identities: vec![Arc::new(Bearer::new(config, fetch, clock)?)],
        })
    }

    /// Asks `authenticator` too, after the others; for instance one for client certificates.
    #[must_use]
    pub fn and(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.identities.push(authenticator);
        self
    }

    /// Everything that the request proves. Without an API key nobody else is asked, for there is no
    /// caller without one: strangers cost no signature check and no question to an issuer.
    ///
    /// # Errors
    /// The first [`AuthError`]: one bad proof is not made good by another.
    pub async fn prove(
        &self,
        presented: &Credentials,
        ctx: &CallContext,
    ) -> Result<Vec<Proof>, AuthError> {
        let Some(key) = self.key.authenticate(presented, ctx).await? else {
            return Ok(Vec::new());
        };
        let mut proofs = vec![key];
        for authenticator in &self.identities {
            proofs.extend(authenticator.authenticate(presented, ctx).await?);
        }
        Ok(proofs)
    }
}

/// What the peer is told. Reasons go into the cause, which only the log sees: the peer must not
/// learn which check failed (`security.md` §3).
#[must_use]
pub fn fault_of(error: AuthError) -> Fault {
    match error {
        AuthError::Rejected(why) => Fault::new(Code::InvalidAccessToken).because(why),
        AuthError::Forbidden(why) => Fault::new(Code::AuthorizationFailed).because(why),
        AuthError::Throttled { retry_after_s } => Fault::new(Code::QuotaExceeded)
            .retry_after(retry_after_s)
            .because("too many wrong API keys from one address"),
        AuthError::Undecided(why) => Fault::new(Code::ServiceNotAvailable).because(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_learns_the_class_and_not_the_reason() {
        let why = "10.0.0.1 says kid 7".to_owned();
        for (error, code, status, retry_after_s) in [
            (AuthError::Rejected(why.clone()), 1024, 401, None),
            (AuthError::Forbidden(why.clone()), 1019, 403, None),
            (
                AuthError::Throttled { retry_after_s: 7 },
                1029,
                429,
                Some(7),
            ),
            (AuthError::Undecided(why.clone()), 1013, 503, None),
        ] {
            let fault = fault_of(error);
            assert_eq!((fault.code.number(), fault.status), (code, status));
            assert_eq!(fault.retry_after_s, retry_after_s);
            assert!(!fault.description().contains("kid"));
            assert!(fault.cause.is_some());
        }
    }
}
