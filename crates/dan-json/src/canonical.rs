//! RFC 8785: one JSON text for one value, so that it can be hashed.

use serde_json::Value;

/// The canonical text of a value.
///
/// # Errors
/// A text that says why; numbers beyond 2^53 that JSON cannot carry exactly are refused, not bent.
pub fn canonical_json(value: &Value) -> Result<String, String> {
    if let Some(number) = inexact_number(value) {
        return Err(format!(
            "{number} cannot be written exactly as a JSON number; use text"
        ));
    }
    serde_json_canonicalizer::to_string(value).map_err(|error| error.to_string())
}

/// Integers above 2^53 lose digits in RFC 8785, silently; find them first.
fn inexact_number(value: &Value) -> Option<&serde_json::Number> {
    const EXACT_MAX: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let magnitude = number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::unsigned_abs));
            magnitude
                .is_some_and(|size| size > EXACT_MAX)
                .then_some(number)
        }
        Value::Array(items) => items.iter().find_map(inexact_number),
        Value::Object(members) => members.values().find_map(inexact_number),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_sorted_and_numbers_short() {
        let text = canonical_json(&json!({"b": 1.0, "a": [true, null], "å": "€"}));
        assert_eq!(text.as_deref(), Ok(r#"{"a":[true,null],"b":1,"å":"€"}"#));
    }

    #[test]
    fn numbers_that_would_change_are_refused() {
        assert!(canonical_json(&json!({"n": 9_007_199_254_740_993_u64})).is_err());
        assert!(canonical_json(&json!([-9_007_199_254_740_993_i64])).is_err());
        assert!(canonical_json(&json!(9_007_199_254_740_992_u64)).is_ok());
    }
}
