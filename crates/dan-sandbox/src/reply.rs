//! What the fake world reads from a request and what it answers: one call, forms, and whole replies.

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::file::Body;

/// An answer; only [`crate::file`] makes bodies that are not there yet.
pub(crate) type Reply = http::Response<Body>;

/// One request, read whole. Not printable: it holds tokens and numbers of persons.
pub(crate) struct Call {
    head: Parts,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(head: Parts, body: Bytes) -> Self {
        Self { head, body }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    pub(crate) fn path(&self) -> &str {
        self.head.uri.path()
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The members of the query; absent when one of them cannot be decoded.
    pub(crate) fn query(&self) -> Option<Form> {
        Form::parse(self.head.uri.query().unwrap_or_default())
    }

    /// A header as text; absent also when it is not visible ASCII.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The scheme of the credentials, when there are any.
    pub(crate) fn credentials_scheme(&self) -> Option<&str> {
        self.head.headers.get(AUTHORIZATION).map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.split_ascii_whitespace().next())
                .unwrap_or_default()
        })
    }

    /// The token of `Authorization: Bearer`, the scheme in any case (RFC 6750 §2.1).
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header(&AUTHORIZATION)?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }

    /// Whether the call only reads: HEAD is answered as GET, without the body.
    pub(crate) fn reads(&self) -> bool {
        matches!(*self.method(), Method::GET | Method::HEAD)
    }
}

/// The members of `application/x-www-form-urlencoded` text, in order (WHATWG URL §5.1).
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// `None` for a percent sign without two hex digits and for bytes that are not UTF-8.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.split('&')
            .filter(|member| !member.is_empty())
            .map(|member| {
                let (name, value) = member.split_once('=').unwrap_or((member, ""));
                Some((decode(name, true)?, decode(value, true)?))
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The first value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of that name, in the order sent.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self
            .0
            .iter()
            .filter(move |(candidate, _)| candidate == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Every name, in the order sent.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Percent-decoded text (RFC 3986 §2.1); in forms a plus is a space as well.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' if plus_is_space => b' ',
            b'%' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16)?.try_into().ok()
}

/// Any bytes of a given media type.
pub(crate) fn bytes(status: StatusCode, media_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Reply::new(Body::from(body));
    *reply.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    reply.headers_mut().insert(CONTENT_TYPE, media_type);
    reply
}

/// Compact JSON.
pub(crate) fn json(status: StatusCode, body: &Value) -> Reply {
    bytes(status, "application/json", body.to_string().into())
}

/// JSON with status 200.
pub(crate) fn ok(body: &Value) -> Reply {
    json(StatusCode::OK, body)
}

/// No body at all.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let mut reply = Reply::new(Body::from(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// `{"error": …}`, the form of every refusal that has no form of its own.
pub(crate) fn refused(status: StatusCode, error: &str) -> Reply {
    json(status, &json!({ "error": error }))
}

/// 404 for a route that does not exist.
pub(crate) fn no_such_route() -> Reply {
    refused(StatusCode::NOT_FOUND, "there is nothing at this address")
}

/// 405 with the methods that would do.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address answers other methods",
    );
    let allowed = HeaderValue::from_static(allowed);
    reply.headers_mut().insert(ALLOW, allowed);
    reply
}

/// 401 that asks for credentials of a scheme.
pub(crate) fn unauthorized(challenge: &'static str, error: &str) -> Reply {
    let mut reply = refused(StatusCode::UNAUTHORIZED, error);
    let challenge = HeaderValue::from_static(challenge);
    reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_with_plus_and_percent_as_space() {
        let form = Form::parse("scopes=a+b%20c&empty=&bare&%C3%A5=%C3%B8").unwrap();
        assert_eq!(form.get("scopes"), Some("a b c"));
        assert_eq!(form.get("empty"), Some(""));
        assert_eq!(form.get("bare"), Some(""));
        assert_eq!(form.get("å"), Some("ø"));
        assert_eq!(form.get("absent"), None);
        let twice = Form::parse("a=1&b=2&a=3").unwrap();
        assert_eq!(twice.all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(
            form.names().collect::<Vec<_>>(),
            ["scopes", "empty", "bare", "å"]
        );
    }

    #[test]
    fn a_form_that_cannot_be_decoded_is_refused() {
        for text in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=a"] {
            assert!(Form::parse(text).is_none(), "{text}");
        }
        assert!(Form::parse("").unwrap().get("a").is_none());
    }

    #[test]
    fn a_path_keeps_its_plus() {
        assert_eq!(decode("a+b%2Fc", false).as_deref(), Some("a+b/c"));
    }
}
