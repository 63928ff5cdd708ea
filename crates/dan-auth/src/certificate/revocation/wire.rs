//! OCSP as bytes: the question, and what may be believed of an answer (RFC 6960 §4.1, §4.2).
//!
//! Only strict DER is read. Whatever is not a signed answer to this very question, in force now,
//! is no answer.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use dan_core::time::Timestamp;
use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Choice, Decode as _, Encode as _, Enumerated, Sequence, Tag, Tagged as _};
use pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::path::unix;

/// How far a responder's clock may run ahead of ours, in ms.
pub const SKEW_MS: i64 = 5 * 60 * 1000;
/// How old an answer may be that does not say when the next one comes, in ms.
pub const UNDATED_AGE_MAX_MS: i64 = 60 * 60 * 1000;
/// Most certificates in an answer that are looked at.
pub const RESPONDERS_MAX: usize = 4;

const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const BASIC_RESPONSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-kp-OCSPSigning as webpki wants it: the content of its DER.
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Algorithm {
    oid: ObjectIdentifier,
    parameters: Option<Any>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct CertId {
    hash: Algorithm,
    issuer_name: OctetString,
    issuer_key: OctetString,
    serial: Any,
}

#[derive(Sequence)]
struct Request {
    certificate: CertId,
}

#[derive(Sequence)]
struct Requests {
    list: Vec<Request>,
}

#[derive(Sequence)]
struct UnsignedRequest {
    requests: Requests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumerated)]
#[repr(u8)]
enum Status {
    Successful = 0,
    MalformedRequest = 1,
    InternalError = 2,
    TryLater = 3,
    SigRequired = 5,
    Unauthorized = 6,
}

#[derive(Sequence)]
struct Response {
    status: Status,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    bytes: Option<ResponseBytes>,
}

#[derive(Sequence)]
struct ResponseBytes {
    kind: ObjectIdentifier,
    response: OctetString,
}

#[derive(Sequence)]
struct BasicResponse {
    /// Kept as bytes: they are what is signed.
    data: Any,
    algorithm: Any,
    signature: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    certificates: Option<Vec<Any>>,
}

#[derive(Sequence)]
struct ResponseData {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    version: Option<u8>,
    responder: ResponderId,
    produced_at: GeneralizedTime,
    responses: Vec<SingleResponse>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Choice)]
enum ResponderId {
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", constructed = "true")]
    Name(Any),
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    Key(OctetString),
}

#[derive(Sequence)]
struct SingleResponse {
    certificate: CertId,
    status: CertStatus,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    next_update: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Choice)]
enum CertStatus {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(Revoked),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

#[derive(Sequence)]
struct Revoked {
    at: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    reason: Option<Any>,
}

#[derive(Sequence)]
struct Extension {
    oid: ObjectIdentifier,
    #[asn1(default = "bool::default")]
    critical: bool,
    value: OctetString,
}

/// What a responder said, and from when till when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spoken {
    pub(crate) revoked: bool,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Option<Timestamp>,
}

/// One certificate, asked about.
pub(crate) struct Question<'c> {
    id: CertId,
    issuer: &'c [u8],
}

impl<'c> Question<'c> {
    /// `None` when one of the two is no certificate.
    pub(crate) fn about(certificate: &[u8], issuer: &'c [u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Self::about_serial(parsed.raw_serial(), issuer)
    }

    /// The same for a certificate of which only the serial number is at hand.
    pub(crate) fn about_serial(serial: &[u8], issuer: &'c [u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(issuer).ok()?;
        // SHA-1 names the issuer here and protects nothing; many responders know no other.
        let hashed = |bytes: &[u8]| {
            OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()).ok()
        };
        let id = CertId {
            hash: Algorithm {
                oid: SHA_1,
                parameters: Some(Null.into()),
            },
            issuer_name: hashed(parsed.subject().as_raw())?,
            issuer_key: hashed(&parsed.public_key().subject_public_key.data)?,
            serial: Any::new(Tag::Integer, serial).ok()?,
        };
        Some(Self { id, issuer })
    }

    /// The unsigned request, without a nonce: answers may have been made in advance.
    pub(crate) fn request(&self) -> Option<Vec<u8>> {
        let request = Request {
            certificate: self.id.clone(),
        };
        let requests = Requests {
            list: vec![request],
        };
        UnsignedRequest { requests }.to_der().ok()
    }

    /// What the certificate is known under: issuer and serial, not its bytes, since the same
    /// certificate can be written with another signature over the same content.
    pub(crate) fn key(&self) -> [u8; 32] {
        let id = self.id.to_der().unwrap_or_default();
        Sha256::digest(id).into()
    }

    /// What an answer says, if it is one.
    ///
    /// # Errors
    /// Why it is none, for the log.
    pub(crate) fn read(&self, answer: &[u8], now: Timestamp) -> Result<Spoken, &'static str> {
        let response = Response::from_der(answer)
            .ok()
            .ok_or("not an OCSP answer")?;
        if response.status != Status::Successful {
            return Err("the responder refused the question");
        }
        let bytes = response.bytes.ok_or("an empty answer")?;
        if bytes.kind != BASIC_RESPONSE {
            return Err("an answer of an unknown kind");
        }
        let basic = BasicResponse::from_der(bytes.response.as_bytes())
            .ok()
            .ok_or("a damaged answer")?;
        let data: ResponseData = basic.data.decode_as().ok().ok_or("a damaged answer")?;
        if data.version.is_some_and(|version| version != 0) {
            return Err("an answer of an unknown version");
        }
        self.check_signature(&basic, &data.responder, now)?;
        self.answer_in(&data, now)
    }

    fn answer_in(&self, data: &ResponseData, now: Timestamp) -> Result<Spoken, &'static str> {
        let critical = |extensions: &Option<Vec<Extension>>| {
            extensions.iter().flatten().any(|one| one.critical)
        };
        let mut ours = data
            .responses
            .iter()
            .filter(|single| single.certificate.names_the_same(&self.id));
        let single = ours.next().ok_or("an answer about another certificate")?;
        if ours.next().is_some() {
            return Err("two answers about one certificate");
        }
        if critical(&data.extensions) || critical(&single.extensions) {
            return Err("an answer with an unknown critical extension");
        }
        let this_update = moment(single.this_update);
        let next_update = single.next_update.map(moment);
        if this_update > now.plus_ms(SKEW_MS) {
            return Err("an answer from the future");
        }
        let ends = next_update.unwrap_or(this_update.plus_ms(UNDATED_AGE_MAX_MS));
        if ends <= now {
            return Err("an answer that has expired");
        }
        let revoked = match single.status {
            CertStatus::Good(_) => false,
            CertStatus::Revoked(_) => true,
            CertStatus::Unknown(_) => return Err("the responder does not know the certificate"),
        };
        Ok(Spoken {
            revoked,
            this_update,
            next_update,
        })
    }

    /// Signed by the issuer itself, or by a responder whom the issuer gave a certificate for that
    /// (RFC 6960 §4.2.2.2). Whether a responder's certificate is revoked is not asked: it would
    /// be its own witness, and such certificates live for weeks.
    fn check_signature(
        &self,
        basic: &BasicResponse,
        responder: &ResponderId,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let issuer = CertificateDer::from(self.issuer);
        if responder.is(self.issuer) {
            return basic.signed_by(&issuer);
        }
        let certificates = basic.certificates.iter().flatten().take(RESPONDERS_MAX);
        for certificate in certificates {
            let der = certificate.to_der().ok().ok_or("a damaged answer")?;
            if !responder.is(&der) {
                continue;
            }
            let der = CertificateDer::from(der);
            check_delegate(&der, &issuer, now)?;
            return basic.signed_by(&der);
        }
        Err("an answer of somebody who is neither the issuer nor sent by it")
    }
}

/// Issued directly by the issuer, valid now, and for signing OCSP answers.
fn check_delegate(
    delegate: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<(), &'static str> {
    const NO: &str = "a responder whom the issuer did not send";
    let anchor = webpki::anchor_from_trusted_cert(issuer).ok().ok_or(NO)?;
    let certificate = EndEntityCert::try_from(delegate).ok().ok_or(NO)?;
    let anchors = [anchor];
    let path = certificate.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        unix(now),
        KeyUsage::required(OCSP_SIGNING),
        None,
        None,
    );
    path.map(drop).ok().ok_or(NO)
}

impl CertId {
    /// Parameters of the hash are left out of it: NULL and none mean the same.
    fn names_the_same(&self, other: &Self) -> bool {
        self.hash.oid == other.hash.oid
            && self.issuer_name == other.issuer_name
            && self.issuer_key == other.issuer_key
            && self.serial == other.serial
    }
}

impl ResponderId {
    /// Whether this certificate is the one meant.
    fn is(&self, certificate: &[u8]) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        match self {
            Self::Name(name) => name
                .to_der()
                .is_ok_and(|name| name == parsed.subject().as_raw()),
            Self::Key(key) => {
                let bits = &parsed.public_key().subject_public_key.data;
                digest(&SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref() == key.as_bytes()
            }
        }
    }
}

impl BasicResponse {
    fn signed_by(&self, certificate: &CertificateDer<'_>) -> Result<(), &'static str> {
        let data = self.data.to_der().ok().ok_or("a damaged answer")?;
        let signature = self.signature.as_bytes().ok_or("a damaged signature")?;
        if self.algorithm.tag() != Tag::Sequence
            || !is_signed(certificate, self.algorithm.value(), &data, signature)
        {
            return Err("an answer with a wrong signature");
        }
        Ok(())
    }
}

/// Whether `signature` over `message` is good under the key of `certificate`. `algorithm` is the
/// content of an `AlgorithmIdentifier`; of what webpki knows, each that it may mean is tried.
pub(crate) fn is_signed(
    certificate: &CertificateDer<'_>,
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok(signer) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    ALL_VERIFICATION_ALGS
        .iter()
        .filter(|known| known.signature_alg_id().as_ref() == algorithm)
        .any(|known| signer.verify_signature(*known, message, signature).is_ok())
}

fn moment(time: GeneralizedTime) -> Timestamp {
    let ms = i64::try_from(time.to_unix_duration().as_millis());
    Timestamp::from_ms(ms.unwrap_or(i64::MAX))
}
