//! Tokens of a make-believe issuer, good ones and forged ones, and the documents that publish its keys.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dan_tests::consumer::OWNER;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::place::AUDIENCE;

/// The issuer that vouches for callers, as its metadata says.
pub(super) const ISSUER: &str = "https://issuer.example/";
/// One with two keys of the same kind.
pub(super) const TWIN: &str = "https://twin.example/";
/// One that publishes ten thousand keys.
pub(super) const CROWD: &str = "https://crowd.example/";
/// Whose word on delegations is taken.
pub(super) const TRUSTED_SOURCE: &str = "https://altinn.example/delegations";
/// Keys of [`CROWD`].
const CROWD_KEYS: usize = 10_000;
/// Block of SHA-256, in bytes.
const BLOCK: usize = 64;

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A P-256 key; the issuer's is 7.
pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub(super) fn issuer_key() -> SigningKey {
    key(7)
}

pub(super) fn attacker() -> SigningKey {
    key(66)
}

pub(super) fn jwk(key: &SigningKey, kid: &str) -> Value {
    let point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": b64(&point[1..33]), "y": b64(&point[33..])})
}

/// A token over the very bytes given.
pub(super) fn signed(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    key: &SigningKey,
) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", b64(signature.to_bytes()))
}

pub(super) fn header(extra: &str) -> String {
    format!(r#"{{"alg":"ES256","kid":"es"{extra}}}"#)
}

/// Claims that are good in every way.
pub(super) fn claims() -> Map<String, Value> {
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now_s(), "exp": now_s() + 120, "jti": "1",
        "scope": "altinn:dataaltinnno/ebevis", "consumer": party(&format!("0192:{OWNER}")),
    });
    claims.as_object().unwrap().clone()
}

/// An organisation as Maskinporten names it.
pub(super) fn party(id: &str) -> Value {
    json!({"authority": "iso6523-actorid-upis", "ID": id})
}

pub(super) fn payload() -> String {
    Value::Object(claims()).to_string()
}

/// A good token with some claims changed; null takes one away.
pub(super) fn claiming(changes: &[(&str, Value)]) -> String {
    let mut claims = claims();
    for (name, value) in changes {
        if value.is_null() {
            claims.shift_remove(*name);
        } else {
            claims.insert((*name).to_owned(), value.clone());
        }
    }
    signed(header(""), Value::Object(claims).to_string(), &issuer_key())
}

/// A good token.
pub(super) fn good() -> String {
    claiming(&[])
}

/// A good token but for something more in its header.
pub(super) fn heading(extra: &str) -> String {
    signed(header(extra), payload(), &issuer_key())
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = if secret.len() > BLOCK {
        Sha256::digest(secret).to_vec()
    } else {
        secret.to_vec()
    };
    block.resize(BLOCK, 0);
    let padded = |with: u8| {
        block
            .iter()
            .map(move |byte| byte ^ with)
            .collect::<Vec<u8>>()
    };
    let inner = Sha256::digest([padded(0x36).as_slice(), message].concat());
    Sha256::digest([padded(0x5c).as_slice(), &inner[..]].concat()).to_vec()
}

/// A token under HS256 whose secret is something public.
pub(super) fn under_hs256(secret: &[u8], kid: &str, payload: &str) -> String {
    let header = json!({"alg": "HS256", "kid": kid}).to_string();
    let input = format!("{}.{}", b64(header), b64(payload));
    let tag = hmac(secret, input.as_bytes());
    format!("{input}.{}", b64(tag))
}

/// An RSA key whose every signature can be made by anybody: its exponent is 1.
pub(super) fn rsa_jwk(kid: &str, bytes: usize, exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": b64(vec![0xff; bytes]), "e": b64(exponent)})
}

/// A token with the signature that a key of [`rsa_jwk`] with exponent 1 takes: the padded digest itself
/// (RFC 8017 §9.2).
pub(super) fn by_exponent_1(kid: &str, bytes: usize) -> String {
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
    ];
    let header = json!({"alg": "RS256", "kid": kid}).to_string();
    let input = format!("{}.{}", b64(header), b64(payload()));
    let filled = vec![0xff; bytes - 3 - DIGEST_INFO.len() - 32];
    let digest = Sha256::digest(&input);
    let block = [&[0, 1][..], &filled, &[0], &DIGEST_INFO, &digest[..]].concat();
    format!("{input}.{}", b64(block))
}

/// The documents of all three issuers, by path; `base` is where they are served.
pub(super) fn documents(base: &str, path: &str) -> (u16, Value) {
    let about =
        |issuer: &str, at: &str| json!({"issuer": issuer, "jwks_uri": format!("{base}{at}")});
    let document = match path {
        "/one" => about(ISSUER, "/one/jwk"),
        "/one/jwk" => json!({"keys": [
            jwk(&issuer_key(), "es"),
            rsa_jwk("rsa-1024", 128, &[1]),
            rsa_jwk("rsa-e1", 256, &[1]),
            rsa_jwk("rsa-e3", 256, &[3]),
            rsa_jwk("rsa-even", 256, &[1, 0, 0]),
            rsa_jwk("rsa-16384", 2048, &[1, 0, 1]),
        ]}),
        "/twin" => about(TWIN, "/twin/jwk"),
        "/twin/jwk" => json!({"keys": [jwk(&key(8), "a"), jwk(&key(9), "b")]}),
        "/crowd" => about(CROWD, "/crowd/jwk"),
        "/crowd/jwk" => {
            let one = jwk(&issuer_key(), "es");
            json!({"keys": vec![one; CROWD_KEYS]})
        }
        _ => return (404, json!({})),
    };
    (200, document)
}
