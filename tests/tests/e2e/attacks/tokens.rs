//! Tokens: forged, misshapen, and good ones that are not meant for this node.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dan_tests::client::Call;
use dan_tests::consumer::{AGENCY, EBEVIS, OWNER, PERSON};
use dan_tests::shapes::{items, text};
use http::Method;
use p256::ecdsa::Signature;
use serde_json::{Value, json};
use toml::Table;

use super::forge::{
    CROWD, ISSUER, TRUSTED_SOURCE, TWIN, attacker, b64, by_exponent_1, claiming, documents, good,
    header, heading, issuer_key, jwk, key, now_s, party, payload, signed, under_hs256,
};
use super::{Bench, Outcome, Row, invalid};
use crate::place::{AUDIENCE, Place};
use crate::stub::{Address, Stub};

const TRACED: &[&str] = &["kid \"es\"", "iss \"https://issuer.example/\""];
const ALG: Outcome = invalid("not supported: alg");
const TYP: Outcome = invalid("typ is not that of a token");
const FORGED: Outcome = invalid("the signature does not verify");
const NO_KEY: Outcome = invalid("no key of the issuer has this kid");
const BAD_KID: Outcome = invalid("kid is no short text");
const NOT_THREE: Outcome = invalid("not three parts");
const NOT_BASE64URL: Outcome = invalid("not base64url");
const BAD_HEADER: Outcome = invalid("the header is no strict JSON object");
const BAD_PAYLOAD: Outcome = invalid("the payload is no strict JSON object");
const NOT_TRUSTED: Outcome = invalid("the issuer is not trusted");
const NO_ISS: Outcome = invalid("iss is missing or no text");
const NOT_US: Outcome = invalid("aud does not name us");
const BAD_EXP: Outcome = invalid("exp is no date");
const BAD_CONSUMER: Outcome = invalid("consumer is malformed");
const NO_SCOPE: Outcome = Outcome::Refused(403, 1019, "the token needs a scope");

/// A node that trusts the issuers of `forge.rs`, the sandbox's, and nobody else.
async fn bench() -> (Bench, Stub) {
    let mut place = Place::new().await;
    let address = Address::reserve();
    let base = address.base().to_owned();
    let stub = {
        let base = base.clone();
        address.serve(move |path| documents(&base, path))
    };
    let issuers = place.config["issuers"].as_array_mut().unwrap();
    for name in ["one", "twin", "crowd"] {
        let issuer = format!(
            "name = \"{name}\"\ndiscovery = \"{base}/{name}\"\naudience = \"{AUDIENCE}\"\n\
             delegation_sources = [\"{TRUSTED_SOURCE}\"]"
        );
        issuers.push(issuer.parse::<Table>().unwrap().into());
    }
    (Bench::of(place).await, stub)
}

/// Each name, token and outcome as a row of the bench's key.
fn rows<N: Into<String>>(
    bench: &Bench,
    cases: impl IntoIterator<Item = (N, String, Outcome)>,
) -> Vec<Row> {
    let row = |(what, token, outcome): (N, String, Outcome)| {
        Row::new(what, outcome).key(&bench.key).bearer(&token)
    };
    cases.into_iter().map(row).collect()
}

/// As [`rows`]; whoever can be read is named in the reason.
fn traced(bench: &Bench, cases: impl IntoIterator<Item = (String, String, Outcome)>) -> Vec<Row> {
    let rows = rows(bench, cases).into_iter();
    rows.map(|row| match row.outcome {
        Outcome::Refused(401, ..) => row.traced(TRACED),
        Outcome::Taken | Outcome::Refused(..) | Outcome::Unread(..) => row,
    })
    .collect()
}

fn case(what: impl Into<String>, token: String, outcome: Outcome) -> (String, String, Outcome) {
    (what.into(), token, outcome)
}

#[tokio::test]
async fn no_attack_with_a_token_gets_in_and_each_leaves_one_trace() {
    let (bench, stub) = bench().await;
    let mut all = traced(&bench, algorithms());
    all.extend(shapes(&bench));
    all.extend(headers(&bench));
    all.extend(traced(&bench, times()));
    all.extend(rows(&bench, issuers()));
    all.extend(traced(&bench, audiences_and_scopes()));
    all.extend(traced(&bench, parties()));
    all.extend(weak_keys(&bench));
    all.extend(fields(&bench));
    all.extend(of_the_sandbox(&bench).await);
    println!("{} attacks with tokens", all.len());
    bench.hold(all).await;
    // Tokens with an unknown kid cost the issuer one more look, however many they are.
    let calls = stub.calls();
    let asked = calls.iter().filter(|path| *path == "/one/jwk").count();
    assert_eq!(asked, 2, "{calls:?}");
}

/// `alg` is not the token's choice.
fn algorithms() -> Vec<(String, String, Outcome)> {
    let mut cases = Vec::new();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "PS256", "RS1", "EdDSA", "ES384", "es256",
    ] {
        let header = json!({"alg": alg, "kid": "es"}).to_string();
        let token = signed(&header, payload(), &issuer_key());
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        cases.push(case(
            format!("alg {alg:?}, unsigned"),
            format!("{unsigned}."),
            ALG,
        ));
        cases.push(case(format!("alg {alg:?}"), token, ALG));
    }
    let rs256 = signed(r#"{"alg":"RS256","kid":"es"}"#, payload(), &issuer_key());
    let unfit = invalid("wrong key: none for this alg");
    cases.push(case("RS256 with an ES256 signature", rs256, unfit));
    let forged = signed(header(""), payload(), &attacker());
    cases.push(case("another key with the same kid", forged, FORGED));
    let (input, signature) = good()
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der = Signature::from_slice(&raw).unwrap().to_der();
    cases.push(case(
        "a signature in DER",
        format!("{input}.{}", b64(der.as_bytes())),
        FORGED,
    ));
    cases.push(case(
        "a signature of zeros",
        format!("{input}.{}", b64([0; 64])),
        FORGED,
    ));
    let (_, other) = claiming(&[("jti", json!("2"))])
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    cases.push(case(
        "the signature of another token",
        format!("{input}.{other}"),
        FORGED,
    ));
    cases
}

/// The compact form has one spelling.
fn shapes(bench: &Bench) -> Vec<Row> {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let json = json!({"protected": head, "payload": claims, "signature": signature}).to_string();
    let nested = signed(header(r#","cty":"JWT""#), &good, &issuer_key());
    let bare_nested = signed(header(""), &good, &issuer_key());
    // Something in each alphabet's own characters.
    let wide = signed(header(r#","x":"???>>>~~~""#), payload(), &issuer_key());
    let standard = wide.replace('-', "+").replace('_', "/");
    assert_ne!(standard, wide);
    let cases = [
        ("no signature", format!("{head}.{claims}"), NOT_THREE),
        (
            "an empty signature",
            format!("{head}.{claims}."),
            invalid("an empty part"),
        ),
        ("an extra dot", format!("{good}."), NOT_THREE),
        (
            "four dots: a JWE",
            format!("{good}.{claims}.{signature}"),
            NOT_THREE,
        ),
        ("JSON serialisation", json, NOT_THREE),
        (
            "a space inside",
            format!("{head}. {claims}.{signature}"),
            NOT_BASE64URL,
        ),
        (
            "a tab inside",
            format!("{head}.{claims}.\t{signature}"),
            NOT_BASE64URL,
        ),
        ("padding", format!("{good}=="), NOT_BASE64URL),
        ("the standard alphabet", standard, NOT_BASE64URL),
        ("non-zero trailing bits", loosened(&good), NOT_BASE64URL),
        ("percent encoding", good.replace('.', "%2E"), NOT_THREE),
        ("a nested JWT", nested, invalid("nested (cty)")),
        (
            "a nested JWT that does not say so",
            bare_nested,
            BAD_PAYLOAD,
        ),
        (
            "a header that is a list",
            signed("[]", payload(), &issuer_key()),
            BAD_HEADER,
        ),
        (
            "a payload that is a list",
            signed(header(""), "[]", &issuer_key()),
            BAD_PAYLOAD,
        ),
        ("Bearer twice", format!("Bearer {good}"), NOT_BASE64URL),
        ("an API key for a token", bench.key.clone(), NOT_THREE),
    ];
    let mut all = rows(bench, cases);
    let row = |what: &str| Row::new(what, Outcome::Unread(400, 1014)).key(&bench.key);
    all.push(row("a bare newline inside").bearer(&format!("{head}.{claims}\n.{signature}")));
    all.push(row("a NUL behind").bearer(&format!("{good}\0")));
    let large = claiming(&[("x", json!("x".repeat(12_500)))]);
    all.push(Row::new("a header line over 16 KiB", Outcome::Unread(431, 1014)).bearer(&large));
    all
}

/// The same bytes to a careless reader: an unused bit of the last character set. 64 bytes leave four unused.
fn loosened(token: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = token.split_at(token.len() - 1);
    let at = ALPHABET
        .iter()
        .position(|one| [*one] == last.as_bytes())
        .unwrap();
    format!("{start}{}", char::from(ALPHABET[at + 1]))
}

/// What stands in the header, and must be ignored or refused.
fn headers(bench: &Bench) -> Vec<Row> {
    let own = jwk(&attacker(), "es").to_string();
    let mut cases = Vec::new();
    for (name, value) in [
        ("jwk", own.as_str()),
        ("jku", r#""https://attacker.example/jwk""#),
        ("x5u", r#""https://attacker.example/x5u""#),
        ("x5c", r#"["AAAA"]"#),
    ] {
        let extra = format!(",\"{name}\":{value}");
        let forged = signed(header(&extra), payload(), &attacker());
        cases.push(case(
            format!("{name} with the attacker's key"),
            forged,
            FORGED,
        ));
        cases.push(case(
            format!("{name} is ignored"),
            heading(&extra),
            Outcome::Taken,
        ));
    }
    for (extra, reason) in [
        (r#","crit":["unknown"]"#, invalid("crit")),
        (r#","crit":["b64"],"b64":false"#, invalid("crit")),
        (r#","b64":false"#, invalid("b64")),
        (r#","zip":"DEF""#, invalid("zip")),
        (r#","enc":"A128GCM""#, invalid("encrypted (JWE)")),
        (r#","typ":"JOSE""#, TYP),
        (r#","typ":"dpop+jwt""#, TYP),
        (r#","typ":"logout+jwt""#, TYP),
        (r#","typ":["JWT"]"#, TYP),
    ] {
        cases.push(case(extra, heading(extra), reason));
    }
    for extra in [
        r#","typ":"JWT""#,
        r#","typ":"at+jwt""#,
        r#","typ":"application/at+JWT""#,
    ] {
        cases.push(case(extra, heading(extra), Outcome::Taken));
    }
    let mut all = traced(bench, cases);
    let twice = [r#","alg":"none""#, r#","kid":"es""#, r#","x":1,"x":2"#];
    all.extend(rows(
        bench,
        twice.map(|extra| (extra, heading(extra), BAD_HEADER)),
    ));
    all.extend(kids(bench));
    all
}

fn kids(bench: &Bench) -> Vec<Row> {
    let of = |kid: Value| {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        signed(header, payload(), &issuer_key())
    };
    let long = "k".repeat(10_000);
    let mut all: Vec<Row> = Vec::new();
    for (kid, reason, trace) in [
        (json!("nobody"), NO_KEY, "kid \"nobody\""),
        (json!("nobody else"), NO_KEY, "kid \"nobody else\""),
        (
            json!("../../../etc/passwd"),
            NO_KEY,
            "kid \"../../../etc/passwd\"",
        ),
        (json!("' OR 1=1 --"), NO_KEY, "kid \"\\' OR 1=1 --\""),
        (json!("\u{202e}se"), NO_KEY, "kid \"\\u{202e}se\""),
        (json!("ES"), NO_KEY, "kid \"ES\""),
        (json!("es\0"), BAD_KID, "kid \"es\\u{0}\""),
        (json!(long), BAD_KID, "kid \"kkkkkkkkkkkkkkkkkkkk"),
        (json!(["es"]), BAD_KID, "kid none"),
        (json!(7), BAD_KID, "kid none"),
    ] {
        let what = format!(
            "kid {}",
            kid.to_string().chars().take(30).collect::<String>()
        );
        let row = Row::new(what, reason).key(&bench.key).bearer(&of(kid));
        // Cut to 64 characters: what follows is not told.
        all.push(row.secret(&"k".repeat(65)).traced(&[trace, TRACED[1]]));
    }
    let twin = |header: &str, seed: u8| {
        let payload = payload().replace(ISSUER, TWIN);
        signed(header, payload, &key(seed))
    };
    let without = twin(r#"{"alg":"ES256"}"#, 8);
    let ambiguous = invalid("wrong key: more than one would do");
    all.extend(rows(
        bench,
        [
            ("no kid while there are two keys", without, ambiguous),
            (
                "the kid of the other key",
                twin(r#"{"alg":"ES256","kid":"b"}"#, 8),
                FORGED,
            ),
            (
                "the kid of its key",
                twin(r#"{"alg":"ES256","kid":"b"}"#, 9),
                Outcome::Taken,
            ),
        ],
    ));
    let only = signed(r#"{"alg":"ES256"}"#, payload(), &issuer_key());
    all.extend(rows(
        bench,
        [("no kid while there is one key", only, Outcome::Taken)],
    ));
    all
}

/// `exp`, `nbf`, `iat`.
fn times() -> Vec<(String, String, Outcome)> {
    let now = now_s();
    let early = invalid("not valid yet (nbf)");
    let future = invalid("issued in the future (iat)");
    let far = invalid("exp is too far ahead");
    let no_iat = |exp: Value| claiming(&[("iat", Value::Null), ("exp", exp)]);
    let of = |name: &str, value: Value| claiming(&[(name, value)]);
    vec![
        case("no exp", of("exp", Value::Null), invalid("exp is missing")),
        case("expired", no_iat(json!(now - 40)), invalid("expired")),
        case(
            "expired within the leeway",
            no_iat(json!(now - 5)),
            Outcome::Taken,
        ),
        case(
            "exp is a fraction",
            no_iat(json!(now as f64 + 60.5)),
            Outcome::Taken,
        ),
        case(
            "an expired fraction",
            no_iat(json!(now as f64 - 40.5)),
            invalid("expired"),
        ),
        case(
            "exp is a text",
            no_iat(json!(format!("{}", now + 60))),
            BAD_EXP,
        ),
        case("exp is negative", no_iat(json!(-1)), BAD_EXP),
        case("exp is 1e308", no_iat(json!(1e308)), BAD_EXP),
        case("exp is two hours ahead", no_iat(json!(now + 7200)), far),
        case("nbf in the future", of("nbf", json!(now + 120)), early),
        case(
            "nbf within the leeway",
            of("nbf", json!(now + 10)),
            Outcome::Taken,
        ),
        case("iat in the future", of("iat", json!(now + 90)), future),
        case(
            "iat within the leeway",
            of("iat", json!(now + 10)),
            Outcome::Taken,
        ),
        case(
            "a life of two hours",
            of("iat", json!(now - 7100)),
            invalid("exp is too long after iat"),
        ),
    ]
}

/// Who says so.
fn issuers() -> Vec<(String, String, Outcome)> {
    let of = |iss: Value| claiming(&[("iss", iss)]);
    let crowd = Outcome::Refused(503, 1013, "no keys of issuer crowd at hand");
    vec![
        case("no iss", of(Value::Null), NO_ISS),
        case(
            "iss without the final slash",
            of(json!("https://issuer.example")),
            NOT_TRUSTED,
        ),
        case(
            "iss of another environment",
            of(json!("https://test.issuer.example/")),
            NOT_TRUSTED,
        ),
        case(
            "iss in another case",
            of(json!("https://ISSUER.example/")),
            NOT_TRUSTED,
        ),
        case(
            "a Unicode look-alike of iss",
            of(json!("https://issuer.ex\u{430}mple/")),
            NOT_TRUSTED,
        ),
        case("iss is a list", of(json!([ISSUER])), NO_ISS),
        case("iss of another trusted issuer", of(json!(TWIN)), NO_KEY),
        case("an issuer with ten thousand keys", of(json!(CROWD)), crowd),
        case("iss twice", repeating("iss", &json!(TWIN)), BAD_PAYLOAD),
        case(
            "consumer twice",
            repeating("consumer", &party("0192:974760673")),
            BAD_PAYLOAD,
        ),
        case(
            "iss twice, once escaped",
            repeating("\\u0069ss", &json!(TWIN)),
            BAD_PAYLOAD,
        ),
        case(
            "nested as deep as a header line is long",
            nested(5_000),
            BAD_PAYLOAD,
        ),
        case(
            "nested 10 000 deep",
            nested(10_000),
            Outcome::Unread(431, 1014),
        ),
    ]
}

/// A payload that says something twice.
fn repeating(name: &str, value: &Value) -> String {
    let payload = payload();
    let open = payload.strip_suffix('}').unwrap();
    signed(
        header(""),
        format!("{open},\"{name}\":{value}}}"),
        &issuer_key(),
    )
}

/// A payload with lists in lists.
fn nested(levels: usize) -> String {
    let payload = payload();
    let open = payload.strip_suffix('}').unwrap();
    let (begin, end) = ("[".repeat(levels), "]".repeat(levels));
    signed(
        header(""),
        format!("{open},\"x\":{begin}{end}}}"),
        &issuer_key(),
    )
}

fn audiences_and_scopes() -> Vec<(String, String, Outcome)> {
    let mut cases = Vec::new();
    for (aud, outcome) in [
        (Value::Null, NOT_US),
        (json!("unspecified"), NOT_US),
        (json!("https://other.example"), NOT_US),
        (json!(["https://other.example"]), NOT_US),
        (json!(format!("{AUDIENCE}/")), NOT_US),
        (json!([AUDIENCE, 7]), NOT_US),
        (json!(["https://other.example", AUDIENCE]), Outcome::Taken),
    ] {
        cases.push(case(
            format!("aud {aud}"),
            claiming(&[("aud", aud)]),
            outcome,
        ));
    }
    for (scope, outcome) in [
        (Value::Null, NO_SCOPE),
        (json!(""), NO_SCOPE),
        (json!("xaltinn:dataaltinnno"), NO_SCOPE),
        (json!("altinn:dataaltinnnoXYZ"), NO_SCOPE),
        (json!("Altinn:dataaltinnno"), NO_SCOPE),
        (json!("altinn:dataaltinnno,dan:test"), NO_SCOPE),
        (json!("x\taltinn:dataaltinnno"), NO_SCOPE),
        (json!(["altinn:dataaltinnno"]), NO_SCOPE),
        (json!("dan"), NO_SCOPE),
        (json!("altinn:dataaltinnno"), Outcome::Taken),
        (json!("altinn:dataaltinnno/x"), Outcome::Taken),
        (json!("openid dan:test"), Outcome::Taken),
    ] {
        cases.push(case(
            format!("scope {scope}"),
            claiming(&[("scope", scope)]),
            outcome,
        ));
    }
    cases
}

/// Whom a token stands for.
fn parties() -> Vec<(String, String, Outcome)> {
    let missing = invalid("consumer is missing");
    let mut cases = vec![
        case(
            "no consumer",
            claiming(&[("consumer", Value::Null)]),
            missing,
        ),
        case(
            "consumer is a text",
            claiming(&[("consumer", json!("0192:991825827"))]),
            BAD_CONSUMER,
        ),
    ];
    let wrong_scheme = json!({"authority": "iso6523", "ID": format!("0192:{OWNER}")});
    cases.push(case(
        "another authority",
        claiming(&[("consumer", wrong_scheme)]),
        BAD_CONSUMER,
    ));
    for id in [
        "0192: 991825827",
        "0192:991825827 ",
        "0192:99182582A",
        "0192:9918258270",
        "0192:99182582",
        "0192::991825827",
        "0192:991825827:974760673",
        "9908:991825827",
        "0088:991825827",
        "0192:991825828",
        "991825827",
        "0192:\u{ff19}91825827",
    ] {
        cases.push(case(
            format!("consumer {id:?}"),
            claiming(&[("consumer", party(id))]),
            BAD_CONSUMER,
        ));
    }
    let supplied = |source: Value| {
        let supplier = party(&format!("0192:{AGENCY}"));
        claiming(&[("supplier", supplier), ("delegation_source", source)])
    };
    let details = json!([{
        "type": "urn:altinn:systemuser", "systemuser_id": ["2f1c5a1e-6c0b-4b0e-9d7f-5a6b7c8d9e0f"],
        "systemuser_org": party(&format!("0192:{OWNER}")), "system_id": "x",
    }]);
    cases.extend([
        case(
            "supplier without a source",
            supplied(Value::Null),
            invalid("supplier without delegation_source"),
        ),
        case(
            "supplier with another source",
            supplied(json!("https://attacker.example")),
            invalid("issuers.delegation_sources"),
        ),
        case(
            "supplier with a trusted source",
            supplied(json!(TRUSTED_SOURCE)),
            Outcome::Taken,
        ),
        case(
            "pid",
            claiming(&[("pid", json!(PERSON))]),
            invalid("stands for a person (pid)"),
        ),
        case(
            "a system user",
            claiming(&[("authorization_details", details)]),
            invalid("stands for a system user"),
        ),
        case(
            "bound to a key, without its proof",
            claiming(&[(
                "cnf",
                json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
            )]),
            invalid("bound to a key (cnf)"),
        ),
        case(
            "a consumer that the key is not for",
            claiming(&[("consumer", party("0192:974760673"))]),
            Outcome::Refused(403, 1019, "must name the same organisation"),
        ),
    ]);
    cases
}

/// Keys that are too weak or too large are left out of their set, also when their signature is right.
fn weak_keys(bench: &Bench) -> Vec<Row> {
    let of = |kid: &str| {
        signed(
            json!({"alg": "RS256", "kid": kid}).to_string(),
            payload(),
            &issuer_key(),
        )
    };
    rows(
        bench,
        [
            ("RSA of 1024 bits", by_exponent_1("rsa-1024", 128), NO_KEY),
            ("RSA with exponent 1", by_exponent_1("rsa-e1", 256), NO_KEY),
            ("RSA with exponent 3", of("rsa-e3"), NO_KEY),
            ("RSA with an even exponent", of("rsa-even"), NO_KEY),
            ("RSA of 16384 bits", of("rsa-16384"), NO_KEY),
        ],
    )
}

/// Where a token stands in the request.
fn fields(bench: &Bench) -> Vec<Row> {
    let good = good();
    let row = |what: &str, outcome| Row::new(what, outcome).key(&bench.key).secret_token(&good);
    let missing = Outcome::Refused(401, 1023, "send a bearer token");
    let with =
        |what: &str, outcome, value: String| row(what, outcome).header("Authorization", value);
    vec![
        with("a good token", Outcome::Taken, format!("Bearer {good}")),
        with(
            "the same again: good until it expires",
            Outcome::Taken,
            format!("Bearer {good}"),
        ),
        with(
            "the scheme in lower case",
            Outcome::Taken,
            format!("bearer {good}"),
        ),
        with("another scheme", invalid(""), format!("Basic {good}")),
        with(
            "no token behind the scheme",
            invalid(""),
            "Bearer".to_owned(),
        ),
        with(
            "two Authorization fields",
            invalid("two Authorization headers"),
            format!("Bearer {good}"),
        )
        .header("Authorization", format!("Bearer {good}")),
        row("no token", missing),
        row("in the query string", missing).query(format!("?access_token={good}")),
        row("in a cookie", missing).header("Cookie", format!("access_token={good}")),
    ]
}

/// Against the RSA keys of the sandbox's issuer, and with the lies that it can be asked for.
async fn of_the_sandbox(bench: &Bench) -> Vec<Row> {
    let outside = &bench.place.sandbox.outside;
    let set = Call::new(Method::GET, format!("{outside}/jwk"))
        .send()
        .await
        .ok()
        .json();
    let rsa = items(&set["keys"])
        .iter()
        .find(|key| key["kty"] == "RSA")
        .unwrap()
        .clone();
    let kid = text(&rsa, "kid");
    let number = |name| URL_SAFE_NO_PAD.decode(text(&rsa, name)).unwrap();
    let (n, e) = (number("n"), number("e"));
    let integers = [&[2, 0x82, 1, 1, 0][..], &n, &[2, 3], &e].concat();
    let der = [&[0x30, 0x82, 1, 10][..], &integers].concat();
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        STANDARD.encode(&der)
    );
    let claims = payload().replace(ISSUER, &format!("{outside}/"));
    let mut cases: Vec<(String, String, Outcome)> = [
        ("DER", der.as_slice()),
        ("PEM", pem.as_bytes()),
        ("JWK", rsa.to_string().as_bytes()),
    ]
    .map(|(form, secret)| {
        let token = under_hs256(secret, kid, &claims);
        case(
            format!("HS256 with the RSA key's {form} for a secret"),
            token,
            ALG,
        )
    })
    .to_vec();
    let generated = async |lie: &str| {
        let query = format!("scopes={}&orgNo={OWNER}{lie}", EBEVIS.scope);
        let url = format!("{outside}/api/GetEnterpriseToken?{query}");
        let answer = Call::new(Method::GET, url).send().await.ok();
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    for (lie, outcome) in [
        ("", Outcome::Taken),
        ("&key=unknown", NO_KEY),
        ("&exp=-60", invalid("expired")),
        ("&aud=unspecified", NOT_US),
        ("&iss=https://issuer.example/", NO_KEY),
        ("&alg=none", ALG),
    ] {
        cases.push(case(
            format!("the sandbox's token {lie}"),
            generated(lie).await,
            outcome,
        ));
    }
    rows(bench, cases)
}
