//! The certificates that say whose key it is: read, held against the key, and shown as `x5c`.
//!
//! The chain is not judged. Whoever pins it or trusts its root does that; we only see to it that the
//! first certificate is the one of the key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::time::Timestamp;
use dan_verify::public_key::PublicKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::pem::blocks;

/// How many certificates a chain may have.
pub const CHAIN_MAX: usize = 4;
/// Bytes of all certificates of a chain together, in DER. They stand in the header of every
/// signature, and many servers and proxies take no head beyond 16 KiB.
pub const CHAIN_BYTES_MAX: usize = 6 * 1024;

/// Certificates of a key, its own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    ders: Vec<Vec<u8>>,
    not_after: Timestamp,
}

/// Why certificates are not those of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// No PEM, or PEM without a certificate.
    NoCertificate,
    /// More than [`CHAIN_MAX`] certificates, or [`CHAIN_BYTES_MAX`] bytes.
    TooLong,
    /// A certificate cannot be read.
    Damaged,
    /// The first certificate holds another public key.
    OtherKey,
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("the file holds no certificate in PEM form"),
            Self::TooLong => write!(
                f,
                "the chain has more than {CHAIN_MAX} certificates or {CHAIN_BYTES_MAX} bytes; it stands in the header of \
                 every answer: leave out the root, or keep only the key's own certificate"
            ),
            Self::Damaged => f.write_str("the file holds a certificate that cannot be read"),
            Self::OtherKey => f.write_str(
                "the first certificate is not that of the key; put the key's own certificate first",
            ),
        }
    }
}

impl Chain {
    /// Reads the certificates of a PEM text; other blocks are passed over.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn read(text: &str, key: &PublicKey) -> Result<Self, ChainError> {
        let blocks = blocks(text).ok().ok_or(ChainError::NoCertificate)?;
        let mut ders = Vec::new();
        for (label, content) in blocks {
            if label == "CERTIFICATE" {
                let packed: String = content.split_ascii_whitespace().collect();
                ders.push(STANDARD.decode(packed).ok().ok_or(ChainError::Damaged)?);
            }
        }
        let size: usize = ders.iter().map(Vec::len).sum();
        if ders.len() > CHAIN_MAX || size > CHAIN_BYTES_MAX {
            return Err(ChainError::TooLong);
        }
        let mut not_after = None;
        for der in &ders {
            let parsed = X509Certificate::from_der(der);
            let (rest, parsed) = parsed.ok().ok_or(ChainError::Damaged)?;
            if !rest.is_empty() {
                return Err(ChainError::Damaged);
            }
            if not_after.is_none() {
                if public_key(parsed.public_key()).as_ref() != Some(key) {
                    return Err(ChainError::OtherKey);
                }
                let seconds = parsed.validity().not_after.timestamp();
                not_after = Some(Timestamp::from_ms(seconds.saturating_mul(1000)));
            }
        }
        let not_after = not_after.ok_or(ChainError::NoCertificate)?;
        Ok(Self { ders, not_after })
    }

    /// In DER, the key's own first.
    #[must_use]
    pub fn ders(&self) -> &[Vec<u8>] {
        &self.ders
    }

    /// When the key's own certificate ends. The key signs on; only who checks the certificate minds.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// The key in a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), where it is one that can sign here.
pub(crate) fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Option<PublicKey> {
    match info.parsed().ok()? {
        Parsed::EC(point) => PublicKey::from_point(point.data()),
        Parsed::RSA(key) => PublicKey::from_rsa(key.modulus, key.exponent),
        Parsed::DSA(_) | Parsed::GostR3410(_) | Parsed::GostR3410_2012(_) | Parsed::Unknown(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{certificate_of, key};

    #[test]
    fn a_chain_begins_with_the_certificate_of_the_key() {
        let own = certificate_of(&key(1));
        let other = certificate_of(&key(2));
        let public = key(1).public().clone();
        let chain = Chain::read(&format!("text\n{own}{other}"), &public).unwrap();
        assert_eq!(chain.ders().len(), 2);
        assert_eq!(chain.not_after().to_string(), "2035-01-01T00:00:00Z");
        let refused = |text: &str| Chain::read(text, &public).unwrap_err();
        assert_eq!(refused(&format!("{other}{own}")), ChainError::OtherKey);
        assert_eq!(refused(""), ChainError::NoCertificate);
        assert_eq!(
            refused(key(1).to_pem().unwrap().expose()),
            ChainError::NoCertificate
        );
        assert_eq!(refused(&own.repeat(CHAIN_MAX + 1)), ChainError::TooLong);
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(damaged), ChainError::Damaged);
        assert_eq!(refused(&format!("{own}{damaged}")), ChainError::Damaged);
        let cut = own.replace("-----END CERTIFICATE-----", "");
        assert_eq!(refused(&cut), ChainError::NoCertificate);
    }
}
