//! What every [`Store`] must do, as tests that an adapter of ours or anybody else's can run.
//!
//! An adapter ends with [`store_conformance!`](crate::store_conformance), which makes one test of
//! each case. A case gets a store that is empty and that nobody else uses, and panics where the
//! store does not do what the port promises.
//!
//! ```text
//! dan_core::store_conformance!(memory, async { (Arc::new(MyStore::new()) as Arc<dyn Store>, ()) });
//! ```
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite is made of assertions"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::accreditation::{Accreditation, AccreditationId, GrantedDataset, SkippedDataset};
use crate::audit::{Action, AuditRecord, Phase};
use crate::inquiry::{LegalBasis, LegalBasisKind, Parameter};
use crate::party::{OrgNumber, Party};
use crate::ports::{
    AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, Place, Store, StoreError, Stored,
    StoredAudit, Write,
};
use crate::time::Timestamp;
use crate::usage::{UsageKey, UsageRow};

/// A national identity number that the values of this suite hold. Adapters may look for it in what
/// they wrote: it must not be there.
pub const PERSON: &str = "01819000049";
/// A custom subject that the values of this suite hold.
pub const CUSTOM: &str = "custom-subject-canary";
/// Text in a dataset parameter that the values of this suite hold.
pub const PARAMETER: &str = "parameter-canary";

const OWNER: &str = "991825827";
const OTHER_OWNER: &str = "974760673";
const CONTEXT: &str = "Suite";
/// Tasks of the cases that write at once.
const TASKS: u8 = 50;
/// Tasks that apply under one key at once.
const APPLICANTS: u8 = 20;

/// Makes a module of tests, one for each case of the suite.
///
/// The second argument is a future, evaluated once for each test, that gives an empty store as
/// `Arc<dyn Store>` and something that lives as long as the store, for instance a folder.
#[macro_export]
macro_rules! store_conformance {
    ($module:ident, $make:expr) => {
        $crate::store_conformance!(@cases $module, $make,
            a_grant_reads_back_as_it_was,
            every_kind_of_party_reads_back,
            every_kind_of_parameter_reads_back,
            a_grant_with_nothing_optional_reads_back,
            a_revision_is_replaced_by_the_next_only,
            a_deleted_grant_is_gone,
            one_of_many_writers_of_a_revision_wins,
            a_refused_batch_leaves_nothing,
            steps_of_a_batch_see_those_before,
            an_empty_batch_is_written,
            a_list_holds_what_matches_oldest_change_first,
            a_list_never_shows_half_a_batch,
            pages_walk_over_every_grant_once,
            pages_hold_between_writes,
            pages_hold_while_others_write,
            ended_grants_come_longest_ended_first,
            applications_are_kept_by_owner_and_key,
            an_application_holds_its_key_until_it_expires,
            forgetting_takes_what_expired_before,
            remembering_and_forgetting_go_in_order,
            a_remembered_application_refuses_its_whole_batch,
            one_of_many_applications_under_one_key_wins,
            audit_rows_read_back_as_they_were,
            audit_is_read_in_parts,
            many_appends_at_once_leave_no_gap,
            uses_are_counted_by_key_and_month,
            api_keys_are_kept_and_changed,
            a_dropped_commit_is_whole_or_nothing,
            a_store_that_works_is_ready,
        );
    };
    (@cases $module:ident, $make:expr, $($case:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let (store, _alive) = $make.await;
                    $crate::testkit::store_suite::$case(store).await;
                }
            )*
        }
    };
}

/// A grant with every field filled in. Same `seed`, same grant.
#[must_use]
pub fn grant(seed: u8) -> Accreditation {
    Accreditation {
        id: id(seed),
        owner: org(OWNER),
        context: CONTEXT.to_owned(),
        requestor: Party::Organisation(org(OTHER_OWNER)),
        subject: Some(person()),
        datasets: vec![
            GrantedDataset {
                name: "UnitBasicInformation".to_owned(),
                parameters: vec![
                    parameter("text", json!(PARAMETER)),
                    parameter("number", json!(17)),
                ],
                legal_basis_id: Some("basis-1".to_owned()),
                request_consent: true,
            },
            GrantedDataset {
                name: "Arrears".to_owned(),
                parameters: Vec::new(),
                legal_basis_id: None,
                request_consent: false,
            },
        ],
        skipped: vec![SkippedDataset {
            name: "Bankruptcies".to_owned(),
            rule_id: "rule-7".to_owned(),
        }],
        legal_bases: vec![
            LegalBasis {
                id: "basis-1".to_owned(),
                kind: Some(LegalBasisKind::Cpv),
                content: "[\"45000000\"]".to_owned(),
            },
            LegalBasis {
                id: "basis-2".to_owned(),
                kind: Some(LegalBasisKind::Espd),
                content: "<espd>æøå</espd>".to_owned(),
            },
            LegalBasis {
                id: "basis-3".to_owned(),
                kind: None,
                content: String::new(),
            },
        ],
        issued: at(1_000),
        last_changed: at(i64::from(seed)),
        valid_to: at(9_000_000),
        consent_reference: Some("2026-17 «sak»".to_owned()),
        external_reference: Some("case 9".to_owned()),
        language: "no-nb".to_owned(),
        consent_receipt_redirect_url: Some("https://example.org/back?a=1&b=2".to_owned()),
    }
}

/// A row of the audit trail with every field filled in. Same `seed`, same row.
#[must_use]
pub fn row(seed: u8) -> AuditRecord {
    AuditRecord {
        at: at(i64::from(seed)),
        action: Action::DatasetRetrieved,
        phase: Phase::Delivered {
            digest: [seed; 32],
            body_bytes: u64::from(seed),
        },
        request_id: format!("request-{seed}"),
        key_id: "key-1".to_owned(),
        owner: Some(org(OWNER)),
        supplier: Some(org(OTHER_OWNER)),
        context: CONTEXT.to_owned(),
        dataset: "UnitBasicInformation".to_owned(),
        accreditation: Some(id(seed).to_string()),
        requestor: Some(Party::Custom(CUSTOM.to_owned())),
        subject: Some(person()),
        basis: vec!["basis-1".to_owned(), "rule \"2\"".to_owned()],
        external_reference: Some("case 9".to_owned()),
    }
}

/// An API key. Same `seed`, same key.
#[must_use]
pub fn key(seed: u8) -> ApiKeyRecord {
    ApiKeyRecord {
        id: format!("key-{seed}"),
        digest: [seed; 32],
        context_id: "suite-product".to_owned(),
        org: None,
        name: format!("Etat nr. {seed}"),
        created: at(i64::from(seed)),
        expires: None,
    }
}

/// An answered application, remembered until 1 000 ms. Same `seed`, same application.
#[must_use]
pub fn remembered(seed: u8) -> IdempotencyRecord {
    IdempotencyRecord {
        owner: org(OWNER),
        key_digest: [seed; 32],
        request_digest: [seed ^ 0xFF; 32],
        accreditation: id(seed),
        expires: at(1_000),
    }
}

/// One use in a month.
#[must_use]
pub fn usage_key(month: i32, dataset: &str) -> UsageKey {
    UsageKey {
        month,
        context: CONTEXT.to_owned(),
        dataset: dataset.to_owned(),
        owner: OWNER.to_owned(),
    }
}

/// A step that writes this grant over the revision `expect`.
#[must_use]
pub fn put(value: &Accreditation, expect: u64) -> Write {
    Write::PutAccreditation {
        value: Box::new(value.clone()),
        expect,
    }
}

/// A step that appends this row.
#[must_use]
pub fn append(record: &AuditRecord) -> Write {
    Write::AppendAudit(Box::new(record.clone()))
}

/// A step that remembers this application, at `now` in milliseconds.
#[must_use]
pub fn remember(value: &IdempotencyRecord, now: i64) -> Write {
    Write::PutIdempotency {
        value: Box::new(value.clone()),
        now: at(now),
    }
}

/// A step that forgets what expired before this, in milliseconds.
fn forget(before: i64) -> Write {
    Write::ForgetIdempotency(at(before))
}

/// A grant comes back equal, with its revision; another identifier finds nothing.
pub async fn a_grant_reads_back_as_it_was(store: Arc<dyn Store>) {
    let value = grant(1);
    commit(&store, vec![put(&value, 0)]).await;
    let found = read(&store, 1).await;
    assert_eq!(found, Some(Stored { value, revision: 1 }));
    assert_eq!(read(&store, 2).await, None);
}

/// Organisations, persons, foreign and custom parties, as requestor and as subject.
pub async fn every_kind_of_party_reads_back(store: Arc<dyn Store>) {
    let foreign = Party::Foreign {
        icd: "9999".to_owned(),
        id: "SE-55 6677".to_owned(),
    };
    let custom = Party::Custom("x::y \u{1f600} \"\n".to_owned());
    let parties = [
        Party::Organisation(org(OWNER)),
        person(),
        foreign,
        custom,
        Party::Custom(String::new()),
    ];
    let mut seed = 0;
    for requestor in &parties {
        for subject in &parties {
            seed += 1;
            let mut value = grant(seed);
            value.requestor = requestor.clone();
            value.subject = Some(subject.clone());
            let mut record = row(seed);
            record.requestor = Some(requestor.clone());
            record.subject = Some(subject.clone());
            commit(&store, vec![put(&value, 0), append(&record)]).await;
            assert_eq!(value_of(&store, seed).await, value);
            let rows = audit(&store, u64::from(seed), 1).await;
            assert_eq!(rows[0].record, record);
        }
    }
}

/// Parameter values come back equal to the last bit: no number is rounded, no text cut.
pub async fn every_kind_of_parameter_reads_back(store: Arc<dyn Store>) {
    let values = [
        Value::Null,
        json!(true),
        json!(""),
        json!("æøå \u{1f600} \u{0} \" \\ \u{202e}"),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1 + 0.2),
        json!(5e-324),
        json!(f64::MAX),
        json!(123_456_789.123_456_79),
        json!(f64::MIN_POSITIVE),
        json!(9_007_199_254_740_993_i64),
        json!("x".repeat(100_000)),
    ];
    let mut value = grant(1);
    value.datasets[1].parameters = values
        .iter()
        .enumerate()
        .map(|(at, value)| parameter(&format!("p{at}"), value.clone()))
        .collect();
    commit(&store, vec![put(&value, 0)]).await;
    let found = value_of(&store, 1).await;
    assert_eq!(found, value);
    for (kept, sent) in found.datasets[1].parameters.iter().zip(&values) {
        assert_eq!(&kept.value, sent);
        let bits = |value: &Value| value.as_f64().map(f64::to_bits);
        assert_eq!(bits(&kept.value), bits(sent));
    }
}

/// `None` and empty stay what they are.
pub async fn a_grant_with_nothing_optional_reads_back(store: Arc<dyn Store>) {
    let mut value = grant(1);
    value.subject = None;
    value.datasets.clear();
    value.skipped.clear();
    value.legal_bases.clear();
    value.consent_reference = None;
    value.external_reference = Some(String::new());
    value.language = String::new();
    value.consent_receipt_redirect_url = None;
    value.issued = at(i64::MIN);
    value.valid_to = at(i64::MAX);
    let mut record = row(1);
    record.phase = Phase::Intent;
    record.owner = None;
    record.supplier = None;
    record.accreditation = None;
    record.requestor = None;
    record.subject = None;
    record.basis.clear();
    record.external_reference = None;
    commit(&store, vec![put(&value, 0), append(&record)]).await;
    assert_eq!(value_of(&store, 1).await, value);
    assert_eq!(audit(&store, 1, 1).await[0].record, record);
}

/// A write over any other revision than the current one is a conflict and changes nothing.
pub async fn a_revision_is_replaced_by_the_next_only(store: Arc<dyn Store>) {
    let first = grant(1);
    conflict(&store, vec![put(&first, 1)]).await;
    assert_eq!(read(&store, 1).await, None);
    commit(&store, vec![put(&first, 0)]).await;
    let mut second = first.clone();
    second.language = "en".to_owned();
    for wrong in [0, 2, u64::MAX] {
        conflict(&store, vec![put(&second, wrong)]).await;
    }
    assert_eq!(read(&store, 1).await.map(|found| found.revision), Some(1));
    assert_eq!(value_of(&store, 1).await, first);
    commit(&store, vec![put(&second, 1)]).await;
    let found = read(&store, 1).await;
    assert_eq!(
        found,
        Some(Stored {
            value: second,
            revision: 2
        })
    );
    conflict(&store, vec![put(&first, 1)]).await;
}

/// Deleting takes the current revision; afterwards the identifier is free again.
pub async fn a_deleted_grant_is_gone(store: Arc<dyn Store>) {
    let value = grant(1);
    let delete = |expect| Write::DeleteAccreditation { id: id(1), expect };
    for expect in [0, 1] {
        conflict(&store, vec![delete(expect)]).await;
    }
    commit(&store, vec![put(&value, 0)]).await;
    for wrong in [0, 2] {
        conflict(&store, vec![delete(wrong)]).await;
    }
    assert_eq!(value_of(&store, 1).await, value);
    commit(&store, vec![delete(1)]).await;
    assert_eq!(read(&store, 1).await, None);
    assert!(list(&store, None, 10).await.is_empty());
    conflict(&store, vec![delete(1)]).await;
    commit(&store, vec![put(&value, 0)]).await;
    assert_eq!(read(&store, 1).await.map(|found| found.revision), Some(1));
}

/// Of many that replace the same revision at once, one does; the others are told.
pub async fn one_of_many_writers_of_a_revision_wins(store: Arc<dyn Store>) {
    commit(&store, vec![put(&grant(1), 0)]).await;
    let mut tasks = JoinSet::new();
    for seed in 1..=TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut value = grant(1);
            value.last_changed = at(i64::from(seed));
            let batch = Batch(vec![put(&value, 1), append(&row(seed))]);
            store.commit(&batch).await
        });
    }
    let results = tasks.join_all().await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    let lost = results
        .iter()
        .filter(|result| **result == Err(StoreError::Conflict))
        .count();
    assert_eq!((won, lost), (1, usize::from(TASKS) - 1));
    assert_eq!(read(&store, 1).await.map(|found| found.revision), Some(2));
    let rows = audit(&store, 1, 100).await;
    assert_eq!(rows.len(), 1, "a conflict left its row behind");
    assert_eq!(
        value_of(&store, 1).await.last_changed,
        rows[0].record.at,
        "grant and row are of different batches"
    );
}

/// Wherever in the batch the conflict is, no other step of it is done.
pub async fn a_refused_batch_leaves_nothing(store: Arc<dyn Store>) {
    commit(&store, vec![put(&grant(1), 0), append(&row(1))]).await;
    let steps = vec![
        append(&row(2)),
        Write::CountUse(usage_key(5, "d")),
        Write::PutApiKey(Box::new(key(2))),
        put(&grant(2), 0),
        Write::DeleteAccreditation {
            id: id(1),
            expect: 1,
        },
    ];
    for place in 0..=steps.len() {
        let mut batch = steps.clone();
        batch.insert(place, put(&grant(3), 7));
        conflict(&store, batch).await;
    }
    assert_eq!(read(&store, 2).await, None);
    assert_eq!(value_of(&store, 1).await, grant(1));
    assert_eq!(store.usage(0, 10).await, Ok(Vec::new()));
    assert_eq!(store.api_keys().await, Ok(Vec::new()));
    assert_eq!(audit(&store, 1, 10).await.len(), 1);
    commit(&store, steps).await;
    let rows = audit(&store, 1, 10).await;
    assert_eq!(rows.len(), 2, "a refused row left a gap");
    assert_eq!(rows[1].record, row(2));
    assert_eq!(read(&store, 1).await, None);
}

/// Order counts: a grant can be written, replaced and deleted in one batch.
pub async fn steps_of_a_batch_see_those_before(store: Arc<dyn Store>) {
    let value = grant(1);
    let delete = Write::DeleteAccreditation {
        id: id(1),
        expect: 2,
    };
    commit(
        &store,
        vec![put(&value, 0), put(&value, 1), delete, put(&value, 0)],
    )
    .await;
    assert_eq!(read(&store, 1).await.map(|found| found.revision), Some(1));
    conflict(&store, vec![put(&grant(2), 0), put(&grant(2), 0)]).await;
    assert_eq!(read(&store, 2).await, None);
    let uses = vec![Write::CountUse(usage_key(1, "d")); 3];
    commit(&store, uses).await;
    assert_eq!(counts(&store, 1, 1).await, [3]);
}

/// Nothing to do is done.
pub async fn an_empty_batch_is_written(store: Arc<dyn Store>) {
    commit(&store, Vec::new()).await;
    assert!(audit(&store, 1, 10).await.is_empty());
}

/// Owner and context are both asked, `changed_after` is strict, the oldest come first when cut.
pub async fn a_list_holds_what_matches_oldest_change_first(store: Arc<dyn Store>) {
    for (seed, changed) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
        let mut value = grant(seed);
        value.last_changed = at(changed);
        commit(&store, vec![put(&value, 0)]).await;
    }
    let mut stranger = grant(5);
    stranger.owner = org(OTHER_OWNER);
    let mut elsewhere = grant(6);
    elsewhere.context = "Suite 2".to_owned();
    commit(&store, vec![put(&stranger, 0), put(&elsewhere, 0)]).await;
    let ids = |seeds: &[u8]| seeds.iter().map(|seed| id(*seed)).collect::<Vec<_>>();
    for (after, count_max, expected) in [
        (None, 10, ids(&[2, 3, 1, 4])),
        (Some(at(i64::MIN)), 10, ids(&[2, 3, 1, 4])),
        (Some(at(9)), 10, ids(&[2, 3, 1, 4])),
        (Some(at(10)), 10, ids(&[3, 1, 4])),
        (Some(at(39)), 10, ids(&[4])),
        (Some(at(40)), 10, ids(&[])),
        (Some(at(i64::MAX)), 10, ids(&[])),
        (None, 2, ids(&[2, 3])),
        (None, 0, ids(&[])),
        (Some(at(10)), 1, ids(&[3])),
        (None, u32::MAX, ids(&[2, 3, 1, 4])),
    ] {
        let found = list(&store, after, count_max).await;
        assert_eq!(ids_of(&found), expected, "{after:?} {count_max}");
    }
    let mut moved = grant(2);
    moved.last_changed = at(50);
    commit(&store, vec![put(&moved, 1)]).await;
    let found = list(&store, None, 10).await;
    assert_eq!(ids_of(&found), ids(&[3, 1, 4, 2]));
    assert_eq!(found[3].revision, 2);
    assert_eq!(found[3].value, moved);
}

/// A batch that changes two grants is seen whole, whenever one looks.
pub async fn a_list_never_shows_half_a_batch(store: Arc<dyn Store>) {
    commit(&store, vec![put(&grant(1), 0), put(&grant(2), 0)]).await;
    let mut tasks = JoinSet::new();
    let writer = Arc::clone(&store);
    tasks.spawn(async move {
        for revision in 1..=u64::from(TASKS) {
            commit(
                &writer,
                vec![put(&grant(1), revision), put(&grant(2), revision)],
            )
            .await;
        }
    });
    for _ in 0..4 {
        let reader = Arc::clone(&store);
        tasks.spawn(async move {
            for _ in 0..TASKS {
                let found = list(&reader, None, 10).await;
                let revisions: BTreeSet<_> = found.iter().map(|one| one.revision).collect();
                assert_eq!((found.len(), revisions.len()), (2, 1), "{revisions:?}");
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
}

/// Pages of any size, one after the other, are the list: also where changes are equal, and where
/// the place is that of no grant.
pub async fn pages_walk_over_every_grant_once(store: Arc<dyn Store>) {
    let changes = [i64::MIN, -1, 0, 0, 0, 0, 7, 7, i64::MAX, i64::MAX];
    // Identifiers against the order of changes, so that neither order passes for the other.
    for (seed, changed) in (1..=10).rev().zip(changes) {
        let mut value = grant(seed);
        value.last_changed = at(changed);
        let mut stranger = value.clone();
        stranger.id = id(seed + 100);
        stranger.owner = org(OTHER_OWNER);
        let mut elsewhere = value.clone();
        elsewhere.id = id(seed + 200);
        elsewhere.context = "Suite 2".to_owned();
        let writes = [&stranger, &value, &elsewhere].map(|grant| put(grant, 0));
        commit(&store, writes.to_vec()).await;
    }
    let expected = [10, 9, 5, 6, 7, 8, 3, 4, 1, 2].map(id);
    for count_max in 1..=11 {
        let found = walk(&store, None, count_max).await;
        assert_eq!(ids_of(&found), expected, "{count_max}");
    }
    for (changed_after, skipped) in [(i64::MIN, 1), (-1, 2), (0, 6), (7, 8), (i64::MAX, 10)] {
        let found = walk(&store, Some(at(changed_after)), 3).await;
        assert_eq!(ids_of(&found), expected[skipped..], "{changed_after}");
    }
    for (changed_after, last_changed, seed, skipped) in [
        (None, 0, 0, 2),
        (None, 0, 100, 6),
        (None, 1, 9, 6),
        (None, i64::MAX, 2, 10),
        (None, i64::MIN, 9, 0),
        (None, i64::MIN, 10, 1),
        // Of two bounds the later one holds.
        (Some(-1), 0, 6, 4),
        (Some(0), 0, 6, 6),
        (Some(7), 0, 6, 8),
        (Some(i64::MIN), 7, 3, 7),
        (Some(i64::MAX), 0, 6, 10),
    ] {
        let place = Place {
            last_changed: at(last_changed),
            id: id(seed),
        };
        let found = page(&store, changed_after.map(at), Some(place.clone()), 100).await;
        assert_eq!(
            ids_of(&found),
            expected[skipped..],
            "{changed_after:?} {place:?}"
        );
        assert!(page(&store, None, Some(place), 0).await.is_empty());
    }
}

/// Between two pages grants are written on both sides of the place, deleted and moved: what is
/// behind the place comes, once, and nothing else does.
pub async fn pages_hold_between_writes(store: Arc<dyn Store>) {
    let same = |seed: u8| {
        let mut value = grant(seed);
        value.last_changed = at(5);
        value
    };
    let writes = [10, 20, 30, 40, 50, 60, 70, 80].map(|seed| put(&same(seed), 0));
    commit(&store, writes.to_vec()).await;
    let first = page(&store, None, None, 3).await;
    assert_eq!(ids_of(&first), [10, 20, 30].map(id));
    let mut earlier = same(90);
    earlier.last_changed = at(4);
    let delete = |seed| Write::DeleteAccreditation {
        id: id(seed),
        expect: 1,
    };
    // The place itself is deleted as well: it is a place, not a grant.
    let writes = vec![
        put(&same(25), 0),
        put(&same(35), 0),
        put(&earlier, 0),
        delete(30),
        delete(60),
    ];
    commit(&store, writes).await;
    let second = page(&store, None, first.last().map(place_of), 3).await;
    assert_eq!(ids_of(&second), [35, 40, 50].map(id));
    let mut moved = same(70);
    moved.last_changed = at(6);
    let mut back = same(80);
    back.last_changed = at(1);
    commit(&store, vec![put(&moved, 1), put(&back, 1)]).await;
    let third = page(&store, None, second.last().map(place_of), 3).await;
    assert_eq!(ids_of(&third), [id(70)]);
    let end = page(&store, None, third.last().map(place_of), 3).await;
    assert!(end.is_empty());
}

/// Whoever walks while others write sees in order, and once, what was there all the time.
pub async fn pages_hold_while_others_write(store: Arc<dyn Store>) {
    // Seven changes, each of many grants; even identifiers first, odd ones while reading.
    let spread = |seed: u8| {
        let mut value = grant(seed);
        value.last_changed = at(i64::from(seed % 7));
        value
    };
    let kept: Vec<_> = (2..=100).step_by(2).map(spread).collect();
    let writes = kept.iter().map(|value| put(value, 0)).collect();
    commit(&store, writes).await;
    let mut tasks = JoinSet::new();
    let writer = Arc::clone(&store);
    tasks.spawn(async move {
        for seed in (1..=99).step_by(2) {
            commit(&writer, vec![put(&spread(seed), 0)]).await;
            tokio::task::yield_now().await;
        }
    });
    for count_max in 1..=4 {
        let (store, kept) = (Arc::clone(&store), kept.clone());
        tasks.spawn(async move {
            let found = walk(&store, None, count_max).await;
            let found: BTreeSet<_> = found.into_iter().map(|one| one.value.id).collect();
            let missed: Vec<_> = kept.iter().filter(|one| !found.contains(&one.id)).collect();
            assert!(missed.is_empty(), "{missed:?}");
        });
    }
    tasks.join_all().await;
    assert_eq!(walk(&store, None, 3).await.len(), 100);
}

/// Strictly before the moment, whoever owns them, in order of their end, the longest ended first
/// when cut; a longer validity takes one out again.
pub async fn ended_grants_come_longest_ended_first(store: Arc<dyn Store>) {
    assert!(ended(&store, i64::MAX, 10).await.is_empty());
    let mut writes = Vec::new();
    for (seed, end) in [
        (1, 30),
        (2, i64::MIN),
        (3, 20),
        (4, i64::MAX),
        (5, 20),
        (6, -5),
    ] {
        let mut value = grant(seed);
        value.valid_to = at(end);
        if seed == 3 {
            value.owner = org(OTHER_OWNER);
            value.context = "Suite 2".to_owned();
        }
        writes.push(put(&value, 0));
    }
    commit(&store, writes).await;
    let ids = |seeds: &[u8]| seeds.iter().map(|seed| id(*seed)).collect::<Vec<_>>();
    for (before, count_max, expected) in [
        (i64::MIN, 10, ids(&[])),
        (i64::MIN + 1, 10, ids(&[2])),
        (0, 10, ids(&[2, 6])),
        (20, 10, ids(&[2, 6])),
        (30, 10, ids(&[2, 6, 3, 5])),
        (i64::MAX, u32::MAX, ids(&[2, 6, 3, 5, 1])),
        (i64::MAX, 2, ids(&[2, 6])),
        (i64::MAX, 0, ids(&[])),
    ] {
        let found = ended(&store, before, count_max).await;
        assert_eq!(ids_of(&found), expected, "{before} {count_max}");
    }
    let mut longer = grant(2);
    longer.valid_to = at(31);
    let delete = Write::DeleteAccreditation {
        id: id(6),
        expect: 1,
    };
    commit(&store, vec![put(&longer, 1), delete]).await;
    let found = ended(&store, i64::MAX, 10).await;
    assert_eq!(ids_of(&found), ids(&[3, 5, 1, 2]));
    assert_eq!(found[3].revision, 2);
    assert_eq!(found[3].value, longer);
}

/// An application comes back equal, under its owner and key alone.
pub async fn applications_are_kept_by_owner_and_key(store: Arc<dyn Store>) {
    let first = remembered(1);
    let mut other_owner = first.clone();
    other_owner.owner = org(OTHER_OWNER);
    other_owner.request_digest = [0; 32];
    let mut other_key = first.clone();
    other_key.key_digest[31] ^= 1;
    other_key.accreditation = id(2);
    let all = [first, other_owner, other_key];
    for value in &all {
        assert_eq!(recall(&store, value).await, None);
        commit(&store, vec![remember(value, 0)]).await;
    }
    for value in all {
        assert_eq!(recall(&store, &value).await, Some(value));
    }
}

/// It is found also when it has expired; another takes its place from that moment on, not before.
pub async fn an_application_holds_its_key_until_it_expires(store: Arc<dyn Store>) {
    let first = remembered(1);
    commit(&store, vec![remember(&first, i64::MAX)]).await;
    let mut second = first.clone();
    second.request_digest = [0xFF; 32];
    second.accreditation = id(2);
    second.expires = at(i64::MAX);
    for now in [i64::MIN, 0, 999] {
        conflict(&store, vec![remember(&second, now)]).await;
        conflict(&store, vec![remember(&first, now)]).await;
    }
    assert_eq!(recall(&store, &first).await, Some(first.clone()));
    commit(&store, vec![remember(&second, 1_000)]).await;
    assert_eq!(recall(&store, &first).await, Some(second));
    conflict(&store, vec![remember(&first, i64::MAX - 1)]).await;
    commit(&store, vec![remember(&first, i64::MAX)]).await;
    assert_eq!(recall(&store, &first).await, Some(first));
}

/// What expired strictly before the moment is gone, whoever owns it, and its key is free; the rest
/// stays. Nothing to forget is no fault.
pub async fn forgetting_takes_what_expired_before(store: Arc<dyn Store>) {
    commit(&store, vec![forget(i64::MAX)]).await;
    let mut all = Vec::new();
    for (seed, expires) in [(1, i64::MIN), (2, 10), (3, 10), (4, 11), (5, i64::MAX)] {
        let mut value = remembered(seed);
        value.expires = at(expires);
        if seed == 3 {
            value.owner = org(OTHER_OWNER);
        }
        all.push(value);
    }
    let writes = all.iter().map(|value| remember(value, i64::MIN)).collect();
    commit(&store, writes).await;
    for (before, gone) in [(i64::MIN, 0), (10, 1), (11, 3), (11, 3), (i64::MAX, 4)] {
        commit(&store, vec![forget(before)]).await;
        for (at, value) in all.iter().enumerate() {
            let expected = (at >= gone).then(|| value.clone());
            assert_eq!(recall(&store, value).await, expected, "{before} {at}");
        }
    }
    conflict(&store, vec![remember(&all[4], 0)]).await;
    commit(&store, vec![remember(&all[1], i64::MIN)]).await;
}

/// What a batch remembered it forgets, and may remember again; a refused one forgets nothing.
pub async fn remembering_and_forgetting_go_in_order(store: Arc<dyn Store>) {
    let (kept, value) = (remembered(1), remembered(2));
    commit(&store, vec![remember(&kept, 0)]).await;
    conflict(&store, vec![remember(&value, 0), remember(&value, 0)]).await;
    commit(&store, vec![remember(&value, 0), forget(1_001)]).await;
    assert_eq!(recall(&store, &kept).await, None);
    assert_eq!(recall(&store, &value).await, None);
    let again = vec![remember(&value, 0), forget(1_001), remember(&value, 0)];
    commit(&store, again).await;
    assert_eq!(recall(&store, &value).await, Some(value.clone()));
    conflict(&store, vec![forget(1_001), put(&grant(1), 7)]).await;
    assert_eq!(recall(&store, &value).await, Some(value));
}

/// Wherever in the batch the remembered application is, no other step of it is done; nor is one
/// remembered where another step is a conflict.
pub async fn a_remembered_application_refuses_its_whole_batch(store: Arc<dyn Store>) {
    commit(&store, vec![put(&grant(1), 0), remember(&remembered(1), 0)]).await;
    let mut again = remembered(1);
    again.accreditation = id(2);
    let steps = vec![
        put(&grant(2), 0),
        append(&row(2)),
        Write::CountUse(usage_key(1, "d")),
        remember(&remembered(2), 0),
    ];
    for place in 0..=steps.len() {
        for refused in [remember(&again, 0), put(&grant(1), 0)] {
            let mut batch = steps.clone();
            batch.insert(place, refused);
            conflict(&store, batch).await;
        }
    }
    assert_eq!(read(&store, 2).await, None);
    assert_eq!(recall(&store, &remembered(2)).await, None);
    assert_eq!(recall(&store, &again).await, Some(remembered(1)));
    assert!(audit(&store, 1, 10).await.is_empty());
    assert!(counts(&store, 1, 1).await.is_empty());
    commit(&store, steps).await;
    assert_eq!(recall(&store, &remembered(2)).await, Some(remembered(2)));
}

/// Of many that apply under the same key at once, one is granted; the others are told, and what is
/// remembered is the one grant there is. So it is again when it has expired.
pub async fn one_of_many_applications_under_one_key_wins(store: Arc<dyn Store>) {
    for round in 0..3_u8 {
        let mut tasks = JoinSet::new();
        for seed in 1..=APPLICANTS {
            let store = Arc::clone(&store);
            let seed = round * APPLICANTS + seed;
            tasks.spawn(async move {
                let mut value = remembered(7);
                value.accreditation = id(seed);
                value.expires = at(i64::from(round) + 1);
                let batch = Batch(vec![
                    put(&grant(seed), 0),
                    remember(&value, i64::from(round)),
                    append(&row(seed)),
                ]);
                (seed, store.commit(&batch).await)
            });
        }
        let mut won = Vec::new();
        for (seed, result) in tasks.join_all().await {
            match result {
                Ok(()) => won.push(seed),
                Err(error) => assert_eq!(error, StoreError::Conflict, "{seed}"),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        let kept = recall(&store, &remembered(7)).await.expect("the winner");
        assert_eq!(kept.accreditation, id(won[0]));
        assert_eq!(
            read(&store, won[0]).await.map(|found| found.revision),
            Some(1)
        );
        let granted = usize::from(round) + 1;
        assert_eq!(list(&store, None, 100).await.len(), granted);
        let rows = audit(&store, 1, 100).await;
        assert_eq!(rows.len(), granted, "a conflict left its row behind");
        assert_eq!(rows.last().map(|row| &row.record), Some(&row(won[0])));
    }
}

/// Every action and phase comes back, in order, from 1 without gaps.
pub async fn audit_rows_read_back_as_they_were(store: Arc<dyn Store>) {
    let phases = [
        Phase::Done,
        Phase::Intent,
        Phase::Delivered {
            digest: [0xA5; 32],
            body_bytes: u64::MAX,
        },
        Phase::Failed { code: 3002 },
    ];
    let mut records = Vec::new();
    for (action, _) in Action::ALL {
        for phase in &phases {
            let mut record = row(1);
            record.action = action;
            record.phase = phase.clone();
            records.push(record);
        }
    }
    commit(&store, records.iter().map(append).collect()).await;
    let rows = audit(&store, 1, 1_000).await;
    let found: Vec<_> = rows.iter().map(|row| row.record.clone()).collect();
    assert_eq!(found, records);
}

/// Parts of the trail are the trail, link by link; beyond its end there is nothing.
pub async fn audit_is_read_in_parts(store: Arc<dyn Store>) {
    assert!(audit(&store, 1, 10).await.is_empty());
    for seed in 1..=10 {
        commit(&store, vec![append(&row(seed))]).await;
    }
    let whole = audit(&store, 1, 100).await;
    assert_eq!(whole.len(), 10);
    for first in 1..=10_usize {
        for count in 0..=11 - first {
            let wide = |number: usize| u64::try_from(number).expect("a small number");
            let count_max = u32::try_from(count).expect("a small number");
            let part = audit(&store, wide(first), count_max).await;
            assert_eq!(part, whole[first - 1..first - 1 + count], "{first} {count}");
        }
    }
    assert!(audit(&store, 11, 10).await.is_empty());
    assert!(audit(&store, u64::MAX, 10).await.is_empty());
    let from_zero = store.audit(0, 3).await.expect("0 reads from the start");
    assert_eq!(from_zero, whole[..3]);
}

/// Concurrent commits lose no row, count every use, and the chain holds.
pub async fn many_appends_at_once_leave_no_gap(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for seed in 1..=TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            commit(
                &store,
                vec![
                    append(&row(seed)),
                    put(&grant(seed), 0),
                    Write::CountUse(usage_key(1, "d")),
                    append(&row(seed)),
                ],
            )
            .await;
        });
    }
    tasks.join_all().await;
    let rows = audit(&store, 1, 1_000).await;
    assert_eq!(rows.len(), usize::from(TASKS) * 2);
    for pair in rows.chunks(2) {
        assert_eq!(pair[0].record, pair[1].record, "a batch was torn apart");
    }
    let links: BTreeSet<_> = rows.iter().map(|row| row.link).collect();
    assert_eq!(links.len(), rows.len(), "a link twice");
    let seeds: BTreeSet<_> = rows.iter().map(|row| row.record.at).collect();
    assert_eq!(seeds.len(), usize::from(TASKS));
    assert_eq!(counts(&store, 1, 1).await, [u64::from(TASKS)]);
    assert_eq!(
        list(&store, None, 1_000).await.len(),
        usize::from(TASKS),
        "a grant was lost"
    );
}

/// Each key has its own count; a range of months takes both ends.
pub async fn uses_are_counted_by_key_and_month(store: Arc<dyn Store>) {
    let mut open_data = usage_key(11, "d");
    open_data.owner = String::new();
    open_data.context = "OpenData".to_owned();
    let keys = [
        usage_key(10, "d"),
        usage_key(11, "d"),
        usage_key(11, "e"),
        open_data,
        usage_key(12, "d"),
    ];
    for (extra, key) in keys.iter().enumerate() {
        for _ in 0..=extra {
            commit(&store, vec![Write::CountUse(key.clone())]).await;
        }
    }
    let expected = |counted: &[(usize, u64)]| {
        let mut rows: Vec<UsageRow> = counted
            .iter()
            .map(|(at, count)| UsageRow {
                key: keys[*at].clone(),
                count: *count,
            })
            .collect();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    };
    for (first, last, rows) in [
        (10, 12, expected(&[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])),
        (11, 11, expected(&[(1, 2), (2, 3), (3, 4)])),
        (12, i32::MAX, expected(&[(4, 5)])),
        (i32::MIN, 10, expected(&[(0, 1)])),
        (13, 20, expected(&[])),
        (12, 10, expected(&[])),
    ] {
        assert_eq!(usage(&store, first, last).await, rows, "{first} {last}");
    }
}

/// Found by identifier, listed oldest first, replaced by a later write.
pub async fn api_keys_are_kept_and_changed(store: Arc<dyn Store>) {
    assert_eq!(store.api_key("key-1").await, Ok(None));
    let mut bound = key(1);
    bound.org = Some(org(OWNER));
    bound.expires = Some(at(99));
    bound.created = at(300);
    for key in [&key(3), &bound, &key(2)] {
        commit(&store, vec![Write::PutApiKey(Box::new(key.clone()))]).await;
    }
    assert_eq!(store.api_key("key-1").await, Ok(Some(bound.clone())));
    assert_eq!(store.api_key("KEY-1").await, Ok(None));
    assert_eq!(store.api_key("").await, Ok(None));
    assert_eq!(
        store.api_keys().await,
        Ok(vec![key(2), key(3), bound.clone()])
    );
    let mut revoked = bound;
    revoked.expires = Some(at(5));
    revoked.digest = [0xFF; 32];
    revoked.created = at(0);
    commit(&store, vec![Write::PutApiKey(Box::new(revoked.clone()))]).await;
    assert_eq!(store.api_key("key-1").await, Ok(Some(revoked.clone())));
    assert_eq!(store.api_keys().await, Ok(vec![revoked, key(2), key(3)]));
}

/// A caller that gives up leaves the batch written or not, never half.
pub async fn a_dropped_commit_is_whole_or_nothing(store: Arc<dyn Store>) {
    for seed in 1..=TASKS {
        let batch = Batch(vec![
            append(&row(seed)),
            put(&grant(seed), 0),
            Write::CountUse(usage_key(i32::from(seed), "d")),
            append(&row(seed)),
        ]);
        let mut dropped = store.commit(&batch);
        let polled = dropped
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending() || polled == Poll::Ready(Ok(())));
        drop(dropped);
    }
    // Whatever was still on its way is done before this.
    commit(&store, vec![append(&row(0))]).await;
    let rows = audit(&store, 1, 1_000).await;
    for seed in 1..=TASKS {
        let written = rows
            .iter()
            .filter(|found| found.record == row(seed))
            .count();
        let kept = read(&store, seed).await.is_some();
        let counted = counts(&store, i32::from(seed), i32::from(seed)).await;
        assert!(
            (written == 2 && kept && counted == [1])
                || (written == 0 && !kept && counted.is_empty()),
            "half of a batch: {written} rows, grant {kept}, uses {counted:?}"
        );
    }
}

/// A store that can write says so, before and after it has.
pub async fn a_store_that_works_is_ready(store: Arc<dyn Store>) {
    assert_eq!(store.ready().await, Ok(()));
    commit(&store, vec![put(&grant(1), 0)]).await;
    assert_eq!(store.ready().await, Ok(()));
    assert!(audit(&store, 1, 10).await.is_empty());
}

async fn commit(store: &Arc<dyn Store>, writes: Vec<Write>) {
    assert_eq!(store.commit(&Batch(writes)).await, Ok(()));
}

async fn conflict(store: &Arc<dyn Store>, writes: Vec<Write>) {
    assert_eq!(
        store.commit(&Batch(writes)).await,
        Err(StoreError::Conflict)
    );
}

async fn read(store: &Arc<dyn Store>, seed: u8) -> Option<Stored<Accreditation>> {
    let id = id(seed);
    store.accreditation(&id).await.expect("a read")
}

async fn value_of(store: &Arc<dyn Store>, seed: u8) -> Accreditation {
    read(store, seed).await.expect("the grant is there").value
}

async fn list(
    store: &Arc<dyn Store>,
    changed_after: Option<Timestamp>,
    count_max: u32,
) -> Vec<Stored<Accreditation>> {
    page(store, changed_after, None, count_max).await
}

async fn page(
    store: &Arc<dyn Store>,
    changed_after: Option<Timestamp>,
    after: Option<Place>,
    count_max: u32,
) -> Vec<Stored<Accreditation>> {
    let filter = AccreditationFilter {
        owner: org(OWNER),
        context: CONTEXT.to_owned(),
        changed_after,
        after,
        count_max,
    };
    store.accreditations(&filter).await.expect("a list")
}

/// Every page to the end, checked to be in strict order and no longer than asked for.
async fn walk(
    store: &Arc<dyn Store>,
    changed_after: Option<Timestamp>,
    count_max: u32,
) -> Vec<Stored<Accreditation>> {
    let mut found: Vec<Stored<Accreditation>> = Vec::new();
    loop {
        let after = found.last().map(place_of);
        let next = page(store, changed_after, after, count_max).await;
        assert!(next.len() <= usize::try_from(count_max).unwrap_or(usize::MAX));
        if next.is_empty() {
            return found;
        }
        found.extend(next);
        assert!(found.is_sorted_by(|a, b| place_of(a) < place_of(b)));
    }
}

async fn ended(store: &Arc<dyn Store>, before: i64, count_max: u32) -> Vec<Stored<Accreditation>> {
    let found = store.ended(at(before), count_max).await;
    found.expect("a list")
}

/// What is remembered under the owner and key of this one.
async fn recall(store: &Arc<dyn Store>, like: &IdempotencyRecord) -> Option<IdempotencyRecord> {
    let found = store.idempotency(like.owner, &like.key_digest).await;
    found.expect("a read")
}

fn place_of(stored: &Stored<Accreditation>) -> Place {
    Place {
        last_changed: stored.value.last_changed,
        id: stored.value.id.clone(),
    }
}

fn ids_of(found: &[Stored<Accreditation>]) -> Vec<AccreditationId> {
    found.iter().map(|one| one.value.id.clone()).collect()
}

/// Rows from `first` on, checked to be numbered without a gap.
async fn audit(store: &Arc<dyn Store>, first: u64, count_max: u32) -> Vec<StoredAudit> {
    let rows = store
        .audit(first, count_max)
        .await
        .expect("the chain holds");
    assert!(rows.len() <= usize::try_from(count_max).unwrap_or(usize::MAX));
    for (row, expected) in rows.iter().zip(first..) {
        assert_eq!(row.sequence, expected);
    }
    rows
}

async fn usage(store: &Arc<dyn Store>, first: i32, last: i32) -> Vec<UsageRow> {
    let mut rows = store.usage(first, last).await.expect("usage");
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

async fn counts(store: &Arc<dyn Store>, first: i32, last: i32) -> Vec<u64> {
    let rows = usage(store, first, last).await;
    rows.iter().map(|row| row.count).collect()
}

fn org(number: &str) -> OrgNumber {
    OrgNumber::parse(number).expect("an organisation number")
}

fn person() -> Party {
    Party::from_canonical(&format!("nor-freg::{PERSON}")).expect("a person")
}

fn id(seed: u8) -> AccreditationId {
    AccreditationId::from_random([seed; 16])
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn parameter(name: &str, value: Value) -> Parameter {
    Parameter {
        name: name.to_owned(),
        value,
    }
}
