//! What a client asks for at the token endpoint: a JWT grant (RFC 7523), checked in everything but its signature.
//!
//! The fake world knows no clients, so any signature is accepted; the rest is what Maskinporten refuses (clients.md §8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::people::is_organisation_number;

/// The grant type of RFC 7523 §2.1.
pub(crate) const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Longest time between `iat` and `exp`, seconds.
const MAX_LIFETIME: i64 = 120;
/// How far a client's clock may be off, seconds.
const LEEWAY: i64 = 10;
/// What an assertion may be signed with.
pub(crate) const ALGORITHMS: [&str; 8] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
];

/// What the client is granted.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The client, from `iss`.
    pub(crate) client: String,
    /// Scopes separated by one space.
    pub(crate) scope: String,
    /// The organisation the client acts for, when it is not its own.
    pub(crate) consumer: Option<String>,
    /// The audience asked for.
    pub(crate) resource: Option<String>,
    /// The organisation whose system user of Altinn the client wants to be.
    pub(crate) system_user_org: Option<String>,
}

/// An error of RFC 6749 §5.2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The code.
    pub(crate) error: &'static str,
    /// The cause, for a person.
    pub(crate) description: &'static str,
}

const fn invalid(description: &'static str) -> Refusal {
    Refusal {
        error: "invalid_grant",
        description,
    }
}

/// Reads an assertion that must be meant for `issuer`; `now` in seconds.
///
/// # Errors
/// `invalid_grant`, or `invalid_scope` where it asks for no scope.
pub(crate) fn check(assertion: &str, issuer: &str, now: i64) -> Result<Grant, Refusal> {
    let mut parts = assertion.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid("the assertion is not a compact JWS"));
    };
    check_header(&object(header)?)?;
    if !URL_SAFE_NO_PAD
        .decode(signature)
        .is_ok_and(|bytes| !bytes.is_empty())
    {
        return Err(invalid("the assertion is not signed"));
    }
    let claims = object(claims)?;
    check_audience(claims.get("aud"), issuer)?;
    check_times(&claims, now)?;
    grant(&claims)
}

fn object(part: &str) -> Result<Map<String, Value>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(part)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(invalid(
            "a part of the assertion is not a JSON object in base64url",
        ))
}

/// The forms in use: `{alg, kid}`, `{alg, typ, kid}` and `{alg, x5c}`.
fn check_header(header: &Map<String, Value>) -> Result<(), Refusal> {
    let alg = header.get("alg").and_then(Value::as_str);
    if !alg.is_some_and(|alg| ALGORITHMS.contains(&alg)) {
        return Err(invalid("alg is not an algorithm that is accepted here"));
    }
    let kid = header.get("kid").and_then(Value::as_str);
    let x5c = header.get("x5c").and_then(Value::as_array);
    let certified = x5c.and_then(|chain| chain.first()).and_then(Value::as_str);
    match kid.or(certified) {
        Some(named) if !named.is_empty() => Ok(()),
        Some(_) | None => Err(invalid("the key is named neither by kid nor by x5c")),
    }
}

fn check_audience(audience: Option<&Value>, issuer: &str) -> Result<(), Refusal> {
    let meant = match audience {
        Some(Value::Array(list)) => list.iter().any(|one| one == issuer),
        Some(one) => one == issuer,
        None => false,
    };
    if meant {
        Ok(())
    } else {
        Err(invalid(
            "aud is not the issuer, which ends in a slash and is spelt as in the discovery document",
        ))
    }
}

fn check_times(claims: &Map<String, Value>, now: i64) -> Result<(), Refusal> {
    let seconds = |name| claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (seconds("iat"), seconds("exp")) else {
        return Err(invalid("iat and exp are whole seconds"));
    };
    let lifetime = expires.saturating_sub(issued);
    if lifetime <= 0 || lifetime > MAX_LIFETIME {
        return Err(invalid("exp is at most 120 seconds after iat"));
    }
    if issued > now.saturating_add(LEEWAY) {
        return Err(invalid("iat lies in the future"));
    }
    if expires.saturating_add(LEEWAY) <= now {
        return Err(invalid("the assertion has expired"));
    }
    Ok(())
}

fn grant(claims: &Map<String, Value>) -> Result<Grant, Refusal> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    let client = text("iss").filter(|client| !client.is_empty());
    let client = client.ok_or(invalid("iss names no client"))?.to_owned();
    let scopes: Vec<&str> = text("scope")
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect();
    if scopes.is_empty() {
        return Err(Refusal {
            error: "invalid_scope",
            description: "scope is missing",
        });
    }
    let consumer = match claims.get("consumer_org") {
        None | Some(Value::Null) => None,
        Some(number) => Some(
            number
                .as_str()
                .filter(|number| is_organisation_number(number))
                .ok_or(invalid("consumer_org is not an organisation number"))?
                .to_owned(),
        ),
    };
    Ok(Grant {
        client,
        scope: scopes.join(" "),
        consumer,
        resource: text("resource").map(str::to_owned),
        system_user_org: system_user_org(claims.get("authorization_details"))?,
    })
}

/// The owner in `[{"type": "urn:altinn:systemuser", "systemuser_org": {"authority", "ID"}}]` (clients.md §8).
fn system_user_org(details: Option<&Value>) -> Result<Option<String>, Refusal> {
    let details = match details {
        None | Some(Value::Null) => return Ok(None),
        Some(details) => details,
    };
    let one = details.as_array().and_then(|all| match all.as_slice() {
        [one] if one["type"] == "urn:altinn:systemuser" => Some(one),
        _ => None,
    });
    let owner = one
        .map(|one| &one["systemuser_org"])
        .filter(|owner| owner["authority"] == "iso6523-actorid-upis")
        .and_then(|owner| owner["ID"].as_str()?.strip_prefix("0192:"))
        .filter(|number| is_organisation_number(number));
    owner.map(|owner| Some(owner.to_owned())).ok_or(Refusal {
        error: "invalid_authorization_details",
        description: "authorization_details is not one urn:altinn:systemuser with a systemuser_org",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "http://127.0.0.1:8090/";
    const NOW: i64 = 1_800_000_000;

    fn jws(header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}.c2ln", encode(header), encode(claims))
    }

    fn header() -> Value {
        json!({"alg": "RS256", "kid": "k1"})
    }

    fn claims() -> Value {
        json!({"aud": ISSUER, "iss": "client-1", "scope": "a:b  c:d", "iat": NOW, "exp": NOW + 120, "jti": "1"})
    }

    fn details(owner: &str) -> Value {
        let owner = json!({"authority": "iso6523-actorid-upis", "ID": owner});
        json!([{"type": "urn:altinn:systemuser", "systemuser_org": owner, "externalRef": "x"}])
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn the_three_header_forms_of_todays_clients_are_accepted() {
        for header in [
            json!({"alg": "RS256", "kid": "k1"}),
            json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}),
            json!({"alg": "RS256", "x5c": ["MIIB"]}),
        ] {
            let grant = check(&jws(&header, &claims()), ISSUER, NOW).unwrap();
            assert_eq!(grant.client, "client-1");
            assert_eq!(grant.scope, "a:b c:d");
            assert_eq!(grant.consumer, None);
        }
    }

    #[test]
    fn a_header_that_names_no_key_or_no_algorithm_is_refused() {
        for header in [
            json!({"alg": "RS256"}),
            json!({"alg": "RS256", "kid": ""}),
            json!({"alg": "RS256", "x5c": []}),
            json!({"alg": "none", "kid": "k1"}),
            json!({"alg": "HS256", "kid": "k1"}),
            json!({"kid": "k1"}),
        ] {
            let refusal = check(&jws(&header, &claims()), ISSUER, NOW).unwrap_err();
            assert_eq!(refusal.error, "invalid_grant", "{header}");
        }
    }

    #[test]
    fn claims_at_their_limits_are_accepted() {
        for claims in [
            with("aud", json!(["https://other/", ISSUER])),
            with("exp", json!(NOW + 1)),
            with("consumer_org", json!("991825827")),
            with("consumer_org", Value::Null),
            with("authorization_details", Value::Null),
            with("authorization_details", details("0192:991825827")),
            with("resource", json!("https://api")),
        ] {
            assert!(
                check(&jws(&header(), &claims), ISSUER, NOW).is_ok(),
                "{claims}"
            );
        }
        assert!(check(&jws(&header(), &claims()), ISSUER, NOW + 129).is_ok());
        assert!(check(&jws(&header(), &claims()), ISSUER, NOW - 10).is_ok());
    }

    #[test]
    fn claims_beyond_their_limits_are_refused() {
        for (claims, error) in [
            (
                with("aud", json!(ISSUER.trim_end_matches('/'))),
                "invalid_grant",
            ),
            (with("aud", json!(["https://other/"])), "invalid_grant"),
            (with("aud", Value::Null), "invalid_grant"),
            (with("exp", json!(NOW + 121)), "invalid_grant"),
            (with("exp", json!(NOW)), "invalid_grant"),
            (with("exp", json!("1800000010")), "invalid_grant"),
            (with("iat", Value::Null), "invalid_grant"),
            (with("iss", json!("")), "invalid_grant"),
            (with("scope", json!(" ")), "invalid_scope"),
            (with("scope", json!(["a"])), "invalid_scope"),
            (with("consumer_org", json!("991825828")), "invalid_grant"),
            (
                with("consumer_org", json!(991_825_827_u64)),
                "invalid_grant",
            ),
            (
                with("authorization_details", json!([])),
                "invalid_authorization_details",
            ),
            (
                with("authorization_details", json!([{"type": "x"}])),
                "invalid_authorization_details",
            ),
            (
                with("authorization_details", details("0192:991825828")),
                "invalid_authorization_details",
            ),
        ] {
            let refusal = check(&jws(&header(), &claims), ISSUER, NOW).unwrap_err();
            assert_eq!(refusal.error, error, "{claims}");
        }
        let expired = check(&jws(&header(), &claims()), ISSUER, NOW + 130).unwrap_err();
        assert_eq!(expired, invalid("the assertion has expired"));
        let early = check(&jws(&header(), &claims()), ISSUER, NOW - 11).unwrap_err();
        assert_eq!(early, invalid("iat lies in the future"));
    }

    #[test]
    fn what_is_not_a_signed_jws_is_refused() {
        let good = jws(&header(), &claims());
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        for assertion in [
            String::new(),
            unsigned.to_owned(),
            format!("{unsigned}."),
            format!("{unsigned}.??"),
            format!("{good}.x"),
            format!("!!.{good}"),
            "W10.W10.c2ln".to_owned(),
        ] {
            assert!(check(&assertion, ISSUER, NOW).is_err(), "{assertion}");
        }
    }
}
