//! Compact JWS, read strictly (RFC 7515 §7.1, RFC 7519, RFC 8725): what may be a token, and
//! whether a key of its issuer signed it (pure).
//!
//! The token names its key; it never brings one (`jku`, `x5u`, `jwk` and `x5c` are ignored), and
//! it never chooses an algorithm that does not go with that key. What the claims mean is the
//! matter of `claims.rs`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::jwk::{Algorithm, Choice, KID_BYTES_MAX, KeySet};
use dan_core::strict;

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Most characters of a stranger's text that a log line gets.
const SHOWN_CHARS_MAX: usize = 64;

/// Why a token is refused. For the log; holds no part of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtError {
    /// Not a compact JWS with JSON objects inside.
    Malformed(&'static str),
    /// Something RFC 7515 allows and we do not.
    Unsupported(&'static str),
    /// No key of the set has the token's `kid`. A newer set may.
    UnknownKey,
    /// The key named, or the choice left without a name, does not go with the token.
    WrongKey(&'static str),
    /// The signature is not the key's.
    BadSignature,
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed token: {what}"),
            Self::Unsupported(what) => write!(f, "token not supported: {what}"),
            Self::UnknownKey => f.write_str("no key of the issuer has this kid"),
            Self::WrongKey(what) => write!(f, "wrong key: {what}"),
            Self::BadSignature => f.write_str("the signature does not verify"),
        }
    }
}

/// A compact JWS whose signature has not been looked at.
pub struct Compact<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart: three non-empty parts in unpadded base64url, and a header that asks
    /// for nothing we do not do.
    ///
    /// # Errors
    /// [`JwtError::Malformed`] and [`JwtError::Unsupported`].
    pub fn parse(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwtError::Malformed("longer than 16 KiB"));
        }
        let (signing_input, signature) = token
            .rsplit_once('.')
            .ok_or(JwtError::Malformed("not three parts"))?;
        let (header, payload) = signing_input
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or(JwtError::Malformed("not three parts"))?;
        let header = strict::json_object(&decode(header)?)
            .ok()
            .ok_or(JwtError::Malformed("the header is no strict JSON object"))?;
        let (algorithm, kid) = read_header(&header)?;
        Ok(Self {
            algorithm,
            kid,
            signing_input,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// Checks the signature with the one key of the set that the token names.
    ///
    /// # Errors
    /// [`JwtError::UnknownKey`], [`JwtError::WrongKey`] and [`JwtError::BadSignature`].
    pub fn check(&self, keys: &KeySet) -> Result<(), JwtError> {
        let key = match keys.choose(self.kid.as_deref(), self.algorithm) {
            Choice::Key(key) => key,
            Choice::Unknown => return Err(JwtError::UnknownKey),
            Choice::Unfit => return Err(JwtError::WrongKey("none for this alg")),
            Choice::Ambiguous => return Err(JwtError::WrongKey("more than one would do")),
        };
        if key.checks(
            self.algorithm,
            self.signing_input.as_bytes(),
            &self.signature,
        ) {
            Ok(())
        } else {
            Err(JwtError::BadSignature)
        }
    }

    /// The bytes that were signed, of any kind; believed by nobody before [`Compact::check`].
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// A JWT whose signature has not been looked at: its claims stay inside.
pub struct Unverified<'a> {
    jws: Compact<'a>,
    claims: Map<String, Value>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart, and its payload too, which must be one JSON object.
    ///
    /// # Errors
    /// [`JwtError::Malformed`] and [`JwtError::Unsupported`].
    pub fn parse(token: &'a str) -> Result<Self, JwtError> {
        let jws = Compact::parse(token)?;
        let claims = strict::json_object(&jws.payload)
            .ok()
            .ok_or(JwtError::Malformed("the payload is no strict JSON object"))?;
        Ok(Self { jws, claims })
    }

    /// The issuer that the token claims to have, to find the keys that may say so.
    #[must_use]
    pub fn stated_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The claims, once a key of the set has vouched for them.
    ///
    /// # Errors
    /// As [`Compact::check`].
    pub fn verify(&self, keys: &KeySet) -> Result<&Map<String, Value>, JwtError> {
        self.jws.check(keys)?;
        Ok(&self.claims)
    }

    /// What a log line may say about the token: its `kid` and `iss`, escaped and cut short.
    pub(crate) fn trace(&self) -> String {
        format!(
            "kid {}, iss {}",
            shown(self.jws.kid.as_deref()),
            shown(self.stated_issuer())
        )
    }
}

/// The claims of a token that a key of the set signed.
///
/// # Errors
/// [`JwtError`].
pub fn verify(token: &str, keys: &KeySet) -> Result<Map<String, Value>, JwtError> {
    let token = Unverified::parse(token)?;
    token.jws.check(keys)?;
    Ok(token.claims)
}

/// What a log line may say about a text that was presented as a token, whatever is wrong with it: `kid` and `iss` as
/// [`Unverified::trace`] has them, as far as they can be read.
pub(crate) fn trace_of(token: &str) -> String {
    let mut parts = token.split('.');
    let mut said = |name: &str| {
        let part = parts.next().filter(|part| part.len() <= TOKEN_BYTES_MAX)?;
        let members = strict::json_object(&decode(part).ok()?).ok()?;
        members.get(name)?.as_str().map(str::to_owned)
    };
    let (kid, iss) = (said("kid"), said("iss"));
    format!(
        "kid {}, iss {}",
        shown(kid.as_deref()),
        shown(iss.as_deref())
    )
}

/// A stranger's text, safe for a log line.
pub(crate) fn shown(text: Option<&str>) -> String {
    text.map_or_else(
        || "none".to_owned(),
        |text| {
            let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            format!("\"{}\"", start.escape_default())
        },
    )
}

/// Base64url without padding, white space or stray bits (RFC 7515 §2); never empty.
fn decode(part: &str) -> Result<Vec<u8>, JwtError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .ok()
        .ok_or(JwtError::Malformed("not base64url"))?;
    if bytes.is_empty() {
        return Err(JwtError::Malformed("an empty part"));
    }
    Ok(bytes)
}

/// Algorithm and key identifier; refuses headers that change how the rest is to be read.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), JwtError> {
    for (name, why) in [
        ("crit", "crit"),
        ("b64", "b64"),
        ("zip", "zip"),
        ("enc", "encrypted (JWE)"),
        ("cty", "nested (cty)"),
    ] {
        if header.contains_key(name) {
            return Err(JwtError::Unsupported(why));
        }
    }
    if header.get("typ").is_some_and(|typ| !is_token_type(typ)) {
        return Err(JwtError::Unsupported("typ is not that of a token"));
    }
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(Algorithm::parse)
        .ok_or(JwtError::Unsupported("alg"))?;
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(
            kid.as_str()
                .filter(|kid| kid.len() <= KID_BYTES_MAX && !kid.chars().any(char::is_control))
                .ok_or(JwtError::Malformed("kid is no short text"))?
                .to_owned(),
        ),
    };
    Ok((algorithm, kid))
}

/// `JWT` (RFC 7519 §5.1) or `at+jwt` (RFC 9068 §2.1), with or without `application/`, in any case.
fn is_token_type(typ: &Value) -> bool {
    typ.as_str().is_some_and(|typ| {
        let typ = typ.to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        typ == "jwt" || typ == "at+jwt"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_text_is_cut_and_escaped() {
        assert_eq!(shown(None), "none");
        assert_eq!(shown(Some("a\n\u{202e}\"")), "\"a\\n\\u{202e}\\\"\"");
        assert_eq!(shown(Some(&"x".repeat(1000))).len(), 66);
    }

    #[test]
    fn a_token_is_traced_as_far_as_it_can_be_read() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (header, payload) = (part(r#"{"kid":"k","zip":"DEF"}"#), part(r#"{"iss":"i"}"#));
        for (token, trace) in [
            (format!("{header}.{payload}."), "kid \"k\", iss \"i\""),
            (format!("{header}.{payload}.x.y.z"), "kid \"k\", iss \"i\""),
            (header.clone(), "kid \"k\", iss none"),
            (format!("{header}=.{payload}.x"), "kid none, iss \"i\""),
            (format!("..{header}"), "kid none, iss none"),
            (String::new(), "kid none, iss none"),
            (
                format!(
                    "{}.{payload}.x",
                    "a".repeat(TOKEN_BYTES_MAX.saturating_add(1))
                ),
                "kid none, iss \"i\"",
            ),
        ] {
            assert_eq!(trace_of(&token), trace);
        }
    }

    #[test]
    fn types_of_tokens_are_known_in_any_case() {
        for typ in [
            "JWT",
            "jwt",
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "application/JWT",
        ] {
            assert!(is_token_type(&typ.into()), "{typ}");
        }
        for typ in [
            "",
            "JOSE",
            "dpop+jwt",
            "logout+jwt",
            "application/",
            "jwt ",
            "text/jwt",
        ] {
            assert!(!is_token_type(&typ.into()), "{typ}");
        }
        assert!(!is_token_type(&Value::Null));
    }
}
