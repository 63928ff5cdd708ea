//! What the edges make of bytes, without a socket: for fuzzing and for people who want to know.

use http::Method;

use crate::framing::{Framing, Refusal, Stop};
use crate::routes::{self, Found};

/// What became of the bytes of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// The bytes that hyper would be given.
    pub admitted: Vec<u8>,
    /// Why nothing more is read, when that is so.
    pub refused: Option<Refusal>,
}

/// Reads bytes as one connection that brings them in two parts, the first of `cut` bytes. The outcome does not
/// depend on `cut`.
#[must_use]
pub fn framed(bytes: &[u8], cut: usize) -> Framed {
    let mut framing = Framing::new();
    let (first, second) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let mut admitted = Vec::new();
    let mut held = Vec::new();
    for part in [first, second] {
        held.extend_from_slice(part);
        let step = framing.admit(&mut held);
        admitted.extend_from_slice(held.get(..step.kept).unwrap_or_default());
        held.drain(..step.seen.min(held.len()));
        if let Some(stop) = step.stop {
            let (Stop::Head(refusal) | Stop::Body(refusal)) = stop;
            return Framed {
                admitted,
                refused: Some(refusal),
            };
        }
    }
    Framed {
        admitted,
        refused: None,
    }
}

/// The pattern of the route that a request goes to, and the decoded values of its path; `None` for an address that
/// does not exist or cannot be decoded.
#[must_use]
pub fn route(method: &Method, path: &str) -> Option<(&'static str, Vec<String>)> {
    match routes::find(method, path) {
        Ok(Found::Route(route, values)) => Some((route.pattern, values)),
        Ok(Found::Preflight | Found::Nothing) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_does_not_matter() {
        let bytes = b"POST /v1/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nt: 1\r\n\r\nBAD";
        let whole = framed(bytes, 0);
        assert!(whole.admitted.starts_with(b"POST /v1/a"));
        for cut in 0..=bytes.len() {
            assert_eq!(framed(bytes, cut), whole, "{cut}");
        }
    }

    #[test]
    fn a_path_leads_to_a_route_and_its_values() {
        let found = route(&Method::GET, "/v1/evidence/x/Unit%20A");
        let (pattern, values) = found.unwrap();
        assert!(pattern.contains("evidence"));
        assert_eq!(values, ["x", "Unit A"]);
        assert_eq!(route(&Method::GET, "/v1/nothing"), None);
    }
}
