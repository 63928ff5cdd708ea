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
    /// Whether it stands for the subject or the caller, and not for this node.
    pub(crate) const fn is_somebodys(&self) -> bool {
        matches!(self, Self::Consent | Self::Caller { .. })
    }

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
        let issuer = ports
            .tokens
            .as_ref()
            .ok_or_else(|| without((source, call), "this node", "no token client is configured"))?;
        let token = issuer.token(&wish, ctx).await;
        let token = token.map_err(|FactError { authority, cause }| {
            without((source, call), &authority, &cause)
        })?;
        Ok(Some(bearer(&token)))
    }
}

/// A token of ours cannot be had.
pub(crate) fn without((source, call): (&str, &str), authority: &str, cause: &str) -> SourceError {
    SourceError {
        failure: SourceFailure::Unreachable,
        detail: DETAIL_NOT_ASKED,
        text: Some(format!(
            "there is no token for the source: {authority} gives none"
        )),
        cause: format!("call {call}: no token from {authority}: {cause}"),
        ..failure::unusable(source, call, "no token")
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
    /// The owner: what is kept for one is not shown to another.
    pub(crate) owner: Option<OrgNumber>,
}

impl Brought {
    pub(crate) fn of(order: &HarvestOrder) -> Self {
        let offered = order.tokens();
        Self {
            reused: order.caller_token().filter(|_| offered.reuse).cloned(),
            forwarded: offered.forwarded.clone(),
            on_behalf_of: order.owner().filter(|_| offered.on_behalf_of_owner),
            owner: order.owner(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use dan_core::ports::{Fetch, FetchError, FetchReply, FetchRequest, PortFuture};
    use dan_core::testkit::builders::{AGENCY, org};
    use dan_core::testkit::fakes::{StillClock, call_context};

    use super::*;
    use crate::authorities::tokens::{AccessToken, TokenIssuer};

    struct Nowhere;

    impl Fetch for Nowhere {
        fn fetch<'a>(
            &'a self,
            _request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            Box::pin(std::future::ready(Err(FetchError::Timeout)))
        }
    }

    /// Notes what it is asked for.
    #[derive(Default)]
    struct Issuer {
        wishes: Mutex<Vec<TokenWish>>,
        down: bool,
    }

    impl TokenIssuer for Issuer {
        fn token<'a>(
            &'a self,
            wish: &'a TokenWish,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<AccessToken, FactError>> {
            self.wishes.lock().expect("no panic").push(wish.clone());
            let answer = if self.down {
                Err(FactError {
                    authority: "Maskinporten".to_owned(),
                    cause: "HTTP status 500".to_owned(),
                })
            } else {
                Ok(secret("ours"))
            };
            Box::pin(std::future::ready(answer))
        }
    }

    fn secret(text: &str) -> Arc<Secret> {
        Arc::new(Secret::new(text.to_owned()))
    }

    fn caller() -> CallToken {
        CallToken::Caller {
            scope: "a:b".to_owned(),
        }
    }

    fn brought(reused: &str, forwarded: &str, on_behalf: bool) -> Brought {
        let some = |text: &str| (!text.is_empty()).then(|| secret(text));
        Brought {
            owner: None,
            reused: some(reused),
            forwarded: some(forwarded),
            on_behalf_of: on_behalf.then(|| org(AGENCY)),
        }
    }

    async fn sent(
        token: &CallToken,
        brought: &Brought,
        issuer: Option<&Arc<Issuer>>,
    ) -> Result<Option<String>, SourceError> {
        let ports = SourcePorts::new(
            Arc::new(Nowhere),
            Arc::new(StillClock::default()),
            issuer.map(|issuer| Arc::clone(issuer) as _),
        );
        let sent = token
            .authorization(("freg", "person"), brought, &ports, &call_context())
            .await?;
        Ok(sent.map(|secret| secret.expose().to_owned()))
    }

    /// `wire-api.md` §2.5, in the order of the code.
    #[tokio::test]
    async fn the_callers_own_token_goes_before_the_forwarded_one_and_that_before_ours() {
        for (brought, expected, asked) in [
            (brought("reused", "forwarded", true), "Bearer reused", 0),
            (brought("", "forwarded", true), "Bearer forwarded", 0),
            (brought("", "", true), "Bearer ours", 1),
        ] {
            let issuer = Arc::new(Issuer::default());
            let sent = sent(&caller(), &brought, Some(&issuer)).await;
            assert_eq!(sent.expect("a token").as_deref(), Some(expected));
            let wishes = issuer.wishes.lock().expect("no panic");
            assert_eq!(wishes.len(), asked);
            assert!(wishes.iter().all(|wish| wish.consumer == Some(org(AGENCY))));
            assert!(wishes.iter().all(|wish| wish.scope == "a:b"));
        }
    }

    #[tokio::test]
    async fn a_call_that_wants_the_callers_token_is_not_made_in_our_name() {
        let issuer = Arc::new(Issuer::default());
        let refused = sent(&caller(), &Brought::default(), Some(&issuer)).await;
        let refused = refused.expect_err("none is offered");
        assert_eq!(refused.failure, SourceFailure::Refused);
        let text = refused.text.expect("what to do");
        assert!(text.contains("tokenOnBehalfOfOwner=true"), "{text}");
        assert!(issuer.wishes.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn a_token_that_could_end_the_header_is_refused_and_not_shown() {
        for text in [
            "canary\r\nx: y",
            "can ary",
            "Bearer canary",
            "canaræ",
            &"x".repeat(20_000),
        ] {
            for brought in [brought(text, "", false), brought("", text, false)] {
                let refused = sent(&caller(), &brought, None).await.expect_err("refused");
                assert_eq!(refused.failure, SourceFailure::Refused);
                assert!(!format!("{refused:?}").contains("canar"), "{refused:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_token_of_ours_is_in_our_own_name_whatever_is_offered() {
        let own = CallToken::Own {
            scope: "c:d".to_owned(),
        };
        let issuer = Arc::new(Issuer::default());
        let sent = sent(&own, &brought("reused", "forwarded", true), Some(&issuer)).await;
        assert_eq!(sent.expect("a token").as_deref(), Some("Bearer ours"));
        let wishes = issuer.wishes.lock().expect("no panic");
        assert_eq!(*wishes, [TokenWish::own("c:d".to_owned())]);
    }

    #[tokio::test]
    async fn without_a_token_of_ours_the_source_is_out_of_reach_w22() {
        let down = Arc::new(Issuer {
            down: true,
            ..Issuer::default()
        });
        let own = CallToken::Own {
            scope: "c:d".to_owned(),
        };
        for (issuer, authority) in [(Some(&down), "Maskinporten"), (None, "this node")] {
            for token in [&own, &caller()] {
                let error = sent(token, &brought("", "", true), issuer).await;
                let error = error.expect_err("no token");
                assert_eq!(error.failure, SourceFailure::Unreachable);
                assert_eq!(error.detail, DETAIL_NOT_ASKED, "the source is not to blame");
                assert!(error.text.expect("who").contains(authority));
            }
        }
    }

    #[tokio::test]
    async fn a_call_without_a_token_is_made_without_one() {
        let sent = sent(
            &CallToken::None,
            &brought("reused", "forwarded", true),
            None,
        )
        .await;
        assert_eq!(sent.expect("fine"), None);
    }
}
