//! A role in Altinn.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::ports::{Fact, FactQuery, FactTable};

/// One party has given another this role.
#[derive(Clone, Debug)]
pub struct AltinnRole {
    /// Code of the role.
    pub role_code: String,
    /// Who gave it.
    pub offered_by: Role,
    /// Who has it.
    pub covered_by: Role,
}

impl AltinnRole {
    pub(super) fn needs(&self, inquiry: &Inquiry) -> Vec<FactQuery> {
        self.query(inquiry).into_iter().collect()
    }

    pub(super) fn check(&self, inquiry: &Inquiry, facts: &FactTable) -> Result<(), Unmet> {
        let query = self.query(inquiry).ok_or_else(|| {
            Unmet::new("roles can be held by Norwegian organisations and persons only")
        })?;
        match facts.get(&query) {
            Some(Fact::Held(true)) => Ok(()),
            Some(Fact::Held(false) | Fact::Unit(_) | Fact::Units(_)) | None => {
                Err(Unmet::new(format!(
                    "{} must have given {} the role {}",
                    self.offered_by.wire_name(),
                    self.covered_by.wire_name(),
                    self.role_code
                )))
            }
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
        Some(FactQuery::HasRole {
            from,
            to,
            role: self.role_code.clone(),
        })
    }
}
