//! Shapes that clients rely on.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::client::Answer;

/// Whether a text is a date-time that says its offset (`clients.md` §0, 8).
#[must_use]
pub fn has_offset(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.get(10) == Some(&b'T') && bytes.len() >= 20 && text.parse::<Timestamp>().is_ok()
}

/// The moment in a member.
///
/// # Panics
/// When it is no date-time with an offset.
#[track_caller]
pub fn moment(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    assert!(has_offset(text), "no date-time with an offset: {value}");
    text.parse().unwrap()
}

/// The items of a JSON array.
///
/// # Panics
/// When it is none.
#[track_caller]
pub fn items(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no array: {value}"))
}

/// A member that is text and not empty.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    let found = value[member].as_str().unwrap_or_default();
    assert!(!found.is_empty(), "no text {member} in {value}");
    found
}

/// The names under a member of every item.
///
/// # Panics
/// When an item has no such text.
#[track_caller]
pub fn names<'a>(list: &'a Value, member: &str) -> BTreeSet<&'a str> {
    items(list).iter().map(|item| text(item, member)).collect()
}

/// Holds that an answer is an envelope as today's clients read it: name, values with name, source,
/// type, value and a timestamp with offset, and names that do not repeat. Gives the values.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn envelope_of(answer: &Answer, dataset: &str) -> Vec<Value> {
    let body = answer.json();
    let status = &body["evidenceStatus"];
    assert_eq!(status["evidenceCodeName"], dataset, "{}", answer.excerpt());
    assert_eq!(status["status"]["code"], 1, "{}", answer.excerpt());
    let values = items(&body["evidenceValues"]);
    assert!(!values.is_empty(), "{}", answer.excerpt());
    for value in values {
        assert!(value["source"].is_string(), "{value}");
        assert!(!value["value"].is_null(), "{value}");
        let kind = text(value, "valueType");
        assert!(VALUE_TYPES.contains(&kind), "{value}");
        moment(&value["timestamp"]);
    }
    let distinct = names(&body["evidenceValues"], "evidenceValueName");
    assert_eq!(distinct.len(), values.len(), "{}", answer.excerpt());
    values.to_vec()
}

/// Holds that a body without envelope is one object with a member per value of the envelope, and that
/// numbers and booleans are JSON numbers and booleans.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn is_flat(body: &Value, enveloped: &[Value]) {
    let members = body
        .as_object()
        .unwrap_or_else(|| panic!("no object: {body}"));
    for value in enveloped {
        let name = text(value, "evidenceValueName");
        let bare = members
            .get(name)
            .unwrap_or_else(|| panic!("no member {name} in {body}"));
        match text(value, "valueType") {
            "number" => assert!(bare.is_number(), "{name}: {bare}"),
            "boolean" => assert!(bare.is_boolean(), "{name}: {bare}"),
            _ => assert_eq!(bare, &value["value"], "{name}"),
        }
    }
    let known = |name: &&String| enveloped.iter().any(|v| v["evidenceValueName"] == **name);
    // A null has no place in the envelope, but a member here.
    let extra = members
        .iter()
        .find(|(name, value)| !known(name) && !value.is_null());
    assert!(extra.is_none(), "a member the envelope lacks: {extra:?}");
}

/// Value types every known client can read (`clients.md` §2.3).
pub const VALUE_TYPES: [&str; 8] = [
    "boolean",
    "number",
    "string",
    "dateTime",
    "attachment",
    "uri",
    "amount",
    "jsonSchema",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_say_their_offset_count() {
        for good in [
            "2025-01-01T00:00:00Z",
            "2025-01-01T00:00:00.1234567+00:00",
            "2025-01-01T00:00:00-11:30",
        ] {
            assert!(has_offset(good), "{good}");
        }
        for bad in [
            "",
            "2025-01-01",
            "2025-01-01T00:00:00",
            "2025-01-01T00:00Z",
            "2025-01-01 00:00:00Z",
            "2025-13-01T00:00:00Z",
        ] {
            assert!(!has_offset(bad), "{bad}");
        }
    }
}
