//! The public half of a P-256 key: checks ES256 signatures and knows its own fingerprint.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dan_json::digest::sha256;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

/// Length of an ES256 signature: r and s, 32 bytes each, big-endian (RFC 7518 §3.4, RFC 9053 §2.1).
pub const SIGNATURE_BYTES: usize = 64;
/// Length of one coordinate of a P-256 point, in bytes.
pub const COORDINATE_BYTES: usize = 32;

/// A point on P-256 that checks signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key that a private one belongs to.
    #[must_use]
    pub const fn new(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// From big-endian coordinates; `None` when they are not a point of the curve.
    #[must_use]
    pub fn from_coordinates(
        x: &[u8; COORDINATE_BYTES],
        y: &[u8; COORDINATE_BYTES],
    ) -> Option<Self> {
        /// SEC 1 §2.3.3: both coordinates follow.
        const UNCOMPRESSED: u8 = 4;
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        VerifyingKey::from_sec1_bytes(&point).ok().map(Self)
    }

    /// True when `signature` is this key's ES256 signature of `message`.
    ///
    /// As RFC 7518 demands no canonical s, (r, n − s) counts too: a signature is not an identifier.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }

    /// The coordinates in base64url, as a JWK has them (RFC 7518 §6.2.1).
    #[must_use]
    pub fn coordinates_text(&self) -> (String, String) {
        let point = self.0.to_sec1_point(false);
        let coordinates = point.as_bytes().get(1..).unwrap_or_default();
        let (x, y) = coordinates
            .split_at_checked(COORDINATE_BYTES)
            .unwrap_or_default();
        (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
    }

    /// Base64url SHA-256 of the key itself (RFC 7638): the same for everyone who holds the key.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.coordinates_text();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()))
    }
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
        let public = *key(1).public();
        assert!(!public.verifies(b"", &[0; 64]));
        assert!(!public.verifies(b"", &[0xff; 64]));
    }

    #[test]
    fn the_thumbprint_tells_keys_apart() {
        assert_eq!(key(1).public().thumbprint().len(), 43);
        assert_ne!(key(1).public().thumbprint(), key(2).public().thumbprint());
    }
}
