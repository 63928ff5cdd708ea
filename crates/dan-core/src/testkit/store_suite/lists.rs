//! Lists, pages and what has ended.

use super::*;

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
