//! TLS for the listener: one certificate chain and its key, HTTP/2 and HTTP/1.1, and how they are replaced while
//! connections go on.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dan_core::time::Timestamp;
pub use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::client_auth::Possession;

/// The protocol name of HTTP/2 (RFC 7301, RFC 9113 §3.1).
pub(crate) const H2: &[u8] = b"h2";

/// How long a peer may take for its TLS handshake.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// Sessions kept for resumption; a full handshake costs as much as three requests (`performance.md §1c`).
const KEPT_SESSIONS: usize = 4 * 1024;
/// Most certificates in a chain.
const MAX_CHAIN: usize = 16;

/// Why a certificate and key cannot be used. No variant holds anything of the key.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate file has no `CERTIFICATE` section.
    NoCertificate,
    /// The certificate file has more than 16 certificates.
    LongChain,
    /// The certificate file is not PEM, or a certificate in it is not what it should be.
    BadCertificate(String),
    /// The key file has no private key.
    NoKey,
    /// The key file has a key under a password.
    EncryptedKey,
    /// The key file is not PEM, or its key is of a kind that is not supported.
    BadKey,
    /// The key is not that of the first certificate.
    KeyMismatch,
    /// The file of client roots cannot be used.
    BadClientRoots(String),
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("the certificate file has no PEM section CERTIFICATE"),
            Self::LongChain => write!(f, "the certificate file has more than {MAX_CHAIN} certificates"),
            Self::BadCertificate(why) => write!(f, "the certificate file cannot be used: {why}"),
            Self::NoKey => f.write_str("the key file has no PEM section PRIVATE KEY"),
            Self::EncryptedKey => f.write_str("the key file is encrypted; give the key without a password"),
            Self::BadKey => f.write_str(
                "the key file is damaged, or holds a key other than RSA of 2048 to 8192 bits, ECDSA or Ed25519",
            ),
            Self::KeyMismatch => {
                f.write_str("the key does not belong to the first certificate in the certificate file")
            }
            Self::BadClientRoots(why) => {
                write!(f, "the file of client roots cannot be used: {why}")
            }
        }
    }
}

impl std::error::Error for TlsError {}

/// The listener's TLS settings, replaced while it serves: a connection keeps those it began with.
#[derive(Debug)]
pub struct Reloadable {
    current: ArcSwap<ServerConfig>,
}

impl Reloadable {
    /// Begins with `config`.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            current: ArcSwap::new(config),
        }
    }

    /// New connections use `config` from now on. Sessions of the old settings are not resumed: each `ServerConfig`
    /// has a store of its own, so a client certificate that was taken under old roots is presented anew.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.current.store(config);
    }

    /// What the next connection uses.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// Makes the listener's TLS settings from PEM bytes: TLS 1.2 and 1.3 on aws-lc-rs, ECDHE with AEAD only, ALPN `h2` and
/// `http/1.1`, no early data (which can be replayed).
///
/// `certificate_pem` is the chain, the server's own certificate first; `key_pem` its PKCS#8, PKCS#1 or SEC1 key. With
/// `client_roots_pem` clients are asked for a certificate and may leave it out; see [`crate::client_auth`].
///
/// # Errors
///
/// [`TlsError`], which says in which of the files the fault is.
pub fn server_config(
    certificate_pem: &[u8],
    key_pem: &[u8],
    client_roots_pem: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .take(MAX_CHAIN.saturating_add(1))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::BadCertificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    if chain.len() > MAX_CHAIN {
        return Err(TlsError::LongChain);
    }
    let key = private_key(key_pem)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::BadCertificate(error.to_string()))?;
    let builder = match client_roots_pem {
        Some(pem) => {
            let possession = Possession::new(pem).map_err(TlsError::BadClientRoots)?;
            builder.with_client_cert_verifier(Arc::new(possession))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(KEPT_SESSIONS);
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// DER of each certificate in a PEM file, in its order, at most 16; what is no certificate is left out.
#[must_use]
pub fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem)
        .take(MAX_CHAIN)
        .filter_map(Result::ok)
        .map(|der| der.to_vec())
        .collect()
}

/// Name and end of each certificate in a PEM file, in its order; what is no certificate is left out.
#[must_use]
pub fn not_after(pem: &[u8]) -> Vec<(String, Timestamp)> {
    CertificateDer::pem_slice_iter(pem)
        .take(MAX_CHAIN)
        .filter_map(Result::ok)
        .filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            let end_ms = certificate
                .validity()
                .not_after
                .timestamp()
                .saturating_mul(1000);
            Some((
                certificate.subject().to_string(),
                Timestamp::from_ms(end_ms),
            ))
        })
        .collect()
}

/// aws-lc-rs, with the hybrid group first: a recorded connection stays closed to a later quantum computer. It is
/// preferred here, on the accepting side only, so that our own outbound hellos stay small.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    // The parser's own words may quote the file, so they are not passed on.
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            let marker = b"BEGIN ENCRYPTED PRIVATE KEY";
            if pem.windows(marker.len()).any(|window| window == marker) {
                Err(TlsError::EncryptedKey)
            } else {
                Err(TlsError::NoKey)
            }
        }
        Err(_) => Err(TlsError::BadKey),
    }
}

fn unusable(error: rustls::Error) -> TlsError {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        TlsError::KeyMismatch
    } else if let rustls::Error::InvalidCertificate(error) = error {
        TlsError::BadCertificate(format!("{error:?}"))
    } else {
        TlsError::BadKey
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Self-signed for `localhost`, made for this test and used nowhere else; valid from 2026-11 for a hundred years.
    pub(crate) const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----
MIIBkzCCATigAwIBAgIUQ63rBYq4DUVBOa5AUfChyIIYhzkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE0MjUxNVoYDzIxMjYxMDMx
MTQyNTE1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQEIlnZjHWZaw/0YWz5zVEsZeAfOOWj2lSowxLdhcKXY3ufLTO6/19Y
/o2JB1/yWGv1s0DSU9yhLuRzeZbHOvAFo2YwZDAdBgNVHQ4EFgQUhTUAEV64yK35
06tj764JsxsbmeowHwYDVR0jBBgwFoAUhTUAEV64yK3506tj764JsxsbmeowFAYD
VR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAw
RgIhAK2o5HG3WOC/spueVPP9MvH4JQQ6w22MyFR81gvwLm0UAiEA0S6w9/kOnf0F
ec/v2XduhjesaLzeukH40d+/he2fsd0=
-----END CERTIFICATE-----
";
    pub(crate) const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdtpEhes4YwdocFHW
G2cBBXiLDhegTzPdI65dexJkxX+hRANCAAQEIlnZjHWZaw/0YWz5zVEsZeAfOOWj
2lSowxLdhcKXY3ufLTO6/19Y/o2JB1/yWGv1s0DSU9yhLuRzeZbHOvAF
-----END PRIVATE KEY-----
";
    const OTHER_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/G2HXvw+HWHO8V2Y
kZxLO6gXSKqZlFhKgfMYn35YU4+hRANCAAQCelC21j3gg74hVXXmxEWpj+bTRonl
xeh6kSlvs5hoPdLhTmD6eROB6Gaxc7JJVKXDd0nS13doZ1xbutP5K4Xq
-----END PRIVATE KEY-----
";

    #[test]
    fn a_certificate_and_its_key_offer_http_2_before_http_1_1_and_no_early_data() {
        let config = server_config(CERTIFICATE, KEY, None).unwrap();
        assert_eq!(
            config.alpn_protocols,
            [b"h2".to_vec(), b"http/1.1".to_vec()]
        );
        assert_eq!(config.max_early_data_size, 0);
    }

    #[test]
    fn only_suites_with_forward_secrecy_and_aead_are_offered() {
        for suite in provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            let modern = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
            assert!(modern && !name.contains("_CBC_"), "{name}");
        }
    }

    #[test]
    fn certificates_are_listed_with_their_end() {
        let two = [CERTIFICATE, KEY, CERTIFICATE].concat();
        let listed = not_after(&two);
        let end = Timestamp::parse("2126-10-31T14:25:15Z").unwrap();
        assert_eq!(listed, vec![("CN=localhost".to_owned(), end); 2]);
        assert_eq!(not_after(b"nothing"), []);
    }

    #[test]
    fn new_settings_count_from_the_next_connection_on() {
        let (old, new) = (
            server_config(CERTIFICATE, KEY, None).unwrap(),
            server_config(CERTIFICATE, KEY, Some(CERTIFICATE)).unwrap(),
        );
        let live = Reloadable::new(Arc::clone(&old));
        let kept = live.current();
        live.replace(Arc::clone(&new));
        assert!(Arc::ptr_eq(&kept, &old) && Arc::ptr_eq(&live.current(), &new));
        assert!(!Arc::ptr_eq(&old.session_storage, &new.session_storage));
    }

    #[test]
    fn client_roots_are_certificates_and_not_too_many() {
        for pem in [&b""[..], KEY, &CERTIFICATE.repeat(65)] {
            let error = server_config(CERTIFICATE, KEY, Some(pem)).unwrap_err();
            assert!(error.to_string().contains("client roots"), "{error}");
        }
        assert!(server_config(CERTIFICATE, KEY, Some(CERTIFICATE)).is_ok());
    }

    #[test]
    fn each_fault_is_named() {
        let section = |label: &str, body: &str| {
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let bad_certificate = section("CERTIFICATE", "AAAA");
        let bad_base64 = section("CERTIFICATE", "A?A?");
        let bad_key = section("PRIVATE KEY", "AAAA");
        let cut_key = &KEY[..KEY.len() - 40];
        let encrypted = section("ENCRYPTED PRIVATE KEY", "AAAA");
        let long_chain = CERTIFICATE.repeat(MAX_CHAIN + 1);
        for (certificate, key, expected) in [
            (&b""[..], KEY, "no PEM section CERTIFICATE"),
            (KEY, KEY, "no PEM section CERTIFICATE"),
            (
                bad_certificate.as_bytes(),
                KEY,
                "certificate file cannot be used",
            ),
            (
                bad_base64.as_bytes(),
                KEY,
                "certificate file cannot be used",
            ),
            (&long_chain, KEY, "more than 16"),
            (CERTIFICATE, b"", "no PEM section PRIVATE KEY"),
            (CERTIFICATE, CERTIFICATE, "no PEM section PRIVATE KEY"),
            (CERTIFICATE, encrypted.as_bytes(), "encrypted"),
            (CERTIFICATE, bad_key.as_bytes(), "key file is damaged"),
            (CERTIFICATE, cut_key, "key file is damaged"),
            (CERTIFICATE, OTHER_KEY, "does not belong"),
        ] {
            let said = server_config(certificate, key, None)
                .unwrap_err()
                .to_string();
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn no_error_repeats_the_key() {
        let error = server_config(CERTIFICATE, &KEY[..KEY.len() - 40], None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("MIGH"));
    }
}
