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
#[derive(Clone, Debug)]
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
