//! Reads CBOR as strictly as JSON: no map names a member twice, nothing follows the document, and
//! only what JSON can say is accepted.

use dan_json::strict::{DEPTH_MAX, Strict, object};
use serde_json::{Map, Value};

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

#[cfg(test)]
mod tests {
    use dan_json::strict::json_object;

    use super::*;

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
