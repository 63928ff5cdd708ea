//! [`AltinnTokens`]: a token of Maskinporten, exchanged for one of Altinn. Most of Altinn's services
//! take nothing else (docs.altinn.studio, *authentication/maskinporten*).

use std::sync::Arc;

use dan_core::ports::{CallContext, Clock, FactError, Fetch, FetchReply, FetchRequest};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_core::ttl::{Freshness, TtlMap};

use super::{AccessToken, TokenIssuer, TokenWish, bearer, is_token};
use crate::authorities::line::{self, Line};

/// How long an exchanged token is used, in milliseconds (5 min). They live for half an hour.
const USED_MS: i64 = 300_000;
/// Wishes whose tokens are kept; one is used.
const TOKENS_KEPT_MAX: usize = 16;
/// Largest answer, in bytes.
const REPLY_BYTES_MAX: usize = 64 << 10;
/// Behind the address of the platform.
const PATH: &str = "/authentication/api/v1/exchange/maskinporten";

/// Tokens of Altinn.
pub(crate) struct AltinnTokens {
    issuer: Arc<dyn TokenIssuer>,
    url: String,
    authority: &'static str,
    line: Line,
    clock: Arc<dyn Clock>,
    tokens: TtlMap<TokenWish, AccessToken>,
}

impl AltinnTokens {
    pub(crate) fn new(
        authority: &'static str,
        base: &str,
        issuer: Arc<dyn TokenIssuer>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            issuer,
            url: format!("{base}{PATH}"),
            authority,
            line: Line::new(authority, fetch, Arc::clone(&clock)),
            clock,
            tokens: TtlMap::new(TOKENS_KEPT_MAX),
        }
    }

    /// A token, kept or new; `key` is sent along where there is a subscription.
    pub(crate) async fn token(
        &self,
        wish: &TokenWish,
        key: Option<(String, Secret)>,
        ctx: &CallContext,
    ) -> Result<AccessToken, FactError> {
        let now = self.clock.now();
        let judge = |_: &AccessToken, made: Timestamp| {
            let age = now.as_ms().saturating_sub(made.as_ms());
            if (0..USED_MS).contains(&age) {
                Freshness::Fresh
            } else {
                Freshness::Dead
            }
        };
        let asking = self.ask(wish, key, ctx);
        self.tokens.get_or_make(wish, now, judge, asking).await
    }

    async fn ask(
        &self,
        wish: &TokenWish,
        key: Option<(String, Secret)>,
        ctx: &CallContext,
    ) -> Result<AccessToken, FactError> {
        let token = self.issuer.token(wish, ctx).await?;
        let mut request = FetchRequest::get(self.authority, self.url.clone(), REPLY_BYTES_MAX);
        request.headers = vec![("accept", "text/plain, application/json".to_owned())];
        request.authorization = Some(bearer(&token));
        request.secret_headers = key.into_iter().collect();
        let reply = self.line.send(request, line::is_answer, ctx).await?;
        read(&reply).map_err(|reason| self.line.failure(&reason))
    }
}

/// The bare token, or the same as a JSON string.
fn read(reply: &FetchReply) -> Result<AccessToken, String> {
    if reply.status != 200 {
        return Err(format!("HTTP status {} for the exchange", reply.status));
    }
    let text = std::str::from_utf8(&reply.body).unwrap_or_default().trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    if !is_token(bare) {
        return Err("the exchange gave no token".to_owned());
    }
    Ok(Arc::new(Secret::new(bare.to_owned())))
}
