//! Access tokens of our own: for authorities, and for sources that are asked in our name or on behalf
//! of the owner of a grant (`wire-api.md` §2.5, `engine.md` §5.4).

mod client_credentials;
mod client_key;
mod exchange;
mod maskinporten;

use std::sync::Arc;

use dan_core::party::OrgNumber;
use dan_core::ports::{CallContext, FactError, FetchReply, PortFuture};
use dan_core::secret::Secret;
use dan_core::strict::json_object;
use dan_core::time::Timestamp;
use serde_json::Value;

pub(crate) use client_credentials::ClientCredentials;
pub(crate) use exchange::AltinnTokens;
pub use maskinporten::{ASSERTION_S, MaskinportenClient, MaskinportenConfig, TOKENS_KEPT_MAX};

/// A token, without `Bearer` before it.
pub type AccessToken = Arc<Secret>;

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenWish {
    /// Scopes with blanks between them.
    pub scope: String,
    /// The organisation we act for, where it is not our own (a supplier token).
    pub consumer: Option<OrgNumber>,
    /// The audience, for services that ask for one.
    pub resource: Option<String>,
}

impl TokenWish {
    /// A token in our own name.
    #[must_use]
    pub const fn own(scope: String) -> Self {
        Self {
            scope,
            consumer: None,
            resource: None,
        }
    }
}

/// Gets tokens.
pub trait TokenIssuer: Send + Sync {
    /// A token that is good for a while yet. May be dropped at any time.
    ///
    /// # Errors
    /// [`FactError`] when none can be had; the authority is who did not give it.
    fn token<'a>(
        &'a self,
        wish: &'a TokenWish,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<AccessToken, FactError>>;
}

/// Longest token that is taken, in bytes: it has to fit a header.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The characters of a bearer token (RFC 6750 §2.1): nothing that could end a header.
pub(crate) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.len() <= TOKEN_BYTES_MAX && text.bytes().all(fits)
}

/// The value of `Authorization` for a token.
pub(crate) fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// A token is not used any more this long before it expires, in seconds (`engine.md` §7.4).
const MARGIN_S: i64 = 30;
/// Longest time a token is kept, whatever it says of itself, in seconds.
const KEPT_S_MAX: i64 = 3_600;

/// Until when a token with this lifetime is used.
fn used_until(now: Timestamp, lifetime_s: i64) -> Timestamp {
    let used_s = lifetime_s.min(KEPT_S_MAX).saturating_sub(MARGIN_S).max(0);
    now.plus_ms(used_s.saturating_mul(1000))
}

/// The token and its lifetime in seconds (RFC 6749 §5.1). Errors hold a code of RFC 6749 §5.2 at
/// most, nothing else of the answer.
fn read(reply: &FetchReply) -> Result<(AccessToken, i64), String> {
    let answer = json_object(&reply.body);
    if reply.status != 200 {
        let code = answer.ok();
        let code = code
            .as_ref()
            .and_then(|answer| answer.get("error")?.as_str())
            .filter(|code| {
                code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            })
            .unwrap_or("no error code");
        return Err(format!("HTTP status {}, {code}", reply.status));
    }
    let answer = answer.map_err(|reason| format!("the answer is not understood: {reason}"))?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    if !text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err("the token is of another type than Bearer".to_owned());
    }
    let token = text("access_token").filter(|token| is_token(token));
    let token = token.ok_or("the answer holds no token")?;
    let lifetime = answer.get("expires_in").and_then(Value::as_i64);
    let lifetime = lifetime.ok_or("the answer does not say how long the token is good")?;
    Ok((Arc::new(Secret::new(token.to_owned())), lifetime))
}
