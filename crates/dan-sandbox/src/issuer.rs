//! An identity provider shaped like Maskinporten, with the token generator that tests use (contracts.md §2).

use aws_lc_rs::error::Unspecified;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::assertion::{self, ALGORITHMS, Grant, JWT_GRANT, Refusal};
use crate::keys::{RsaKey, Signer};
use crate::people::DEFAULT_ORGANISATION;
use crate::reply::{self, Call, Form, Reply};
use crate::ring::{self, Ring};
use crate::wish::{self, Key, Wish, identifier};

/// Where the token generator listens, as Altinn's does.
pub(crate) const GENERATOR_PATH: &str = "/api/GetEnterpriseToken";
/// Exchanges the keys.
pub(crate) const ROTATE_PATH: &str = "/control/issuer/rotate";
/// How long an honest token lives, seconds.
const LIFETIME: i64 = 600;
/// What the k6 suite asks for when it means none, and what it gets beside it (clients.md §4).
const NULL_SCOPE: (&str, &str) = ("altinn:dataaltinnno/null", "altinn:dataaltinnno/ebevis");

/// The identity provider.
pub(crate) struct Issuer {
    base: String,
    /// Ends in a slash, as Maskinporten's does.
    name: String,
    audience: String,
    keys: Ring,
    unpublished: OnceCell<RsaKey>,
}

impl Issuer {
    /// Makes its keys on a thread of its own, since that takes a while.
    ///
    /// # Errors
    /// When the keys cannot be made.
    pub(crate) async fn new(base: &str, audience: String) -> Result<Self, Unspecified> {
        Ok(Self {
            base: base.to_owned(),
            name: format!("{base}/"),
            audience,
            keys: Ring::new(ring::new_keys().await?),
            unpublished: OnceCell::new(),
        })
    }

    /// Answers discovery, the key set and the token endpoint.
    pub(crate) async fn answer(&self, call: &Call, now_ms: i64) -> Reply {
        match (call.path(), call.method()) {
            ("/token", &Method::POST) => match self.granted(call, seconds(now_ms)).await {
                Ok(reply) => reply,
                Err(refusal) => refused(&refusal),
            },
            ("/token", _) => reply::method_not_allowed("POST"),
            _ if !call.reads() => reply::method_not_allowed("GET, HEAD"),
            ("/jwk", _) => reply::ok(&self.keys.published()),
            _ => reply::ok(&self.discovery()),
        }
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.name,
            "token_endpoint": format!("{}/token", self.base),
            "jwks_uri": format!("{}/jwk", self.base),
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "grant_types_supported": [JWT_GRANT],
        })
    }

    async fn granted(&self, call: &Call, now: i64) -> Result<Reply, Refusal> {
        let media_type = call.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let form = std::str::from_utf8(call.body())
            .ok()
            .filter(|_| media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
            .and_then(Form::parse)
            .ok_or(Refusal {
                error: "invalid_request",
                description: "the body is not application/x-www-form-urlencoded",
            })?;
        if form.get("grant_type") != Some(JWT_GRANT) {
            return Err(Refusal {
                error: "unsupported_grant_type",
                description: "grant_type is not the JWT bearer grant",
            });
        }
        let assertion = form.get("assertion").ok_or(Refusal {
            error: "invalid_request",
            description: "assertion is missing",
        })?;
        let grant = assertion::check(assertion, &self.name, now)?;
        let claims = self.claims_of(&grant, now);
        Ok(self
            .signed(&Wish {
                claims,
                header: Map::new(),
                alg: None,
                key: Key::Published,
            })
            .await
            .map_or_else(failed, |access_token| {
                reply::ok(&json!({
                    "access_token": access_token,
                    "token_type": "Bearer",
                    "expires_in": LIFETIME,
                    "scope": grant.scope,
                }))
            }))
    }

    /// With `consumer_org` the client's own organisation is the supplier of the one it acts for.
    fn claims_of(&self, grant: &Grant, now: i64) -> Value {
        let own = DEFAULT_ORGANISATION;
        let consumer = grant.consumer.as_deref();
        let mut claims = self.honest(&grant.scope, consumer.unwrap_or(own), now);
        set(&mut claims, "client_id", json!(grant.client));
        if let Some(resource) = &grant.resource {
            set(&mut claims, "aud", json!(resource));
        }
        if consumer.is_some() {
            set(&mut claims, "supplier", identifier(own));
            let source = json!(delegation_source(&self.base));
            set(&mut claims, "delegation_source", source);
        }
        if let Some(owner) = &grant.system_user_org {
            let details = wish::system_user(wish::SYSTEM_USER, owner);
            set(&mut claims, "authorization_details", details);
        }
        claims
    }

    fn honest(&self, scope: &str, organisation: &str, now: i64) -> Value {
        json!({
            "iss": self.name,
            "aud": self.audience,
            "iat": now,
            "exp": now.saturating_add(LIFETIME),
            "jti": Uuid::new_v4().to_string(),
            "scope": scope,
            "token_type": "Bearer",
            "client_amr": "private_key_jwt",
            "client_id": "sandbox-client",
            "consumer": identifier(organisation),
        })
    }

    /// The bare token the generator's query asks for, true or not.
    pub(crate) async fn generate(&self, call: &Call, now_ms: i64) -> Reply {
        if !call.reads() {
            return reply::method_not_allowed("GET, HEAD");
        }
        let scheme = call.credentials_scheme();
        if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case("basic")) {
            return reply::unauthorized(
                "Basic",
                "only Basic credentials are understood, any will do",
            );
        }
        let wish = call
            .query()
            .ok_or_else(|| "the query cannot be decoded".to_owned())
            .and_then(|query| self.wished(&query, seconds(now_ms)));
        match wish {
            Ok(wish) => self.signed(&wish).await.map_or_else(failed, |token| {
                reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", token.into())
            }),
            Err(description) => reply::json(
                StatusCode::BAD_REQUEST,
                &json!({ "error": "invalid_request", "error_description": description }),
            ),
        }
    }

    fn wished(&self, query: &Form, now: i64) -> Result<Wish, String> {
        let scopes = query
            .get("scopes")
            .ok_or("scopes is missing; it may be empty")?;
        let organisation = query.get("orgNo").unwrap_or(DEFAULT_ORGANISATION);
        let honest = match self.honest(&scope_of(scopes), organisation, now) {
            Value::Object(claims) => claims,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        let source = delegation_source(&self.base);
        Wish::read(query, honest, &source, (now, LIFETIME))
    }

    /// Signs with new keys from now on (`/control/issuer/rotate`); with `drop=true` the old ones are published no
    /// more.
    pub(crate) async fn rotate(&self, call: &Call) -> Reply {
        if !matches!(*call.method(), Method::POST | Method::PUT) {
            return reply::method_not_allowed("POST, PUT");
        }
        let drop_old = match call.query().as_ref().map(|query| query.get("drop")) {
            Some(None | Some("false")) => false,
            Some(Some("true")) => true,
            Some(Some(_)) | None => {
                return reply::refused(StatusCode::BAD_REQUEST, "drop is true or false");
            }
        };
        match ring::new_keys().await {
            Ok(keys) => {
                self.keys.rotate(keys, drop_old);
                reply::ok(&json!({ "kid": self.keys.current().kid() }))
            }
            Err(unspecified) => failed(unspecified),
        }
    }

    /// The token of a call, when it is an honest one of this identity provider that has not expired. Whom it was issued to
    /// and with which scopes does not matter.
    ///
    /// # Errors
    /// Why there is none, for the answer 401.
    pub(crate) fn admit<'a>(&self, call: &'a Call, now_ms: i64) -> Result<&'a str, &'static str> {
        let token = call.bearer().ok_or("a bearer token is needed")?;
        let claims = self.keys.claims(token);
        let claims = claims.ok_or("the token is not one of this identity provider")?;
        let expires = claims.get("exp").and_then(Value::as_i64);
        if expires.is_some_and(|expires| seconds(now_ms) < expires) {
            Ok(token)
        } else {
            Err("the token has expired")
        }
    }

    async fn signed(&self, wish: &Wish) -> Result<String, Unspecified> {
        let signer = match wish.key {
            Key::Published => Signer::Published,
            Key::Ec => Signer::Ec,
            Key::Unknown => Signer::Unpublished(
                self.unpublished
                    .get_or_try_init(|| made_aside(RsaKey::generate))
                    .await?,
            ),
        };
        let alg = wish.alg.as_deref();
        let keys = self.keys.current();
        keys.token(signer, alg, &wish.header, &wish.claims)
    }
}

/// Where delegations are looked up, in the words of a token.
pub(crate) fn delegation_source(base: &str) -> String {
    format!("{base}/delegations")
}

async fn made_aside<T: Send + 'static>(
    make: fn() -> Result<T, Unspecified>,
) -> Result<T, Unspecified> {
    spawn_blocking(make).await.unwrap_or(Err(Unspecified))
}

/// Scopes separated by space or comma, each once, in the order asked for.
fn scope_of(text: &str) -> String {
    let mut scopes: Vec<&str> = Vec::new();
    for scope in text.split([' ', ',']).filter(|scope| !scope.is_empty()) {
        let beside = (scope == NULL_SCOPE.0).then_some(NULL_SCOPE.1);
        for scope in std::iter::once(scope).chain(beside) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
    }
    scopes.join(" ")
}

fn set(claims: &mut Value, name: &str, value: Value) {
    if let Some(claims) = claims.as_object_mut() {
        claims.insert(name.to_owned(), value);
    }
}

fn seconds(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(1000)
}

fn refused(refusal: &Refusal) -> Reply {
    let Refusal { error, description } = refusal;
    reply::json(
        StatusCode::BAD_REQUEST,
        &json!({ "error": error, "error_description": description }),
    )
}

fn failed(_: Unspecified) -> Reply {
    reply::refused(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the token could not be signed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_separated_by_space_or_comma_and_listed_once() {
        assert_eq!(scope_of("a:b c,d  a:b,"), "a:b c d");
        assert_eq!(scope_of(""), "");
    }

    #[test]
    fn the_null_scope_of_k6_brings_the_scope_of_ebevis() {
        let both = "altinn:dataaltinnno/null altinn:dataaltinnno/ebevis";
        assert_eq!(scope_of("altinn:dataaltinnno/null"), both);
        assert_eq!(
            scope_of("altinn:dataaltinnno/null,altinn:dataaltinnno/ebevis"),
            both
        );
        assert_eq!(
            scope_of("altinn:dataaltinnno/nullx"),
            "altinn:dataaltinnno/nullx"
        );
    }
}
