//! Published keys: a [`PublicKey`] as JWK (RFC 7517, RFC 7518 §6.2), and key sets read again.
//!
//! Every key we publish has `kty` and its numbers (`crv`, `x`, `y`, or `n`, `e`), `use` `sig`, `alg` and
//! `kid`; one with a certificate has `x5c` and `x5t#S256` too. Two further members say when it signs, in whole seconds since 1970 (`NumericDate`, RFC 7519 §2): `nbf`, since
//! when, and `exp`, until when. They have the meaning of the historical keys of `OpenID` Federation
//! 1.0 (§8.7); readers that do not know them pass them over (RFC 7517 §4).

use dan_json::digest::sha256;
use dan_json::strict::json_object;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::{VerifyError, quoted};
use crate::jws::x5c;
use crate::public_key::{Algorithm, COORDINATE_BYTES, PublicKey};

/// Largest key set that is read, in bytes. Most of it can only be certificates.
pub const KEY_SET_BYTES_MAX: usize = 1024 * 1024;
/// How many keys a set may have.
pub const KEYS_MAX: usize = 64;
/// Longest name of a key, in bytes.
pub const KID_BYTES_MAX: usize = 128;

/// Since when and until when a key signs, in whole seconds since 1970; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// `nbf`.
    pub signs_from: Option<i64>,
    /// `exp`.
    pub retired_at: Option<i64>,
}

/// A key of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Checks signatures.
    pub key: PublicKey,
    /// When it signed.
    pub validity: Validity,
}

/// The keys of a key set that can check ES256 or RS256 signatures, by `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(BTreeMap<String, PublishedKey>);

/// One key as the text of a JWK.
#[must_use]
pub fn to_json(kid: &str, published: &PublishedKey) -> String {
    to_json_certified(kid, published, &[])
}

/// The same with the certificates of the key in DER, its own first (RFC 7517 §4.7, §4.9). Without
/// certificates there are no such members.
#[must_use]
pub fn to_json_certified(kid: &str, published: &PublishedKey, certificates: &[Vec<u8>]) -> String {
    let mut jwk = numbers(&published.key);
    let mut insert = |name: &str, value: Value| jwk.insert(name.to_owned(), value);
    insert("use", Value::from("sig"));
    insert("alg", Value::from(published.key.algorithm().name()));
    insert("kid", Value::from(kid));
    let Validity {
        signs_from,
        retired_at,
    } = published.validity;
    for (name, moment) in [("nbf", signs_from), ("exp", retired_at)] {
        if let Some(moment) = moment {
            insert(name, Value::from(moment));
        }
    }
    if let Some(own) = certificates.first() {
        insert("x5c", x5c(certificates));
        insert("x5t#S256", Value::from(URL_SAFE_NO_PAD.encode(sha256(own))));
    }
    Value::Object(jwk).to_string()
}

/// The members that are the key itself.
fn numbers(key: &PublicKey) -> Map<String, Value> {
    let members = match key.rsa() {
        Some((n, e)) => json!({
            "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e),
        }),
        None => {
            let (x, y) = key.coordinates_text().unwrap_or_default();
            json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
        }
    };
    match members {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

impl KeySet {
    /// Reads a JWK Set of at most [`KEY_SET_BYTES_MAX`] bytes and [`KEYS_MAX`] keys.
    ///
    /// Keys that are not for ES256 or RS256 signatures, or have no `kid`, are passed over (RFC 7517 §5).
    ///
    /// # Errors
    /// [`VerifyError::KeySet`] when it is no key set, names a key twice, holds a private key, or a
    /// key in it is no point of P-256, no RSA key of 2048 to 8192 bits, or has a validity that cannot
    /// be read.
    pub fn parse(text: &str) -> Result<Self, VerifyError> {
        Self::read(text).map_err(VerifyError::KeySet)
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(format!("it is larger than {KEY_SET_BYTES_MAX} bytes"));
        }
        let set = json_object(text.as_bytes())?;
        let Some(Value::Array(listed)) = set.get("keys") else {
            return Err("it has no list `keys`".to_owned());
        };
        if listed.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
        let mut keys = BTreeMap::new();
        for jwk in listed {
            let Value::Object(jwk) = jwk else {
                return Err("a key in it is no object".to_owned());
            };
            let Some((kid, algorithm)) = kid_for_signatures(jwk) else {
                continue;
            };
            let published = published_key(jwk, algorithm)
                .map_err(|why| format!("key {}: {why}", quoted(kid)))?;
            if keys.insert(kid.to_owned(), published).is_some() {
                return Err(format!("key {} is in it twice", quoted(kid)));
            }
        }
        Ok(Self(keys))
    }

    /// The key with this name.
    ///
    /// # Errors
    /// [`VerifyError::UnknownKid`].
    pub fn get(&self, kid: &str) -> Result<&PublishedKey, VerifyError> {
        self.0.get(kid).ok_or_else(|| VerifyError::UnknownKid {
            kid: kid.to_owned(),
        })
    }

    /// How many keys can check signatures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when no key can.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name of a key for ES256 or RS256 signatures, and which; `None` for every other key.
fn kid_for_signatures(jwk: &Map<String, Value>) -> Option<(&str, Algorithm)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let absent_or =
        |name: &str, wanted: &str| !jwk.contains_key(name) || text(name) == Some(wanted);
    let may_verify = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations
            .as_array()
            .is_some_and(|listed| listed.iter().any(|one| one.as_str() == Some("verify"))),
    };
    let algorithm = match (text("kty")?, text("crv")) {
        ("EC", Some("P-256")) => Algorithm::Es256,
        ("RSA", _) => Algorithm::Rs256,
        _ => return None,
    };
    let fits = absent_or("use", "sig") && absent_or("alg", algorithm.name()) && may_verify;
    Some((text("kid").filter(|_| fits)?, algorithm))
}

fn published_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Result<PublishedKey, String> {
    // A signature of a key that everybody has proves nothing.
    if ["d", "p", "q"].iter().any(|part| jwk.contains_key(*part)) {
        return Err("its private half is in the key set".to_owned());
    }
    let key = match algorithm {
        Algorithm::Es256 => coordinate(jwk, "x")
            .zip(coordinate(jwk, "y"))
            .and_then(|(x, y)| PublicKey::from_coordinates(&x, &y))
            .ok_or("`x` and `y` are no point of P-256")?,
        Algorithm::Rs256 => bytes(jwk, "n")
            .zip(bytes(jwk, "e"))
            .and_then(|(n, e)| PublicKey::from_rsa(&n, &e))
            .ok_or("`n` and `e` are no RSA key of 2048 to 8192 bits")?,
    };
    let validity = Validity {
        signs_from: moment(jwk, "nbf")?,
        retired_at: moment(jwk, "exp")?,
    };
    Ok(PublishedKey { key, validity })
}

fn coordinate(jwk: &Map<String, Value>, name: &str) -> Option<[u8; COORDINATE_BYTES]> {
    bytes(jwk, name)?.try_into().ok()
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let text = jwk.get(name)?.as_str()?;
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn moment(jwk: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    jwk.get(name)
        .map(|value| {
            value
                .as_i64()
                .ok_or_else(|| format!("`{name}` is not a whole number of seconds"))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    fn published(seed: u8) -> PublishedKey {
        PublishedKey {
            key: key(seed).public().clone(),
            validity: Validity::default(),
        }
    }

    fn set(keys: &[String]) -> String {
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut jwk: Map<String, Value> =
            serde_json::from_str(&to_json("k", &published(1))).unwrap();
        change(&mut jwk);
        set(&[Value::Object(jwk).to_string()])
    }

    #[test]
    fn a_key_survives_its_publication() {
        let mut retired = published(2);
        retired.validity = Validity {
            signs_from: Some(-5),
            retired_at: Some(1_800_000_000),
        };
        let text = set(&[to_json("a\"b", &published(1)), to_json("old", &retired)]);
        let read = KeySet::parse(&text).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read.get("a\"b").unwrap(), &published(1));
        assert_eq!(read.get("old").unwrap(), &retired);
        assert!(matches!(read.get("x"), Err(VerifyError::UnknownKid { .. })));
    }

    #[test]
    fn a_published_key_has_exactly_these_members() {
        let jwk: Map<String, Value> = serde_json::from_str(&to_json("k", &published(1))).unwrap();
        let names: Vec<&str> = jwk.keys().map(String::as_str).collect();
        assert_eq!(names, ["kty", "crv", "x", "y", "use", "alg", "kid"]);
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["alg"], "ES256");
        let (x, y) = key(1).public().coordinates_text().unwrap();
        assert_eq!((x.len(), y.len()), (43, 43));
    }

    #[test]
    fn an_rsa_key_survives_its_publication_with_its_certificate() {
        let mut modulus = vec![0xa5; 256];
        modulus[0] = 0x80;
        let key = PublicKey::from_rsa(&modulus, &[1, 0, 1]).unwrap();
        let validity = Validity::default();
        let published = PublishedKey { key, validity };
        let text = to_json_certified("r", &published, &[b"leaf".to_vec(), b"ca".to_vec()]);
        let jwk: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&jwk["kty"], &jwk["alg"]), (&json!("RSA"), &json!("RS256")));
        assert_eq!(jwk["e"], "AQAB");
        assert_eq!(jwk["x5c"], json!(["bGVhZg==", "Y2E="]));
        assert_eq!(jwk["x5t#S256"].as_str().unwrap().len(), 43);
        let read = KeySet::parse(&set(&[text])).unwrap();
        assert_eq!(read.get("r").unwrap(), &published);
    }

    #[test]
    fn keys_for_something_else_are_passed_over() {
        for (name, value) in [
            ("kty", json!("oct")),
            ("crv", json!("P-384")),
            ("use", json!("enc")),
            ("use", Value::Null),
            ("alg", json!("ES384")),
            ("alg", json!(["ES256"])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("kid", json!(7)),
        ] {
            let text = changed(|jwk| {
                jwk.insert(name.to_owned(), value.clone());
            });
            assert!(KeySet::parse(&text).unwrap().is_empty(), "{name} {value}");
        }
        let bare = changed(|jwk| {
            jwk.remove("use");
            jwk.remove("alg");
            jwk.insert("key_ops".to_owned(), json!(["verify"]));
            jwk.insert("x5t".to_owned(), json!("unknown members do not matter"));
        });
        assert_eq!(KeySet::parse(&bare).unwrap().len(), 1);
    }

    #[test]
    fn sets_that_cannot_be_trusted_are_refused() {
        let with = |name: &str, value: Value| {
            changed(|jwk| {
                jwk.insert(name.to_owned(), value);
            })
        };
        let one = to_json("k", &published(1));
        let other = to_json("k", &published(2));
        let many: Vec<String> = (0..=KEYS_MAX)
            .map(|n| to_json(&n.to_string(), &published(1)))
            .collect();
        for (text, why) in [
            (String::new(), "empty"),
            ("[]".to_owned(), "a list"),
            ("{}".to_owned(), "no keys"),
            ("{\"keys\":{}}".to_owned(), "keys is an object"),
            ("{\"keys\":[1]}".to_owned(), "a key is a number"),
            ("{\"keys\":[],\"keys\":[]}".to_owned(), "keys twice"),
            (set(&[one.clone(), other]), "two keys of one name"),
            (set(&many), "too many keys"),
            (set(&[one]) + &" ".repeat(KEY_SET_BYTES_MAX), "too large"),
            (with("d", json!("AA")), "a private key"),
            (
                with("kty", json!("RSA")).replace("ES256", "RS256"),
                "RSA without numbers",
            ),
            (with("x", json!("AA")), "a short coordinate"),
            (with("y", json!("A".repeat(43))), "not on the curve"),
            (with("x", Value::Null), "no coordinate"),
            (with("exp", json!("2026")), "exp as text"),
            (with("exp", json!(1.5)), "exp with a fraction"),
            (with("nbf", Value::Null), "nbf is null"),
        ] {
            let outcome = KeySet::parse(&text);
            assert!(matches!(outcome, Err(VerifyError::KeySet(_))), "{why}");
        }
    }
}
