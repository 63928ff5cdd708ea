//! Access tokens of our own: for authorities, and for sources that are asked in our name or on behalf
//! of the owner of a grant (`wire-api.md` §2.5, `engine.md` §5.4).

mod client_key;
mod exchange;
mod maskinporten;

use std::sync::Arc;

use dan_core::party::OrgNumber;
use dan_core::ports::{CallContext, FactError, PortFuture};
use dan_core::secret::Secret;

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
