//! The public half of a key, on P-256 or RSA: checks signatures and knows its own fingerprint.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dan_json::digest::sha256;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

/// Length of an ES256 signature: r and s, 32 bytes each, big-endian (RFC 7518 §3.4, RFC 9053 §2.1).
pub const SIGNATURE_BYTES: usize = 64;
/// Length of one coordinate of a P-256 point, in bytes.
pub const COORDINATE_BYTES: usize = 32;
/// Shortest RSA modulus, in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// Longest RSA modulus, in bits; checking a longer one costs more than anybody needs.
pub const RSA_BITS_MAX: usize = 8192;
/// Longest public exponent of RSA, in bytes.
const RSA_EXPONENT_BYTES_MAX: usize = 4;

/// How a key signs. It is a property of the key: what a signature says of itself decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
}

impl Algorithm {
    /// Its name in JOSE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of this name, written exactly so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Whether this build can check its signatures.
    #[must_use]
    pub const fn is_available(self) -> bool {
        match self {
            Self::Es256 => true,
            Self::Rs256 => cfg!(feature = "aws-lc"),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key that checks signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    P256(VerifyingKey),
    Rsa(Rsa),
}

/// Both big-endian without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rsa {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl PublicKey {
    /// The key on P-256 that a private one belongs to.
    #[must_use]
    pub const fn new(key: VerifyingKey) -> Self {
        Self(Kind::P256(key))
    }

    /// From big-endian coordinates; `None` when they are not a point of P-256.
    #[must_use]
    pub fn from_coordinates(
        x: &[u8; COORDINATE_BYTES],
        y: &[u8; COORDINATE_BYTES],
    ) -> Option<Self> {
        /// SEC 1 §2.3.3: both coordinates follow.
        const UNCOMPRESSED: u8 = 4;
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        Self::from_point(&point)
    }

    /// From a point of P-256 in the form of SEC 1 §2.3.3; `None` when it is none.
    #[must_use]
    pub fn from_point(point: &[u8]) -> Option<Self> {
        VerifyingKey::from_sec1_bytes(point).ok().map(Self::new)
    }

    /// From modulus and public exponent, big-endian; `None` when the modulus has less than
    /// [`RSA_BITS_MIN`] or more than [`RSA_BITS_MAX`] bits, or the exponent is none that is in use
    /// (odd, from 3, at most four bytes).
    #[must_use]
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let good = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits(modulus))
            && exponent.len() <= RSA_EXPONENT_BYTES_MAX
            && exponent != [1]
            && is_odd(exponent)
            && is_odd(modulus);
        good.then(|| {
            Self(Kind::Rsa(Rsa {
                modulus: modulus.to_vec(),
                exponent: exponent.to_vec(),
            }))
        })
    }

    /// How this key signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::P256(_) => Algorithm::Es256,
            Kind::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// True when `signature` is this key's signature of `message`, in the form that a JWS has it.
    /// Never true of an RSA key in a build without [`Algorithm::is_available`].
    ///
    /// As RFC 7518 demands no canonical s, (r, n − s) counts too: a signature is not an identifier.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::P256(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Kind::Rsa(key) => key.verifies(message, signature),
        }
    }

    /// The coordinates in base64url, as a JWK has them (RFC 7518 §6.2.1); `None` of an RSA key.
    #[must_use]
    pub fn coordinates_text(&self) -> Option<(String, String)> {
        let Kind::P256(key) = &self.0 else {
            return None;
        };
        let point = key.to_sec1_point(false);
        let coordinates = point.as_bytes().get(1..)?;
        let (x, y) = coordinates.split_at_checked(COORDINATE_BYTES)?;
        Some((URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
    }

    /// Modulus and exponent, big-endian without leading zeros; `None` of a key on P-256.
    #[must_use]
    pub fn rsa(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Kind::P256(_) => None,
            Kind::Rsa(key) => Some((&key.modulus, &key.exponent)),
        }
    }

    /// Base64url SHA-256 of the key itself (RFC 7638): the same for everyone who holds the key.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let canonical = match &self.0 {
            Kind::P256(_) => {
                let (x, y) = self.coordinates_text().unwrap_or_default();
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Kind::Rsa(key) => {
                let (n, e) = key.texts();
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
        };
        URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()))
    }
}

impl Rsa {
    /// `n` and `e` of a JWK (RFC 7518 §6.3.1).
    fn texts(&self) -> (String, String) {
        (
            URL_SAFE_NO_PAD.encode(&self.modulus),
            URL_SAFE_NO_PAD.encode(&self.exponent),
        )
    }

    #[cfg(feature = "aws-lc")]
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
        let key = RsaPublicKeyComponents {
            n: self.modulus.as_slice(),
            e: self.exponent.as_slice(),
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    }

    #[cfg(not(feature = "aws-lc"))]
    const fn verifies(&self, _message: &[u8], _signature: &[u8]) -> bool {
        false
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// How many bits a number without leading zeros has.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    let unused = usize::try_from(unused).unwrap_or(usize::MAX);
    number.len().saturating_mul(8).saturating_sub(unused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    #[test]
    fn only_points_of_the_curve_are_keys() {
        assert!(PublicKey::from_coordinates(&[0; 32], &[0; 32]).is_none());
        assert!(PublicKey::from_coordinates(&[0xff; 32], &[1; 32]).is_none());
        assert!(PublicKey::from_coordinates(&[1; 32], &[1; 32]).is_none());
    }

    #[test]
    fn out_of_range_signatures_are_none() {
        let public = key(1).public().clone();
        for signature in [&[0; 64][..], &[0xff; 64], &[1; 63], &[1; 65], &[]] {
            assert!(!public.verifies(b"", signature));
        }
    }

    #[test]
    fn the_thumbprint_tells_keys_apart() {
        assert_eq!(key(1).public().thumbprint().len(), 43);
        assert_ne!(key(1).public().thumbprint(), key(2).public().thumbprint());
    }

    #[test]
    fn rsa_keys_have_2048_to_8192_bits_and_an_exponent_in_use() {
        let e = [1, 0, 1];
        let modulus = |bytes: usize, first: u8| {
            let mut modulus = vec![1; bytes];
            modulus[0] = first;
            modulus
        };
        for (bytes, first, good) in [
            (256, 0x80, true),
            (256, 0x7f, false),
            (255, 0xff, false),
            (1024, 0xff, true),
            (1025, 1, false),
        ] {
            let outcome = PublicKey::from_rsa(&modulus(bytes, first), &e);
            assert_eq!(outcome.is_some(), good, "{bytes} {first}");
        }
        let even = [vec![0x80; 256], vec![0]].concat();
        assert!(PublicKey::from_rsa(&even, &e).is_none());
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
            assert!(PublicKey::from_rsa(&modulus(256, 0x80), exponent).is_none());
        }
        let padded = [&[0, 0], modulus(256, 0x80).as_slice()].concat();
        let padded = PublicKey::from_rsa(&padded, &[0, 1, 0, 1]).unwrap();
        assert_eq!(
            Some(padded),
            PublicKey::from_rsa(&modulus(256, 0x80), &[1, 0, 1])
        );
    }

    #[test]
    fn names_of_algorithms_are_exact() {
        assert_eq!(Algorithm::from_name("RS256"), Some(Algorithm::Rs256));
        for name in ["rs256", "RS384", "PS256", "none", ""] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
