//! The request line and the names of hosts: RFC 9112 §3, less what `security.md §1.3.1` leaves out.

use super::Refusal;
use super::head::is_token_byte;

/// Longest request target, bytes. One more is answered 414.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;
/// Longest method, bytes; the longest registered one has 17. Longer names are free for our own use behind the guard.
pub const MAX_METHOD_BYTES: usize = 24;
/// Longest host name with its port, bytes: a DNS name of 253, a colon, five digits.
const MAX_HOST_BYTES: usize = 259;

/// What the rest of the head is judged by.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) http_1_1: bool,
    /// Host and port of an absolute-form target.
    pub(super) authority: Option<Box<[u8]>>,
}

/// Judges a request line, without its CRLF.
pub(super) fn request_line(line: &[u8]) -> Result<RequestLine, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::bad(
            "the request line is not method, target and version",
        ));
    };
    if target.len() > MAX_TARGET_BYTES {
        return Err(Refusal::long_target());
    }
    if method.is_empty()
        || method.len() > MAX_METHOD_BYTES
        || !method.iter().copied().all(is_token_byte)
    {
        return Err(Refusal::bad(
            "the method is not a token of at most 24 characters",
        ));
    }
    let http_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => {
            return Err(Refusal::bad(
                "the protocol version is other than HTTP/1.1 and HTTP/1.0",
            ));
        }
    };
    if method == b"CONNECT" {
        return Err(Refusal::bad("CONNECT is not served"));
    }
    let authority = match target {
        b"*" if method == b"OPTIONS" => None,
        b"*" => {
            return Err(Refusal::bad(
                "the target * with a method other than OPTIONS",
            ));
        }
        [b'/', ..] if is_path_and_query(target) => None,
        [b'/', ..] => {
            return Err(Refusal::bad(
                "the request target has characters that must be encoded",
            ));
        }
        _ => Some(absolute_form(target)?.into()),
    };
    Ok(RequestLine {
        http_1_1,
        authority,
    })
}

/// `http://host[:port][/path][?query]`: gives the host and port.
fn absolute_form(target: &[u8]) -> Result<&[u8], Refusal> {
    const REFUSED: Refusal = Refusal::bad("the request target is neither a path nor an http URL");
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(REFUSED)?;
    let rest = target.get(scheme.len()..).ok_or(REFUSED)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(REFUSED)?;
    // Rare enough to be parsed a second time, by the parser that hyper will use.
    if !is_host(authority) || !is_path_and_query(path) || http::Uri::try_from(target).is_err() {
        return Err(REFUSED);
    }
    Ok(authority)
}

/// Printable ASCII that `http::Uri` takes as it stands. A fragment has no place in a request, a backslash is a slash to
/// some readers, and beyond ASCII two readers decode differently.
pub(super) fn is_path_and_query(target: &[u8]) -> bool {
    let query_at = target
        .iter()
        .position(|byte| *byte == b'?')
        .unwrap_or(target.len());
    let (path, query) = target.split_at(query_at);
    let allowed =
        |byte: &u8, refused: &[u8]| matches!(byte, b'!'..=b'~') && !refused.contains(byte);
    path.iter().all(|byte| allowed(byte, b"#<>\\`"))
        && query.iter().all(|byte| allowed(byte, b"#<>\""))
}

/// `host [ ":" port ]` of RFC 3986 §3.2, not empty, without user information, percent-encoding and the comma by which
/// some intermediaries join two fields.
pub(super) fn is_host(value: &[u8]) -> bool {
    if value.len() > MAX_HOST_BYTES {
        return false;
    }
    let (host_ok, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let (address, after) = rest.split_at(end);
            let address_ok = std::str::from_utf8(address)
                .is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
            (address_ok, after.strip_prefix(b"]").unwrap_or_default())
        }
        _ => {
            let end = value
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(value.len());
            let (name, after) = value.split_at(end);
            (
                !name.is_empty() && name.iter().copied().all(is_name_byte),
                after,
            )
        }
    };
    host_ok
        && match port {
            [] => true,
            [b':', digits @ ..] => {
                matches!(digits.len(), 1..=5) && digits.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b';'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_that_are_served() {
        for line in [
            "GET / HTTP/1.1",
            "DELETE /v1/accreditations/x?y=z HTTP/1.0",
            "GET /a?query=[?b=='c'].{d:e}|[0]&f=`1`\\ HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "get //double//slash HTTP/1.1",
            "M-SEARCH /x HTTP/1.1",
        ] {
            assert!(
                request_line(line.as_bytes()).is_ok_and(|l| l.authority.is_none()),
                "{line}"
            );
        }
        for (line, host) in [
            ("GET http://a.example:8080/x?y HTTP/1.1", "a.example:8080"),
            ("GET HTTPS://a.example?y HTTP/1.1", "a.example"),
            ("GET http://[::1] HTTP/1.1", "[::1]"),
        ] {
            let authority = request_line(line.as_bytes()).expect(line).authority;
            assert_eq!(authority.as_deref(), Some(host.as_bytes()));
        }
    }

    #[test]
    fn request_lines_that_are_refused() {
        let long_method = "M".repeat(MAX_METHOD_BYTES + 1);
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET / HTTP/1.2",
            "GET / HTTP/2.0",
            "GET / HTTP/1.10",
            "GET / http/1.1",
            "GET / ICE/1.0",
            "PRI * HTTP/2.0",
            "PRI * HTTP/1.1",
            "GET * HTTP/1.1",
            "CONNECT a:443 HTTP/1.1",
            "CONNECT / HTTP/1.1",
            "GET a:443 HTTP/1.1",
            "GET a HTTP/1.1",
            "GET ?a HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET http:///x HTTP/1.1",
            "GET http://u@a/ HTTP/1.1",
            "GET http://a,b/ HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /\u{e6} HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "GET /\r HTTP/1.1",
            "GET /a\\b HTTP/1.1",
            "GET /a?b=\"c\" HTTP/1.1",
            "GE(T / HTTP/1.1",
            &format!("{long_method} / HTTP/1.1"),
        ] {
            assert!(
                request_line(line.as_bytes()).is_err_and(|r| r.status == 400),
                "{line}"
            );
        }
    }

    #[test]
    fn the_target_limit_accepts_the_exact_size_and_refuses_one_more() {
        let line = |bytes: usize| format!("GET /{} HTTP/1.1", "x".repeat(bytes - 1));
        assert!(request_line(line(MAX_TARGET_BYTES).as_bytes()).is_ok());
        assert!(
            request_line(line(MAX_TARGET_BYTES + 1).as_bytes()).is_err_and(|r| r.status == 414)
        );
    }

    #[test]
    fn every_target_that_passes_is_one_hyper_can_parse() {
        for first in 0..=u8::MAX {
            for target in [
                vec![b'/', first],
                vec![b'/', b'?', first],
                vec![b'/', first, b'?'],
            ] {
                if is_path_and_query(&target) {
                    assert!(http::Uri::try_from(&target[..]).is_ok(), "{first:#x}");
                }
            }
        }
    }

    #[test]
    fn host_names() {
        for host in [
            "a",
            "a.example:1",
            "127.0.0.1:65535",
            "[2001:db8::1]:80",
            "0.0.0.0=5000",
            "under_score",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        let long = "a".repeat(MAX_HOST_BYTES + 1);
        for host in [
            "", ":80", "a:", "a:b", "a:1:2", "a:123456", "a b", "a,b", "a/b", "u@a", "%61", "[::1",
            "[]", "[a]", "[::1]x", "\u{e6}", "a\t", &long,
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
