//! An infrastructure for tests: authorities by rcgen, leaves and OCSP answers written byte for
//! byte, since no library makes wrong ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dan_auth::certificate::NamedFile;
use dan_auth::{CertificateConfig, EnterpriseCertificates};
use dan_core::caller::Proof;
use dan_core::ports::{
    AuthError, Authenticator as _, CallContext, ClientCertificate, Clock, Credentials, Fetch,
    FetchError, FetchReply, FetchRequest, PortFuture,
};
use dan_core::testkit::fakes::{START, StillClock, call_context};
use dan_core::time::{DAY_MS, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, SigningKey as _,
    date_time_ymd,
};

pub(super) const ORG: &str = "991825827";
pub(super) const OTHER_ORG: &str = "974760673";
pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;

pub(super) const UTF8: u8 = 0x0c;
pub(super) const PRINTABLE: u8 = 0x13;
pub(super) const ORGANIZATION_IDENTIFIER: &[u8] = &[0x55, 4, 97];
pub(super) const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const ORGANIZATION: &[u8] = &[0x55, 4, 10];
pub(super) const SURNAME: &[u8] = &[0x55, 4, 4];
pub(super) const GIVEN_NAME: &[u8] = &[0x55, 4, 42];
pub(super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(super) const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
pub(super) const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const SHA_1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
const BASIC_RESPONSE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];

/// One DER value.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let used: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(used.len()).unwrap());
            out.extend(used);
        }
    }
    out.extend(content);
    out
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn oid(content: &[u8]) -> Vec<u8> {
    tlv(6, &[content])
}

/// `2026-01-01T00:00:00Z` as `20260101000000Z`.
fn digits(time: Timestamp) -> String {
    let text = Timestamp::from_ms(time.as_seconds().saturating_mul(1000)).to_string();
    text.chars().filter(|c| !"-:T".contains(*c)).collect()
}

fn utc_time(time: Timestamp) -> Vec<u8> {
    tlv(0x17, &[&digits(time).as_bytes()[2..]])
}

fn generalized_time(time: Timestamp) -> Vec<u8> {
    tlv(0x18, &[digits(time).as_bytes()])
}

/// One attribute of a name.
pub(super) type Attribute<'a> = (&'a [u8], u8, &'a str);

/// A name; each inner list is one part of it, with one or several values.
pub(super) fn name(parts: &[&[Attribute<'_>]]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts
        .iter()
        .map(|part| {
            let values: Vec<Vec<u8>> = part
                .iter()
                .map(|(kind, tag, text)| seq(&[&oid(kind), &tlv(*tag, &[text.as_bytes()])]))
                .collect();
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            tlv(0x31, &values)
        })
        .collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    seq(&parts)
}

/// A leaf, before somebody issues it.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) subject: Vec<u8>,
    pub(super) serial: u8,
    pub(super) valid: (Timestamp, Timestamp),
    /// The bytes of the bit string: unused bits, then bits.
    pub(super) key_usage: Option<[u8; 2]>,
    pub(super) extended: Option<Vec<&'static [u8]>>,
    pub(super) ca: bool,
    pub(super) ocsp: Option<&'static str>,
}

impl Leaf {
    /// A good SEID v2 certificate for authentication.
    pub(super) fn good() -> Self {
        Self::of(&[
            &[(COMMON_NAME, UTF8, "Etaten")],
            &[(ORGANIZATION_IDENTIFIER, UTF8, "NTRNO-991825827")],
        ])
    }

    pub(super) fn of(parts: &[&[Attribute<'_>]]) -> Self {
        Self {
            subject: name(parts),
            serial: 0x21,
            valid: (START.plus_ms(-30 * DAY_MS), START.plus_ms(365 * DAY_MS)),
            key_usage: Some([7, 0x80]),
            extended: Some(vec![CLIENT_AUTH]),
            ca: false,
            ocsp: None,
        }
    }

    fn extensions(&self) -> Vec<u8> {
        let extension = |kind: &[u8], value: Vec<u8>| seq(&[&oid(kind), &tlv(4, &[&value])]);
        let mut all = Vec::new();
        if self.ca {
            let value = seq(&[&tlv(1, &[&[0xff]])]);
            all.push(extension(&[0x55, 0x1d, 0x13], value));
        }
        if let Some(bits) = &self.key_usage {
            all.push(extension(&[0x55, 0x1d, 0x0f], tlv(3, &[bits])));
        }
        if let Some(purposes) = &self.extended {
            let purposes: Vec<Vec<u8>> = purposes.iter().map(|one| oid(one)).collect();
            let purposes: Vec<&[u8]> = purposes.iter().map(Vec::as_slice).collect();
            all.push(extension(&[0x55, 0x1d, 0x25], seq(&purposes)));
        }
        if let Some(address) = self.ocsp {
            let method = oid(&[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
            let access = seq(&[&method, &tlv(0x86, &[address.as_bytes()])]);
            let kind = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
            all.push(extension(kind, seq(&[&access])));
        }
        let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        tlv(0xa3, &[&seq(&all)])
    }
}

/// Somebody who issues.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(super) der: Vec<u8>,
}

impl Authority {
    pub(super) fn params(called: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, called);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        params
    }

    pub(super) fn root(called: &str) -> Self {
        Self::root_with(Self::params(called))
    }

    pub(super) fn root_with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    /// An authority that this one vouches for.
    pub(super) fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer()).unwrap();
        let der = der.der().to_vec();
        Self { params, key, der }
    }

    /// Issues with the key and name of this authority.
    pub(super) fn issue(&self, leaf: &Leaf) -> Vec<u8> {
        let issuer = subject_of(&self.der);
        self.issue_as(leaf, &issuer, &key_of(&self.der))
    }

    /// Issues for a key, in the DER of a certificate that holds it, under any issuer's name.
    pub(super) fn issue_as(&self, leaf: &Leaf, issuer: &[u8], public_key: &[u8]) -> Vec<u8> {
        let algorithm = seq(&[&oid(ECDSA_SHA256)]);
        let validity = seq(&[&utc_time(leaf.valid.0), &utc_time(leaf.valid.1)]);
        let content = seq(&[
            &tlv(0xa0, &[&tlv(2, &[&[2]])]),
            &tlv(2, &[&[leaf.serial]]),
            &algorithm,
            issuer,
            &validity,
            &leaf.subject,
            public_key,
            &leaf.extensions(),
        ]);
        self.signed(&content, &[])
    }

    /// What is signed, how, and the signature; and something behind it.
    fn signed(&self, content: &[u8], behind: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(content).unwrap();
        let signature = tlv(3, &[&[0], &signature]);
        seq(&[content, &seq(&[&oid(ECDSA_SHA256)]), &signature, behind])
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A revocation list; moments in ms from [`START`].
    pub(super) fn list(&self, revoked: &[u8], from_ms: i64, until_ms: i64) -> NamedFile {
        let time = |ms: i64| {
            let first = Timestamp::parse("2020-01-01").unwrap().as_ms();
            let since = START.plus_ms(ms).as_ms().checked_sub(first).unwrap();
            let since = Duration::from_millis(u64::try_from(since).unwrap());
            date_time_ymd(2020, 1, 1)
                .checked_add(since.try_into().unwrap())
                .unwrap()
        };
        let params = CertificateRevocationListParams {
            this_update: time(from_ms),
            next_update: time(until_ms),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(u64::from(*serial)),
                    revocation_time: time(from_ms),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        NamedFile {
            name: "crls/list.crl".to_owned(),
            bytes: params.signed_by(&self.issuer()).unwrap().der().to_vec(),
        }
    }

    pub(super) fn file(&self) -> NamedFile {
        file(&self.der)
    }

    pub(super) fn pem(&self) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// The same, without a library that minds what its key may be used for.
    pub(super) fn signing_anything(mut self) -> Self {
        self.params.key_usages = Vec::new();
        self
    }
}

pub(super) fn file(der: &[u8]) -> NamedFile {
    NamedFile {
        name: "tls/roots.pem".to_owned(),
        bytes: der.to_vec(),
    }
}

pub(super) fn subject_of(certificate: &[u8]) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.subject().as_raw().to_vec()
}

pub(super) fn key_of(certificate: &[u8]) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.public_key().raw.to_vec()
}

/// What an OCSP answer says.
#[derive(Clone, Copy)]
pub(super) enum Says {
    Good,
    Revoked,
    Unknown,
}

/// An OCSP answer, and all that can be wrong with it.
pub(super) struct Answer<'a> {
    pub(super) says: Says,
    /// About the certificate with this serial, of this issuer.
    pub(super) about: (u8, &'a Authority),
    pub(super) from: Timestamp,
    pub(super) until: Option<Timestamp>,
    /// Who signs, and the certificate that is sent along.
    pub(super) signer: &'a Authority,
    pub(super) delegate: Option<&'a [u8]>,
    /// Whether a critical extension that nobody knows stands in it.
    pub(super) critical: bool,
}

impl Answer<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (serial, issuer) = self.about;
        let hash = |bytes: &[u8]| {
            let kind = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
            tlv(4, &[aws_lc_rs::digest::digest(kind, bytes).as_ref()])
        };
        let (_, parsed) = x509_parser::parse_x509_certificate(&issuer.der).unwrap();
        let key = &parsed.public_key().subject_public_key.data;
        let id = seq(&[
            &seq(&[&oid(SHA_1), &[5, 0]]),
            &hash(&subject_of(&issuer.der)),
            &hash(key),
            &tlv(2, &[&[serial]]),
        ]);
        let status = match self.says {
            Says::Good => vec![0x80, 0],
            Says::Revoked => tlv(0xa1, &[&generalized_time(self.from)]),
            Says::Unknown => vec![0x82, 0],
        };
        let until = self
            .until
            .map(|until| tlv(0xa0, &[&generalized_time(until)]));
        let single = seq(&[
            &id,
            &status,
            &generalized_time(self.from),
            &until.unwrap_or_default(),
        ]);
        let who = subject_of(self.delegate.unwrap_or(&self.signer.der));
        let data = seq(&[
            &tlv(0xa1, &[&who]),
            &generalized_time(self.from),
            &seq(&[&single]),
            &self.extension(),
        ]);
        let sent = self.delegate.map(|der| tlv(0xa0, &[&seq(&[der])]));
        let basic = self.signer.signed(&data, &sent.unwrap_or_default());
        let bytes = seq(&[&oid(BASIC_RESPONSE), &tlv(4, &[&basic])]);
        seq(&[&tlv(0x0a, &[&[0]]), &tlv(0xa0, &[&bytes])])
    }

    fn extension(&self) -> Vec<u8> {
        let unknown = seq(&[
            &oid(&[0x2a, 3, 4]),
            &tlv(1, &[&[0xff]]),
            &tlv(4, &[&[5, 0]]),
        ]);
        if self.critical {
            tlv(0xa1, &[&seq(&[&unknown])])
        } else {
            Vec::new()
        }
    }
}

/// What is wrong with a responder that has an answer.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    /// It answers with this status.
    Status(u16),
    /// It takes the question and says nothing.
    Hangs,
}

/// A responder that answers what it is told, and counts.
#[derive(Default)]
pub(super) struct Responder {
    answer: Mutex<Option<Vec<u8>>>,
    trouble: Mutex<Option<Trouble>>,
    calls: AtomicUsize,
    pub(super) addresses: Mutex<Vec<String>>,
}

impl Responder {
    /// From now on this is the answer; `None`: it is down.
    pub(super) fn says(&self, answer: Option<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn has(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Fetch for Responder {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        _: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.addresses.lock().unwrap().push(request.url);
            assert_eq!(request.body.unwrap().0, "application/ocsp-request");
            tokio::task::yield_now().await;
            let trouble = *self.trouble.lock().unwrap();
            let status = match trouble {
                Some(Trouble::Hangs) => std::future::pending().await,
                Some(Trouble::Status(status)) => status,
                None => 200,
            };
            let answer = self.answer.lock().unwrap().clone();
            let body = answer.ok_or_else(|| FetchError::Network("down".to_owned()))?;
            Ok(FetchReply {
                status,
                media_type: Some("application/ocsp-response".to_owned()),
                retry_after_s: None,
                body: Bytes::from(body),
            })
        })
    }
}

/// A node's certificates, its clock, and the world outside.
pub(super) struct House {
    pub(super) certificates: EnterpriseCertificates,
    pub(super) clock: Arc<StillClock>,
    pub(super) responder: Arc<Responder>,
}

impl House {
    pub(super) fn new(config: CertificateConfig) -> Self {
        let clock = Arc::new(StillClock::default());
        let responder = Arc::new(Responder::default());
        let port: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let fetch: Arc<dyn Fetch> = Arc::clone(&responder) as Arc<dyn Fetch>;
        Self {
            certificates: EnterpriseCertificates::new(config, &fetch, &port).unwrap(),
            clock,
            responder,
        }
    }

    /// Trusts one root and asks nobody about revocation.
    pub(super) fn trusting(root: &Authority) -> Self {
        Self::new(CertificateConfig {
            roots: vec![root.file()],
            ..CertificateConfig::default()
        })
    }

    /// The organisation, or the reason in the log.
    pub(super) async fn judge(&self, leaf: &[u8], between: &[&[u8]]) -> Result<String, String> {
        let presented = Credentials {
            api_key: None,
            bearer: None,
            certificate: Some(Arc::new(ClientCertificate {
                leaf: leaf.to_vec(),
                intermediates: between.iter().map(|der| der.to_vec()).collect(),
            })),
            address: [127, 0, 0, 1].into(),
        };
        match self
            .certificates
            .authenticate(&presented, &call_context())
            .await
        {
            Ok(Some(Proof::Certificate { org })) => Ok(org.to_string()),
            Ok(_) => Err("another proof".to_owned()),
            Err(AuthError::BadCertificate(why)) => Err(why),
            Err(other) => Err(format!("the wrong class: {other:?}")),
        }
    }
}

/// Whether it was refused for this reason.
#[track_caller]
pub(super) fn refused(outcome: &Result<String, String>, why: &str, what: &str) {
    match outcome {
        Err(said) => assert!(said.contains(why), "{what}: {said:?}, expected {why:?}"),
        Ok(org) => panic!("{what}: let in as {org}"),
    }
}
