//! Query strings by the rules of `wire-api.md` §3.3.

use dan_core::error::{Code, Fault};

/// Most parameters one query string may hold.
pub(crate) const PARAMETERS_MAX: usize = 128;

/// Decoded parameters in the order they were sent. Values may be personal: no `Debug`.
#[derive(Default)]
pub(crate) struct QueryString {
    parameters: Vec<(String, String)>,
}

impl QueryString {
    /// Decodes it: `+` is a space, `%` escapes must be UTF-8, `name` without `=` is nameless, and a
    /// name that repeats (in any case) has its values joined by a comma.
    ///
    /// # Errors
    /// 1014 for a broken escape or too many parameters.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for segment in text.split('&').filter(|_| !text.is_empty()) {
            let (name, value) = segment.split_once('=').unwrap_or(("", segment));
            let (name, value) = (decode(name, true)?, decode(value, true)?);
            match parameters
                .iter_mut()
                .find(|(known, _)| known.eq_ignore_ascii_case(&name))
            {
                Some((_, joined)) => {
                    joined.push(',');
                    joined.push_str(&value);
                }
                None => parameters.push((name, value)),
            }
            if parameters.len() > PARAMETERS_MAX {
                return Err(Fault::with(
                    Code::InvalidAuthorizationRequest,
                    format!("more than {PARAMETERS_MAX} query parameters"),
                ));
            }
        }
        Ok(Self { parameters })
    }

    /// The value under a name, in any case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Absent, `0` and `false` are false; anything else is true, also the empty text.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Every parameter, names as written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Decodes `%` escapes, and `+` in query strings.
///
/// # Errors
/// 1014 when an escape is broken or the result is not UTF-8.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<String, Fault> {
    let broken = || {
        Fault::with(
            Code::InvalidAuthorizationRequest,
            "the URL holds a broken percent escape",
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(broken());
                };
                let value = high.saturating_mul(16).saturating_add(low);
                bytes.push(u8::try_from(value).map_err(|_range| broken())?);
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_utf8| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_values_join() {
        let query = QueryString::parse("A=1&b=x+y%20z&a=2&Envelope=FALSE&c=").unwrap();
        assert_eq!(query.get("a"), Some("1,2"));
        assert_eq!(query.get("B"), Some("x y z"));
        assert!(!query.flag("envelope"));
        assert!(query.flag("c"));
        assert!(!query.flag("absent"));
    }

    #[test]
    fn a_name_without_value_is_nameless() {
        let query = QueryString::parse("subject&x=1").unwrap();
        assert_eq!(query.get("subject"), None);
        assert_eq!(query.get(""), Some("subject"));
        assert_eq!(QueryString::parse("").unwrap().iter().count(), 0);
        assert_eq!(QueryString::parse("a=1&").unwrap().get(""), Some(""));
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "%ff=1"] {
            assert!(QueryString::parse(text).is_err(), "{text}");
        }
        let many = "a=1&".repeat(10) + &(0..200).map(|i| format!("p{i}=1&")).collect::<String>();
        assert!(QueryString::parse(&many).is_err());
    }
}
