//! [`RsaKey`]: the key that our assertions are signed with, from a PEM file.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dan_core::secret::Secret;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Longest key file, in bytes.
const PEM_BYTES_MAX: usize = 64 * 1024;
/// Most certificates of one file.
const CERTIFICATES_MAX: usize = 8;

/// A private RSA key of at least 2048 bits, and the certificates that came with it.
pub(crate) struct RsaKey {
    pair: KeyPair,
    /// Base64 of the DER, the key's own first.
    certificates: Vec<String>,
}

impl RsaKey {
    /// Reads the one key in `text`: `PRIVATE KEY` (RFC 5958) or `RSA PRIVATE KEY` (RFC 8017 §A.1.2),
    /// and the `CERTIFICATE`s around it. Other blocks are passed over.
    ///
    /// # Errors
    /// What is wrong with the file, for the operator; nothing of its content.
    pub(crate) fn read(text: &Secret) -> Result<Self, String> {
        let mut rest = text.expose();
        if rest.len() > PEM_BYTES_MAX {
            return Err(format!("the file is larger than {PEM_BYTES_MAX} bytes"));
        }
        let mut found = None;
        let mut certificates = Vec::new();
        while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
            let cut = "a block of the file is cut off";
            let (label, body) = begun.split_once("-----").ok_or(cut)?;
            let end = format!("-----END {label}-----");
            let (content, after) = body.split_once(&end).ok_or(cut)?;
            rest = after;
            let pair = match label {
                "PRIVATE KEY" => KeyPair::from_pkcs8(&der(content)?),
                "RSA PRIVATE KEY" => KeyPair::from_der(&der(content)?),
                "CERTIFICATE" => {
                    certificates.push(STANDARD.encode(der(content)?.as_slice()));
                    continue;
                }
                "ENCRYPTED PRIVATE KEY" => return Err("the key is encrypted".to_owned()),
                _ => continue,
            };
            let pair = pair.map_err(|_rejected| "it holds no RSA key of 2048 bits or more")?;
            if found.replace(pair).is_some() {
                return Err("the file holds several keys".to_owned());
            }
        }
        if certificates.len() > CERTIFICATES_MAX {
            return Err(format!(
                "the file holds more than {CERTIFICATES_MAX} certificates"
            ));
        }
        let pair = found.ok_or("the file holds no private key in PEM form")?;
        Ok(Self { pair, certificates })
    }

    pub(crate) fn certificates(&self) -> &[String] {
        &self.certificates
    }

    /// RS256 (RFC 7518 §3.3) over a message. Takes about a millisecond.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map(|()| signature)
            .map_err(|_unspecified| "the assertion cannot be signed".to_owned())
    }

    /// The thumbprint of the public key, a name that fits every key.
    pub(crate) fn thumbprint(&self) -> String {
        let public = self.pair.public_key();
        thumbprint(
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        )
    }
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
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

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

    fn read(text: &str) -> Result<RsaKey, String> {
        RsaKey::read(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_key_signs_what_its_public_half_verifies() {
        let (pem, public) = new_key();
        let text = format!("subject=/CN=x\n{}{pem}", block("CERTIFICATE", b"der"));
        let key = read(&text.replace('\n', "\r\n")).expect("a key");
        assert_eq!(key.certificates(), [STANDARD.encode(b"der")]);
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
            (&format!("{pem}{other}"), "several keys"),
            (&cut, "cut off"),
            (
                &pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
                "encrypted",
            ),
            (
                &pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
                "no private key",
            ),
            (&pem.replace("MII", "M!I"), "no base64"),
            (&"x".repeat(PEM_BYTES_MAX + 1), "larger than"),
        ] {
            let told = read(text).err().expect("refused");
            assert!(told.contains(reason), "{told}");
            assert!(!told.contains("MII"), "{told}");
        }
    }
}
