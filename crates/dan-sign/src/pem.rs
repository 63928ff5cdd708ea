//! Reads the one key of a PEM file, and says in words what else it found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::secret::Secret;
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use p256::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::certificate;
use crate::private_key::KeyError;
#[cfg(feature = "aws-lc")]
use crate::rsa_key::RsaKey;
use crate::soft_key::SoftKey;
use dan_verify::public_key::PublicKey;

/// Longest key file, in bytes.
pub const PEM_BYTES_MAX: usize = 64 * 1024;

/// RFC 5480 §2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 8017 §A.1.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 8410 §3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480 §2.1.1.1, as DER: tag, length, 1.2.840.10045.3.1.7.
const P256_DER: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

const OTHER_CURVE: KeyError = KeyError::Unsupported("this is a key of another curve than P-256");

/// Characters of a line of base64 (RFC 7468 §2).
#[cfg(feature = "aws-lc")]
const LINE_CHARS: usize = 64;

/// What a PEM file held.
#[derive(Debug)]
pub enum KeyPem {
    /// A private key on P-256.
    P256(SoftKey),
    /// An RSA private key.
    #[cfg(feature = "aws-lc")]
    Rsa(RsaKey),
    /// A public key: what is left of a retired key whose private half was destroyed.
    Public(PublicKey),
}

/// Reads the one key in `text`: `PRIVATE KEY` (RFC 5958), `EC PRIVATE KEY` (RFC 5915),
/// `RSA PRIVATE KEY` (RFC 8017 §A.1.2) or `PUBLIC KEY` (RFC 5280). Other text, parameters and
/// certificates are passed over.
///
/// # Errors
/// [`KeyError`]: no key, several, encrypted, or of another kind than P-256 and RSA.
pub fn read(text: &Secret) -> Result<KeyPem, KeyError> {
    if text.expose().len() > PEM_BYTES_MAX {
        return Err(KeyError::TooLarge);
    }
    let blocks = blocks(text.expose())?;
    let mut found = None;
    for (label, content) in &blocks {
        let Some(key) = read_block(label, content)? else {
            continue;
        };
        if found.replace(key).is_some() {
            return Err(KeyError::SeveralKeys);
        }
    }
    match found {
        Some(key) => Ok(key),
        None if blocks.is_empty() => Err(KeyError::NotPem),
        None => Err(KeyError::NoKey),
    }
}

/// Label and content of every block (RFC 7468 §3), whatever stands between them.
pub(crate) fn blocks(text: &str) -> Result<Vec<(&str, &str)>, KeyError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, body) = begun.split_once("-----").ok_or(KeyError::NotPem)?;
        let end = format!("-----END {label}-----");
        let (content, after) = body.split_once(&end).ok_or(KeyError::NotPem)?;
        blocks.push((label, content));
        rest = after;
    }
    Ok(blocks)
}

/// One block.
#[cfg(feature = "aws-lc")]
pub(crate) fn write(label: &str, der: &[u8]) -> Secret {
    let packed = Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = packed.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE_CHARS).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    Secret::new(text)
}

fn read_block(label: &str, content: &str) -> Result<Option<KeyPem>, KeyError> {
    // RFC 1421 §4.6.1.1, as OpenSSL still writes it.
    if label == "ENCRYPTED PRIVATE KEY" || content.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    match label {
        "PRIVATE KEY" => pkcs8(&der(content)?).map(Some),
        "EC PRIVATE KEY" => sec1(&der(content)?).map(Some),
        "RSA PRIVATE KEY" => pkcs1(&der(content)?).map(Some),
        "PUBLIC KEY" => public(&der(content)?).map(Some),
        "RSA PUBLIC KEY" => Err(KeyError::Unsupported(
            "this is a public key in the form of PKCS#1 (`openssl rsa -RSAPublicKey_in -pubout` makes it a PUBLIC KEY)",
        )),
        "OPENSSH PRIVATE KEY" => Err(KeyError::Unsupported("this is a key in OpenSSH's own form")),
        "DSA PRIVATE KEY" => Err(KeyError::Unsupported("this is a DSA key")),
        _ => Ok(None),
    }
}

#[cfg(feature = "aws-lc")]
fn pkcs1(der: &[u8]) -> Result<KeyPem, KeyError> {
    RsaKey::from_pkcs1(der).map(KeyPem::Rsa)
}

#[cfg(not(feature = "aws-lc"))]
const fn pkcs1(_der: &[u8]) -> Result<KeyPem, KeyError> {
    Err(KeyError::RsaUnavailable)
}

#[cfg(feature = "aws-lc")]
fn rsa_pkcs8(der: &[u8]) -> Result<KeyPem, KeyError> {
    RsaKey::from_pkcs8(der).map(KeyPem::Rsa)
}

#[cfg(not(feature = "aws-lc"))]
const fn rsa_pkcs8(_der: &[u8]) -> Result<KeyPem, KeyError> {
    Err(KeyError::RsaUnavailable)
}

fn der(content: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut packed = Zeroizing::new(String::with_capacity(content.len()));
    packed.extend(content.split_ascii_whitespace());
    STANDARD
        .decode(packed.as_bytes())
        .map(Zeroizing::new)
        .ok()
        .ok_or(KeyError::NotPem)
}

fn pkcs8(der: &[u8]) -> Result<KeyPem, KeyError> {
    let info = PrivateKeyInfoRef::try_from(der)
        .ok()
        .ok_or(KeyError::Damaged)?;
    let algorithm = info.algorithm.oid;
    if algorithm == RSA_ENCRYPTION {
        return rsa_pkcs8(der);
    }
    if algorithm == ED25519 {
        return Err(KeyError::Unsupported("this is an Ed25519 key"));
    }
    if algorithm != EC_PUBLIC_KEY {
        return Err(KeyError::Unsupported("this is a key of an unknown kind"));
    }
    if !names_p256(der) {
        return Err(OTHER_CURVE);
    }
    let key = SecretKey::try_from(info).ok().ok_or(KeyError::Damaged)?;
    Ok(KeyPem::P256(SoftKey::new(SigningKey::from(key))))
}

fn sec1(der: &[u8]) -> Result<KeyPem, KeyError> {
    // The curve is optional in this form; 32 bytes without it could belong to several curves.
    if !names_p256(der) {
        return Err(OTHER_CURVE);
    }
    let key = SecretKey::from_sec1_der(der)
        .ok()
        .ok_or(KeyError::Damaged)?;
    Ok(KeyPem::P256(SoftKey::new(SigningKey::from(key))))
}

fn public(der: &[u8]) -> Result<KeyPem, KeyError> {
    let parsed = SubjectPublicKeyInfo::from_der(der);
    let (rest, info) = parsed.ok().ok_or(KeyError::Damaged)?;
    if !rest.is_empty() {
        return Err(KeyError::Damaged);
    }
    let key = certificate::public_key(&info).ok_or(KeyError::Unsupported(
        "this is no public key of P-256, nor one of RSA with 2048 to 8192 bits",
    ))?;
    Ok(KeyPem::Public(key))
}

fn names_p256(der: &[u8]) -> bool {
    der.windows(P256_DER.len()).any(|window| window == P256_DER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    #[cfg(feature = "aws-lc")]
    const RSA: KeyError = KeyError::Rsa;
    #[cfg(not(feature = "aws-lc"))]
    const RSA: KeyError = KeyError::RsaUnavailable;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn block(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    fn sec1_text() -> String {
        let pem = key(1).to_pem().unwrap();
        let der = der(blocks(pem.expose()).unwrap()[0].1).unwrap();
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
        let key = SecretKey::try_from(info).unwrap();
        block("EC PRIVATE KEY", &key.to_sec1_der().unwrap())
    }

    #[test]
    fn sec1_with_parameters_and_a_certificate_around_it_is_read() {
        let parameters = block("EC PARAMETERS", P256_DER);
        let certificate = block("CERTIFICATE", b"any");
        for text in [
            sec1_text(),
            format!("Bag Attributes\r\n{parameters}{}{certificate}", sec1_text()),
            sec1_text().replace('\n', "\r\n"),
        ] {
            let read = SoftKey::from_pem(&secret(&text)).unwrap();
            assert_eq!(read.public(), key(1).public());
        }
    }

    #[test]
    fn what_is_no_usable_key_is_named() {
        let pem = key(1).to_pem().unwrap();
        let twice = format!("{}{}", pem.expose(), sec1_text());
        let cut = pem.expose().replace("-----END PRIVATE KEY-----", "");
        let damaged = block("PRIVATE KEY", b"\x30\x03\x02\x01\x00");
        let empty_rsa = block(
            "PRIVATE KEY",
            b"\x30\x14\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x00",
        );
        let ed25519 = block(
            "PRIVATE KEY",
            b"\x30\x0c\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x00",
        );
        let legacy = block("EC PRIVATE KEY", b"").replace(
            "-----\n",
            "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        );
        let no_curve = block("EC PRIVATE KEY", b"\x30\x06\x02\x01\x01\x04\x01\x05");
        for (text, expected) in [
            ("", KeyError::NotPem),
            ("{\"kty\":\"EC\"}", KeyError::NotPem),
            (&cut, KeyError::NotPem),
            (&"x".repeat(PEM_BYTES_MAX + 1), KeyError::TooLarge),
            (&block("CERTIFICATE", b"any"), KeyError::NoKey),
            (&twice, KeyError::SeveralKeys),
            (&block("ENCRYPTED PRIVATE KEY", b""), KeyError::Encrypted),
            (&legacy, KeyError::Encrypted),
            (&block("RSA PRIVATE KEY", b""), RSA),
            (&empty_rsa, RSA),
            (&ed25519, KeyError::Unsupported("this is an Ed25519 key")),
            (&no_curve, OTHER_CURVE),
            (&damaged, KeyError::Damaged),
            (
                "-----BEGIN PRIVATE KEY-----\n***\n-----END PRIVATE KEY-----",
                KeyError::NotPem,
            ),
        ] {
            let error = SoftKey::from_pem(&secret(text)).unwrap_err();
            assert_eq!(error, expected, "{text:.60}");
        }
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn rsa_is_read_in_both_its_forms() {
        use crate::private_key::PrivateKey as _;
        let pkcs8 = crate::testing::rsa_pem();
        let der = der(blocks(pkcs8.expose()).unwrap()[0].1).unwrap();
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
        let pkcs1 = write("RSA PRIVATE KEY", info.private_key.as_bytes());
        let expected = crate::testing::rsa();
        for text in [&pkcs8, &pkcs1] {
            let read = RsaKey::from_pem(text).unwrap();
            assert_eq!(read.public(), expected.public());
            assert!(SoftKey::from_pem(text).is_err());
        }
    }
}
