//! Checks the proof of an answer with the published keys alone (`contracts.md` §6).
//!
//! The signature is checked by code of its own, so that signer and verifier of the product cannot be
//! wrong together; that the product's own verifier agrees is checked beside it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, Call};
use crate::consumer::{Consumer, OWNER};
use crate::shapes::{items, names, text};
use crate::subject::subject;

/// How far the clocks of suite and node may be apart, and how long an answer may be on its way, in seconds.
const CLOCKS_APART_MAX: i64 = 120;
/// How old what a source said may be at most, in seconds: no shipped dataset is cached longer.
const EVIDENCE_AGE_MAX: i64 = 24 * 3600;

/// What a statement must say.
pub struct Expected<'a> {
    /// Name of the dataset.
    pub dataset: &'a str,
    /// Name of the service; `None` for open data.
    pub context: Option<&'a str>,
    /// Organisation the answer is for; `None` for open data.
    pub owner: Option<&'a str>,
    /// Whom it is about, nine or eleven digits.
    pub subject: Option<&'a str>,
    /// For whom; `None` is not looked at.
    pub requestor: Option<&'a str>,
    /// The grant, where there is one.
    pub accreditation: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// A direct harvest by [`OWNER`] for itself.
    #[must_use]
    pub const fn direct(dataset: &'a str, context: &'a str, subject: &'a str) -> Self {
        Self {
            dataset,
            context: Some(context),
            owner: Some(OWNER),
            subject: Some(subject),
            requestor: Some(OWNER),
            accreditation: None,
        }
    }

    /// A harvest of a grant of [`OWNER`] to itself.
    #[must_use]
    pub const fn granted(
        dataset: &'a str,
        context: &'a str,
        subject: &'a str,
        accreditation: &'a str,
    ) -> Self {
        Self {
            accreditation: Some(accreditation),
            ..Self::direct(dataset, context, subject)
        }
    }

    /// Open data.
    #[must_use]
    pub const fn open(dataset: &'a str, subject: &'a str) -> Self {
        Self {
            dataset,
            context: None,
            owner: None,
            subject: Some(subject),
            requestor: None,
            accreditation: None,
        }
    }
}

/// Holds that an answer is proven: digests, signature and every claim. Gives the claims.
///
/// # Panics
/// When anything does not hold.
pub async fn proven(answer: &Answer, expected: &Expected<'_>) -> Value {
    let shown = answer.excerpt();
    let digest = STANDARD.encode(Sha256::digest(&answer.body));
    let content_digest = answer.proof("content-digest");
    assert_eq!(
        content_digest,
        Some(&*format!("sha-256=:{digest}:")),
        "{shown}"
    );
    let signature = answer.proof("x-signature-jwt");
    let signature = signature.unwrap_or_else(|| panic!("not signed: {shown}"));
    let keys = published_keys().await;
    let claims = checked(signature, &keys).unwrap_or_else(|why| panic!("{why}: {shown}"));
    let theirs = dan_verify::verify_detached(&answer.body, signature, &keys.to_string());
    let theirs = theirs.unwrap_or_else(|error| panic!("our verifier says {error}: {shown}"));
    assert_eq!(Value::Object(theirs.claims), claims);
    assert_eq!(
        claims["SHA256PayloadDigest"],
        hex(&Sha256::digest(&answer.body))
    );
    release_claims(answer, &claims);
    party_claims(&claims, expected);
    source_claims(&claims);
    assert_eq!(claims["dataset"], expected.dataset);
    let definition = definition(expected.dataset).await;
    let sources = names(&definition["values"], "source");
    assert!(sources.contains(text(&claims, "source")), "{claims}");
    claims
}

/// The published keys.
///
/// # Panics
/// When they are not a JWK Set with names.
pub async fn published_keys() -> Value {
    let keys = Call::new(Method::GET, &subject().jwks).send().await.ok();
    let keys = keys.json();
    assert_eq!(
        names(&keys["keys"], "kid").len(),
        items(&keys["keys"]).len()
    );
    keys
}

/// The claims of a compact JWS signed with ES256 by a key of the set.
///
/// # Errors
/// What does not hold.
pub fn checked(jws: &str, keys: &Value) -> Result<Value, String> {
    let mut parts = jws.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("not a compact JWS".to_owned());
    };
    let decoded = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text);
        bytes.map_err(|error| format!("{text}: {error}"))
    };
    let json = |text: &str| -> Result<Value, String> {
        serde_json::from_slice(&decoded(text)?).map_err(|error| error.to_string())
    };
    let head = json(header)?;
    if head["alg"] != "ES256" {
        return Err(format!("the suite checks ES256 only, not {}", head["alg"]));
    }
    let key = keys["keys"].as_array().into_iter().flatten();
    let key = key.into_iter().find(|key| key["kid"] == head["kid"]);
    let key = key.ok_or_else(|| format!("no published key {}", head["kid"]))?;
    if key["kty"] != "EC" || key["crv"] != "P-256" || key.get("d").is_some() {
        return Err(format!("not a public P-256 key: {key}"));
    }
    let coordinate = |name: &str| decoded(key[name].as_str().unwrap_or_default());
    let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
    let key = VerifyingKey::from_sec1_bytes(&point).map_err(|error| error.to_string())?;
    let signature = decoded(signature)?;
    let signature = Signature::from_slice(&signature).map_err(|error| error.to_string())?;
    key.verify(format!("{header}.{payload}").as_bytes(), &signature)
        .map_err(|_| "the signature is not of this key and text".to_owned())?;
    json(payload)
}

fn release_claims(answer: &Answer, claims: &Value) {
    assert_eq!(claims["iss"], *subject().public_url);
    let issued = claims["iat"].as_i64().expect("iat in whole seconds");
    let now = Timestamp::now().as_second();
    assert!(
        (now - issued).abs() <= CLOCKS_APART_MAX,
        "iat {issued}, now {now}"
    );
    assert_eq!(Some(text(claims, "jti")), answer.header("x-invocationid"));
    let media_type = answer.header("content-type").unwrap_or_default();
    assert_eq!(claims["media_type"], media_type);
    is_digest(&claims["view"]);
    if let Some(basis) = claims.get("legal_basis") {
        assert!(items(basis).iter().all(Value::is_string), "{basis}");
    }
    let nothing = claims
        .as_object()
        .unwrap()
        .iter()
        .find(|(_, v)| v.is_null());
    assert!(nothing.is_none(), "a claim that says nothing: {nothing:?}");
}

fn party_claims(claims: &Value, expected: &Expected<'_>) {
    let organisation = |number: &str| Value::from(format!("0192:{number}"));
    let owner = expected.owner.map(organisation);
    assert_eq!(claims.get("aud"), owner.as_ref());
    let context = expected.context.map(Value::from);
    assert_eq!(claims.get("context"), context.as_ref());
    let grant = expected.accreditation.map(Value::from);
    assert_eq!(claims.get("accreditation"), grant.as_ref());
    if let Some(requestor) = expected.requestor {
        assert_eq!(claims["requestor"], organisation(requestor));
    }
    match expected.subject {
        None => assert!(claims.get("sub").is_none(), "{claims}"),
        Some(number) if number.len() == 9 => {
            assert_eq!(claims["sub"], organisation(number));
            assert!(claims.get("sub_salt").is_none(), "{claims}");
        }
        Some(person) => {
            let salt = text(claims, "sub_salt");
            let salt = URL_SAFE_NO_PAD.decode(salt).expect("base64url");
            assert!(salt.len() >= 16, "a salt of {} bytes", salt.len());
            let digest = Sha256::digest([&salt, person.as_bytes()].concat());
            let digest = URL_SAFE_NO_PAD.encode(digest);
            assert_eq!(claims["sub"], format!("sha-256:{digest}"));
            assert!(!claims.to_string().contains(person), "a person in clear");
        }
    }
}

fn source_claims(claims: &Value) {
    let now = Timestamp::now().as_second();
    let retrieved_at = utc(&claims["retrieved_at"]);
    let age = now - retrieved_at.as_second();
    assert!(
        (-CLOCKS_APART_MAX..EVIDENCE_AGE_MAX).contains(&age),
        "{claims}"
    );
    is_digest(&claims["source_digest"]);
    let Some(sources) = claims.get("sources") else {
        return;
    };
    let mut all = Sha256::new();
    for source in items(sources) {
        text(source, "id");
        is_digest(&source["digest"]);
        all.update(unhex(text(source, "digest")));
    }
    assert_eq!(claims["source_digest"], hex(&all.finalize()));
    let oldest = items(sources)
        .iter()
        .map(|source| utc(&source["retrieved_at"]));
    assert_eq!(oldest.min(), Some(retrieved_at), "{claims}");
}

/// A dataset's definition in the metadata.
///
/// # Panics
/// When there is none.
pub async fn definition(dataset: &str) -> Value {
    let all = Consumer::anonymous()
        .get("public/metadata/evidencecodes")
        .await;
    let all = all.ok().json();
    let found = items(&all)
        .iter()
        .find(|one| one["evidenceCodeName"] == dataset);
    found
        .unwrap_or_else(|| panic!("the catalogue has no {dataset}"))
        .clone()
}

/// Holds that an answer in `application/jose` or `application/cose` carries statement and evidence
/// inside, and gives what was signed.
///
/// # Panics
/// When it does not.
pub async fn self_contained(answer: &Answer) -> Value {
    let keys = published_keys().await;
    match answer.media_type() {
        "application/jose" => {
            let text = std::str::from_utf8(&answer.body).expect("a compact JWS is text");
            let ours = checked(text, &keys).unwrap();
            let theirs = dan_verify::verify_jose(text, &keys.to_string()).unwrap();
            assert_eq!(Value::Object(theirs.claims), ours);
            ours
        }
        "application/cose" => {
            let theirs = dan_verify::verify_cose(&answer.body, &keys.to_string());
            Value::Object(theirs.unwrap().claims)
        }
        other => panic!("{other}: {}", answer.excerpt()),
    }
}

/// Lower-case hex SHA-256.
#[must_use]
pub fn sha256_hex(bytes: &Bytes) -> String {
    hex(&Sha256::digest(bytes))
}

#[track_caller]
fn is_digest(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert!(
        text.len() == 64 && hex,
        "no SHA-256 in lower-case hex: {value}"
    );
}

#[track_caller]
fn utc(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    assert!(text.ends_with('Z'), "no time in UTC: {value}");
    text.parse()
        .unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7515, appendix A.3: the suite's own verifier is right about somebody else's signature.
    const JWS: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn keys() -> Value {
        json!({"keys": [{
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }]})
    }

    #[test]
    fn a_published_signature_is_accepted() {
        let claims = checked(JWS, &keys()).unwrap();
        assert_eq!(claims["iss"], "joe");
    }

    #[test]
    fn any_other_text_signature_or_key_is_not() {
        let (head, rest) = JWS.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(r#"{"iss":"jim"}"#);
        assert!(checked(&format!("{head}.{other}.{signature}"), &keys()).is_err());
        let zero = URL_SAFE_NO_PAD.encode([0; 64]);
        assert!(checked(&format!("{head}.{payload}.{zero}"), &keys()).is_err());
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        assert!(checked(&format!("{unsigned}.{payload}."), &keys()).is_err());
        let mut named = keys();
        named["keys"][0]["kid"] = json!("another");
        assert!(checked(JWS, &named).is_err());
        assert!(checked(JWS, &json!({"keys": []})).is_err());
    }
}
