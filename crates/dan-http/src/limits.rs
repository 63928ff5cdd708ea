//! Sizes and deadlines of inbound requests; and whose word about addresses counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dan_core::error::{Code, Fault};
use dan_core::network::Network;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use crate::head_guard::refusal_of_body;
use crate::request_body::RequestBody;

/// Largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest body of a GET or DELETE, which is read and ignored (`security.md` §1.3.1).
pub const IGNORED_BODY_BYTES_MAX: usize = 64 * 1024;
/// How long one request may take, all in all.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(90);

/// Reads a whole body.
///
/// # Errors
/// 1014 with 413 when it is larger than `bytes_max`, with 400 or 408 when it is cut short or stalls.
pub(crate) async fn read_body(mut body: RequestBody, bytes_max: usize) -> Result<Bytes, Fault> {
    let too_large = || {
        let text = format!("the body is larger than {bytes_max} bytes");
        Fault::with(Code::InvalidAuthorizationRequest, text).status(413)
    };
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let refusal = refusal_of_body(&error);
            Fault::with(Code::InvalidAuthorizationRequest, refusal.reason).status(refusal.status)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len().saturating_add(data.len()) > bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Stands for an address that a trusted proxy named in a way we cannot read: in no network but `0.0.0.0/0`.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The client's address: the peer's, or behind trusted proxies the last one in `X-Forwarded-For` that is not theirs.
/// One that cannot be read is [`UNKNOWN`], and never the proxy's own.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_proxy(peer) {
        return peer;
    }
    let mut farthest = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        let Ok(text) = value.to_str() else {
            return UNKNOWN;
        };
        for hop in text.rsplit(',') {
            let Some(address) = address_of(hop.trim()) else {
                return UNKNOWN;
            };
            if !is_proxy(address) {
                return address;
            }
            farthest = address;
        }
    }
    farthest
}

/// An address, with or without a port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse().ok();
    let bracketed = || {
        hop.strip_prefix('[')?
            .strip_suffix(']')?
            .parse()
            .ok()
            .map(IpAddr::V6)
    };
    let with_port = || hop.parse().ok().map(|socket: SocketAddr| socket.ip());
    bare.or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_trusted_proxies_may_name_another_address() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            HeaderValue::from_static("1.1.1.1, 192.0.2.7"),
        );
        let proxy: IpAddr = "10.1.2.3".parse().unwrap();
        let stranger: IpAddr = "11.1.2.3".parse().unwrap();
        assert_eq!(
            client_address(proxy, &headers, &trusted).to_string(),
            "192.0.2.7"
        );
        assert_eq!(client_address(stranger, &headers, &trusted), stranger);
        for (text, expected) in [
            ("203.0.113.5:4711", "203.0.113.5"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("192.0.2.7, 10.0.0.9", "192.0.2.7"),
            ("10.0.0.8, 10.0.0.9", "10.0.0.8"),
            ("nonsense", "0.0.0.0"),
            ("192.0.2.7, unknown", "0.0.0.0"),
            ("unknown, 10.0.0.9", "0.0.0.0"),
            ("", "0.0.0.0"),
        ] {
            headers.insert("x-forwarded-for", HeaderValue::from_static(text));
            let address = client_address(proxy, &headers, &trusted);
            assert_eq!(address.to_string(), expected, "{text}");
        }
        headers.remove("x-forwarded-for");
        assert_eq!(client_address(proxy, &headers, &trusted), proxy);
    }
}
