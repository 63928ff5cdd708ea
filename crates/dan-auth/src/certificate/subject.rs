//! Whose certificate it is: the organisation number in the subject of an enterprise certificate,
//! and whether the certificate is meant for proving who calls.
//!
//! Two profiles exist (`security.md` §6). SEID v2 puts `NTRNO-` and nine digits into
//! organizationIdentifier (2.5.4.97, ETSI EN 319 412-1 §5.1.4). SEID v1 put nine bare digits into
//! serialNumber (2.5.4.5); the last of those ran out in 2025, so they are taken only when the
//! operator asks for it. The DER attributes are read, never the subject written as text: in a text
//! a comma in a name can pass for the start of an attribute.

use dan_core::party::{OrgNumber, Party, PartyError, Realm};
use x509_parser::der_parser::asn1_rs::{Oid, Tag, oid};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate};

/// What stands before the number in organizationIdentifier: national trade register, Norway.
const REGISTER_PREFIX: &[u8] = b"NTRNO-";
/// Digits of an organisation number.
const DIGITS: usize = 9;
const ORGANIZATION_IDENTIFIER: Oid<'static> = oid!(2.5.4.97);
const SERIAL_NUMBER: Oid<'static> = oid!(2.5.4.5);
/// Attributes that only natural persons have: surname, givenName, pseudonym.
const PERSONAL: [Oid<'static>; 3] = [oid!(2.5.4.4), oid!(2.5.4.42), oid!(2.5.4.65)];

/// What the operator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubjectRules {
    pub(crate) accept_seid_v1: bool,
    pub(crate) realm: Realm,
}

/// Why a certificate is no proof of an organisation. For the log; holds nothing of the
/// certificate, since the certificate may be a person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) &'static str);

/// The organisation that a leaf certificate was issued to. Says nothing of who issued it.
///
/// # Errors
/// [`Refused`] when the certificate is not for proving who calls, or names no organisation, or
/// names one in a way that could be read in two.
pub(crate) fn organisation(leaf: &[u8], rules: SubjectRules) -> Result<OrgNumber, Refused> {
    let Ok((rest, certificate)) = X509Certificate::from_der(leaf) else {
        return Err(Refused("no X.509 certificate"));
    };
    if !rest.is_empty() {
        return Err(Refused("bytes after the certificate"));
    }
    check_purpose(&certificate)?;
    let number = number(&certificate, rules.accept_seid_v1)?;
    match Party::parse(number, rules.realm) {
        Ok(Party::Organisation(number)) => Ok(number),
        Err(PartyError::WrongRealm) => {
            Err(Refused("a synthetic organisation number in production"))
        }
        Ok(Party::Person(_) | Party::Foreign { .. } | Party::Custom(_)) | Err(_) => {
            Err(Refused("the organisation number has a wrong control digit"))
        }
    }
}

/// A certificate for signing documents or for encryption is no proof of who calls, even though its
/// holder can use the key: it was not issued for it. A missing key usage or extended key usage
/// limits nothing (RFC 5280 §4.2.1.3, §4.2.1.12; Buypass v2 leaves the latter out). Where extended
/// key usage is present it must list clientAuth: anyExtendedKeyUsage is not taken for it.
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), Refused> {
    let constraints = certificate.basic_constraints();
    match constraints
        .ok()
        .ok_or(Refused("damaged basic constraints"))?
    {
        Some(constraints) if constraints.value.ca => {
            return Err(Refused("a certificate authority's certificate"));
        }
        Some(_) | None => (),
    }
    let usage = certificate.key_usage();
    if let Some(usage) = usage.ok().ok_or(Refused("damaged key usage"))? {
        if !usage.value.digital_signature() {
            return Err(Refused("key usage does not allow digitalSignature"));
        }
        if usage.value.key_cert_sign() {
            return Err(Refused("key usage of a certificate authority"));
        }
    }
    let extended = certificate.extended_key_usage();
    match extended.ok().ok_or(Refused("damaged extended key usage"))? {
        Some(extended) if !extended.value.client_auth => {
            Err(Refused("extended key usage does not list clientAuth"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Nine ASCII digits from the subject.
fn number<'c>(
    certificate: &'c X509Certificate<'_>,
    accept_seid_v1: bool,
) -> Result<&'c str, Refused> {
    let (mut identifier, mut serial) = (None, None);
    for part in certificate.subject().iter_rdn() {
        let mut attributes = part.iter();
        let Some(attribute) = attributes.next() else {
            return Err(Refused("an empty part in the subject"));
        };
        // No issuer of enterprise certificates uses them, and readers differ in what they see.
        if attributes.next().is_some() {
            return Err(Refused("a part of the subject with several values"));
        }
        let kind = attribute.attr_type();
        if PERSONAL.contains(kind) {
            return Err(Refused("a person's certificate"));
        }
        if *kind == ORGANIZATION_IDENTIFIER && identifier.replace(text(attribute)?).is_some() {
            return Err(Refused("two organizationIdentifier attributes"));
        }
        if *kind == SERIAL_NUMBER && serial.replace(text(attribute)?).is_some() {
            return Err(Refused("two serialNumber attributes"));
        }
    }
    if serial.is_some_and(names_a_person) {
        return Err(Refused("a person's certificate"));
    }
    match (identifier, serial) {
        (Some(identifier), serial) => {
            let number = identifier.strip_prefix(REGISTER_PREFIX).and_then(digits);
            let number =
                number.ok_or(Refused("organizationIdentifier is not NTRNO-<nine digits>"))?;
            // Commfides v2 repeats the number there. Anything else is a second name.
            match serial {
                Some(other) if other != number.as_bytes() => {
                    Err(Refused("organizationIdentifier and serialNumber differ"))
                }
                Some(_) | None => Ok(number),
            }
        }
        (None, Some(_)) if !accept_seid_v1 => Err(Refused(
            "no organizationIdentifier; SEID v1 certificates are not accepted",
        )),
        (None, Some(serial)) => digits(serial).ok_or(Refused("serialNumber is not nine digits")),
        (None, None) => Err(Refused("no organisation number in the subject")),
    }
}

/// The value's bytes, where it is a string in one of the two forms that the profiles allow.
fn text<'c>(attribute: &'c AttributeTypeAndValue<'_>) -> Result<&'c [u8], Refused> {
    let value = attribute.attr_value();
    match value.header.tag() {
        Tag::Utf8String | Tag::PrintableString => Ok(value.data),
        _ => Err(Refused("an identifying attribute in an odd string type")),
    }
}

fn digits(bytes: &[u8]) -> Option<&str> {
    let all = bytes.len() == DIGITS && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| all)
}

/// Person certificates of Buypass (`9578-…`) and Commfides (`UN:NO-…`), and the natural persons of
/// ETSI EN 319 412-1 §5.1.3 (passport, identity card, personal number, tax number).
fn names_a_person(serial: &[u8]) -> bool {
    let prefixes: [&[u8]; 6] = [b"9578-", b"UN:", b"PAS", b"IDC", b"PNO", b"TIN"];
    prefixes.iter().any(|prefix| serial.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    #[test]
    fn half_a_certificate_or_more_than_one_names_nobody() {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let number = DnType::CustomDnType(vec![2, 5, 4, 97]);
        params.distinguished_name.push(number, "NTRNO-991825827");
        let key = KeyPair::generate().unwrap();
        let leaf = params.self_signed(&key).unwrap().der().to_vec();
        let rules = SubjectRules::default();
        assert_eq!(organisation(&leaf, rules).unwrap().as_str(), "991825827");
        for end in 0..leaf.len() {
            let cut = organisation(&leaf[..end], rules);
            assert_eq!(cut, Err(Refused("no X.509 certificate")), "{end}");
        }
        let behind = [leaf.as_slice(), &[0]].concat();
        let behind = organisation(&behind, rules);
        assert_eq!(behind, Err(Refused("bytes after the certificate")));
    }
}
