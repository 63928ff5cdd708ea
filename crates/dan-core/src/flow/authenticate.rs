//! Bytes become a [`Caller`]: every authenticator looks, one function joins what they found.

use std::sync::Arc;

use crate::caller::{Caller, Proof};
use crate::error::{Code, Fault};
use crate::ports::{AuthError, Authenticator, CallContext, Credentials};

/// Asks each authenticator in turn and joins the proofs.
///
/// # Errors
/// 1023 when something is missing, 1024 when something is not valid, 1019 when proofs differ or may
/// not come in, 1000 for a certificate that is not valid, 1029 after too many wrong keys, 1013 when an
/// issuer or the store is out of reach.
pub async fn authenticate(
    chain: &[Arc<dyn Authenticator>],
    presented: &Credentials,
    ctx: &CallContext,
) -> Result<Caller, Fault> {
    Caller::join(prove(chain, presented, ctx).await?)
}

/// Everything that a request proves. The first of the chain looks for the API key: without a key
/// there is no caller, so nobody else is asked, and a stranger costs no signature check and no
/// question to an issuer.
///
/// # Errors
/// The first [`AuthError`]: one bad proof is not made good by another.
pub async fn prove(
    chain: &[Arc<dyn Authenticator>],
    presented: &Credentials,
    ctx: &CallContext,
) -> Result<Vec<Proof>, AuthError> {
    let mut proofs = Vec::with_capacity(chain.len());
    for authenticator in chain {
        proofs.extend(authenticator.authenticate(presented, ctx).await?);
        if proofs.is_empty() {
            break;
        }
    }
    Ok(proofs)
}

/// The peer learns the class; the reason is for the log.
impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Rejected(reason) => Self::new(Code::InvalidAccessToken).because(reason),
            AuthError::BadCertificate(reason) => {
                Self::new(Code::InvalidCertificate).because(reason)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_learns_the_class_and_not_the_reason() {
        let why = "10.0.0.1 says kid 7".to_owned();
        for (error, code, status, retry_after_s) in [
            (AuthError::Rejected(why.clone()), 1024, 401, None),
            (
                AuthError::Throttled { retry_after_s: 7 },
                1029,
                429,
                Some(7),
            ),
            (AuthError::BadCertificate(why.clone()), 1000, 401, None),
            (AuthError::Undecided(why), 1013, 503, None),
        ] {
            let fault = Fault::from(error);
            assert_eq!((fault.code.number(), fault.status), (code, status));
            assert_eq!(fault.retry_after_s, retry_after_s);
            assert!(!fault.description().contains("kid"));
        }
    }
}
