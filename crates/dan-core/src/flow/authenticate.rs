//! Bytes become a [`Caller`]: every authenticator looks, one function joins what they found.

use std::sync::Arc;

use crate::caller::Caller;
use crate::error::{Code, Fault};
use crate::ports::{AuthError, Authenticator, CallContext, Credentials};

/// Asks each authenticator in turn and joins the proofs.
///
/// # Errors
/// 1023 when something is missing, 1024 when something is not valid, 1019 when proofs differ or may
/// not come in, 1029 after too many wrong keys, 1013 when an issuer or the store is out of reach.
pub async fn authenticate(
    chain: &[Arc<dyn Authenticator>],
    presented: &Credentials,
    ctx: &CallContext,
) -> Result<Caller, Fault> {
    let mut proofs = Vec::with_capacity(chain.len());
    for authenticator in chain {
        proofs.extend(authenticator.authenticate(presented, ctx).await?);
    }
    Caller::join(proofs)
}

/// The peer learns the class; the reason is for the log.
impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Rejected(reason) => Self::new(Code::InvalidAccessToken).because(reason),
            AuthError::Forbidden(reason) => Self::with(Code::AuthorizationFailed, reason),
            AuthError::Throttled { retry_after_s } => Self::with(
                Code::QuotaExceeded,
                "too many wrong API keys from this address",
            )
            .retry_after(retry_after_s),
            AuthError::Undecided(reason) => Self::with(
                Code::ServiceNotAvailable,
                "who calls cannot be checked right now",
            )
            .because(reason),
        }
    }
}
