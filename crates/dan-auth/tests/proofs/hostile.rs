//! Tokens that must not pass (`security.md` §3), each beside the good token it differs from.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::caller::{Proof, TokenProof};
use serde_json::{Value, json};

use super::issuer::{CONSUMER, FakeIssuer, Key, Node, b64, claims, now_s, rsa_der, signed};

const HOST: &str = "issuer.example";
const NAME: &str = "https://issuer.example/";

/// A node and an issuer with one RSA key `rs` and one P-256 key `es`.
fn node() -> Node {
    let keys = vec![Key::rsa().public("rs"), es().public("es")];
    Node::trusting(&[&FakeIssuer::new(HOST, keys)])
}

fn es() -> Key {
    Key::ec(7)
}

fn attacker() -> Key {
    Key::ec(66)
}

fn good_claims() -> String {
    Value::Object(claims(NAME)).to_string()
}

fn es_header(extra: &str) -> String {
    format!(r#"{{"alg":"ES256","kid":"es"{extra}}}"#)
}

fn es_token(header_extra: &str) -> String {
    signed(es_header(header_extra), good_claims(), &es())
}

fn with_claim(name: &str, value: Value) -> String {
    let mut claims = claims(NAME);
    claims.insert(name.to_owned(), value);
    signed(es_header(""), Value::Object(claims).to_string(), &es())
}

async fn all_rejected(tokens: impl IntoIterator<Item = (String, String)>) {
    let node = node();
    assert!(node.takes(&es_token("")).await);
    for (what, token) in tokens {
        assert!(node.rejects(&token).await, "{what}");
    }
    assert!(node.takes(&es_token("")).await);
}

fn named<const N: usize>(rows: [(&str, String); N]) -> Vec<(String, String)> {
    rows.map(|(what, token)| (what.to_owned(), token)).to_vec()
}

#[tokio::test]
async fn good_tokens_pass_and_name_their_consumer() {
    let node = node();
    for token in [
        es_token(""),
        signed(r#"{"alg":"RS256","kid":"rs"}"#, good_claims(), &Key::rsa()),
        signed(r#"{"alg":"RS256"}"#, good_claims(), &Key::rsa()),
        signed(r#"{"alg":"ES256"}"#, good_claims(), &es()),
        es_token(r#","typ":"JWT""#),
        es_token(r#","typ":"application/at+JWT""#),
    ] {
        let Ok(Some(Proof::Token(TokenProof { org, scopes, .. }))) = node.ask(&token).await else {
            panic!("{token}");
        };
        assert_eq!(org.as_str(), CONSUMER);
        assert_eq!(scopes, ["altinn:dataaltinnno/ebevis"]);
    }
}

#[tokio::test]
async fn keys_that_the_header_brings_are_ignored() {
    let node = node();
    let jwk = attacker().public("es").to_string();
    for extra in [
        format!(r#","jwk":{jwk}"#),
        r#","jku":"https://attacker.example/jwk""#.to_owned(),
        r#","x5u":"https://attacker.example/x5u""#.to_owned(),
        r#","x5c":["AAAA"]"#.to_owned(),
    ] {
        let forged = signed(es_header(&extra), good_claims(), &attacker());
        assert!(node.rejects(&forged).await, "{extra}");
        assert!(node.takes(&es_token(&extra)).await, "{extra}");
    }
}

#[tokio::test]
async fn algorithms_are_not_the_tokens_choice() {
    let mut rows = Vec::new();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "PS256", "RS1", "EdDSA",
        "ES384", "ES512", "es256", "ES256 ", "ES256K", "RSA-OAEP",
    ] {
        for kid in ["es", "rs"] {
            let header = json!({"alg": alg, "kid": kid}).to_string();
            let input = format!("{}.{}", b64(&header), b64(good_claims()));
            let what = format!("alg {alg} kid {kid}");
            rows.push((what.clone(), signed(&header, good_claims(), &es())));
            rows.push((what.clone(), signed(&header, good_claims(), &Key::rsa())));
            rows.push((what.clone(), format!("{input}.")));
            rows.push((what, input));
        }
    }
    for header in [
        r#"{"kid":"es"}"#,
        r#"{"alg":null,"kid":"es"}"#,
        r#"{"alg":["ES256"],"kid":"es"}"#,
        r#"{"alg":7,"kid":"es"}"#,
    ] {
        rows.push((header.to_owned(), signed(header, good_claims(), &es())));
    }
    all_rejected(rows).await;
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let der = rsa_der();
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        STANDARD.encode(der)
    );
    let jwk = Key::rsa().public("rs").to_string();
    let rows = [der, pem.as_bytes(), jwk.as_bytes(), &[]].map(|secret| {
        let input = format!(
            "{}.{}",
            b64(r#"{"alg":"HS256","kid":"rs"}"#),
            b64(good_claims())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, input.as_bytes());
        (
            format!("{} bytes", secret.len()),
            format!("{input}.{}", b64(tag)),
        )
    });
    all_rejected(rows).await;
}

#[tokio::test]
async fn a_key_checks_only_its_own_algorithm() {
    let rows = named([
        (
            "RS256 by the EC key",
            signed(r#"{"alg":"RS256","kid":"rs"}"#, good_claims(), &es()),
        ),
        (
            "RS256 that names the EC key",
            signed(r#"{"alg":"RS256","kid":"es"}"#, good_claims(), &Key::rsa()),
        ),
        (
            "ES256 that names the RSA key",
            signed(r#"{"alg":"ES256","kid":"rs"}"#, good_claims(), &es()),
        ),
        (
            "ES256 by the RSA key",
            signed(es_header(""), good_claims(), &Key::rsa()),
        ),
        (
            "RS512 by a key whose JWK says RS256",
            signed(
                r#"{"alg":"RS512","kid":"rs"}"#,
                good_claims(),
                &Key::Rs(&RSA_PKCS1_SHA512),
            ),
        ),
        (
            "RS256 over SHA-512",
            signed(
                r#"{"alg":"RS256","kid":"rs"}"#,
                good_claims(),
                &Key::Rs(&RSA_PKCS1_SHA512),
            ),
        ),
        (
            "another key with the same kid",
            signed(es_header(""), good_claims(), &attacker()),
        ),
    ]);
    all_rejected(rows).await;
}

#[tokio::test]
async fn an_rsa_key_without_alg_checks_each_of_its_three_algorithms_and_mixes_none() {
    let mut key = Key::rsa().public("rs");
    key.as_object_mut().unwrap().shift_remove("alg");
    let issuer = FakeIssuer::new("issuer.example", vec![key]);
    let node = Node::trusting(&[&issuer]);
    let all: [(&str, &'static dyn RsaEncoding); 3] = [
        ("RS256", &RSA_PKCS1_SHA256),
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
    ];
    for (alg, _) in all {
        for (signed_as, encoding) in all {
            let header = json!({"alg": alg, "kid": "rs"}).to_string();
            let token = signed(header, good_claims(), &Key::Rs(encoding));
            let taken = node.takes(&token).await;
            assert_eq!(taken, alg == signed_as, "{alg} by {signed_as}");
        }
    }
}

#[tokio::test]
async fn the_compact_form_has_one_spelling() {
    let good = es_token("");
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let mut rows = named([
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("empty signature", format!("{header}.{payload}.")),
        ("empty payload", format!("{header}..{signature}")),
        ("empty header", format!(".{payload}.{signature}")),
        ("extra dot behind", format!("{good}.")),
        ("extra dot before", format!(".{good}")),
        (
            "JWE",
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        ),
        ("four parts", format!("{good}.{signature}")),
        ("scheme twice", format!("Bearer {good}")),
        ("space before", format!(" {good}")),
        ("space behind", format!("{good} ")),
        ("newline behind", format!("{good}\n")),
        (
            "newline inside",
            format!("{header}.{payload}\n.{signature}"),
        ),
        ("tab inside", format!("{header}\t.{payload}.{signature}")),
        ("NUL", format!("{good}\0")),
        ("padding", format!("{good}==")),
        ("wide dots", good.replace('.', "．")),
        ("percent", good.replace('.', "%2E")),
        (
            "JSON serialisation",
            json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
        ),
    ]);
    for (part, text) in parts.iter().enumerate() {
        let mut changed = parts.clone();
        let loose = loosened(text);
        changed[part] = &loose;
        if loose != *text {
            rows.push((format!("stray bits in part {part}"), changed.join(".")));
        }
    }
    let standard = good.replace('-', "+").replace('_', "/");
    assert_ne!(
        standard, good,
        "the signature is a fixed one and holds such characters"
    );
    rows.push(("standard alphabet".to_owned(), standard));
    all_rejected(rows).await;
}

/// The same bytes to a careless reader: the unused bits of the last character set.
fn loosened(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if part.len().is_multiple_of(4) {
        return part.to_owned();
    }
    let (start, last) = part.split_at(part.len().saturating_sub(1));
    let at = ALPHABET.find(last).unwrap();
    let next = ALPHABET.get(at.saturating_add(1)..).unwrap().chars().next();
    format!("{start}{}", next.unwrap())
}

#[tokio::test]
async fn signatures_have_one_form() {
    let input = format!("{}.{}", b64(es_header("")), b64(good_claims()));
    let raw = es().sign(&input);
    let der = p256::ecdsa::Signature::from_slice(&raw).unwrap().to_der();
    let mut flipped = raw.clone();
    flipped[10] ^= 1;
    let mut rows: Vec<(String, String)> = [
        ("DER", der.as_bytes().to_vec()),
        ("one bit", flipped),
        ("short", raw[..63].to_vec()),
        ("long", [raw.as_slice(), &[0]].concat()),
        ("zeros", vec![0; 64]),
        ("r only", [&raw[..32], &[0; 32]].concat()),
        ("ones", vec![0xff; 64]),
    ]
    .map(|(what, signature)| {
        (
            format!("ES256 {what}"),
            format!("{input}.{}", b64(signature)),
        )
    })
    .to_vec();
    let input = format!(
        "{}.{}",
        b64(r#"{"alg":"RS256","kid":"rs"}"#),
        b64(good_claims())
    );
    let raw = Key::rsa().sign(&input);
    for (what, signature) in [
        ("zero before", [&[0], raw.as_slice()].concat()),
        ("zero behind", [raw.as_slice(), &[0]].concat()),
        ("short", raw[..255].to_vec()),
        ("zeros", vec![0; 256]),
        ("one", [vec![0; 255], vec![1]].concat()),
        ("ones", vec![0xff; 256]),
    ] {
        rows.push((
            format!("RS256 {what}"),
            format!("{input}.{}", b64(signature)),
        ));
    }
    all_rejected(rows).await;
}

#[tokio::test]
async fn headers_that_change_the_reading_are_refused() {
    let long = "k".repeat(10_000);
    let mut rows = Vec::new();
    for extra in [
        r#","crit":["exp"]"#,
        r#","crit":[]"#,
        r#","crit":["b64"],"b64":false"#,
        r#","b64":false"#,
        r#","b64":true"#,
        r#","zip":"DEF""#,
        r#","enc":"A128GCM""#,
        r#","cty":"JWT""#,
        r#","typ":"JOSE""#,
        r#","typ":"logout+jwt""#,
        r#","typ":"dpop+jwt""#,
        r#","typ":"""#,
        r#","typ":null"#,
        r#","typ":["JWT"]"#,
        r#","alg":"ES256""#,
        r#","alg":"none""#,
        r#","\u0061lg":"none""#,
        r#","kid":"es""#,
        r#","x":1,"x":1"#,
    ] {
        rows.push((extra.to_owned(), es_token(extra)));
    }
    for kid in [
        json!("nobody"),
        json!("../../../etc/passwd"),
        json!("' OR 1=1 --"),
        json!("es\0"),
        json!("ES"),
        json!(""),
        json!(long),
        json!(["es"]),
        json!({"es": 1}),
        json!(7),
        json!(null),
    ] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        rows.push((header.clone(), signed(header, good_claims(), &es())));
    }
    for header in [
        "",
        "[]",
        "null",
        "\"ES256\"",
        "{",
        "{}",
        "{} ",
        "\u{feff}{\"alg\":\"ES256\",\"kid\":\"es\"}",
        "{\"alg\":\"ES256\",\"kid\":\"es\"}{}",
    ] {
        rows.push((header.to_owned(), signed(header, good_claims(), &es())));
    }
    all_rejected(rows).await;
}

#[tokio::test]
async fn without_a_kid_the_choice_must_be_clear() {
    let keys = vec![
        es().public("a"),
        Key::ec(8).public("b"),
        Key::rsa().public("rs"),
    ];
    let node = Node::trusting(&[&FakeIssuer::new(HOST, keys)]);
    let token = signed(r#"{"alg":"ES256"}"#, good_claims(), &es());
    assert!(node.rejects(&token).await);
    let token = signed(r#"{"alg":"ES256","kid":"a"}"#, good_claims(), &es());
    assert!(node.takes(&token).await);
    let token = signed(r#"{"alg":"RS256"}"#, good_claims(), &Key::rsa());
    assert!(node.takes(&token).await);
    let twins = vec![es().public("a"), Key::ec(8).public("a")];
    let node = Node::trusting(&[&FakeIssuer::new(HOST, twins)]);
    let token = signed(r#"{"alg":"ES256","kid":"a"}"#, good_claims(), &es());
    assert!(node.rejects(&token).await);
}

#[tokio::test]
async fn payloads_are_one_flat_object_without_repeats() {
    let good = good_claims();
    let open = good.strip_suffix('}').unwrap();
    let deep = |levels: usize| {
        format!(
            "{open},\"x\":{}1{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let payloads = [
        "".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        es_token(""),
        format!("\"{}\"", es_token("")),
        format!(r#"{open},"iss":"{NAME}"}}"#),
        format!(r#"{open},"\u0069ss":"{NAME}"}}"#),
        format!(r#"{open},"consumer":{{}}}}"#),
        format!(r#"{open},"exp":1767229200}}"#),
        format!(r#"{open},"x":{{"a":1,"a":2}}}}"#),
        format!(r#"{open},"x":1e999}}"#),
        deep(130),
        deep(3000),
        deep(10_000),
    ];
    all_rejected(payloads.map(|payload| {
        let what = payload.chars().take(60).collect();
        (what, signed(es_header(""), payload, &es()))
    }))
    .await;
}

#[tokio::test]
async fn tokens_have_a_size() {
    let fitting = with_claim("x", json!("x".repeat(11_000)));
    let large = with_claim("x", json!("x".repeat(12_000)));
    assert!(fitting.len() < 16_384 && large.len() > 16_384);
    assert!(node().takes(&fitting).await);
    all_rejected(named([
        ("16 KiB", large),
        ("1 MB", "a".repeat(1_000_000)),
        ("dots", ".".repeat(16_000)),
    ]))
    .await;
}

#[tokio::test]
async fn claims_that_are_not_met_are_refused() {
    let party = |id: &str| json!({"authority": "iso6523-actorid-upis", "ID": id});
    let mut rows: Vec<(String, String)> = [
        ("iss", json!("https://issuer.example")),
        ("iss", json!("https://issuer.example//")),
        ("iss", json!("https://ISSUER.example/")),
        ("iss", json!("https://test.issuer.example/")),
        ("iss", json!("https://issuer.exаmple/")),
        ("iss", json!([NAME])),
        ("iss", json!(null)),
        ("aud", json!("unspecified")),
        ("aud", json!(["https://other.example"])),
        ("exp", json!(now_s().saturating_sub(31))),
        ("exp", json!(now_s().saturating_add(90_000))),
        ("exp", json!(format!("{}", now_s().saturating_add(60)))),
        ("exp", json!(-1)),
        ("exp", json!(1e308)),
        ("nbf", json!(now_s().saturating_add(60))),
        ("iat", json!(now_s().saturating_add(60))),
        ("consumer", json!("0192:991825827")),
        ("consumer", party("0192:991825828")),
        ("consumer", party("9908:991825827")),
        ("supplier", party("0192:x")),
        ("supplier", party("0192:974760673")),
        ("pid", json!("07056120453")),
        ("pid", json!(null)),
        ("authorization_details", json!([])),
        ("iat", json!(now_s().saturating_sub(3600))),
        (
            "cnf",
            json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        ),
    ]
    .map(|(name, value)| (format!("{name} {value}"), with_claim(name, value)))
    .to_vec();
    for name in ["iss", "aud", "exp", "consumer"] {
        let mut claims = claims(NAME);
        claims.shift_remove(name);
        let token = signed(es_header(""), Value::Object(claims).to_string(), &es());
        rows.push((format!("no {name}"), token));
    }
    all_rejected(rows).await;
}

#[tokio::test]
async fn a_token_is_good_until_thirty_seconds_after_it_expired() {
    for (ago, good) in [
        (-60, true),
        (5, true),
        (29, true),
        (31, false),
        (3600, false),
    ] {
        let token = with_claim("exp", json!(now_s().saturating_sub(ago)));
        assert_eq!(node().takes(&token).await, good, "{ago}");
    }
}

#[tokio::test]
async fn reasons_do_not_hold_the_token() {
    let node = node();
    for token in [
        with_claim("exp", json!(1)),
        with_claim("pid", json!("07056120453")),
        signed(es_header(""), good_claims(), &attacker()),
        format!("{} ", es_token("")),
        es_token(r#","zip":"DEF""#),
    ] {
        let reason = format!("{:?}", node.ask(&token).await.unwrap_err());
        for part in token.split('.') {
            assert!(!reason.contains(part), "{reason}");
        }
        assert!(
            !reason.contains("07056120453") && !reason.contains(CONSUMER),
            "{reason}"
        );
    }
}
