//! [`PrivateKey`]: one key that signs, wherever it lies; and why one cannot be used.

use std::fmt;

use dan_core::ports::SignError;
use dan_verify::public_key::{PublicKey, RSA_BITS_MAX, RSA_BITS_MIN};

use crate::{certificate, pem};

/// A private key. It signs in the algorithm of its public half: ES256 or RS256.
pub trait PrivateKey: fmt::Debug + Send + Sync {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// The signature of `message` as a JWS has it: for ES256 r and s one after the other, 64 bytes;
    /// for RS256 as many bytes as the modulus.
    ///
    /// # Errors
    /// [`SignError`]: why it did not sign, for the log.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// True when signing asks a device and waits for it: it is then called on a thread that may wait.
    fn waits(&self) -> bool {
        false
    }
}

/// Signs a fixed text and checks the signature. A key that cannot do this must neither sign nor be
/// published: what it signed, nobody could verify. A P-256 signature is checked by the pure verifier,
/// whoever made it.
///
/// # Errors
/// [`KeyError::SelfTest`].
pub fn self_test(key: &dyn PrivateKey) -> Result<(), KeyError> {
    const PROBE: &[u8] = b"dan signing key self test";
    let proven = key
        .sign(PROBE)
        .is_ok_and(|signature| key.public().verifies(PROBE, &signature));
    proven.then_some(()).ok_or(KeyError::SelfTest)
}

/// Why a key cannot be used. Never quotes key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Larger than [`pem::PEM_BYTES_MAX`].
    TooLarge,
    /// No PEM block in the text, or one that is cut off or not base64.
    NotPem,
    /// PEM, but without a key.
    NoKey,
    /// More than one key in the same text: which one is meant cannot be decided.
    SeveralKeys,
    /// Protected by a passphrase.
    Encrypted,
    /// A public key where the private one is needed.
    PublicOnly,
    /// Ed25519, another curve: what it is, in words.
    Unsupported(&'static str),
    /// A key by its label, but damaged.
    Damaged,
    /// An RSA key that is too short, too long or not consistent.
    Rsa,
    /// This build has no RSA.
    RsaUnavailable,
    /// The key does not verify its own signature.
    SelfTest,
    /// Randomness gave no valid key.
    Entropy,
    /// The certificates beside the key are not those of the key.
    Certificate(certificate::ChainError),
    /// This build cannot ask PKCS#11 modules.
    TokenUnavailable,
    /// What a PKCS#11 module answered, or does not have.
    Token(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "larger than {} bytes: no key", pem::PEM_BYTES_MAX),
            Self::NotPem => f.write_str("not PEM: a block `-----BEGIN PRIVATE KEY-----` is needed"),
            Self::NoKey => f.write_str("PEM without a key in it"),
            Self::SeveralKeys => f.write_str("more than one key in the same file"),
            Self::Encrypted => f.write_str(
                "the private key is protected by a passphrase; store it without one, readable by \
                 the node only",
            ),
            Self::PublicOnly => f.write_str("a public key; the private one is needed to sign"),
            Self::Unsupported(what) => write!(
                f,
                "{what}; only P-256 keys (ES256) and RSA keys (RS256) can sign"
            ),
            Self::Damaged => f.write_str("labelled as a key, but damaged"),
            Self::Rsa => write!(
                f,
                "an RSA key that is damaged, or not of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits"
            ),
            Self::RsaUnavailable => f.write_str(
                "this is an RSA key, and this program was built without RSA (feature `aws-lc`)",
            ),
            Self::SelfTest => f.write_str("the key does not verify its own signature"),
            Self::Entropy => f.write_str("the source of randomness gave no valid key"),
            Self::Certificate(error) => write!(f, "its certificate: {error}"),
            Self::TokenUnavailable => f.write_str(
                "a key in a PKCS#11 token, and this program was built without the feature \
                 `pkcs11`: build it with `cargo build --release --features pkcs11`",
            ),
            Self::Token(why) => write!(f, "PKCS#11: {why}"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft_key::SoftKey;
    use crate::testing::key;

    /// Has one key's public half and another one's private half.
    #[derive(Debug)]
    struct Wrong(SoftKey, SoftKey);

    impl PrivateKey for Wrong {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            PrivateKey::sign(&self.1, message)
        }
    }

    #[test]
    fn a_key_that_signs_for_another_one_fails_its_self_test() {
        assert_eq!(self_test(&Wrong(key(1), key(1))), Ok(()));
        assert_eq!(self_test(&Wrong(key(1), key(2))), Err(KeyError::SelfTest));
    }
}
