//! Parameters on their way from the request into a definition: typed, defaulted, split, clamped.

use dan_core::dataset::ValueType;
use serde_json::{Number, Value};

/// Most parts that a split parameter may have; the rest is left out.
const PARTS_MAX: usize = 100;

/// One `[[parameter]]`.
#[derive(Clone, Debug)]
pub(crate) struct ParameterRule {
    pub(crate) name: String,
    pub(crate) kind: ValueType,
    /// Used when the caller gives none, or nothing but blanks.
    pub(crate) default: Option<Value>,
    /// What stands between the parts; the value becomes a list.
    pub(crate) split: Option<String>,
    /// Numbers outside are moved to the nearer end.
    pub(crate) clamp: Option<(i64, i64)>,
}

impl ParameterRule {
    /// What the definition sees; `None` when there is no value.
    ///
    /// The core has checked the type of what was sent (`wire-api.md` §11, 7).
    pub(crate) fn value(&self, sent: Option<&Value>) -> Option<Value> {
        let blank = |value: &&Value| match value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        };
        let value = sent
            .filter(|value| !blank(value))
            .or(self.default.as_ref())?;
        let value = self.typed(value);
        match (&self.split, value) {
            (Some(separator), Value::String(text)) => Some(
                text.split(separator.as_str())
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .take(PARTS_MAX)
                    .map(Value::from)
                    .collect(),
            ),
            (_, value) => Some(value),
        }
    }

    fn typed(&self, value: &Value) -> Value {
        match (self.kind, value) {
            (ValueType::Number, Value::String(text)) => {
                let plain: String = text.trim().trim_start_matches('+').replace(',', "");
                self.clamped(number(&plain).map_or_else(|| value.clone(), Value::Number))
            }
            (ValueType::Number, Value::Number(_)) => self.clamped(value.clone()),
            (ValueType::Boolean, Value::String(text)) => {
                Value::Bool(text.trim().eq_ignore_ascii_case("true"))
            }
            (_, value) => value.clone(),
        }
    }

    fn clamped(&self, value: Value) -> Value {
        let Some((least, most)) = self.clamp else {
            return value;
        };
        if let Some(whole) = value.as_i64() {
            return Value::from(whole.clamp(least, most));
        }
        // What is no i64 is a fraction, or beyond either end.
        match value.as_f64() {
            Some(fraction) if fraction < to_f64(least) => Value::from(least),
            Some(fraction) if fraction > to_f64(most) => Value::from(most),
            _ => value,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bounds of a definition are small numbers"
)]
const fn to_f64(bound: i64) -> f64 {
    bound as f64
}

/// A decimal number as JSON; whole numbers stay whole.
pub(crate) fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Number::from(whole));
    }
    let decimal = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    text.parse()
        .ok()
        .filter(|_| decimal)
        .and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(kind: ValueType) -> ParameterRule {
        ParameterRule {
            name: "p".to_owned(),
            kind,
            default: None,
            split: None,
            clamp: None,
        }
    }

    #[test]
    fn values_have_their_type_however_they_were_sent() {
        let number = rule(ValueType::Number);
        for (sent, seen) in [
            (json!(2), json!(2)),
            (json!("2"), json!(2)),
            (json!(" +1,234 "), json!(1234)),
            (json!("-1.5"), json!(-1.5)),
        ] {
            assert_eq!(number.value(Some(&sent)), Some(seen));
        }
        let flag = rule(ValueType::Boolean);
        assert_eq!(flag.value(Some(&json!(" True "))), Some(json!(true)));
        assert_eq!(flag.value(Some(&json!(false))), Some(json!(false)));
        let text = rule(ValueType::String);
        assert_eq!(text.value(Some(&json!("2"))), Some(json!("2")));
    }

    #[test]
    fn what_is_blank_is_absent_or_the_default() {
        let mut text = rule(ValueType::String);
        for blank in [None, Some(json!(null)), Some(json!(" "))] {
            assert_eq!(text.value(blank.as_ref()), None);
        }
        text.default = Some(json!("DAGL, REVI"));
        text.split = Some(",".to_owned());
        for blank in [None, Some(json!(""))] {
            assert_eq!(text.value(blank.as_ref()), Some(json!(["DAGL", "REVI"])));
        }
        assert_eq!(text.value(Some(&json!("*"))), Some(json!(["*"])));
    }

    #[test]
    fn numbers_are_moved_into_their_bounds() {
        let mut number = rule(ValueType::Number);
        number.clamp = Some((1, 5));
        for (sent, seen) in [
            (json!(0), json!(1)),
            (json!("9"), json!(5)),
            (json!(3), json!(3)),
            (json!(1e300), json!(5)),
            (json!(-0.5), json!(1)),
            (json!(u64::MAX), json!(5)),
        ] {
            assert_eq!(number.value(Some(&sent)), Some(seen));
        }
    }
}
