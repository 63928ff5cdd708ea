//! Who may harvest what, decided from the state of now.

use std::sync::Arc;

use super::{Desk, SCOPE, catalog, code, consent_rule, scope_rule, with, with_consent, with_rule};
use crate::error::Code;
use crate::evidence::DatasetStatus;
use crate::flow::Call;
use crate::inquiry::{
    LEGAL_BASES_BYTES_MAX, LEGAL_BASIS_ID_BYTES_MAX, LegalBasis, LegalBasisKind, REDIRECT_BYTES_MAX,
};
use crate::ports::{ConsentError, ConsentState};
use crate::testkit::builders::{self, OTHER_AGENCY, PERSON};
use crate::testkit::fakes::call_context;
use crate::time::DAY_MS;

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

/// What stands in a path may be anything; a record keeps only what dan gave out itself.
#[tokio::test]
async fn records_of_refusals_keep_no_text_of_strangers() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    assert!(desk.harvest(PERSON, PERSON).await.is_err());
    let mut unknown = builders::application(&["A"]);
    unknown.datasets[0].name = PERSON.to_owned();
    assert!(desk.direct(unknown.clone()).await.is_err());
    assert!(desk.grant(unknown).await.is_err());
    let id = "11111111-2222-3333-4444-555555555555";
    assert!(desk.harvest(id, "a").await.is_err());
    desk.records().await;
    let records = desk.fakes.store.records();
    let kept: Vec<_> = records
        .iter()
        .map(|record| (record.dataset.as_str(), record.accreditation.as_deref()))
        .collect();
    let unknown = ("(unknown)", None);
    assert_eq!(kept, [unknown, unknown, unknown, ("a", Some(id))]);
}

#[tokio::test]
async fn what_a_grant_keeps_has_a_size() {
    let desk = Desk::with(vec![], vec![builders::dataset("A")]);
    let basis = |id: usize, content: usize| {
        with(|it| {
            it.datasets[0].legal_basis_id = Some("b".repeat(id));
            it.legal_bases.push(LegalBasis {
                id: "b".repeat(id),
                kind: Some(LegalBasisKind::Cpv),
                content: "1".repeat(content),
            });
        })
    };
    let redirect =
        |bytes: usize| with(|it| it.consent_receipt_redirect_url = Some("x".repeat(bytes)));
    for (application, fits) in [
        (basis(LEGAL_BASIS_ID_BYTES_MAX, LEGAL_BASES_BYTES_MAX), true),
        (basis(LEGAL_BASIS_ID_BYTES_MAX + 1, 1), false),
        (basis(1, LEGAL_BASES_BYTES_MAX + 1), false),
        (redirect(REDIRECT_BYTES_MAX + 1), false),
    ] {
        let refused = code(desk.grant(application).await);
        let expected = (!fits).then_some(Code::InvalidAuthorizationRequest);
        assert_eq!(refused, expected);
    }
}
