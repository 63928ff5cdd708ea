//! A role in Altinn.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::ports::{Fact, FactQuery, FactTable};

/// One party has given another this role.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::testing::{
        FOREIGN, assert_decides, assert_rests_on_facts, between, inquiry, inquiry_with, party,
        trial, unmet,
    };
    use super::super::{Requirement, Role};
    use super::AltinnRole;
    use crate::ports::{Fact, FactQuery, FactTable};
    use crate::testkit::builders::{AGENCY, COMPANY, OTHER_AGENCY, PERSON};

    fn rule(offered_by: Role, covered_by: Role) -> Requirement {
        Requirement::Role(AltinnRole {
            role_code: "DAGL".to_owned(),
            offered_by,
            covered_by,
        })
    }

    fn query(from: &str, to: &str, role: &str) -> FactQuery {
        FactQuery::HasRole {
            from: party(from),
            to: party(to),
            role: role.to_owned(),
        }
    }

    fn held(query: FactQuery) -> FactTable {
        FactTable::from([(query, Fact::Held(true))])
    }

    #[test]
    fn appendix_b_10_a_role_that_is_held_is_met_and_no_other_stands_in_for_it() {
        let rule = rule(Role::Subject, Role::Requestor);
        for (facts, met) in [
            (held(query(COMPANY, AGENCY, "DAGL")), true),
            (held(query(AGENCY, COMPANY, "DAGL")), false),
            (held(query(COMPANY, OTHER_AGENCY, "DAGL")), false),
            (held(query(COMPANY, AGENCY, "LEDE")), false),
            (FactTable::new(), false),
        ] {
            let reason = unmet(&rule, &inquiry(), &facts);
            assert_eq!(reason.is_none(), met, "{facts:?}");
            assert!(reason.is_none_or(|text| text.contains("DAGL")));
        }
        assert_rests_on_facts(&rule, &inquiry(), &held(query(COMPANY, AGENCY, "DAGL")));
        let not_held = FactTable::from([(query(COMPANY, AGENCY, "DAGL"), Fact::Held(false))]);
        assert!(unmet(&rule, &inquiry(), &not_held).is_some());
    }

    #[test]
    fn the_question_is_about_the_roles_of_the_rule() {
        let inquiry = between(COMPANY, PERSON, AGENCY);
        for (from, to, expected) in [
            (
                Role::Subject,
                Role::Requestor,
                query(COMPANY, PERSON, "DAGL"),
            ),
            (Role::Owner, Role::Requestor, query(AGENCY, PERSON, "DAGL")),
            (Role::Subject, Role::Owner, query(COMPANY, AGENCY, "DAGL")),
        ] {
            assert_eq!(rule(from, to).needs(&inquiry), [expected]);
        }
    }

    #[test]
    fn appendix_b_11_roles_are_held_by_norwegian_parties_only() {
        let rule = rule(Role::Subject, Role::Requestor);
        for inquiry in [
            between(FOREIGN, AGENCY, AGENCY),
            between(COMPANY, FOREIGN, AGENCY),
            between(FOREIGN, FOREIGN, AGENCY),
            inquiry_with(|it| it.subject = None),
        ] {
            assert!(rule.needs(&inquiry).is_empty());
            let facts = held(query(COMPANY, AGENCY, "DAGL"));
            assert!(unmet(&rule, &inquiry, &facts).is_some());
        }
    }

    #[tokio::test]
    async fn appendix_b_12_a_role_decides_and_a_soft_one_leaves_its_dataset_out() {
        let met = trial(|it| it.held = vec![query(COMPANY, AGENCY, "DAGL")]);
        let rule = rule(Role::Subject, Role::Requestor);
        assert_decides(&rule, Some(&met), &trial(|_| {})).await;
    }
}
