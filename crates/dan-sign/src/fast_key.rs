//! A private key on P-256 that the TLS library signs with: four times as fast as [`SoftKey`].
//!
//! Its signatures are not repeatable: the library draws a nonce for each, from its own generator.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use dan_core::ports::SignError;
use dan_verify::public_key::PublicKey;

use crate::private_key::{KeyError, PrivateKey};
use crate::soft_key::SoftKey;

/// A P-256 private key held by the library, which wipes it when it is dropped.
pub struct FastKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl FastKey {
    /// Takes over a key that was read.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] when the library does not take it, which no P-256 key is.
    pub fn new(key: &SoftKey) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            key.scalar().as_slice(),
            &key.point(),
        );
        Ok(Self {
            pair: pair.ok().ok_or(KeyError::Damaged)?,
            public: key.public().clone(),
        })
    }
}

impl PrivateKey for FastKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // The library draws from its own generator and takes this one for its form only.
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_unspecified| SignError("the library did not sign".to_owned()))
    }
}

impl fmt::Debug for FastKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FastKey({})", self.public.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::self_test;
    use crate::testing::key;

    #[test]
    fn it_is_the_same_key_as_the_one_it_was_made_from() {
        let fast = FastKey::new(&key(1)).unwrap();
        assert_eq!(fast.public(), key(1).public());
        assert_eq!(self_test(&fast), Ok(()));
        let signature = fast.sign(b"message").unwrap();
        assert!(key(1).public().verifies(b"message", &signature));
        assert!(!key(2).public().verifies(b"message", &signature));
        assert!(!key(1).public().verifies(b"massage", &signature));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let fast = FastKey::new(&key(1)).unwrap();
        let expected = format!("FastKey({})", key(1).public().thumbprint());
        assert_eq!(format!("{fast:?}"), expected);
    }
}
