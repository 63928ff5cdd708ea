//! What it costs to compare values, to write one as text and to copy one into the result.
//!
//! All three walk down into a value; they keep their place in a list of their own instead of
//! recursing, and go no deeper than [`VALUE_DEPTH_MAX`].

use std::mem::size_of;

use serde_json::{Map, Value};

use crate::VALUE_DEPTH_MAX;
use crate::budget::{Meter, text_steps};
use crate::data::{Children, Data, Record};
use crate::error::EvaluationError;
use crate::number::Numeric;

/// Estimated bytes of one array element of the result, beside its text.
const ELEMENT_BYTES: usize = size_of::<Value>();

/// Estimated bytes of one object member of the result, beside its texts: the key, the value, the
/// hash, and the place in the index with room to spare.
const MEMBER_BYTES: usize = size_of::<(String, Value)>().saturating_add(3 * size_of::<usize>());

/// Goes one level down.
fn descend<T>(into: T, levels: &mut Vec<T>) -> Result<(), EvaluationError> {
    if levels.len() >= VALUE_DEPTH_MAX {
        return Err(EvaluationError::TooDeep);
    }
    levels.push(into);
    Ok(())
}

/// Two arrays, or two objects, on the way through the first of them.
enum Pair<'a> {
    Lists(Children<'a>, Children<'a>),
    Records(Children<'a>, Record<'a>),
}

impl<'a> Pair<'a> {
    /// The next two values to compare; the second is missing if an object lacks it.
    fn next(
        &mut self,
        meter: &mut Meter,
    ) -> Result<Option<(Data<'a>, Option<Data<'a>>)>, EvaluationError> {
        match self {
            Self::Lists(a, b) => Ok(a.next().map(|(_, a)| (a, b.next().map(|(_, b)| b)))),
            Self::Records(a, b) => {
                let Some((key, a)) = a.next() else {
                    return Ok(None);
                };
                meter.text(key.len())?;
                Ok(Some((a, b.get(key))))
            }
        }
    }
}

/// Whether two values are equal: numbers by value, objects without regard to order.
pub(crate) fn equal(
    a: &Data<'_>,
    b: &Data<'_>,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    let mut levels = Vec::new();
    if !alike(a, b, &mut levels, meter)? {
        return Ok(false);
    }
    while let Some(level) = levels.last_mut() {
        match level.next(meter)? {
            None => {
                levels.pop();
            }
            Some((a, Some(b))) => {
                if !alike(&a, &b, &mut levels, meter)? {
                    return Ok(false);
                }
            }
            Some((_, None)) => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether two values can be equal; what is in them is left to compare.
fn alike<'a>(
    a: &Data<'a>,
    b: &Data<'a>,
    levels: &mut Vec<Pair<'a>>,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    meter.steps(1)?;
    match (a, b) {
        (Data::Null, Data::Null) => Ok(true),
        (Data::Bool(a), Data::Bool(b)) => Ok(a == b),
        (Data::Number(a), Data::Number(b)) => {
            let order = Numeric::from_json(a).order(Numeric::from_json(b));
            Ok(order.is_eq())
        }
        (Data::Text(a), Data::Text(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            meter.text(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Data::List(a), Data::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            descend(Pair::Lists(a.children(), b.children()), levels)?;
            Ok(true)
        }
        (Data::Record(a), Data::Record(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            descend(Pair::Records(a.children(), b.clone()), levels)?;
            Ok(true)
        }
        (_, _) => Ok(false),
    }
}

/// An array or object that is being written.
struct Written<'a> {
    children: Children<'a>,
    keys: bool,
    any: bool,
}

/// Writes a value as compact JSON.
pub(crate) fn to_json_text(data: &Data<'_>, meter: &mut Meter) -> Result<String, EvaluationError> {
    let mut out = String::new();
    let mut levels = Vec::new();
    write(data, &mut levels, &mut out, meter)?;
    while let Some(level) = levels.last_mut() {
        let Some((key, child)) = level.children.next() else {
            push(if level.keys { "}" } else { "]" }, &mut out, meter)?;
            levels.pop();
            continue;
        };
        if level.any {
            push(",", &mut out, meter)?;
        }
        level.any = true;
        if level.keys {
            quote(key, &mut out, meter)?;
            push(":", &mut out, meter)?;
        }
        write(&child, &mut levels, &mut out, meter)?;
    }
    Ok(out)
}

/// Writes a value, or the bracket that opens it.
fn write<'a>(
    data: &Data<'a>,
    levels: &mut Vec<Written<'a>>,
    out: &mut String,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    meter.steps(1)?;
    let (children, keys) = match data {
        Data::Null => return push("null", out, meter),
        Data::Bool(true) => return push("true", out, meter),
        Data::Bool(false) => return push("false", out, meter),
        Data::Number(number) => return push(&number.to_string(), out, meter),
        Data::Text(text) => return quote(text.as_str(), out, meter),
        Data::List(list) => (list.children(), false),
        Data::Record(record) => (record.children(), true),
    };
    let level = Written {
        children,
        keys,
        any: false,
    };
    descend(level, levels)?;
    push(if keys { "{" } else { "[" }, out, meter)
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

/// An array or object that is being copied.
struct Copied<'a> {
    children: Children<'a>,
    built: Built,
}

enum Built {
    Items(Vec<Value>),
    /// The members, and the key of the one that is being copied.
    Members(Map<String, Value>, String),
}

impl<'a> Copied<'a> {
    /// The next value to copy.
    fn next(&mut self, meter: &mut Meter) -> Result<Option<Data<'a>>, EvaluationError> {
        let Some((name, child)) = self.children.next() else {
            return Ok(None);
        };
        if let Built::Members(_, key) = &mut self.built {
            *key = copy_text(name, meter)?;
        }
        Ok(Some(child))
    }

    fn add(&mut self, value: Value) {
        match &mut self.built {
            Built::Items(items) => items.push(value),
            Built::Members(members, key) => {
                members.insert(std::mem::take(key), value);
            }
        }
    }

    fn finish(self) -> Value {
        match self.built {
            Built::Items(items) => Value::Array(items),
            Built::Members(members, _) => Value::Object(members),
        }
    }
}

/// Copies a value into the result.
pub(crate) fn to_value(data: &Data<'_>, meter: &mut Meter) -> Result<Value, EvaluationError> {
    meter.bytes(ELEMENT_BYTES)?;
    let mut levels = Vec::new();
    let mut done = copy(data, &mut levels, meter)?;
    while let Some(level) = levels.last_mut() {
        if let Some(value) = done.take() {
            level.add(value);
        }
        done = match level.next(meter)? {
            Some(child) => copy(&child, &mut levels, meter)?,
            None => levels.pop().map(Copied::finish),
        };
    }
    Ok(done.unwrap_or_default())
}

/// The copy of a value; none if it is an array or object, whose children are left to copy.
fn copy<'a>(
    data: &Data<'a>,
    levels: &mut Vec<Copied<'a>>,
    meter: &mut Meter,
) -> Result<Option<Value>, EvaluationError> {
    meter.steps(1)?;
    let level = match data {
        Data::Null => return Ok(Some(Value::Null)),
        Data::Bool(flag) => return Ok(Some(Value::Bool(*flag))),
        Data::Number(number) => return Ok(Some(Value::Number(number.clone()))),
        Data::Text(text) => {
            return copy_text(text.as_str(), meter).map(|text| Some(Value::String(text)));
        }
        Data::List(list) => {
            meter.items(list.len(), ELEMENT_BYTES)?;
            Copied {
                children: list.children(),
                built: Built::Items(Vec::with_capacity(list.len())),
            }
        }
        Data::Record(record) => {
            meter.items(record.len(), MEMBER_BYTES)?;
            let members = Map::with_capacity(record.len());
            Copied {
                children: record.children(),
                built: Built::Members(members, String::new()),
            }
        }
    };
    descend(level, levels)?;
    Ok(None)
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
