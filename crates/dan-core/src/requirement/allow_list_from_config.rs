//! Listed parties only, the lists kept in the node's configuration.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::party::Party;

/// One role and the list that its party must be on.
#[derive(Clone, Debug)]
pub struct ConfiguredList {
    /// Whose party.
    pub role: Role,
    /// Name of the setting that holds the list.
    pub setting: String,
    /// The list as it was when the catalogue was loaded; whole identifiers (`engine.md` W-11).
    pub parties: Vec<Party>,
}

/// For each role that is mentioned, the party is on the configured list.
#[derive(Clone, Debug)]
pub struct AllowListFromConfig {
    /// At most one list for each role.
    pub lists: Vec<ConfiguredList>,
}

impl AllowListFromConfig {
    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        for list in &self.lists {
            let party = list.role.party(inquiry);
            if !party.is_some_and(|party| list.parties.contains(&party)) {
                return Err(Unmet::new(format!(
                    "{} is not on the list {} of this node",
                    list.role.wire_name(),
                    list.setting
                )));
            }
        }
        Ok(())
    }

    /// Name of the setting for a role, if there is a list for it.
    #[must_use]
    pub fn setting(&self, role: Role) -> Option<&str> {
        self.lists
            .iter()
            .find(|list| list.role == role)
            .map(|list| list.setting.as_str())
    }
}
