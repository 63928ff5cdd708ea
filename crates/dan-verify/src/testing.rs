//! Keys for the unit tests of this crate.

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use crate::Sign;
use crate::public_key::PublicKey;

/// A private key and its public half.
pub(crate) struct TestKey(SigningKey, PublicKey);

impl TestKey {
    pub(crate) fn public(&self) -> &PublicKey {
        &self.1
    }
}

impl Sign for TestKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature: Signature = self.0.sign(message);
        Ok(signature.to_bytes().to_vec())
    }
}

/// A key of its own for every seed between 1 and 254.
pub(crate) fn key(seed: u8) -> TestKey {
    let private = SigningKey::from_slice(&[seed; 32]).unwrap();
    let public = PublicKey::new(*private.verifying_key());
    TestKey(private, public)
}

/// A file of the shared test material; `None`, and a line that says so, where there is none.
#[expect(clippy::print_stderr, reason = "a test that was skipped must be seen")]
pub(crate) fn shared(path: &str) -> Option<String> {
    let folder = std::env::var_os("DAN_SHARED")
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let file = std::path::Path::new(&folder).join(path);
    let text = std::fs::read_to_string(&file);
    if text.is_err() {
        eprintln!("skipped: {path} is not there");
    }
    text.ok()
}

/// The claims of a statement about an organisation, for another, handed to a third.
pub(crate) fn claims() -> serde_json::Map<String, serde_json::Value> {
    let text = r#"{
        "SHA256PayloadDigest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "iss": "https://dan.example.no/v1", "iat": 1795521601, "jti": "r-1",
        "aud": "0192:974760673", "sub": "0192:991825827", "requestor": "0192:958935420",
        "dataset": "UnitBasicInformation", "context": "eBevis",
        "retrieved_at": "2026-11-24T12:00:00Z", "source": "Brønnøysundregistrene",
        "source_digest": "00", "view": "01", "media_type": "application/json"
    }"#;
    serde_json::from_str(text).unwrap()
}
