//! What leaves, what is recorded before it does, and what the statement says.

use serde_json::Value;

use super::{Desk, Plain, SCOPE, code, scope_rule};
use crate::audit::{Action, Phase};
use crate::dataset::Dataset;
use crate::error::Code;
use crate::ports::{SourceError, SourceFailure};
use crate::testkit::builders::{self, COMPANY, PERSON, SYNTHETIC};
use crate::testkit::fakes::call_context;

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
async fn the_statement_says_what_was_asked_and_hides_persons_w25() {
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
    let synthetic = desk
        .exchange
        .open_data("Open", Some(SYNTHETIC), &Plain, &ctx);
    assert_eq!(code(synthetic.await), Some(Code::InvalidSubject));
    let closed = desk.exchange.open_data("A", None, &Plain, &ctx).await;
    assert_eq!(code(closed), Some(Code::InvalidEvidenceRequest));
    let records = desk.records().await;
    assert_eq!(records[0], (Action::OpenDatasetRetrieved, Phase::Intent));
}
