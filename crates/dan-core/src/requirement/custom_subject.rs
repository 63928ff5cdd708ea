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
