//! Public agency, company, person, foreign.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;
use crate::party::Party;
use crate::ports::{Fact, FactQuery, FactTable};

/// What a party is (`wire-api.md` §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartyType {
    /// A person.
    PrivatePerson,
    /// A public body by the entity register (`wire-api.md` §11).
    PublicAgency,
    /// Any other Norwegian organisation.
    PrivateEnterprise,
    /// A foreign organisation.
    Foreign,
}

impl PartyType {
    /// Every type that can be decided: name and number on the wire, name in the catalogue.
    pub const ALL: [(Self, &'static str, u8, &'static str); 4] = [
        (Self::PrivatePerson, "PrivatePerson", 0, "person"),
        (Self::PublicAgency, "PublicAgency", 1, "public-agency"),
        (
            Self::PrivateEnterprise,
            "PrivateEnterprise",
            2,
            "enterprise",
        ),
        (Self::Foreign, "Foreign", 9, "foreign"),
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or(0, |(_, _, number, _)| *number)
    }

    /// Reads a catalogue name, a wire name in any case, or the number as text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, wire, number, name)| {
                wire.eq_ignore_ascii_case(text) || *name == text || number.to_string() == text
            })
            .map(|(kind, ..)| *kind)
    }

    /// The type in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::PrivatePerson => "a person",
            Self::PublicAgency => "a public agency",
            Self::PrivateEnterprise => "a private enterprise",
            Self::Foreign => "a foreign organisation",
        }
    }
}

/// For each role that is mentioned, the party is of one of the types listed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyTypeRule {
    /// Role and type, as many as needed.
    pub allowed: Vec<(Role, PartyType)>,
}

impl PartyTypeRule {
    /// Only roles that the rule speaks about are looked up.
    pub(super) fn needs(&self, inquiry: &Inquiry) -> Vec<FactQuery> {
        let mut needs = Vec::new();
        for (role, ..) in Role::ALL {
            if self.allowed.iter().any(|(of, _)| *of == role)
                && let Some(number) = role.party(inquiry).and_then(|party| party.org())
            {
                needs.push(FactQuery::Unit(number));
            }
        }
        needs
    }

    pub(super) fn check(&self, inquiry: &Inquiry, facts: &FactTable) -> Result<(), Unmet> {
        for (role, name, _) in Role::ALL {
            let allowed: Vec<PartyType> = self
                .allowed
                .iter()
                .filter(|(of, _)| *of == role)
                .map(|(_, kind)| *kind)
                .collect();
            if allowed.is_empty() {
                continue;
            }
            let actual = type_of(role.party(inquiry), facts);
            if !actual.is_some_and(|actual| allowed.contains(&actual)) {
                let words: Vec<&str> = allowed.iter().map(|kind| kind.words()).collect();
                return Err(Unmet::new(format!("{name} must be {}", words.join(" or "))));
            }
        }
        Ok(())
    }
}

/// `None` when it cannot be told, which meets no rule.
fn type_of(party: Option<Party>, facts: &FactTable) -> Option<PartyType> {
    match party? {
        Party::Person(_) => Some(PartyType::PrivatePerson),
        Party::Foreign { .. } => Some(PartyType::Foreign),
        Party::Custom(_) => None,
        Party::Organisation(number) => match facts.get(&FactQuery::Unit(number)) {
            Some(Fact::Unit(Some(unit))) if unit.is_public_agency() => {
                Some(PartyType::PublicAgency)
            }
            Some(Fact::Unit(_)) => Some(PartyType::PrivateEnterprise),
            Some(Fact::Units(_) | Fact::Held(_)) | None => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::{
        FOREIGN, assert_decides, assert_rests_on_facts, between, inquiry_with, trial, unmet,
    };
    use super::super::{Requirement, Role};
    use super::*;
    use crate::ports::Unit;
    use crate::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, PERSON};

    use PartyType::{Foreign, PrivateEnterprise, PrivatePerson, PublicAgency};

    fn rule(allowed: &[(Role, PartyType)]) -> Requirement {
        Requirement::PartyType(PartyTypeRule {
            allowed: allowed.to_vec(),
        })
    }

    /// Two agencies, a company, and nobody with the number of a third.
    fn facts() -> FactTable {
        let known = |unit: Unit| {
            (
                FactQuery::Unit(unit.number),
                Fact::Unit(Some(Arc::new(unit))),
            )
        };
        FactTable::from([
            known(builders::unit(AGENCY, "ORGL")),
            known(builders::unit(OTHER_AGENCY, "STAT")),
            known(builders::unit(COMPANY, "AS")),
        ])
    }

    #[test]
    fn appendix_b_10_and_11_each_party_is_of_one_type() {
        for (subject, actual) in [
            (AGENCY, PublicAgency),
            (COMPANY, PrivateEnterprise),
            (PERSON, PrivatePerson),
            (FOREIGN, Foreign),
        ] {
            for (wanted, ..) in PartyType::ALL {
                let inquiry = between(subject, AGENCY, AGENCY);
                let reason = unmet(&rule(&[(Role::Subject, wanted)]), &inquiry, &facts());
                assert_eq!(reason.is_none(), wanted == actual, "{subject} {wanted:?}");
                assert!(reason.is_none_or(|text| text.starts_with("Subject must be ")));
            }
        }
    }

    #[test]
    fn appendix_b_11_two_rules_refuse_two_foreign_parties_twice() {
        let foreign = between(FOREIGN, FOREIGN, AGENCY);
        let rules = [
            rule(&[(Role::Subject, PrivateEnterprise)]),
            rule(&[(Role::Requestor, PublicAgency)]),
        ];
        let unmet_count = rules
            .iter()
            .filter_map(|rule| unmet(rule, &foreign, &facts()))
            .count();
        assert_eq!(unmet_count, 2);
        let person = between(COMPANY, PERSON, AGENCY);
        let either = rule(&[
            (Role::Requestor, PublicAgency),
            (Role::Requestor, PrivateEnterprise),
        ]);
        let reason = unmet(&either, &person, &facts()).unwrap();
        assert!(reason.contains("a public agency or a private enterprise"));
    }

    #[test]
    fn types_of_one_role_are_alternatives_and_roles_are_not() {
        let rule = rule(&[
            (Role::Subject, PublicAgency),
            (Role::Subject, PrivatePerson),
            (Role::Requestor, PublicAgency),
        ]);
        for (subject, requestor, met) in [
            (OTHER_AGENCY, AGENCY, true),
            (PERSON, AGENCY, true),
            (COMPANY, AGENCY, false),
            (PERSON, COMPANY, false),
            (FOREIGN, AGENCY, false),
        ] {
            let inquiry = between(subject, requestor, COMPANY);
            assert_eq!(unmet(&rule, &inquiry, &facts()).is_none(), met);
        }
    }

    #[test]
    fn what_cannot_be_told_is_of_no_type() {
        let any = rule(&PartyType::ALL.map(|(kind, ..)| (Role::Subject, kind)));
        for subject in [None, Some(Party::Custom(AGENCY.to_owned()))] {
            let inquiry = inquiry_with(|it| it.subject = subject);
            assert!(unmet(&any, &inquiry, &facts()).is_some());
        }
        let agency = rule(&[(Role::Subject, PublicAgency)]);
        assert_rests_on_facts(&agency, &between(AGENCY, AGENCY, AGENCY), &facts());
        let enterprise = rule(&[(Role::Subject, PrivateEnterprise)]);
        assert_rests_on_facts(&enterprise, &between(COMPANY, AGENCY, AGENCY), &facts());
    }

    #[test]
    fn only_the_roles_of_the_rule_are_looked_up() {
        let inquiry = between(COMPANY, AGENCY, OTHER_AGENCY);
        let unit = |number| FactQuery::Unit(builders::org(number));
        for (rule, expected) in [
            (rule(&[]), vec![]),
            (
                rule(&[(Role::Owner, PublicAgency)]),
                vec![unit(OTHER_AGENCY)],
            ),
            (
                rule(&[(Role::Requestor, Foreign), (Role::Subject, PrivatePerson)]),
                vec![unit(COMPANY), unit(AGENCY)],
            ),
        ] {
            assert_eq!(rule.needs(&inquiry), expected);
        }
        let person = between(PERSON, AGENCY, AGENCY);
        let about_persons = rule(&[(Role::Subject, PrivatePerson)]);
        assert!(about_persons.needs(&person).is_empty());
        assert_eq!(unmet(&about_persons, &person, &FactTable::new()), None);
        assert_eq!(unmet(&rule(&[]), &person, &FactTable::new()), None);
    }

    #[test]
    fn appendix_b_24_public_agencies_by_form_industry_sector_and_number() {
        fn with(form: &str, sector: Option<&str>, industries: &[&str]) -> Unit {
            Unit {
                sector: sector.map(str::to_owned),
                industries: industries.iter().map(|code| (*code).to_owned()).collect(),
                ..builders::unit(COMPANY, form)
            }
        }
        for form in [
            "ADOS", "FKF", "FYLK", "KF", "KOMM", "ORGL", "STAT", "SF", "SÆR",
        ] {
            assert!(with(form, None, &[]).is_public_agency(), "{form}");
        }
        for sector in ["1110", "1120", "1510", "1520", "3900", "6100", "6500"] {
            assert!(with("AS", Some(sector), &[]).is_public_agency(), "{sector}");
        }
        for industries in [&["84.110"][..], &["62.010", "84"], &["84.3"]] {
            assert!(with("AS", None, industries).is_public_agency());
        }
        assert!(builders::unit("971032146", "FLI").is_public_agency());
        for (form, sector, industries) in [
            ("AS", None, &[][..]),
            ("", Some(""), &[""]),
            ("stat", None, &[]),
            ("STATS", None, &[]),
            ("AS", Some("2100"), &["62.010"]),
            ("AS", Some("11100"), &[]),
            ("AS", Some("111"), &[]),
            ("AS", None, &["8.4", "08.4", "62.84"]),
        ] {
            assert!(
                !with(form, sector, industries).is_public_agency(),
                "{form} {sector:?}"
            );
        }
    }

    #[test]
    fn types_are_read_by_name_and_number() {
        for (kind, wire, number, name) in PartyType::ALL {
            for text in [wire.to_owned(), wire.to_uppercase(), number.to_string()] {
                assert_eq!(PartyType::parse(&text), Some(kind), "{text}");
            }
            assert_eq!(PartyType::parse(name), Some(kind));
            assert_eq!(kind.number(), number);
        }
        // NACECode and SectorCode are types that no party ever has (`engine.md` §3.2).
        for text in ["", "3", "NACECode", "SectorCode", "Person"] {
            assert_eq!(PartyType::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_party_type_decides() {
        let met = trial(|_| {});
        let unmet = trial(|it| it.application.requestor = Some(PERSON.to_owned()));
        let rule = rule(&[(Role::Requestor, PublicAgency)]);
        assert_decides(&rule, Some(&met), &unmet).await;
    }
}
