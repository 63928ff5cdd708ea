//! [`Accreditation`]: a grant, how long it holds, and who may use it.

use std::fmt;

use crate::error::{Code, Fault};
use crate::inquiry::{LegalBasis, Parameter};
use crate::party::{OrgNumber, Party};
use crate::time::Timestamp;

/// Identifier of a grant: a UUID in its usual text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccreditationId(String);

impl AccreditationId {
    /// Reads a UUID; `None` for anything else, which then simply does not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?;
        Some(Self(id.hyphenated().to_string()))
    }

    /// A new identifier from 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(
            uuid::Builder::from_random_bytes(bytes)
                .into_uuid()
                .hyphenated()
                .to_string(),
        )
    }

    /// The UUID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccreditationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One dataset of a grant.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantedDataset {
    /// Public name in the grant's context.
    pub name: String,
    /// Parameters as they were sent.
    pub parameters: Vec<Parameter>,
    /// The legal basis it rests on, by identifier.
    pub legal_basis_id: Option<String>,
    /// Consent was asked for.
    pub request_consent: bool,
}

/// A dataset that was left out because a soft rule was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedDataset {
    /// Its name.
    pub name: String,
    /// Stable identifier of the rule.
    pub rule_id: String,
}

/// A grant, as it is stored. The definitions of its datasets are not part of it: they are read
/// from the catalogue each time.
#[derive(Clone, Debug, PartialEq)]
pub struct Accreditation {
    /// Identifier.
    pub id: AccreditationId,
    /// The organisation that may use it.
    pub owner: OrgNumber,
    /// Name of the service context it was given under.
    pub context: String,
    /// The requesting party.
    pub requestor: Party,
    /// The party asked about.
    pub subject: Option<Party>,
    /// What was granted, in the order it was asked for.
    pub datasets: Vec<GrantedDataset>,
    /// What was left out.
    pub skipped: Vec<SkippedDataset>,
    /// The legal bases it was given on; asked again at every harvest (`engine.md` W-04).
    pub legal_bases: Vec<LegalBasis>,
    /// When it was given.
    pub issued: Timestamp,
    /// When it last changed in a way its owner should see.
    pub last_changed: Timestamp,
    /// Last moment it may be used.
    pub valid_to: Timestamp,
    /// Shown to the subject.
    pub consent_reference: Option<String>,
    /// Free.
    pub external_reference: Option<String>,
    /// Lower case.
    pub language: String,
    /// Where the subject goes after answering.
    pub consent_receipt_redirect_url: Option<String>,
}

impl Accreditation {
    /// Checks that it may be used now; every use asks (`engine.md` W-03).
    ///
    /// # Errors
    /// 1003 after [`Accreditation::valid_to`].
    pub fn check_validity(&self, now: Timestamp) -> Result<(), Fault> {
        if now > self.valid_to {
            return Err(Fault::with(
                Code::ExpiredAccreditation,
                format!("it was valid until {}; ask for a new one", self.valid_to),
            ));
        }
        Ok(())
    }

    /// The dataset with this name, compared without case (`wire-api.md` §4.7).
    #[must_use]
    pub fn dataset(&self, name: &str) -> Option<&GrantedDataset> {
        self.datasets
            .iter()
            .find(|dataset| dataset.name.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uuids_are_identifiers() {
        let id = AccreditationId::from_random([7; 16]);
        assert_eq!(AccreditationId::parse(id.as_str()), Some(id));
        for text in ["", "1", "../x", "5f3a0e0c-6c1e-4d7e-9a3b"] {
            assert_eq!(AccreditationId::parse(text), None, "{text}");
        }
    }
}
