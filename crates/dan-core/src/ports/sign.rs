//! Makes envelopes.

use super::{CallContext, PortFuture};
use crate::time::Timestamp;

/// How a statement is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeFormat {
    /// Compact JWS over the JSON payload, `typ` JWT: the value of `X-Signature-JWT`.
    Jwt,
    /// Compact JWS over the JSON payload with statement and evidence inside, `typ` JOSE.
    Jose,
    /// `COSE_Sign1` (RFC 9052), ES256 only. The JSON payload is turned into CBOR first.
    Cose,
    /// Compact JWS over the JSON payload, `typ` `dan-trail-head+jwt`: a head of the audit trail.
    Head,
}

/// Why nothing was signed. For the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignError(pub String);

/// Signs with the active key of a ring.
pub trait Signer: Send + Sync {
    /// JWK Set of every published key, newest first, as JSON text (RFC 7517).
    fn key_set(&self, now: Timestamp) -> String;

    /// Name of the key that signs at this moment; `None` when none may.
    fn active_kid(&self, now: Timestamp) -> Option<String>;

    /// Signs `payload`, the UTF-8 text of one JSON object. May be called at once for many.
    ///
    /// # Errors
    /// [`SignError`] when no key is active or the format does not go with the key.
    fn sign<'a>(
        &'a self,
        payload: &'a [u8],
        format: EnvelopeFormat,
        now: Timestamp,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>>;
}
