//! Compact JWS with ES256 (RFC 7515, RFC 7518 §3.4): made and checked, nothing else.

use dan_json::strict::json_object;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::VerifyError;
use crate::public_key::{PublicKey, SIGNATURE_BYTES};
use crate::sign::Sign;

/// Longest compact JWS that is read, in bytes.
pub const COMPACT_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Longest encoded header that is read, in bytes.
pub const HEADER_BYTES_MAX: usize = 4096;
/// The only algorithm.
pub const ALGORITHM: &str = "ES256";

const WHAT: &str = "a compact JWS";

/// What a JWS is for (RFC 7515 §4.1.9, RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `typ` JWT: a statement about a body that lies elsewhere.
    Jwt,
    /// `typ` JOSE: statement and evidence inside.
    Jose,
    /// `typ` `dan-trail-head+jwt`: a head of an audit trail.
    Head,
}

impl Purpose {
    /// The value of `typ`.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::Jose => "JOSE",
            Self::Head => "dan-trail-head+jwt",
        }
    }
}

/// The encoded protected header `{"alg","typ","kid"}`. Made once a key, used for every signature.
#[must_use]
pub fn header(purpose: Purpose, kid: &str) -> String {
    let header = json!({"alg": ALGORITHM, "typ": purpose.typ(), "kid": kid});
    URL_SAFE_NO_PAD.encode(header.to_string())
}

/// `header`, as [`header`] made it, and `payload`, signed: `header.payload.signature`.
///
/// # Errors
/// Why the key did not sign.
pub fn sign(header: &str, payload: &[u8], key: &dyn Sign) -> Result<String, String> {
    /// Two dots and 64 bytes in base64url.
    const AFTER_HEADER: usize = 2 + 86;
    let payload_chars = payload.len().div_ceil(3).saturating_mul(4);
    let capacity = header.len().saturating_add(payload_chars);
    let mut text = String::with_capacity(capacity.saturating_add(AFTER_HEADER));
    text.push_str(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

/// A compact JWS that says ES256. Not yet believed: see [`Jws::verify`].
pub struct Jws<'a> {
    /// Name of the key, from the protected header.
    pub kid: Option<String>,
    /// What it is for, from the protected header.
    pub typ: Option<String>,
    signed: &'a str,
    payload: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

/// Takes a compact JWS apart.
///
/// Refused: other algorithms than ES256, `crit`, `b64`, `zip`, a member named twice, padding, other
/// alphabets, stray bits and white space in base64url. Keys and addresses of keys in the header
/// (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
///
/// # Errors
/// [`VerifyError`]: `TooLarge`, `Malformed`, `Algorithm` or `Critical`.
pub fn parse(text: &str) -> Result<Jws<'_>, VerifyError> {
    if text.len() > COMPACT_BYTES_MAX {
        return Err(VerifyError::TooLarge {
            what: "the signature",
            bytes_max: COMPACT_BYTES_MAX,
        });
    }
    let (signed, signature) = text
        .rsplit_once('.')
        .ok_or_else(|| VerifyError::malformed(WHAT, "it has no dot"))?;
    let (header, payload) = signed
        .split_once('.')
        .filter(|(_, payload)| !payload.contains('.'))
        .ok_or_else(|| VerifyError::malformed(WHAT, "it does not have three parts"))?;
    let header = read_header(header)?;
    let signature = decode(signature, "the signature")?;
    let signature = signature.try_into().map_err(|bytes: Vec<u8>| {
        let why = format!("an ES256 signature has 64 bytes, not {}", bytes.len());
        VerifyError::malformed(WHAT, why)
    })?;
    Ok(Jws {
        kid: text_member(&header, "kid")?,
        typ: text_member(&header, "typ")?,
        signed,
        payload: decode(payload, "the payload")?,
        signature,
    })
}

impl Jws<'_> {
    /// Believes it, if `key` made the signature: its payload.
    ///
    /// # Errors
    /// [`VerifyError::BadSignature`].
    pub fn verify(self, key: &PublicKey) -> Result<Vec<u8>, VerifyError> {
        if key.verifies(self.signed.as_bytes(), &self.signature) {
            Ok(self.payload)
        } else {
            Err(VerifyError::BadSignature)
        }
    }
}

/// Without the payload: it may be about a person.
impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws")
            .field("kid", &self.kid)
            .field("typ", &self.typ)
            .finish_non_exhaustive()
    }
}

fn read_header(encoded: &str) -> Result<Map<String, Value>, VerifyError> {
    if encoded.len() > HEADER_BYTES_MAX {
        return Err(VerifyError::TooLarge {
            what: "the header of the signature",
            bytes_max: HEADER_BYTES_MAX,
        });
    }
    let header = json_object(&decode(encoded, "the header")?)
        .map_err(|why| VerifyError::malformed(WHAT, format!("its header: {why}")))?;
    match header.get("alg") {
        Some(Value::String(found)) if found == ALGORITHM => {}
        Some(Value::String(found)) => {
            let found = found.clone();
            return Err(VerifyError::Algorithm { found });
        }
        Some(_) | None => return Err(VerifyError::malformed(WHAT, "its header names no `alg`")),
    }
    if header.contains_key("crit") {
        return Err(VerifyError::Critical);
    }
    // RFC 7797 §3 and RFC 7516 §4.1: both change what the payload means.
    for name in ["b64", "zip", "enc"] {
        if header.contains_key(name) {
            let why = format!("`{name}` in its header is not supported");
            return Err(VerifyError::malformed(WHAT, why));
        }
    }
    Ok(header)
}

fn text_member(header: &Map<String, Value>, name: &str) -> Result<Option<String>, VerifyError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => {
            let why = format!("`{name}` in its header is not text");
            Err(VerifyError::malformed(WHAT, why))
        }
    }
}

/// Base64url without padding, one text for one byte string (RFC 7515 §2).
fn decode(text: &str, part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| VerifyError::malformed(WHAT, format!("{part}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    fn signed_with_header(header: &str) -> String {
        sign(&URL_SAFE_NO_PAD.encode(header), b"{}", &key(1)).unwrap()
    }

    #[test]
    fn what_is_signed_comes_back() {
        let key = key(1);
        for payload in [&b""[..], b"{}", b"{\"a\":1}", &[0xff; 1000]] {
            let text = sign(&header(Purpose::Jwt, "k\"1"), payload, &key).unwrap();
            let jws = parse(&text).unwrap();
            assert_eq!(jws.kid.as_deref(), Some("k\"1"));
            assert_eq!(jws.typ.as_deref(), Some("JWT"));
            assert_eq!(jws.verify(key.public()).unwrap(), payload);
        }
    }

    #[test]
    fn the_header_is_these_three_members_in_this_order() {
        let bytes = URL_SAFE_NO_PAD.decode(header(Purpose::Jose, "2026-11"));
        assert_eq!(
            bytes.unwrap(),
            br#"{"alg":"ES256","typ":"JOSE","kid":"2026-11"}"#
        );
    }

    #[test]
    fn the_same_payload_gets_the_same_signature() {
        let header = header(Purpose::Jwt, "k");
        assert_eq!(
            sign(&header, b"{}", &key(1)).unwrap(),
            sign(&header, b"{}", &key(1)).unwrap()
        );
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let key = key(1);
        let text = sign(&header(Purpose::Jwt, "k"), b"{\"a\":1}", &key).unwrap();
        for place in 0..text.len() {
            for replacement in ['A', 'B', '.', '=', ' ', '+'] {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[place] == replacement {
                    continue;
                }
                changed[place] = replacement;
                let changed: String = changed.into_iter().collect();
                let outcome = parse(&changed).and_then(|jws| jws.verify(key.public()));
                assert!(outcome.is_err(), "{place} {replacement}");
            }
        }
    }

    #[test]
    fn another_key_does_not_verify() {
        let text = sign(&header(Purpose::Jwt, "k"), b"{}", &key(1)).unwrap();
        let outcome = parse(&text).unwrap().verify(key(2).public());
        assert_eq!(outcome, Err(VerifyError::BadSignature));
    }

    #[test]
    fn only_es256_is_read() {
        for algorithm in [
            "none", "None", "es256", "HS256", "RS256", "ES384", "ES256 ", "",
        ] {
            let text = signed_with_header(&format!(r#"{{"alg":"{algorithm}"}}"#));
            let found = algorithm.to_owned();
            assert_eq!(parse(&text).unwrap_err(), VerifyError::Algorithm { found });
        }
    }

    #[test]
    fn strange_headers_are_refused_although_signed() {
        for (header, why) in [
            (r"{}", "no alg"),
            (r#"{"alg":["ES256"]}"#, "alg is a list"),
            (r#"{"alg":"ES256","alg":"ES256"}"#, "a member twice"),
            (
                r#"{"alg":"ES256","\u0061lg":"none"}"#,
                "a member twice, escaped",
            ),
            (r#"{"alg":"ES256","crit":[]}"#, "crit"),
            (r#"{"alg":"ES256","crit":["exp"],"exp":1}"#, "crit"),
            (r#"{"alg":"ES256","b64":false}"#, "b64"),
            (r#"{"alg":"ES256","b64":true}"#, "b64"),
            (r#"{"alg":"ES256","zip":"DEF"}"#, "zip"),
            (r#"{"alg":"ES256","kid":1}"#, "kid is a number"),
            (r#"{"alg":"ES256","typ":null}"#, "typ is null"),
            (r#"["ES256"]"#, "no object"),
            (r#"{"alg":"ES256"}x"#, "something after it"),
            ("", "empty"),
        ] {
            assert!(parse(&signed_with_header(header)).is_err(), "{why}");
        }
        let long = format!(
            r#"{{"alg":"ES256","kid":"{}"}}"#,
            "k".repeat(HEADER_BYTES_MAX)
        );
        assert!(matches!(
            parse(&signed_with_header(&long)),
            Err(VerifyError::TooLarge { .. })
        ));
    }

    #[test]
    fn keys_in_the_header_are_not_looked_at() {
        let text = signed_with_header(
            r#"{"alg":"ES256","jwk":{"kty":"EC"},"jku":"https://evil.example","x5c":[]}"#,
        );
        assert!(parse(&text).unwrap().verify(key(2).public()).is_err());
        assert!(parse(&text).unwrap().verify(key(1).public()).is_ok());
    }

    #[test]
    fn what_has_not_three_clean_parts_is_refused() {
        let text = signed_with_header(r#"{"alg":"ES256"}"#);
        let (rest, signature) = text.rsplit_once('.').unwrap();
        for changed in [
            String::new(),
            "..".to_owned(),
            rest.to_owned(),
            format!("{text}."),
            format!("{text}.."),
            format!(".{text}"),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{text}=="),
            format!("{rest}."),
            format!("{rest}.{}", URL_SAFE_NO_PAD.encode([1; 63])),
            format!("{rest}.{}", URL_SAFE_NO_PAD.encode([1; 65])),
            format!("{rest}.{}", signature.replace(['-', '_'], "+")),
            // The last character carries two bits of the signature; these have others set too.
            format!("{rest}.{}B", &signature.get(..85).unwrap()),
        ] {
            let outcome = parse(&changed).and_then(|jws| jws.verify(key(1).public()));
            assert!(outcome.is_err(), "{changed}");
        }
    }
}
