//! A right in Altinn.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::ports::{Fact, FactQuery, FactTable};

/// One party may act for another on a resource, with every action of the list
/// (`engine.md` W-13: the decision point answers, nothing is searched for in text).
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::testing::{
        FOREIGN, assert_decides, assert_rests_on_facts, between, inquiry, inquiry_with, party,
        trial, unmet,
    };
    use super::super::{Requirement, Role};
    use super::AltinnRight;
    use crate::party::Party;
    use crate::ports::{Fact, FactQuery, FactTable};
    use crate::testkit::builders::{AGENCY, COMPANY, OTHER_AGENCY, PERSON};

    fn right(edition: &str, actions: &[&str]) -> AltinnRight {
        AltinnRight {
            service_code: "4000".to_owned(),
            service_edition: edition.to_owned(),
            offered_by: Role::Subject,
            covered_by: Role::Requestor,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        }
    }

    fn rule() -> Requirement {
        Requirement::Right(right("1", &["Read", "Write"]))
    }

    fn query(from: &str, to: &str, resource: &str, actions: &[&str]) -> FactQuery {
        FactQuery::HasRight {
            from: party(from),
            to: party(to),
            resource: resource.to_owned(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        }
    }

    fn held(query: FactQuery) -> FactTable {
        FactTable::from([(query, Fact::Held(true))])
    }

    #[test]
    fn appendix_b_10_a_right_that_is_held_is_met_and_no_other_stands_in_for_it_w13() {
        let both = &["read", "write"];
        for (facts, met) in [
            (held(query(COMPANY, AGENCY, "4000/1", both)), true),
            (held(query(AGENCY, COMPANY, "4000/1", both)), false),
            (held(query(COMPANY, OTHER_AGENCY, "4000/1", both)), false),
            (held(query(PERSON, AGENCY, "4000/1", both)), false),
            (held(query(COMPANY, AGENCY, "4000/2", both)), false),
            (held(query(COMPANY, AGENCY, "4000/1", &["read"])), false),
            (FactTable::new(), false),
        ] {
            let reason = unmet(&rule(), &inquiry(), &facts);
            assert_eq!(reason.is_none(), met, "{facts:?}");
            assert!(reason.is_none_or(|text| text.contains("4000/1")));
        }
        let facts = held(query(COMPANY, AGENCY, "4000/1", both));
        assert_rests_on_facts(&rule(), &inquiry(), &facts);
        let not_held =
            FactTable::from([(query(COMPANY, AGENCY, "4000/1", both), Fact::Held(false))]);
        assert!(unmet(&rule(), &inquiry(), &not_held).is_some());
    }

    #[test]
    fn the_question_names_the_resource_and_never_no_action_w13() {
        for (edition, actions, resource, asked) in [
            (
                "1",
                &["Read", "WRITE"][..],
                "4000/1",
                &["read", "write"][..],
            ),
            ("", &["sign"], "4000", &["sign"]),
            ("", &[], "4000", &["read"]),
        ] {
            let rule = Requirement::Right(right(edition, actions));
            assert_eq!(
                rule.needs(&inquiry()),
                [query(COMPANY, AGENCY, resource, asked)]
            );
        }
    }

    #[test]
    fn appendix_b_11_rights_are_held_by_norwegian_parties_only() {
        let nobody = inquiry_with(|it| it.subject = None);
        let custom = inquiry_with(|it| it.subject = Some(Party::Custom(COMPANY.to_owned())));
        for inquiry in [
            between(FOREIGN, AGENCY, AGENCY),
            between(COMPANY, FOREIGN, AGENCY),
            nobody,
            custom,
        ] {
            assert!(rule().needs(&inquiry).is_empty());
            let facts = held(query(COMPANY, AGENCY, "4000/1", &["read", "write"]));
            assert!(unmet(&rule(), &inquiry, &facts).is_some());
        }
    }

    #[tokio::test]
    async fn a_right_decides() {
        let needed = query(COMPANY, AGENCY, "4000/1", &["read", "write"]);
        let met = trial(|it| it.held = vec![needed]);
        assert_decides(&rule(), Some(&met), &trial(|_| {})).await;
    }
}
