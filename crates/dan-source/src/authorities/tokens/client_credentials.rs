//! [`ClientCredentials`]: tokens of a source's own authorization server (RFC 6749 §4.4).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dan_core::ports::{CallContext, Clock, Fetch, FetchRequest, Method};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_core::ttl::{Freshness, TtlMap};

use super::{AccessToken, read, used_until};
use crate::declared::url::encoded;

/// Largest answer of the token endpoint, in bytes.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// A client at an authorization server, and the token it has.
pub(crate) struct ClientCredentials {
    endpoint: String,
    /// `client_id:client_secret`, sent as HTTP Basic (RFC 6749 §2.3.1).
    client: Arc<Secret>,
    scope: Option<String>,
    kept: TtlMap<(), (AccessToken, Timestamp)>,
}

impl ClientCredentials {
    pub(crate) fn new(endpoint: String, client: Arc<Secret>, scope: Option<String>) -> Self {
        Self {
            endpoint,
            client,
            scope,
            kept: TtlMap::new(1),
        }
    }

    /// The token that is kept, or a new one. While one is being got, all wait for it.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub(crate) async fn token(
        &self,
        fetch: &dyn Fetch,
        clock: &dyn Clock,
        ctx: &CallContext,
    ) -> Result<AccessToken, String> {
        let now = clock.now();
        let judge = |(_, until): &(AccessToken, Timestamp), _| match now < *until {
            true => Freshness::Fresh,
            false => Freshness::Dead,
        };
        let asking = self.ask(fetch, now, ctx);
        let (token, _) = self.kept.get_or_make(&(), now, judge, asking).await?;
        Ok(token)
    }

    async fn ask(
        &self,
        fetch: &dyn Fetch,
        now: Timestamp,
        ctx: &CallContext,
    ) -> Result<(AccessToken, Timestamp), String> {
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            form.push_str(&format!("&scope={}", encoded(scope)));
        }
        let basic = STANDARD.encode(self.client.expose());
        let request = FetchRequest {
            method: Method::Post,
            url: self.endpoint.clone(),
            headers: vec![("accept", "application/json".to_owned())],
            authorization: Some(Secret::new(format!("Basic {basic}"))),
            secret_headers: Vec::new(),
            body: Some(("application/x-www-form-urlencoded", Bytes::from(form))),
            reply_bytes_max: REPLY_BYTES_MAX,
            peer: "token endpoint".to_owned(),
        };
        let reply = fetch.fetch(request, ctx).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let (token, lifetime_s) = read(&reply)?;
        Ok((token, used_until(now, lifetime_s)))
    }
}

/// Without the secret.
impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCredentials")
    }
}
