//! Makes envelopes: private keys, the ring of those that sign, and what is published of them.
//!
//! [`RingSigner`] is the core's `Signer` over a [`key_ring::KeyRing`] of P-256 keys. The formats,
//! and how an answer is checked, are in `dan_verify`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use dan_core::ports::{CallContext, Entropy, EnvelopeFormat, Signer};
//! use dan_core::statement::{hex, sha256};
//! use dan_core::time::Timestamp;
//! use dan_sign::key_ring::KeySpec;
//! use dan_sign::soft_key::SoftKey;
//! use dan_sign::{RingSigner, SignConfig};
//! use dan_verify::verify_detached;
//!
//! # struct Fixed;
//! # impl Entropy for Fixed {
//! #     fn fill(&self, out: &mut [u8]) { out.fill(7); }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let entropy = Fixed;
//! let now = Timestamp::from_ms(1_800_000_000_000);
//! let key = SoftKey::generate(&entropy)?;
//! let spec = KeySpec { kid: Some("2027-01".to_owned()), ..KeySpec::new(key.to_pem()?) };
//! let signer = RingSigner::new(&SignConfig { keys: vec![spec] }, now)?;
//!
//! let body = b"{\"name\":\"Example\"}";
//! let statement = format!(
//!     r#"{{"SHA256PayloadDigest":"{}","iat":{}}}"#,
//!     hex(&sha256(body)),
//!     now.as_seconds(),
//! );
//! # let ctx = CallContext {
//! #     request_id: Arc::from("r"),
//! #     deadline: tokio::time::Instant::now(),
//! # };
//! let signature = signer
//!     .sign(statement.as_bytes(), EnvelopeFormat::Jwt, now, &ctx)
//!     .await
//!     .map_err(|error| error.0)?;
//! let signature = String::from_utf8(signature)?;
//!
//! let verified = verify_detached(body, &signature, &signer.key_set(now))?;
//! assert_eq!(verified.kid, "2027-01");
//! assert!(verify_detached(b"another body", &signature, &signer.key_set(now)).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! To add a signer whose key lies elsewhere (an HSM, a key service), implement `Signer` beside
//! [`RingSigner`]: `dan_verify::jws` and `dan_verify::cose` show which bytes are signed.

pub mod key_ring;
pub mod pem;
pub mod soft_key;
#[cfg(test)]
mod testing;

use dan_core::ports::{CallContext, EnvelopeFormat, PortFuture, SignError, Signer};
use dan_core::time::Timestamp;
use dan_verify::jws::Purpose;
use dan_verify::{cose, jws};

use crate::key_ring::{KeyRing, KeySpec, RingError};

/// Largest payload that is signed, in bytes. What is made from it can always be verified:
/// base64url makes it a third larger, which stays under [`jws::COMPACT_BYTES_MAX`].
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Keys to sign with.
#[derive(Debug)]
pub struct SignConfig {
    /// Newest first: the first that is active signs, all are published.
    pub keys: Vec<KeySpec>,
}

/// Signs ES256 with keys in memory.
#[derive(Debug)]
pub struct RingSigner {
    ring: KeyRing,
}

impl RingSigner {
    /// Reads the keys. `now` is the moment at which one of them must be able to sign.
    ///
    /// # Errors
    /// [`RingError`]: what is wrong with which key.
    pub fn new(config: &SignConfig, now: Timestamp) -> Result<Self, RingError> {
        let ring = KeyRing::new(&config.keys, now)?;
        Ok(Self { ring })
    }

    /// The keys.
    #[must_use]
    pub const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    fn sign_now(
        &self,
        payload: &[u8],
        format: EnvelopeFormat,
        now: Timestamp,
    ) -> Result<Vec<u8>, SignError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let size = payload.len();
            return Err(SignError(format!(
                "{size} bytes are more than the {PAYLOAD_BYTES_MAX} that can be signed"
            )));
        }
        let active = self
            .ring
            .active(now)
            .ok_or_else(|| SignError(RingError::NoneActive.to_string()))?;
        match format {
            EnvelopeFormat::Jwt => {
                jws::sign(&active.jwt_header, payload, &active.key).map(String::into_bytes)
            }
            EnvelopeFormat::Jose => {
                jws::sign(&active.jose_header, payload, &active.key).map(String::into_bytes)
            }
            EnvelopeFormat::Cose => cose::sign(&active.cose_header, payload, &active.key),
            // A few a second at most: not worth a header kept ready.
            EnvelopeFormat::Head => {
                let kid = self.ring.active_kid(now).unwrap_or_default();
                let header = jws::header(Purpose::Head, kid);
                jws::sign(&header, payload, &active.key).map(String::into_bytes)
            }
        }
        .map_err(SignError)
    }
}

impl Signer for RingSigner {
    /// Coming keys are in it from the start and retired ones for ever, so `now` changes nothing.
    fn key_set(&self, _now: Timestamp) -> String {
        self.ring.published().to_owned()
    }

    fn active_kid(&self, now: Timestamp) -> Option<String> {
        self.ring.active_kid(now).map(str::to_owned)
    }

    /// Takes tens of microseconds of processor time and waits for nothing: done at once, before the
    /// future is polled, whatever the deadline.
    fn sign<'a>(
        &'a self,
        payload: &'a [u8],
        format: EnvelopeFormat,
        now: Timestamp,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(std::future::ready(self.sign_now(payload, format, now)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::{key, spec};
    use dan_core::statement::{hex, sha256};
    use dan_verify::{VerifyError, verify_cose, verify_detached, verify_head, verify_jose};

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_500);

    fn context() -> CallContext {
        CallContext {
            request_id: Arc::from("r"),
            deadline: tokio::time::Instant::now(),
        }
    }

    async fn signed(signer: &RingSigner, format: EnvelopeFormat, now: Timestamp) -> Vec<u8> {
        let payload = payload(b"body", now);
        let ctx = context();
        let outcome = signer.sign(payload.as_bytes(), format, now, &ctx).await;
        outcome.unwrap()
    }

    fn payload(body: &[u8], now: Timestamp) -> String {
        let digest = hex(&sha256(body));
        let iat = now.as_seconds();
        format!(r#"{{"SHA256PayloadDigest":"{digest}","iat":{iat},"dataset":"D"}}"#)
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    fn signer(keys: Vec<KeySpec>) -> RingSigner {
        RingSigner::new(&SignConfig { keys }, NOW).unwrap()
    }

    #[tokio::test]
    async fn every_format_verifies_with_what_is_published() {
        let signer = signer(vec![spec(1, "new"), spec(2, "old")]);
        let jwks = signer.key_set(NOW);
        let jwt = signed(&signer, EnvelopeFormat::Jwt, NOW).await;
        let jose = signed(&signer, EnvelopeFormat::Jose, NOW).await;
        let cose = signed(&signer, EnvelopeFormat::Cose, NOW).await;
        for verified in [
            verify_detached(b"body", text(&jwt), &jwks),
            verify_detached(b"body", &format!("{}\n", text(&jwt)), &jwks),
            verify_jose(text(&jose), &jwks),
            verify_cose(&cose, &jwks),
        ] {
            let verified = verified.unwrap();
            assert_eq!(verified.kid, "new");
            assert_eq!(verified.claims["dataset"], "D");
            assert_eq!(verified.claims["iat"], NOW.as_seconds());
        }
    }

    #[tokio::test]
    async fn the_payload_of_a_jws_is_what_was_given_byte_for_byte() {
        let signer = signer(vec![spec(1, "k")]);
        let odd = b"{ \"a\" : 1.0e0,\"b\":\"\\u00e5\"}";
        let outcome = signer.sign(odd, EnvelopeFormat::Jwt, NOW, &context()).await;
        let outcome = outcome.unwrap();
        let jws = jws::parse(text(&outcome)).unwrap();
        assert_eq!(jws.verify(key(1).public()).unwrap(), odd);
    }

    #[tokio::test]
    async fn a_format_is_not_taken_for_another() {
        let signer = signer(vec![spec(1, "k")]);
        let jwks = signer.key_set(NOW);
        let jwt = signed(&signer, EnvelopeFormat::Jwt, NOW).await;
        let jose = signed(&signer, EnvelopeFormat::Jose, NOW).await;
        let head = signed(&signer, EnvelopeFormat::Head, NOW).await;
        assert!(verify_head(text(&head), &jwks).is_ok());
        for outcome in [
            verify_detached(b"body", text(&jose), &jwks),
            verify_jose(text(&jwt), &jwks),
            verify_detached(b"body", text(&head), &jwks),
            verify_jose(text(&head), &jwks),
            verify_head(text(&jwt), &jwks),
            verify_head(text(&jose), &jwks),
        ] {
            assert!(matches!(outcome, Err(VerifyError::WrongType { .. })));
        }
        assert!(verify_cose(&jwt, &jwks).is_err());
    }

    #[tokio::test]
    async fn nothing_is_signed_when_no_key_is_active() {
        let retires = KeySpec {
            retired_at: Some(NOW.plus_ms(1)),
            ..spec(1, "k")
        };
        let signer = signer(vec![retires]);
        let ctx = context();
        let outcome = signer.sign(b"{}", EnvelopeFormat::Jwt, NOW, &ctx).await;
        assert!(outcome.is_ok());
        let later = NOW.plus_ms(1);
        let outcome = signer.sign(b"{}", EnvelopeFormat::Jwt, later, &ctx).await;
        assert!(outcome.unwrap_err().0.contains("no signing key may sign"));
    }

    #[tokio::test]
    async fn what_could_not_be_verified_is_not_signed() {
        let signer = signer(vec![spec(1, "k")]);
        let ctx = context();
        let huge = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        for format in [
            EnvelopeFormat::Jwt,
            EnvelopeFormat::Jose,
            EnvelopeFormat::Cose,
        ] {
            assert!(signer.sign(&huge, format, NOW, &ctx).await.is_err());
        }
    }

    #[tokio::test]
    async fn answers_of_before_during_and_after_a_rotation_verify_for_ever() {
        let switch = NOW.plus_ms(10_000);
        let new = || KeySpec {
            signs_from: Some(switch),
            ..spec(1, "new")
        };
        let old = || KeySpec {
            retired_at: Some(switch.plus_ms(5_000)),
            ..spec(2, "old")
        };
        let before = signer(vec![spec(2, "old")]);
        let during = signer(vec![new(), old()]);
        let keys = vec![new(), old()];
        let after = RingSigner::new(&SignConfig { keys }, NOW.plus_days(9_000)).unwrap();
        for (signer, now, kid) in [
            (&before, NOW, "old"),
            (&during, NOW, "old"),
            (&during, switch.plus_ms(-1), "old"),
            (&during, switch, "new"),
            (&after, NOW.plus_days(9_000), "new"),
        ] {
            let jwt = signed(signer, EnvelopeFormat::Jwt, now).await;
            let cose = signed(signer, EnvelopeFormat::Cose, now).await;
            for set in [&during, &after] {
                let jwks = set.key_set(now);
                let verified = verify_detached(b"body", text(&jwt), &jwks).unwrap();
                assert_eq!(verified.kid, kid, "{now}");
                assert_eq!(verify_cose(&cose, &jwks).unwrap().kid, kid, "{now}");
            }
        }
    }

    #[tokio::test]
    async fn a_statement_dated_outside_the_time_of_its_key_is_refused() {
        let limited = KeySpec {
            signs_from: Some(NOW.plus_ms(-1_000_000)),
            retired_at: Some(NOW),
            ..spec(2, "old")
        };
        let jwks = signer(vec![spec(1, "new"), limited]).key_set(NOW);
        // Whoever has the old key signs with it later.
        let rogue = signer(vec![spec(2, "old")]);
        let from = NOW.plus_ms(-1_000_000);
        for (now, expected) in [
            (from.plus_ms(-61_000), Some("not in use before")),
            (from.plus_ms(-60_000), None),
            (from, None),
            (NOW, None),
            (NOW.plus_ms(1_000), Some("was retired at")),
            (NOW.plus_days(1), Some("was retired at")),
        ] {
            let jwt = signed(&rogue, EnvelopeFormat::Jwt, now).await;
            let jose = signed(&rogue, EnvelopeFormat::Jose, now).await;
            let cose = signed(&rogue, EnvelopeFormat::Cose, now).await;
            for outcome in [
                verify_detached(b"body", text(&jwt), &jwks),
                verify_jose(text(&jose), &jwks),
                verify_cose(&cose, &jwks),
            ] {
                match expected {
                    None => assert!(outcome.is_ok(), "{now} {outcome:?}"),
                    Some(words) => {
                        let why = outcome.unwrap_err().to_string();
                        assert!(why.contains(words), "{now} {why}");
                    }
                }
            }
        }
    }
}
