//! What makes a token of the generator differ from an honest one: the names its query may hold. Other names change
//! nothing (contracts.md §2): clients of Altinn's public generator send more than we read.

use serde_json::{Map, Value, json};

use crate::reply::Form;

/// Before the name of any claim: its value as JSON, or as text where it is none.
const CLAIM: &str = "claim.";
/// Before the name of any member of the header.
const HEADER: &str = "header.";
/// The system user of those who name none.
pub(crate) const SYSTEM_USER: &str = "5a1d0e3c-8f1b-4b6e-9c55-0d6b0f1e2a77";

/// With which key a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The published RSA key.
    Published,
    /// The published P-256 key.
    Ec,
    /// One that nobody can look up.
    Unknown,
}

/// A token that somebody asked for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) claims: Value,
    /// Members of the header, in place of the honest ones.
    pub(crate) header: Map<String, Value>,
    pub(crate) alg: Option<String>,
    pub(crate) key: Key,
}

impl Wish {
    /// An honest token changed by a query; `now` in seconds, `own_source` what an empty `delegation_source`
    /// stands for, `lifetime` that of an honest token in seconds.
    ///
    /// # Errors
    /// Which value of a name that we know is not understood.
    pub(crate) fn read(
        query: &Form,
        honest: Map<String, Value>,
        own_source: &str,
        (now, lifetime): (i64, i64),
    ) -> Result<Self, String> {
        let mut claims = honest;
        times(query, &mut claims, now, lifetime)?;
        for name in ["iss", "aud", "pid"] {
            if let Some(value) = query.get(name) {
                claims.insert(name.to_owned(), json!(value));
            }
        }
        parties(query, &mut claims, own_source);
        if let Some(thumbprint) = query.get("cnf") {
            claims.insert("cnf".to_owned(), json!({ "jkt": thumbprint }));
        }
        claims.extend(any(query, CLAIM));
        for name in query.all("without") {
            claims.shift_remove(name);
        }
        let mut header: Map<String, Value> = ["typ", "kid"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), json!(query.get(name)?))))
            .collect();
        header.extend(any(query, HEADER));
        let key = match query.get("key") {
            None => Key::Published,
            Some("ec") => Key::Ec,
            Some("unknown") => Key::Unknown,
            Some(_) => return Err("key is ec or unknown".to_owned()),
        };
        Ok(Self {
            claims: claims.into(),
            header,
            alg: query.get("alg").map(str::to_owned),
            key,
        })
    }
}

/// `exp`, `iat` and `nbf`, in whole seconds from now.
fn times(
    query: &Form,
    claims: &mut Map<String, Value>,
    now: i64,
    lifetime: i64,
) -> Result<(), String> {
    for name in ["exp", "iat", "nbf"] {
        let Some(text) = query.get(name) else {
            continue;
        };
        let from_now: i64 = text
            .parse()
            .map_err(|_not_whole| format!("{name} is whole seconds from now"))?;
        let moment = now.saturating_add(from_now);
        claims.insert(name.to_owned(), json!(moment));
        if name == "exp" && from_now <= 0 {
            // An expired token was issued before it expired.
            let issued = moment.saturating_sub(lifetime);
            claims.insert("iat".to_owned(), json!(issued));
        }
    }
    Ok(())
}

/// Who acts for whom: a supplier, or the vendor of a system user.
fn parties(query: &Form, claims: &mut Map<String, Value>, own_source: &str) {
    if let Some(supplier) = query.get("supplier") {
        claims.insert("supplier".to_owned(), identifier(supplier));
    }
    if let Some(source) = query.get("delegation_source") {
        let source = Some(source).filter(|source| !source.is_empty());
        let source = json!(source.unwrap_or(own_source));
        claims.insert("delegation_source".to_owned(), source);
    }
    if query.get("systemuser").is_some() || query.get("systemuser_org").is_some() {
        let id = query.get("systemuser").filter(|id| !id.is_empty());
        let owner = query
            .get("systemuser_org")
            .unwrap_or(crate::people::DEFAULT_ORGANISATION);
        let details = system_user(id.unwrap_or(SYSTEM_USER), owner);
        claims.insert("authorization_details".to_owned(), details);
    }
}

/// Claims or members under any name: JSON where the value is JSON, else text.
fn any<'a>(query: &'a Form, prefix: &'a str) -> impl Iterator<Item = (String, Value)> {
    query.names().filter_map(move |name| {
        let bare = name.strip_prefix(prefix)?;
        let text = query.get(name)?;
        let value = serde_json::from_str(text).unwrap_or_else(|_text| json!(text));
        Some((bare.to_owned(), value))
    })
}

/// A system user as Maskinporten writes it into a token.
pub(crate) fn system_user(id: &str, owner: &str) -> Value {
    json!([{
        "type": "urn:altinn:systemuser",
        "systemuser_id": [id],
        "systemuser_org": identifier(owner),
        "system_id": format!("{}_sandbox", crate::people::DEFAULT_ORGANISATION),
    }])
}

/// An organisation as Maskinporten names it (ISO 6523; 0192 is Norway's register).
pub(crate) fn identifier(organisation: &str) -> Value {
    json!({ "authority": "iso6523-actorid-upis", "ID": format!("0192:{organisation}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn wish(query: &str) -> Result<Wish, String> {
        let honest = json!({"iss": "i", "iat": NOW, "exp": NOW + 600, "scope": "a"});
        let honest = honest.as_object().unwrap().clone();
        let query = Form::parse(query).unwrap();
        Wish::read(&query, honest, "http://here/delegations", (NOW, 600))
    }

    #[test]
    fn names_that_are_not_known_change_nothing() {
        let honest = wish("scopes=a").unwrap();
        for name in [
            "env",
            "org",
            "ttl",
            "bulkCount",
            "Pid",
            "suplier",
            "claims.x",
            "",
        ] {
            let told = wish(&format!("scopes=a&{name}=1")).unwrap();
            assert_eq!(told.claims, honest.claims, "{name}");
            assert_eq!((&told.header, &told.alg), (&honest.header, &honest.alg));
            assert_eq!(told.key, honest.key, "{name}");
        }
        assert!(wish("scopes=a&key=other").is_err());
    }

    #[test]
    fn moments_are_seconds_from_now() {
        let claims = wish("exp=10&iat=-5&nbf=7").unwrap().claims;
        assert_eq!(claims["exp"], NOW + 10);
        assert_eq!(claims["iat"], NOW - 5);
        assert_eq!(claims["nbf"], NOW + 7);
        assert_eq!(wish("exp=-31").unwrap().claims["iat"], NOW - 631);
        for name in ["exp", "iat", "nbf"] {
            let told = wish(&format!("{name}=soon")).unwrap_err();
            assert!(told.starts_with(name), "{told}");
        }
    }

    #[test]
    fn parties_are_what_they_are_told_to_be() {
        let claims = wish("supplier=974760673&delegation_source=")
            .unwrap()
            .claims;
        assert_eq!(claims["supplier"]["ID"], "0192:974760673");
        assert_eq!(claims["delegation_source"], "http://here/delegations");
        let claims = wish("delegation_source=x").unwrap().claims;
        assert_eq!(claims["delegation_source"], "x");
        let details = &wish("systemuser=").unwrap().claims["authorization_details"][0];
        assert_eq!(details["systemuser_id"], json!([SYSTEM_USER]));
        assert_eq!(details["systemuser_org"]["ID"], "0192:991825827");
        let details = &wish("systemuser=u&systemuser_org=9").unwrap().claims;
        let details = &details["authorization_details"][0];
        assert_eq!(details["systemuser_id"], json!(["u"]));
        assert_eq!(details["systemuser_org"]["ID"], "0192:9");
    }

    #[test]
    fn anything_can_be_said_and_left_out() {
        let wish = wish(
            "claim.scope=[1]&claim.x=text&without=iss&without=iat&cnf=jkt&typ=JOSE&kid=k&header.crit=[\"b\"]",
        )
        .unwrap();
        assert_eq!(wish.claims["scope"], json!([1]));
        assert_eq!(wish.claims["x"], "text");
        assert_eq!(wish.claims["cnf"], json!({"jkt": "jkt"}));
        assert!(wish.claims.get("iss").is_none() && wish.claims.get("iat").is_none());
        let header = Value::Object(wish.header);
        assert_eq!(header, json!({"typ": "JOSE", "kid": "k", "crit": ["b"]}));
    }
}
