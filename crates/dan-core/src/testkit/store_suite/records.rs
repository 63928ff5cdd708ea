//! Audit rows, counts, API keys, and commits that are dropped.

use super::*;

/// Every action and phase comes back, in order, from 1 without gaps.
pub async fn audit_rows_read_back_as_they_were(store: Arc<dyn Store>) {
    let phases = [
        Phase::Done,
        Phase::Intent,
        Phase::Delivered {
            digest: [0xA5; 32],
            body_bytes: u64::MAX,
        },
        Phase::BrokenOff {
            body_bytes: u64::MAX,
            code: None,
        },
        Phase::BrokenOff {
            body_bytes: 0,
            code: Some(3001),
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
        commit(&store, vec![Write::new_api_key(key.clone())]).await;
    }
    assert_eq!(store.api_key("key-1").await, Ok(Some(bound.clone())));
    assert_eq!(store.api_key("KEY-1").await, Ok(None));
    assert_eq!(store.api_key("").await, Ok(None));
    assert_eq!(
        store.api_keys().await,
        Ok(vec![key(2), key(3), bound.clone()])
    );
    let mut revoked = bound.clone();
    revoked.expires = Some(at(5));
    revoked.digest = [0xFF; 32];
    revoked.created = at(0);
    let change = Write::change_api_key(revoked.clone(), bound);
    commit(&store, vec![change]).await;
    assert_eq!(store.api_key("key-1").await, Ok(Some(revoked.clone())));
    assert_eq!(store.api_keys().await, Ok(vec![revoked, key(2), key(3)]));
}

/// Whoever read a key before it was changed changes nothing: a key that was ended is not brought back.
pub async fn an_api_key_changes_from_what_was_read_only(store: Arc<dyn Store>) {
    let read = key(1);
    commit(&store, vec![Write::new_api_key(read.clone())]).await;
    let mut ended = read.clone();
    ended.expires = Some(at(5));
    let end = Write::change_api_key(ended.clone(), read.clone());
    commit(&store, vec![end.clone()]).await;
    let mut rotated = read.clone();
    rotated.expires = Some(at(999));
    for late in [
        Write::change_api_key(rotated.clone(), read),
        Write::new_api_key(rotated),
        Write::change_api_key(key(9), key(9)),
        end,
    ] {
        let record = append(&row(1));
        conflict(&store, vec![record, late]).await;
    }
    assert_eq!(store.api_key("key-1").await, Ok(Some(ended)));
    assert_eq!(audit(&store, 1, 10).await, []);
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

/// # Panics
/// When the store is wrong.
pub async fn uses_of_keys_add_up_by_day(store: Arc<dyn Store>) {
    let used = |key_id: &str, day: i64, ms: i64, count: u64| KeyUse {
        key_id: key_id.to_owned(),
        last_used: at(ms),
        day,
        count,
    };
    assert_eq!(store.key_uses(None).await, Ok(Vec::new()));
    for (wrote, expected) in [
        (used("b", 7, 500, 3), used("b", 7, 500, 3)),
        (used("b", 7, 400, 2), used("b", 7, 500, 5)),
        (used("b", 8, 900, 1), used("b", 8, 900, 1)),
        (used("b", 7, 600, 9), used("b", 8, 900, 1)),
        (used("b", 8, 901, 0), used("b", 8, 901, 1)),
        // A clock that was wrong spoils nothing for long.
        (used("b", 999, 9_999, 7), used("b", 999, 9_999, 7)),
        (used("b", 8, 902, 1), used("b", 8, 902, 1)),
    ] {
        commit(&store, vec![Write::CountKeyUse(wrote)]).await;
        assert_eq!(store.key_uses(Some("b")).await, Ok(vec![expected]));
    }
    let both = vec![
        Write::CountKeyUse(used("a", 1, 1, 1)),
        Write::CountKeyUse(used("a", 1, 2, 1)),
    ];
    commit(&store, both).await;
    let expected = vec![used("a", 1, 2, 2), used("b", 8, 902, 1)];
    assert_eq!(store.key_uses(None).await, Ok(expected));
    assert_eq!(store.key_uses(Some("c")).await, Ok(Vec::new()));
}
