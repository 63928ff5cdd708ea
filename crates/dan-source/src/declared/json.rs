//! JSON from a source: bounded, and refused where it is ambiguous or would change on its way.
//!
//! Duplicate members are refused (`security.md` F5), and so are integers that a JSON number here
//! cannot carry: nothing is signed that differs from what the source said.

use dan_core::strict::Strict;
use serde_json::Value;

/// Reads a whole document of UTF-8 JSON (RFC 8259), nested at most 127 deep.
///
/// # Errors
/// Why it is none, without repeating it.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_position| "not UTF-8".to_owned())?;
    let document: Strict = serde_json::from_str(text).map_err(|error| {
        format!(
            "no JSON at line {}, column {}: {:?}",
            error.line(),
            error.column(),
            error.classify()
        )
    })?;
    if holds_long_integer(text) {
        return Err("an integer is too long to be carried exactly".to_owned());
    }
    Ok(document.0)
}

/// Whether an integer beyond 64 bits is in this text, which is known to be JSON.
fn holds_long_integer(text: &str) -> bool {
    /// Digits that always fit 64 bits.
    const DIGITS_SAFE: usize = 18;
    let mut in_text = false;
    let mut escaped = false;
    let mut number = String::new();
    // One more character than there is, so that a number at the very end is judged too.
    for byte in text.bytes().chain([b' ']) {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        if byte.is_ascii_digit() || b"+-.eE".contains(&byte) {
            number.push(char::from(byte));
            continue;
        }
        let whole = !number.contains(['.', 'e', 'E']);
        if number.len() > DIGITS_SAFE
            && whole
            && number.parse::<i64>().is_err()
            && number.parse::<u64>().is_err()
        {
            return true;
        }
        number.clear();
        in_text = byte == b'"';
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn good_documents_are_read_with_members_in_order() {
        let value =
            read(br#" {"b":[1,-2,1.5e3,true,null,"\u00e6 \" 99999999999999999999"],"a":{}} "#)
                .expect("good");
        assert_eq!(
            value,
            json!({"b": [1, -2, 1500.0, true, null, "æ \" 99999999999999999999"], "a": {}})
        );
        assert_eq!(value.to_string().find("\"b\""), Some(1));
        for scalar in [
            "null",
            "1",
            "\"x\"",
            "18446744073709551615",
            "1e22",
            "-9223372036854775808",
        ] {
            assert!(read(scalar.as_bytes()).is_ok(), "{scalar}");
        }
    }

    #[test]
    fn what_is_ambiguous_or_would_change_is_refused() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "{",
            "{\"a\":1",
            "\u{feff}{}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "[NaN]",
            "[1,]",
            "{}x",
            "'a'",
            "18446744073709551616",
            "[-9223372036854775809]",
            "{\"a\":123456789012345678901234567890}",
            "1e400",
            "<html>",
            &deep,
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:.40}");
        }
        assert!(read(b"\"\xff\"").is_err());
        assert!(read(&[0xFE, 0xFF, 0x00, 0x7B, 0x00, 0x7D]).is_err());
    }

    #[test]
    fn the_reason_does_not_repeat_the_document() {
        let refused = read(b"{\"navn\": Kari}").expect_err("no JSON");
        assert!(!refused.contains("Kari"));
    }
}
