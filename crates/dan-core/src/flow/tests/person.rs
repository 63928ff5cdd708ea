//! Tokens that stand for a person, and who else acted.

use std::sync::Arc;

use super::{Desk, SCOPE, code, with};
use crate::audit::{Action, Phase};
use crate::caller::{Caller, KeyProof, Proof, TokenProof};
use crate::error::Code;
use crate::flow::{Call, ListQuery};
use crate::inquiry::{Application, OfferedTokens};
use crate::party::PersonNumber;
use crate::secret::Secret;
use crate::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, org};
use crate::testkit::fakes::call_context;

const PERSON: &str = "07056120453";
const OTHER_PERSON: &str = "03065001488";
const SYSTEM_USER: &str = "2f1c5a1e-6c0b-4b0e-9d7f-5a6b7c8d9e0f";

fn caller(change: impl FnOnce(&mut TokenProof)) -> Caller {
    let mut proof = TokenProof::new(
        org(AGENCY),
        vec![SCOPE.to_owned()],
        Arc::new(Secret::new("token".to_owned())),
    );
    change(&mut proof);
    let key = KeyProof::new("key".to_owned(), "test-product".to_owned(), None);
    Caller::join(vec![Proof::Key(key), Proof::Token(proof)]).unwrap()
}

fn for_person(number: &str) -> Caller {
    caller(|proof| proof.person = PersonNumber::parse(number))
}

fn about(subject: &str) -> Application {
    with(|application| application.subject = Some(subject.to_owned()))
}

fn desk_of(caller: Caller) -> Desk {
    Desk {
        caller,
        ..Desk::with(vec![], vec![builders::dataset("A")])
    }
}

#[tokio::test]
async fn a_token_of_a_person_grants_and_harvests_about_that_person_only() {
    let desk = desk_of(for_person(PERSON));
    let id = desk.grant(about(PERSON)).await.unwrap();
    assert!(desk.harvest(&id, "A").await.is_ok());
    assert!(desk.direct(about(PERSON)).await.is_ok());
    assert!(desk.exchange.status(&desk.caller, &id).await.is_ok());
    for subject in [OTHER_PERSON, COMPANY] {
        let refused = Some(Code::AuthorizationFailed);
        assert_eq!(code(desk.grant(about(subject)).await), refused);
        assert_eq!(code(desk.direct(about(subject)).await), refused);
        let ctx = call_context();
        let call = Call {
            caller: &desk.caller,
            ctx: &ctx,
        };
        let explained = desk
            .exchange
            .explain(call, about(subject), OfferedTokens::default());
        assert_eq!(code(explained.await), refused);
    }
    let refused = (
        Action::AuthorizationRefused,
        Phase::Failed {
            code: Code::AuthorizationFailed.number(),
        },
    );
    let records = desk.records().await;
    assert_eq!(records.iter().filter(|row| **row == refused).count(), 2);
}

#[tokio::test]
async fn grants_about_others_are_closed_to_a_token_of_a_person() {
    let desk = desk_of(builders::caller(AGENCY, &[SCOPE]));
    for subject in [OTHER_PERSON, COMPANY] {
        let id = desk.grant(about(subject)).await.unwrap();
        let person = for_person(PERSON);
        let refused = Some(Code::AuthorizationFailed);
        assert_eq!(code(desk.harvest_as(&person, &id, "A").await), refused);
        assert_eq!(code(desk.exchange.status(&person, &id).await), refused);
        let ctx = call_context();
        let call = Call {
            caller: &person,
            ctx: &ctx,
        };
        assert_eq!(code(desk.exchange.withdraw(call, &id).await), refused);
        let mine = Call {
            caller: &desk.caller,
            ctx: &ctx,
        };
        assert!(desk.exchange.withdraw(mine, &id).await.is_ok());
    }
}

#[tokio::test]
async fn a_token_of_a_person_lists_and_counts_nothing() {
    let desk = desk_of(for_person(PERSON));
    desk.grant(about(PERSON)).await.unwrap();
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    let refused = Some(Code::AuthorizationFailed);
    let listed = desk.exchange.list(call, ListQuery::default()).await;
    assert_eq!(code(listed), refused);
    assert_eq!(code(desk.exchange.own_usage(&desk.caller).await), refused);
}

#[tokio::test]
async fn every_record_of_a_caller_says_who_acted_for_the_owner() {
    let desk = desk_of(caller(|proof| {
        proof.supplier = Some(org(OTHER_AGENCY));
        proof.system_user = Some(SYSTEM_USER.to_owned());
    }));
    let id = desk.grant(about(COMPANY)).await.unwrap();
    desk.harvest(&id, "A").await.unwrap();
    desk.direct(about(COMPANY)).await.unwrap();
    assert!(desk.grant(about("1")).await.is_err());
    assert!(desk.harvest(&id, "B").await.is_err());
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    desk.exchange
        .list(call, ListQuery::default())
        .await
        .unwrap();
    desk.exchange.withdraw(call, &id).await.unwrap();
    desk.records().await;
    let records = desk.fakes.store.records();
    let actions = [
        Action::AuthorizationGranted,
        Action::AuthorizationRefused,
        Action::DatasetRetrieved,
        Action::HarvestRefused,
        Action::AccreditationsRetrieved,
        Action::AccreditationDeleted,
    ];
    for action in actions {
        assert!(records.iter().any(|record| record.action == action));
    }
    for record in records {
        assert_eq!(record.owner, Some(org(AGENCY)), "{:?}", record.action);
        assert_eq!(record.supplier, Some(org(OTHER_AGENCY)));
        assert_eq!(record.system_user.as_deref(), Some(SYSTEM_USER));
    }
}
