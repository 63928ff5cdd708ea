//! Scopes in the caller's token.

use super::Unmet;
use crate::inquiry::Inquiry;

/// The token holds every scope of the list, whole and exact.
#[derive(Clone, Debug)]
pub struct ScopeRule {
    /// The scopes.
    pub required: Vec<String>,
}

impl ScopeRule {
    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        if self
            .required
            .iter()
            .all(|scope| inquiry.scopes.contains(scope))
        {
            return Ok(());
        }
        Err(Unmet::new(format!(
            "the token must hold the scope {}",
            self.required.join(" and ")
        )))
    }
}
