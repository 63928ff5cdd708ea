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
