//! Listed parties only, the lists kept in the node's configuration.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::party::Party;

/// One role and the list that its party must be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredList {
    /// Whose party.
    pub role: Role,
    /// Name of the setting that holds the list.
    pub setting: String,
    /// The list as it was when the catalogue was loaded; whole identifiers (`engine.md` W-11).
    pub parties: Vec<Party>,
}

/// For each role that is mentioned, the party is on the configured list.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_decides, between, inquiry_with, party, trial, unmet_alone};
    use super::super::{Requirement, Role};
    use super::{AllowListFromConfig, ConfiguredList};
    use crate::testkit::builders::{AGENCY, COMPANY, OTHER_AGENCY};

    fn lists(lists: &[(Role, &str, &[&str])]) -> AllowListFromConfig {
        AllowListFromConfig {
            lists: lists
                .iter()
                .map(|(role, setting, parties)| ConfiguredList {
                    role: *role,
                    setting: (*setting).to_owned(),
                    parties: parties.iter().map(|text| party(text)).collect(),
                })
                .collect(),
        }
    }

    #[test]
    fn appendix_b_12_configured_lists_name_each_role_and_their_setting() {
        let rule = lists(&[
            (Role::Subject, "subjects", &[COMPANY, OTHER_AGENCY]),
            (Role::Requestor, "requestors", &[AGENCY]),
            (Role::Owner, "owners", &[AGENCY]),
        ]);
        assert_eq!(rule.setting(Role::Requestor), Some("requestors"));
        let rule = Requirement::AllowListFromConfig(rule);
        for (subject, requestor, owner, named) in [
            (COMPANY, AGENCY, AGENCY, None),
            (OTHER_AGENCY, AGENCY, AGENCY, None),
            (AGENCY, AGENCY, AGENCY, Some(("Subject", "subjects"))),
            (COMPANY, COMPANY, AGENCY, Some(("Requestor", "requestors"))),
            (COMPANY, AGENCY, COMPANY, Some(("Owner", "owners"))),
        ] {
            let reason = unmet_alone(&rule, &between(subject, requestor, owner));
            assert_eq!(reason.is_some(), named.is_some());
            if let (Some(reason), Some((role, setting))) = (reason, named) {
                assert!(reason.starts_with(role) && reason.contains(setting));
            }
        }
        let nobody = inquiry_with(|it| it.subject = None);
        assert!(unmet_alone(&rule, &nobody).is_some());
    }

    #[test]
    fn an_empty_configured_list_lets_nobody_in_and_a_role_without_list_everybody() {
        let rule = lists(&[(Role::Owner, "owners", &[])]);
        assert_eq!(rule.setting(Role::Subject), None);
        let rule = Requirement::AllowListFromConfig(rule);
        assert!(unmet_alone(&rule, &between(COMPANY, AGENCY, AGENCY)).is_some());
        let unlisted = Requirement::AllowListFromConfig(lists(&[]));
        let inquiry = between(COMPANY, AGENCY, AGENCY);
        assert_eq!(unmet_alone(&unlisted, &inquiry), None);
    }

    #[tokio::test]
    async fn a_configured_list_decides() {
        let met = trial(|_| {});
        let unmet = trial(|it| it.application.requestor = Some(COMPANY.to_owned()));
        let rule = lists(&[(Role::Requestor, "requestors", &[AGENCY])]);
        assert_decides(&Requirement::AllowListFromConfig(rule), Some(&met), &unmet).await;
    }
}
