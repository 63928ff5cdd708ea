//! Rules in words, for people who read a catalogue or a refusal.

use std::fmt;

use super::{OnFailure, PartyTypeRule, ReferenceKind, Requirement, Role, Rule};

/// The rule in one sentence: what must hold, and what happens when it does not.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.requirement)?;
        match self.on_failure {
            OnFailure::Deny => Ok(()),
            OnFailure::Skip => f.write_str("; else the dataset is left out"),
        }
    }
}

/// What must hold.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowList(list) => {
                // Persons on a list stand masked: a party shows itself so.
                let entry = |(role, party): &(Role, _)| format!("{} {party}", role.wire_name());
                let entries: Vec<String> = list.allowed.iter().map(entry).collect();
                write!(f, "allowed parties: {}", entries.join(", "))
            }
            Self::AllowListFromConfig(lists) => {
                let entry = |list: &super::ConfiguredList| {
                    format!("{} on the list {}", list.role.wire_name(), list.setting)
                };
                f.write_str(&lists.lists.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Self::Consent(consent) => {
                f.write_str("the subject consents")?;
                consent
                    .resource
                    .as_ref()
                    .map_or(Ok(()), |resource| write!(f, " to {resource}"))
            }
            Self::CustomSubject(subject) => {
                let words = subject
                    .description
                    .as_deref()
                    .unwrap_or(subject.pattern.as_str());
                write!(f, "the subject may also be {words}")
            }
            Self::LegalBasis(basis) => {
                let cpv = basis
                    .cpv
                    .as_ref()
                    .map(|list| format!("a procurement on {}", list.version));
                let espd = basis.espd.then(|| "an ESPD".to_owned());
                let kinds: Vec<String> = cpv.into_iter().chain(espd).collect();
                write!(f, "a legal basis: {}", kinds.join(" or "))
            }
            Self::OwnToken(_) => f.write_str("the caller offers a token for the source"),
            Self::PartyRelation(relation) => {
                let names: Vec<&str> = relation
                    .relations
                    .iter()
                    .map(|one| one.wire_name())
                    .collect();
                f.write_str(&names.join(", "))
            }
            Self::PartyType(rule) => party_types(rule, f),
            Self::Reference(reference) => {
                let name = match reference.reference {
                    ReferenceKind::Consent => "consentReference",
                    ReferenceKind::External => "externalReference",
                };
                write!(f, "{name} matches {}", reference.format.as_str())
            }
            Self::Right(_) => f.write_str("a right in Altinn"),
            Self::Role(role) => write!(
                f,
                "{} has the role {} for {}",
                role.covered_by.wire_name(),
                role.role_code,
                role.offered_by.wire_name()
            ),
            Self::Scope(scope) => write!(f, "the token has {}", scope.required.join(" and ")),
            Self::Undecided(rule) => write!(f, "{}: always refused", rule.kind),
        }
    }
}

fn party_types(rule: &PartyTypeRule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut parts = Vec::new();
    for (role, name, _) in Role::ALL {
        let kinds: Vec<&str> = rule
            .allowed
            .iter()
            .filter(|(of, _)| *of == role)
            .map(|(_, kind)| kind.words())
            .collect();
        if !kinds.is_empty() {
            parts.push(format!("{name} is {}", kinds.join(" or ")));
        }
    }
    f.write_str(&parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::{Party, Realm};
    use crate::requirement::{AllowList, PartyType};
    use crate::testkit::builders;

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let allowed = vec![(Role::Requestor, PartyType::PublicAgency)];
        let mut rule = builders::rule("x", Requirement::PartyType(PartyTypeRule { allowed }));
        assert_eq!(rule.to_string(), "Requestor is a public agency");
        rule.on_failure = OnFailure::Skip;
        assert!(rule.to_string().ends_with("left out"));
    }

    #[test]
    fn persons_on_a_list_are_not_shown() {
        let person = Party::parse(builders::PERSON, Realm::Production).unwrap();
        let list = AllowList {
            allowed: vec![(Role::Subject, person)],
        };
        assert!(!Requirement::AllowList(list).to_string().contains("0705"));
    }
}
