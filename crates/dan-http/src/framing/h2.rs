//! The rules of a head, for a request whose frames HTTP/2 has already taken apart (RFC 9113 §8.3): hyper refuses what is
//! malformed there by resetting the stream, the rest is judged here as [`super::head`] judges it for HTTP/1.1.

use http::Method;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;

use super::Refusal;
use super::head::{MAX_FIELDS, is_value_byte, judge_name};
use super::target::{MAX_METHOD_BYTES, MAX_TARGET_BYTES, is_host, is_path_and_query};

/// Judges a request of HTTP/2.
pub(crate) fn judge(parts: &Parts) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::bad("CONNECT is not served"));
    }
    if parts.method.as_str().len() > MAX_METHOD_BYTES {
        return Err(Refusal::bad(
            "the method is not a token of at most 24 characters",
        ));
    }
    target(parts)?;
    if parts.headers.len() > MAX_FIELDS {
        return Err(Refusal::large_head(
            "more than 100 fields in the request head",
        ));
    }
    for (name, value) in &parts.headers {
        judge_name(name.as_str().as_bytes())?;
        if !value.as_bytes().iter().copied().all(is_value_byte) {
            return Err(Refusal::bad("a control character in a field value"));
        }
    }
    if parts.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal::bad("more than one Content-Length field"));
    }
    host(parts)
}

fn target(parts: &Parts) -> Result<(), Refusal> {
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    if target.len() > MAX_TARGET_BYTES {
        return Err(Refusal::long_target());
    }
    match target {
        "*" if parts.method == Method::OPTIONS => Ok(()),
        _ if target.starts_with('/') && is_path_and_query(target.as_bytes()) => Ok(()),
        _ => Err(Refusal::bad(
            "the request target is not a path, or has characters that must be encoded",
        )),
    }
}

/// Either of the two names the host; together they name the same (RFC 9113 §8.3.1).
fn host(parts: &Parts) -> Result<(), Refusal> {
    let mut fields = parts.headers.get_all(HOST).iter();
    let (first, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Refusal::bad("more than one Host field"));
    }
    let field = first.map(http::HeaderValue::as_bytes);
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let Some(host) = authority.or(field) else {
        return Err(Refusal::bad("neither :authority nor Host is there"));
    };
    if !is_host(host) {
        return Err(Refusal::bad(":authority is not a host and port"));
    }
    if field.is_some_and(|field| !field.eq_ignore_ascii_case(host)) {
        return Err(Refusal::bad(
            ":authority and the Host field name different hosts",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Version};

    fn judged(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<(), u16> {
        let mut request = Request::builder()
            .version(Version::HTTP_2)
            .method(method)
            .uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        judge(&request.body(()).unwrap().into_parts().0).map_err(|refusal| refusal.status)
    }

    #[test]
    fn the_rules_of_http_1_1_hold() {
        let ok = "https://a.example/x?y";
        let many: Vec<_> = (0..100).map(|_| ("x", "y")).collect();
        let too_many: Vec<_> = (0..101).map(|_| ("x", "y")).collect();
        let long = |bytes: usize| format!("https://a/{}", "x".repeat(bytes - 1));
        for (method, uri, fields) in [
            ("GET", ok, &[][..]),
            ("GET", ok, &[("host", "A.example")]),
            ("GET", "/x", &[("host", "a")]),
            ("OPTIONS", "*", &[("host", "a")]),
            ("GET", &long(MAX_TARGET_BYTES), &[]),
            ("POST", ok, &[("content-length", "3")]),
            ("GET", ok, &many),
        ] {
            assert_eq!(judged(method, uri, fields), Ok(()), "{method} {uri}");
        }
        for (method, uri, fields, status) in [
            ("CONNECT", "a.example:443", &[][..], 400),
            (&"M".repeat(25), ok, &[], 400),
            ("GET", "/x", &[], 400),
            ("GET", "*", &[("host", "a")], 400),
            ("GET", "https://u@a/x", &[], 400),
            ("GET", "https://a/x\\y", &[], 400),
            ("GET", ok, &[("host", "b.example")], 400),
            (
                "GET",
                ok,
                &[("host", "a.example"), ("host", "a.example")],
                400,
            ),
            (
                "POST",
                ok,
                &[("content-length", "3"), ("content-length", "3")],
                400,
            ),
            ("GET", ok, &[("content_length", "3")], 400),
            ("GET", &long(MAX_TARGET_BYTES + 1), &[], 414),
            ("GET", ok, &too_many, 431),
        ] {
            assert_eq!(judged(method, uri, fields), Err(status), "{method} {uri}");
        }
    }
}
