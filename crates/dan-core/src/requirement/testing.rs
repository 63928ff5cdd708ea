//! What the tests of every kind share: an inquiry to check a rule against, and the same rule asked
//! through the flow, hard and soft, here and in another context.

use std::sync::Arc;

use regex::Regex;

use super::{
    AllowList, AllowListFromConfig, AltinnRight, AltinnRole, ConfiguredList, ConsentRule,
    CustomSubject, LegalBasisRule, OnFailure, OwnToken, PartyRelation, PartyType, PartyTypeRule,
    ReferenceKind, ReferenceRule, Relation, Requirement, Role, Rule, ScopeRule, Undecided,
};
use crate::accreditation::Accreditation;
use crate::caller::{Caller, KeyProof, Proof, TokenProof};
use crate::catalog::{Catalog, Supply};
use crate::context::ServiceContext;
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::flow::{Call, Exchange};
use crate::inquiry::{Application, Asked, DatasetRequest, Inquiry, OfferedTokens, Origin};
use crate::meter::Meter;
use crate::party::{Party, Realm};
use crate::ports::{Fact, FactQuery, FactTable};
use crate::secret::Secret;
use crate::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY};
use crate::testkit::fakes::{FakeSource, Fakes, call_context};

/// A foreign organisation, as clients write it.
pub(super) const FOREIGN: &str = "iso6523-actorid-upis::9999:x";
/// Another foreign organisation.
pub(super) const OTHER_FOREIGN: &str = "iso6523-actorid-upis::9999:y";
/// The scope that callers here hold.
pub(super) const SCOPE: &str = "dan:test";

/// A party, as clients write it.
pub(super) fn party(text: &str) -> Party {
    Party::parse(text, Realm::Production).unwrap()
}

/// The agency asks about the company, for the dataset `A`.
pub(super) fn inquiry() -> Inquiry {
    let catalog = catalog(Vec::new(), Arc::new(FakeSource::default()));
    let request = DatasetRequest {
        name: "A".to_owned(),
        ..DatasetRequest::default()
    };
    let offer = Arc::clone(catalog.offer("Test", "A").unwrap());
    Inquiry {
        origin: Origin::Grant,
        context: catalog.context_by_id("test-product").unwrap(),
        owner: builders::org(AGENCY),
        scopes: vec![SCOPE.to_owned()],
        requestor: party(AGENCY),
        subject: Some(party(COMPANY)),
        asked: vec![Asked { request, offer }],
        legal_bases: Vec::new(),
        valid_to: None,
        consent_reference: None,
        external_reference: None,
        language: None,
        consent_receipt_redirect_url: None,
        skip_notification: false,
        tokens: OfferedTokens::default(),
    }
}

/// The same with something changed.
pub(super) fn inquiry_with(change: impl FnOnce(&mut Inquiry)) -> Inquiry {
    let mut inquiry = inquiry();
    change(&mut inquiry);
    inquiry
}

/// The inquiry between these parties: subject, requestor, owner.
pub(super) fn between(subject: &str, requestor: &str, owner: &str) -> Inquiry {
    inquiry_with(|it| {
        it.subject = Some(party(subject));
        it.requestor = party(requestor);
        it.owner = builders::org(owner);
    })
}

/// The reason of a rule that is not met; `None` when it is met.
pub(super) fn unmet(
    requirement: &Requirement,
    inquiry: &Inquiry,
    facts: &FactTable,
) -> Option<String> {
    let outcome = requirement.check(inquiry, &inquiry.asked[0], facts);
    outcome.err().map(|unmet| unmet.0)
}

/// The same for a rule that needs nobody's word.
pub(super) fn unmet_alone(requirement: &Requirement, inquiry: &Inquiry) -> Option<String> {
    assert!(requirement.needs(inquiry).is_empty(), "asks nobody");
    unmet(requirement, inquiry, &FactTable::new())
}

/// A rule that is met by these facts is refused when any of them is missing or is no answer.
pub(super) fn assert_rests_on_facts(
    requirement: &Requirement,
    inquiry: &Inquiry,
    facts: &FactTable,
) {
    assert_eq!(unmet(requirement, inquiry, facts), None);
    let needs = requirement.needs(inquiry);
    assert!(!needs.is_empty());
    for query in needs {
        let mut without = facts.clone();
        without.remove(&query);
        assert!(
            unmet(requirement, inquiry, &without).is_some(),
            "{query:?} missing"
        );
        without.insert(query, Fact::Units(Vec::new()));
        assert!(
            unmet(requirement, inquiry, &without).is_some(),
            "no such answer"
        );
    }
}

/// A rule of every kind, none of them met by persons on both sides of [`inquiry`] and no facts.
pub(super) fn one_of_each_kind() -> Vec<Requirement> {
    let (offered_by, covered_by) = (Role::Subject, Role::Requestor);
    let pattern = Regex::new("^x$").unwrap();
    let relation = Relation::between(Role::Requestor, Role::Owner, true).unwrap();
    vec![
        Requirement::AllowList(AllowList {
            allowed: vec![(Role::Subject, party(COMPANY))],
        }),
        Requirement::AllowListFromConfig(AllowListFromConfig {
            lists: vec![ConfiguredList {
                role: Role::Subject,
                setting: "list".to_owned(),
                parties: Vec::new(),
            }],
        }),
        Requirement::Consent(ConsentRule::default()),
        Requirement::CustomSubject(CustomSubject {
            pattern: pattern.clone(),
            description: None,
        }),
        Requirement::LegalBasis(LegalBasisRule {
            cpv: None,
            espd: true,
        }),
        Requirement::OwnToken(OwnToken),
        Requirement::PartyRelation(PartyRelation {
            relations: vec![relation],
        }),
        Requirement::PartyType(PartyTypeRule {
            allowed: vec![(Role::Owner, PartyType::PublicAgency)],
        }),
        Requirement::Reference(ReferenceRule {
            reference: ReferenceKind::External,
            format: pattern,
        }),
        Requirement::Right(AltinnRight {
            service_code: "1".to_owned(),
            service_edition: String::new(),
            offered_by,
            covered_by,
            actions: Vec::new(),
        }),
        Requirement::Role(AltinnRole {
            role_code: "DAGL".to_owned(),
            offered_by,
            covered_by,
        }),
        Requirement::Scope(ScopeRule {
            required: vec!["dan:other".to_owned()],
        }),
        Requirement::Undecided(Undecided {
            kind: "srr".to_owned(),
            wire_type: "SrrRequirement".to_owned(),
        }),
    ]
}

/// An application in the hands of a caller, and what Altinn says then.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    pub(super) application: Application,
    pub(super) tokens: OfferedTokens,
    pub(super) scopes: Vec<&'static str>,
    pub(super) held: Vec<FactQuery>,
}

/// The agency asks for the datasets `A`, under the rule, and `B`, without any.
pub(super) fn trial(change: impl FnOnce(&mut Trial)) -> Trial {
    let mut trial = Trial {
        application: builders::application(&["A", "B"]),
        scopes: vec![SCOPE],
        ..Trial::default()
    };
    change(&mut trial);
    trial
}

/// A rule of this kind decides through the flow as it should: hard ones refuse everything, soft ones
/// leave their dataset out, and neither says anything in a context it does not apply in.
pub(super) async fn assert_decides(requirement: &Requirement, met: Option<&Trial>, unmet: &Trial) {
    let rule = |on_failure, contexts: &[&str]| Rule {
        on_failure,
        contexts: contexts.iter().map(|name| (*name).to_owned()).collect(),
        ..builders::rule("A/rule", requirement.clone())
    };
    let everywhere = rule(OnFailure::Deny, &[]);
    let soft = rule(OnFailure::Skip, &[]);
    if let Some(met) = met {
        for rule in [&everywhere, &soft] {
            assert_eq!(granted(rule, met, "test").await, (vec!["A", "B"], vec![]));
        }
    }
    refused(&everywhere, unmet, "test").await;
    assert_eq!(
        granted(&soft, unmet, "test").await,
        (vec!["B"], vec!["A/rule"])
    );
    for (contexts, applies_here, applies_there) in [
        (vec!["Test"], true, false),
        (vec!["Other"], false, true),
        (vec!["Test", "Other"], true, true),
        (vec!["Neither"], false, false),
    ] {
        let rule = rule(OnFailure::Deny, &contexts);
        for (context, applies) in [("test", applies_here), ("other", applies_there)] {
            if applies {
                refused(&rule, unmet, context).await;
            } else {
                assert_eq!(
                    granted(&rule, unmet, context).await,
                    (vec!["A", "B"], vec![])
                );
            }
        }
    }
}

async fn granted(
    rule: &Rule,
    trial: &Trial,
    context: &str,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let grant = ask(rule, trial, context).await.unwrap();
    let known = |text: &str| {
        ["A", "B", "A/rule"]
            .into_iter()
            .find(|name| *name == text)
            .unwrap()
    };
    assert!(grant.skipped.iter().all(|skipped| skipped.name == "A"));
    (
        grant.datasets.iter().map(|one| known(&one.name)).collect(),
        grant
            .skipped
            .iter()
            .map(|one| known(&one.rule_id))
            .collect(),
    )
}

async fn refused(rule: &Rule, trial: &Trial, context: &str) {
    let fault = ask(rule, trial, context).await.unwrap_err();
    assert_eq!(fault.code, Code::AuthorizationFailed);
    assert_eq!(fault.rules, ["A/rule"]);
    assert!(fault.text.unwrap().starts_with("A: "));
}

async fn ask(rule: &Rule, trial: &Trial, context: &str) -> Result<Accreditation, Fault> {
    let fakes = Fakes::new(|source| catalog(vec![rule.clone()], source));
    for query in &trial.held {
        fakes.facts.hold(query.clone());
    }
    let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
    let caller = caller(context, &trial.scopes);
    let ctx = call_context();
    let call = Call {
        caller: &caller,
        ctx: &ctx,
    };
    let asked = exchange.grant(call, trial.application.clone(), trial.tokens.clone(), None);
    Ok(asked.await?.accreditation)
}

fn catalog(rules: Vec<Rule>, source: Arc<FakeSource>) -> Catalog {
    let other = ServiceContext {
        id: "other-product".to_owned(),
        name: "Other".to_owned(),
        ..builders::context(Vec::new())
    };
    let dataset = |name, rules| Dataset {
        contexts: vec!["Test".to_owned(), "Other".to_owned()],
        rules,
        ..builders::dataset(name)
    };
    let datasets = vec![dataset("A", rules), dataset("B", Vec::new())];
    let contexts = vec![builders::context(Vec::new()), other];
    let (catalog, problems) = Catalog::build(
        contexts,
        vec![Supply { source, datasets }],
        "test".to_owned(),
    );
    assert!(problems.is_empty());
    catalog
}

fn caller(context: &str, scopes: &[&str]) -> Caller {
    let key = Proof::Key(KeyProof::new(
        "key".to_owned(),
        format!("{context}-product"),
        None,
    ));
    let token = Proof::Token(TokenProof {
        supplier: Some(builders::org(OTHER_AGENCY)),
        ..TokenProof::new(
            builders::org(AGENCY),
            scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            Arc::new(Secret::new("token".to_owned())),
        )
    });
    Caller::join(vec![key, token]).unwrap()
}
