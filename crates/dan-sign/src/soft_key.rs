//! A private key on P-256 in memory, in Rust alone: wiped when dropped, mute in `Debug`.
//!
//! It reads and makes keys on every platform, and signs where the library of `fast_key` is not there.

use std::fmt;

use dan_core::ports::{Entropy, SignError};
use dan_core::secret::Secret;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use zeroize::Zeroizing;

use crate::pem::{self, KeyPem};
use crate::private_key::{KeyError, PrivateKey};
use dan_verify::Sign;
use dan_verify::public_key::{PublicKey, SIGNATURE_BYTES};

/// How often randomness is asked for a valid scalar. One in 2^32 draws misses the range.
const DRAWS_MAX: usize = 8;

/// A P-256 private key held in memory. Signs ES256 with deterministic nonces (RFC 6979).
pub struct SoftKey {
    /// Wipes its scalar when dropped.
    private: SigningKey,
    public: PublicKey,
}

impl SoftKey {
    pub(crate) fn new(private: SigningKey) -> Self {
        let public = PublicKey::new(*private.verifying_key());
        Self { private, public }
    }

    /// Reads PKCS#8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`) PEM, at most
    /// [`PEM_BYTES_MAX`](pem::PEM_BYTES_MAX) bytes. Text, parameters and certificates around the one
    /// key are passed over.
    ///
    /// # Errors
    /// [`KeyError`], which says what was found instead.
    pub fn from_pem(text: &Secret) -> Result<Self, KeyError> {
        match pem::read(text)? {
            KeyPem::P256(key) => Ok(key),
            #[cfg(feature = "aws-lc")]
            KeyPem::Rsa(_) => Err(KeyError::Unsupported(
                "this is an RSA key, where a P-256 key is needed",
            )),
            KeyPem::Public(_) => Err(KeyError::PublicOnly),
        }
    }

    /// A new key from 32 random bytes, drawn again until they are a valid scalar.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] after eight draws: what gives such bytes is not random.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, KeyError> {
        for _ in 0..DRAWS_MAX {
            let mut scalar = Zeroizing::new([0_u8; 32]);
            entropy.fill(scalar.as_mut_slice());
            if let Ok(private) = SigningKey::from_slice(scalar.as_slice()) {
                return Ok(Self::new(private));
            }
        }
        Err(KeyError::Entropy)
    }

    /// The key as PKCS#8 PEM, unencrypted, for a file that only the node can read.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] when it cannot be encoded, which no P-256 key ever is.
    pub fn to_pem(&self) -> Result<Secret, KeyError> {
        let mut text = self
            .private
            .to_pkcs8_pem(LineEnding::LF)
            .ok()
            .ok_or(KeyError::Damaged)?;
        Ok(Secret::new(std::mem::take(&mut *text)))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// ES256 over `message`: SHA-256, then ECDSA; r and s one after the other. The same message
    /// always gets the same signature.
    ///
    /// # Errors
    /// [`SignError`] when the arithmetic fails, which it does for no valid key.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignError> {
        let signature: Signature = self
            .private
            .try_sign(message)
            .map_err(|error| SignError(error.to_string()))?;
        Ok(signature.to_bytes().into())
    }

    /// The scalar, 32 bytes.
    #[cfg(feature = "aws-lc")]
    pub(crate) fn scalar(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.private.to_bytes().into())
    }

    /// The point of the public half, uncompressed (SEC 1 §2.3.3).
    #[cfg(feature = "aws-lc")]
    pub(crate) fn point(&self) -> Vec<u8> {
        let point = self.private.verifying_key().to_sec1_point(false);
        point.as_bytes().to_vec()
    }
}

impl PrivateKey for SoftKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Self::sign(self, message).map(Vec::from)
    }
}

impl Sign for SoftKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Self::sign(self, message)
            .map(Vec::from)
            .map_err(|SignError(why)| why)
    }
}

impl fmt::Debug for SoftKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftKey({})", self.public.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::self_test;
    use crate::testing::{Stuck, key};

    #[test]
    fn a_generated_key_survives_its_file() {
        let made = key(1);
        let text = made.to_pem().unwrap();
        assert!(text.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let read = SoftKey::from_pem(&text).unwrap();
        assert_eq!(read.public(), made.public());
        assert_eq!(read.sign(b"x"), made.sign(b"x"));
        assert_eq!(self_test(&read), Ok(()));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let key = key(1);
        let pem = key.to_pem().unwrap();
        let printed = format!("{key:?} {pem:?}");
        assert!(!printed.contains("BEGIN"), "{printed}");
        let secret = pem.expose().lines().nth(1).unwrap();
        assert!(!printed.contains(secret.get(..16).unwrap()), "{printed}");
        assert_eq!(
            format!("{key:?}"),
            format!("SoftKey({})", key.public().thumbprint())
        );
    }

    #[test]
    fn randomness_that_is_stuck_gives_no_key() {
        for byte in [0, 0xff] {
            assert_eq!(
                SoftKey::generate(&Stuck(byte)).unwrap_err(),
                KeyError::Entropy
            );
        }
    }

    #[test]
    fn a_draw_outside_the_range_is_drawn_again() {
        use std::sync::atomic::{AtomicU8, Ordering};
        struct SecondTime(AtomicU8);
        impl Entropy for SecondTime {
            fn fill(&self, out: &mut [u8]) {
                let before = self.0.fetch_add(1, Ordering::Relaxed);
                out.fill(if before == 0 { 0xff } else { 7 });
            }
        }
        let key = SoftKey::generate(&SecondTime(AtomicU8::new(0))).unwrap();
        assert_eq!(self_test(&key), Ok(()));
    }
}
