//! Makes envelopes.

use super::{CallContext, PortFuture};
use crate::time::Timestamp;

/// How a statement is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeFormat {
    /// Compact JWS over the statement, `typ` JWT: the value of `X-Signature-JWT`.
    Jwt,
    /// Compact JWS over one JSON object with statement and evidence inside, `typ` JOSE.
    Jose,
    /// `COSE_Sign1` (RFC 9052) over one CBOR map with statement and evidence inside, ES256 only.
    Cose,
}

/// Why nothing was signed. For the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignError(pub String);

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// The text of one JSON object.
    pub statement: &'a str,
    /// What travels inside the signed object beside the statement: in [`EnvelopeFormat::Jose`] and
    /// [`EnvelopeFormat::Cose`]; `None` in every other format, whose evidence lies elsewhere.
    pub evidence: Option<EvidencePart<'a>>,
}

/// A body, byte for byte as it would leave plain.
#[derive(Clone, Copy)]
pub enum EvidencePart<'a> {
    /// Its media type says JSON.
    Json(&'a [u8]),
    /// Anything else.
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Signable<'a> {
    /// A statement by itself.
    fn from(statement: &'a str) -> Self {
        Self {
            statement,
            evidence: None,
        }
    }
}

/// Evidence is not printed: its length is.
impl std::fmt::Debug for EvidencePart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(body) => write!(f, "Json({} bytes)", body.len()),
            Self::Bytes(body) => write!(f, "Bytes({} bytes)", body.len()),
        }
    }
}

/// Signs with the active key of a ring.
///
/// `testkit::signer_suite` has what every implementation must do, as tests.
pub trait Signer: Send + Sync {
    /// JWK Set of every published key, newest first, as JSON text (RFC 7517).
    fn key_set(&self, now: Timestamp) -> String;

    /// Whether a key that may sign now can make this format: `COSE_Sign1` is ES256 only.
    fn can_sign(&self, format: EnvelopeFormat, now: Timestamp) -> bool;

    /// Signs a statement, with its evidence where the format carries it. May be called at once for
    /// many. Dropping the future is safe: nothing is kept of it.
    ///
    /// # Errors
    /// [`SignError`] when no key is active, the format does not go with the key or the evidence, the
    /// key did not answer before the deadline, or, where evidence stands beside the statement, the
    /// statement is no JSON object or has evidence already.
    fn sign<'a>(
        &'a self,
        signable: Signable<'a>,
        format: EnvelopeFormat,
        now: Timestamp,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>>;
}
