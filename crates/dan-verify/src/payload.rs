//! What is signed when evidence and statement travel together: one object, as JSON for JOSE and as
//! CBOR for COSE.
//!
//! The members are those of the statement and one more, the body as it would leave plain. Its digest
//! is the `SHA256PayloadDigest` of the statement within.
//!
//! | Member | In | Is |
//! |---|---|---|
//! | `evidence` | JOSE | the body, where it is JSON that reading and writing does not change |
//! | `evidence_base64` | JOSE | any other body, in base64 |
//! | `evidence` | COSE | the body as a CBOR value, where it is JSON; else as a byte string |
//! | `evidence_json` | COSE | a byte string: JSON that CBOR would alter (numbers beyond 64-bit integers and doubles, a member twice, nested too deep) |
//!
//! From JOSE, and from a byte string, the body can be had again byte for byte: [`body`]. A CBOR value
//! does not tell in which order its members stood and how its numbers were written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_json::strict::{DEPTH_MAX, Strict, json_object};
use serde_json::{Map, Value};

use crate::cbor::{Item, map_to_cbor};
use crate::numbers;

/// A body that is a value of the form it travels in.
pub const EVIDENCE: &str = "evidence";
/// A body in base64.
pub const EVIDENCE_BASE64: &str = "evidence_base64";
/// A body that is JSON, as a byte string.
pub const EVIDENCE_JSON: &str = "evidence_json";

/// Levels that the object around the evidence takes of [`DEPTH_MAX`].
const LEVELS_AROUND: usize = 2;

/// A body to put beside its statement.
#[derive(Clone, Copy, Debug)]
pub enum Evidence<'a> {
    /// Said to be JSON.
    Json(&'a [u8]),
    /// Anything else.
    Bytes(&'a [u8]),
}

/// The JSON object for JOSE: `statement`, the text of one JSON object, with the evidence as its last
/// member.
///
/// # Errors
/// When `statement` is no JSON object, names a member twice, or has evidence already.
pub fn jose(statement: &str, evidence: Option<Evidence<'_>>) -> Result<String, String> {
    let claims = claims_of(statement)?;
    let Some(evidence) = evidence else {
        return Ok(statement.to_owned());
    };
    let open = statement
        .trim_end()
        .strip_suffix('}')
        .ok_or("an object is expected")?;
    let comma = if claims.is_empty() { "" } else { "," };
    Ok(match evidence {
        Evidence::Json(body) if let Some(text) = same_when_read(body) => {
            format!("{open}{comma}\"{EVIDENCE}\":{text}}}")
        }
        Evidence::Json(body) | Evidence::Bytes(body) => {
            let text = STANDARD.encode(body);
            format!("{open}{comma}\"{EVIDENCE_BASE64}\":\"{text}\"}}")
        }
    })
}

/// The CBOR map for COSE, in the deterministic form of RFC 8949 §4.2.1.
///
/// # Errors
/// As [`jose`].
pub fn cose(statement: &str, evidence: Option<Evidence<'_>>) -> Result<Vec<u8>, String> {
    let claims = claims_of(statement)?;
    let mut members: Vec<(&str, Item<'_>)> = claims
        .iter()
        .map(|(name, value)| (name.as_str(), Item::Json(value)))
        .collect();
    let read = match evidence {
        Some(Evidence::Json(body)) => unaltered(body),
        Some(Evidence::Bytes(_)) | None => None,
    };
    match (&read, evidence) {
        (_, None) => {}
        (Some(value), _) => members.push((EVIDENCE, Item::Json(value))),
        (None, Some(Evidence::Json(body))) => members.push((EVIDENCE_JSON, Item::Bytes(body))),
        (None, Some(Evidence::Bytes(body))) => members.push((EVIDENCE, Item::Bytes(body))),
    }
    map_to_cbor(members)
}

/// The body that a JOSE object carries, byte for byte; `None` when it carries none.
#[must_use]
pub fn body(claims: &Map<String, Value>) -> Option<Vec<u8>> {
    match (claims.get(EVIDENCE), claims.get(EVIDENCE_BASE64)) {
        (Some(value), None) => Some(value.to_string().into_bytes()),
        (None, Some(Value::String(text))) => STANDARD.decode(text).ok(),
        _ => None,
    }
}

fn claims_of(statement: &str) -> Result<Map<String, Value>, String> {
    let claims = json_object(statement.as_bytes())?;
    let taken = [EVIDENCE, EVIDENCE_BASE64, EVIDENCE_JSON];
    if taken.iter().any(|name| claims.contains_key(*name)) {
        return Err("the statement has evidence of its own".to_owned());
    }
    Ok(claims)
}

/// The text of a JSON body that comes out byte for byte when it is read and written: numbers written
/// otherwise, spaces or a member that stands twice would not match the digest.
fn same_when_read(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    let written = value.to_string();
    (written == text && has_room_around(&value, LEVELS_AROUND)).then_some(text)
}

/// The value of a JSON body that CBOR says as well.
fn unaltered(body: &[u8]) -> Option<Value> {
    let Strict(value) = serde_json::from_slice(body).ok()?;
    (numbers::survive(body) && has_room_around(&value, LEVELS_AROUND)).then_some(value)
}

/// Whether a value can be read again with this many levels around it.
fn has_room_around(value: &Value, levels: usize) -> bool {
    if levels >= DEPTH_MAX {
        return false;
    }
    let within = levels.saturating_add(1);
    match value {
        Value::Array(items) => items.iter().all(|item| has_room_around(item, within)),
        Value::Object(members) => members.values().all(|item| has_room_around(item, within)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::object_from_cbor;

    const STATEMENT: &str = r#"{"iat":1,"dataset":"D"}"#;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn evidence_stands_as_json_only_where_it_comes_out_as_it_was_answered() {
        let deep = nested(DEPTH_MAX - 1);
        for (body, expected) in [
            (r#"{"b":1,"a":"sj\u00f8"}"#, EVIDENCE_BASE64),
            (r#"{"b":1,"a":[true,null,"x"]}"#, EVIDENCE),
            ("null", EVIDENCE),
            ("1.0", EVIDENCE),
            (r#"{"a": 1}"#, EVIDENCE_BASE64),
            (r#"{"a":1,"a":2}"#, EVIDENCE_BASE64),
            (r#"{"a":1E2}"#, EVIDENCE_BASE64),
            (r#"{"a":123456789012345678901234567890}"#, EVIDENCE_BASE64),
            (&deep, EVIDENCE_BASE64),
            ("{", EVIDENCE_BASE64),
            ("", EVIDENCE_BASE64),
        ] {
            let text = jose(STATEMENT, Some(Evidence::Json(body.as_bytes()))).unwrap();
            let claims = json_object(text.as_bytes()).unwrap();
            assert_eq!(claims.len(), 3, "{body}");
            assert!(claims.contains_key(expected), "{body}");
            assert_eq!(super::body(&claims).unwrap(), body.as_bytes(), "{body}");
        }
    }

    #[test]
    fn json_is_a_cbor_value_unless_cbor_would_alter_it() {
        let deep = nested(DEPTH_MAX - 1);
        for (body, is_value) in [
            (r#"{"b":1,"a":"sj\u00f8"}"#, true),
            (r#"{ "a": 1E2 }"#, true),
            ("null", true),
            (
                r#"{"a":18446744073709551615,"b":-9223372036854775808}"#,
                true,
            ),
            (r#"{"a":1,"a":2}"#, false),
            (r#"{"a":123456789012345678901234567890}"#, false),
            (r#"{"a":0.1000000000000000055511}"#, false),
            (&deep, false),
            ("{", false),
            ("", false),
        ] {
            let bytes = cose(STATEMENT, Some(Evidence::Json(body.as_bytes()))).unwrap();
            let claims = object_from_cbor(&bytes).unwrap();
            if is_value {
                let same: Value = serde_json::from_str(body).unwrap();
                assert_eq!(claims[EVIDENCE], same, "{body}");
            } else {
                assert_eq!(super::body(&claims).unwrap(), body.as_bytes(), "{body}");
                let name = bytes
                    .windows(13)
                    .any(|part| part == EVIDENCE_JSON.as_bytes());
                assert!(name, "{body}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_a_byte_string_in_cbor() {
        let bytes = cose("{}", Some(Evidence::Bytes(b"{}"))).unwrap();
        assert_eq!(bytes, b"\xa1\x68evidence\x42{}");
        let claims = object_from_cbor(&bytes).unwrap();
        assert_eq!(claims[EVIDENCE_BASE64], "e30=");
    }

    #[test]
    fn nothing_beside_a_statement_leaves_it_as_it_is() {
        assert_eq!(jose(STATEMENT, None).unwrap(), STATEMENT);
        assert_eq!(cose("{}", None).unwrap(), b"\xa0");
        let text = jose("{}", Some(Evidence::Json(b"1"))).unwrap();
        assert_eq!(text, r#"{"evidence":1}"#);
    }

    #[test]
    fn a_statement_that_is_none_is_refused() {
        for statement in [
            "",
            "[]",
            "{} {}",
            r#"{"a":1,"a":1}"#,
            r#"{"evidence":1}"#,
            r#"{"evidence_json":1}"#,
            r#"{"evidence_base64":""}"#,
        ] {
            let evidence = Some(Evidence::Json(b"1"));
            assert!(jose(statement, evidence).is_err(), "{statement}");
            assert!(cose(statement, evidence).is_err(), "{statement}");
        }
    }

    #[test]
    fn evidence_in_two_forms_is_none() {
        let claims = |text: &str| json_object(text.as_bytes()).unwrap();
        for text in [
            "{}",
            r#"{"evidence":1,"evidence_base64":"MQ=="}"#,
            r#"{"evidence_base64":1}"#,
            r#"{"evidence_base64":"*"}"#,
        ] {
            assert_eq!(body(&claims(text)), None, "{text}");
        }
    }
}
