//! [`VerifyError`]: what does not hold about a signed answer, in words for the person who asks.

use std::fmt;

use crate::public_key::Algorithm;

/// Why an answer does not verify. `Display` is one sentence; text taken from the signature is
/// quoted, escaped and cut to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// The input is longer than anything this software makes.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it may be.
        bytes_max: usize,
    },
    /// Not what it is said to be.
    Malformed {
        /// What was expected.
        what: &'static str,
        /// Where it departs from that.
        why: String,
    },
    /// Signed with something else than ES256 or RS256, or not at all.
    Algorithm {
        /// What the header says.
        found: String,
    },
    /// The header says another algorithm than the key is for.
    OtherAlgorithm {
        /// What the header says.
        found: Algorithm,
        /// What the key is for.
        wanted: Algorithm,
    },
    /// This build cannot check signatures of this algorithm.
    Unavailable {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The header demands an extension; none is supported (RFC 7515 §4.1.11, RFC 9052 §3.1).
    Critical,
    /// A signature of another purpose.
    WrongType {
        /// The `typ` that is needed.
        expected: &'static str,
        /// The `typ` that is there.
        found: Option<String>,
    },
    /// The protected header names no key.
    NoKid,
    /// The key set has no such key for signatures.
    UnknownKid {
        /// The key that the signature names.
        kid: String,
    },
    /// The signature was not made with that key over this content.
    BadSignature,
    /// The statement has no `SHA256PayloadDigest`.
    NoDigest,
    /// The signed object carries no evidence, or not in a form that is known.
    NoEvidence,
    /// The body is not the one that was signed.
    OtherBody {
        /// Digest in the statement.
        stated: String,
        /// Digest of the body.
        actual: String,
    },
    /// The key has a validity, but the statement does not say when it was signed.
    NoIssueTime {
        /// The key.
        kid: String,
    },
    /// Signed before the key was in use.
    BeforeUse {
        /// The key.
        kid: String,
        /// `iat` of the statement, seconds since 1970.
        iat: i64,
        /// Since when the key signs, seconds since 1970.
        signs_from: i64,
    },
    /// Signed after the key was retired.
    AfterRetirement {
        /// The key.
        kid: String,
        /// `iat` of the statement, seconds since 1970.
        iat: i64,
        /// When the key stopped signing, seconds since 1970.
        retired_at: i64,
    },
    /// The key set itself cannot be trusted.
    KeySet(String),
}

/// How much of a foreign text an error repeats, in characters.
const QUOTE_CHARS_MAX: usize = 64;

impl VerifyError {
    pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed {
            what,
            why: why.into(),
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { what, bytes_max } => {
                write!(f, "{what} is larger than {bytes_max} bytes")
            }
            Self::Malformed { what, why } => write!(f, "not {what}: {why}"),
            Self::Algorithm { found } => write!(
                f,
                "the signature says algorithm {}; only ES256 and RS256 are accepted",
                quoted(found)
            ),
            Self::OtherAlgorithm { found, wanted } => write!(
                f,
                "the signature says {found}, but the key that it names is one for {wanted}"
            ),
            Self::Unavailable { algorithm } => write!(
                f,
                "this program was built without {algorithm} and cannot check the signature; use \
                 one that was built with the feature `aws-lc`"
            ),
            Self::Critical => f.write_str("the signature demands an extension that is not known"),
            Self::WrongType { expected, found } => write!(
                f,
                "the signature is of type {}, but {expected} is needed here",
                found.as_deref().map_or_else(|| "none".to_owned(), quoted)
            ),
            Self::NoKid => f.write_str("the signature does not say which key made it"),
            Self::UnknownKid { kid } => write!(
                f,
                "the key set has no signing key named {}, which the signature names",
                quoted(kid)
            ),
            Self::BadSignature => {
                f.write_str("the signature does not belong to this content and this key")
            }
            Self::NoDigest => f.write_str("the statement has no SHA256PayloadDigest"),
            Self::NoEvidence => f.write_str("there is no evidence beside the statement"),
            Self::OtherBody { stated, actual } => write!(
                f,
                "the body is not the one that was signed: its SHA-256 is {actual}, the statement \
                 says {}",
                quoted(stated)
            ),
            Self::NoIssueTime { kid } => write!(
                f,
                "key {} was in use for a limited time, and the statement does not say in `iat` \
                 when it was signed",
                quoted(kid)
            ),
            Self::BeforeUse {
                kid,
                iat,
                signs_from,
            } => write!(
                f,
                "signed at {iat}, but key {} was not in use before {signs_from} (seconds since 1970)",
                quoted(kid)
            ),
            Self::AfterRetirement {
                kid,
                iat,
                retired_at,
            } => write!(
                f,
                "signed at {iat}, but key {} was retired at {retired_at} (seconds since 1970)",
                quoted(kid)
            ),
            Self::KeySet(why) => write!(f, "the key set cannot be used: {why}"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Foreign text, safe to print at a terminal: quoted, escaped, cut to 64 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    let cut = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        let error = VerifyError::UnknownKid {
            kid: format!("\u{1b}[2J{}", "k".repeat(1000)),
        };
        let text = error.to_string();
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.len() < 200, "{text}");
    }
}
