//! CBOR of one form only, the deterministic one of RFC 8949 §4.2.1: shortest heads, known lengths,
//! members in the order of their encoded names. Written here, and held to it where it is read.
//!
//! It holds what JSON can say, and byte strings as members of the outermost map.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use dan_json::strict::DEPTH_MAX;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::{Map, Number, Value};

use crate::payload::{EVIDENCE, EVIDENCE_BASE64, EVIDENCE_JSON};

/// A value of the outermost map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    /// What JSON can say.
    Json(&'a Value),
    /// A byte string.
    Bytes(&'a [u8]),
}

/// One CBOR map, deterministic. No name may stand twice in `members`.
///
/// # Errors
/// When it cannot be encoded, which never happens in memory.
pub(crate) fn map_to_cbor(members: Vec<(&str, Item<'_>)>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&Sorted(members), &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// One CBOR map with text keys that fills `bytes`, as the JSON object it stands for. A byte string
/// under `evidence` or `evidence_json` stands in it as `evidence_base64`, as JOSE has it.
///
/// # Errors
/// Why not: everything that [`map_to_cbor`] would not have written, byte for byte.
pub(crate) fn object_from_cbor(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let read: Cbor = ciborium::de::from_reader_with_recursion_limit(bytes, DEPTH_MAX)
        .map_err(|error| error.to_string())?;
    let Cbor::Map(entries) = read else {
        return Err("a map is expected".to_owned());
    };
    let mut claims = Map::new();
    let mut evidence = None;
    for (name, value) in entries {
        let Cbor::Text(name) = name else {
            return Err("a member name is not text".to_owned());
        };
        let may_be_bytes = name == EVIDENCE || name == EVIDENCE_JSON;
        match value.into_bytes() {
            Ok(body) if may_be_bytes => {
                if evidence.replace((name, body)).is_some() {
                    return Err("it has evidence twice".to_owned());
                }
            }
            Ok(body) => return Err(format!("{} bytes where none can be", body.len())),
            Err(value) => {
                claims.insert(name, json(value)?);
            }
        }
    }
    let mut members: Vec<_> = claims
        .iter()
        .map(|(name, value)| (name.as_str(), Item::Json(value)))
        .collect();
    if let Some((name, body)) = &evidence {
        members.push((name, Item::Bytes(body)));
    }
    if map_to_cbor(members)? != bytes {
        return Err("it is not written in the one deterministic form".to_owned());
    }
    if let Some((_, body)) = evidence {
        let text = Value::from(STANDARD.encode(body));
        let others = [EVIDENCE, EVIDENCE_JSON, EVIDENCE_BASE64];
        if others.iter().any(|name| claims.contains_key(*name)) {
            return Err("it has evidence twice".to_owned());
        }
        claims.insert(EVIDENCE_BASE64.to_owned(), text);
    }
    Ok(claims)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate may name more kinds; all of them are refused"
)]
fn json(value: Cbor) -> Result<Value, String> {
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Text(text) => Value::String(text),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let unsigned = u64::try_from(number).map(Number::from);
            let number = unsigned.or_else(|_beyond| i64::try_from(number).map(Number::from));
            Value::Number(number.map_err(|_beyond| "a number is beyond 64 bits")?)
        }
        Cbor::Float(number) => {
            Value::Number(Number::from_f64(number).ok_or("a number is not finite")?)
        }
        Cbor::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Cbor::Map(entries) => {
            let mut members = Map::new();
            for (name, value) in entries {
                let Cbor::Text(name) = name else {
                    return Err("a member name is not text".to_owned());
                };
                members.insert(name, json(value)?);
            }
            Value::Object(members)
        }
        _ => return Err("it has a byte string or a tag where none can be".to_owned()),
    })
}

/// A map whose members are written in order.
struct Sorted<'a>(Vec<(&'a str, Item<'a>)>);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members: Vec<_> = self.0.iter().collect();
        // The head of a text is its length, and sorts as the length does.
        members.sort_unstable_by_key(|(name, _)| (name.len(), *name));
        let mut map = serializer.serialize_map(Some(members.len()))?;
        for (name, item) in members {
            map.serialize_entry(name, item)?;
        }
        map.end()
    }
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match self {
            Self::Bytes(bytes) => return serializer.serialize_bytes(bytes),
            Self::Json(value) => *value,
        };
        match value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Self::Json(item))?;
                }
                list.end()
            }
            Value::Object(members) => Sorted(
                members
                    .iter()
                    .map(|(name, value)| (name.as_str(), Self::Json(value)))
                    .collect(),
            )
            .serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use dan_json::strict::json_object;

    use super::*;

    fn written(text: &str) -> Vec<u8> {
        let value = Value::Object(json_object(text.as_bytes()).unwrap());
        let mut bytes = Vec::new();
        ciborium::into_writer(&Item::Json(&value), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn members_are_sorted_by_their_encoded_names_at_any_depth() {
        let long = "k".repeat(24);
        let text = format!(r#"{{"{long}":0,"b":{{"bb":0,"c":0}},"aa":[{{"z":1,"a":1.5}}],"a":1}}"#);
        let expected = [
            &b"\xa4\x61a\x01\x61b\xa2\x61c\x00\x62bb\x00\x62aa\x81\xa2\x61a\xf9\x3e\x00\x61z\x01\x78\x18"[..],
            long.as_bytes(),
            b"\x00",
        ]
        .concat();
        assert_eq!(written(&text), expected);
        assert!(object_from_cbor(&expected).is_ok());
    }

    #[test]
    fn every_other_way_to_write_the_same_is_refused() {
        for (bytes, why) in [
            (&b"\xa2\x61b\x01\x61a\x01"[..], "not sorted"),
            (
                b"\xa2\x62aa\x01\x61b\x01",
                "sorted as text is, not as bytes are",
            ),
            (b"\xb8\x01\x61a\x01", "a long head of a map"),
            (b"\xbf\x61a\x01\xff", "a map without length"),
            (b"\xa1\x78\x01a\x01", "a long head of a text"),
            (b"\xa1\x7f\x61a\xff\x01", "a text in pieces"),
            (b"\xa1\x61a\x18\x01", "a long number"),
            (b"\xa1\x61a\x1b\0\0\0\0\0\0\0\x01", "a very long number"),
            (b"\xa1\x61a\xfa\x3f\xc0\0\0", "1.5 in four bytes"),
            (b"\xa1\x61a\xfb\x3f\xf8\0\0\0\0\0\0", "1.5 in eight bytes"),
            (b"\xa1\x61a\x9f\x01\xff", "a list without length"),
            (b"\xa1\x61a\xf7", "undefined for null"),
            (b"\xa1\x61a\xa2\x61b\x01\x61b\x01", "a member twice within"),
            (b"\xa1\x68evidence\x5f\x41a\xff", "evidence in pieces"),
            (
                b"\xa2\x68evidence\x41a\x6devidence_json\x41a",
                "evidence twice",
            ),
            (
                b"\xa2\x68evidence\x41a\x6devidence_json\x01",
                "evidence twice, once as a number",
            ),
        ] {
            assert!(object_from_cbor(bytes).is_err(), "{why}");
        }
    }

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":[{"b":{"c":1,"c":2}}]}"#,
        ] {
            let error = json_object(text.as_bytes()).unwrap_err();
            assert!(error.contains("named twice"), "{error}");
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for text in [
            "",
            "null",
            "[]",
            "\"a\"",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            "{\"a\":1e400}",
            "{'a':1}",
            "{\"a\":\"\\ud800\"}",
            &deep,
        ] {
            assert!(json_object(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(json_object(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn cbor_that_json_cannot_say_is_refused() {
        for (bytes, why) in [
            (&b"\xa1\x61a\x41\x00"[..], "a byte string"),
            (b"\xa1\x61a\xc1\x00", "a tag"),
            (b"\xa1\x61a\xc2\x41\x01", "a big number"),
            (
                b"\xa1\x61a\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
                "below 64 bits",
            ),
            (b"\xa1\x61a\xf9\x7e\x00", "not a number"),
            (b"\xa1\x61a\xf9\x7c\x00", "infinity"),
            (b"\xa1\x01\x01", "a number as key"),
            (b"\xa1\xc1\x61a\x01", "a tagged key"),
            (b"\xa2\x61a\x01\x61a\x01", "a member twice"),
            (b"\xa1\x61a\x01\x00", "something after it"),
            (b"\xa1\x61a", "cut off"),
            (
                b"\xa1\x61a\x7a\xff\xff\xff\xff",
                "a length that is not there",
            ),
            (b"\x80", "an array"),
            (b"", "nothing"),
        ] {
            assert!(object_from_cbor(bytes).is_err(), "{why}");
        }
        let mut deep = b"\xa1\x61a".to_vec();
        deep.extend(std::iter::repeat_n(0x81, 10_000));
        deep.push(0);
        assert!(object_from_cbor(&deep).is_err());
    }

    /// RFC 8949 Appendix A. Refused of it: what JSON has no word for, and what is not deterministic. Two
    /// of its numbers lie beyond 64 bits.
    #[test]
    fn the_examples_of_the_rfc_are_read_or_refused() {
        let Some(text) = crate::testing::shared("suites/cbor/appendix_a.json") else {
            return;
        };
        let examples: Vec<Map<String, Value>> = serde_json::from_str(&text).unwrap();
        let (mut read, mut refused) = (0, 0);
        for example in examples {
            let digits = example["hex"].as_str().unwrap();
            let item = digits.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair).unwrap();
                u8::from_str_radix(pair, 16).unwrap()
            });
            let bytes: Vec<u8> = b"\xa1\x61a".iter().copied().chain(item).collect();
            let beyond = ["c249", "c349", "3bff"]
                .iter()
                .any(|big| digits.starts_with(big));
            let deterministic = example["roundtrip"] == Value::Bool(true);
            let expected = example.get("decoded").cloned();
            let expected = expected.filter(|_| deterministic && !beyond);
            let outcome = object_from_cbor(&bytes);
            match expected {
                Some(value) => {
                    read += 1;
                    assert_eq!(outcome.unwrap()["a"], value, "{digits}");
                }
                None => {
                    refused += 1;
                    assert!(outcome.is_err(), "{digits}");
                }
            }
        }
        assert!(read > 40 && refused > 15, "{read} {refused}");
    }
}
