//! A right in Altinn.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::ports::{Fact, FactQuery, FactTable};

/// One party may act for another on a resource, with every action of the list
/// (`engine.md` W-13: the decision point answers, nothing is searched for in text).
#[derive(Clone, Debug)]
pub struct AltinnRight {
    /// Code of the service, or the resource in Altinn's resource register.
    pub service_code: String,
    /// Edition of the service; empty for a resource.
    pub service_edition: String,
    /// On whose behalf.
    pub offered_by: Role,
    /// Who acts.
    pub covered_by: Role,
    /// What may be done; none means `Read`.
    pub actions: Vec<String>,
}

impl AltinnRight {
    pub(super) fn needs(&self, inquiry: &Inquiry) -> Vec<FactQuery> {
        self.query(inquiry).into_iter().collect()
    }

    pub(super) fn check(&self, inquiry: &Inquiry, facts: &FactTable) -> Result<(), Unmet> {
        let query = self.query(inquiry).ok_or_else(|| {
            Unmet::new("rights can be held by Norwegian organisations and persons only")
        })?;
        match facts.get(&query) {
            Some(Fact::Held(true)) => Ok(()),
            Some(Fact::Held(false) | Fact::Unit(_) | Fact::Units(_)) | None => {
                Err(Unmet::new(format!(
                    "{} must be allowed to act for {} on {}",
                    self.covered_by.wire_name(),
                    self.offered_by.wire_name(),
                    self.resource()
                )))
            }
        }
    }

    fn resource(&self) -> String {
        if self.service_edition.is_empty() {
            self.service_code.clone()
        } else {
            format!("{}/{}", self.service_code, self.service_edition)
        }
    }

    fn query(&self, inquiry: &Inquiry) -> Option<FactQuery> {
        let from = self
            .offered_by
            .party(inquiry)
            .filter(|party| party.is_norwegian())?;
        let to = self
            .covered_by
            .party(inquiry)
            .filter(|party| party.is_norwegian())?;
        let mut actions: Vec<String> = self
            .actions
            .iter()
            .map(|action| action.to_lowercase())
            .collect();
        if actions.is_empty() {
            actions.push("read".to_owned());
        }
        Some(FactQuery::HasRight {
            from,
            to,
            resource: self.resource(),
            actions,
        })
    }
}
