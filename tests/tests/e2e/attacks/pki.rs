//! Certificates and revocation lists, written byte by byte (RFC 5280), since no library makes wrong ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use super::forge::{key, now_s};

pub(super) const DAY_S: i64 = 24 * 60 * 60;
pub(super) const UTF8: u8 = 0x0c;
pub(super) const ORGANIZATION_IDENTIFIER: &[u8] = &[0x55, 4, 97];
pub(super) const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const ORGANIZATION: &[u8] = &[0x55, 4, 10];
pub(super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
/// Bits of a key usage behind the number of unused ones.
const DIGITAL_SIGNATURE: [u8; 2] = [7, 0x80];
const CERTIFICATES_AND_LISTS: [u8; 2] = [1, 0x06];

/// One DER value.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(u8::try_from(short).unwrap()),
        long => {
            let bytes = long.to_be_bytes();
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

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn utc_time(second: i64) -> Vec<u8> {
    let moment = jiff::Timestamp::from_second(second).unwrap();
    let text = moment.strftime("%y%m%d%H%M%SZ").to_string();
    tlv(0x17, &[text.as_bytes()])
}

fn extension(kind: &[u8], value: &[u8]) -> Vec<u8> {
    seq(&[&oid(kind), &tlv(4, &[value])])
}

fn public_key(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    seq(&[&seq(&[&oid(EC_KEY), &oid(P256)]), &tlv(3, &[&[0], &point])])
}

/// One attribute of a name.
pub(super) type Attribute<'a> = (&'a [u8], &'a str);

/// A name; each inner list is one part of it, with one or several values.
pub(super) fn name(parts: &[&[Attribute<'_>]]) -> Vec<u8> {
    let part = |values: &&[Attribute<'_>]| {
        let values: Vec<Vec<u8>> = values
            .iter()
            .map(|(kind, text)| seq(&[&oid(kind), &tlv(UTF8, &[text.as_bytes()])]))
            .collect();
        tlv(0x31, &[&joined(&values)])
    };
    let parts: Vec<Vec<u8>> = parts.iter().map(part).collect();
    seq(&[&joined(&parts)])
}

/// What a certificate says, before somebody issues it.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) subject: Vec<u8>,
    pub(super) serial: u8,
    /// From and until, in seconds from now.
    pub(super) valid: (i64, i64),
    pub(super) key_usage: [u8; 2],
    pub(super) extended: Option<&'static [u8]>,
    pub(super) ca: bool,
    /// Whether it is one of a server on this machine.
    pub(super) here: bool,
    /// Whose certificate it is.
    pub(super) key: SigningKey,
}

impl Content {
    /// A good certificate of an organisation, for authentication.
    pub(super) fn good() -> Self {
        Self::of(&[
            &[(COMMON_NAME, "Etaten")],
            &[(ORGANIZATION_IDENTIFIER, "NTRNO-991825827")],
        ])
    }

    pub(super) fn of(subject: &[&[Attribute<'_>]]) -> Self {
        Self {
            subject: name(subject),
            serial: 0x21,
            valid: (-30 * DAY_S, 300 * DAY_S),
            key_usage: DIGITAL_SIGNATURE,
            extended: Some(CLIENT_AUTH),
            ca: false,
            here: false,
            key: key(20),
        }
    }

    fn authority(called: &str, seed: u8) -> Self {
        Self {
            serial: seed,
            key_usage: CERTIFICATES_AND_LISTS,
            extended: None,
            ca: true,
            key: key(seed),
            ..Self::of(&[&[(COMMON_NAME, called)]])
        }
    }

    fn extensions(&self) -> Vec<u8> {
        let mut all = vec![extension(KEY_USAGE, &tlv(3, &[&self.key_usage]))];
        if self.ca {
            all.push(extension(BASIC_CONSTRAINTS, &seq(&[&tlv(1, &[&[0xff]])])));
        }
        if let Some(purpose) = self.extended {
            all.push(extension(EXTENDED_KEY_USAGE, &seq(&[&oid(purpose)])));
        }
        if self.here {
            let address = seq(&[&tlv(0x87, &[&[127, 0, 0, 1]])]);
            all.push(extension(ALTERNATIVE_NAME, &address));
        }
        tlv(0xa3, &[&seq(&[&joined(&all)])])
    }
}

/// Somebody who issues, entitled or not.
pub(super) struct Authority {
    name: Vec<u8>,
    key: SigningKey,
    /// Its own certificate.
    pub(super) der: Vec<u8>,
}

impl Authority {
    /// One that vouches for itself.
    pub(super) fn root(called: &str, seed: u8) -> Self {
        Self::self_signed(&Content::authority(called, seed))
    }

    /// Anybody who vouches for himself.
    pub(super) fn self_signed(content: &Content) -> Self {
        let mut own = Self::with(content, Vec::new());
        own.der = own.issue(content);
        own
    }

    /// One that this one vouches for.
    pub(super) fn below(&self, called: &str, seed: u8) -> Self {
        let content = Content::authority(called, seed);
        Self::with(&content, self.issue(&content))
    }

    /// Whoever has this certificate, now issuing others.
    pub(super) fn with(content: &Content, der: Vec<u8>) -> Self {
        Self {
            name: content.subject.clone(),
            key: content.key.clone(),
            der,
        }
    }

    /// A certificate in DER.
    pub(super) fn issue(&self, content: &Content) -> Vec<u8> {
        let now = now_s();
        let (from, until) = content.valid;
        self.signed(&seq(&[
            &tlv(0xa0, &[&tlv(2, &[&[2]])]),
            &tlv(2, &[&[content.serial]]),
            &seq(&[&oid(ECDSA_SHA256)]),
            &self.name,
            &seq(&[&utc_time(now + from), &utc_time(now + until)]),
            &content.subject,
            &public_key(&content.key),
            &content.extensions(),
        ]))
    }

    /// A revocation list in DER.
    pub(super) fn list(&self, revoked: &[u8]) -> Vec<u8> {
        let now = now_s();
        let entries: Vec<Vec<u8>> = revoked
            .iter()
            .map(|serial| seq(&[&tlv(2, &[&[*serial]]), &utc_time(now - DAY_S)]))
            .collect();
        let entries = if entries.is_empty() {
            Vec::new()
        } else {
            seq(&[&joined(&entries)])
        };
        let number = extension(CRL_NUMBER, &tlv(2, &[&[1]]));
        self.signed(&seq(&[
            &tlv(2, &[&[1]]),
            &seq(&[&oid(ECDSA_SHA256)]),
            &self.name,
            &utc_time(now - DAY_S),
            &utc_time(now + DAY_S),
            &entries,
            &tlv(0xa0, &[&seq(&[&number])]),
        ]))
    }

    /// What is signed, how, and the signature.
    fn signed(&self, content: &[u8]) -> Vec<u8> {
        let signature: Signature = self.key.sign(content);
        let signature = tlv(3, &[&[0], signature.to_der().as_bytes()]);
        seq(&[content, &seq(&[&oid(ECDSA_SHA256)]), &signature])
    }
}

/// A certificate as PEM.
pub(super) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
