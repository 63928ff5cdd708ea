//! Requirements: the closed set of rule kinds, and how one rule is decided.
//!
//! To add a kind: write its file here, then its module line, its variant, and the match arms that
//! the compiler asks for. A kind that this version does not decide is refused by name.

mod allow_list;
mod allow_list_from_config;
mod consent;
mod custom_subject;
mod describe;
mod legal_basis;
mod own_token;
mod party_relation;
mod party_type;
mod reference;
mod right;
mod role;
mod scope;
#[cfg(test)]
mod testing;
mod undecided;

use std::sync::Arc;

pub use allow_list::AllowList;
pub use allow_list_from_config::{AllowListFromConfig, ConfiguredList};
pub use consent::ConsentRule;
pub use custom_subject::CustomSubject;
pub use legal_basis::{CpvList, LegalBasisRule};
pub use own_token::OwnToken;
pub use party_relation::{PartyRelation, Relation};
pub use party_type::{PartyType, PartyTypeRule};
pub use reference::{REFERENCE_LENGTH_MAX, ReferenceKind, ReferenceRule};
pub use right::AltinnRight;
pub use role::AltinnRole;
pub use scope::ScopeRule;
pub use undecided::Undecided;

use crate::inquiry::{Asked, Inquiry, Origin};
use crate::party::Party;
use crate::ports::{FactQuery, FactTable};

/// The three parties a rule can speak about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The party asked about.
    Subject,
    /// The party that asks.
    Requestor,
    /// The authenticated organisation.
    Owner,
}

impl Role {
    /// Every role with its name and number on the wire (`wire-api.md` §6).
    pub const ALL: [(Self, &'static str, u8); 3] = [
        (Self::Subject, "Subject", 1),
        (Self::Requestor, "Requestor", 2),
        (Self::Owner, "Owner", 3),
    ];

    /// The name on the wire.
    #[must_use]
    pub fn wire_name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(role, ..)| *role == self)
            .map_or("", |(_, name, _)| name)
    }

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(role, ..)| *role == self)
            .map_or(0, |(.., number)| *number)
    }

    /// Reads a name in any case, or the number as text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name, number)| name.eq_ignore_ascii_case(text) || number.to_string() == text)
            .map(|(role, ..)| *role)
    }

    /// The party in this role; `None` when the inquiry has no subject.
    #[must_use]
    pub fn party(self, inquiry: &Inquiry) -> Option<Party> {
        match self {
            Self::Subject => inquiry.subject.clone(),
            Self::Requestor => Some(inquiry.requestor.clone()),
            Self::Owner => Some(Party::Organisation(inquiry.owner)),
        }
    }
}

/// What happens when a rule is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The whole request is refused.
    Deny,
    /// The dataset is left out.
    Skip,
}

/// A rule as it stands in the catalogue: a kind, and when it applies.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Stable identifier, unique within a dataset and a context: `eBevis/scope`, `RestanserV2/consent`.
    pub id: String,
    /// Where it is written, for people: file and line, or the plugin.
    pub origin: String,
    /// What must hold.
    pub requirement: Requirement,
    /// What happens when it does not.
    pub on_failure: OnFailure,
    /// Names of the contexts it applies in; empty means all.
    pub contexts: Vec<String>,
    /// Also asked when a stored grant is harvested.
    pub at_harvest: bool,
}

impl Rule {
    /// Whether it applies in this context.
    #[must_use]
    pub fn applies_in(&self, context: &str) -> bool {
        self.contexts.is_empty() || self.contexts.iter().any(|name| name == context)
    }

    /// Whether it is asked in this use case.
    #[must_use]
    pub const fn applies_to(&self, origin: Origin) -> bool {
        match origin {
            Origin::Grant | Origin::Direct => true,
            Origin::StoredHarvest => self.at_harvest,
        }
    }
}

/// Every kind of rule in DAN's language (`engine.md` §3.2).
#[derive(Clone, Debug, PartialEq)]
pub enum Requirement {
    /// Listed parties only.
    AllowList(AllowList),
    /// The same, with lists kept in the configuration.
    AllowListFromConfig(AllowListFromConfig),
    /// Consent of the subject.
    Consent(ConsentRule),
    /// The subject may be other than an organisation or a person.
    CustomSubject(CustomSubject),
    /// A legal basis of some kind, referred to by the dataset.
    LegalBasis(LegalBasisRule),
    /// The caller offers a token for the source.
    OwnToken(OwnToken),
    /// Who must, or must not, be the same party as whom.
    PartyRelation(PartyRelation),
    /// Public agency, company, person, foreign.
    PartyType(PartyTypeRule),
    /// A reference in an agreed form.
    Reference(ReferenceRule),
    /// A right in Altinn.
    Right(AltinnRight),
    /// A role in Altinn.
    Role(AltinnRole),
    /// Scopes in the caller's token.
    Scope(ScopeRule),
    /// Known by name, decided nowhere yet: always refused.
    Undecided(Undecided),
}

/// Why a rule was not met. The text is for the peer and says what to do; it names no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet(pub String);

impl Unmet {
    /// A reason.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Requirement {
    /// The questions that must be answered before [`Requirement::check`]; all are asked at once.
    #[must_use]
    pub fn needs(&self, inquiry: &Inquiry) -> Vec<FactQuery> {
        match self {
            Self::PartyType(rule) => rule.needs(inquiry),
            Self::Right(rule) => rule.needs(inquiry),
            Self::Role(rule) => rule.needs(inquiry),
            Self::AllowList(_)
            | Self::AllowListFromConfig(_)
            | Self::Consent(_)
            | Self::CustomSubject(_)
            | Self::LegalBasis(_)
            | Self::OwnToken(_)
            | Self::PartyRelation(_)
            | Self::Reference(_)
            | Self::Scope(_)
            | Self::Undecided(_) => Vec::new(),
        }
    }

    /// Decides, from what is known and without asking anybody.
    ///
    /// # Errors
    /// [`Unmet`] when the rule is not met, or cannot be decided.
    pub fn check(&self, inquiry: &Inquiry, asked: &Asked, facts: &FactTable) -> Result<(), Unmet> {
        match self {
            Self::AllowList(rule) => rule.check(inquiry),
            Self::AllowListFromConfig(rule) => rule.check(inquiry),
            Self::Consent(rule) => rule.check(inquiry, asked),
            Self::CustomSubject(rule) => rule.check(inquiry),
            Self::LegalBasis(rule) => rule.check(inquiry, asked),
            Self::OwnToken(rule) => rule.check(inquiry),
            Self::PartyRelation(rule) => rule.check(inquiry),
            Self::PartyType(rule) => rule.check(inquiry, facts),
            Self::Reference(rule) => rule.check(inquiry),
            Self::Right(rule) => rule.check(inquiry, facts),
            Self::Role(rule) => rule.check(inquiry, facts),
            Self::Scope(rule) => rule.check(inquiry),
            Self::Undecided(rule) => rule.check(),
        }
    }

    /// Short name of the kind, used in rule identifiers and in catalogue files.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::AllowList(_) => "allow-list",
            Self::AllowListFromConfig(_) => "allow-list-from-config",
            Self::Consent(_) => "consent",
            Self::CustomSubject(_) => "subject",
            Self::LegalBasis(_) => "legal-basis",
            Self::OwnToken(_) => "own-token",
            Self::PartyRelation(_) => "relation",
            Self::PartyType(_) => "party",
            Self::Reference(_) => "reference",
            Self::Right(_) => "right",
            Self::Role(_) => "role",
            Self::Scope(_) => "scope",
            Self::Undecided(rule) => &rule.kind,
        }
    }
}

/// A rule that was not met, with all that explains it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The dataset it concerns.
    pub dataset: String,
    /// The rule.
    pub rule: Arc<Rule>,
    /// Why.
    pub unmet: Unmet,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::testing::{inquiry, inquiry_with, one_of_each_kind, party, unmet_alone};
    use super::*;
    use crate::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, PERSON};

    fn undecided() -> Requirement {
        Requirement::Undecided(Undecided {
            kind: "srr".to_owned(),
            wire_type: "SrrRequirement".to_owned(),
        })
    }

    #[test]
    fn a_rule_applies_in_the_contexts_it_names_by_exact_name_or_in_all() {
        let rule = |contexts: &[&str]| Rule {
            contexts: contexts.iter().map(|name| (*name).to_owned()).collect(),
            ..builders::rule("r", undecided())
        };
        for (contexts, applies, does_not) in [
            (&[][..], &["eBevis", "Tilda", ""][..], &[][..]),
            (&["eBevis"], &["eBevis"], &["ebevis", "eBevi", "Tilda", ""]),
            (&["eBevis", "Tilda"], &["eBevis", "Tilda"], &["OED"]),
        ] {
            let rule = rule(contexts);
            assert!(applies.iter().all(|name| rule.applies_in(name)));
            assert!(!does_not.iter().any(|name| rule.applies_in(name)));
        }
    }

    #[test]
    fn only_a_stored_harvest_can_be_exempt_from_a_rule() {
        for (at_harvest, origin, applies) in [
            (false, Origin::Grant, true),
            (false, Origin::Direct, true),
            (false, Origin::StoredHarvest, false),
            (true, Origin::Grant, true),
            (true, Origin::Direct, true),
            (true, Origin::StoredHarvest, true),
        ] {
            let rule = Rule {
                at_harvest,
                ..builders::rule("r", undecided())
            };
            assert_eq!(rule.applies_to(origin), applies, "{at_harvest} {origin:?}");
        }
    }

    #[test]
    fn roles_are_read_by_name_and_number_and_speak_of_their_party() {
        let inquiry = inquiry_with(|it| it.owner = builders::org(OTHER_AGENCY));
        for (texts, role, expected) in [
            (["Subject", "subject", "1"], Role::Subject, COMPANY),
            (["Requestor", "REQUESTOR", "2"], Role::Requestor, AGENCY),
            (["Owner", "owner", "3"], Role::Owner, OTHER_AGENCY),
        ] {
            for text in texts {
                assert_eq!(Role::parse(text), Some(role), "{text}");
            }
            assert_eq!(Role::parse(role.wire_name()), Some(role));
            assert_eq!(Role::parse(&role.number().to_string()), Some(role));
            assert_eq!(role.party(&inquiry), Some(party(expected)));
        }
        for text in ["", "0", "4", "01", "Sub", "Subject "] {
            assert_eq!(Role::parse(text), None, "{text}");
        }
        let nobody = inquiry_with(|it| it.subject = None);
        assert_eq!(Role::Subject.party(&nobody), None);
    }

    #[test]
    fn every_kind_has_its_own_name() {
        let names: Vec<String> = one_of_each_kind()
            .iter()
            .map(|requirement| requirement.kind().to_owned())
            .collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!((names.len(), distinct.len()), (13, 13), "{names:?}");
    }

    #[test]
    fn no_kind_names_a_person_in_its_reason() {
        let inquiry = inquiry_with(|it| {
            it.subject = Some(party(PERSON));
            it.requestor = party(PERSON);
        });
        let mut reasons = 0;
        for requirement in one_of_each_kind() {
            let outcome = requirement.check(&inquiry, &inquiry.asked[0], &FactTable::new());
            let Err(Unmet(reason)) = outcome else {
                continue;
            };
            assert!(!reason.is_empty() && !reason.contains("0705"), "{reason}");
            reasons += 1;
        }
        assert_eq!(reasons, 12, "all but the rule about custom subjects");
    }

    #[test]
    fn an_undecided_kind_goes_by_the_name_it_has_in_the_catalogue() {
        assert_eq!(undecided().kind(), "srr");
        assert!(unmet_alone(&undecided(), &inquiry()).is_some());
    }
}
