//! The caller offers a token for the source.

use super::Unmet;
use crate::inquiry::Inquiry;

/// The request offers one of the three tokens of `wire-api.md` §2.5.
#[derive(Clone, Debug)]
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
