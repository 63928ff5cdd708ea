//! Where one HTTP/1.1 message ends and the next begins, decided by us before hyper sees a byte.
//!
//! Pure: bytes in, verdict out. A verdict depends on the bytes only, never on how they were split over reads.

mod chunked;
pub(crate) mod h2;
mod head;
mod target;

use chunked::ChunkReader;
use head::{HeadReader, HeadStep};

pub use chunked::MAX_CHUNK_EXTRAS;
pub use head::{MAX_FIELDS, MAX_HEAD_BYTES};
pub use target::{MAX_METHOD_BYTES, MAX_TARGET_BYTES};

/// Why a request is not served: what the transport itself finds wrong, before any route is looked at.
///
/// `status` is one of 400, 408, 414, 431; `reason` is a fixed sentence that holds nothing the peer sent.
/// Source: `security.md §1.3.1`, `contracts.md §5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status of the answer.
    pub status: u16,
    /// What is wrong, in words that may be shown to the peer.
    pub reason: &'static str,
}

impl Refusal {
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self {
            status: 400,
            reason,
        }
    }

    pub(crate) const fn late(reason: &'static str) -> Self {
        Self {
            status: 408,
            reason,
        }
    }

    pub(crate) const fn long_target() -> Self {
        Self {
            status: 414,
            reason: "the request target is longer than 8 KiB",
        }
    }

    pub(crate) const fn large_head(reason: &'static str) -> Self {
        Self {
            status: 431,
            reason,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for Refusal {}

/// Why nothing more of this connection may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The next head is not one we serve: it is answered in its turn, then the connection closes.
    Head(Refusal),
    /// The body under way is broken: it never completes, and no further request is read.
    Body(Refusal),
}

/// What became of the bytes shown to [`Framing::admit`].
#[derive(Debug)]
pub(crate) struct Admitted {
    /// How many bytes at the front of the slice are now fit for hyper.
    pub(crate) kept: usize,
    /// From here on the slice holds an incomplete head, to be shown again with more bytes behind it.
    pub(crate) seen: usize,
    /// Set once, when the stream broke a rule; what lies at `seen` is then to be thrown away.
    pub(crate) stop: Option<Stop>,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Sized(u64),
    Chunked(ChunkReader),
    Stopped(Stop),
}

/// Framing of one connection, request after request.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
}

impl Framing {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Head(HeadReader::new()),
        }
    }

    /// Examines `bytes`, which begin where the last call's `seen` pointed. Whole heads and body bytes are kept in
    /// place, in order; trailer fields are cut out (`security.md §1.3.1`: dropped, never merged).
    pub(crate) fn admit(&mut self, bytes: &mut [u8]) -> Admitted {
        let mut kept = 0_usize;
        let mut seen = 0_usize;
        loop {
            let rest = bytes.get(seen..).unwrap_or_default();
            let (len, keep) = match &mut self.state {
                State::Stopped(stop) => {
                    return Admitted {
                        kept,
                        seen,
                        stop: Some(*stop),
                    };
                }
                State::Head(head) => match head.read(rest) {
                    HeadStep::More => {
                        return Admitted {
                            kept,
                            seen,
                            stop: None,
                        };
                    }
                    HeadStep::Refused(refusal) => {
                        self.state = State::Stopped(Stop::Head(refusal));
                        (0, true)
                    }
                    HeadStep::Complete { len, body } => {
                        self.state = State::after_head(body);
                        (len, true)
                    }
                },
                State::Sized(_) | State::Chunked(_) if rest.is_empty() => {
                    return Admitted {
                        kept,
                        seen,
                        stop: None,
                    };
                }
                State::Sized(left) => {
                    let len =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left = left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
                    if *left == 0 {
                        self.state = State::Head(HeadReader::new());
                    }
                    (len, true)
                }
                State::Chunked(chunks) => {
                    let run = chunks.read(rest);
                    match run.end {
                        None => {}
                        Some(Ok(())) => self.state = State::Head(HeadReader::new()),
                        Some(Err(reason)) => {
                            self.state = State::Stopped(Stop::Body(Refusal::bad(reason)));
                        }
                    }
                    (run.len, run.keep)
                }
            };
            let end = seen.saturating_add(len);
            if keep {
                if kept != seen {
                    bytes.copy_within(seen..end, kept);
                }
                kept = kept.saturating_add(len);
            }
            seen = end;
        }
    }

    /// Stops the stream where it stands; the first reason given stays.
    pub(crate) fn stop(&mut self, refusal: Refusal) -> Stop {
        let stop = match &self.state {
            State::Stopped(stop) => *stop,
            State::Head(_) => Stop::Head(refusal),
            State::Sized(_) | State::Chunked(_) => Stop::Body(refusal),
        };
        self.state = State::Stopped(stop);
        stop
    }

    pub(crate) const fn stopped(&self) -> Option<Stop> {
        match &self.state {
            State::Stopped(stop) => Some(*stop),
            State::Head(_) | State::Sized(_) | State::Chunked(_) => None,
        }
    }

    pub(crate) const fn in_body(&self) -> bool {
        matches!(self.state, State::Sized(_) | State::Chunked(_))
    }

    /// Between two messages, nothing of the next one here yet; `withheld` is what the last `admit` did not see.
    /// The one empty line that may precede a request (RFC 9112 §2.2) begins nothing.
    pub(crate) const fn at_rest(&self, withheld: &[u8]) -> bool {
        matches!(self.state, State::Head(_)) && matches!(withheld, b"" | b"\r" | b"\r\n")
    }
}

impl State {
    const fn after_head(body: head::Body) -> Self {
        match body {
            head::Body::Sized(0) => Self::Head(HeadReader::new()),
            head::Body::Sized(length) => Self::Sized(length),
            head::Body::Chunked => Self::Chunked(ChunkReader::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes let through, and the stop, with the input cut at every multiple of `step`.
    fn verdict(input: &[u8], step: usize) -> (Vec<u8>, Option<Stop>) {
        let mut framing = Framing::new();
        let mut through = Vec::new();
        let mut held = Vec::new();
        for piece in input.chunks(step.max(1)) {
            held.extend_from_slice(piece);
            let admitted = framing.admit(&mut held);
            through.extend_from_slice(&held[..admitted.kept]);
            held.drain(..admitted.seen);
            if admitted.stop.is_some() {
                return (through, admitted.stop);
            }
        }
        (through, framing.stopped())
    }

    fn refusal(input: &str) -> Option<Stop> {
        verdict(input.as_bytes(), usize::MAX).1
    }

    fn is_bad_body(input: &str) -> bool {
        matches!(refusal(input), Some(Stop::Body(r)) if r.status == 400)
    }

    const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

    #[test]
    fn pipelined_requests_pass_unchanged_and_the_next_bad_head_stops_them() {
        let good = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc\
                    POST /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        let all = format!("{good}GET /4 HTTP/1.1\r\n\r\n");
        for step in [1, 2, 7, all.len()] {
            let (through, stop) = verdict(all.as_bytes(), step);
            assert_eq!(String::from_utf8_lossy(&through), good);
            assert!(matches!(stop, Some(Stop::Head(r)) if r.status == 400));
        }
    }

    #[test]
    fn trailers_are_cut_out_and_the_message_still_ends() {
        let input = format!(
            "{CHUNKED}3;a=\"x;\\\"y\"\r\nabc\r\n0\r\nhost: evil\r\nx: y\r\n\r\nGET / HTTP/1.1\r\n"
        );
        let expected = format!("{CHUNKED}3;a=\"x;\\\"y\"\r\nabc\r\n0\r\n\r\n");
        for step in [1, 3, input.len()] {
            let (through, stop) = verdict(input.as_bytes(), step);
            assert_eq!(String::from_utf8_lossy(&through), expected);
            assert_eq!(stop, None);
        }
    }

    #[test]
    fn broken_chunks_stop_the_body() {
        for chunks in [
            "5\r\r;ABCD\r\n34\r\n",
            "5\nhello\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "\r\n",
            ";x\r\n",
            "0x5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "-1\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5;\r\nhello\r\n",
            "5;a=\r\nhello\r\n",
            "5;a=\"b\r\nhello\r\n",
            "5;a\nb\r\nhello\r\n",
            "5 ;a\r\nhello\r\n",
            "000000000\r\n\r\n",
            "fffffffff\r\n",
            "0\r\nx : y\r\n\r\n",
            "0\r\nx\r\n\r\n",
            "0\r\n x: y\r\n\r\n",
            "0\r\nx: a\nb\r\n\r\n",
            "0\r\nx: a\rb\r\n\r\n",
            "0\r\nx: \0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rG",
        ] {
            assert!(is_bad_body(&format!("{CHUNKED}{chunks}")), "{chunks:?}");
        }
    }

    #[test]
    fn chunk_extensions_and_trailers_together_are_bounded() {
        let ext = |n: usize| format!("{CHUNKED}1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(n));
        assert_eq!(refusal(&ext(MAX_CHUNK_EXTRAS - 1)), None);
        assert!(is_bad_body(&ext(MAX_CHUNK_EXTRAS)));
        let trailer = |n: usize| format!("{CHUNKED}0\r\n{}\r\n\r\n", "a".repeat(n - 2) + ":b");
        assert!(is_bad_body(&trailer(MAX_CHUNK_EXTRAS + 1)));
    }

    #[test]
    fn at_rest_only_between_messages() {
        let mut framing = Framing::new();
        assert!(framing.at_rest(b""));
        assert!(framing.at_rest(b"\r\n"));
        assert!(!framing.at_rest(b"G"));
        let mut head = *b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
        framing.admit(&mut head);
        assert!(framing.in_body() && !framing.at_rest(b""));
        framing.admit(&mut [b'x'; 2]);
        assert!(framing.at_rest(b""));
        assert!(matches!(framing.stop(Refusal::late("late")), Stop::Head(r) if r.status == 408));
        assert!(!framing.at_rest(b""));
        assert!(matches!(framing.stop(Refusal::bad("later")), Stop::Head(r) if r.status == 408));
    }

    /// Seeded: the pieces of good and bad messages in any order, with single bytes changed, cut every way.
    #[test]
    fn a_verdict_does_not_depend_on_how_bytes_are_split() {
        let parts: [&[u8]; 14] = [
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            b"POST /x?y=z HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello",
            CHUNKED.as_bytes(),
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"0\r\ntrailer: v\r\n\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"Host: b\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"OPTIONS * HTTP/1.0\r\n",
            b"GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            b" ",
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed >> 33).unwrap() % below
        };
        for _ in 0..4_000 {
            let mut input = Vec::new();
            for _ in 0..=next(5) {
                input.extend_from_slice(parts[next(parts.len())]);
            }
            if next(2) == 0 {
                let at = next(input.len());
                input[at] = u8::try_from(next(256)).unwrap();
            }
            let whole = verdict(&input, input.len());
            for step in [1, 2 + next(30)] {
                assert_eq!(
                    verdict(&input, step),
                    whole,
                    "{:?}",
                    String::from_utf8_lossy(&input)
                );
            }
        }
    }
}
