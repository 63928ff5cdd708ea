//! Withdrawal, retention and counts.

use super::{Desk, SCOPE, code};
use crate::audit::Action;
use crate::error::Code;
use crate::flow::{Call, Period};
use crate::testkit::builders::{self, OTHER_AGENCY};
use crate::testkit::fakes::call_context;
use crate::time::DAY_MS;

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
