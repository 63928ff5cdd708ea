//! The reader that forgives what plugins differ in, and nothing else.
//!
//! Members are found without regard to case, as the plugins' own libraries do: a list of rules that
//! is merely spelt otherwise must not go unread. Unknown members are ignored; the same member twice
//! is refused, because nobody can say which one counts (`security.md` F5).

use std::collections::BTreeMap;
use std::fmt;

use dan_core::time::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Most characters of a plugin's own words that are passed on or logged.
const WORDS_LENGTH_MAX: usize = 1_000;

/// A stranger's words for people: one line, bounded.
pub(crate) fn plain_words(text: &str) -> String {
    text.chars()
        .take(WORDS_LENGTH_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The members of one object, by lower-case name.
pub(crate) struct Members(BTreeMap<String, Value>);

impl Members {
    /// # Errors
    /// When it is no object, or two members differ in case only.
    pub(crate) fn of(value: Value) -> Result<Self, String> {
        let Value::Object(object) = value else {
            return Err("something that should be an object is none".to_owned());
        };
        let mut members = BTreeMap::new();
        for (mut name, value) in object {
            name.make_ascii_lowercase();
            if members.insert(name, value).is_some() {
                return Err("a member is given twice".to_owned());
            }
        }
        Ok(Self(members))
    }

    /// Takes a member out; `None` when it is missing or `null`.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0
            .remove(&name.to_ascii_lowercase())
            .filter(|value| !value.is_null())
    }

    /// Whether the member is there and `null`, where that differs from missing.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.0
            .get(&name.to_ascii_lowercase())
            .is_some_and(Value::is_null)
    }

    /// A text; a number is taken as its text, since names and numbers stand for each other in DAN.
    ///
    /// # Errors
    /// When it is anything else.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        self.take(name)
            .map(|value| text_of(name, value))
            .transpose()
    }

    /// True or false, also as text or as 0 and 1.
    ///
    /// # Errors
    /// When it is anything else.
    pub(crate) fn flag(&mut self, name: &str, unset: bool) -> Result<bool, String> {
        match self.take(name) {
            None => Ok(unset),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => match text_of(name, other)?.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(format!("{name} is neither true nor false")),
            },
        }
    }

    /// A whole number, also as text.
    ///
    /// # Errors
    /// When it is anything else, or too large.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u32>, String> {
        self.text(name)?
            .map(|text| {
                text.parse()
                    .map_err(|_no_number| format!("{name} is no whole number in range"))
            })
            .transpose()
    }

    /// A moment.
    ///
    /// # Errors
    /// When it is anything else.
    pub(crate) fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, String> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .map(|text| Timestamp::parse(&text).ok_or_else(|| format!("{name} is no date")))
            .transpose()
    }

    /// A list; missing and `null` are alike empty.
    ///
    /// # Errors
    /// When it is anything else.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Value>, String> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(format!("{name} is no list")),
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// When it is anything else.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, String> {
        self.list(name)?
            .into_iter()
            .map(|value| text_of(name, value))
            .collect()
    }
}

fn text_of(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("{name} is no text"))
        }
    }
}

/// Reads one JSON document. Refuses members given twice; depth is bounded by the parser.
///
/// # Errors
/// Where it stops being readable; never what stands there.
pub(crate) fn read_json(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice::<Once>(bytes)
        .map(|once| once.0)
        .map_err(|error| {
            format!(
                "no readable JSON at line {}, column {}",
                error.line(),
                error.column()
            )
        })
}

/// A JSON value in which no object has the same member twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Once, E> {
        Ok(Once(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Once, E> {
        Ok(Once(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Once, E> {
        Ok(Once(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Once, E> {
        Ok(Once(Value::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Once, E> {
        Ok(Once(Value::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Once, E> {
        Ok(Once(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Once, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(Once(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Once, A::Error> {
        let mut object = Map::new();
        while let Some((name, Once(value))) = access.next_entry::<String, Once>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is given twice"));
            }
        }
        Ok(Once(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_that_can_be_read_two_ways_is_refused() {
        assert_eq!(
            read_json(br#"{"a":[1,-2,0.5,true,null,"\u00e6"]}"#),
            Ok(json!({"a": [1, -2, 0.5, true, null, "æ"]}))
        );
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"[{"x":{"b":1,"b":1}}]"#,
            "\u{feff}[]",
            "[1,]",
            "[NaN]",
            "[1e400]",
            "[] []",
            "",
            "<html>",
            deep.as_str(),
        ] {
            assert!(read_json(text.as_bytes()).is_err());
        }
        assert!(read_json(b"[\"\xff\"]").is_err());
    }

    #[test]
    fn members_are_found_in_any_case_and_in_any_form_that_means_the_same() {
        let mut members = Members::of(json!({
            "Text": "x", "NUMBER": "90", "count": 7, "yes": "True", "no": 0, "gone": null,
            "when": "1970-01-01", "list": ["a", 1], "empty": ""
        }))
        .unwrap();
        assert!(members.is_null("Gone") && !members.is_null("absent"));
        assert_eq!(members.text("text"), Ok(Some("x".to_owned())));
        assert_eq!(members.text("text"), Ok(None), "a member is taken once");
        assert_eq!(members.number("number"), Ok(Some(90)));
        assert_eq!(members.number("Count"), Ok(Some(7)));
        assert_eq!(members.flag("yes", false), Ok(true));
        assert_eq!(members.flag("no", true), Ok(false));
        assert_eq!(members.flag("gone", true), Ok(true));
        assert_eq!(members.moment("when"), Ok(Some(Timestamp::from_ms(0))));
        assert_eq!(members.moment("empty"), Ok(None));
        let list = vec!["a".to_owned(), "1".to_owned()];
        assert_eq!(members.texts("list"), Ok(list));
        assert_eq!(members.texts("gone"), Ok(Vec::new()));
    }

    #[test]
    fn members_of_another_kind_are_errors_that_repeat_nothing() {
        let hush = || Members::of(json!({"a": {"hush": 1}, "b": "hush", "c": -1})).unwrap();
        let errors = [
            hush().text("a").unwrap_err(),
            hush().flag("a", true).unwrap_err(),
            hush().flag("b", true).unwrap_err(),
            hush().number("b").unwrap_err(),
            hush().number("c").unwrap_err(),
            hush().moment("b").unwrap_err(),
            hush().list("b").unwrap_err(),
        ];
        assert!(
            errors.iter().all(|error| !error.contains("hush")),
            "{errors:?}"
        );
        assert!(Members::of(json!({"a": 1, "A": 2})).is_err());
        assert!(Members::of(json!("hush")).is_err());
    }

    #[test]
    fn words_are_one_bounded_line() {
        assert_eq!(plain_words("a\r\nb\u{1b}[0m"), "a  b [0m");
        assert_eq!(plain_words(&"x".repeat(5_000)).len(), WORDS_LENGTH_MAX);
    }
}
