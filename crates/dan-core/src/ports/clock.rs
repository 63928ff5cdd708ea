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
