//! [`Sign`]: what the formats need of a private key.

/// Signs bytes. The private half of the key lives with whoever implements this.
pub trait Sign {
    /// The signature of `message` in the form of its algorithm: for ES256 r and s one after the
    /// other, 64 bytes (RFC 7518 §3.4).
    ///
    /// # Errors
    /// Why the key did not sign, for the log.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}
