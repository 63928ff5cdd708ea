//! The client certificate that a TLS-terminating proxy passes on: `Client-Cert` and `Client-Cert-Chain` of RFC 9440.
//!
//! They count only from a proxy that is trusted, and are read strictly.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::error::{Code, Fault};
use dan_core::ports::ClientCertificate;
use http::HeaderMap;

use crate::client_auth::{chain_fits, is_certificate};
use crate::listen::PeerInfo;

/// The field with the certificate itself.
pub(crate) const CERTIFICATE: &str = "client-cert";
const CHAIN: &str = "client-cert-chain";

/// The certificate that a request is made under. `trusted`: the TCP peer is one of our proxies.
///
/// What a proxy presents in its own handshake is about itself and never about its client, also where it passes no
/// certificate on. What anybody else writes into the fields is nothing.
///
/// # Errors
/// As [`forwarded`], from proxies only.
pub(crate) fn of_request(
    peer: &PeerInfo,
    headers: &HeaderMap,
    trusted: bool,
) -> Result<Option<Arc<ClientCertificate>>, Fault> {
    if trusted {
        return Ok(forwarded(headers)?.map(Arc::new));
    }
    Ok(peer.certificate.clone())
}

/// What the fields say; `None` when there is no `Client-Cert`.
///
/// # Errors
/// 1014 with 400 when there are two of a field, one is no byte sequence of RFC 9651 §4.2.7 (a list of them for the
/// chain), one holds no certificate, the chain is over the limits of [`crate::client_auth`], or comes without its leaf.
fn forwarded(headers: &HeaderMap) -> Result<Option<ClientCertificate>, Fault> {
    let leaf = single(headers, CERTIFICATE)?;
    let chain = single(headers, CHAIN)?;
    let Some(leaf) = leaf else {
        return match chain {
            Some(_) => Err(unreadable("Client-Cert-Chain stands without Client-Cert")),
            None => Ok(None),
        };
    };
    let leaf = byte_sequence(leaf).ok_or_else(|| {
        unreadable("Client-Cert is not one certificate as a byte sequence (RFC 9440)")
    })?;
    let mut intermediates = Vec::new();
    let mut bytes = leaf.len();
    for item in chain.into_iter().flat_map(|chain| chain.split(',')) {
        let item = item.trim_matches([' ', '\t']);
        let der = byte_sequence(item).ok_or_else(|| {
            unreadable("Client-Cert-Chain is not a list of certificates as byte sequences")
        })?;
        bytes = bytes.saturating_add(der.len());
        intermediates.push(der);
        if !chain_fits(intermediates.len().saturating_add(1), bytes) {
            return Err(unreadable("Client-Cert-Chain is too long"));
        }
    }
    if !chain_fits(1, bytes) {
        return Err(unreadable("Client-Cert is too long"));
    }
    Ok(Some(ClientCertificate {
        leaf,
        intermediates,
    }))
}

fn unreadable(text: &'static str) -> Fault {
    Fault::with(Code::InvalidAuthorizationRequest, text).status(400)
}

/// The only value of a field. Two lines of the chain could be joined, but then a proxy has let one through that it did
/// not write.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(unreadable(
            "Client-Cert and Client-Cert-Chain may each come once",
        ));
    }
    first
        .map(|value| {
            value
                .to_str()
                .map(|text| text.trim_matches([' ', '\t']))
                .map_err(|_not_ascii| unreadable("Client-Cert is not printable ASCII"))
        })
        .transpose()
}

/// `:base64:` without parameters, whose content is a certificate.
fn byte_sequence(item: &str) -> Option<Vec<u8>> {
    let inner = item.strip_prefix(':')?.strip_suffix(':')?;
    let der = STANDARD.decode(inner).ok()?;
    is_certificate(&der).then_some(der)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_auth::CLIENT_CHAIN_MAX;
    use crate::tls::tests::CERTIFICATE as PEM;
    use http::HeaderValue;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn item() -> (Vec<u8>, String) {
        let der = CertificateDer::from_pem_slice(PEM).unwrap().to_vec();
        let text = format!(":{}:", STANDARD.encode(&der));
        (der, text)
    }

    #[test]
    fn a_proxy_speaks_for_its_client_only_and_nobody_else_speaks_by_a_header() {
        let (der, text) = item();
        let own = Arc::new(ClientCertificate {
            leaf: b"of the connection".to_vec(),
            intermediates: Vec::new(),
        });
        let peer = PeerInfo {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: Some(Arc::clone(&own)),
        };
        let leaf = |fields: &[(&'static str, &str)], trusted| {
            let certificate = of_request(&peer, &headers(fields), trusted)?;
            Ok::<_, Fault>(certificate.map(|certificate| certificate.leaf.clone()))
        };
        let (good, bad) = ([("client-cert", &*text)], [("client-cert", "x")]);
        for fields in [&[][..], &good, &bad] {
            assert_eq!(leaf(fields, false).unwrap(), Some(own.leaf.clone()));
        }
        assert_eq!(leaf(&good, true).unwrap(), Some(der));
        assert_eq!(leaf(&[], true).unwrap(), None);
        assert!(leaf(&bad, true).is_err());
    }

    #[test]
    fn a_certificate_and_its_chain_are_read() {
        let (der, text) = item();
        let chain = format!("{text} ,\t{text}");
        let read = |fields: &[(&'static str, &str)]| forwarded(&headers(fields)).unwrap();
        assert_eq!(read(&[]), None);
        let alone = read(&[("client-cert", &text)]).unwrap();
        assert_eq!((alone.leaf, alone.intermediates.len()), (der.clone(), 0));
        let both = read(&[("client-cert", &text), ("client-cert-chain", &chain)]).unwrap();
        assert_eq!(both.intermediates, [der.clone(), der]);
    }

    #[test]
    fn what_is_not_exactly_that_is_refused() {
        let (_, text) = item();
        let bare = text.trim_matches(':').to_owned();
        let long = vec![text.clone(); CLIENT_CHAIN_MAX].join(",");
        for fields in [
            &[("client-cert", text.as_str()), ("client-cert", &text)][..],
            &[("client-cert", &bare)],
            &[("client-cert", &format!(":{bare}"))],
            &[("client-cert", &format!("{text};a=1"))],
            &[("client-cert", &format!("{text},{text}"))],
            &[(
                "client-cert",
                &format!(":{}:", bare.trim_end_matches('=').replace('+', "-")),
            )],
            &[("client-cert", &format!(":{bare}=:"))],
            &[("client-cert", ":AAAA:")],
            &[("client-cert", "::")],
            &[("client-cert", ":")],
            &[("client-cert", "")],
            &[("client-cert-chain", &text)],
            &[("client-cert", &text), ("client-cert-chain", "")],
            &[
                ("client-cert", &text),
                ("client-cert-chain", &format!("{text},")),
            ],
            &[("client-cert", &text), ("client-cert-chain", &long)],
            &[
                ("client-cert", &text),
                ("client-cert-chain", &text),
                ("client-cert-chain", &text),
            ],
        ] {
            let fault = forwarded(&headers(fields)).unwrap_err();
            assert_eq!(
                (fault.status, fault.code.number()),
                (400, 1014),
                "{fields:?}"
            );
        }
    }
}
