//! Whether a certificate was issued by somebody we trust: path building and validation (RFC 5280
//! §6) from the configured roots, by rustls-webpki.
//!
//! What that library does not do is said where it matters: it refuses RSA keys under 2048 bits and
//! SHA-1, knows no certificate policies (a critical policy constraint is refused), looks at no
//! key usage of issuers and at no validity of roots. The last two are checked here.

use dan_core::time::Timestamp;
use pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::bundle::{Content, NamedFile};
use crate::ConfigError;
use dan_core::ports::ClientCertificate;

/// Most certificates beside its own that a peer may send. Norwegian chains have one or two.
pub const INTERMEDIATES_MAX: usize = 8;
/// Largest chain that is looked at, in bytes of DER, leaf included.
pub const CHAIN_BYTES_MAX: usize = 64 * 1024;
/// Most roots and intermediates that an operator may configure, together.
pub const CONFIGURED_MAX: usize = 128;

/// A root, and when it may be believed.
struct Root {
    name: String,
    der: Vec<u8>,
    anchor: TrustAnchor<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The roots and intermediates that the operator configured.
pub(crate) struct Trust {
    roots: Vec<Root>,
    intermediates: Vec<CertificateDer<'static>>,
}

/// A path that was found good.
pub(crate) struct Path {
    /// From the leaf to the root, at least two, in DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// When the first of them ends.
    pub(crate) not_after: Timestamp,
}

impl Trust {
    /// # Errors
    /// [`ConfigError`] that names the file and what is wrong with it.
    pub(crate) fn new(
        roots: &[NamedFile],
        intermediates: &[NamedFile],
    ) -> Result<Self, ConfigError> {
        let mut trust = Self {
            roots: Vec::new(),
            intermediates: Vec::new(),
        };
        for file in roots {
            for der in file.objects(Content::Certificates)? {
                trust.roots.push(root(file, der)?);
            }
        }
        if trust.roots.is_empty() {
            return Err(ConfigError(
                "no root certificate is configured: no enterprise certificate could be good"
                    .to_owned(),
            ));
        }
        for file in intermediates {
            for der in file.objects(Content::Certificates)? {
                authority(file, &der)?;
                trust.intermediates.push(der.into());
            }
        }
        if trust.roots.len().saturating_add(trust.intermediates.len()) > CONFIGURED_MAX {
            let text = format!("more than {CONFIGURED_MAX} roots and intermediates");
            return Err(ConfigError(text));
        }
        Ok(trust)
    }

    /// Name and end of each root.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.roots
            .iter()
            .map(|root| (root.name.as_str(), root.not_after))
    }

    /// The path from the leaf to a root that is valid at `now`. Revocation is not looked at.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub(crate) fn path(
        &self,
        presented: &ClientCertificate,
        now: Timestamp,
    ) -> Result<Path, String> {
        let roots: Vec<&Root> = self
            .roots
            .iter()
            .filter(|root| root.not_before <= now && now <= root.not_after)
            .collect();
        let anchors: Vec<TrustAnchor<'_>> = roots.iter().map(|root| root.anchor.clone()).collect();
        let mut between: Vec<CertificateDer<'_>> = presented
            .intermediates
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        between.extend(self.intermediates.iter().cloned());
        let leaf = CertificateDer::from(presented.leaf.as_slice());
        let leaf = EndEntityCert::try_from(&leaf).map_err(|error| said(&error))?;
        let path = leaf
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &anchors,
                &between,
                unix(now),
                KeyUsage::client_auth(),
                None,
                Some(&may_issue),
            )
            .map_err(|error| said(&error))?;
        let root = roots
            .iter()
            .find(|root| root.anchor == *path.anchor())
            .ok_or("the root is gone")?;
        let mut certificates = vec![presented.leaf.clone()];
        certificates.extend(
            path.intermediate_certificates()
                .map(|certificate| certificate.der().to_vec()),
        );
        certificates.push(root.der.clone());
        let ends = certificates.iter().filter_map(|der| not_after(der)).min();
        Ok(Path {
            certificates,
            not_after: ends.ok_or("no end of validity")?,
        })
    }
}

/// Looked at before anything else is: hashing and parsing cost what a peer sends.
///
/// # Errors
/// Which limit the chain exceeds.
pub(crate) fn check_size(presented: &ClientCertificate) -> Result<(), String> {
    if presented.intermediates.len() > INTERMEDIATES_MAX {
        return Err(format!("more than {INTERMEDIATES_MAX} intermediates"));
    }
    let bytes = presented
        .intermediates
        .iter()
        .fold(presented.leaf.len(), |sum, der| {
            sum.saturating_add(der.len())
        });
    if bytes > CHAIN_BYTES_MAX {
        return Err(format!("a chain of more than {CHAIN_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Who has a key usage must have keyCertSign in it to issue (RFC 5280 §6.1.4 n).
fn may_issue(path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
    for issuer in path.intermediate_certificates() {
        let der = issuer.der();
        let (_, parsed) = X509Certificate::from_der(&der)
            .ok()
            .ok_or(webpki::Error::BadDer)?;
        let usage = parsed.key_usage().ok().ok_or(webpki::Error::BadDer)?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
    }
    Ok(())
}

fn root(file: &NamedFile, der: Vec<u8>) -> Result<Root, ConfigError> {
    let (name, not_before, not_after) = authority(file, &der)?;
    let certificate = CertificateDer::from(der.as_slice());
    let anchor = webpki::anchor_from_trusted_cert(&certificate)
        .map_err(|error| file.wrong(&format!("a root that cannot be used ({error})")))?
        .to_owned();
    Ok(Root {
        name,
        anchor,
        not_before,
        not_after,
        der,
    })
}

/// Name and validity of a certificate authority.
fn authority(file: &NamedFile, der: &[u8]) -> Result<(String, Timestamp, Timestamp), ConfigError> {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else {
        return Err(file.wrong("a certificate is damaged"));
    };
    let name = parsed.subject().to_string();
    if !parsed.is_ca() && parsed.version().0 >= 2 {
        let what = format!("{name} is no certificate authority");
        return Err(file.wrong(&what));
    }
    let validity = parsed.validity();
    let moment = |time: &x509_parser::time::ASN1Time| {
        Timestamp::from_ms(time.timestamp().saturating_mul(1000))
    };
    Ok((
        name,
        moment(&validity.not_before),
        moment(&validity.not_after),
    ))
}

fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let seconds = parsed.validity().not_after.timestamp();
    Some(Timestamp::from_ms(seconds.saturating_mul(1000)))
}

/// The moment for webpki, in whole seconds; before 1970 it stands still.
pub(crate) fn unix(now: Timestamp) -> UnixTime {
    let seconds = u64::try_from(now.as_seconds()).unwrap_or_default();
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

/// Why there is no path, in words. Names of subjects are left out: a person's may be among them.
fn said(error: &webpki::Error) -> String {
    use webpki::Error;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list is open; its own words serve for the rest"
    )]
    match error {
        Error::CertExpired { .. } => "a certificate of the path has expired".to_owned(),
        Error::CertNotValidYet { .. } => "a certificate of the path is not valid yet".to_owned(),
        Error::UnknownIssuer => "no path to a trusted root".to_owned(),
        Error::InvalidSignatureForPublicKey => {
            "a certificate of the path was not signed by its issuer".to_owned()
        }
        Error::EndEntityUsedAsCa => "an issuer may not issue certificates".to_owned(),
        Error::CaUsedAsEndEntity => "a certificate authority's certificate".to_owned(),
        Error::PathLenConstraintViolated => "the path is longer than an issuer allows".to_owned(),
        Error::NameConstraintViolation => "a name that an issuer may not certify".to_owned(),
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "path validation: an unsupported signature algorithm".to_owned()
        }
        Error::RequiredEkuNotFoundContext(_) => {
            "path validation: extended key usage does not list clientAuth".to_owned()
        }
        other => format!("path validation: {other}"),
    }
}
