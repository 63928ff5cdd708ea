//! What is granted, what is refused and with which code, what is left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Desk, SCOPE, catalog, code, consent_rule, scope_rule, with, with_consent, with_rule};
use crate::audit::Action;
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::flow::{Call, Idempotency};
use crate::inquiry::{Application, LegalBasis, LegalBasisKind, OfferedTokens};
use crate::requirement::{
    CpvList, CustomSubject, LegalBasisRule, OnFailure, PartyRelation, PartyType, PartyTypeRule,
    Relation, Requirement, Role, Rule, ScopeRule, Undecided,
};
use crate::testkit::builders::{self, COMPANY, OTHER_AGENCY};
use crate::testkit::fakes::{Fakes, call_context};
use crate::time::{DAY_MS, Timestamp};

fn cpv_list() -> Arc<CpvList> {
    let codes = BTreeSet::from(["45000000-7".to_owned()]);
    Arc::new(CpvList {
        version: "test".to_owned(),
        codes,
    })
}

fn basis(id: &str, content: &str) -> LegalBasis {
    let kind = Some(LegalBasisKind::Cpv);
    LegalBasis {
        id: id.to_owned(),
        kind,
        content: content.to_owned(),
    }
}

/// Mistakes with the code each has today, in the order of `wire-api.md` §11.
fn mistakes(now: Timestamp) -> Vec<(Application, Code)> {
    let text = |text: &str| Some(text.to_owned());
    let ends_in = |days| with(|it| it.valid_to = Some(now.plus_days(days)));
    vec![
        (with(|it| it.requestor = None), Code::InvalidRequestor),
        (with(|it| it.requestor = text("1")), Code::InvalidRequestor),
        (
            with(|it| it.subject = text("123456789")),
            Code::InvalidSubject,
        ),
        (
            with(|it| it.subject = text("910402021")),
            Code::InvalidSubject,
        ),
        (
            with(|it| it.legal_bases = vec![basis("", "1")]),
            Code::InvalidLegalBasis,
        ),
        (
            with(|it| it.legal_bases = vec![basis("x", "1")]),
            Code::InvalidLegalBasis,
        ),
        (with(|it| it.datasets.clear()), Code::InvalidEvidenceRequest),
        (
            builders::application(&["A", "A"]),
            Code::InvalidEvidenceRequest,
        ),
        (builders::application(&["a"]), Code::UnknownEvidenceCode),
        (ends_in(1), Code::InvalidValidToDateTime),
        (ends_in(2000), Code::InvalidValidToDateTime),
        (
            with(|it| it.language = text("xx")),
            Code::InvalidAuthorizationRequest,
        ),
    ]
}

#[tokio::test]
async fn the_same_mistake_gives_the_same_code() {
    let desk = Desk::with(vec![scope_rule(SCOPE)], vec![builders::dataset("A")]);
    for (application, expected) in mistakes(desk.exchange.now()) {
        assert_eq!(code(desk.grant(application).await), Some(expected));
    }
    let mut application = builders::application(&["A"]);
    application.valid_to = Some(desk.exchange.now().plus_days(3));
    assert!(desk.grant(application).await.is_ok());
}

#[tokio::test]
async fn every_unmet_rule_refuses_and_names_itself() {
    let relation = PartyRelation {
        relations: vec![Relation::between(Role::Requestor, Role::Owner, true).unwrap()],
    };
    let kind = PartyTypeRule {
        allowed: vec![(Role::Subject, PartyType::PublicAgency)],
    };
    let srr = Undecided {
        kind: "srr".to_owned(),
        wire_type: "SrrRequirement".to_owned(),
    };
    for (id, requirement) in [
        (
            "scope",
            Requirement::Scope(ScopeRule {
                required: vec!["other".to_owned()],
            }),
        ),
        ("relation", Requirement::PartyRelation(relation)),
        ("party", Requirement::PartyType(kind)),
        ("srr", Requirement::Undecided(srr)),
    ] {
        let desk = Desk::with(
            vec![],
            vec![with_rule("A", builders::rule(id, requirement))],
        );
        let mut application = builders::application(&["A"]);
        application.requestor = Some(OTHER_AGENCY.to_owned());
        let fault = desk.grant(application).await.unwrap_err();
        assert_eq!(
            (fault.code, fault.rules),
            (Code::AuthorizationFailed, vec![id.to_owned()])
        );
        assert_eq!(desk.fakes.source.asked(), 0);
    }
}

#[tokio::test]
async fn an_undecided_kind_is_refused_by_name_not_skipped_w06() {
    let srr = Undecided {
        kind: "srr".to_owned(),
        wire_type: "SrrRequirement".to_owned(),
    };
    let desk = Desk::with(
        vec![],
        vec![with_rule(
            "A",
            builders::rule("r", Requirement::Undecided(srr)),
        )],
    );
    let fault = desk.grant(builders::application(&["A"])).await.unwrap_err();
    assert!(fault.description().contains("srr"));
}

#[tokio::test]
async fn soft_rules_skip_at_grant_are_reported_and_hold_at_harvest_w04_w39() {
    let rule = Rule {
        on_failure: OnFailure::Skip,
        ..builders::rule(
            "B/basis",
            Requirement::LegalBasis(LegalBasisRule {
                cpv: Some(cpv_list()),
                espd: false,
            }),
        )
    };
    let desk = Desk::with(vec![], vec![builders::dataset("A"), with_rule("B", rule)]);
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    let granted = desk
        .exchange
        .grant(
            call,
            builders::application(&["A", "B"]),
            OfferedTokens::default(),
            None,
        )
        .await
        .unwrap()
        .accreditation;
    assert_eq!(granted.datasets.len(), 1);
    assert_eq!(granted.skipped[0].name, "B");
    assert_eq!(
        code(desk.grant(builders::application(&["B"])).await),
        Some(Code::AuthorizationFailed)
    );

    // With the basis it is granted; the basis is stored and holds at harvest too.
    let mut application = builders::application(&["B"]);
    application.datasets[0].legal_basis_id = Some("1".to_owned());
    let content = "99999999-9, 45000000-7".to_owned();
    application.legal_bases = vec![LegalBasis {
        id: "1".to_owned(),
        kind: Some(LegalBasisKind::Cpv),
        content,
    }];
    let id = desk.grant(application).await.unwrap();
    assert!(desk.harvest(&id, "B").await.is_ok());
}

#[tokio::test]
async fn the_basis_that_the_dataset_names_is_the_one_that_counts_w12() {
    let rule = builders::rule(
        "A/basis",
        Requirement::LegalBasis(LegalBasisRule {
            cpv: Some(cpv_list()),
            espd: false,
        }),
    );
    let desk = Desk::with(vec![], vec![with_rule("A", rule), builders::dataset("B")]);
    let mut application = builders::application(&["A", "B"]);
    application.legal_bases = vec![basis("good", "45000000-7"), basis("bad", "11111111-1")];
    application.datasets[0].legal_basis_id = Some("bad".to_owned());
    application.datasets[1].legal_basis_id = Some("good".to_owned());
    assert_eq!(
        code(desk.grant(application).await),
        Some(Code::AuthorizationFailed)
    );
}

#[tokio::test]
async fn refusals_are_recorded_w27() {
    let desk = Desk::with(vec![scope_rule("other")], vec![builders::dataset("A")]);
    assert!(desk.grant(builders::application(&["A"])).await.is_err());
    assert!(desk.direct(builders::application(&["A"])).await.is_err());
    let actions: Vec<Action> = desk
        .records()
        .await
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    assert_eq!(
        actions,
        [Action::AuthorizationRefused, Action::HarvestRefused]
    );
}

#[tokio::test]
async fn a_register_that_is_down_is_not_a_subject_that_is_not_found_w23() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    desk.fakes.facts.set_down(true);
    let fault = desk.grant(builders::application(&["A"])).await.unwrap_err();
    assert_eq!(fault.code, Code::ServiceNotAvailable);
    assert!(fault.description().contains("entity register"));
}

#[tokio::test]
async fn a_deleted_unit_is_no_subject() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let mut unit = builders::unit(COMPANY, "AS");
    unit.deleted = Some("2020-01-01".to_owned());
    desk.fakes.facts.put(unit);
    assert_eq!(
        code(desk.grant(builders::application(&["A"])).await),
        Some(Code::InvalidSubject)
    );
}

#[tokio::test]
async fn foreign_parties_are_granted_and_harvest() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let mut application = builders::application(&["A"]);
    application.requestor = Some("iso6523-actorid-upis::9999:x".to_owned());
    application.subject = Some("iso6523-actorid-upis::9998:y".to_owned());
    let id = desk.grant(application).await.unwrap();
    assert!(desk.harvest(&id, "A").await.is_ok());
}

#[tokio::test]
async fn a_custom_subject_is_for_datasets_that_take_one_w09() {
    let pattern = regex::Regex::new(r"^\d{1,8}$").unwrap();
    let rule = builders::rule(
        "A/subject",
        Requirement::CustomSubject(CustomSubject {
            pattern,
            description: None,
        }),
    );
    let desk = Desk::with(vec![], vec![with_rule("A", rule), builders::dataset("B")]);
    let ask = |datasets: &[&str], subject: &str| {
        let mut application = builders::application(datasets);
        application.subject = Some(subject.to_owned());
        application
    };
    assert!(desk.direct(ask(&["A"], "1234")).await.is_ok());
    assert_eq!(
        code(desk.direct(ask(&["A"], "abc")).await),
        Some(Code::AuthorizationFailed)
    );
    assert_eq!(
        code(desk.grant(ask(&["A", "B"], "1234")).await),
        Some(Code::InvalidSubject)
    );
    assert_eq!(
        code(desk.grant(ask(&["A"], " ")).await),
        Some(Code::InvalidSubject)
    );
}

#[tokio::test]
async fn the_validity_of_other_datasets_does_not_count_w15() {
    let short = Dataset {
        valid_days_max: Some(5),
        ..builders::dataset("Short")
    };
    let desk = Desk::with(vec![], vec![builders::dataset("A"), short]);
    let ask = |name: &str, days| {
        let mut application = builders::application(&[name]);
        application.valid_to = Some(desk.exchange.now().plus_days(days));
        application
    };
    assert!(desk.grant(ask("A", 1000)).await.is_ok());
    assert!(desk.grant(ask("Short", 5)).await.is_ok());
    assert_eq!(
        code(desk.grant(ask("Short", 6)).await),
        Some(Code::InvalidValidToDateTime)
    );
}

#[tokio::test]
async fn a_dataset_whose_rules_are_not_understood_is_closed_w06() {
    let broken = Dataset {
        unavailable: Some("unknown rule".to_owned()),
        ..builders::dataset("A")
    };
    let desk = Desk::with(vec![], vec![broken]);
    assert_eq!(
        code(desk.grant(builders::application(&["A"])).await),
        Some(Code::ServiceNotAvailable)
    );
    assert_eq!(
        desk.exchange
            .catalog()
            .listings(desk.exchange.now())
            .count(),
        0
    );
}

#[tokio::test]
async fn every_missing_consent_input_is_named() {
    let desk = Desk::with(vec![], vec![with_rule("C", consent_rule())]);
    let mut application = with_consent();
    application.datasets[0].request_consent = false;
    application.consent_reference = None;
    application.subject = Some("iso6523-actorid-upis::9999:x".to_owned());
    let fault = desk.grant(application).await.unwrap_err();
    for word in ["requestConsent", "consentReference", "subject"] {
        assert!(
            fault.description().contains(word),
            "{}",
            fault.description()
        );
    }
    assert_eq!(
        code(desk.direct(with_consent()).await),
        Some(Code::InvalidEvidenceRequest)
    );
}

#[tokio::test]
async fn the_same_key_gives_the_same_grant_for_a_day_w20() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    let apply = async |key: &str, body: &[u8]| {
        let idempotency = Idempotency::new(key, "test-product", body)?;
        let application = builders::application(&["A"]);
        let tokens = OfferedTokens::default();
        let granted = desk
            .exchange
            .grant(call, application, tokens, Some(idempotency))
            .await?;
        Ok::<_, Fault>(granted.accreditation.id.to_string())
    };
    let first = apply("k", b"body").await.unwrap();
    assert_eq!(apply("k", b"body").await.unwrap(), first);
    assert_ne!(apply("other", b"body").await.unwrap(), first);
    assert_eq!(apply("k", b"changed").await.unwrap_err().status, 422);
    desk.fakes.clock.advance_ms(DAY_MS);
    assert_ne!(apply("k", b"body").await.unwrap(), first);
    for bad in ["", "a b", "å", &"x".repeat(256)] {
        assert_eq!(
            code(apply(bad, b"").await),
            Some(Code::InvalidAuthorizationRequest)
        );
    }
}

#[test]
fn a_rule_of_the_context_that_the_dataset_states_too_counts_once() {
    let fakes = Fakes::new(|source| {
        let own = with_rule(
            "A",
            builders::rule("A/scope", scope_rule(SCOPE).requirement),
        );
        catalog(
            vec![scope_rule(SCOPE), scope_rule("dan:more")],
            source,
            vec![own],
        )
    });
    let catalog = fakes.catalog.load();
    let ids: Vec<&str> = catalog
        .offer("Test", "A")
        .unwrap()
        .rules
        .iter()
        .map(|rule| rule.id.as_str())
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&"A/scope"));
}

#[tokio::test]
async fn references_are_bounded_and_never_stored_longer_w08() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    for (length, expected) in [(512, None), (513, Some(Code::InvalidAuthorizationRequest))] {
        let long = || Some("<".repeat(length));
        let application = with(|it| it.external_reference = long());
        assert_eq!(code(desk.grant(application).await), expected);
        let application = with(|it| it.consent_reference = long());
        assert_eq!(code(desk.grant(application).await), expected);
    }
}
