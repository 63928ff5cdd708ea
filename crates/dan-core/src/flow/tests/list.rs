//! Lists of grants, whole and page by page.

use super::{Desk, SCOPE};
use crate::flow::{Call, ListQuery};
use crate::testkit::builders::{self, AGENCY, OTHER_AGENCY};
use crate::testkit::fakes::call_context;

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
