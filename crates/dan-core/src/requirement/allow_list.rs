//! Listed parties only.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::party::Party;

/// For each role that is mentioned, the party is one of those listed for it. Whole identifiers
/// are compared, never masked ones (`engine.md` W-11).
#[derive(Clone, Debug)]
pub struct AllowList {
    /// Role and party, as many as needed.
    pub allowed: Vec<(Role, Party)>,
}

impl AllowList {
    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        for (role, name, _) in Role::ALL {
            let mut listed = self.allowed.iter().filter(|(of, _)| *of == role).peekable();
            if listed.peek().is_none() {
                continue;
            }
            let party = role.party(inquiry);
            if !listed.any(|(_, allowed)| Some(allowed) == party.as_ref()) {
                return Err(Unmet::new(format!(
                    "{name} is not on the list of allowed parties"
                )));
            }
        }
        Ok(())
    }
}
