//! [`Unsigned`]: everything of an envelope but its signature, so that the key can be asked elsewhere.

use dan_core::ports::{EnvelopeFormat, EvidencePart, SignError, Signable};
use dan_verify::payload::{self, Evidence};
use dan_verify::{cose, jws};

use crate::PAYLOAD_BYTES_MAX;
use crate::key_ring::ActiveKey;

/// An envelope that waits for its signature.
pub(crate) enum Unsigned {
    /// `header.payload`.
    Jws(String),
    /// Protected header and payload.
    Cose(Vec<u8>, Vec<u8>),
}

impl Unsigned {
    /// Under the headers of `key`, which must be one for this format.
    ///
    /// # Errors
    /// [`SignError`]: too large, no JSON object, or evidence where the format has no place for it.
    pub(crate) fn new(
        signable: &Signable<'_>,
        format: EnvelopeFormat,
        key: &ActiveKey,
    ) -> Result<Self, SignError> {
        let evidence_bytes = match signable.evidence {
            Some(EvidencePart::Json(body) | EvidencePart::Bytes(body)) => body.len(),
            None => 0,
        };
        fits(signable.statement.len().saturating_add(evidence_bytes))?;
        let evidence = signable.evidence.map(|part| match part {
            EvidencePart::Json(body) => Evidence::Json(body),
            EvidencePart::Bytes(body) => Evidence::Bytes(body),
        });
        match format {
            EnvelopeFormat::Jwt => {
                if evidence.is_some() {
                    return Err(SignError("a JWT carries no evidence".to_owned()));
                }
                let payload = signable.statement.as_bytes();
                Ok(Self::Jws(jws::signing_input(&key.jwt_header, payload)))
            }
            EnvelopeFormat::Jose => {
                let payload = payload::jose(signable.statement, evidence).map_err(SignError)?;
                fits(payload.len())?;
                let input = jws::signing_input(&key.jose_header, payload.as_bytes());
                Ok(Self::Jws(input))
            }
            EnvelopeFormat::Cose => {
                let payload = payload::cose(signable.statement, evidence).map_err(SignError)?;
                fits(payload.len())?;
                let protected = key.cose_header.clone();
                let protected =
                    protected.ok_or_else(|| SignError("the key makes no COSE_Sign1".to_owned()))?;
                Ok(Self::Cose(protected, payload))
            }
        }
    }

    /// The envelope. May wait for a device.
    ///
    /// # Errors
    /// [`SignError`]: why the key did not sign.
    pub(crate) fn sign(self, key: &ActiveKey) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Jws(input) => {
                let signature = key.key.sign(input.as_bytes())?;
                Ok(jws::attach(input, &signature).into_bytes())
            }
            Self::Cose(protected, payload) => {
                let input = cose::signing_input(&protected, &payload).map_err(SignError)?;
                let signature = key.key.sign(&input)?;
                cose::attach(&protected, &payload, &signature).map_err(SignError)
            }
        }
    }
}

fn fits(size: usize) -> Result<(), SignError> {
    if size <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(SignError(format!(
        "{size} bytes are more than the {PAYLOAD_BYTES_MAX} that can be signed"
    )))
}
