//! Checks signed answers with the published keys and nothing else: offline, years later.
//!
//! What holds after each function says `Ok`: the key of that name in the key set made the signature;
//! it was in use at the second the statement gives in `iat`; and the content is byte for byte what
//! was signed. What the statement *says* (`dataset`, `sub`, `aud`, …) is in [`Verified::claims`]:
//! whether that is what the reader expected is for the reader to compare.
//!
//! A key set must come from the node it names (`/.well-known/jwks.json` over TLS) or an archive that
//! is trusted; a stolen key can back-date, so it must leave the set and not just be retired.

use dan_json::strict::json_object;
use std::fmt;

use dan_json::digest::{hex, sha256};
use serde_json::{Map, Value};

use crate::error::VerifyError;
use crate::jwk::{KeySet, PublishedKey};
use crate::jws::Purpose;
use crate::{cbor, cose, jws, payload};

/// The member of a statement that has the digest of the body.
const DIGEST: &str = "SHA256PayloadDigest";
/// How much earlier than `nbf` an `iat` may be, in seconds: a statement is dated before it is signed.
pub const EARLY_SECONDS_MAX: i64 = 60;

/// What was signed. `Debug` shows the key only: the claims may be about a person.
#[derive(Clone, PartialEq)]
pub struct Verified {
    /// The statement (`contracts.md` §6); in JOSE and COSE with the evidence as a further member,
    /// `evidence` or `evidence_base64`: [`payload`].
    pub claims: Map<String, Value>,
    /// Name of the key that signed.
    pub kid: String,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Checks a body against the value of its `X-Signature-JWT`, with a JWK Set.
///
/// White space around `signature` is not part of it: files end with a line end.
///
/// # Errors
/// [`VerifyError`]: what does not hold.
pub fn verify_detached(body: &[u8], signature: &str, jwks: &str) -> Result<Verified, VerifyError> {
    let verified = checked_jws(signature, jwks, Purpose::Jwt)?;
    check_digest(&verified.claims, body)?;
    Ok(verified)
}

/// Checks the answer to `Accept: application/jose`, with a JWK Set, and that the evidence within is
/// what the statement within has the digest of.
///
/// White space around `text` is not part of it: files end with a line end.
///
/// # Errors
/// [`VerifyError`]: what does not hold.
pub fn verify_jose(text: &str, jwks: &str) -> Result<Verified, VerifyError> {
    let verified = checked_jws(text, jwks, Purpose::Jose)?;
    let body = payload::body(&verified.claims).ok_or(VerifyError::NoEvidence)?;
    check_digest(&verified.claims, &body)?;
    Ok(verified)
}

/// Checks the answer to `Accept: application/cose`, with a JWK Set. Nothing may stand outside the
/// signature, and nothing be written in another than the one deterministic form.
///
/// `SHA256PayloadDigest` is held against the evidence where that is a byte string. A CBOR value does
/// not tell how the JSON that it was made from was written; the signature covers the value itself.
///
/// # Errors
/// [`VerifyError`]: what does not hold.
pub fn verify_cose(bytes: &[u8], jwks: &str) -> Result<Verified, VerifyError> {
    const WHAT: &str = "a COSE_Sign1 of this software";
    let sign1 = cose::parse(bytes)?;
    if !sign1.all_protected {
        return Err(VerifyError::malformed(
            WHAT,
            "it has header parameters outside the signature",
        ));
    }
    let kid = sign1.kid.clone().ok_or(VerifyError::NoKid)?;
    let keys = KeySet::parse(jwks)?;
    let published = keys.get(&kid)?;
    let payload = sign1.verify(&published.key)?;
    let claims = cbor::object_from_cbor(&payload)
        .map_err(|why| VerifyError::malformed("a signed statement", why))?;
    check_time(&claims, &kid, published)?;
    if claims.contains_key(payload::EVIDENCE_BASE64) {
        let body = payload::body(&claims).ok_or(VerifyError::NoEvidence)?;
        check_digest(&claims, &body)?;
    } else if !claims.contains_key(payload::EVIDENCE) {
        return Err(VerifyError::NoEvidence);
    } else if !claims.contains_key(DIGEST) {
        return Err(VerifyError::NoDigest);
    }
    Ok(Verified { claims, kid })
}

/// `body` is what the statement has the digest of.
fn check_digest(claims: &Map<String, Value>, body: &[u8]) -> Result<(), VerifyError> {
    let Some(Value::String(stated)) = claims.get(DIGEST) else {
        return Err(VerifyError::NoDigest);
    };
    let actual = hex(&sha256(body));
    if *stated == actual {
        return Ok(());
    }
    Err(VerifyError::OtherBody {
        stated: stated.clone(),
        actual,
    })
}

fn checked_jws(text: &str, jwks: &str, purpose: Purpose) -> Result<Verified, VerifyError> {
    let signed = jws::parse(text.trim_ascii())?;
    if signed.typ.as_deref() != Some(purpose.typ()) {
        return Err(VerifyError::WrongType {
            expected: purpose.typ(),
            found: signed.typ,
        });
    }
    let kid = signed.kid.clone().ok_or(VerifyError::NoKid)?;
    let keys = KeySet::parse(jwks)?;
    let published = keys.get(&kid)?;
    let payload = signed.verify(&published.key)?;
    let claims =
        json_object(&payload).map_err(|why| VerifyError::malformed("a signed statement", why))?;
    check_time(&claims, &kid, published)?;
    Ok(Verified { claims, kid })
}

/// `iat` lies in the time in which the key signed.
fn check_time(
    claims: &Map<String, Value>,
    kid: &str,
    published: &PublishedKey,
) -> Result<(), VerifyError> {
    let validity = published.validity;
    if validity.signs_from.is_none() && validity.retired_at.is_none() {
        return Ok(());
    }
    let kid = || kid.to_owned();
    let iat = claims
        .get("iat")
        .and_then(Value::as_i64)
        .ok_or_else(|| VerifyError::NoIssueTime { kid: kid() })?;
    if let Some(signs_from) = validity.signs_from
        && iat < signs_from.saturating_sub(EARLY_SECONDS_MAX)
    {
        return Err(VerifyError::BeforeUse {
            kid: kid(),
            iat,
            signs_from,
        });
    }
    if let Some(retired_at) = validity.retired_at
        && iat > retired_at
    {
        return Err(VerifyError::AfterRetirement {
            kid: kid(),
            iat,
            retired_at,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::{self, Validity};
    use crate::payload::Evidence;
    use crate::sign::Sign as _;
    use crate::testing::key;

    const BODY: &[u8] = b"{\"navn\":\"B\xc3\xa5t\"}";

    fn claims() -> String {
        format!(
            r#"{{"SHA256PayloadDigest":"{}","iat":1800000000,"sub":"0192:991825827","aud":"0192:974760673","dataset":"D"}}"#,
            hex(&sha256(BODY))
        )
    }

    fn jwks(validity: Validity) -> String {
        let published = |seed| PublishedKey {
            key: key(seed).public().clone(),
            validity,
        };
        let (one, two) = (published(1), published(2));
        let (one, two) = (jwk::to_json("one", &one), jwk::to_json("two", &two));
        format!("{{\"keys\":[{one},{two}]}}")
    }

    fn open() -> String {
        jwks(Validity::default())
    }

    fn jwt(claims: &str) -> String {
        jws::sign(
            &jws::header(Purpose::Jwt, "one"),
            claims.as_bytes(),
            &key(1),
        )
        .unwrap()
    }

    fn jose_of(evidence: Option<Evidence<'_>>) -> String {
        let payload = payload::jose(&claims(), evidence).unwrap();
        let header = jws::header(Purpose::Jose, "one");
        jws::sign(&header, payload.as_bytes(), &key(1)).unwrap()
    }

    fn cose_of(evidence: Option<Evidence<'_>>) -> Vec<u8> {
        let protected = cose::protected_header("one").unwrap();
        let payload = payload::cose(&claims(), evidence).unwrap();
        let signed = cose::signing_input(&protected, &payload).unwrap();
        let signature = key(1).sign(&signed).unwrap();
        cose::attach(&protected, &payload, &signature).unwrap()
    }

    #[test]
    fn evidence_within_is_what_the_statement_within_says() {
        for evidence in [Evidence::Json(BODY), Evidence::Bytes(BODY)] {
            let verified = verify_jose(&jose_of(Some(evidence)), &open()).unwrap();
            assert_eq!(payload::body(&verified.claims).unwrap(), BODY);
            verify_cose(&cose_of(Some(evidence)), &open()).unwrap();
        }
        let other = b"{\"navn\":\"Bil\"}";
        let is_other = |outcome| matches!(outcome, Err(VerifyError::OtherBody { .. }));
        for evidence in [Evidence::Json(&other[..]), Evidence::Bytes(other)] {
            assert!(is_other(verify_jose(&jose_of(Some(evidence)), &open())));
        }
        let bytes = cose_of(Some(Evidence::Bytes(other)));
        assert!(is_other(verify_cose(&bytes, &open())));
        let doubled = cose_of(Some(Evidence::Json(b"{\"a\":1,\"a\":1}")));
        assert!(is_other(verify_cose(&doubled, &open())));
    }

    #[test]
    fn a_statement_without_evidence_is_no_archive() {
        let outcome = verify_jose(&jose_of(None), &open());
        assert_eq!(outcome, Err(VerifyError::NoEvidence));
        let outcome = verify_cose(&cose_of(None), &open());
        assert_eq!(outcome, Err(VerifyError::NoEvidence));
    }

    #[test]
    fn a_true_answer_verifies() {
        let verified = verify_detached(BODY, &jwt(&claims()), &open()).unwrap();
        assert_eq!(verified.kid, "one");
        assert_eq!(verified.claims["sub"], "0192:991825827");
    }

    #[test]
    fn what_was_signed_is_not_printed() {
        let signature = jwt(&claims());
        let signed = jws::parse(&signature).unwrap();
        let verified = verify_detached(BODY, &signature, &open()).unwrap();
        let protected = cose::protected_header("one").unwrap();
        let bytes = cose::sign(&protected, claims().as_bytes(), &key(1)).unwrap();
        let sign1 = cose::parse(&bytes).unwrap();
        assert_eq!(
            format!("{signed:?} {verified:?} {sign1:?}"),
            "Jws { kid: Some(\"one\"), typ: Some(\"JWT\"), .. } Verified { kid: \"one\", .. } \
             Sign1 { kid: Some(\"one\"), all_protected: true, .. }"
        );
    }

    #[test]
    fn every_changed_byte_of_the_body_is_noticed() {
        let signature = jwt(&claims());
        for place in 0..BODY.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = BODY.to_vec();
                changed[place] ^= flip;
                let outcome = verify_detached(&changed, &signature, &open());
                assert!(
                    matches!(outcome, Err(VerifyError::OtherBody { .. })),
                    "{place}"
                );
            }
            let cut = verify_detached(&BODY[..place], &signature, &open());
            assert!(matches!(cut, Err(VerifyError::OtherBody { .. })), "{place}");
        }
        let longer = [BODY, b"\n"].concat();
        assert!(verify_detached(&longer, &signature, &open()).is_err());
    }

    #[test]
    fn every_changed_character_of_the_signature_is_noticed() {
        let signature = jwt(&claims());
        for place in 0..signature.len() {
            let mut changed = signature.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify_detached(BODY, &changed, &open()).is_err(), "{place}");
        }
    }

    #[test]
    fn another_claim_fails_under_the_old_signature() {
        let signature = jwt(&claims());
        let (header, rest) = signature.split_once('.').unwrap();
        let (_, mac) = rest.split_once('.').unwrap();
        for (from, to) in [
            ("0192:991825827", "0192:998997801"),
            ("0192:974760673", "0192:958935420"),
            ("\"D\"", "\"E\""),
            ("1800000000", "1800000001"),
        ] {
            let other = jwt(&claims().replace(from, to));
            let payload = other.split('.').nth(1).unwrap();
            let forged = format!("{header}.{payload}.{mac}");
            let outcome = verify_detached(BODY, &forged, &open());
            assert_eq!(outcome, Err(VerifyError::BadSignature), "{from}");
        }
    }

    #[test]
    fn the_key_is_the_one_of_the_name_and_no_other() {
        let signed = |kid, seed| {
            let header = jws::header(Purpose::Jwt, kid);
            jws::sign(&header, claims().as_bytes(), &key(seed)).unwrap()
        };
        assert!(verify_detached(BODY, &signed("two", 2), &open()).is_ok());
        let outcome = verify_detached(BODY, &signed("two", 1), &open());
        assert_eq!(outcome, Err(VerifyError::BadSignature));
        let outcome = verify_detached(BODY, &signed("three", 1), &open());
        let kid = "three".to_owned();
        assert_eq!(outcome, Err(VerifyError::UnknownKid { kid }));
    }

    #[test]
    fn a_statement_without_what_is_needed_is_refused() {
        let limited = jwks(Validity {
            signs_from: None,
            retired_at: Some(1_800_000_001),
        });
        let without = |name: &str| claims().replace(name, "other");
        let outcome = verify_detached(BODY, &jwt(&without("SHA256PayloadDigest")), &open());
        assert_eq!(outcome, Err(VerifyError::NoDigest));
        let undated = jwt(&without("iat"));
        assert!(verify_detached(BODY, &undated, &open()).is_ok());
        let outcome = verify_detached(BODY, &undated, &limited);
        let kid = "one".to_owned();
        assert_eq!(outcome, Err(VerifyError::NoIssueTime { kid }));
        let text = jwt(&claims().replace("1800000000", "\"1800000000\""));
        assert!(verify_detached(BODY, &text, &limited).is_err());
    }

    #[test]
    fn a_digest_is_compared_as_it_is_written() {
        let digest = hex(&sha256(BODY));
        let upper = jwt(&claims().replace(&digest, &digest.to_uppercase()));
        let outcome = verify_detached(BODY, &upper, &open());
        assert!(matches!(outcome, Err(VerifyError::OtherBody { .. })));
    }

    #[test]
    fn an_empty_body_is_signed_too() {
        let claims = claims().replace(&hex(&sha256(BODY)), &hex(&sha256(b"")));
        assert!(verify_detached(b"", &jwt(&claims), &open()).is_ok());
        assert!(verify_detached(b" ", &jwt(&claims), &open()).is_err());
    }

    #[test]
    fn signed_nonsense_is_refused() {
        for payload in ["", "[]", "null", "{\"iat\":1,\"iat\":2}", "{}{}"] {
            let outcome = verify_detached(BODY, &jwt(payload), &open());
            assert!(
                matches!(outcome, Err(VerifyError::Malformed { .. })),
                "{payload}"
            );
        }
    }

    #[test]
    fn names_and_types_must_be_protected() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let with = |header: &str| {
            let header = URL_SAFE_NO_PAD.encode(header);
            jws::sign(&header, claims().as_bytes(), &key(1)).unwrap()
        };
        let nameless = with(r#"{"alg":"ES256","typ":"JWT"}"#);
        let outcome = verify_detached(BODY, &nameless, &open());
        assert_eq!(outcome, Err(VerifyError::NoKid));
        let typeless = with(r#"{"alg":"ES256","kid":"one"}"#);
        let outcome = verify_detached(BODY, &typeless, &open());
        assert!(matches!(outcome, Err(VerifyError::WrongType { .. })));
    }

    #[test]
    fn a_cose_with_anything_outside_its_signature_is_refused() {
        let protected = cose::protected_header("one").unwrap();
        let good = cose_of(Some(Evidence::Json(BODY)));
        assert!(verify_cose(&good, &open()).is_ok());
        // The empty map behind the protected header becomes {99: 1}.
        let place = 2 + 1 + protected.len();
        assert_eq!(good[place], 0xa0);
        let changed = [&good[..place], b"\xa1\x18\x63\x01", &good[place + 1..]].concat();
        let sign1 = cose::parse(&changed).unwrap();
        assert!(sign1.verify(key(1).public()).is_ok());
        assert!(verify_cose(&changed, &open()).is_err());
    }

    #[test]
    fn a_cose_of_an_unknown_key_is_refused() {
        let protected = cose::protected_header("three").unwrap();
        let bytes = cose::sign(&protected, b"{}", &key(1)).unwrap();
        let kid = "three".to_owned();
        assert_eq!(
            verify_cose(&bytes, &open()),
            Err(VerifyError::UnknownKid { kid })
        );
    }
}
