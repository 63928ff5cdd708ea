//! Client certificates at the TLS layer: the peer proves that it holds the key of what it presents, and no more.
//!
//! Path, time, revocation and identity are judged for each request by an authenticator, which can say why it refuses,
//! and which sees the state of now even on a connection that is hours old.

use dan_core::ports::ClientCertificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Most certificates a client may present, its own included. Norwegian chains have three.
pub const CLIENT_CHAIN_MAX: usize = 8;
/// Most bytes of those certificates together.
pub const CLIENT_CHAIN_BYTES_MAX: usize = 16 * 1024;
/// Most roots that clients are told about; their names must fit into one handshake message.
const CLIENT_ROOTS_MAX: usize = 64;

/// Whether a chain of this many certificates and bytes is within the limits.
pub(crate) const fn chain_fits(certificates: usize, bytes: usize) -> bool {
    certificates <= CLIENT_CHAIN_MAX && bytes <= CLIENT_CHAIN_BYTES_MAX
}

/// Whether `der` is one certificate and nothing behind it.
pub(crate) fn is_certificate(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

/// What a handshake left behind, for requests. `None` when the peer presented nothing.
pub(crate) fn presented(chain: Option<&[CertificateDer<'_>]>) -> Option<ClientCertificate> {
    let (leaf, intermediates) = chain?.split_first()?;
    Some(ClientCertificate {
        leaf: leaf.to_vec(),
        intermediates: intermediates.iter().map(|der| der.to_vec()).collect(),
    })
}

/// Asks for a certificate, takes none as an answer, and checks that the peer holds the key of the one it gives.
#[derive(Debug)]
pub(crate) struct Possession {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Possession {
    /// `roots_pem` decides only what clients are told: which of their certificates is the right one.
    pub(crate) fn new(roots_pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots_pem) {
            let root = root.map_err(|error| error.to_string())?;
            if roots.len() >= CLIENT_ROOTS_MAX {
                return Err(format!("more than {CLIENT_ROOTS_MAX} certificates"));
            }
            roots.add(root).map_err(|error| {
                let place = roots.len().saturating_add(1);
                format!("certificate {place}: {error}")
            })?;
        }
        if roots.is_empty() {
            return Err("it has no PEM section CERTIFICATE".to_owned());
        }
        Ok(Self {
            hints: roots.subjects(),
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        })
    }
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = intermediates
            .iter()
            .fold(end_entity.len(), |sum, der| sum.saturating_add(der.len()));
        if !chain_fits(intermediates.len().saturating_add(1), bytes) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        if !is_certificate(end_entity) {
            return Err(CertificateError::BadEncoding.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::CERTIFICATE;

    #[test]
    fn a_chain_is_bounded_in_count_and_bytes_and_its_leaf_is_one_certificate() {
        let possession = Possession::new(CERTIFICATE).unwrap();
        let leaf = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let filler = |bytes: usize| CertificateDer::from(vec![0; bytes]);
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        let judge = |leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]| {
            possession.verify_client_cert(leaf, rest, now).is_ok()
        };
        let room = CLIENT_CHAIN_BYTES_MAX - leaf.len();
        assert!(judge(&leaf, &[]));
        assert!(judge(&leaf, &vec![filler(1); CLIENT_CHAIN_MAX - 1]));
        assert!(!judge(&leaf, &vec![filler(1); CLIENT_CHAIN_MAX]));
        assert!(judge(&leaf, &[filler(room)]));
        assert!(!judge(&leaf, &[filler(room + 1)]));
        let mut longer = leaf.to_vec();
        longer.push(0);
        for bad in [vec![], vec![0x30], leaf[..leaf.len() - 1].to_vec(), longer] {
            assert!(!judge(&bad.into(), &[]));
        }
    }

    #[test]
    fn clients_are_told_the_names_of_the_roots_and_may_present_nothing() {
        let possession = Possession::new(CERTIFICATE).unwrap();
        let root = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let (_, root) = X509Certificate::from_der(&root).unwrap();
        let [hint] = possession.root_hint_subjects() else {
            panic!("one root, one hint");
        };
        assert_eq!(hint.as_ref(), root.subject().as_raw());
        assert!(possession.offer_client_auth() && !possession.client_auth_mandatory());
    }
}
