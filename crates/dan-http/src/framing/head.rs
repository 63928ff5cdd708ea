//! One request head, read line by line: the rules of `security.md §1.3.1`, stricter than RFC 9112 where it leaves a
//! choice, because a proxy in front and we must never disagree on where a request ends.

use super::Refusal;
use super::target::{self, RequestLine};

/// Largest head: request line, fields and the empty line, bytes. One more is answered 431.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most field lines in one head. One more is answered 431. hyper's own limit, so that it never refuses by itself.
pub const MAX_FIELDS: usize = 100;
/// Most digits of a Content-Length; keeps its value far from overflow.
const MAX_LENGTH_DIGITS: usize = 18;

/// Names a proxy or a CGI-like backend may fold into the real one, were they let through with another separator.
const FRAMING_NAMES: [&[u8]; 2] = [b"transfer-encoding", b"content-length"];

/// How the body after a head is framed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    Sized(u64),
    Chunked,
}

/// What reading on has led to.
#[derive(Debug)]
pub(super) enum HeadStep {
    /// The head is not complete: call again with the same bytes and more behind them.
    More,
    /// The head is the first `len` bytes.
    Complete {
        len: usize,
        body: Body,
    },
    Refused(Refusal),
}

/// Progress through one head. Offsets count from the first byte of the head.
#[derive(Debug)]
pub(super) struct HeadReader {
    line_at: usize,
    scanned: usize,
    empty_line: bool,
    request: Option<RequestLine>,
    fields: usize,
    host: bool,
    length: Option<u64>,
    chunked: bool,
}

impl HeadReader {
    pub(super) const fn new() -> Self {
        Self {
            line_at: 0,
            scanned: 0,
            empty_line: false,
            request: None,
            fields: 0,
            host: false,
            length: None,
            chunked: false,
        }
    }

    /// Reads on in `bytes`, which begin with the head and may hold more than it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> HeadStep {
        // Nothing beyond the limit is looked at, or the verdict would depend on how much one read brought.
        let window = bytes.get(..MAX_HEAD_BYTES).unwrap_or(bytes);
        while let Some(end) = self.line_end(window) {
            let line = window.get(self.line_at..end).unwrap_or_default();
            self.scanned = end.saturating_add(1);
            self.line_at = self.scanned;
            match self.line(line) {
                Ok(None) => {}
                Ok(Some(body)) => {
                    return HeadStep::Complete {
                        len: self.line_at,
                        body,
                    };
                }
                Err(refusal) => return HeadStep::Refused(refusal),
            }
        }
        self.scanned = window.len();
        if window.len() < MAX_HEAD_BYTES {
            HeadStep::More
        } else if self.request.is_none() {
            HeadStep::Refused(Refusal::long_target())
        } else {
            HeadStep::Refused(Refusal::large_head(
                "the request head is larger than 16 KiB",
            ))
        }
    }

    fn line_end(&self, window: &[u8]) -> Option<usize> {
        let rest = window.get(self.scanned..)?;
        let at = rest.iter().position(|byte| *byte == b'\n')?;
        Some(self.scanned.saturating_add(at))
    }

    /// `line` is without its LF. Gives the body's framing when the line ends the head.
    fn line(&mut self, line: &[u8]) -> Result<Option<Body>, Refusal> {
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(Refusal::bad("a line of the head ends in LF without CR"));
        };
        let Some(request) = &self.request else {
            if !line.is_empty() {
                self.request = Some(target::request_line(line)?);
            } else if self.empty_line {
                return Err(Refusal::bad("more than one empty line before the request"));
            } else {
                self.empty_line = true;
            }
            return Ok(None);
        };
        if line.is_empty() {
            if request.http_1_1 && !self.host {
                return Err(Refusal::bad("the Host field is missing"));
            }
            return Ok(Some(if self.chunked {
                Body::Chunked
            } else {
                Body::Sized(self.length.unwrap_or(0))
            }));
        }
        self.field(line).map(|()| None)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields = self.fields.saturating_add(1);
        if self.fields > MAX_FIELDS {
            return Err(Refusal::large_head(
                "more than 100 fields in the request head",
            ));
        }
        if matches!(line, [b' ' | b'\t', ..]) {
            return Err(Refusal::bad("a field is folded over several lines"));
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(Refusal::bad("a field line has no colon"));
        };
        let (name, value) = line.split_at(colon);
        if matches!(name, [.., b' ' | b'\t']) {
            return Err(Refusal::bad(
                "white space between a field name and its colon",
            ));
        }
        if name.is_empty() || !name.iter().copied().all(is_token_byte) {
            return Err(Refusal::bad("a field name is not a token"));
        }
        let value = value.strip_prefix(b":").unwrap_or_default();
        if !value.iter().copied().all(is_value_byte) {
            return Err(Refusal::bad("a control character in a field value"));
        }
        self.framing_field(name, without_outer_space(value))
    }

    fn framing_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"host") {
            self.host(value)
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.transfer_encoding(value)
        } else {
            judge_name(name)
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Refusal::bad("more than one Host field"));
        }
        if !target::is_host(value) {
            return Err(Refusal::bad("the Host field is not a host and port"));
        }
        // RFC 9112 §3.2.2 lets the target win over Host; whoever reads the other one would see another site.
        let authority = self
            .request
            .as_ref()
            .and_then(|request| request.authority.as_deref());
        if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(value)) {
            return Err(Refusal::bad(
                "the request target and the Host field name different hosts",
            ));
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::bad("more than one Content-Length field"));
        }
        if self.chunked {
            return Err(Refusal::bad("both Content-Length and Transfer-Encoding"));
        }
        if value.is_empty()
            || value.len() > MAX_LENGTH_DIGITS
            || !value.iter().all(u8::is_ascii_digit)
        {
            return Err(Refusal::bad(
                "Content-Length is not a number of at most 18 digits",
            ));
        }
        let length = value.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit.saturating_sub(b'0')))
        });
        self.length = Some(length);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::bad("both Content-Length and Transfer-Encoding"));
        }
        if !self
            .request
            .as_ref()
            .is_some_and(|request| request.http_1_1)
        {
            return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
        }
        // Case counts: nobody writes it otherwise, and not every parser in front folds it.
        if value != b"chunked" || std::mem::replace(&mut self.chunked, true) {
            return Err(Refusal::bad(
                "Transfer-Encoding is other than one time chunked",
            ));
        }
        Ok(())
    }
}

/// Refuses a name that some reader may take for one of those that frame a message.
pub(super) fn judge_name(name: &[u8]) -> Result<(), Refusal> {
    let imitates = FRAMING_NAMES
        .iter()
        .any(|framing| reads_like(name, framing) && !name.eq_ignore_ascii_case(framing));
    if imitates {
        return Err(Refusal::bad("a field name imitates a framing field"));
    }
    Ok(())
}

/// Equal to a framing field's name but for what stands where it has a hyphen.
fn reads_like(name: &[u8], framing: &[u8]) -> bool {
    name.len() == framing.len()
        && name
            .iter()
            .zip(framing)
            .all(|(byte, want)| *want == b'-' || byte.eq_ignore_ascii_case(want))
}

/// RFC 9110 §5.6.2: a byte of a token.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// RFC 9110 §5.5: a byte of a field value, white space inside it included.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Cuts the optional white space of RFC 9110 §5.6.3, which is space and tab only.
const fn without_outer_space(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> HeadStep {
        HeadReader::new().read(head.as_bytes())
    }

    fn status(head: &str) -> Option<u16> {
        match read(head) {
            HeadStep::Refused(refusal) => Some(refusal.status),
            HeadStep::Complete { .. } | HeadStep::More => None,
        }
    }

    fn with_fields(fields: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")
    }

    #[test]
    fn lawful_heads_give_their_body_framing() {
        for (fields, expected) in [
            ("", Some(0)),
            ("Content-Length: 0\r\n", Some(0)),
            ("content-LENGTH:\t 003 \t\r\n", Some(3)),
            (
                "Content-Length: 999999999999999999\r\n",
                Some(999_999_999_999_999_999),
            ),
            ("Transfer-Encoding: chunked\r\n", None),
            ("transfer-encoding:chunked \r\n", None),
            ("X-Text: D\u{fc}sseldorf\t!\r\nEmpty:\r\n", Some(0)),
        ] {
            let head = with_fields(fields);
            match read(&format!("{head}rest")) {
                HeadStep::Complete {
                    len,
                    body: Body::Sized(length),
                } => {
                    assert_eq!((len, Some(length)), (head.len(), expected));
                }
                HeadStep::Complete {
                    len,
                    body: Body::Chunked,
                } => {
                    assert_eq!((len, None), (head.len(), expected));
                }
                other @ (HeadStep::More | HeadStep::Refused(_)) => panic!("{fields:?}: {other:?}"),
            }
        }
        assert!(matches!(
            read("\r\nGET / HTTP/1.0\r\n\r\n"),
            HeadStep::Complete { len: 20, .. }
        ));
    }

    #[test]
    fn framing_fields_that_can_be_read_two_ways_are_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 1000000000000000000\r\n",
            "Content_Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding: Chunked\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer_Encoding: chunked\r\n",
            "transfer.encoding: chunked\r\n",
        ] {
            assert_eq!(status(&with_fields(fields)), Some(400), "{fields:?}");
        }
        assert_eq!(
            status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Some(400)
        );
    }

    #[test]
    fn malformed_lines_are_refused() {
        for fields in [
            "X : y\r\n",
            "X\t: y\r\n",
            ": y\r\n",
            "X\r\n",
            "X y: z\r\n",
            "X@: y\r\n",
            "X\u{e9}: y\r\n",
            " X: y\r\n",
            "X: y\r\n z\r\n",
            "X: y\r\n\tz\r\n",
            "X: a\nY: b\r\n",
            "X: a\rY: b\r\n",
            "X:\r\r\n",
            "X: a\0b\r\n",
            "X: a\u{c}b\r\n",
            "X: a\u{7f}b\r\n",
            "\rX: y\r\n",
            "Host: a.example\r\n",
            "\n",
        ] {
            assert_eq!(status(&with_fields(fields)), Some(400), "{fields:?}");
        }
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        ] {
            assert_eq!(status(head), Some(400), "{head:?}");
        }
    }

    #[test]
    fn the_head_limits_accept_the_exact_size_and_refuse_one_more() {
        let sized = |bytes: usize| {
            let start = "GET / HTTP/1.1\r\nhost: a\r\nx: ";
            format!("{start}{}\r\n\r\n", "v".repeat(bytes - start.len() - 4))
        };
        assert!(matches!(
            read(&sized(MAX_HEAD_BYTES)),
            HeadStep::Complete {
                len: MAX_HEAD_BYTES,
                ..
            }
        ));
        assert_eq!(status(&sized(MAX_HEAD_BYTES + 1)), Some(431));
        let counted = |fields: usize| with_fields(&"x: y\r\n".repeat(fields - 1));
        assert_eq!(status(&counted(MAX_FIELDS)), None);
        assert_eq!(status(&counted(MAX_FIELDS + 1)), Some(431));
        assert_eq!(
            status(&format!("GET /{}", "x".repeat(MAX_HEAD_BYTES))),
            Some(414)
        );
    }

    #[test]
    fn what_passes_here_is_well_formed_to_hyper_as_well() {
        for byte in 0..=u8::MAX {
            if is_token_byte(byte) {
                assert!(http::Method::from_bytes(&[byte]).is_ok(), "{byte:#x}");
                assert!(http::HeaderName::from_bytes(&[byte]).is_ok(), "{byte:#x}");
            }
            assert_eq!(
                is_value_byte(byte),
                http::HeaderValue::from_bytes(&[byte]).is_ok(),
                "{byte:#x}"
            );
        }
    }
}
