//! JSON that clients send: strict about what it says, lenient about how it is spelled.
//!
//! Member names match without case, numbers stand for text and text for booleans, since real
//! clients send all of these (`wire-api.md` §3.2). A member given twice is refused: which of the
//! two was decided on could not be told (`security.md` §1.1).

use dan_core::error::{Code, Fault};
use dan_core::strict::Strict;
use dan_core::time::Timestamp;
use serde_json::{Map, Value};

/// Reads one JSON text; nothing may follow it.
///
/// # Errors
/// 1014 with the place of the mistake. The text never repeats what was sent.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let value = serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0);
    value.map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a member is given twice",
            serde_json::error::Category::Eof => "the text ends too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "not JSON",
        };
        let place = format!(
            "{what}, at line {} column {} of the body",
            error.line(),
            error.column()
        );
        Fault::with(Code::InvalidAuthorizationRequest, place)
    })
}

/// An object whose members are found without case.
pub(crate) struct Members<'a> {
    object: &'a Map<String, Value>,
    place: &'a str,
}

impl<'a> Members<'a> {
    /// The members of an object; `place` names it in errors.
    ///
    /// # Errors
    /// 1014 when it is no object, or when two members differ by case only.
    pub(crate) fn of(value: &'a Value, place: &'a str) -> Result<Self, Fault> {
        let Value::Object(object) = value else {
            return Err(wrong(place, "must be an object"));
        };
        let mut names: Vec<String> = object.keys().map(|name| name.to_lowercase()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(wrong(place, "holds a member twice"));
        }
        Ok(Self { object, place })
    }

    /// The member, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self
            .object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// Text; a number or boolean stands for its text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(wrong(self.place, &format!("{name} must be text"))),
        }
    }

    /// A boolean; text `true` or `false` in any case stands for it, empty text for absence.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "" => Ok(None),
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(wrong(self.place, &format!("{name} must be true or false"))),
            },
            Some(Value::Number(number)) => Ok(Some(number.as_f64() != Some(0.0))),
            Some(_) => Err(wrong(self.place, &format!("{name} must be true or false"))),
        }
    }

    /// A date-time; empty text stands for absence.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match Timestamp::parse(&text) {
            Some(moment) => Ok(Some(moment)),
            None => Err(wrong(
                self.place,
                &format!("{name} must be a date-time such as 2030-01-31T12:00:00Z"),
            )),
        }
    }

    /// The items of a list; absent is empty.
    pub(crate) fn list(&self, name: &str) -> Result<&'a [Value], Fault> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong(self.place, &format!("{name} must be a list"))),
        }
    }
}

/// 1014, with where and what.
pub(crate) fn wrong(place: &str, what: &str) -> Fault {
    Fault::with(
        Code::InvalidAuthorizationRequest,
        format!("{place}: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_given_twice_are_refused() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"b":1,"b":1}]}"#] {
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().code,
                Code::InvalidAuthorizationRequest
            );
        }
        let value = parse(br#"{"subject":"1","Subject":"2"}"#).unwrap();
        assert!(Members::of(&value, "the body").is_err());
    }

    #[test]
    fn malformed_json_says_where_and_not_what() {
        let fault = parse(b"{\"subject\":\"07056120453\",}").unwrap_err();
        assert!(fault.description().contains("line 1 column"));
        assert!(!fault.description().contains("0705"));
        assert!(parse(b"{} x").is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn spelling_is_lenient() {
        let value =
            parse(br#"{"RequestConsent":"true","requestor":991825827,"n":null,"validTo":""}"#);
        let value = value.unwrap();
        let members = Members::of(&value, "x").unwrap();
        assert_eq!(members.flag("requestConsent").unwrap(), Some(true));
        assert_eq!(
            members.text("Requestor").unwrap().as_deref(),
            Some("991825827")
        );
        assert_eq!(members.text("n").unwrap(), None);
        assert_eq!(members.moment("validTo").unwrap(), None);
        assert!(members.flag("requestor").unwrap().unwrap());
        assert!(members.list("requestor").is_err());
    }
}
