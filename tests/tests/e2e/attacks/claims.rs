//! What a token says: times, who says so, for whom, what for, and whom it stands for.

use dan_tests::consumer::{AGENCY, OWNER, PERSON};
use serde_json::{Value, json};

use super::forge::{
    CROWD, ISSUER, TRUSTED_SOURCE, TWIN, claiming, header, issuer_key, now_s, party, payload,
    signed,
};
use super::tokens::{BAD_PAYLOAD, Case, NO_KEY, NOT_US, case};
use super::{Outcome, invalid};
use crate::place::AUDIENCE;

const NOT_TRUSTED: Outcome = invalid("the issuer is not trusted");
const NO_ISS: Outcome = invalid("iss is missing or no text");
const BAD_EXP: Outcome = invalid("exp is no date");
const BAD_CONSUMER: Outcome = invalid("consumer is malformed");
const NO_SCOPE: Outcome = Outcome::Refused(403, 1019, "the token needs a scope");

/// `exp`, `nbf`, `iat`.
pub(super) fn times() -> Vec<Case> {
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
            BAD_EXP,
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
pub(super) fn issuers() -> Vec<Case> {
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

pub(super) fn audiences_and_scopes() -> Vec<Case> {
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
pub(super) fn parties() -> Vec<Case> {
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
            Outcome::Refused(403, 1019, "different organisations: key"),
        ),
    ]);
    cases
}
