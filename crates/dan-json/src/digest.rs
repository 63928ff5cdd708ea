//! SHA-256 and its lower-case hexadecimal text, as statements write digests (`contracts.md` §6).

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(
        String::with_capacity(bytes.len().saturating_mul(2)),
        |mut text, byte| {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, the message of no bytes.
    #[test]
    fn the_empty_message_has_the_digest_of_the_standard() {
        assert_eq!(
            hex(&sha256(b"")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
