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

mod applications;
mod grants;
mod lists;
mod proofs;
mod records;

pub use applications::*;
pub use grants::*;
pub use lists::*;
pub use proofs::*;
pub use records::*;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::accreditation::{Accreditation, AccreditationId, GrantedDataset, SkippedDataset};
use crate::audit::{Action, AuditRecord, Phase};
use crate::caller::Allowance;
use crate::inquiry::{LegalBasis, LegalBasisKind, Parameter};
use crate::network::Network;
use crate::party::{OrgNumber, Party};
use crate::ports::{
    AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, Place, ProofRecord, Store,
    StoreError, Stored, StoredAudit, Write,
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
            a_grant_with_nothing_optional_reads_back_w10,
            a_revision_is_replaced_by_the_next_only,
            a_deleted_grant_is_gone,
            one_of_many_writers_of_a_revision_wins_w05,
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
            a_proof_is_kept_by_its_release,
            the_oldest_proofs_make_room,
            forgetting_proofs_takes_what_expired_before,
            a_proof_that_is_there_refuses_its_whole_batch,
            audit_rows_read_back_as_they_were,
            audit_is_read_in_parts,
            many_appends_at_once_leave_no_gap,
            uses_are_counted_by_key_and_month,
            api_keys_are_kept_and_changed,
            an_api_key_changes_from_what_was_read_only,
            uses_of_keys_add_up_by_day,
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
        system_user: Some("2f1c5a1e-6c0b-4b0e-9d7f-5a6b7c8d9e0f".to_owned()),
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
        scopes: vec!["dan:suite".to_owned()],
        networks: Network::parse("192.0.2.0/24").into_iter().collect(),
        allowance: Allowance {
            per_second: Some(u32::from(seed).max(1)),
            per_day: None,
        },
        replaces: (seed > 1).then(|| "key-1".to_owned()),
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
