//! TLS for the listener: one certificate chain and its key, HTTP/1.1 as the only protocol.

use std::sync::Arc;
use std::time::Duration;

pub use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;

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
        }
    }
}

impl std::error::Error for TlsError {}

/// Makes the listener's TLS settings from PEM bytes: TLS 1.2 and 1.3 on aws-lc-rs, ALPN `http/1.1` only, no client
/// certificate asked for, no early data (which can be replayed).
///
/// `certificate_pem` is the chain, the server's own certificate first; `key_pem` its PKCS#8, PKCS#1 or SEC1 key.
///
/// # Errors
///
/// [`TlsError`], which says in which of the two files the fault is.
pub fn server_config(
    certificate_pem: &[u8],
    key_pem: &[u8],
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
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::BadCertificate(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(KEPT_SESSIONS);
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
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
    fn a_certificate_and_its_key_give_http_1_1_only() {
        let config = server_config(CERTIFICATE, KEY).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert_eq!(config.max_early_data_size, 0);
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
            let said = server_config(certificate, key).unwrap_err().to_string();
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn no_error_repeats_the_key() {
        let error = server_config(CERTIFICATE, &KEY[..KEY.len() - 40]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("MIGH"));
    }
}
