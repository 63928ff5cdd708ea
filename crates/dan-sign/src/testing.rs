//! Keys for the unit tests of this crate.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dan_core::ports::{Entropy, SignError};
use dan_core::secret::Secret;
use dan_verify::public_key::PublicKey;

use crate::key_ring::KeySpec;
use crate::private_key::PrivateKey;
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

/// Signs everything with zeros.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) SoftKey);

impl PrivateKey for Broken {
    fn public(&self) -> &PublicKey {
        self.0.public()
    }

    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(vec![0; 64])
    }
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
    let (x, y) = key(seed).public().coordinates_text().unwrap();
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

/// A certificate of this key that ends with 2034, as PEM.
pub(crate) fn certificate_of(key: &SoftKey) -> String {
    let pem = key.to_pem().unwrap();
    certificate_of_pem(pem.expose())
}

/// The same, of a private key as PEM.
pub(crate) fn certificate_of_pem(pem: &str) -> String {
    let pair = rcgen::KeyPair::from_pem(pem).unwrap();
    let mut about = rcgen::CertificateParams::new(vec!["signing.example".to_owned()]).unwrap();
    about.not_after = rcgen::date_time_ymd(2035, 1, 1);
    about.self_signed(&pair).unwrap().pem()
}

/// An RSA key of 2048 bits, the same in all tests of a run.
#[cfg(feature = "aws-lc")]
pub(crate) fn rsa() -> crate::rsa_key::RsaKey {
    crate::rsa_key::RsaKey::from_pem(&rsa_pem()).unwrap()
}

/// The same as PKCS#8.
#[cfg(feature = "aws-lc")]
pub(crate) fn rsa_pem() -> Secret {
    use std::sync::LazyLock;
    static PEM: LazyLock<String> = LazyLock::new(|| {
        let pair =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        pair.unwrap().serialize_pem()
    });
    Secret::new(PEM.clone())
}
