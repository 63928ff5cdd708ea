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
