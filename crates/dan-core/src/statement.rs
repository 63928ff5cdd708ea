//! [`Statement`]: what is signed with every answer (`contracts.md` §6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use dan_json::digest::{hex, sha256};

use dan_json::canonical::canonical_json;
use serde_json::{Map, Value};

use crate::evidence::SourceCall;
use crate::inquiry::Parameter;
use crate::party::Party;
use crate::time::Timestamp;

/// Length of the salt that hides a person in a statement, in bytes.
pub const SUBJECT_SALT_BYTES: usize = 16;

/// The claims of `X-Signature-JWT`. Serialised as they stand; no member is ever `null`.
#[derive(Debug, Serialize)]
pub struct Statement {
    /// Lower-case hex SHA-256 of the body bytes.
    ///
    /// In the statement of a header or trailer: of the bytes that were sent, whatever their form. In
    /// the statement inside JOSE or COSE: of the body as it would leave plain, which is the evidence
    /// that stands beside it. From JOSE, and from a byte string of COSE, those bytes can be had again
    /// and a verifier checks them. A CBOR value keeps neither the order of members nor the writing of
    /// numbers: there the digest ties the archive to the plain answer, for whoever has kept both.
    #[serde(rename = "SHA256PayloadDigest")]
    pub payload_digest: String,
    /// The node's public URL.
    pub iss: String,
    /// Second of signing.
    pub iat: i64,
    /// Identifier of this release, also `x-invocationId`.
    pub jti: String,
    /// Owner, `0192:<org>`; absent for open data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Subject: `0192:<org>`, or a salted digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Base64url salt of a digested subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_salt: Option<String>,
    /// Name of the dataset.
    pub dataset: String,
    /// Name of the service context; absent for open data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The grant; absent for direct harvests and open data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accreditation: Option<String>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requestor: Option<String>,
    /// Identifiers of the legal bases it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legal_basis: Vec<String>,
    /// What the caller said beside the subject: lower-case hex SHA-256 of the RFC 8785 form of an
    /// object with each parameter's name and its value as text; absent when nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// When the oldest source answered, RFC 3339.
    pub retrieved_at: String,
    /// Name of the source as in the metadata.
    pub source: String,
    /// Lower-case hex SHA-256 of what the source answered; of several, of their digests in a row.
    pub source_digest: String,
    /// Every call, when there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<StatementSource>,
    /// Lower-case hex SHA-256 of the transformation.
    pub view: String,
    /// Media type of the body.
    pub media_type: String,
}

/// One call in a statement.
#[derive(Debug, Serialize)]
pub struct StatementSource {
    /// Identifier of the call.
    pub id: String,
    /// When it answered.
    pub retrieved_at: String,
    /// Lower-case hex SHA-256 of what it answered.
    pub digest: String,
}

/// How a party stands in a statement: in clear, or as a digest with its salt.
#[must_use]
pub fn party_claim(party: &Party, salt: [u8; SUBJECT_SALT_BYTES]) -> (String, Option<String>) {
    if party.is_public() {
        return (party.expose_canonical(), None);
    }
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(party.expose_bare().unwrap_or_default().as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(hash.finalize());
    (
        format!("sha-256:{digest}"),
        Some(URL_SAFE_NO_PAD.encode(salt)),
    )
}

/// `retrieved_at`, `source_digest` and `sources` for the calls a harvest rests on.
#[must_use]
pub fn source_claims(
    calls: &[SourceCall],
    now: Timestamp,
) -> (String, String, Vec<StatementSource>) {
    let oldest = calls
        .iter()
        .map(|call| call.retrieved_at)
        .min()
        .unwrap_or(now);
    match calls {
        [only] => (oldest.to_string(), hex(&only.digest), Vec::new()),
        _ => {
            let mut hash = Sha256::new();
            for call in calls {
                hash.update(call.digest);
            }
            let sources = calls
                .iter()
                .map(|call| StatementSource {
                    id: call.id.clone(),
                    retrieved_at: call.retrieved_at.to_string(),
                    digest: hex(&call.digest),
                })
                .collect();
            (oldest.to_string(), hex(&hash.finalize()), sources)
        }
    }
}

/// `parameters` of a statement. Texts stand as they are, everything else as its JSON, so that a
/// number is the same whether it was sent in an address or in a body.
#[must_use]
pub fn parameters_digest(parameters: &[Parameter]) -> Option<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let named: Map<String, Value> = parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), Value::from(text(&parameter.value))))
        .collect();
    if named.is_empty() {
        return None;
    }
    // An object of texts always has a canonical form.
    let canonical = canonical_json(&Value::Object(named)).ok()?;
    Some(hex(&sha256(canonical.as_bytes())))
}

/// SHA-256 of the RFC 8785 form of `{"mapping", "query"}`. `mapping` is already canonical JSON;
/// the two members stand in their canonical order.
#[must_use]
pub fn view_digest(mapping: &str, query: Option<&str>) -> String {
    let query = Value::from(query).to_string();
    hex(&sha256(
        format!(r#"{{"mapping":{mapping},"query":{query}}}"#).as_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::Realm;

    #[test]
    fn persons_stand_as_salted_digests() {
        let person = Party::parse("07056120453", Realm::Production).unwrap();
        let (claim, salt) = party_claim(&person, [1; 16]);
        assert!(claim.starts_with("sha-256:"));
        assert!(!claim.contains("07056120453"));
        assert_eq!(salt.as_deref(), Some("AQEBAQEBAQEBAQEBAQEBAQ"));
        assert_ne!(party_claim(&person, [2; 16]).0, claim);
        let org = Party::parse("991825827", Realm::Production).unwrap();
        assert_eq!(
            party_claim(&org, [1; 16]),
            ("0192:991825827".to_owned(), None)
        );
    }

    #[test]
    fn several_calls_are_digested_in_a_row() {
        let call = |ms, byte| SourceCall {
            id: "a".to_owned(),
            retrieved_at: Timestamp::from_ms(ms),
            digest: [byte; 32],
        };
        let (at, digest, sources) =
            source_claims(&[call(2000, 1), call(1000, 2)], Timestamp::from_ms(9));
        assert_eq!(at, "1970-01-01T00:00:01Z");
        assert_eq!(digest, hex(&sha256(&[[1_u8; 32], [2; 32]].concat())));
        assert_eq!(sources.len(), 2);
        let (_, single, none) = source_claims(&[call(5, 7)], Timestamp::from_ms(9));
        assert_eq!(single, hex(&[7; 32]));
        assert!(none.is_empty());
    }

    #[test]
    fn parameters_are_digested_as_text_whatever_their_order_and_writing() {
        let sent = |name: &str, value: Value| Parameter {
            name: name.to_owned(),
            value,
        };
        let one = [sent("b", Value::from(2024)), sent("a", Value::from("x"))];
        let other = [sent("a", Value::from("x")), sent("b", Value::from("2024"))];
        let expected = hex(&sha256(br#"{"a":"x","b":"2024"}"#));
        assert_eq!(parameters_digest(&one), Some(expected.clone()));
        assert_eq!(parameters_digest(&other), Some(expected));
        assert_ne!(parameters_digest(&one[..1]), parameters_digest(&one));
        assert_eq!(parameters_digest(&[]), None);
    }

    #[test]
    fn the_view_hashes_canonical_json() {
        let canonical = canonical_json(&serde_json::json!({
            "query": "a\u{1}å\"", "mapping": {"x": 1}
        }));
        let expected = hex(&sha256(canonical.unwrap().as_bytes()));
        assert_eq!(view_digest(r#"{"x":1}"#, Some("a\u{1}å\"")), expected);
    }
}
