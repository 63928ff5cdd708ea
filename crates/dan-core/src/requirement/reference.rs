//! A reference in an agreed form.

use regex::Regex;

use super::Unmet;
use crate::inquiry::Inquiry;

/// Longest reference a rule accepts, in characters (`wire-api.md` §3.7).
pub const REFERENCE_LENGTH_MAX: usize = 50;

/// Which reference a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `consentReference`, number 0 on the wire.
    Consent,
    /// `externalReference`, number 1.
    External,
}

impl ReferenceKind {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Consent => 0,
            Self::External => 1,
        }
    }
}

/// The reference is there, not too long, and matches. The pattern is not anchored: that is its
/// author's job. Too long fails soft rules too (`wire-api.md` §16, 23).
#[derive(Clone, Debug)]
pub struct ReferenceRule {
    /// Which reference.
    pub reference: ReferenceKind,
    /// What it must match.
    pub format: Regex,
}

/// Patterns are equal when their texts are.
impl PartialEq for ReferenceRule {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference && self.format.as_str() == other.format.as_str()
    }
}

impl ReferenceRule {
    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        let (name, text) = match self.reference {
            ReferenceKind::Consent => ("consentReference", inquiry.consent_reference.as_deref()),
            ReferenceKind::External => ("externalReference", inquiry.external_reference.as_deref()),
        };
        let text = text.filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Unmet::new(format!("{name} is required")))?;
        if text.chars().count() > REFERENCE_LENGTH_MAX {
            return Err(Unmet::new(format!(
                "{name} is longer than {REFERENCE_LENGTH_MAX} characters"
            )));
        }
        if !self.format.is_match(text) {
            return Err(Unmet::new(format!(
                "{name} must match {}",
                self.format.as_str()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Requirement;
    use super::super::testing::{assert_decides, inquiry_with, trial, unmet_alone};
    use super::{REFERENCE_LENGTH_MAX, ReferenceKind, ReferenceRule, Regex};

    fn rule(reference: ReferenceKind, format: &str) -> Requirement {
        Requirement::Reference(ReferenceRule {
            reference,
            format: Regex::new(format).unwrap(),
        })
    }

    #[test]
    fn appendix_b_15_references_match_and_each_mistake_has_its_own_reason() {
        let longest = "å".repeat(REFERENCE_LENGTH_MAX);
        let too_long = "å".repeat(REFERENCE_LENGTH_MAX + 1);
        let year = r"^\d{4}-\d+$";
        for (text, format, said) in [
            (Some("2026-1"), year, None),
            (Some("2026-x"), year, Some("must match")),
            (Some("x2026-1"), year, Some("must match")),
            (Some("not anchored: 2026-1!"), r"\d{4}-\d+", None),
            (Some(longest.as_str()), ".*", None),
            (Some(too_long.as_str()), ".*", Some("is longer than 50")),
            (Some(""), ".*", Some("is required")),
            (None, ".*", Some("is required")),
        ] {
            for kind in [ReferenceKind::Consent, ReferenceKind::External] {
                let name = ["consentReference", "externalReference"][usize::from(kind.number())];
                let inquiry = inquiry_with(|it| match kind {
                    ReferenceKind::Consent => it.consent_reference = text.map(str::to_owned),
                    ReferenceKind::External => it.external_reference = text.map(str::to_owned),
                });
                let reason = unmet_alone(&rule(kind, format), &inquiry);
                assert_eq!(reason.is_some(), said.is_some(), "{text:?}");
                if let (Some(reason), Some(said)) = (reason, said) {
                    assert!(
                        reason.starts_with(name) && reason.contains(said),
                        "{reason}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_reference_does_not_stand_in_for_the_other() {
        let inquiry = inquiry_with(|it| it.consent_reference = Some("x".to_owned()));
        let external = rule(ReferenceKind::External, ".*");
        assert!(unmet_alone(&external, &inquiry).is_some());
        assert_eq!(
            unmet_alone(&rule(ReferenceKind::Consent, ".*"), &inquiry),
            None
        );
    }

    /// Also the one that is too long, which the reference lets through soft rules.
    #[tokio::test]
    async fn a_reference_decides() {
        let with =
            |text: &str| trial(|it| it.application.external_reference = Some(text.to_owned()));
        let rule = rule(ReferenceKind::External, r"^\d+$");
        for unmet in [with("x"), with(&"1".repeat(51)), trial(|_| {})] {
            assert_decides(&rule, Some(&with("1")), &unmet).await;
        }
    }
}
