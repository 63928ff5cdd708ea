//! The subject may be other than an organisation or a person.

use regex::Regex;

use super::Unmet;
use crate::inquiry::Inquiry;
use crate::party::Party;

/// A subject that is no party must match a pattern. The pattern is not anchored: that is its
/// author's job. The regex engine runs in linear time (`engine.md` §3.2, W-34).
#[derive(Clone, Debug)]
pub struct CustomSubject {
    /// What the subject must match.
    pub pattern: Regex,
    /// The pattern in words, for people.
    pub description: Option<String>,
}

/// Patterns are equal when their texts are.
impl PartialEq for CustomSubject {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.description == other.description
    }
}

impl CustomSubject {
    /// The pattern of a rule that gives none.
    pub const PATTERN_DEFAULT: &'static str = r"\w+";

    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        match &inquiry.subject {
            Some(Party::Organisation(_) | Party::Person(_) | Party::Foreign { .. }) => Ok(()),
            Some(Party::Custom(text)) if self.pattern.is_match(text) => Ok(()),
            Some(Party::Custom(_)) => {
                let wanted = self
                    .description
                    .as_deref()
                    .unwrap_or_else(|| self.pattern.as_str());
                Err(Unmet::new(format!("the subject must be: {wanted}")))
            }
            None => Err(Unmet::new("a subject is required")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Requirement;
    use super::super::testing::{FOREIGN, assert_decides, inquiry_with, party, trial, unmet_alone};
    use super::{CustomSubject, Regex};
    use crate::party::Party;
    use crate::testkit::builders::{COMPANY, PERSON};

    fn rule(pattern: &str, description: Option<&str>) -> Requirement {
        Requirement::CustomSubject(CustomSubject {
            pattern: Regex::new(pattern).unwrap(),
            description: description.map(str::to_owned),
        })
    }

    #[test]
    fn appendix_b_16_custom_subjects_match_the_pattern_or_are_parties() {
        let default = CustomSubject::PATTERN_DEFAULT;
        let custom = |text: &str| Some(Party::Custom(text.to_owned()));
        for (pattern, subject, met) in [
            (default, custom("abc"), true),
            (r"^\d{4}$", custom("1234"), true),
            (r"^\d{4}$", custom("12345"), false),
            (r"^\d{4}$", custom("a"), false),
            (r"\d{4}", custom("not anchored: 12345"), true),
            (r"^\d{4}$", Some(party(COMPANY)), true),
            (r"^\d{4}$", Some(party(PERSON)), true),
            (r"^\d{4}$", Some(party(FOREIGN)), true),
            (default, custom(" "), false),
            (default, custom(""), false),
            (default, None, false),
            (".*", None, false),
        ] {
            let inquiry = inquiry_with(|it| it.subject = subject);
            let reason = unmet_alone(&rule(pattern, None), &inquiry);
            assert_eq!(reason.is_none(), met, "{pattern} {reason:?}");
        }
    }

    #[test]
    fn the_reason_says_what_is_wanted_and_not_what_was_sent() {
        let inquiry = inquiry_with(|it| it.subject = Some(Party::Custom("sent".to_owned())));
        for (description, wanted) in [(None, "^x$"), (Some("one x"), "one x")] {
            let reason = unmet_alone(&rule("^x$", description), &inquiry).unwrap();
            assert!(
                reason.contains(wanted) && !reason.contains("sent"),
                "{reason}"
            );
        }
    }

    /// A text that is no party comes this far only with this very rule; elsewhere it is no subject.
    #[tokio::test]
    async fn a_custom_subject_decides() {
        let met = trial(|_| {});
        let unmet = trial(|it| it.application.subject = None);
        assert_decides(&rule(r"^\d{4}$", None), Some(&met), &unmet).await;
    }
}
