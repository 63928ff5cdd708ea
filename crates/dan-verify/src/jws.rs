//! Compact JWS with ES256 or RS256 (RFC 7515, RFC 7518 §3.3, §3.4): made and checked, nothing else.
//!
//! Which of the two is a property of the key. A header that says another is refused.

use dan_json::strict::json_object;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::error::VerifyError;
use crate::public_key::{Algorithm, PublicKey, RSA_BITS_MAX, RSA_BITS_MIN, SIGNATURE_BYTES};
use crate::sign::Sign;

/// Longest compact JWS that is read, in bytes.
pub const COMPACT_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Longest encoded header that is read, in bytes. Certificates in `x5c` take most of it.
pub const HEADER_BYTES_MAX: usize = 24 * 1024;

const WHAT: &str = "a compact JWS";

/// What a JWS is for (RFC 7515 §4.1.9, RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `typ` JWT: a statement about a body that lies elsewhere.
    Jwt,
    /// `typ` JOSE: statement and evidence inside.
    Jose,
}

impl Purpose {
    /// The value of `typ`.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::Jose => "JOSE",
        }
    }
}

/// The encoded protected header `{"alg","typ","kid"}` of a key on P-256. Made once a key, used for
/// every signature.
#[must_use]
pub fn header(purpose: Purpose, kid: &str) -> String {
    header_of(purpose, Algorithm::Es256, kid, &[])
}

/// The same for any key, with its certificates in DER, its own first, as `x5c` (RFC 7515 §4.1.6).
/// Without certificates there is no such member.
#[must_use]
pub fn header_of(
    purpose: Purpose,
    algorithm: Algorithm,
    kid: &str,
    certificates: &[Vec<u8>],
) -> String {
    let mut header = json!({"alg": algorithm.name(), "typ": purpose.typ(), "kid": kid});
    if let Value::Object(members) = &mut header
        && !certificates.is_empty()
    {
        members.insert("x5c".to_owned(), x5c(certificates));
    }
    URL_SAFE_NO_PAD.encode(header.to_string())
}

/// Certificates as JSON has them: standard base64 with padding (RFC 7515 §4.1.6, RFC 7517 §4.7).
pub(crate) fn x5c(certificates: &[Vec<u8>]) -> Value {
    let texts = certificates.iter().map(|der| STANDARD.encode(der));
    Value::from(texts.collect::<Vec<_>>())
}

/// `header`, as [`header`] made it, and `payload`, signed: `header.payload.signature`.
///
/// # Errors
/// Why the key did not sign.
pub fn sign(header: &str, payload: &[u8], key: &dyn Sign) -> Result<String, String> {
    let text = signing_input(header, payload);
    let signature = key.sign(text.as_bytes())?;
    Ok(attach(text, &signature))
}

/// What is signed: `header.payload` (RFC 7515 §5.1), with room for the signature of a P-256 key.
#[must_use]
pub fn signing_input(header: &str, payload: &[u8]) -> String {
    /// Two dots and 64 bytes in base64url.
    const AFTER_HEADER: usize = 2 + 86;
    let payload_chars = payload.len().div_ceil(3).saturating_mul(4);
    let capacity = header.len().saturating_add(payload_chars);
    let mut text = String::with_capacity(capacity.saturating_add(AFTER_HEADER));
    text.push_str(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    text
}

/// The compact JWS: what [`signing_input`] gave, and the signature over it.
#[must_use]
pub fn attach(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}

/// A compact JWS that says ES256 or RS256. Not yet believed: see [`Jws::verify`].
pub struct Jws<'a> {
    /// Name of the key, from the protected header.
    pub kid: Option<String>,
    /// What it is for, from the protected header.
    pub typ: Option<String>,
    /// What the header says; [`Jws::verify`] holds it against the key.
    pub algorithm: Algorithm,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Takes a compact JWS apart.
///
/// Refused: other algorithms than ES256 and RS256, `crit`, `b64`, `zip`, a member named twice, padding, other
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
    let (header, algorithm) = read_header(header)?;
    let signature = read_signature(signature, algorithm)?;
    Ok(Jws {
        kid: text_member(&header, "kid")?,
        typ: text_member(&header, "typ")?,
        algorithm,
        signed,
        payload: decode(payload, "the payload")?,
        signature,
    })
}

impl Jws<'_> {
    /// Believes it, if `key` made the signature: its payload.
    ///
    /// # Errors
    /// [`VerifyError`]: `BadSignature`; `OtherAlgorithm` when the header says another one than the
    /// key is for; `Unavailable` when this build cannot check it.
    pub fn verify(self, key: &PublicKey) -> Result<Vec<u8>, VerifyError> {
        let wanted = key.algorithm();
        if self.algorithm != wanted {
            return Err(VerifyError::OtherAlgorithm {
                found: self.algorithm,
                wanted,
            });
        }
        if !wanted.is_available() {
            return Err(VerifyError::Unavailable { algorithm: wanted });
        }
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

fn read_header(encoded: &str) -> Result<(Map<String, Value>, Algorithm), VerifyError> {
    if encoded.len() > HEADER_BYTES_MAX {
        return Err(VerifyError::TooLarge {
            what: "the header of the signature",
            bytes_max: HEADER_BYTES_MAX,
        });
    }
    let header = json_object(&decode(encoded, "the header")?)
        .map_err(|why| VerifyError::malformed(WHAT, format!("its header: {why}")))?;
    let Some(Value::String(found)) = header.get("alg") else {
        return Err(VerifyError::malformed(WHAT, "its header names no `alg`"));
    };
    let algorithm = Algorithm::from_name(found).ok_or_else(|| VerifyError::Algorithm {
        found: found.clone(),
    })?;
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
    Ok((header, algorithm))
}

/// The signature, of a length that the algorithm can have.
fn read_signature(encoded: &str, algorithm: Algorithm) -> Result<Vec<u8>, VerifyError> {
    let signature = decode(encoded, "the signature")?;
    let lengths = match algorithm {
        Algorithm::Es256 => SIGNATURE_BYTES..=SIGNATURE_BYTES,
        Algorithm::Rs256 => RSA_BITS_MIN / 8..=RSA_BITS_MAX / 8,
    };
    if lengths.contains(&signature.len()) {
        return Ok(signature);
    }
    let (least, most) = (lengths.start(), lengths.end());
    let length = signature.len();
    let why = format!("an {algorithm} signature has {least} to {most} bytes, not {length}");
    Err(VerifyError::malformed(WHAT, why))
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
    fn only_es256_and_rs256_are_read() {
        for algorithm in [
            "none", "None", "es256", "HS256", "PS256", "RS384", "rs256", "ES384", "ES256 ", "",
        ] {
            let text = signed_with_header(&format!(r#"{{"alg":"{algorithm}"}}"#));
            let found = algorithm.to_owned();
            assert_eq!(parse(&text).unwrap_err(), VerifyError::Algorithm { found });
        }
    }

    #[test]
    fn the_key_says_which_algorithm_it_is() {
        let key = key(1);
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let text = attach(signing_input(&header, b"{}"), &[1; RSA_BITS_MIN / 8]);
        let outcome = parse(&text).unwrap().verify(key.public());
        let found = Algorithm::Rs256;
        let wanted = Algorithm::Es256;
        assert_eq!(outcome, Err(VerifyError::OtherAlgorithm { found, wanted }));
        for length in [64, RSA_BITS_MIN / 8 - 1, RSA_BITS_MAX / 8 + 1] {
            let text = attach(signing_input(&header, b"{}"), &vec![1; length]);
            assert!(parse(&text).is_err(), "{length}");
        }
    }

    #[test]
    fn certificates_stand_in_the_header_in_standard_base64() {
        let chain = [vec![0xff, 0xfe], vec![1]];
        let header = header_of(Purpose::Jwt, Algorithm::Rs256, "k", &chain);
        assert_eq!(
            URL_SAFE_NO_PAD.decode(header).unwrap(),
            br#"{"alg":"RS256","typ":"JWT","kid":"k","x5c":["//4=","AQ=="]}"#
        );
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
