//! Makes envelopes: private keys, the ring of those that sign, and what is published of them.
//!
//! [`RingSigner`] is the core's `Signer` over a [`key_ring::KeyRing`] of P-256 and RSA keys, which can
//! be replaced while it signs. The formats, and how an answer is checked, are in `dan_verify`.
//!
//! | Key | Signs with | Feature |
//! |---|---|---|
//! | `soft_key` | `p256`, Rust alone | |
//! | `fast_key` | aws-lc-rs: P-256, four times as fast | `aws-lc` (default) |
//! | `rsa_key` | aws-lc-rs: RSA, 2048 to 8192 bits | `aws-lc` (default) |
//! | `token_key` | a PKCS#11 module: P-256 and RSA | `pkcs11` |
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
//!     .sign(statement.as_str().into(), EnvelopeFormat::Jwt, now, &ctx)
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
//! To add a key that lies elsewhere (a key service), implement [`private_key::PrivateKey`] in a file
//! of its own and give it to the ring as [`key_ring::KeySource::Held`]; end its tests with
//! `dan_core::signer_conformance!`.

pub mod certificate;
#[cfg(feature = "aws-lc")]
pub mod fast_key;
pub mod key_ring;
mod key_spec;
pub mod pem;
#[cfg(feature = "pkcs11")]
mod pkcs11_key;
pub mod private_key;
#[cfg(feature = "aws-lc")]
pub mod rsa_key;
pub mod soft_key;
#[cfg(test)]
mod testing;
pub mod token_key;
mod unsigned;

use std::sync::Arc;

use arc_swap::ArcSwap;
use dan_core::ports::{CallContext, EnvelopeFormat, PortFuture, SignError, Signable, Signer};
use dan_core::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::key_ring::{ActiveKey, KeyRing, KeySpec, RingError};
use crate::unsigned::Unsigned;

/// Largest payload that is signed, in bytes. What is made from it can always be verified:
/// base64url makes it a third larger, which stays under [`jws::COMPACT_BYTES_MAX`].
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many signatures are asked of devices at once; further ones wait.
pub const DEVICE_SIGNATURES_MAX: usize = 16;

/// Keys to sign with.
#[derive(Debug)]
pub struct SignConfig {
    /// Newest first: the first that is active signs, all are published.
    pub keys: Vec<KeySpec>,
}

/// Signs with the keys of a ring.
#[derive(Debug)]
pub struct RingSigner {
    ring: ArcSwap<KeyRing>,
    device_slots: Arc<Semaphore>,
}

impl RingSigner {
    /// Reads the keys. `now` is the moment at which one of them must be able to sign. Asks devices and
    /// waits for them: call it where waiting is allowed.
    ///
    /// # Errors
    /// [`RingError`]: what is wrong with which key.
    pub fn new(config: &SignConfig, now: Timestamp) -> Result<Self, RingError> {
        KeyRing::new(&config.keys, now).map(Self::of)
    }

    /// Signs with the keys of a ring that was made before.
    #[must_use]
    pub fn of(ring: KeyRing) -> Self {
        Self {
            ring: ArcSwap::from_pointee(ring),
            device_slots: Arc::new(Semaphore::new(DEVICE_SIGNATURES_MAX)),
        }
    }

    /// The keys that sign and are published now.
    #[must_use]
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// From now on signs with, and publishes, these keys. What is being signed is signed with the old
    /// ones; the new ones must publish them, or it cannot be verified.
    pub fn replace(&self, ring: KeyRing) {
        self.ring.store(Arc::new(ring));
    }

    async fn sign_with_device(
        &self,
        unsigned: Unsigned,
        key: Arc<ActiveKey>,
        ctx: &CallContext,
    ) -> Result<Vec<u8>, SignError> {
        let late = |_elapsed| SignError("the device did not sign before the deadline".to_owned());
        let slot = Arc::clone(&self.device_slots).acquire_owned();
        let slot = timeout_at(ctx.deadline, slot).await.map_err(late)?;
        let slot = slot.map_err(|error| SignError(error.to_string()))?;
        // Whoever stops waiting does not stop the device: the slot is free when it has answered.
        let signing = spawn_blocking(move || {
            let signed = unsigned.sign(&key);
            drop(slot);
            signed
        });
        let signed = timeout_at(ctx.deadline, signing).await.map_err(late)?;
        signed.map_err(|error| SignError(error.to_string()))?
    }
}

/// What is signed with the key that signs it now.
fn prepare<'a>(
    ring: &'a KeyRing,
    signable: &Signable<'_>,
    format: EnvelopeFormat,
    now: Timestamp,
) -> Result<(Unsigned, &'a Arc<ActiveKey>), SignError> {
    let key = ring.active(format, now).ok_or_else(|| {
        let error = match ring.active(EnvelopeFormat::Jwt, now) {
            None => RingError::NoneActive,
            Some(_) => RingError::NoneForFormat,
        };
        SignError(error.to_string())
    })?;
    let unsigned = Unsigned::new(signable, format, key)?;
    Ok((unsigned, key))
}

impl Signer for RingSigner {
    /// Coming keys are in it from the start and retired ones for ever, so `now` changes nothing.
    fn key_set(&self, _now: Timestamp) -> String {
        self.ring.load().published().to_owned()
    }

    fn can_sign(&self, format: EnvelopeFormat, now: Timestamp) -> bool {
        self.ring.load().active(format, now).is_some()
    }

    /// With a key in memory it takes tens of microseconds of processor time (RSA: a millisecond) and
    /// waits for nothing: done at once, before the future is polled, whatever the deadline. With one
    /// in a device it waits, until the deadline at most, on a thread that may wait.
    fn sign<'a>(
        &'a self,
        signable: Signable<'a>,
        format: EnvelopeFormat,
        now: Timestamp,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>> {
        let ring = self.ring.load();
        match prepare(&ring, &signable, format, now) {
            Err(error) => Box::pin(std::future::ready(Err(error))),
            Ok((unsigned, key)) if key.key.waits() => {
                Box::pin(self.sign_with_device(unsigned, Arc::clone(key), ctx))
            }
            Ok((unsigned, key)) => Box::pin(std::future::ready(unsigned.sign(key))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::key_ring::KeySource;
    use crate::private_key::PrivateKey;
    use crate::soft_key::SoftKey;
    use crate::testing::{key, spec};
    use dan_core::ports::EvidencePart;
    use dan_core::statement::{hex, sha256};
    use dan_verify::jws;
    use dan_verify::public_key::PublicKey;
    use dan_verify::{VerifyError, verify_cose, verify_detached, verify_jose};

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
        let evidence = match format {
            EnvelopeFormat::Jwt => None,
            EnvelopeFormat::Jose | EnvelopeFormat::Cose => Some(EvidencePart::Bytes(b"body")),
        };
        let signable = Signable {
            statement: &payload,
            evidence,
        };
        signer.sign(signable, format, now, &ctx).await.unwrap()
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
        let odd = r#"{ "a" : 1.0e0,"b":"\u00e5"}"#;
        let (jwt, ctx) = (EnvelopeFormat::Jwt, context());
        let outcome = signer.sign(odd.into(), jwt, NOW, &ctx).await.unwrap();
        let jws = jws::parse(text(&outcome)).unwrap();
        assert_eq!(jws.verify(key(1).public()).unwrap(), odd.as_bytes());
    }

    #[tokio::test]
    async fn a_format_is_not_taken_for_another() {
        let signer = signer(vec![spec(1, "k")]);
        let jwks = signer.key_set(NOW);
        let jwt = signed(&signer, EnvelopeFormat::Jwt, NOW).await;
        let jose = signed(&signer, EnvelopeFormat::Jose, NOW).await;
        for outcome in [
            verify_detached(b"body", text(&jose), &jwks),
            verify_jose(text(&jwt), &jwks),
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
        let outcome = signer
            .sign("{}".into(), EnvelopeFormat::Jwt, NOW, &ctx)
            .await;
        assert!(outcome.is_ok());
        let later = NOW.plus_ms(1);
        let outcome = signer
            .sign("{}".into(), EnvelopeFormat::Jwt, later, &ctx)
            .await;
        assert!(outcome.unwrap_err().0.contains("no signing key may sign"));
    }

    #[tokio::test]
    async fn what_could_not_be_verified_is_not_signed() {
        let signer = signer(vec![spec(1, "k")]);
        let ctx = context();
        let huge = " ".repeat(PAYLOAD_BYTES_MAX + 1);
        let large = vec![0; PAYLOAD_BYTES_MAX - PAYLOAD_BYTES_MAX / 8];
        for (format, evidence) in [
            (EnvelopeFormat::Jwt, None),
            (EnvelopeFormat::Jose, None),
            (EnvelopeFormat::Cose, None),
            // In base64 it is too large.
            (EnvelopeFormat::Jose, Some(EvidencePart::Bytes(&large))),
            (
                EnvelopeFormat::Cose,
                Some(EvidencePart::Bytes(huge.as_bytes())),
            ),
            // A JWT carries none.
            (EnvelopeFormat::Jwt, Some(EvidencePart::Json(b"{}"))),
        ] {
            let statement = if evidence.is_some() { "{}" } else { &huge };
            let signable = Signable {
                statement,
                evidence,
            };
            assert!(signer.sign(signable, format, NOW, &ctx).await.is_err());
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
    async fn a_ring_is_replaced_while_it_signs() {
        let signer = signer(vec![spec(2, "old")]);
        let old = signed(&signer, EnvelopeFormat::Jwt, NOW).await;
        let ring = KeyRing::new(&[spec(1, "new"), spec(2, "old")], NOW).unwrap();
        signer.replace(ring);
        let new = signed(&signer, EnvelopeFormat::Jwt, NOW).await;
        for (jwt, kid) in [(old, "old"), (new, "new")] {
            let verified = verify_detached(b"body", text(&jwt), &signer.key_set(NOW));
            assert_eq!(verified.unwrap().kid, kid);
        }
    }

    /// Signs once it is let.
    #[derive(Debug)]
    struct Stalled(SoftKey, Mutex<Receiver<()>>);

    impl PrivateKey for Stalled {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            self.1.lock().unwrap().recv().unwrap();
            PrivateKey::sign(&self.0, message)
        }

        fn waits(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_device_that_does_not_answer_is_waited_for_until_the_deadline() {
        let (let_it, wait) = channel();
        // For its self-test.
        let_it.send(()).unwrap();
        let key = Arc::new(Stalled(key(1), Mutex::new(wait)));
        let signer = signer(vec![KeySpec::new(KeySource::Held(key))]);
        let ctx = context();
        let signing = signer.sign("{}".into(), EnvelopeFormat::Jwt, NOW, &ctx);
        let why = signing.await.unwrap_err().0;
        assert!(why.contains("before the deadline"), "{why}");
        let_it.send(()).unwrap();
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
