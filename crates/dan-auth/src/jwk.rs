//! Public keys of issuers: JWK and JWK Set (RFC 7517, RFC 7518 §6), RSA and P-256 only (pure).
//!
//! A key that we cannot use (another type, weak, meant for something else) is left out of its set,
//! as RFC 7517 §5 asks; a set that is not well formed or too large is refused as a whole.

use std::fmt;

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use dan_core::strict;

/// Largest key set document, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 64 * 1024;
/// Most keys a set may list, also such that we cannot use.
pub const KEYS_MAX: usize = 64;
/// Longest key identifier, in bytes.
pub const KID_BYTES_MAX: usize = 256;
/// Smallest RSA modulus, in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// Largest RSA modulus, in bits: checking a larger one costs too much.
pub const RSA_BITS_MAX: usize = 8192;
/// Longest RSA exponent, in bytes.
const RSA_EXPONENT_BYTES_MAX: usize = 4;
/// Smallest RSA exponent taken: 1 signs nothing, 3 has a history of forgeries.
const RSA_EXPONENT_MIN: u32 = 5;
/// Bytes of a P-256 coordinate.
const P256_BYTES: usize = 32;

/// Signature algorithms that tokens may use; nothing else exists for us (RFC 8725 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what Maskinporten uses.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// By its registered name, exact in case (RFC 7518 §3.1); `None` for every other one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "RS512" => Some(Self::Rs512),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// Why a key or a set cannot be used. For the log; holds no part of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwkError(pub &'static str);

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

enum PublicKey {
    Rsa(Box<RsaKey>),
    P256(Box<VerifyingKey>),
}

/// One RSA key, read once and ready for each of its three algorithms.
struct RsaKey {
    sha256: ParsedPublicKey,
    sha384: ParsedPublicKey,
    sha512: ParsedPublicKey,
}

impl RsaKey {
    const fn for_algorithm(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        match algorithm {
            Algorithm::Rs256 => Some(&self.sha256),
            Algorithm::Rs384 => Some(&self.sha384),
            Algorithm::Rs512 => Some(&self.sha512),
            Algorithm::Es256 => None,
        }
    }
}

/// One public key that may check signatures.
pub struct Jwk {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

/// Shows the key's identifier only.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwk({:?})", self.kid)
    }
}

impl Jwk {
    /// Reads one key. `x5c`, `x5u` and other members are ignored: the set itself is what we trust.
    ///
    /// # Errors
    /// [`JwkError`] for a type other than RSA and P-256, a key for something else than checking
    /// signatures (`use`, `key_ops`, `alg`), a private key, or weak or malformed numbers.
    pub fn from_members(members: &Map<String, Value>) -> Result<Self, JwkError> {
        for_checking(members)?;
        let kid = match members.get("kid") {
            None => None,
            Some(kid) => Some(
                kid.as_str()
                    .filter(|kid| kid.len() <= KID_BYTES_MAX)
                    .ok_or(JwkError("kid is no short text"))?
                    .to_owned(),
            ),
        };
        let algorithm = match members.get("alg") {
            None => None,
            Some(name) => Some(
                name.as_str()
                    .and_then(Algorithm::parse)
                    .ok_or(JwkError("the key is for another algorithm"))?,
            ),
        };
        let key = match members.get("kty").and_then(Value::as_str) {
            Some("RSA") => rsa(members)?,
            Some("EC") => p256(members)?,
            _ => return Err(JwkError("not an RSA or EC key")),
        };
        let key = Self {
            kid,
            algorithm: None,
            key,
        };
        if algorithm.is_some_and(|algorithm| !key.fits(algorithm)) {
            return Err(JwkError("alg does not go with the key type"));
        }
        Ok(Self { algorithm, ..key })
    }

    /// Whether this key checks signatures of that algorithm: by its type, and its own `alg`.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        let of_type = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                matches!(self.key, PublicKey::Rsa(_))
            }
            Algorithm::Es256 => matches!(self.key, PublicKey::P256(_)),
        };
        of_type && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` is one of `message` by this key. ECDSA: raw `r ‖ s`, 64 bytes
    /// (RFC 7518 §3.4).
    pub(crate) fn checks(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.key {
            PublicKey::Rsa(key) => key
                .for_algorithm(algorithm)
                .is_some_and(|key| key.verify_sig(message, signature).is_ok()),
            PublicKey::P256(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

/// Refuses keys that are published for another use, or should not have been published at all.
fn for_checking(members: &Map<String, Value>) -> Result<(), JwkError> {
    if members.contains_key("d") {
        return Err(JwkError("a private key is published"));
    }
    if members.get("use").is_some_and(|purpose| purpose != "sig") {
        return Err(JwkError("use is not sig"));
    }
    let lists_verify = |operations: &Value| {
        operations
            .as_array()
            .is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    };
    if members.get("key_ops").is_some_and(|ops| !lists_verify(ops)) {
        return Err(JwkError("key_ops do not hold verify"));
    }
    Ok(())
}

fn bytes_of(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or(JwkError("a number of the key is missing or not base64url"))
}

fn rsa(members: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    let (n, e) = (bytes_of(members, "n")?, bytes_of(members, "e")?);
    let (Some(first), Some(last)) = (n.first(), n.last()) else {
        return Err(JwkError("the RSA modulus is empty"));
    };
    let unused = usize::try_from(first.leading_zeros()).unwrap_or(usize::MAX);
    let bits = n.len().saturating_mul(8).saturating_sub(unused);
    if *first == 0 || !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(JwkError("the RSA modulus is too short or too long"));
    }
    if last % 2 == 0 {
        return Err(JwkError("the RSA modulus is even"));
    }
    if e.len() > RSA_EXPONENT_BYTES_MAX || e.first().is_none_or(|byte| *byte == 0) {
        return Err(JwkError("the RSA exponent is malformed"));
    }
    let exponent = e
        .iter()
        .fold(0_u32, |sum, byte| sum.wrapping_shl(8) | u32::from(*byte));
    if exponent < RSA_EXPONENT_MIN || exponent % 2 == 0 {
        return Err(JwkError("the RSA exponent is weak"));
    }
    let components = RsaPublicKeyComponents { n, e };
    let parsed = |parameters| {
        components
            .to_parsed_public_key(parameters)
            .map_err(|_rejected| JwkError("the RSA key cannot be used"))
    };
    Ok(PublicKey::Rsa(Box::new(RsaKey {
        sha256: parsed(&RSA_PKCS1_2048_8192_SHA256)?,
        sha384: parsed(&RSA_PKCS1_2048_8192_SHA384)?,
        sha512: parsed(&RSA_PKCS1_2048_8192_SHA512)?,
    })))
}

fn p256(members: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    if members.get("crv").is_none_or(|curve| curve != "P-256") {
        return Err(JwkError("not on P-256"));
    }
    let (x, y) = (bytes_of(members, "x")?, bytes_of(members, "y")?);
    if x.len() != P256_BYTES || y.len() != P256_BYTES {
        return Err(JwkError("a P-256 coordinate is not 32 bytes"));
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let key = VerifyingKey::from_sec1_bytes(&point)
        .ok()
        .ok_or(JwkError("the point is not on the curve"))?;
    Ok(PublicKey::P256(Box::new(key)))
}

/// The usable keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Jwk>,
    /// SHA-256 of the document.
    digest: [u8; 32],
}

/// What a set says to a token that looks for its key.
pub(crate) enum Choice<'a> {
    /// This one.
    Key(&'a Jwk),
    /// No key has this `kid`; a newer set may.
    Unknown,
    /// The keys there are do not go with the token.
    Unfit,
    /// More than one would do.
    Ambiguous,
}

impl KeySet {
    /// Reads a JWK Set of at most [`KEY_SET_BYTES_MAX`] bytes and [`KEYS_MAX`] keys. Keys that
    /// cannot be used are left out; none may be left.
    ///
    /// # Errors
    /// [`JwkError`] when it is no such document: too large, not JSON, a repeated member, no array
    /// `keys` of objects.
    pub fn parse(document: &[u8]) -> Result<Self, JwkError> {
        if document.len() > KEY_SET_BYTES_MAX {
            return Err(JwkError("the key set is too large"));
        }
        let members = strict::json_object(document)
            .ok()
            .ok_or(JwkError("the key set is no strict JSON object"))?;
        let listed = members
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(JwkError("the key set has no array keys"))?;
        if listed.len() > KEYS_MAX {
            return Err(JwkError("the key set lists too many keys"));
        }
        let mut keys = Vec::with_capacity(listed.len());
        for entry in listed {
            let members = entry
                .as_object()
                .ok_or(JwkError("a key of the set is no object"))?;
            keys.extend(Jwk::from_members(members));
        }
        Ok(Self {
            keys,
            digest: Sha256::digest(document).into(),
        })
    }

    /// Whether both were read from the same bytes.
    pub(crate) fn is_same_document(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Number of usable keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when no key can be used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key for a token: by `kid`; without one, the only key that goes with the algorithm.
    pub(crate) fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Choice<'_> {
        let mut named = self
            .keys
            .iter()
            .filter(|key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)))
            .peekable();
        if kid.is_some() && named.peek().is_none() {
            return Choice::Unknown;
        }
        let mut fitting = named.filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Choice::Key(key),
            (Some(_), Some(_)) => Choice::Ambiguous,
            (None, _) => Choice::Unfit,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn refused(key: &Value) -> Option<&'static str> {
        Jwk::from_members(key.as_object().unwrap())
            .err()
            .map(|error| error.0)
    }

    fn rsa_key(bits: usize, exponent: &[u8]) -> Value {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] = 0xff >> (n.len().saturating_mul(8).saturating_sub(bits));
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(exponent)})
    }

    fn ec_key() -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn rsa_keys_have_2048_to_8192_bits_and_a_sound_exponent() {
        let usual = [1, 0, 1];
        for bits in [2048, 3072, 4096, 8192] {
            assert_eq!(refused(&rsa_key(bits, &usual)), None, "{bits}");
        }
        for bits in [1024, 2047, 8193, 16_384] {
            assert!(refused(&rsa_key(bits, &usual)).is_some(), "{bits}");
        }
        for weak in [
            &[] as &[u8],
            &[1],
            &[2],
            &[3],
            &[0, 1, 0, 1],
            &[1, 0, 0],
            &[1; 5],
        ] {
            assert!(refused(&rsa_key(2048, weak)).is_some(), "{weak:?}");
        }
        let padded = [&[0_u8], vec![0xff_u8; 256].as_slice()].concat();
        let key = with(
            rsa_key(2048, &usual),
            "n",
            URL_SAFE_NO_PAD.encode(padded).into(),
        );
        assert!(refused(&key).is_some());
        let key = with(
            rsa_key(2048, &usual),
            "n",
            URL_SAFE_NO_PAD.encode([0xfe; 256]).into(),
        );
        assert!(refused(&key).is_some());
    }

    #[test]
    fn a_point_lies_on_p256() {
        assert_eq!(refused(&ec_key()), None);
        for (name, value) in [
            ("crv", json!("P-384")),
            ("crv", json!(null)),
            ("x", json!(Y)),
            ("x", json!(format!("{X}="))),
            ("x", json!("AA")),
            ("y", json!(URL_SAFE_NO_PAD.encode([0; 32]))),
            ("y", json!(7)),
        ] {
            assert!(
                refused(&with(ec_key(), name, value.clone())).is_some(),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn a_key_says_what_it_is_for() {
        for (name, value) in [
            ("use", json!("sig")),
            ("key_ops", json!(["verify"])),
            ("alg", json!("ES256")),
            ("x5c", json!(["junk"])),
        ] {
            assert_eq!(refused(&with(ec_key(), name, value)), None, "{name}");
        }
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!(["sig"])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("alg", json!("RS256")),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("kty", json!("oct")),
            ("kty", json!("OKP")),
            ("kid", json!(["a"])),
            ("kid", json!("k".repeat(KID_BYTES_MAX.saturating_add(1)))),
            ("d", json!(X)),
        ] {
            assert!(
                refused(&with(ec_key(), name, value.clone())).is_some(),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn a_set_keeps_what_it_can_use_and_has_limits() {
        let set = |keys: &Value| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes());
        let mixed = json!([ec_key(), {"kty": "oct", "k": "AAAA"}, rsa_key(1024, &[1, 0, 1])]);
        assert_eq!(set(&mixed).unwrap().len(), 1);
        assert!(set(&json!([])).unwrap().is_empty());
        assert_eq!(
            set(&json!(vec![ec_key(); KEYS_MAX])).unwrap().len(),
            KEYS_MAX
        );
        assert!(set(&json!(vec![ec_key(); KEYS_MAX.saturating_add(1)])).is_err());
        assert!(set(&json!(vec![json!({}); 10_000])).is_err());
        assert!(set(&json!(["x"])).is_err());
        assert!(set(&json!({})).is_err());
        for text in ["", "<html>", "[]", "{}", r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        let spaces = " ".repeat(KEY_SET_BYTES_MAX);
        assert!(KeySet::parse(format!("{{\"keys\":[]{spaces}}}").as_bytes()).is_err());
    }
}
