//! Scopes in the caller's token.

use super::Unmet;
use crate::inquiry::Inquiry;

/// The token holds every scope of the list, whole and exact.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::Requirement;
    use super::super::testing::{SCOPE, assert_decides, inquiry_with, trial, unmet_alone};
    use super::ScopeRule;

    fn rule(required: &[&str]) -> Requirement {
        Requirement::Scope(ScopeRule {
            required: required.iter().map(|scope| (*scope).to_owned()).collect(),
        })
    }

    #[test]
    fn appendix_b_10_the_token_holds_every_scope_whole_and_exact() {
        for (required, held, met) in [
            (&["a", "b"][..], &["a", "b"][..], true),
            (&["a", "b"], &["b", "c", "a"], true),
            (&["a", "a"], &["a"], true),
            (&["a", "b"], &["a"], false),
            (&["a"], &[], false),
            (&["a"], &["A"], false),
            (&["dan:test"], &["dan:test:more"], false),
            (&["dan:test"], &["xdan:test"], false),
            (&["dan:test"], &["dan:test dan:other"], false),
            (&[], &[], true),
        ] {
            let inquiry = inquiry_with(|it| {
                it.scopes = held.iter().map(|scope| (*scope).to_owned()).collect();
            });
            let reason = unmet_alone(&rule(required), &inquiry);
            assert_eq!(reason.is_none(), met, "{required:?} {held:?}");
            assert!(reason.is_none_or(|text| required.iter().all(|scope| text.contains(scope))));
        }
    }

    /// What a client sends beside its token is not a scope.
    #[tokio::test]
    async fn a_scope_decides() {
        let met = trial(|it| it.scopes = vec!["dan:more", SCOPE]);
        let unmet = trial(|it| {
            it.tokens.reuse = true;
            it.application.external_reference = Some("dan:more".to_owned());
        });
        assert_decides(&rule(&[SCOPE, "dan:more"]), Some(&met), &unmet).await;
    }
}
