//! Applications under an idempotency key.

use super::*;

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
