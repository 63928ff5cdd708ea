//! [`MaskinportenClient`]: tokens by JWT bearer grants (RFC 7523 §2.1; `engine.md` §4.4, §5.4).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dan_core::ports::{
    CallContext, Clock, Entropy, FactError, Fetch, FetchRequest, Method, PortFuture,
};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_core::ttl::{Freshness, TtlMap};
use serde_json::{Map, Value, json};
use tokio::time::timeout_at;

use super::client_key::ClientKey;
use super::{AccessToken, TokenIssuer, TokenWish, read, used_until};
use crate::authorities::line::{self, Line};

/// How long an assertion is good, in seconds (`engine.md` §5.4).
pub const ASSERTION_S: i64 = 60;
/// Tokens that are kept.
pub const TOKENS_KEPT_MAX: usize = 1_024;
/// Largest answer of the token endpoint, in bytes.
const REPLY_BYTES_MAX: usize = 64 << 10;
/// RFC 7523 §2.1.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The authority, in words a consumer knows.
const AUTHORITY: &str = "Maskinporten";

/// Our registration at Maskinporten.
pub struct MaskinportenConfig {
    /// Where tokens are given, for instance `https://maskinporten.no/token`.
    pub token_endpoint: String,
    /// The issuer, for instance `https://maskinporten.no/`; `None` for the token endpoint up to its
    /// last slash.
    pub audience: Option<String>,
    /// Our client.
    pub client_id: String,
    /// Identifier under which the key is registered. `None`: the certificate of the key is sent
    /// (`x5c`), if there is one, else the key goes by its RFC 7638 thumbprint.
    pub key_id: Option<String>,
    /// A private key, RSA or on P-256, PEM; its certificate may stand beside it.
    pub key: Secret,
    /// Its certificate, PEM, where it has a file of its own. Not together with `key_id`.
    pub certificate: Option<String>,
}

/// A token and when to stop using it.
type Kept = (AccessToken, Timestamp);

/// Our client at Maskinporten. Tokens are kept until shortly before they expire; while one is being
/// got, all who want the same wait for it.
pub struct MaskinportenClient {
    token_endpoint: String,
    audience: String,
    client_id: String,
    key: ClientKey,
    /// Encoded.
    header: String,
    line: Line,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tokens: TtlMap<TokenWish, Kept>,
}

impl MaskinportenClient {
    /// A client that has no token yet.
    ///
    /// # Errors
    /// What is wrong with the configuration, for the operator.
    pub fn new(
        config: MaskinportenConfig,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, String> {
        let key = ClientKey::read(&config.key).map_err(|reason| format!("the key: {reason}"))?;
        let key = match (&config.certificate, &config.key_id) {
            (None, _) => key,
            (Some(_), Some(_)) => {
                return Err("key_id and certificate exclude each other; leave one out".to_owned());
            }
            (Some(text), None) => key
                .with_certificate(text)
                .map_err(|reason| format!("the certificate: {reason}"))?,
        };
        let header = header(&key, config.key_id);
        let audience = match config.audience {
            Some(audience) => audience,
            None => config
                .token_endpoint
                .rsplit_once('/')
                .map(|(base, _)| format!("{base}/"))
                .ok_or("the token endpoint is no address")?,
        };
        if config.client_id.is_empty() {
            return Err("the client identifier is empty".to_owned());
        }
        Ok(Self {
            token_endpoint: config.token_endpoint,
            audience,
            client_id: config.client_id,
            key,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            line: Line::new(AUTHORITY, fetch, Arc::clone(&clock)),
            clock,
            entropy,
            tokens: TtlMap::new(TOKENS_KEPT_MAX),
        })
    }

    async fn kept_or_new(
        &self,
        wish: &TokenWish,
        ctx: &CallContext,
    ) -> Result<AccessToken, FactError> {
        let now = self.clock.now();
        let judge = |(_, until): &Kept, _| {
            if now < *until {
                Freshness::Fresh
            } else {
                Freshness::Dead
            }
        };
        let asking = self.ask(wish, ctx);
        let (token, _) = self.tokens.get_or_make(wish, now, judge, asking).await?;
        Ok(token)
    }

    async fn ask(&self, wish: &TokenWish, ctx: &CallContext) -> Result<Kept, FactError> {
        let now = self.clock.now();
        let assertion = self
            .assertion(wish, now)
            .map_err(|reason| self.line.failure(&reason))?;
        // Neither part holds a character that a form would have to encode but the colons.
        let form = format!(
            "grant_type={}&assertion={assertion}",
            GRANT_TYPE.replace(':', "%3A")
        );
        let request = FetchRequest {
            method: Method::Post,
            url: self.token_endpoint.clone(),
            headers: vec![("accept", "application/json".to_owned())],
            authorization: None,
            secret_headers: Vec::new(),
            body: Some(("application/x-www-form-urlencoded", Bytes::from(form))),
            reply_bytes_max: REPLY_BYTES_MAX,
            peer: AUTHORITY.to_owned(),
        };
        let reply = self.line.send(request, line::is_answer, ctx).await?;
        let (token, lifetime_s) = read(&reply).map_err(|reason| self.line.failure(&reason))?;
        Ok((token, used_until(now, lifetime_s)))
    }

    /// The signed assertion (RFC 7523 §3).
    fn assertion(&self, wish: &TokenWish, now: Timestamp) -> Result<String, String> {
        let mut identifier = [0; 16];
        self.entropy.fill(&mut identifier);
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("aud", json!(self.audience));
        claim("iss", json!(self.client_id));
        claim("scope", json!(wish.scope));
        claim("iat", json!(now.as_seconds()));
        claim("exp", json!(now.as_seconds().saturating_add(ASSERTION_S)));
        claim("jti", json!(URL_SAFE_NO_PAD.encode(identifier)));
        if let Some(consumer) = &wish.consumer {
            claim("consumer_org", json!(consumer.as_str()));
        }
        if let Some(resource) = &wish.resource {
            claim("resource", json!(resource));
        }
        let claims = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
        let signed = format!("{}.{claims}", self.header);
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// How the key is named (`clients.md` §8): by a certificate there is neither `kid` nor `typ`.
fn header(key: &ClientKey, key_id: Option<String>) -> Value {
    let alg = key.algorithm();
    match (key_id, key.certificate()) {
        (Some(key_id), _) => json!({"alg": alg, "typ": "JWT", "kid": key_id}),
        (None, Some(certificate)) => json!({"alg": alg, "x5c": [certificate]}),
        (None, None) => json!({"alg": alg, "typ": "JWT", "kid": key.thumbprint()}),
    }
}

impl TokenIssuer for MaskinportenClient {
    fn token<'a>(
        &'a self,
        wish: &'a TokenWish,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<AccessToken, FactError>> {
        Box::pin(async move {
            // Waiting for somebody who asks for the same counts too.
            timeout_at(ctx.deadline, self.kept_or_new(wish, ctx))
                .await
                .unwrap_or_else(|_elapsed| Err(self.line.late()))
        })
    }
}
