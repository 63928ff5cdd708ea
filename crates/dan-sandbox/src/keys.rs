//! The keys of the fake identity provider, their published form, and signatures both honest and not.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::io::Positive;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, UnparsedPublicKey,
};
use aws_lc_rs::{encoding, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An RSA key with what verifiers need of it.
pub(crate) struct RsaKey {
    pair: RsaKeyPair,
    kid: String,
    modulus: String,
    exponent: String,
}

impl RsaKey {
    /// A new 2048-bit key. Takes a tenth of a second of a core.
    ///
    /// # Errors
    /// When the library cannot make one.
    pub(crate) fn generate() -> Result<Self, Unspecified> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let public = pair.public_key();
        let encode =
            |number: Positive<'_>| URL_SAFE_NO_PAD.encode(number.big_endian_without_leading_zero());
        Ok(Self {
            kid: Uuid::new_v4().simple().to_string(),
            modulus: encode(public.modulus()),
            exponent: encode(public.exponent()),
            pair,
        })
    }

    fn sign(
        &self,
        padding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(padding, &random, message, &mut signature)
            .map(|()| signature)
    }

    /// The public key as PEM: what a verifier that confuses RS256 with HS256 takes for the secret (RFC 8725 §2.1).
    fn public_pem(&self) -> Result<String, Unspecified> {
        let der: encoding::PublicKeyX509Der<'_> = self.pair.public_key().as_der()?;
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for (index, symbol) in STANDARD.encode(der.as_ref()).chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                pem.push('\n');
            }
            pem.push(symbol);
        }
        pem.push_str("\n-----END PUBLIC KEY-----\n");
        Ok(pem)
    }
}

/// A P-256 key with what verifiers need of it.
struct EcKey {
    pair: EcdsaKeyPair,
    kid: String,
    x: String,
    y: String,
}

impl EcKey {
    fn generate() -> Result<Self, Unspecified> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        // SEC 1 §2.3.3: an uncompressed point is 0x04, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = point
            .strip_prefix(&[4])
            .and_then(|coordinates| coordinates.split_at_checked(32))
            .ok_or(Unspecified)?;
        Ok(Self {
            kid: Uuid::new_v4().simple().to_string(),
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
            pair,
        })
    }
}

/// Which key a token names and is signed with.
#[derive(Clone, Copy)]
pub(crate) enum Signer<'a> {
    /// The published RSA key.
    Published,
    /// The published P-256 key.
    Ec,
    /// An RSA key nobody can look up.
    Unpublished(&'a RsaKey),
}

/// A pair of keys, one of each kind.
pub(crate) struct Keys {
    rsa: RsaKey,
    ec: EcKey,
}

impl Keys {
    /// New keys.
    ///
    /// # Errors
    /// When the library cannot make them.
    pub(crate) fn generate() -> Result<Self, Unspecified> {
        Ok(Self {
            rsa: RsaKey::generate()?,
            ec: EcKey::generate()?,
        })
    }

    /// Both as JWK (RFC 7517 §4), the RSA key first.
    pub(crate) fn published(&self) -> [Value; 2] {
        [
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.rsa.kid,
                "n": self.rsa.modulus, "e": self.rsa.exponent,
            }),
            json!({
                "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": self.ec.kid,
                "x": self.ec.x, "y": self.ec.y,
            }),
        ]
    }

    /// Identifier of the RSA key.
    pub(crate) fn kid(&self) -> &str {
        &self.rsa.kid
    }

    /// A compact JWS (RFC 7515 §7.1) over `claims`.
    ///
    /// `alg` is written as given; an algorithm that does not exist gets a signature of RS256, `none` in any case of
    /// letters gets none, and HS* is keyed with the public RSA key. Without `alg` the token is honest. Members of
    /// `header` stand in place of the honest ones.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub(crate) fn token(
        &self,
        signer: Signer<'_>,
        alg: Option<&str>,
        header: &Map<String, Value>,
        claims: &Value,
    ) -> Result<String, Unspecified> {
        let (rsa, kid, own_alg) = match signer {
            Signer::Published => (&self.rsa, &self.rsa.kid, "RS256"),
            Signer::Ec => (&self.rsa, &self.ec.kid, "ES256"),
            Signer::Unpublished(key) => (key, &key.kid, "RS256"),
        };
        let alg = alg.unwrap_or(own_alg);
        let honest = [("alg", alg), ("typ", "JWT"), ("kid", kid)];
        let mut members: Map<String, Value> = honest
            .into_iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        members.extend(header.clone());
        let signed = format!("{}.{}", encode(&members.into()), encode(claims));
        let signature = self.sign(rsa, alg, signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of an honest token of these keys; `None` for every other text.
    pub(crate) fn claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let part = |text: &str| -> Option<Value> {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let header = part(header)?;
        let says = |name: &str, text: &str| header.get(name).is_some_and(|value| value == text);
        let named = |alg: &str, kid: &str| says("alg", alg) && says("kid", kid);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let message = signed.as_bytes();
        let verified = if named("RS256", &self.rsa.kid) {
            let key = self.rsa.pair.public_key().as_ref();
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, &signature)
        } else if named("ES256", &self.ec.kid) {
            let key = self.ec.pair.public_key().as_ref();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, &signature)
        } else {
            return None;
        };
        verified.ok()?;
        part(claims)
    }

    fn sign(&self, rsa: &RsaKey, alg: &str, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let padding: &dyn RsaEncoding = match alg {
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            "PS512" => &RSA_PSS_SHA512,
            "ES256" => {
                let signature = self.ec.pair.sign(&SystemRandom::new(), message)?;
                return Ok(signature.as_ref().to_vec());
            }
            "HS256" => return keyed(hmac::HMAC_SHA256, rsa, message),
            "HS384" => return keyed(hmac::HMAC_SHA384, rsa, message),
            "HS512" => return keyed(hmac::HMAC_SHA512, rsa, message),
            none if none.eq_ignore_ascii_case("none") => return Ok(Vec::new()),
            _ => &RSA_PKCS1_SHA256,
        };
        rsa.sign(padding, message)
    }
}

fn keyed(algorithm: hmac::Algorithm, rsa: &RsaKey, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let key = hmac::Key::new(algorithm, rsa.public_pem()?.as_bytes());
    Ok(hmac::sign(&key, message).as_ref().to_vec())
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_honest_tokens_of_these_keys_have_claims() {
        let keys = Keys::generate().unwrap();
        let other = RsaKey::generate().unwrap();
        let claims = json!({ "scope": "a:b" });
        let token =
            |signer: Signer<'_>, alg| keys.token(signer, alg, &Map::new(), &claims).unwrap();
        for good in [token(Signer::Published, None), token(Signer::Ec, None)] {
            assert_eq!(keys.claims(&good), Some(claims.clone()));
            let (rest, signature) = good.rsplit_once('.').unwrap();
            let cut = signature.strip_suffix(|_: char| true).unwrap();
            for bad in [
                rest.to_owned(),
                format!("{rest}."),
                format!("{rest}.{cut}"),
                format!("{rest}x.{signature}"),
                format!("{good}.x"),
                good.replace('.', ""),
            ] {
                assert_eq!(keys.claims(&bad), None, "{bad}");
            }
        }
        for bad in [
            token(Signer::Published, Some("none")),
            token(Signer::Published, Some("HS256")),
            token(Signer::Published, Some("RS999")),
            token(Signer::Unpublished(&other), None),
            String::new(),
        ] {
            assert_eq!(keys.claims(&bad), None, "{bad}");
        }
    }
}
