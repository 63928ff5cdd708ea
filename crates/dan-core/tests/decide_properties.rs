//! What holds of every decision, whatever the catalogue, the application and the facts.
//!
//! Cases are drawn by chance; see `chance` for how to repeat or lengthen a run.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests"
)]

mod chance;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use chance::{Chance, plan};
use dan_core::accreditation::Accreditation;
use dan_core::caller::{Caller, Proof};
use dan_core::catalog::{Catalog, Supply};
use dan_core::context::ServiceContext;
use dan_core::dataset::{Alias, Dataset};
use dan_core::error::{Code, Fault};
use dan_core::flow::{
    Answer, Call, Exchange, Explanation, Form, Presented, Presenter, Wish, explain,
};
use dan_core::inquiry::{
    Application, DatasetRequest, Inquiry, LegalBasis, LegalBasisKind, OfferedTokens, Origin,
    Reading,
};
use dan_core::meter::Meter;
use dan_core::party::{Party, Realm};
use dan_core::ports::{Clock as _, FactQuery, FactTable, Facts as _, Unit};
use dan_core::requirement::{
    AllowList, AllowListFromConfig, AltinnRight, AltinnRole, ConfiguredList, ConsentRule, CpvList,
    CustomSubject, LegalBasisRule, OnFailure, OwnToken, PartyRelation, PartyType, PartyTypeRule,
    ReferenceKind, ReferenceRule, Relation, Requirement, Role, Rule, ScopeRule, Undecided,
};
use dan_core::secret::Secret;
use dan_core::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, PERSON};
use dan_core::testkit::fakes::{FakeSource, Fakes, call_context};
use regex::Regex;
use tokio::runtime;

const CASES: u64 = 2_000;
const CASES_LONG: u64 = 100_000;

const OTHER_PERSON: &str = "03065001488";
const FOREIGN: &str = "iso6523-actorid-upis::9999:x";
const OTHER_FOREIGN: &str = "iso6523-actorid-upis::9999:y";
const DELETED: &str = "910402021";
/// Whoever can be on a list.
const PARTIES: [&str; 7] = [
    AGENCY,
    OTHER_AGENCY,
    COMPANY,
    PERSON,
    OTHER_PERSON,
    FOREIGN,
    OTHER_FOREIGN,
];
const SCOPES: [&str; 2] = ["dan:a", "dan:b"];
const ESPD: &str =
    r#"<e:ESPDRequest xmlns:e="urn:grow:names:specification:ubl:schema:xsd:ESPDRequest-1"/>"#;
const ROLES: [Role; 3] = [Role::Subject, Role::Requestor, Role::Owner];

/// A catalogue in its parts, so that one part can be changed.
#[derive(Clone, Debug)]
struct World {
    contexts: Vec<ServiceContext>,
    datasets: Vec<Dataset>,
}

/// Who asks for what, and what the authorities know.
#[derive(Clone, Debug)]
struct Question {
    context: usize,
    owner: &'static str,
    scopes: Vec<&'static str>,
    tokens: OfferedTokens,
    application: Application,
    held: Vec<FactQuery>,
    down: bool,
}

/// What a grant came to: the datasets with those left out, or the code with the rules not met.
#[derive(Debug, PartialEq)]
enum Outcome {
    Granted {
        datasets: Vec<String>,
        left_out: BTreeSet<(String, String)>,
    },
    Refused {
        code: Code,
        rules: Vec<String>,
    },
}

/// What another rule did to a grant.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    LeftOut,
    Refused,
}

struct Desk {
    fakes: Fakes,
    exchange: Exchange,
    caller: Caller,
}

struct Plain;

impl Presenter for Plain {
    fn present(&self, _answer: &Answer<'_>) -> Result<Presented, Fault> {
        Ok(Presented {
            body: Bytes::from_static(b"{}"),
            media_type: Some("application/json".to_owned()),
            query: None,
            form: Form::Plain,
        })
    }
}

fn party(text: &str) -> Party {
    Party::parse(text, Realm::Production).unwrap_or_else(|_| Party::Custom(text.to_owned()))
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl World {
    fn any(chance: &mut Chance) -> Self {
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

    fn catalog(&self, source: Arc<FakeSource>) -> Catalog {
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
    fn names_in(&self, context: usize) -> Vec<String> {
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

fn dataset(chance: &mut Chance, at: usize, contexts: usize) -> Dataset {
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
fn rules(chance: &mut Chance, whose: &str, most: usize) -> Vec<Rule> {
    (0..chance.below(most + 1))
        .map(|at| rule(chance, &format!("{whose}/{at}")))
        .collect()
}

fn rule(chance: &mut Chance, id: &str) -> Rule {
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
fn twin(chance: &mut Chance, rule: &Rule, question: &Question) -> Rule {
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
fn like(chance: &mut Chance, other: &Requirement, question: &Question) -> Requirement {
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

fn requirement(chance: &mut Chance) -> Requirement {
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

fn allow_list(chance: &mut Chance) -> Requirement {
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

fn allow_list_from_config(chance: &mut Chance) -> Requirement {
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

fn legal_basis(chance: &mut Chance) -> Requirement {
    let list = CpvList {
        version: "1".to_owned(),
        codes: BTreeSet::from(["45000000-7".to_owned()]),
    };
    Requirement::LegalBasis(LegalBasisRule {
        cpv: chance.percent(80).then(|| Arc::new(list)),
        espd: chance.percent(80),
    })
}

fn party_type(chance: &mut Chance) -> Requirement {
    let role = chance.pick(&ROLES);
    let mut kinds: Vec<PartyType> = PartyType::ALL.map(|(kind, ..)| kind).to_vec();
    kinds.retain(|_| chance.percent(60));
    kinds.push(PartyType::PublicAgency);
    Requirement::PartyType(PartyTypeRule {
        allowed: kinds.into_iter().map(|kind| (role, kind)).collect(),
    })
}

impl Question {
    fn any(chance: &mut Chance, world: &World) -> Self {
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

    fn party(&self, role: Role) -> Party {
        let text = match role {
            Role::Subject => self.application.subject.as_deref(),
            Role::Requestor => self.application.requestor.as_deref(),
            Role::Owner => Some(self.owner),
        };
        party(text.unwrap_or_default())
    }

    /// The subject is written as a party, or there is none.
    fn subject_is_no_free_text(&self) -> bool {
        let subject = self.application.subject.as_deref();
        subject.is_none_or(|text| Party::parse(text, Realm::Production).is_ok())
    }

    fn caller(&self) -> Caller {
        let key = Proof::Key {
            id: "key".to_owned(),
            context_id: format!("c{}-product", self.context),
            org: None,
        };
        let token = Proof::Token {
            org: builders::org(self.owner),
            supplier: None,
            scopes: texts(&self.scopes),
            token: Arc::new(Secret::new("token".to_owned())),
        };
        Caller::join(vec![key, token]).unwrap()
    }
}

fn application(chance: &mut Chance, mut names: Vec<String>) -> Application {
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

fn reference(chance: &mut Chance) -> Option<String> {
    let any = ["1", "1", "2026", "text", ""];
    chance.percent(85).then(|| chance.pick(&any).to_owned())
}

fn bases(chance: &mut Chance) -> Vec<LegalBasis> {
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
fn held(chance: &mut Chance) -> Vec<FactQuery> {
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

impl Desk {
    fn of(world: &World, question: &Question) -> Self {
        let fakes = Fakes::new(|source| world.catalog(source));
        fakes.facts.put(Unit {
            deleted: Some("2020-01-01".to_owned()),
            ..builders::unit(DELETED, "AS")
        });
        for query in &question.held {
            fakes.facts.hold(query.clone());
        }
        fakes.facts.set_down(question.down);
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        Self {
            fakes,
            exchange,
            caller: question.caller(),
        }
    }

    async fn grant(&self, question: &Question) -> Result<Accreditation, Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let (application, tokens) = (question.application.clone(), question.tokens.clone());
        let granted = self.exchange.grant(call, application, tokens, None).await?;
        Ok(granted.accreditation)
    }

    async fn explain(&self, question: &Question) -> Result<Explanation, Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let (application, tokens) = (question.application.clone(), question.tokens.clone());
        self.exchange.explain(call, application, tokens).await
    }

    /// What of a grant can be harvested at once, by the same caller with the same tokens.
    async fn harvest(&self, question: &Question, id: &str, dataset: &str) -> Option<Code> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let wish = Wish {
            tokens: &question.tokens,
            presenter: &Plain,
        };
        let harvested = self.exchange.harvest(call, id, dataset, wish).await;
        harvested.err().map(|fault| fault.code)
    }

    async fn direct(&self, question: &Question) -> Result<(), Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let wish = Wish {
            tokens: &question.tokens,
            presenter: &Plain,
        };
        let application = question.application.clone();
        self.exchange
            .direct_harvest(call, application, wish)
            .await
            .map(|_envelope| ())
    }

    /// The inquiry of a question, where it makes sense, with every fact that its rules ask for.
    async fn inquiry(&self, question: &Question) -> Option<(Inquiry, FactTable)> {
        let catalog = self.exchange.catalog();
        let settings = self.exchange.settings();
        let reading = Reading {
            catalog: &catalog,
            now: self.fakes.clock.now(),
            realm: settings.realm,
            validity: settings.validity,
        };
        let (application, tokens) = (question.application.clone(), question.tokens.clone());
        let inquiry = Inquiry::new(application, &self.caller, tokens, Origin::Grant, reading);
        let inquiry = inquiry.ok()?;
        let mut facts = FactTable::new();
        for one in &inquiry.asked {
            for query in one
                .offer
                .rules
                .iter()
                .flat_map(|rule| rule.requirement.needs(&inquiry))
            {
                let fact = self.fakes.facts.find(&query, &call_context()).await.ok()?;
                facts.insert(query, fact);
            }
        }
        Some((inquiry, facts))
    }
}

fn outcome(granted: Result<Accreditation, Fault>) -> Outcome {
    match granted {
        Ok(grant) => Outcome::Granted {
            datasets: grant.datasets.into_iter().map(|one| one.name).collect(),
            left_out: grant
                .skipped
                .into_iter()
                .map(|one| (one.name, one.rule_id))
                .collect(),
        },
        Err(fault) => Outcome::Refused {
            code: fault.code,
            rules: fault.rules,
        },
    }
}

/// What an explanation says that a grant would come to.
fn explained(question: &Question, explained: Result<Explanation, Fault>) -> Outcome {
    let explanation = match explained {
        Ok(explained) => explained,
        Err(fault) => return outcome(Err(fault)),
    };
    let unmet = |soft| {
        let rows = explanation.rules.iter();
        rows.filter(move |row| row.unmet.is_some() && row.soft == soft)
    };
    let left_out: BTreeSet<(String, String)> = unmet(true)
        .map(|row| (row.dataset.clone(), row.rule.clone()))
        .collect();
    if explanation.is_granted() {
        assert_eq!(unmet(false).count(), 0);
        let asked = question.application.datasets.iter();
        let datasets = asked
            .map(|request| request.name.clone())
            .filter(|name| left_out.iter().all(|(out, _)| out != name));
        return Outcome::Granted {
            datasets: datasets.collect(),
            left_out,
        };
    }
    let hard: BTreeSet<String> = unmet(false).map(|row| row.rule.clone()).collect();
    let soft: BTreeSet<String> = left_out.into_iter().map(|(_, rule)| rule).collect();
    let rules = if hard.is_empty() { soft } else { hard };
    Outcome::Refused {
        code: Code::AuthorizationFailed,
        rules: rules.into_iter().collect(),
    }
}

/// Draws world and question of each case and looks at them.
fn each_case(test: &str, mut look: impl AsyncFnMut(&mut Chance, World, Question)) {
    let (seed, cases) = plan(test, CASES, CASES_LONG);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for case in 0..cases {
        let mut chance = Chance::of_case(seed, case);
        let world = World::any(&mut chance);
        let question = Question::any(&mut chance, &world);
        runtime.block_on(look(&mut chance, world, question));
    }
}

/// What became of a grant when a rule was added; `Err` when that let something in.
fn change(before: &Outcome, after: &Outcome) -> Result<Change, String> {
    match (before, after) {
        (Outcome::Refused { .. }, Outcome::Refused { .. }) => Ok(Change::None),
        (Outcome::Granted { .. }, Outcome::Refused { .. }) => Ok(Change::Refused),
        (Outcome::Refused { .. }, Outcome::Granted { .. }) => Err("it lets in".to_owned()),
        (
            Outcome::Granted { datasets, left_out },
            Outcome::Granted {
                datasets: fewer,
                left_out: more,
            },
        ) => {
            let names = |set: &BTreeSet<(String, String)>| -> BTreeSet<String> {
                set.iter().map(|(name, _)| name.clone()).collect()
            };
            if !fewer.iter().all(|name| datasets.contains(name))
                || !names(left_out).is_subset(&names(more))
            {
                return Err(format!("{fewer:?} after {datasets:?}"));
            }
            Ok(if fewer.len() < datasets.len() {
                Change::LeftOut
            } else {
                Change::None
            })
        }
    }
}

/// A rule about custom subjects is what opens a dataset for them: there, and only there, it lets
/// something in.
fn opens(rule: &Rule, question: &Question) -> bool {
    !question.subject_is_no_free_text() && matches!(rule.requirement, Requirement::CustomSubject(_))
}

#[test]
fn another_rule_never_turns_a_refusal_into_a_grant() {
    let mut refused = 0_u32;
    let mut left_out = 0_u32;
    each_case("another rule", async |chance, world, question| {
        let before = outcome(Desk::of(&world, &question).grant(&question).await);
        let mut added = rule(chance, "added");
        while opens(&added, &question) {
            added = rule(chance, "added");
        }
        let mut stricter = world.clone();
        let rules = if chance.percent(25) {
            let at = chance.below(stricter.contexts.len());
            &mut stricter.contexts[at].rules
        } else {
            let at = chance.below(stricter.datasets.len());
            &mut stricter.datasets[at].rules
        };
        let at = chance.below(rules.len() + 1);
        rules.insert(at, added.clone());
        let after = outcome(Desk::of(&stricter, &question).grant(&question).await);
        match change(&before, &after) {
            Ok(Change::None) => {}
            Ok(Change::Refused) => refused += 1,
            Ok(Change::LeftOut) => left_out += 1,
            Err(what) => panic!("{added:?}: {what}\n{question:#?}\n{world:#?}"),
        }
    });
    assert!(
        refused > 20 && left_out > 10,
        "cases that tell: {refused} {left_out}"
    );
}

#[test]
fn a_rule_of_the_dataset_never_takes_the_place_of_another_of_the_context() {
    let mut refused = 0_u32;
    each_case("twins", async |chance, mut world, question| {
        let of_context = Rule {
            contexts: Vec::new(),
            ..rule(chance, "context")
        };
        let of_dataset = twin(chance, &of_context, &question);
        if opens(&of_context, &question) {
            return;
        }
        let context = &mut world.contexts[question.context];
        context.rules = vec![of_context.clone()];
        let mut stricter = world.clone();
        for dataset in &mut stricter.datasets {
            dataset.rules.push(of_dataset.clone());
        }
        let before = outcome(Desk::of(&world, &question).grant(&question).await);
        let after = outcome(Desk::of(&stricter, &question).grant(&question).await);
        match change(&before, &after) {
            Ok(change) => refused += u32::from(change == Change::Refused),
            Err(what) => {
                panic!("{of_dataset:?} for {of_context:?}: {what}\n{question:#?}\n{world:#?}")
            }
        }
    });
    assert!(refused > 20, "cases that tell: {refused}");
}

#[test]
fn the_explanation_says_what_the_grant_does() {
    let mut granted = 0_u32;
    let mut in_part = 0_u32;
    let mut refused: BTreeMap<Code, u32> = BTreeMap::new();
    each_case("explanation", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let said = desk.explain(&question).await;
        if let Ok(explanation) = &said {
            let (inquiry, facts) = desk.inquiry(&question).await.unwrap();
            assert_eq!(*explanation, explain(&inquiry, &facts));
            let shown = format!("{explanation:?}");
            assert!(!shown.contains(PERSON) && !shown.contains(OTHER_PERSON));
        }
        let said = explained(&question, said);
        let done = outcome(desk.grant(&question).await);
        assert_eq!(said, done, "{question:#?}\n{world:#?}");
        match done {
            Outcome::Granted { left_out, .. } if left_out.is_empty() => granted += 1,
            Outcome::Granted { .. } => in_part += 1,
            Outcome::Refused { code, .. } => *refused.entry(code).or_default() += 1,
        }
    });
    let by_rules = refused.get(&Code::AuthorizationFailed).copied();
    let by_authority = refused.get(&Code::ServiceNotAvailable).copied();
    assert!(
        granted > 100 && in_part > 100 && by_rules > Some(100) && by_authority > Some(10),
        "cases that tell: {granted} {in_part} {refused:?}"
    );
}

#[test]
fn nothing_is_permitted_without_its_facts_or_by_a_rule_that_nobody_decides() {
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    let mut unmet: BTreeMap<String, u32> = BTreeMap::new();
    let mut rested_on_facts = 0_u32;
    each_case("facts", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let Some((inquiry, facts)) = desk.inquiry(&question).await else {
            return;
        };
        for one in &inquiry.asked {
            for rule in &one.offer.rules {
                let requirement = &rule.requirement;
                let permits = |facts: &FactTable| requirement.check(&inquiry, one, facts).is_ok();
                let permitted = permits(&facts);
                let kind = requirement.kind().to_owned();
                *if permitted { &mut met } else { &mut unmet }
                    .entry(kind)
                    .or_default() += 1;
                if matches!(requirement, Requirement::Undecided(_)) {
                    assert!(!permitted);
                }
                for query in requirement.needs(&inquiry) {
                    let mut without = facts.clone();
                    without.remove(&query);
                    assert!(!permits(&without), "{rule:?} without {query:?}");
                    rested_on_facts += u32::from(permitted);
                }
            }
        }
    });
    assert_eq!((met.len(), unmet.len()), (12, 13), "{met:?} {unmet:?}");
    assert!(rested_on_facts > 100, "cases that tell");
}

#[test]
fn the_same_is_decided_twice() {
    each_case("twice", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let first = outcome(desk.grant(&question).await);
        assert_eq!(first, outcome(desk.grant(&question).await));
        // Also by another node with the same catalogue.
        let other = Desk::of(&world, &question);
        assert_eq!(first, outcome(other.grant(&question).await));
        if let Some((inquiry, facts)) = desk.inquiry(&question).await {
            assert_eq!(explain(&inquiry, &facts), explain(&inquiry, &facts));
        }
    });
}

#[test]
fn what_was_granted_can_be_had_and_what_was_left_out_cannot() {
    let mut had = 0_u32;
    let mut waits_for_consent = 0_u32;
    each_case("harvest", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let Ok(grant) = desk.grant(&question).await else {
            return;
        };
        let catalog = desk.exchange.catalog();
        for dataset in &grant.datasets {
            let refused = desk
                .harvest(&question, grant.id.as_str(), &dataset.name)
                .await;
            let offer = catalog.offer(&grant.context, &dataset.name).unwrap();
            let expected = offer.requires_consent().then_some(Code::RequiresConsent);
            assert_eq!(refused, expected, "{question:#?}\n{world:#?}");
            had += u32::from(refused.is_none());
            waits_for_consent += u32::from(refused.is_some());
        }
        for left_out in &grant.skipped {
            let refused = desk
                .harvest(&question, grant.id.as_str(), &left_out.name)
                .await;
            assert_eq!(refused, Some(Code::InvalidEvidenceRequest));
        }
    });
    assert!(had > 100 && waits_for_consent > 20, "cases that tell");
}

#[test]
fn nothing_can_be_had_at_once_that_would_not_be_granted() {
    let mut had = 0_u32;
    each_case("direct", async |chance, world, mut question| {
        let datasets = &mut question.application.datasets;
        let kept = datasets.swap_remove(chance.below(datasets.len()));
        *datasets = vec![kept];
        let desk = Desk::of(&world, &question);
        if desk.direct(&question).await.is_ok() {
            let grant = desk.grant(&question).await;
            assert!(grant.is_ok(), "{grant:?} {question:#?}\n{world:#?}");
            had += 1;
        }
    });
    assert!(had > 50, "cases that tell");
}
