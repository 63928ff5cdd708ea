//! Who must, or must not, be the same party as whom.

use super::{Role, Unmet};
use crate::inquiry::Inquiry;

/// One relation between two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// One side.
    pub left: Role,
    /// The other side.
    pub right: Role,
    /// Whether they must be equal, or must differ.
    pub equal: bool,
}

impl Relation {
    /// The relations of `wire-api.md` §6, with their names there.
    pub const ALL: [(Self, &'static str); 5] = [
        (
            Self::new(Role::Requestor, Role::Owner, true),
            "RequestorAndOwnerAreEqual",
        ),
        (
            Self::new(Role::Subject, Role::Owner, true),
            "SubjectAndOwnerAreEqual",
        ),
        (
            Self::new(Role::Requestor, Role::Subject, true),
            "RequestorAndSubjectAreEqual",
        ),
        (
            Self::new(Role::Requestor, Role::Owner, false),
            "RequestorAndOwnerAreNotEqual",
        ),
        (
            Self::new(Role::Requestor, Role::Subject, false),
            "RequestorAndSubjectAreNotEqual",
        ),
    ];

    const fn new(left: Role, right: Role, equal: bool) -> Self {
        Self { left, right, equal }
    }

    /// The name on the wire.
    #[must_use]
    pub fn wire_name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(relation, _)| *relation == self)
            .map_or("", |(_, name)| name)
    }

    /// Reads the name in any case, or its number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse::<usize>() {
            return Self::ALL.get(number).map(|(relation, _)| *relation);
        }
        Self::ALL
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(relation, _)| *relation)
    }

    /// The relation between two roles, in either order; `None` for pairs DAN has no name for.
    #[must_use]
    pub fn between(one: Role, other: Role, equal: bool) -> Option<Self> {
        Self::ALL
            .iter()
            .map(|(relation, _)| *relation)
            .find(|relation| {
                relation.equal == equal
                    && [
                        (relation.left, relation.right),
                        (relation.right, relation.left),
                    ]
                    .contains(&(one, other))
            })
    }
}

/// All relations hold. Parties are compared as a whole (`engine.md` W-14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyRelation {
    /// The relations.
    pub relations: Vec<Relation>,
}

impl PartyRelation {
    pub(super) fn check(&self, inquiry: &Inquiry) -> Result<(), Unmet> {
        for relation in &self.relations {
            let (Some(left), Some(right)) =
                (relation.left.party(inquiry), relation.right.party(inquiry))
            else {
                return Err(Unmet::new("a subject is required"));
            };
            if (left == right) != relation.equal {
                let verb = if relation.equal {
                    "must be the same party"
                } else {
                    "must differ"
                };
                return Err(Unmet::new(format!(
                    "{} and {} {verb}",
                    relation.left.wire_name(),
                    relation.right.wire_name()
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        FOREIGN, OTHER_FOREIGN, assert_decides, between, inquiry_with, trial, unmet_alone,
    };
    use super::super::{Requirement, Role};
    use super::{PartyRelation, Relation};
    use crate::party::Party;
    use crate::testkit::builders::{AGENCY, COMPANY, OTHER_AGENCY, PERSON};

    fn rule(names: &[&str]) -> Requirement {
        Requirement::PartyRelation(PartyRelation {
            relations: names
                .iter()
                .map(|name| Relation::parse(name).unwrap())
                .collect(),
        })
    }

    #[test]
    fn every_relation_holds_between_its_own_two_parties() {
        // In the order of the roles: subject, requestor, owner.
        for (name, met, unmet) in [
            (
                "RequestorAndOwnerAreEqual",
                [COMPANY, AGENCY, AGENCY],
                [AGENCY, OTHER_AGENCY, AGENCY],
            ),
            (
                "SubjectAndOwnerAreEqual",
                [AGENCY, COMPANY, AGENCY],
                [COMPANY, COMPANY, AGENCY],
            ),
            (
                "RequestorAndSubjectAreEqual",
                [COMPANY, COMPANY, AGENCY],
                [COMPANY, AGENCY, AGENCY],
            ),
            (
                "RequestorAndOwnerAreNotEqual",
                [AGENCY, COMPANY, AGENCY],
                [COMPANY, AGENCY, AGENCY],
            ),
            (
                "RequestorAndSubjectAreNotEqual",
                [COMPANY, AGENCY, COMPANY],
                [PERSON, PERSON, AGENCY],
            ),
        ] {
            let [subject, requestor, owner] = met;
            let inquiry = between(subject, requestor, owner);
            assert_eq!(unmet_alone(&rule(&[name]), &inquiry), None, "{name}");
            let [subject, requestor, owner] = unmet;
            let inquiry = between(subject, requestor, owner);
            assert!(unmet_alone(&rule(&[name]), &inquiry).is_some(), "{name}");
        }
    }

    #[test]
    fn all_relations_hold_or_the_rule_does_not_and_the_text_names_the_roles() {
        let both = rule(&[
            "RequestorAndOwnerAreEqual",
            "RequestorAndSubjectAreNotEqual",
        ]);
        assert_eq!(unmet_alone(&both, &between(COMPANY, AGENCY, AGENCY)), None);
        for (subject, requestor, named) in
            [(COMPANY, COMPANY, "Owner"), (AGENCY, AGENCY, "Subject")]
        {
            let reason = unmet_alone(&both, &between(subject, requestor, AGENCY)).unwrap();
            assert!(reason.contains("Requestor") && reason.contains(named));
        }
    }

    #[test]
    fn two_foreign_parties_are_not_the_same_for_being_foreign_w14() {
        let equal = rule(&["RequestorAndSubjectAreEqual"]);
        let differ = rule(&["RequestorAndSubjectAreNotEqual"]);
        for (subject, same) in [(FOREIGN, true), (OTHER_FOREIGN, false)] {
            let inquiry = between(subject, FOREIGN, AGENCY);
            assert_eq!(unmet_alone(&equal, &inquiry).is_none(), same);
            assert_eq!(unmet_alone(&differ, &inquiry).is_none(), !same);
        }
    }

    #[test]
    fn without_a_subject_nothing_about_it_holds_not_even_that_it_differs() {
        let nobody = inquiry_with(|it| it.subject = None);
        for name in [
            "SubjectAndOwnerAreEqual",
            "RequestorAndSubjectAreEqual",
            "RequestorAndSubjectAreNotEqual",
        ] {
            assert!(unmet_alone(&rule(&[name]), &nobody).is_some(), "{name}");
        }
        let owner = rule(&["RequestorAndOwnerAreEqual"]);
        assert_eq!(unmet_alone(&owner, &nobody), None);
        // A custom text with the digits of an organisation is not that organisation.
        let custom = inquiry_with(|it| it.subject = Some(Party::Custom(AGENCY.to_owned())));
        assert!(unmet_alone(&rule(&["SubjectAndOwnerAreEqual"]), &custom).is_some());
    }

    #[test]
    fn relations_are_read_by_name_and_number_and_found_in_either_order() {
        for (number, (relation, name)) in Relation::ALL.into_iter().enumerate() {
            assert_eq!(Relation::parse(name), Some(relation));
            assert_eq!(Relation::parse(&name.to_lowercase()), Some(relation));
            assert_eq!(Relation::parse(&number.to_string()), Some(relation));
            assert_eq!(relation.wire_name(), name);
            let Relation { left, right, equal } = relation;
            assert_eq!(Relation::between(right, left, equal), Some(relation));
        }
        for text in ["", "5", "-1", "OwnerAndOwnerAreEqual"] {
            assert_eq!(Relation::parse(text), None, "{text}");
        }
        assert_eq!(Relation::between(Role::Subject, Role::Owner, false), None);
    }

    #[tokio::test]
    async fn a_relation_decides() {
        let unmet = trial(|it| it.application.requestor = Some(OTHER_AGENCY.to_owned()));
        let rule = rule(&["RequestorAndOwnerAreEqual"]);
        assert_decides(&rule, Some(&trial(|_| {})), &unmet).await;
    }
}
