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
#[derive(Clone, Debug)]
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
