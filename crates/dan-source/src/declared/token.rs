//! The token a call is asked with: the caller's, or one of ours (`wire-api.md` §2.5).
//!
//! A call that wants a token is never made without it (`engine.md` W-22).

use std::sync::Arc;

use dan_core::party::OrgNumber;
use dan_core::ports::{CallContext, FactError, HarvestOrder, SourceError, SourceFailure};
use dan_core::secret::Secret;

use super::call::SourcePorts;
use super::failure;
use crate::authorities::tokens::{TokenWish, bearer, is_token};
use crate::protect::DETAIL_NOT_ASKED;

/// `token` of a `[[call]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallToken {
    /// The source asks for none, or goes by the credential of its own file.
    None,
    /// A token of the subject's consent.
    Consent,
    /// What the caller offers; on behalf of the owner, a token of ours with this scope.
    Caller {
        /// Scopes with blanks between them.
        scope: String,
    },
    /// A token of ours.
    Own {
        /// Scopes with blanks between them.
        scope: String,
    },
}

impl CallToken {
    /// Scopes of the token that a call may be asked with.
    pub(crate) fn scope(&self) -> Option<&str> {
        match self {
            Self::Caller { scope } | Self::Own { scope } => Some(scope),
            Self::None | Self::Consent => None,
        }
    }

    /// The value of `Authorization`, if there is to be one. May ask the token issuer.
    ///
    /// # Errors
    /// Refused when the caller has to offer a token and does not; unreachable when ours cannot be
    /// had.
    pub(crate) async fn authorization(
        &self,
        (source, call): (&str, &str),
        brought: &Brought,
        ports: &SourcePorts,
        ctx: &CallContext,
    ) -> Result<Option<Secret>, SourceError> {
        let unusable = |what: &str| failure::unusable(source, call, what);
        let wish = match self {
            Self::None => return Ok(None),
            Self::Consent => return Err(unusable("this version cannot get a consent token")),
            Self::Own { scope } => TokenWish::own(scope.clone()),
            Self::Caller { scope } => {
                // The first that is there wins, as in DAN.
                if let Some(token) = brought.reused.as_ref().or(brought.forwarded.as_ref()) {
                    if !is_token(token.expose()) {
                        return Err(unusable("the token that is offered cannot be sent"));
                    }
                    return Ok(Some(bearer(token)));
                }
                let consumer = brought.on_behalf_of.ok_or_else(|| {
                    unusable(
                        "it wants a token: tokenOnBehalfOfOwner=true, reuseToken=true or the header \
                         X-Forward-Access-Token",
                    )
                })?;
                TokenWish {
                    consumer: Some(consumer),
                    ..TokenWish::own(scope.clone())
                }
            }
        };
        let without = |authority: &str, cause: &str| SourceError {
            failure: SourceFailure::Unreachable,
            detail: DETAIL_NOT_ASKED,
            text: Some(format!(
                "there is no token for the source: {authority} gives none"
            )),
            cause: format!("call {call}: no token from {authority}: {cause}"),
            ..unusable("no token")
        };
        let issuer = ports
            .tokens
            .as_ref()
            .ok_or_else(|| without("this node", "no token client is configured"))?;
        let token = issuer.token(&wish, ctx).await;
        let token = token.map_err(|FactError { authority, cause }| without(&authority, &cause))?;
        Ok(Some(bearer(&token)))
    }
}

/// What a request brings to be asked with.
#[derive(Clone, Default)]
pub(crate) struct Brought {
    /// The caller's own token, where he says that it may be used.
    pub(crate) reused: Option<Arc<Secret>>,
    /// Another one of his.
    pub(crate) forwarded: Option<Arc<Secret>>,
    /// The owner, where he wants us to get one.
    pub(crate) on_behalf_of: Option<OrgNumber>,
}

impl Brought {
    pub(crate) fn of(order: &HarvestOrder) -> Self {
        let offered = order.tokens();
        Self {
            reused: order.caller_token().filter(|_| offered.reuse).cloned(),
            forwarded: offered.forwarded.clone(),
            on_behalf_of: order.owner().filter(|_| offered.on_behalf_of_owner),
        }
    }
}
