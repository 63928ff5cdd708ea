//! Reads the one key of a PEM file, and says in words what else it found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::secret::Secret;
use p256::SecretKey;
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::soft_key::{KeyError, SoftKey};
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

const RSA: KeyError = KeyError::Unsupported("this is an RSA key");
const OTHER_CURVE: KeyError = KeyError::Unsupported("this is a key of another curve than P-256");

/// What a PEM file held.
#[derive(Debug)]
pub enum KeyPem {
    /// A private key.
    Private(SoftKey),
    /// A public key: what is left of a retired key whose private half was destroyed.
    Public(PublicKey),
}

/// Reads the one key in `text`: `PRIVATE KEY` (RFC 5958), `EC PRIVATE KEY` (RFC 5915) or
/// `PUBLIC KEY` (RFC 5280). Other text, parameters and certificates are passed over.
///
/// # Errors
/// [`KeyError`]: no key, several, encrypted, or of another kind than P-256.
pub fn read(text: &Secret) -> Result<KeyPem, KeyError> {
    let mut rest = text.expose();
    if rest.len() > PEM_BYTES_MAX {
        return Err(KeyError::TooLarge);
    }
    let mut found = None;
    let mut blocks = 0_usize;
    while let Some((label, content, after)) = next_block(rest)? {
        blocks = blocks.saturating_add(1);
        rest = after;
        let Some(key) = read_block(label, content)? else {
            continue;
        };
        if found.replace(key).is_some() {
            return Err(KeyError::SeveralKeys);
        }
    }
    match found {
        Some(key) => Ok(key),
        None if blocks == 0 => Err(KeyError::NotPem),
        None => Err(KeyError::NoKey),
    }
}

/// Label, content and what follows (RFC 7468 §3); `None` when no block is left.
fn next_block(text: &str) -> Result<Option<(&str, &str, &str)>, KeyError> {
    let Some((_, begun)) = text.split_once("-----BEGIN ") else {
        return Ok(None);
    };
    let (label, body) = begun.split_once("-----").ok_or(KeyError::NotPem)?;
    let end = format!("-----END {label}-----");
    let (content, after) = body.split_once(&end).ok_or(KeyError::NotPem)?;
    Ok(Some((label, content, after)))
}

fn read_block(label: &str, content: &str) -> Result<Option<KeyPem>, KeyError> {
    // RFC 1421 §4.6.1.1, as OpenSSL still writes it.
    if label == "ENCRYPTED PRIVATE KEY" || content.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    match label {
        "PRIVATE KEY" => pkcs8(&der(content)?).map(|key| Some(KeyPem::Private(key))),
        "EC PRIVATE KEY" => sec1(&der(content)?).map(|key| Some(KeyPem::Private(key))),
        "PUBLIC KEY" => public(&der(content)?).map(|key| Some(KeyPem::Public(key))),
        "RSA PRIVATE KEY" | "RSA PUBLIC KEY" => Err(RSA),
        "OPENSSH PRIVATE KEY" => Err(KeyError::Unsupported("this is a key in OpenSSH's own form")),
        "DSA PRIVATE KEY" => Err(KeyError::Unsupported("this is a DSA key")),
        _ => Ok(None),
    }
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

fn pkcs8(der: &[u8]) -> Result<SoftKey, KeyError> {
    let info = PrivateKeyInfoRef::try_from(der)
        .ok()
        .ok_or(KeyError::Damaged)?;
    let algorithm = info.algorithm.oid;
    if algorithm == RSA_ENCRYPTION {
        return Err(RSA);
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
    Ok(SoftKey::new(SigningKey::from(key)))
}

fn sec1(der: &[u8]) -> Result<SoftKey, KeyError> {
    // The curve is optional in this form; 32 bytes without it could belong to several curves.
    if !names_p256(der) {
        return Err(OTHER_CURVE);
    }
    let key = SecretKey::from_sec1_der(der)
        .ok()
        .ok_or(KeyError::Damaged)?;
    Ok(SoftKey::new(SigningKey::from(key)))
}

fn public(der: &[u8]) -> Result<PublicKey, KeyError> {
    if !names_p256(der) {
        return Err(KeyError::Unsupported("this is not a P-256 key"));
    }
    VerifyingKey::from_public_key_der(der)
        .map(PublicKey::new)
        .ok()
        .ok_or(KeyError::Damaged)
}

fn names_p256(der: &[u8]) -> bool {
    der.windows(P256_DER.len()).any(|window| window == P256_DER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn block(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    fn sec1_text() -> String {
        let pem = key(1).to_pem().unwrap();
        let der = der(next_block(pem.expose()).unwrap().unwrap().1).unwrap();
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
        let rsa = block(
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
            (&rsa, RSA),
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

    #[test]
    fn the_text_for_rsa_names_what_would_do() {
        assert_eq!(
            RSA.to_string(),
            "this is an RSA key; only P-256 keys (ES256) are supported by this version"
        );
    }
}
