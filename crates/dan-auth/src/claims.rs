//! What a verified token must say, and who it then stands for (pure). Source: `security.md` §3,
//! `contracts.md` §5, `wire-api.md` §2.1.

use dan_core::party::{NORWEGIAN_ICD, ORGANISATION_SCHEME, OrgNumber};
use dan_core::time::Timestamp;
use serde_json::{Map, Value};

/// How far the issuer's clock may be off, in seconds (`contracts.md` §5).
pub const LEEWAY_S: f64 = 30.0;
/// Longest time until a token expires, in seconds: Maskinporten gives two minutes, Altinn half an
/// hour. A token that lives for ever is a password.
pub const LIFETIME_MAX_S: f64 = 3600.0;
/// The last second of the year 9999; a later one is no date.
const NUMERIC_DATE_MAX: f64 = 253_402_300_799.0;

/// For whom a token must have been issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// The operator has said that it does not matter (`accept_any_audience`).
    Any,
    /// `aud` is this text, or an array that holds it.
    Exactly(&'a str),
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The organisation that calls.
    pub consumer: OrgNumber,
    /// The organisation that acts for it, if any.
    pub supplier: Option<OrgNumber>,
    /// Whole-word scopes, in the token's order.
    pub scopes: Vec<String>,
}

/// Which rule a token does not meet. For the log; holds no part of the token.
pub type ClaimError = &'static str;

/// Judges the claims of a token whose signature has been verified with the keys of `issuer`.
///
/// A token without scopes is good here: which scopes it takes is decided when proofs are joined.
///
/// # Errors
/// [`ClaimError`], the first rule that is not met.
pub fn judge(
    claims: &Map<String, Value>,
    issuer: &str,
    audience: Audience<'_>,
    now: Timestamp,
) -> Result<Principal, ClaimError> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err("iss is not the issuer's name");
    }
    in_force(claims, now)?;
    let meant_for_us = match audience {
        Audience::Any => true,
        Audience::Exactly(ours) => is_meant_for(claims.get("aud"), ours),
    };
    if !meant_for_us {
        return Err("aud does not name us");
    }
    if claims.contains_key("pid") {
        return Err("the token stands for a person (pid)");
    }
    // A token bound to a key is worth nothing without the proof of that key, which we do not read.
    if claims.contains_key("cnf") {
        return Err("the token is bound to a key (cnf)");
    }
    let consumer = claims.get("consumer").ok_or("consumer is missing")?;
    let supplier = match claims.get("supplier") {
        None => None,
        Some(claim) => Some(organisation(claim).ok_or("supplier is malformed")?),
    };
    Ok(Principal {
        consumer: organisation(consumer).ok_or("consumer is malformed")?,
        supplier,
        scopes: scopes(claims.get("scope")),
    })
}

/// `exp`, `nbf` and `iat` against the clock, with [`LEEWAY_S`] (RFC 7519 §4.1).
fn in_force(claims: &Map<String, Value>, now: Timestamp) -> Result<(), ClaimError> {
    let now = seconds(now);
    let expiry = numeric_date(claims, "exp", "exp is no date")?.ok_or("exp is missing")?;
    if now >= expiry + LEEWAY_S {
        return Err("expired");
    }
    if expiry > now + LIFETIME_MAX_S + LEEWAY_S {
        return Err("exp is too far ahead");
    }
    if numeric_date(claims, "nbf", "nbf is no date")?.is_some_and(|start| start > now + LEEWAY_S) {
        return Err("not valid yet (nbf)");
    }
    if numeric_date(claims, "iat", "iat is no date")?.is_some_and(|made| made > now + LEEWAY_S) {
        return Err("issued in the future (iat)");
    }
    Ok(())
}

fn seconds(moment: Timestamp) -> f64 {
    // Exact: milliseconds of any real date are far below 2^53.
    moment.as_ms() as f64 / 1000.0
}

/// A `NumericDate` (RFC 7519 §2): seconds since the epoch, fractions allowed, texts not.
fn numeric_date(
    claims: &Map<String, Value>,
    name: &str,
    wrong: ClaimError,
) -> Result<Option<f64>, ClaimError> {
    claims.get(name).map_or(Ok(None), |claim| {
        claim
            .as_f64()
            .filter(|date| (0.0..=NUMERIC_DATE_MAX).contains(date))
            .map_or(Err(wrong), |date| Ok(Some(date)))
    })
}

/// RFC 7519 §4.1.3. An array that holds anything but texts names nobody.
fn is_meant_for(aud: Option<&Value>, ours: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == ours,
        Some(Value::Array(many)) => {
            many.iter().all(Value::is_string) && many.iter().any(|one| one == ours)
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

/// `{"authority": "iso6523-actorid-upis", "ID": "0192:<nine digits>"}`.
fn organisation(claim: &Value) -> Option<OrgNumber> {
    let claim = claim.as_object()?;
    if claim.get("authority")?.as_str()? != ORGANISATION_SCHEME {
        return None;
    }
    let (icd, number) = claim.get("ID")?.as_str()?.split_once(':')?;
    (icd == NORWEGIAN_ICD)
        .then(|| OrgNumber::parse(number))
        .flatten()
}

/// RFC 6749 §3.3. Anything but a text is no scope at all.
fn scopes(claim: Option<&Value>) -> Vec<String> {
    claim
        .and_then(Value::as_str)
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
    const NOW_S: i64 = 1_700_000_000;
    const ISSUER: &str = "https://issuer.example/";
    const US: &str = "https://dan.example";

    fn good() -> Map<String, Value> {
        let claims = json!({
            "iss": ISSUER, "aud": US, "exp": 1_700_000_100, "iat": 1_700_000_000,
            "scope": "altinn:dataaltinnno dan:test",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:991825827"},
        });
        claims.as_object().unwrap().clone()
    }

    fn check(name: &str, value: Value) -> Result<Principal, ClaimError> {
        let mut claims = good();
        claims.insert(name.to_owned(), value);
        judge(&claims, ISSUER, Audience::Exactly(US), NOW)
    }

    fn without(name: &str) -> Result<Principal, ClaimError> {
        let mut claims = good();
        claims.shift_remove(name);
        judge(&claims, ISSUER, Audience::Exactly(US), NOW)
    }

    #[test]
    fn a_good_token_stands_for_its_consumer() {
        let principal = judge(&good(), ISSUER, Audience::Exactly(US), NOW).unwrap();
        assert_eq!(principal.consumer.as_str(), "991825827");
        assert_eq!(principal.supplier, None);
        assert_eq!(principal.scopes, ["altinn:dataaltinnno", "dan:test"]);
    }

    #[test]
    fn expiry_has_thirty_seconds_of_leeway_and_no_more() {
        let expired = |ago: i64| check("exp", json!(NOW_S.saturating_sub(ago)));
        for ago in [-3630, -3600, 0, 5, 29] {
            assert!(expired(ago).is_ok(), "{ago}");
        }
        for ago in [30, 31, 1000, -3631, -86_400] {
            assert!(expired(ago).is_err(), "{ago}");
        }
        assert!(check("exp", json!(1_700_000_000.5)).is_ok());
        assert!(check("exp", json!(1_699_999_969.5)).is_err());
    }

    #[test]
    fn starts_in_the_future_have_the_same_leeway() {
        for name in ["nbf", "iat"] {
            assert!(
                check(name, json!(NOW_S.saturating_add(30))).is_ok(),
                "{name}"
            );
            assert!(
                check(name, json!(NOW_S.saturating_add(31))).is_err(),
                "{name}"
            );
            assert!(check(name, json!(0)).is_ok(), "{name}");
            assert!(without(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn dates_are_plausible_numbers() {
        assert!(without("exp").is_err());
        for name in ["exp", "nbf", "iat"] {
            for value in [
                json!("1700000100"),
                json!(-1),
                json!(1e308),
                json!(u64::MAX),
                json!(null),
                json!([1_700_000_100]),
                json!(true),
            ] {
                assert!(check(name, value.clone()).is_err(), "{name} {value}");
            }
        }
    }

    #[test]
    fn the_issuer_is_compared_exactly() {
        for wrong in [
            json!("https://issuer.example"),
            json!("https://issuer.example//"),
            json!("https://ISSUER.example/"),
            json!("https://issuer.еxample/"),
            json!([ISSUER]),
            json!(null),
        ] {
            assert!(check("iss", wrong.clone()).is_err(), "{wrong}");
        }
        assert!(without("iss").is_err());
    }

    #[test]
    fn the_audience_is_checked_unless_any_is_accepted() {
        for right in [json!(US), json!([US]), json!(["other", US])] {
            assert!(check("aud", right.clone()).is_ok(), "{right}");
        }
        for wrong in [
            json!("unspecified"),
            json!("https://dan.example/"),
            json!(""),
            json!([]),
            json!(["other"]),
            json!([US, 1]),
            json!({ US: US }),
            json!(null),
        ] {
            assert!(check("aud", wrong.clone()).is_err(), "{wrong}");
            let mut claims = good();
            claims.insert("aud".to_owned(), wrong.clone());
            assert!(
                judge(&claims, ISSUER, Audience::Any, NOW).is_ok(),
                "{wrong}"
            );
        }
        assert!(without("aud").is_err());
    }

    #[test]
    fn organisations_have_one_form() {
        let form = |id: &str| json!({"authority": "iso6523-actorid-upis", "ID": id});
        for name in ["consumer", "supplier"] {
            assert!(check(name, form("0192:974760673")).is_ok(), "{name}");
            for wrong in [
                json!("0192:991825827"),
                json!(null),
                json!([form("0192:991825827")]),
                json!({"ID": "0192:991825827"}),
                json!({"authority": "iso6523-actorid-upis"}),
                json!({"authority": "ISO6523-ACTORID-UPIS", "ID": "0192:991825827"}),
                json!({"authority": "iso6523-actorid-upis", "id": "0192:991825827"}),
                json!({"authority": "iso6523-actorid-upis", "ID": 991_825_827}),
                form("0192: 991825827"),
                form("0192:991825827 "),
                form("991825827"),
                form("0192:99182582A"),
                form("0192:9918258270"),
                form("0192:991825828"),
                form("0192:000000000"),
                form("0192:974760673:991825827"),
                form("0192::991825827"),
                form("9908:991825827"),
                form("0088:991825827"),
                form("0192:９９１８２５８２７"),
                form("0192:99182582\0"),
                form(""),
            ] {
                assert!(check(name, wrong.clone()).is_err(), "{name} {wrong}");
            }
        }
        assert!(without("consumer").is_err());
    }

    #[test]
    fn a_supplier_is_noted_and_the_consumer_stays_the_principal() {
        let supplier = json!({"authority": "iso6523-actorid-upis", "ID": "0192:974760673"});
        let principal = check("supplier", supplier).unwrap();
        assert_eq!(principal.consumer.as_str(), "991825827");
        assert_eq!(principal.supplier, OrgNumber::parse("974760673"));
    }

    #[test]
    fn persons_and_bound_tokens_are_refused() {
        assert!(check("pid", json!("07056120453")).is_err());
        assert!(check("pid", json!(null)).is_err());
        assert!(check("cnf", json!({"jkt": "x"})).is_err());
        assert!(check("cnf", json!({"x5t#S256": "x"})).is_err());
    }

    #[test]
    fn scopes_are_whole_words_of_a_text() {
        for (claim, expected) in [
            (json!("a b"), vec!["a", "b"]),
            (json!(" a  b "), vec!["a", "b"]),
            (json!("a,b"), vec!["a,b"]),
            (json!("a\tb"), vec!["a\tb"]),
            (json!(""), vec![]),
            (json!(["a", "b"]), vec![]),
            (json!({"a": "b"}), vec![]),
            (json!(null), vec![]),
        ] {
            assert_eq!(check("scope", claim).unwrap().scopes, expected);
        }
        assert_eq!(without("scope").unwrap().scopes, Vec::<String>::new());
    }
}
