//! Published keys: a [`PublicKey`] as JWK (RFC 7517, RFC 7518 §6.2), and key sets read again.
//!
//! Every key we publish has `kty`, `crv`, `x`, `y`, `use` `sig`, `alg` ES256 and `kid`. Two further
//! members say when it signs, in whole seconds since 1970 (`NumericDate`, RFC 7519 §2): `nbf`, since
//! when, and `exp`, until when. They have the meaning of the historical keys of `OpenID` Federation
//! 1.0 (§8.7); readers that do not know them pass them over (RFC 7517 §4).

use dan_json::strict::json_object;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::{VerifyError, quoted};
use crate::jws::ALGORITHM;
use crate::public_key::{COORDINATE_BYTES, PublicKey};

/// Largest key set that is read, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Checks signatures.
    pub key: PublicKey,
    /// When it signed.
    pub validity: Validity,
}

/// The keys of a key set that can check ES256 signatures, by `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(BTreeMap<String, PublishedKey>);

/// One key as the text of a JWK.
#[must_use]
pub fn to_json(kid: &str, published: &PublishedKey) -> String {
    let (x, y) = published.key.coordinates_text();
    let mut jwk = json!({
        "kty": "EC", "crv": "P-256", "x": x, "y": y,
        "use": "sig", "alg": ALGORITHM, "kid": kid,
    });
    let Validity {
        signs_from,
        retired_at,
    } = published.validity;
    if let Value::Object(members) = &mut jwk {
        for (name, moment) in [("nbf", signs_from), ("exp", retired_at)] {
            if let Some(moment) = moment {
                members.insert(name.to_owned(), Value::from(moment));
            }
        }
    }
    jwk.to_string()
}

impl KeySet {
    /// Reads a JWK Set of at most [`KEY_SET_BYTES_MAX`] bytes and [`KEYS_MAX`] keys.
    ///
    /// Keys that are not for ES256 signatures, or have no `kid`, are passed over (RFC 7517 §5).
    ///
    /// # Errors
    /// [`VerifyError::KeySet`] when it is no key set, names a key twice, holds a private key, or a
    /// P-256 key in it is no point of the curve or has a validity that cannot be read.
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
            let Some(kid) = es256_kid(jwk) else {
                continue;
            };
            let published =
                published_key(jwk).map_err(|why| format!("key {}: {why}", quoted(kid)))?;
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

    /// How many keys can check ES256 signatures.
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

/// The name of a P-256 key for signatures; `None` for every other key.
fn es256_kid(jwk: &Map<String, Value>) -> Option<&str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let absent_or =
        |name: &str, wanted: &str| !jwk.contains_key(name) || text(name) == Some(wanted);
    let may_verify = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations
            .as_array()
            .is_some_and(|listed| listed.iter().any(|one| one.as_str() == Some("verify"))),
    };
    let fits = text("kty") == Some("EC")
        && text("crv") == Some("P-256")
        && absent_or("use", "sig")
        && absent_or("alg", ALGORITHM)
        && may_verify;
    text("kid").filter(|_| fits)
}

fn published_key(jwk: &Map<String, Value>) -> Result<PublishedKey, String> {
    // A signature of a key that everybody has proves nothing.
    if jwk.contains_key("d") {
        return Err("its private half is in the key set".to_owned());
    }
    let key = coordinate(jwk, "x")
        .zip(coordinate(jwk, "y"))
        .and_then(|(x, y)| PublicKey::from_coordinates(&x, &y))
        .ok_or("`x` and `y` are no point of P-256")?;
    let validity = Validity {
        signs_from: moment(jwk, "nbf")?,
        retired_at: moment(jwk, "exp")?,
    };
    Ok(PublishedKey { key, validity })
}

fn coordinate(jwk: &Map<String, Value>, name: &str) -> Option<[u8; COORDINATE_BYTES]> {
    let text = jwk.get(name)?.as_str()?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
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
            key: *key(seed).public(),
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
        let (x, y) = key(1).public().coordinates_text();
        assert_eq!((x.len(), y.len()), (43, 43));
    }

    #[test]
    fn keys_for_something_else_are_passed_over() {
        for (name, value) in [
            ("kty", json!("RSA")),
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
