//! The flows over stand-ins: what is granted, what is refused, what is recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Answer, Call, Exchange, Form, Idempotency, ListQuery, Period, Presented, Presenter, Wish,
};
use crate::audit::{Action, Phase};
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::evidence::{DatasetStatus, Evidence};
use crate::inquiry::{Application, LegalBasis, LegalBasisKind, OfferedTokens};
use crate::meter::Meter;
use crate::ports::{ConsentError, ConsentState, SourceError, SourceFailure};
use crate::requirement::{
    ConsentRule, CpvList, CustomSubject, LegalBasisRule, OnFailure, PartyRelation, PartyType,
    PartyTypeRule, Relation, Requirement, Role, Rule, ScopeRule, Undecided,
};
use crate::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, PERSON};
use crate::testkit::fakes::{FakeSource, Fakes, call_context};
use crate::time::{DAY_MS, Timestamp};

const SCOPE: &str = "dan:test";

struct Plain;

impl Presenter for Plain {
    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault> {
        let body = match answer.evidence {
            Evidence::Values(values) => {
                let list: Vec<Value> = values
                    .iter()
                    .map(|v| json!({"name": v.name, "value": v.value}))
                    .collect();
                Bytes::from(Value::from(list).to_string())
            }
            Evidence::Binary { bytes, .. } => bytes.clone(),
        };
        let media_type = Some("application/json".to_owned());
        Ok(Presented {
            body,
            media_type,
            query: None,
            form: Form::Plain,
        })
    }
}

struct Desk {
    fakes: Fakes,
    exchange: Exchange,
    caller: Caller,
}

impl Desk {
    fn with(rules: Vec<Rule>, datasets: Vec<Dataset>) -> Self {
        let fakes = Fakes::new(|source| catalog(rules, source, datasets));
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        Self {
            fakes,
            exchange,
            caller: builders::caller(AGENCY, &[SCOPE]),
        }
    }

    async fn grant(&self, application: Application) -> Result<String, Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let granted = self
            .exchange
            .grant(call, application, OfferedTokens::default(), None)
            .await?;
        Ok(granted.accreditation.id.to_string())
    }

    async fn harvest_as(&self, caller: &Caller, id: &str, dataset: &str) -> Result<String, Fault> {
        let ctx = call_context();
        let tokens = OfferedTokens::default();
        let wish = Wish {
            tokens: &tokens,
            presenter: &Plain,
        };
        let envelope = self
            .exchange
            .harvest(Call { caller, ctx: &ctx }, id, dataset, wish)
            .await?;
        Ok(String::from_utf8(envelope.body.to_vec()).unwrap())
    }

    async fn harvest(&self, id: &str, dataset: &str) -> Result<String, Fault> {
        self.harvest_as(&self.caller, id, dataset).await
    }

    async fn direct(&self, application: Application) -> Result<String, Fault> {
        let ctx = call_context();
        let tokens = OfferedTokens::default();
        let wish = Wish {
            tokens: &tokens,
            presenter: &Plain,
        };
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let envelope = self
            .exchange
            .direct_harvest(call, application, wish)
            .await?;
        Ok(envelope.signature)
    }

    /// Every record, once everything that waits has been written.
    async fn records(&self) -> Vec<(Action, Phase)> {
        tokio::join!(self.exchange.keep_records(), self.exchange.close());
        self.fakes
            .store
            .records()
            .into_iter()
            .map(|record| (record.action, record.phase))
            .collect()
    }
}

fn catalog(rules: Vec<Rule>, source: Arc<FakeSource>, datasets: Vec<Dataset>) -> Catalog {
    builders::catalog(builders::context(rules), source, datasets)
}

fn code<T>(result: Result<T, Fault>) -> Option<Code> {
    result.err().map(|fault| fault.code)
}

fn scope_rule(scope: &str) -> Rule {
    builders::rule(
        "Test/scope",
        Requirement::Scope(ScopeRule {
            required: vec![scope.to_owned()],
        }),
    )
}

fn with_rule(name: &str, rule: Rule) -> Dataset {
    Dataset {
        rules: vec![rule],
        ..builders::dataset(name)
    }
}

#[tokio::test]
async fn a_grant_is_kept_and_harvested_and_everything_is_recorded() {
    let desk = Desk::with(vec![scope_rule(SCOPE)], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    let body = desk.harvest(&id, "a").await.unwrap();
    assert!(body.contains("svar"));
    assert!(
        !body.contains("secret extra"),
        "undeclared values stay (W-42)"
    );
    let phases = desk.records().await;
    assert!(matches!(
        phases[0],
        (Action::AuthorizationGranted, Phase::Done)
    ));
    assert!(matches!(
        phases[1],
        (Action::DatasetRetrieved, Phase::Intent)
    ));
    assert!(matches!(
        phases[2],
        (Action::DatasetRetrieved, Phase::Delivered { .. })
    ));
}

/// An application with one thing changed.
fn with(change: impl FnOnce(&mut Application)) -> Application {
    let mut application = builders::application(&["A"]);
    change(&mut application);
    application
}

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
async fn an_expired_grant_is_not_harvested_w03() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    desk.fakes.clock.advance_ms(DAY_MS * 91);
    assert_eq!(
        code(desk.harvest(&id, "A").await),
        Some(Code::ExpiredAccreditation)
    );
    let status = desk.exchange.status(&desk.caller, &id).await.unwrap();
    assert_eq!(status[0].status, DatasetStatus::Expired);
    assert_eq!(desk.fakes.source.asked(), 0);
}

#[tokio::test]
async fn soft_rules_skip_at_grant_are_reported_and_hold_at_harvest_w04() {
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
async fn nobody_elses_grant_exists_w40() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    let stranger = builders::caller(OTHER_AGENCY, &[SCOPE]);
    let ctx = call_context();
    assert_eq!(
        code(desk.harvest_as(&stranger, &id, "A").await),
        Some(Code::NonExistentAccreditation)
    );
    assert_eq!(
        code(desk.exchange.status(&stranger, &id).await),
        Some(Code::NonExistentAccreditation)
    );
    let withdrawn = desk
        .exchange
        .withdraw(
            Call {
                caller: &stranger,
                ctx: &ctx,
            },
            &id,
        )
        .await;
    assert_eq!(code(withdrawn), Some(Code::NonExistentAccreditation));
    for nonsense in ["", "x", "11111111-2222-3333-4444-555555555555"] {
        assert_eq!(
            code(desk.harvest(nonsense, "A").await),
            Some(Code::NonExistentAccreditation)
        );
    }
}

#[tokio::test]
async fn a_grant_is_withdrawn_once() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    assert!(desk.exchange.withdraw(call, &id).await.is_ok());
    assert_eq!(
        code(desk.exchange.withdraw(call, &id).await),
        Some(Code::NonExistentAccreditation)
    );
}

#[tokio::test]
async fn nothing_leaves_unrecorded() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    desk.fakes.store.set_down(true);
    assert_eq!(
        code(desk.harvest(&id, "A").await),
        Some(Code::ServiceNotAvailable)
    );
    let direct = desk.direct(builders::application(&["A"])).await;
    assert_eq!(code(direct), Some(Code::ServiceNotAvailable));
}

#[tokio::test]
async fn failures_of_a_source_are_told_apart_and_recorded() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    for (failure, expected) in [
        (SourceFailure::Transient, Code::EvidenceSourceTransient),
        (SourceFailure::Refused, Code::EvidenceSourcePermanentClient),
        (SourceFailure::Broken, Code::EvidenceSourcePermanentServer),
        (SourceFailure::Unreachable, Code::ServiceNotAvailable),
    ] {
        desk.fakes.source.set(Err(SourceError {
            failure,
            source: "FAKE".to_owned(),
            detail: 7,
            text: None,
            cause: "upstream body 07056120453".to_owned(),
        }));
        let fault = desk
            .direct(builders::application(&["A"]))
            .await
            .unwrap_err();
        assert_eq!(fault.code, expected);
        assert!(!fault.description().contains("0705"));
        if let Some(detail) = fault.detail {
            assert_eq!(detail.code, "FAKE-7");
        }
    }
    let failed = |phase: &Phase| matches!(phase, Phase::Failed { .. });
    assert_eq!(
        desk.records()
            .await
            .iter()
            .filter(|(_, phase)| failed(phase))
            .count(),
        4
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
async fn only_the_harvested_dataset_must_still_exist_w21() {
    let desk = Desk::with(vec![], vec![builders::dataset("A"), builders::dataset("B")]);
    let id = desk
        .grant(builders::application(&["A", "B"]))
        .await
        .unwrap();
    let source = Arc::clone(&desk.fakes.source);
    desk.fakes
        .catalog
        .replace(catalog(vec![], source, vec![builders::dataset("A")]));
    assert!(desk.harvest(&id, "A").await.is_ok());
    assert_eq!(
        code(desk.harvest(&id, "B").await),
        Some(Code::ServiceNotAvailable)
    );
    let status = desk.exchange.status(&desk.caller, &id).await.unwrap();
    assert_eq!(status[1].status, DatasetStatus::Unavailable);
}

#[tokio::test]
async fn rules_of_now_decide_at_harvest() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    let source = Arc::clone(&desk.fakes.source);
    desk.fakes.catalog.replace(catalog(
        vec![scope_rule("new")],
        source,
        vec![builders::dataset("A")],
    ));
    assert_eq!(
        code(desk.harvest(&id, "A").await),
        Some(Code::AuthorizationFailed)
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
async fn lists_show_own_grants_changed_after_a_moment() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let first = desk.grant(builders::application(&["A"])).await.unwrap();
    let between = desk.exchange.now();
    desk.fakes.clock.advance_ms(1000);
    let second = desk.grant(builders::application(&["A"])).await.unwrap();
    let ctx = call_context();
    let list = async |query: ListQuery, owner: &str| {
        let caller = builders::caller(owner, &[SCOPE]);
        let rows = desk
            .exchange
            .list(
                Call {
                    caller: &caller,
                    ctx: &ctx,
                },
                query,
            )
            .await
            .unwrap()
            .rows;
        rows.into_iter()
            .map(|row| row.accreditation.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list(ListQuery::default(), AGENCY).await,
        [first, second.clone()]
    );
    let changed = ListQuery {
        changed_after: Some(between),
        ..ListQuery::default()
    };
    assert_eq!(list(changed, AGENCY).await, [second]);
    assert!(list(ListQuery::default(), OTHER_AGENCY).await.is_empty());
    let by_requestor = ListQuery {
        requestor: Some("x".to_owned()),
        ..ListQuery::default()
    };
    assert!(list(by_requestor, AGENCY).await.is_empty());
}

#[tokio::test]
async fn the_statement_says_what_was_asked_and_hides_persons() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let mut application = builders::application(&["A"]);
    application.subject = Some(PERSON.to_owned());
    let signature = desk.direct(application).await.unwrap();
    let claims: Value = serde_json::from_str(signature.strip_prefix("Jwt.").unwrap()).unwrap();
    assert_eq!(claims["iss"], "https://dan.example.no/v1");
    assert_eq!(claims["aud"], "0192:991825827");
    assert_eq!(claims["dataset"], "A");
    assert_eq!(claims["context"], "Test");
    assert_eq!(claims["source"], "Testregisteret");
    assert_eq!(claims["retrieved_at"], "2026-01-01T00:00:00Z");
    assert!(claims.get("accreditation").is_none());
    assert!(claims["sub"].as_str().unwrap().starts_with("sha-256:"));
    assert!(!signature.contains(PERSON));
}

#[tokio::test]
async fn open_data_needs_nobody_and_is_recorded() {
    let open = Dataset {
        public: true,
        ..builders::dataset("Open")
    };
    let desk = Desk::with(
        vec![scope_rule("never")],
        vec![open, builders::dataset("A")],
    );
    let ctx = call_context();
    assert!(
        desk.exchange
            .open_data("oPEN", Some(COMPANY), &Plain, &ctx)
            .await
            .is_ok()
    );
    let closed = desk.exchange.open_data("A", None, &Plain, &ctx).await;
    assert_eq!(code(closed), Some(Code::InvalidEvidenceRequest));
    let records = desk.records().await;
    assert_eq!(records[0], (Action::OpenDatasetRetrieved, Phase::Intent));
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

fn consent_rule() -> Rule {
    builders::rule("C/consent", Requirement::Consent(ConsentRule::default()))
}

fn with_consent() -> Application {
    let mut application = builders::application(&["C"]);
    application.datasets[0].request_consent = true;
    application.consent_reference = Some("2026-1".to_owned());
    application
}

#[tokio::test]
async fn consent_is_asked_live_at_every_harvest_w18() {
    let desk = Desk::with(vec![], vec![with_rule("C", consent_rule())]);
    let id = desk.grant(with_consent()).await.unwrap();
    let state = |state| desk.fakes.consents.set(Ok(state));
    for refused in [
        ConsentState::Pending,
        ConsentState::Denied,
        ConsentState::Expired,
    ] {
        state(refused);
        assert_eq!(
            code(desk.harvest(&id, "C").await),
            Some(Code::RequiresConsent)
        );
    }
    assert_eq!(desk.fakes.source.asked(), 0);
    state(ConsentState::Granted);
    assert!(desk.harvest(&id, "C").await.is_ok());
    state(ConsentState::Denied);
    assert_eq!(
        code(desk.harvest(&id, "C").await),
        Some(Code::RequiresConsent)
    );
    let authority = "Altinn".to_owned();
    desk.fakes.consents.set(Err(ConsentError {
        authority,
        cause: "down".to_owned(),
    }));
    let fault = desk.harvest(&id, "C").await.unwrap_err();
    assert_eq!(fault.code, Code::ServiceNotAvailable);
    assert!(fault.description().contains("Altinn"));
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

#[tokio::test]
async fn explanation_and_decision_agree_and_name_no_person() {
    let kind = PartyTypeRule {
        allowed: vec![(Role::Requestor, PartyType::PublicAgency)],
    };
    let rules = vec![
        scope_rule("dan:other"),
        builders::rule("Test/party", Requirement::PartyType(kind)),
    ];
    let desk = Desk::with(rules, vec![builders::dataset("A")]);
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    let application = with(|it| it.subject = Some(PERSON.to_owned()));
    let (explanation, granted) = desk
        .exchange
        .explain(call, application.clone(), OfferedTokens::default())
        .await
        .unwrap();
    assert!(!granted);
    let scope = &explanation.rules[0];
    assert_eq!(
        (scope.rule.as_str(), scope.kind.as_str()),
        ("Test/scope", "scope")
    );
    assert!(scope.unmet.as_ref().unwrap().contains("dan:other"));
    let party = &explanation.rules[1];
    assert_eq!(party.unmet, None);
    assert!(party.facts[0].contains("a public agency"));
    assert!(!format!("{explanation:?}").contains(PERSON));
    assert_eq!(
        code(desk.grant(application).await),
        Some(Code::AuthorizationFailed)
    );
    let phases = desk.records().await;
    assert_eq!(phases.len(), 1, "explaining leaves no record");
}

#[tokio::test]
async fn public_statistics_hide_small_numbers_and_owners_see_theirs() {
    let desk = Desk::with(vec![], vec![builders::dataset("A"), builders::dataset("B")]);
    for _ in 0..5 {
        desk.direct(builders::application(&["A"])).await.unwrap();
    }
    desk.records().await;
    let shown = desk.exchange.public_usage(Period::ThisMonth).await.unwrap();
    assert_eq!((shown.len(), shown[0].count), (1, 5));
    assert!(
        desk.exchange
            .public_usage(Period::LastYear)
            .await
            .unwrap()
            .is_empty()
    );
    let own = desk.exchange.own_usage(&desk.caller).await.unwrap();
    assert_eq!((own.len(), own[0].count), (1, 5));
    let stranger = builders::caller(OTHER_AGENCY, &[SCOPE]);
    assert!(desk.exchange.own_usage(&stranger).await.unwrap().is_empty());
}

#[tokio::test]
async fn ended_grants_are_purged_with_a_record_and_without_the_subject() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let id = desk.grant(builders::application(&["A"])).await.unwrap();
    desk.fakes.clock.advance_ms(DAY_MS * 91);
    assert_eq!(desk.exchange.sweep().await.unwrap(), 0);
    desk.fakes.clock.advance_ms(DAY_MS * 30);
    assert_eq!(desk.exchange.sweep().await.unwrap(), 1);
    assert_eq!(
        code(desk.exchange.status(&desk.caller, &id).await),
        Some(Code::NonExistentAccreditation)
    );
    let last = desk.fakes.store.records().pop().unwrap();
    assert_eq!(last.action, Action::AccreditationPurged);
    assert_eq!((last.accreditation, last.subject), (Some(id), None));
}

#[tokio::test]
async fn pages_hold_every_grant_once() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let mut expected = Vec::new();
    for at in 0..7 {
        desk.fakes.clock.advance_ms(at % 2);
        expected.push(desk.grant(builders::application(&["A"])).await.unwrap());
    }
    let ctx = call_context();
    let mut found = Vec::new();
    let mut query = ListQuery {
        limit: Some(3),
        ..ListQuery::default()
    };
    loop {
        let call = Call {
            caller: &desk.caller,
            ctx: &ctx,
        };
        let page = desk.exchange.list(call, query.clone()).await.unwrap();
        found.extend(page.rows.iter().map(|row| row.accreditation.id.to_string()));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
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
