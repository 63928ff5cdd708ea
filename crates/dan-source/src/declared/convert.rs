//! One found value into the type its definition declares, or not at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::dataset::ValueType;
use dan_core::time::Timestamp;
use serde_json::Value;

use super::parameter::number;

/// Digits of a decimal number that survive on their way (IEEE 754 double).
const DIGITS_EXACT: usize = 15;

/// A value of another type than the declared one. Names types, never the value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongType {
    pub(crate) wanted: &'static str,
    pub(crate) found: &'static str,
}

/// Converts; `None` when there is nothing: null, or text that is blank.
///
/// `unit` is put behind the number of an amount. `wire-api.md` §9.4.
pub(crate) fn convert(
    value: Value,
    kind: ValueType,
    unit: Option<&str>,
) -> Result<Option<Value>, WrongType> {
    if matches!(value, Value::Null) {
        return Ok(None);
    }
    if matches!(&value, Value::String(text) if text.trim().is_empty()) {
        return Ok(None);
    }
    let found = kind_of(&value);
    let converted = match kind {
        ValueType::String => plain_text(value),
        ValueType::Uri => plain_text(value).filter(is_link),
        ValueType::Number => to_number(value),
        ValueType::Boolean => to_boolean(&value),
        ValueType::DateTime => date_time(value),
        ValueType::Amount => amount(value, unit),
        ValueType::Attachment => attachment(value),
        ValueType::JsonSchema => document(value),
        ValueType::Binary => None,
    };
    converted.map(Some).ok_or(WrongType {
        wanted: kind.wire_name(),
        found,
    })
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Text as it is; a number as its text, since registers differ in how they write codes.
fn plain_text(value: Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::String(text)),
        Value::Number(number) => Some(Value::from(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_link(value: &Value) -> bool {
    let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
    value.as_str().is_some_and(plain)
}

fn to_number(value: Value) -> Option<Value> {
    match value {
        Value::Number(number) => Some(Value::Number(number)),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let exact = digits <= DIGITS_EXACT || text.parse::<i64>().is_ok();
            number(text).filter(|_| exact).map(Value::Number)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn to_boolean(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(flag) => Some(Value::Bool(*flag)),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => {
            Some(Value::Bool(false))
        }
        Value::Null | Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// Kept as the source writes it, once it is known to be a date.
fn date_time(value: Value) -> Option<Value> {
    Timestamp::parse(value.as_str()?).map(|_| value)
}

fn amount(value: Value, unit: Option<&str>) -> Option<Value> {
    let Some(unit) = unit else {
        return plain_text(value);
    };
    let figure = match &value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            number(text.trim())?;
            text.trim().to_owned()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(Value::from(format!("{figure} {unit}")))
}

/// Base64 with or without line breaks; given on without.
fn attachment(value: Value) -> Option<Value> {
    let Value::String(text) = value else {
        return None;
    };
    let tight: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(&tight).ok().map(|_| Value::String(tight))
}

/// Objects and lists inline; text that is itself a document stays text; other scalars as their
/// text, which is a document too (`wire-api.md` §9.3).
fn document(value: Value) -> Option<Value> {
    match value {
        Value::Array(_) | Value::Object(_) => Some(value),
        Value::String(text) => {
            let readable = super::json::read(text.as_bytes()).is_ok();
            readable.then_some(Value::String(text))
        }
        Value::Bool(_) | Value::Number(_) => Some(Value::from(value.to_string())),
        Value::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_become_what_was_declared() {
        use ValueType::*;
        for (value, kind, expected) in [
            (json!("x"), String, json!("x")),
            (json!(7), String, json!("7")),
            (json!("991825827"), Number, json!(991_825_827)),
            (json!(" -1.50 "), Number, json!(-1.5)),
            (json!(2.5), Number, json!(2.5)),
            (json!(true), Boolean, json!(true)),
            (json!("False"), Boolean, json!(false)),
            (json!("2017-10-20"), DateTime, json!("2017-10-20")),
            (
                json!("https://x.example/a"),
                Uri,
                json!("https://x.example/a"),
            ),
            (json!(12), Amount, json!("12 NOK")),
            (json!("12.50"), Amount, json!("12.50 NOK")),
            (json!("aGVp\nIQ=="), Attachment, json!("aGVpIQ==")),
            (json!({"a": [1]}), JsonSchema, json!({"a": [1]})),
            (json!([]), JsonSchema, json!([])),
            (json!("{\"a\":1}"), JsonSchema, json!("{\"a\":1}")),
            (json!(5), JsonSchema, json!("5")),
        ] {
            let unit = (kind == Amount).then_some("NOK");
            assert_eq!(convert(value, kind, unit), Ok(Some(expected)), "{kind:?}");
        }
        assert_eq!(
            convert(json!("1 234 kr"), Amount, None),
            Ok(Some(json!("1 234 kr")))
        );
    }

    #[test]
    fn nothing_is_left_out() {
        for value in [json!(null), json!(""), json!(" \n ")] {
            for (kind, _) in ValueType::ALL {
                assert_eq!(convert(value.clone(), *kind, None), Ok(None));
            }
        }
    }

    #[test]
    fn another_type_is_wrong_and_never_guessed() {
        use ValueType::*;
        for (value, kind) in [
            (json!(true), String),
            (json!(["x"]), String),
            (json!({}), String),
            (json!("x y"), Uri),
            (json!("1e5"), Number),
            (json!("12 stk"), Number),
            (json!("0.12345678901234567"), Number),
            (json!(true), Number),
            (json!("ja"), Boolean),
            (json!(1), Boolean),
            (json!("20. oktober"), DateTime),
            (json!(20_171_020), DateTime),
            (json!("tolv"), Amount),
            (json!({}), Amount),
            (json!("%%%"), Attachment),
            (json!([1]), Attachment),
            (json!("{a:1}"), JsonSchema),
            (json!("x"), Binary),
        ] {
            let unit = (kind == Amount).then_some("NOK");
            assert!(
                convert(value.clone(), kind, unit).is_err(),
                "{value} {kind:?}"
            );
        }
    }
}
