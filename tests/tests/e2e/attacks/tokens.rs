//! Tokens: forged, misshapen, and good ones that are not meant for this node.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dan_tests::client::Call;
use dan_tests::consumer::{EBEVIS, OWNER};
use dan_tests::shapes::{items, text};
use http::Method;
use p256::ecdsa::Signature;
use serde_json::{Value, json};
use toml::Table;

use super::forge::{
    ISSUER, TRUSTED_SOURCE, TWIN, attacker, b64, by_exponent_1, claiming, documents, good, header,
    heading, issuer_key, jwk, key, payload, signed, under_hs256,
};
use super::{Bench, Outcome, Row, claims, invalid};
use crate::place::{AUDIENCE, Place};
use crate::stub::{Address, Stub};

const TRACED: &[&str] = &["kid \"es\"", "iss \"https://issuer.example/\""];
const ALG: Outcome = invalid("not supported: alg");
const TYP: Outcome = invalid("typ is not that of a token");
const FORGED: Outcome = invalid("the signature does not verify");
pub(super) const NO_KEY: Outcome = invalid("no key of the issuer has this kid");
const BAD_KID: Outcome = invalid("kid is no short text");
const NOT_THREE: Outcome = invalid("not three parts");
const NOT_BASE64URL: Outcome = invalid("not base64url");
const BAD_HEADER: Outcome = invalid("the header is no strict JSON object");
pub(super) const BAD_PAYLOAD: Outcome = invalid("the payload is no strict JSON object");
pub(super) const NOT_US: Outcome = invalid("aud does not name us");

/// What is tried, the token, and what must come of it.
pub(super) type Case = (String, String, Outcome);

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
fn traced(bench: &Bench, cases: impl IntoIterator<Item = Case>) -> Vec<Row> {
    let rows = rows(bench, cases).into_iter();
    rows.map(|row| match row.outcome {
        Outcome::Refused(401, ..) => row.traced(TRACED),
        Outcome::Taken | Outcome::Refused(..) | Outcome::Unread(..) => row,
    })
    .collect()
}

/// One of a table.
pub(super) fn case(what: impl Into<String>, token: String, outcome: Outcome) -> Case {
    (what.into(), token, outcome)
}

#[tokio::test]
async fn no_attack_with_a_token_gets_in_and_each_leaves_one_trace() {
    let (bench, stub) = bench().await;
    let mut all = traced(&bench, algorithms());
    all.extend(shapes(&bench));
    all.extend(headers(&bench));
    all.extend(traced(&bench, claims::times()));
    all.extend(rows(&bench, claims::issuers()));
    all.extend(traced(&bench, claims::audiences_and_scopes()));
    all.extend(traced(&bench, claims::parties()));
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
fn algorithms() -> Vec<Case> {
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
    let mut cases: Vec<Case> = [
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
