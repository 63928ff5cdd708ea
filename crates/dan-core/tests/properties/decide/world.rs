//! A catalogue, and who asks it for what: both drawn by chance.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::chance::Chance;
use dan_core::caller::{Caller, KeyProof, Proof, TokenProof};
use dan_core::catalog::{Catalog, Supply};
use dan_core::context::ServiceContext;
use dan_core::dataset::{Alias, Dataset};
use dan_core::inquiry::{Application, DatasetRequest, LegalBasis, LegalBasisKind, OfferedTokens};
use dan_core::party::{Party, Realm};
use dan_core::ports::FactQuery;
use dan_core::requirement::{
    AllowList, AllowListFromConfig, AltinnRight, AltinnRole, ConfiguredList, ConsentRule, CpvList,
    CustomSubject, LegalBasisRule, OnFailure, OwnToken, PartyRelation, PartyType, PartyTypeRule,
    ReferenceKind, ReferenceRule, Relation, Requirement, Role, Rule, ScopeRule, Undecided,
};
use dan_core::secret::Secret;
use dan_core::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, PERSON};
use dan_core::testkit::fakes::FakeSource;
use regex::Regex;

pub(super) const OTHER_PERSON: &str = "03065001488";
pub(super) const FOREIGN: &str = "iso6523-actorid-upis::9999:x";
pub(super) const OTHER_FOREIGN: &str = "iso6523-actorid-upis::9999:y";
pub(super) const DELETED: &str = "910402021";
/// Whoever can be on a list.
pub(super) const PARTIES: [&str; 7] = [
    AGENCY,
    OTHER_AGENCY,
    COMPANY,
    PERSON,
    OTHER_PERSON,
    FOREIGN,
    OTHER_FOREIGN,
];
pub(super) const SCOPES: [&str; 2] = ["dan:a", "dan:b"];
pub(super) const ESPD: &str =
    r#"<e:ESPDRequest xmlns:e="urn:grow:names:specification:ubl:schema:xsd:ESPDRequest-1"/>"#;
pub(super) const ROLES: [Role; 3] = [Role::Subject, Role::Requestor, Role::Owner];

/// A catalogue in its parts, so that one part can be changed.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) contexts: Vec<ServiceContext>,
    pub(super) datasets: Vec<Dataset>,
}

/// Who asks for what, and what the authorities know.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) context: usize,
    pub(super) owner: &'static str,
    pub(super) scopes: Vec<&'static str>,
    pub(super) tokens: OfferedTokens,
    pub(super) application: Application,
    pub(super) held: Vec<FactQuery>,
    pub(super) down: bool,
}

pub(super) fn party(text: &str) -> Party {
    Party::parse(text, Realm::Production).unwrap_or_else(|_| Party::Custom(text.to_owned()))
}

pub(super) fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl World {
    pub(super) fn any(chance: &mut Chance) -> Self {
        let contexts: Vec<ServiceContext> = (0..=chance.below(4))
            .map(|at| ServiceContext {
                id: format!("c{at}-product"),
                name: format!("c{at}"),
                ..builders::context(rules(chance, &format!("c{at}"), 1))
            })
            .collect();
        let datasets = (0..=chance.below(4))
            .map(|at| dataset(chance, at, contexts.len()))
            .collect();
        Self { contexts, datasets }
    }

    pub(super) fn catalog(&self, source: Arc<FakeSource>) -> Catalog {
        let supply = Supply {
            source,
            datasets: self.datasets.clone(),
        };
        let (catalog, problems) =
            Catalog::build(self.contexts.clone(), vec![supply], "1".to_owned());
        assert!(problems.is_empty(), "{problems:?}");
        catalog
    }

    /// The names that datasets go by in a context.
    pub(super) fn names_in(&self, context: usize) -> Vec<String> {
        let context = &self.contexts[context].name;
        let catalog = self.catalog(Arc::new(FakeSource::default()));
        let names = self.datasets.iter().flat_map(|dataset| {
            let aliases = dataset.aliases.iter().map(|alias| alias.name.clone());
            aliases.chain([dataset.name.clone()])
        });
        names
            .filter(|name| catalog.offer(context, name).is_some())
            .collect()
    }
}

pub(super) fn dataset(chance: &mut Chance, at: usize, contexts: usize) -> Dataset {
    let name = format!("d{at}");
    let mut places: Vec<String> = (0..contexts).map(|at| format!("c{at}")).collect();
    places.retain(|_| chance.percent(80));
    let mut aliases = Vec::new();
    if chance.percent(20) {
        let alias = |context: &String| Alias {
            name: format!("{name}-in-{context}"),
            context: context.clone(),
        };
        aliases = places.iter().map(alias).collect();
    }
    Dataset {
        rules: rules(chance, &name, 3),
        contexts: places,
        aliases,
        valid_days_max: chance.percent(20).then_some(30),
        ..builders::dataset(&name)
    }
}

/// At most so many rules.
pub(super) fn rules(chance: &mut Chance, whose: &str, most: usize) -> Vec<Rule> {
    (0..chance.below(most + 1))
        .map(|at| rule(chance, &format!("{whose}/{at}")))
        .collect()
}

pub(super) fn rule(chance: &mut Chance, id: &str) -> Rule {
    let mut contexts = Vec::new();
    if chance.percent(30) {
        contexts = texts(&["c0", "c1", "c2", "c3"]);
        contexts.retain(|_| chance.percent(50));
    }
    Rule {
        on_failure: if chance.percent(40) {
            OnFailure::Skip
        } else {
            OnFailure::Deny
        },
        contexts,
        at_harvest: chance.percent(70),
        ..builders::rule(id, requirement(chance))
    }
}

/// A rule much like another: rules that are taken for each other are where one can get lost.
pub(super) fn twin(chance: &mut Chance, rule: &Rule, question: &Question) -> Rule {
    let mut twin = Rule {
        id: "twin".to_owned(),
        ..rule.clone()
    };
    match chance.below(4) {
        0 => twin.on_failure = chance.pick(&[OnFailure::Deny, OnFailure::Skip]),
        1 => twin.at_harvest = !twin.at_harvest,
        _ => twin.requirement = like(chance, &rule.requirement, question),
    }
    twin
}

/// Another requirement of the same kind; the same list with whoever asks, or is asked about, on it.
pub(super) fn like(chance: &mut Chance, other: &Requirement, question: &Question) -> Requirement {
    if let Requirement::AllowList(list) = other {
        let turned = list
            .allowed
            .iter()
            .map(|(role, _)| (*role, question.party(*role)));
        return Requirement::AllowList(AllowList {
            allowed: turned.collect(),
        });
    }
    loop {
        let drawn = requirement(chance);
        if drawn.kind() == other.kind() {
            return drawn;
        }
    }
}

pub(super) fn requirement(chance: &mut Chance) -> Requirement {
    match chance.below(26) {
        0 | 1 => allow_list(chance),
        2 | 3 => allow_list_from_config(chance),
        4 | 5 => Requirement::Consent(ConsentRule::default()),
        6 | 7 => Requirement::CustomSubject(CustomSubject {
            pattern: Regex::new(chance.pick(&[r"\w+", r"^\d{4}$"])).unwrap(),
            description: None,
        }),
        8..=10 => legal_basis(chance),
        11 | 12 => Requirement::OwnToken(OwnToken),
        13..=15 => Requirement::PartyRelation(PartyRelation {
            relations: vec![chance.pick(&Relation::ALL).0],
        }),
        16..=18 => party_type(chance),
        19 | 20 => Requirement::Reference(ReferenceRule {
            reference: chance.pick(&[ReferenceKind::Consent, ReferenceKind::External]),
            format: Regex::new(chance.pick(&[".*", r"^\d+$"])).unwrap(),
        }),
        21 => Requirement::Right(AltinnRight {
            service_code: "4000".to_owned(),
            service_edition: String::new(),
            offered_by: chance.pick(&ROLES),
            covered_by: chance.pick(&ROLES),
            actions: texts(chance.pick(&[&[][..], &["Read"], &["read", "write"]])),
        }),
        22 => Requirement::Role(AltinnRole {
            role_code: "DAGL".to_owned(),
            offered_by: chance.pick(&ROLES),
            covered_by: chance.pick(&ROLES),
        }),
        23 | 24 => Requirement::Scope(ScopeRule {
            required: texts(chance.pick(&[&["dan:a"][..], &["dan:b"], &["dan:a", "dan:b"]])),
        }),
        _ => Requirement::Undecided(Undecided {
            kind: "srr".to_owned(),
            wire_type: "SrrRequirement".to_owned(),
        }),
    }
}

pub(super) fn allow_list(chance: &mut Chance) -> Requirement {
    let role = chance.pick(&ROLES);
    let mut parties = PARTIES.to_vec();
    // Long lists and those of one: who alone is on them matters most.
    let share = chance.pick(&[0, 70]);
    parties.retain(|_| chance.percent(share));
    parties.push(chance.pick(&PARTIES));
    Requirement::AllowList(AllowList {
        allowed: parties
            .into_iter()
            .map(|text| (role, party(text)))
            .collect(),
    })
}

pub(super) fn allow_list_from_config(chance: &mut Chance) -> Requirement {
    let mut parties: Vec<Party> = PARTIES.iter().map(|text| party(text)).collect();
    parties.retain(|_| chance.percent(70));
    Requirement::AllowListFromConfig(AllowListFromConfig {
        lists: vec![ConfiguredList {
            role: chance.pick(&ROLES),
            setting: "list".to_owned(),
            parties,
        }],
    })
}

pub(super) fn legal_basis(chance: &mut Chance) -> Requirement {
    let list = CpvList {
        version: "1".to_owned(),
        codes: BTreeSet::from(["45000000-7".to_owned()]),
    };
    Requirement::LegalBasis(LegalBasisRule {
        cpv: chance.percent(80).then(|| Arc::new(list)),
        espd: chance.percent(80),
    })
}

pub(super) fn party_type(chance: &mut Chance) -> Requirement {
    let role = chance.pick(&ROLES);
    let mut kinds: Vec<PartyType> = PartyType::ALL.map(|(kind, ..)| kind).to_vec();
    kinds.retain(|_| chance.percent(60));
    kinds.push(PartyType::PublicAgency);
    Requirement::PartyType(PartyTypeRule {
        allowed: kinds.into_iter().map(|kind| (role, kind)).collect(),
    })
}

impl Question {
    pub(super) fn any(chance: &mut Chance, world: &World) -> Self {
        let context = chance.below(world.contexts.len());
        let scopes = [&["dan:test"][..], &["dan:test", "dan:a"], &SCOPES, &SCOPES];
        let secret = || Some(Arc::new(Secret::new("token".to_owned())));
        let tokens = OfferedTokens {
            reuse: chance.percent(30),
            forwarded: chance.percent(20).then(secret).flatten(),
            on_behalf_of_owner: chance.percent(40),
        };
        Self {
            context,
            owner: chance.pick(&[AGENCY, AGENCY, OTHER_AGENCY]),
            scopes: chance.pick(&scopes).to_vec(),
            tokens,
            application: application(chance, world.names_in(context)),
            held: held(chance),
            down: chance.percent(2),
        }
    }

    pub(super) fn party(&self, role: Role) -> Party {
        let text = match role {
            Role::Subject => self.application.subject.as_deref(),
            Role::Requestor => self.application.requestor.as_deref(),
            Role::Owner => Some(self.owner),
        };
        party(text.unwrap_or_default())
    }

    /// The subject is written as a party, or there is none.
    pub(super) fn subject_is_no_free_text(&self) -> bool {
        let subject = self.application.subject.as_deref();
        subject.is_none_or(|text| Party::parse(text, Realm::Production).is_ok())
    }

    pub(super) fn caller(&self) -> Caller {
        let key = Proof::Key(KeyProof::new(
            "key".to_owned(),
            format!("c{}-product", self.context),
            None,
        ));
        let token = Proof::Token(TokenProof::new(
            builders::org(self.owner),
            texts(&self.scopes),
            Arc::new(Secret::new("token".to_owned())),
        ));
        Caller::join(vec![key, token]).unwrap()
    }
}

pub(super) fn application(chance: &mut Chance, mut names: Vec<String>) -> Application {
    if names.is_empty() || chance.percent(2) {
        names.push("d0".to_owned());
        names.push("unknown".to_owned());
    }
    names.sort_unstable();
    names.dedup();
    while names.len() > 3 {
        names.remove(chance.below(names.len()));
    }
    let mut legal_bases = bases(chance);
    let datasets: Vec<DatasetRequest> = names
        .into_iter()
        .map(|name| DatasetRequest {
            name,
            legal_basis_id: chance
                .percent(75)
                .then(|| chance.pick(&["espd", "cpv", "bad"]))
                .map(str::to_owned),
            request_consent: chance.percent(60),
            ..DatasetRequest::default()
        })
        .collect();
    // A basis that no dataset refers to is a mistake of its own; now and then it is made.
    let strict = chance.percent(97);
    legal_bases.retain(|basis| {
        let referred =
            |request: &DatasetRequest| request.legal_basis_id.as_ref() == Some(&basis.id);
        !strict || datasets.iter().any(referred)
    });
    let requestors = [
        AGENCY,
        AGENCY,
        AGENCY,
        OTHER_AGENCY,
        COMPANY,
        PERSON,
        FOREIGN,
    ];
    let subjects = [
        COMPANY,
        COMPANY,
        COMPANY,
        COMPANY,
        COMPANY,
        AGENCY,
        PERSON,
        AGENCY,
        PERSON,
        OTHER_PERSON,
        OTHER_PERSON,
        FOREIGN,
        OTHER_FOREIGN,
        "1234",
        DELETED,
    ];
    Application {
        requestor: chance
            .percent(99)
            .then(|| chance.pick(&requestors).to_owned()),
        subject: chance
            .percent(95)
            .then(|| chance.pick(&subjects).to_owned()),
        datasets,
        legal_bases,
        consent_reference: reference(chance),
        external_reference: reference(chance),
        language: chance.percent(10).then(|| "en".to_owned()),
        ..Application::default()
    }
}

pub(super) fn reference(chance: &mut Chance) -> Option<String> {
    let any = ["1", "1", "2026", "text", ""];
    chance.percent(85).then(|| chance.pick(&any).to_owned())
}

pub(super) fn bases(chance: &mut Chance) -> Vec<LegalBasis> {
    let basis = |id: &str, kind, content: &str| LegalBasis {
        id: id.to_owned(),
        kind: Some(kind),
        content: content.to_owned(),
    };
    let mut bases = vec![
        basis("espd", LegalBasisKind::Espd, ESPD),
        basis("cpv", LegalBasisKind::Cpv, "11111111-1,45000000-7"),
        basis("bad", LegalBasisKind::Cpv, "11111111-1"),
    ];
    bases.retain(|_| chance.percent(90));
    bases
}

/// Roles and rights between whoever asks and is asked about.
pub(super) fn held(chance: &mut Chance) -> Vec<FactQuery> {
    let mut held = Vec::new();
    for from in PARTIES {
        for to in PARTIES {
            let (from, to) = (party(from), party(to));
            if chance.percent(50) {
                held.push(FactQuery::HasRole {
                    from: from.clone(),
                    to: to.clone(),
                    role: "DAGL".to_owned(),
                });
            }
            if chance.percent(50) {
                held.push(FactQuery::HasRight {
                    from,
                    to,
                    resource: "4000".to_owned(),
                    actions: texts(chance.pick(&[&["read"][..], &["read", "write"]])),
                });
            }
        }
    }
    held
}
