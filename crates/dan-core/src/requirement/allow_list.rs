//! Listed parties only.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::party::Party;

/// For each role that is mentioned, the party is one of those listed for it. Whole identifiers
/// are compared, never masked ones (`engine.md` W-11).
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::testing::{
        FOREIGN, OTHER_FOREIGN, assert_decides, between, inquiry_with, party, trial, unmet_alone,
    };
    use super::super::{Requirement, Role};
    use super::AllowList;
    use crate::party::{Party, PersonNumber};
    use crate::testkit::builders::{AGENCY, COMPANY, OTHER_AGENCY, PERSON};

    fn list(allowed: &[(Role, &str)]) -> Requirement {
        Requirement::AllowList(AllowList {
            allowed: allowed
                .iter()
                .map(|(role, text)| (*role, party(text)))
                .collect(),
        })
    }

    #[test]
    fn appendix_b_12_allow_lists_name_each_role() {
        let rule = list(&[
            (Role::Subject, COMPANY),
            (Role::Requestor, AGENCY),
            (Role::Requestor, OTHER_AGENCY),
            (Role::Owner, AGENCY),
        ]);
        for (subject, requestor, owner, named) in [
            (COMPANY, AGENCY, AGENCY, None),
            (COMPANY, OTHER_AGENCY, AGENCY, None),
            (AGENCY, AGENCY, AGENCY, Some("Subject")),
            (COMPANY, COMPANY, AGENCY, Some("Requestor")),
            (COMPANY, AGENCY, COMPANY, Some("Owner")),
            (PERSON, COMPANY, COMPANY, Some("Subject")),
        ] {
            let reason = unmet_alone(&rule, &between(subject, requestor, owner));
            assert_eq!(
                reason.is_some(),
                named.is_some(),
                "{subject} {requestor} {owner}"
            );
            assert!(reason.is_none_or(|reason| reason.starts_with(named.unwrap())));
        }
        let nobody = inquiry_with(|it| it.subject = None);
        assert!(unmet_alone(&rule, &nobody).is_some());
        assert_eq!(unmet_alone(&list(&[(Role::Owner, AGENCY)]), &nobody), None);
    }

    #[test]
    fn persons_are_compared_whole_not_by_their_date_of_birth_w11() {
        let born_the_same_day = (0..99_999)
            .map(|end| format!("{}{end:05}", PERSON.get(..6).unwrap()))
            .find(|text| text != PERSON && PersonNumber::parse(text).is_some())
            .unwrap();
        let rule = list(&[(Role::Subject, PERSON)]);
        assert_eq!(unmet_alone(&rule, &between(PERSON, AGENCY, AGENCY)), None);
        let other = between(&born_the_same_day, AGENCY, AGENCY);
        assert!(unmet_alone(&rule, &other).is_some());
    }

    #[test]
    fn foreign_and_custom_parties_are_compared_by_every_character_w14() {
        let rule = list(&[(Role::Subject, FOREIGN)]);
        assert_eq!(unmet_alone(&rule, &between(FOREIGN, AGENCY, AGENCY)), None);
        assert!(unmet_alone(&rule, &between(OTHER_FOREIGN, AGENCY, AGENCY)).is_some());
        let custom = |text: &str| Party::Custom(text.to_owned());
        let rule = Requirement::AllowList(AllowList {
            allowed: vec![(Role::Subject, custom("abc"))],
        });
        for (text, met) in [("abc", true), ("ABC", false), ("abc ", false), ("", false)] {
            let inquiry = inquiry_with(|it| it.subject = Some(custom(text)));
            assert_eq!(unmet_alone(&rule, &inquiry).is_none(), met, "{text}");
        }
    }

    #[tokio::test]
    async fn an_allow_list_decides() {
        let met = trial(|_| {});
        let unmet = trial(|it| it.application.subject = Some(OTHER_AGENCY.to_owned()));
        let rule = list(&[(Role::Subject, COMPANY), (Role::Owner, AGENCY)]);
        assert_decides(&rule, Some(&met), &unmet).await;
    }
}
