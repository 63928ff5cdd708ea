//! Keys for the unit tests of this crate.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dan_core::ports::Entropy;
use dan_core::secret::Secret;

use crate::key_ring::KeySpec;
use crate::soft_key::SoftKey;

/// Randomness that always gives the same byte.
pub(crate) struct Stuck(pub(crate) u8);

impl Entropy for Stuck {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

/// A key of its own for every seed between 1 and 254.
pub(crate) fn key(seed: u8) -> SoftKey {
    SoftKey::generate(&Stuck(seed)).unwrap()
}

/// The key of this seed under a name.
pub(crate) fn spec(seed: u8, kid: &str) -> KeySpec {
    KeySpec {
        kid: Some(kid.to_owned()),
        ..KeySpec::new(key(seed).to_pem().unwrap())
    }
}

/// The public half of the key of this seed, as PEM.
pub(crate) fn public_pem(seed: u8) -> Secret {
    /// RFC 5480: id-ecPublicKey, prime256v1, an uncompressed point follows.
    const PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\
        \x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    let (x, y) = key(seed).public().coordinates_text();
    let der = [
        PREFIX,
        &URL_SAFE_NO_PAD.decode(x).unwrap(),
        &URL_SAFE_NO_PAD.decode(y).unwrap(),
    ]
    .concat();
    let text = STANDARD.encode(der);
    Secret::new(format!(
        "-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    ))
}
