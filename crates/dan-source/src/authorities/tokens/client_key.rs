//! [`ClientKey`]: the key that our assertions are signed with, from a PEM file, and its certificate.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dan_core::secret::Secret;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Longest file, in bytes.
const PEM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a P-256 coordinate.
const P256_BYTES: usize = 32;

enum Pair {
    Rsa(Box<KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// A private RSA key of at least 2048 bits, or one on P-256, and the certificate that came with it.
pub(crate) struct ClientKey {
    pair: Pair,
    /// DER.
    certificate: Option<Vec<u8>>,
}

/// One block of a PEM file.
struct Block<'a> {
    label: &'a str,
    content: &'a str,
}

impl ClientKey {
    /// Reads the one key in `text`: `PRIVATE KEY` (RFC 5958), `RSA PRIVATE KEY` (RFC 8017 §A.1.2) or
    /// `EC PRIVATE KEY` (RFC 5915), and the first `CERTIFICATE` around it. Other blocks are passed over.
    ///
    /// # Errors
    /// What is wrong with the file, for the operator; nothing of its content.
    pub(crate) fn read(text: &Secret) -> Result<Self, String> {
        let mut found = None;
        let mut certificate = None;
        for block in blocks(text.expose())? {
            let pair = match block.label {
                "PRIVATE KEY" => {
                    let der = der(block.content)?;
                    rsa(KeyPair::from_pkcs8(&der)).or_else(|| {
                        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
                        p256(pair)
                    })
                }
                "RSA PRIVATE KEY" => rsa(KeyPair::from_der(&der(block.content)?)),
                "EC PRIVATE KEY" => p256(EcdsaKeyPair::from_private_key_der(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &der(block.content)?,
                )),
                "CERTIFICATE" => {
                    let der = der(block.content)?.to_vec();
                    certificate.get_or_insert(der);
                    continue;
                }
                "ENCRYPTED PRIVATE KEY" => return Err("the key is encrypted".to_owned()),
                _ => continue,
            };
            let pair = pair.ok_or("it holds no RSA key of 2048 bits or more, nor one on P-256")?;
            if found.replace(pair).is_some() {
                return Err("the file holds several keys".to_owned());
            }
        }
        let pair = found.ok_or("the file holds no private key in PEM form")?;
        let key = Self {
            pair,
            certificate: None,
        };
        match certificate {
            None => Ok(key),
            Some(certificate) => key.certified_by(certificate),
        }
    }

    /// The key with the first certificate of a PEM file of its own.
    ///
    /// # Errors
    /// When there is none in it, or it is that of another key.
    pub(crate) fn with_certificate(self, text: &str) -> Result<Self, String> {
        let mut blocks = blocks(text)?.into_iter();
        let certificate = blocks.find(|block| block.label == "CERTIFICATE");
        let certificate = certificate.ok_or("the file holds no certificate in PEM form")?;
        self.certified_by(der(certificate.content)?.to_vec())
    }

    /// A certificate holds its public key as it stands; one of another key would only be refused by
    /// everybody who gets our assertions.
    fn certified_by(self, certificate: Vec<u8>) -> Result<Self, String> {
        let public = self.public();
        if !certificate.windows(public.len()).any(|part| part == public) {
            return Err("the certificate is not that of the key".to_owned());
        }
        Ok(Self {
            certificate: Some(certificate),
            ..self
        })
    }

    fn public(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::P256(pair) => pair.public_key().as_ref(),
        }
    }

    /// The key's own certificate in standard base64, as `x5c` wants it (RFC 7515 §4.1.6).
    pub(crate) fn certificate(&self) -> Option<String> {
        self.certificate.as_ref().map(|der| STANDARD.encode(der))
    }

    /// What it signs: RS256 or ES256 (RFC 7518 §3.3, §3.4).
    pub(crate) const fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        }
    }

    /// The signature of a message, as a JWS has it. Takes about a millisecond.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
            }
            Pair::P256(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
        }
        .map_err(|_unspecified| "the assertion cannot be signed".to_owned())
    }

    /// The thumbprint of the public key (RFC 7638), a name that fits every key.
    pub(crate) fn thumbprint(&self) -> String {
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                thumbprint(
                    public.modulus().big_endian_without_leading_zero(),
                    public.exponent().big_endian_without_leading_zero(),
                )
            }
            Pair::P256(pair) => p256_thumbprint(pair.public_key().as_ref()),
        }
    }
}

fn rsa<E>(pair: Result<KeyPair, E>) -> Option<Pair> {
    pair.ok().map(|pair| Pair::Rsa(Box::new(pair)))
}

fn p256<E>(pair: Result<EcdsaKeyPair, E>) -> Option<Pair> {
    pair.ok().map(|pair| Pair::P256(Box::new(pair)))
}

/// The blocks of a PEM file (RFC 7468), whatever stands between them.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    if text.len() > PEM_BYTES_MAX {
        return Err(format!("the file is larger than {PEM_BYTES_MAX} bytes"));
    }
    let mut rest = text;
    let mut blocks = Vec::new();
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let cut = "a block of the file is cut off";
        let (label, body) = begun.split_once("-----").ok_or(cut)?;
        let end = format!("-----END {label}-----");
        let (content, after) = body.split_once(&end).ok_or(cut)?;
        rest = after;
        blocks.push(Block { label, content });
    }
    Ok(blocks)
}

/// The SHA-256 thumbprint of an RSA key (RFC 7638 §3).
fn thumbprint(modulus: &[u8], exponent: &[u8]) -> String {
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    let members = format!(
        r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
        encode(exponent),
        encode(modulus)
    );
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

/// The SHA-256 thumbprint of a P-256 key (RFC 7638 §3.2), from its uncompressed point.
fn p256_thumbprint(point: &[u8]) -> String {
    let coordinates = point.strip_prefix(&[4]).unwrap_or_default();
    let (x, y) = coordinates.split_at_checked(P256_BYTES).unwrap_or_default();
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    let members = format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
        encode(x),
        encode(y)
    );
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

fn der(content: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    if content.contains("ENCRYPTED") {
        return Err("the key is encrypted".to_owned());
    }
    let plain = |c: &char| !c.is_ascii_whitespace();
    let digits: Zeroizing<String> = Zeroizing::new(content.chars().filter(plain).collect());
    STANDARD
        .decode(digits.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_not_base64| "a block of the file is no base64".to_owned())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey,
    };

    use super::*;

    /// A new key as PEM, and its public half.
    fn new_key() -> (String, Vec<u8>) {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS #8");
        (
            block("PRIVATE KEY", der.as_ref()),
            pair.public_key().as_ref().to_vec(),
        )
    }

    fn block(label: &str, der: &[u8]) -> String {
        let digits = STANDARD.encode(der);
        let lines = digits.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let lines: Vec<_> = lines.collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    }

    fn read(text: &str) -> Result<ClientKey, String> {
        ClientKey::read(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_key_signs_what_its_public_half_verifies() {
        let (pem, public) = new_key();
        let certificate = [b"before".as_slice(), &public, b"after"].concat();
        let chain = block("CERTIFICATE", &certificate) + &block("CERTIFICATE", b"issuer");
        let text = format!("subject=/CN=x\n{chain}{pem}");
        let key = read(&text.replace('\n', "\r\n")).expect("a key");
        assert_eq!(key.algorithm(), "RS256");
        assert_eq!(key.certificate(), Some(STANDARD.encode(&certificate)));
        let beside = read(&pem).expect("a key").with_certificate(&chain);
        assert_eq!(beside.expect("certified").certificate(), key.certificate());
        let signature = key.sign(b"message").expect("a signature");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"massage", &signature).is_err());
        assert_eq!(key.thumbprint().len(), 43);
        assert_eq!(key.thumbprint(), read(&pem).expect("a key").thumbprint());
    }

    /// The example of RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let modulus = URL_SAFE_NO_PAD.decode(modulus).expect("base64");
        assert_eq!(
            thumbprint(&modulus, &[1, 0, 1]),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn files_without_one_plain_rsa_key_are_refused_and_not_shown() {
        let (pem, _) = new_key();
        let (other, _) = new_key();
        let short = block("PRIVATE KEY", b"short");
        let cut = pem
            .split("-----END")
            .next()
            .expect("a beginning")
            .to_owned();
        for (text, reason) in [
            ("", "no private key"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
                "no private key",
            ),
            (&short, "no RSA key"),
            (
                &format!("{}{pem}", block("CERTIFICATE", b"of another key")),
                "not that of the key",
            ),
            (&format!("{pem}{other}"), "several keys"),
            (&cut, "cut off"),
            (
                &pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
                "encrypted",
            ),
            (&pem.replace("PRIVATE KEY", "EC PRIVATE KEY"), "no RSA key"),
            (&pem.replace("MII", "M!I"), "no base64"),
            (&"x".repeat(PEM_BYTES_MAX + 1), "larger than"),
        ] {
            let told = read(text).err().expect("refused");
            assert!(told.contains(reason), "{told}");
            assert!(!told.contains("MII"), "{told}");
        }
    }

    #[test]
    fn a_key_on_p256_signs_es256() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let pkcs8 = pair.to_pkcs8v1().expect("PKCS #8");
        let public = pair.public_key().as_ref().to_vec();
        let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().expect("SEC 1");
        for pem in [
            block("PRIVATE KEY", pkcs8.as_ref()),
            block("EC PRIVATE KEY", sec1.as_ref()),
        ] {
            let key = read(&pem).expect("a key");
            assert_eq!(key.algorithm(), "ES256");
            let signature = key.sign(b"message").expect("a signature");
            assert_eq!(signature.len(), 64);
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public);
            assert!(public.verify(b"message", &signature).is_ok());
            assert_eq!(key.thumbprint().len(), 43);
        }
        let other = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key");
        let other = block("PRIVATE KEY", other.to_pkcs8v1().expect("PKCS #8").as_ref());
        assert!(read(&other).is_err());
    }

    /// The point is that of RFC 7515 §A.3; the thumbprint was made with another program.
    #[test]
    fn the_thumbprint_of_a_point_is_over_its_members_in_order() {
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64");
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        let point = [vec![4], part(x), part(y)].concat();
        assert_eq!(
            p256_thumbprint(&point),
            "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
        );
    }

    #[test]
    fn a_certificate_file_without_a_certificate_is_refused() {
        let (pem, _) = new_key();
        for text in [
            "",
            "certificate",
            &pem,
            &block("CERTIFICATE", b"of another key"),
        ] {
            assert!(read(&pem).expect("a key").with_certificate(text).is_err());
        }
    }
}
