//! An RSA private key in memory, for consumers that pin an enterprise certificate: RS256.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use dan_core::ports::SignError;
use dan_core::secret::Secret;
use dan_verify::public_key::PublicKey;

use crate::pem::{self, KeyPem};
use crate::private_key::{KeyError, PrivateKey};

/// Bits of a key that is made here. NIST SP 800-57: good beyond 2030.
const MADE: KeySize = KeySize::Rsa3072;

/// An RSA private key of 2048 to 8192 bits, which the library wipes when it is dropped.
pub struct RsaKey {
    pair: KeyPair,
    public: PublicKey,
}

impl RsaKey {
    /// Reads PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`) PEM, as
    /// [`SoftKey::from_pem`](crate::soft_key::SoftKey::from_pem) does.
    ///
    /// # Errors
    /// [`KeyError`], which says what was found instead.
    pub fn from_pem(text: &Secret) -> Result<Self, KeyError> {
        match pem::read(text)? {
            KeyPem::Rsa(key) => Ok(key),
            KeyPem::P256(_) => Err(KeyError::Unsupported(
                "this is a P-256 key, where an RSA key is needed",
            )),
            KeyPem::Public(_) => Err(KeyError::PublicOnly),
        }
    }

    /// A new key of 3072 bits, from the library's own randomness: it takes none from outside. Takes
    /// some tenths of a second.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] when the library makes none.
    pub fn generate() -> Result<Self, KeyError> {
        Self::of(KeyPair::generate(MADE).ok().ok_or(KeyError::Entropy)?)
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Self::of(KeyPair::from_pkcs8(der).ok().ok_or(KeyError::Rsa)?)
    }

    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        Self::of(KeyPair::from_der(der).ok().ok_or(KeyError::Rsa)?)
    }

    fn of(pair: KeyPair) -> Result<Self, KeyError> {
        let half = pair.public_key();
        let public = PublicKey::from_rsa(
            half.modulus().big_endian_without_leading_zero(),
            half.exponent().big_endian_without_leading_zero(),
        );
        let public = public.ok_or(KeyError::Rsa)?;
        Ok(Self { pair, public })
    }

    /// The key as PKCS#8 PEM, unencrypted, for a file that only the node can read.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] when it cannot be encoded, which no RSA key ever is.
    pub fn to_pem(&self) -> Result<Secret, KeyError> {
        let der: Result<Pkcs8V1Der<'_>, _> = self.pair.as_der();
        let der = der.ok().ok_or(KeyError::Damaged)?;
        Ok(pem::write("PRIVATE KEY", der.as_ref()))
    }
}

impl PrivateKey for RsaKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_unspecified| SignError("the library did not sign".to_owned()))?;
        Ok(signature)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", self.public.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::self_test;
    use crate::testing::rsa;

    #[test]
    fn a_generated_key_has_3072_bits_and_survives_its_file() {
        let made = RsaKey::generate().unwrap();
        assert_eq!(made.public().rsa().unwrap().0.len(), 384);
        let text = made.to_pem().unwrap();
        assert!(text.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(text.expose().lines().all(|line| line.len() <= 64));
        let read = RsaKey::from_pem(&text).unwrap();
        assert_eq!(read.public(), made.public());
        assert_eq!(self_test(&read), Ok(()));
        assert_eq!(read.sign(b"x").unwrap(), made.sign(b"x").unwrap());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let key = rsa();
        let expected = format!("RsaKey({})", key.public().thumbprint());
        assert_eq!(format!("{key:?}"), expected);
    }
}
