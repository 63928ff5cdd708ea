//! Grants are kept, replaced and deleted as wholes.

use super::*;

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
pub async fn a_grant_with_nothing_optional_reads_back_w10(store: Arc<dyn Store>) {
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
    record.system_user = None;
    record.accreditation = None;
    record.requestor = None;
    record.subject = None;
    record.basis.clear();
    record.external_reference = None;
    record.node = None;
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
pub async fn one_of_many_writers_of_a_revision_wins_w05(store: Arc<dyn Store>) {
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
        Write::new_api_key(key(2)),
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
