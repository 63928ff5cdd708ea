//! What a value costs to compare, to write as text and to copy into the result.
//!
//! All three recurse over values; none goes deeper than [`VALUE_DEPTH_MAX`].

use std::mem::size_of;

use serde_json::{Map, Value};

use crate::VALUE_DEPTH_MAX;
use crate::budget::{Meter, text_steps};
use crate::data::{Data, List, Record};
use crate::error::EvaluationError;
use crate::number::Numeric;

/// Estimated bytes of one array element of the result, beside its text.
const ELEMENT_BYTES: usize = size_of::<Value>();

/// Estimated bytes of one object member of the result, beside its texts: the key, the value, the
/// hash, and the place in the index with room to spare.
const MEMBER_BYTES: usize = size_of::<(String, Value)>().saturating_add(3 * size_of::<usize>());

/// One level further down.
fn below(depth: usize) -> Result<usize, EvaluationError> {
    depth.checked_sub(1).ok_or(EvaluationError::TooDeep)
}

/// Whether two values are equal: numbers by value, objects without regard to order.
pub(crate) fn equal(
    a: &Data<'_>,
    b: &Data<'_>,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    equal_within(a, b, VALUE_DEPTH_MAX, meter)
}

fn equal_within(
    a: &Data<'_>,
    b: &Data<'_>,
    depth: usize,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    meter.steps(1)?;
    match (a, b) {
        (Data::Null, Data::Null) => Ok(true),
        (Data::Bool(a), Data::Bool(b)) => Ok(a == b),
        (Data::Number(a), Data::Number(b)) => {
            Ok(Numeric::from_json(a).order(Numeric::from_json(b)).is_eq())
        }
        (Data::Text(a), Data::Text(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            if a.len() != b.len() {
                return Ok(false);
            }
            meter.text(a.len())?;
            Ok(a == b)
        }
        (Data::List(a), Data::List(b)) => equal_lists(a, b, below(depth)?, meter),
        (Data::Record(a), Data::Record(b)) => equal_records(a, b, below(depth)?, meter),
        (_, _) => Ok(false),
    }
}

fn equal_lists(
    a: &List<'_>,
    b: &List<'_>,
    depth: usize,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        if !equal_within(&a, &b, depth, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_records(
    a: &Record<'_>,
    b: &Record<'_>,
    depth: usize,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, a) in a.iter() {
        meter.text(key.len())?;
        let Some(b) = b.get(key) else {
            return Ok(false);
        };
        if !equal_within(&a, &b, depth, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a value as compact JSON.
pub(crate) fn to_json_text(data: &Data<'_>, meter: &mut Meter) -> Result<String, EvaluationError> {
    let mut text = String::new();
    write(data, &mut text, VALUE_DEPTH_MAX, meter)?;
    Ok(text)
}

fn write(
    data: &Data<'_>,
    out: &mut String,
    depth: usize,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    meter.steps(1)?;
    match data {
        Data::Null => push("null", out, meter),
        Data::Bool(true) => push("true", out, meter),
        Data::Bool(false) => push("false", out, meter),
        Data::Number(number) => push(&number.to_string(), out, meter),
        Data::Text(text) => quote(text.as_str(), out, meter),
        Data::List(list) => {
            let depth = below(depth)?;
            push("[", out, meter)?;
            for (place, item) in list.iter().enumerate() {
                if place > 0 {
                    push(",", out, meter)?;
                }
                write(&item, out, depth, meter)?;
            }
            push("]", out, meter)
        }
        Data::Record(record) => {
            let depth = below(depth)?;
            push("{", out, meter)?;
            for (place, (key, value)) in record.iter().enumerate() {
                if place > 0 {
                    push(",", out, meter)?;
                }
                quote(key, out, meter)?;
                push(":", out, meter)?;
                write(&value, out, depth, meter)?;
            }
            push("}", out, meter)
        }
    }
}

fn push(piece: &str, out: &mut String, meter: &mut Meter) -> Result<(), EvaluationError> {
    meter.bytes(piece.len())?;
    out.push_str(piece);
    Ok(())
}

/// Writes a JSON string (RFC 8259 §7), escaping only what must be.
fn quote(text: &str, out: &mut String, meter: &mut Meter) -> Result<(), EvaluationError> {
    meter.text(text.len())?;
    push("\"", out, meter)?;
    let mut rest = text;
    while let Some(place) = rest.bytes().position(must_be_escaped) {
        let (plain, from) = rest.split_at_checked(place).unwrap_or((rest, ""));
        push(plain, out, meter)?;
        let mut characters = from.chars();
        if let Some(special) = characters.next() {
            meter.steps(1)?;
            push(&escaped(special), out, meter)?;
        }
        rest = characters.as_str();
    }
    push(rest, out, meter)?;
    push("\"", out, meter)
}

const fn must_be_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn escaped(special: char) -> String {
    let short = match special {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        other => return format!("\\u{:04x}", u32::from(other)),
    };
    short.to_owned()
}

/// Copies a value into the result.
pub(crate) fn to_value(data: &Data<'_>, meter: &mut Meter) -> Result<Value, EvaluationError> {
    meter.bytes(ELEMENT_BYTES)?;
    copy(data, VALUE_DEPTH_MAX, meter)
}

fn copy(data: &Data<'_>, depth: usize, meter: &mut Meter) -> Result<Value, EvaluationError> {
    meter.steps(1)?;
    match data {
        Data::Null => Ok(Value::Null),
        Data::Bool(flag) => Ok(Value::Bool(*flag)),
        Data::Number(number) => Ok(Value::Number(number.clone())),
        Data::Text(text) => copy_text(text.as_str(), meter).map(Value::String),
        Data::List(list) => {
            let depth = below(depth)?;
            meter.items(list.len(), ELEMENT_BYTES)?;
            let mut items = Vec::with_capacity(list.len());
            for item in list.iter() {
                items.push(copy(&item, depth, meter)?);
            }
            Ok(Value::Array(items))
        }
        Data::Record(record) => {
            let depth = below(depth)?;
            meter.items(record.len(), MEMBER_BYTES)?;
            let mut members = Map::with_capacity(record.len());
            for (key, value) in record.iter() {
                let key = copy_text(key, meter)?;
                members.insert(key, copy(&value, depth, meter)?);
            }
            Ok(Value::Object(members))
        }
    }
}

fn copy_text(text: &str, meter: &mut Meter) -> Result<String, EvaluationError> {
    meter.steps(text_steps(text.len()).saturating_sub(1))?;
    meter.bytes(text.len())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;
    use serde_json::json;

    fn meter() -> Meter {
        Meter::new(&Budget::default())
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inner, _| json!([inner]))
    }

    #[test]
    fn text_is_written_as_serde_json_writes_it() {
        let value = json!({
            "a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}é𝄞": [null, true, false, -1, 1.0, 1e21, "", {}],
            "": [],
        });
        let written = to_json_text(&Data::from(&value), &mut meter()).expect("budget");
        assert_eq!(written, value.to_string());
    }

    #[test]
    fn numbers_are_equal_by_value_and_objects_without_order() {
        let same = |a: Value, b: Value| {
            equal(&Data::from(&a), &Data::from(&b), &mut meter()).expect("budget")
        };
        assert!(same(
            json!({"a": 1, "b": [2.0]}),
            json!({"b": [2], "a": 1.0})
        ));
        assert!(!same(json!({"a": 1}), json!({"b": 1})));
        assert!(!same(json!({"a": 1}), json!({"a": 1, "b": 1})));
        assert!(!same(json!([1]), json!([1, 2])));
        assert!(!same(json!("1"), json!(1)));
        assert!(!same(json!(null), json!(false)));
    }

    #[test]
    fn a_value_nests_to_the_limit_and_no_further() {
        let deepest = nested(VALUE_DEPTH_MAX);
        let data = Data::from(&deepest);
        assert_eq!(to_value(&data, &mut meter()).expect("budget"), deepest);
        assert!(equal(&data, &data, &mut meter()).expect("budget"));
        assert!(to_json_text(&data, &mut meter()).is_ok());
        let deeper = nested(VALUE_DEPTH_MAX + 1);
        let data = Data::from(&deeper);
        let refused = Some(EvaluationError::TooDeep);
        assert_eq!(to_value(&data, &mut meter()).err(), refused);
        assert_eq!(equal(&data, &data, &mut meter()).err(), refused);
        assert_eq!(to_json_text(&data, &mut meter()).err(), refused);
    }

    #[test]
    fn a_copy_is_refused_before_it_is_made() {
        let value = json!("x".repeat(1000));
        let budget = Budget {
            steps: 100,
            output_bytes: 999,
        };
        assert!(to_value(&Data::from(&value), &mut Meter::new(&budget)).is_err());
    }
}
