//! The caller offers a token for the source.

use super::Unmet;
use crate::inquiry::Inquiry;

/// The request offers one of the three tokens of `wire-api.md` §2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnToken;

impl OwnToken {
    #[expect(clippy::unused_self, reason = "all kinds are checked the same way")]
    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        if inquiry.tokens.any() {
            return Ok(());
        }
        Err(Unmet::new(
            "offer a token for the source: tokenOnBehalfOfOwner=true, reuseToken=true or the header X-Forward-Access-Token",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Requirement;
    use super::super::testing::{assert_decides, inquiry_with, trial, unmet_alone};
    use super::OwnToken;
    use crate::inquiry::OfferedTokens;
    use crate::secret::Secret;

    #[test]
    fn any_of_the_three_tokens_will_do_and_none_will_not() {
        let none = OfferedTokens::default;
        let forwarded = Some(Arc::new(Secret::new("token".to_owned())));
        for (tokens, met) in [
            (none(), false),
            (
                OfferedTokens {
                    reuse: true,
                    ..none()
                },
                true,
            ),
            (
                OfferedTokens {
                    forwarded,
                    ..none()
                },
                true,
            ),
            (
                OfferedTokens {
                    on_behalf_of_owner: true,
                    ..none()
                },
                true,
            ),
        ] {
            let inquiry = inquiry_with(|it| it.tokens = tokens);
            let reason = unmet_alone(&Requirement::OwnToken(OwnToken), &inquiry);
            assert_eq!(reason.is_none(), met);
            assert!(reason.is_none_or(|reason| reason.contains("tokenOnBehalfOfOwner=true")));
        }
    }

    #[tokio::test]
    async fn an_own_token_decides() {
        let met = trial(|it| it.tokens.on_behalf_of_owner = true);
        let rule = Requirement::OwnToken(OwnToken);
        assert_decides(&rule, Some(&met), &trial(|_| {})).await;
    }
}
