//! Time and chance. Nothing else asks for either.

use crate::time::Timestamp;

/// Wall time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Randomness fit for identifiers and salts.
pub trait Entropy: Send + Sync {
    /// Fills the slice with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// A new random identifier in UUID form (version 4).
#[must_use]
pub fn random_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .hyphenated()
        .to_string()
}
