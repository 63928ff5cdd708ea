//! Reads JSON and CBOR so that two readers can never see two different things: no object names a
//! member twice, nothing follows the document, and only what JSON can say is accepted.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays, maps and tags may be nested; the same as `serde_json`'s own limit.
pub(crate) const DEPTH_MAX: usize = 128;

/// One JSON object that fills `bytes`.
///
/// # Errors
/// Why not. The text never quotes a value or a member name of the document.
pub(crate) fn object_from_json(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let Strict(value) = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    object(value)
}

/// One CBOR map with text keys that fills `bytes`, as the JSON object it stands for.
///
/// # Errors
/// Why not: also byte strings, tags, floats that are not finite, and integers beyond 64 bits.
pub(crate) fn object_from_cbor(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut rest = bytes;
    let Strict(value) = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MAX)
        .map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("bytes follow the CBOR item".to_owned());
    }
    object(value)
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("an object is expected".to_owned())
        }
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(Strict(name)) = access.next_key()? {
            // Keys go through the same visitor, since ciborium would skip a tag before a `String`.
            let Value::String(name) = name else {
                return Err(A::Error::custom("a member name is not text"));
            };
            let Strict(value) = access.next_value()?;
            // The name may itself be personal: it is not repeated here.
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":[{"b":{"c":1,"c":2}}]}"#,
        ] {
            let error = object_from_json(text.as_bytes()).unwrap_err();
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
            assert!(object_from_json(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(object_from_json(b"{\"a\":\"\xff\"}").is_err());
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

    /// RFC 8949 Appendix A. Refused of it: what JSON has no word for. Two of its numbers lie beyond
    /// 64 bits; `undefined` reads as null.
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
            let expected = match example.get("decoded") {
                _ if digits == "f7" => Some(Value::Null),
                decoded => decoded.cloned().filter(|_| !beyond),
            };
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
