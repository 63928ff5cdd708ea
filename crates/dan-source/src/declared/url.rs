//! Addresses: a fixed beginning, then a template whose inserts are percent-encoded.
//!
//! Scheme and host are never influenced by a request, and no insert can leave its path segment.

use super::document::Document;
use super::template::{Insert, Piece, Unusable};
use crate::catalog_folder::problem::Mistake;

/// Longest address that is asked, in bytes.
pub(crate) const URL_BYTES_MAX: usize = 8192;

/// Where an address may lead.
#[derive(Clone, Copy)]
pub(crate) enum Base<'a> {
    /// Only below the address of a source.
    Within(&'a str),
    /// Anywhere: links that are given out and never asked.
    Anywhere,
}

/// An address with inserts.
#[derive(Clone, Debug)]
pub(crate) struct UrlTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Fixed(String),
    /// In the path, where it must not be empty.
    Path(Insert),
    /// Behind the `?`, where it may be.
    Query(Insert),
}

/// Checks the address of a source, and takes a `/` off its end.
pub(crate) fn address(text: &str) -> Result<String, Mistake> {
    let text = text.trim_end_matches('/');
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .map(|rest| rest.split('/').next().unwrap_or_default());
    let hint = "write it as https://host/path, without ? and #";
    match host {
        None => Err(Mistake::with_hint(
            "the address is neither http nor https",
            hint,
        )),
        Some("") => Err(Mistake::with_hint("the address has no host", hint)),
        Some(host) if host.contains('@') => Err(Mistake::with_hint(
            "the address holds credentials",
            "write them as [credential]",
        )),
        Some(_) if !text.bytes().all(|byte| is_literal(byte) && byte != b'?') => Err(
            Mistake::with_hint("the address holds characters that no address has", hint),
        ),
        Some(_) if has_dot_segment(text) => {
            Err(Mistake::with_hint("the address holds `.` or `..`", hint))
        }
        Some(_) => Ok(text.to_owned()),
    }
}

impl UrlTemplate {
    /// Reads the pieces of a template as an address.
    pub(crate) fn compile(pieces: &[Piece], base: Base<'_>) -> Result<Self, Mistake> {
        let (start, rest, pieces) = split_start(pieces, base)?;
        let mut parts = vec![Part::Fixed(start)];
        let mut in_query = false;
        literal(&rest, &mut in_query, &mut parts)?;
        for piece in pieces {
            match piece {
                Piece::Text(text) => literal(text, &mut in_query, &mut parts)?,
                Piece::Setting(value) => parts.push(Part::Fixed(encoded(value))),
                Piece::Insert(insert) if in_query => parts.push(Part::Query(insert.clone())),
                Piece::Insert(insert) => parts.push(Part::Path(insert.clone())),
            }
        }
        Ok(Self { parts })
    }

    /// The address for this request.
    pub(crate) fn fill(&self, document: &Document) -> Result<String, Unusable> {
        let mut url = String::new();
        for part in &self.parts {
            match part {
                Part::Fixed(text) => url.push_str(text),
                Part::Path(insert) => {
                    let value = insert.value(document)?;
                    let missing = || Unusable(format!("{} is missing", insert.name()));
                    url.push_str(&encoded(&value.ok_or_else(missing)?));
                }
                Part::Query(insert) => {
                    url.push_str(&encoded(&insert.value(document)?.unwrap_or_default()));
                }
            }
        }
        check(&url)?;
        Ok(url)
    }

    /// Whether a `?` is in it.
    pub(crate) fn has_query(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Fixed(text) => text.contains('?'),
            Part::Path(_) | Part::Query(_) => false,
        })
    }
}

/// Refuses what a value has made too long, or into a step up the path.
pub(crate) fn check(url: &str) -> Result<(), Unusable> {
    if url.len() > URL_BYTES_MAX {
        return Err(Unusable("the address would be too long".to_owned()));
    }
    if has_dot_segment(url) {
        return Err(Unusable("a value is `.` or `..`".to_owned()));
    }
    Ok(())
}

/// The fixed beginning, the literal text right behind it, and what follows.
fn split_start<'p>(
    pieces: &'p [Piece],
    base: Base<'_>,
) -> Result<(String, String, &'p [Piece]), Mistake> {
    let fixed = pieces
        .iter()
        .position(|piece| matches!(piece, Piece::Insert(_)))
        .unwrap_or(pieces.len());
    let (leading, behind) = pieces.split_at_checked(fixed).unwrap_or((pieces, &[]));
    let mut text = String::new();
    for piece in leading {
        match piece {
            Piece::Text(part) | Piece::Setting(part) => text.push_str(part),
            Piece::Insert(_) => {}
        }
    }
    let (start, rest) = match base {
        Base::Within(address) if text.starts_with('/') => (address.to_owned(), text),
        Base::Within(address) => {
            let rest = text.strip_prefix(address).ok_or_else(|| {
                Mistake::with_hint(
                    format!("the call leaves its source, whose address is {address}"),
                    "begin with / for a path below that address, or name another source",
                )
            })?;
            (address.to_owned(), rest.to_owned())
        }
        Base::Anywhere => {
            let scheme = ["https://", "http://"]
                .into_iter()
                .find(|scheme| text.starts_with(scheme))
                .ok_or_else(|| {
                    Mistake::with_hint("a link begins with https://", "write the whole address")
                })?;
            let after = text.strip_prefix(scheme).unwrap_or_default();
            let host_end = after.find(['/', '?']).unwrap_or(after.len());
            let (host, rest) = after.split_at_checked(host_end).unwrap_or((after, ""));
            (address(&format!("{scheme}{host}"))?, rest.to_owned())
        }
    };
    let path_follows = rest.starts_with(['/', '?']) || (rest.is_empty() && behind.is_empty());
    if !path_follows {
        return Err(Mistake::with_hint(
            "a value stands right behind the host",
            "put a / before it",
        ));
    }
    Ok((start, rest, behind))
}

/// Text of the author: kept, but for characters that no address has.
fn literal(text: &str, in_query: &mut bool, parts: &mut Vec<Part>) -> Result<(), Mistake> {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'#' => {
                return Err(Mistake::with_hint(
                    "`#` in an address is never sent",
                    "write %23 for the character",
                ));
            }
            b'?' if *in_query => push_encoded(byte, &mut out),
            b'?' => {
                *in_query = true;
                out.push('?');
            }
            byte if is_literal(byte) => out.push(char::from(byte)),
            byte => push_encoded(byte, &mut out),
        }
    }
    if has_dot_segment(&out) {
        return Err(Mistake::with_hint(
            "`.` or `..` in an address",
            "write the path it leads to",
        ));
    }
    parts.push(Part::Fixed(out));
    Ok(())
}

/// RFC 3986 §2.2, §2.3 without `#`, `[`, `]`; and `%` of what is encoded already.
fn is_literal(byte: u8) -> bool {
    is_unreserved(byte) || b":/?@!$&'()*+,;=%".contains(&byte)
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Percent-encodes everything but RFC 3986's unreserved characters: safe in every place.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            push_encoded(byte, &mut out);
        }
    }
    out
}

fn push_encoded(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    out.push('%');
    out.push(digit(byte >> 4));
    out.push(digit(byte & 0x0F));
}

/// A segment that servers take for a step up or for nothing (RFC 3986 §5.2.4), also when encoded.
fn has_dot_segment(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::declared::template::{Scope, Settings, parse};
    use serde_json::json;

    fn compile(text: &str, base: Base<'_>) -> Result<UrlTemplate, String> {
        let settings = BTreeMap::from([("er".to_owned(), "https://er.example/api".to_owned())]);
        let scope = Scope {
            settings: Settings::Of(&settings),
            request: true,
            params: &["p".to_owned()],
            calls: &[],
            item: false,
        };
        let pieces = parse(text, &scope, &mut |mistake| panic!("{}", mistake.what));
        UrlTemplate::compile(&pieces, base).map_err(|mistake| mistake.what)
    }

    fn filled(text: &str, value: &str) -> Result<String, String> {
        let document = Document::from(json!({"subject": {"id": value}, "param": {"p": value}}));
        compile(text, Base::Within("https://er.example/api"))?
            .fill(&document)
            .map_err(|unusable| unusable.0)
    }

    #[test]
    fn hostile_values_stay_in_their_place() {
        let path = "/enheter/{subject.id}/roller";
        let query = "/enheter?navn={param.p}&size=1";
        for (value, encoded) in [
            ("991825827", "991825827"),
            ("../admin", "..%2Fadmin"),
            ("a/../../b", "a%2F..%2F..%2Fb"),
            ("?x=1&y=2", "%3Fx%3D1%26y%3D2"),
            ("#frag", "%23frag"),
            ("%2e%2e%2f", "%252e%252e%252f"),
            ("a\r\nHost: evil", "a%0D%0AHost%3A%20evil"),
            ("æøå €", "%C3%A6%C3%B8%C3%A5%20%E2%82%AC"),
            ("\u{202e}x\0", "%E2%80%AEx%00"),
            ("a b+c", "a%20b%2Bc"),
            ("{subject.org}", "%7Bsubject.org%7D"),
            ("\\..\\", "%5C..%5C"),
            ("@evil.example", "%40evil.example"),
        ] {
            assert_eq!(
                filled(path, value),
                Ok(format!("https://er.example/api/enheter/{encoded}/roller"))
            );
            assert_eq!(
                filled(query, value),
                Ok(format!(
                    "https://er.example/api/enheter?navn={encoded}&size=1"
                ))
            );
        }
    }

    #[test]
    fn a_value_that_is_a_step_up_the_path_is_refused() {
        for value in [".", ".."] {
            assert!(filled("/enheter/{subject.id}", value).is_err(), "{value}");
        }
        assert!(filled("/enheter?navn={param.p}", "..").is_ok());
        assert!(filled("/enheter/.{subject.id}", ".").is_err());
    }

    #[test]
    fn a_path_needs_its_value_and_a_query_does_not() {
        assert_eq!(
            filled("/enheter/{subject.id}", " "),
            Err("subject.id is missing".to_owned())
        );
        assert_eq!(
            filled("/enheter?navn={param.p}", ""),
            Ok("https://er.example/api/enheter?navn=".to_owned())
        );
        assert!(filled("/enheter/{subject.id}", &"x".repeat(URL_BYTES_MAX)).is_err());
    }

    #[test]
    fn a_call_stays_within_its_source() {
        let within = Base::Within("https://er.example/api");
        for good in [
            "/x",
            "{setting.er}/x",
            "https://er.example/api/x/{subject.id}",
            "{setting.er}?a=b",
            "{setting.er}",
        ] {
            assert!(compile(good, within).is_ok(), "{good}");
        }
        for bad in [
            "https://evil.example/x",
            "https://er.example/apix",
            "https://er.example/api{subject.id}",
            "{setting.er}.evil.example/x",
            "{subject.id}/x",
            "x",
            "/a/../b",
            "/a/%2E%2e/b",
            "/a#b",
        ] {
            assert!(compile(bad, within).is_err(), "{bad}");
        }
    }

    #[test]
    fn literal_text_is_encoded_where_it_must_be() {
        assert_eq!(
            filled("/år/x?å={param.p}&b=?", "1"),
            Ok("https://er.example/api/%C3%A5r/x?%C3%A5=1&b=%3F".to_owned())
        );
    }

    #[test]
    fn links_have_a_literal_host() {
        assert!(compile("https://w2.example/kunn?q={param.p}", Base::Anywhere).is_ok());
        for bad in [
            "https://{param.p}/x",
            "ftp://x/y",
            "{param.p}",
            "https://a@b/x",
            "https:///x",
        ] {
            assert!(compile(bad, Base::Anywhere).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_address_of_a_source_is_plain() {
        assert_eq!(
            address("https://er.example/api/"),
            Ok("https://er.example/api".to_owned())
        );
        for bad in [
            "er.example",
            "https://",
            "https://a b",
            "https://u:p@x",
            "https://x/?a",
            "https://x#a",
            "https://x/../y",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
