//! Proves who calls: API keys, bearer tokens and enterprise certificates.
//!
//! Each authenticator finds one kind of [`dan_core::caller::Proof`]; [`chain`] lists them, and
//! [`dan_core::flow::authenticate`] asks them in turn and makes one caller of what they found. Reading
//! tokens ([`jwt`], [`jwk`], [`claims`]) is pure; keys of issuers come through the Fetch port and
//! API keys from the Store port. No reason that leaves this crate holds a key or a token.

pub mod api_key;
pub mod bearer;
pub mod certificate;
pub mod claims;
pub mod jwk;
pub mod jwks;
pub mod jwt;
pub mod remembered;
pub mod throttle;

use std::fmt;
use std::sync::Arc;

use dan_core::ports::{Authenticator, Clock, Fetch, Store};

pub use api_key::{ApiKey, Desk, mint};
pub use bearer::{Bearer, IssuerConfig};
pub use certificate::{CertificateConfig, EnterpriseCertificates};

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

/// Every authenticator of a node in the order in which they are asked: API keys of `store` first,
/// then bearer tokens of the issuers of `config`, then enterprise certificates where the node takes
/// them. To add one, push it behind these.
///
/// # Errors
/// [`ConfigError`] when an issuer is not set up safely.
pub fn chain(
    config: AuthConfig,
    store: Arc<dyn Store>,
    fetch: &Arc<dyn Fetch>,
    clock: &Arc<dyn Clock>,
    certificates: Option<Arc<dyn Authenticator>>,
) -> Result<Vec<Arc<dyn Authenticator>>, ConfigError> {
    let mut chain: Vec<Arc<dyn Authenticator>> = vec![
        Arc::new(ApiKey::new(store, Arc::clone(clock))),
        Arc::new(Bearer::new(config, fetch, clock)?),
    ];
    if let Some(certificates) = certificates {
        chain.push(certificates);
    }
    Ok(chain)
}
