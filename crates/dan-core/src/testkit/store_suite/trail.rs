//! The audit trail as it is stored: rows unread, links, heads, and rows about one party.

use super::*;

/// A head over these rows, whose link is that of the last. What it says is of no concern to a store.
fn head(first: u64, last: u64) -> TrailHead {
    TrailHead {
        first,
        last,
        jws: format!("header.{first}-{last}.signature"),
        stamp: None,
    }
}

fn put_head(head: &TrailHead, link: [u8; 32], previous: u64) -> Write {
    Write::AppendHead {
        value: Box::new(head.clone()),
        link,
        previous,
    }
}

fn stamp(last: u64, stamp: &[u8]) -> Write {
    Write::StampHead {
        last,
        stamp: stamp.to_vec(),
    }
}

async fn rows(store: &Arc<dyn Store>, count: u8) -> Vec<StoredAudit> {
    let writes = (1..=count).map(|seed| append(&row(seed))).collect();
    commit(store, writes).await;
    audit(store, 1, 100).await
}

async fn heads(store: &Arc<dyn Store>, after: u64, count_max: u32) -> Vec<TrailHead> {
    store.heads(after, count_max).await.expect("a list")
}

/// Unread rows are those that are read, with the text that their links go over; and links are theirs.
pub async fn the_trail_is_read_as_it_is_stored(store: Arc<dyn Store>) {
    assert_eq!(store.trail(1, 10).await, Ok(Vec::new()));
    assert_eq!(store.links(1, 10).await, Ok(Vec::new()));
    let whole = rows(&store, 9).await;
    let mut previous = [0; 32];
    for row in &whole {
        let link = crate::audit::link(&previous, row.text.as_bytes());
        assert_eq!(row.link, link, "{}", row.sequence);
        previous = link;
    }
    for (first, count_max, from, to) in [
        (0, 3, 0, 3),
        (1, 100, 0, 9),
        (4, 2, 3, 5),
        (9, 100, 8, 9),
        (10, 100, 9, 9),
        (1, 0, 0, 0),
        (u64::MAX, 5, 9, 9),
    ] {
        let part = store.trail(first, count_max).await.expect("rows");
        let expected = whole[from..to].iter().map(|row| TrailRow {
            sequence: row.sequence,
            text: row.text.clone(),
            link: row.link,
        });
        assert_eq!(part, expected.collect::<Vec<_>>(), "{first} {count_max}");
        let links = store.links(first, count_max).await.expect("links");
        let expected: Vec<_> = whole[from..to].iter().map(|row| row.link).collect();
        assert_eq!(links, expected, "{first} {count_max}");
    }
}

/// Heads follow one another over rows that are there. Any other is a conflict, and takes its batch
/// with it.
pub async fn heads_follow_one_another_over_rows_that_are_there(store: Arc<dyn Store>) {
    assert_eq!(store.newest_head().await, Ok(None));
    let rows = rows(&store, 9).await;
    let link = |sequence: usize| rows[sequence - 1].link;
    let (one, two) = (head(1, 4), head(5, 6));
    for (wrong, link, previous) in [
        (head(2, 4), link(4), 0),
        (head(2, 4), link(4), 1),
        (one.clone(), link(5), 0),
        (head(1, 10), link(9), 0),
        (head(1, u64::MAX), link(9), 0),
        (one.clone(), link(4), 3),
    ] {
        let batch = vec![append(&row(1)), put_head(&wrong, link, previous)];
        conflict(&store, batch).await;
    }
    assert_eq!(store.newest_head().await, Ok(None));
    commit(&store, vec![put_head(&one, link(4), 0)]).await;
    for late in [&one, &head(1, 5), &head(5, 6)] {
        conflict(&store, vec![put_head(late, link(5), 0)]).await;
    }
    conflict(&store, vec![put_head(&head(6, 6), link(6), 4)]).await;
    conflict(&store, vec![put_head(&head(5, 4), link(4), 4)]).await;
    commit(&store, vec![put_head(&two, link(6), 4)]).await;
    assert_eq!(store.newest_head().await, Ok(Some(two.clone())));
    assert_eq!(audit(&store, 1, 100).await.len(), 9);
}

/// Heads come in order, behind a row, and no more than asked for.
pub async fn heads_are_listed_behind_a_row(store: Arc<dyn Store>) {
    let rows = rows(&store, 6).await;
    let (one, two) = (head(1, 4), head(5, 6));
    let writes = vec![
        put_head(&one, rows[3].link, 0),
        put_head(&two, rows[5].link, 4),
    ];
    commit(&store, writes).await;
    let both = [one, two];
    for (after, count_max, from, to) in [
        (0, 9, 0, 2),
        (3, 9, 0, 2),
        (4, 9, 1, 2),
        (0, 1, 0, 1),
        (6, 9, 2, 2),
        (u64::MAX, 9, 2, 2),
        (0, 0, 0, 0),
    ] {
        let found = heads(&store, after, count_max).await;
        assert_eq!(found, both[from..to], "{after} {count_max}");
    }
}

/// Of many that put a head over the same rows at once, one does.
pub async fn one_of_many_heads_over_the_same_rows_wins(store: Arc<dyn Store>) {
    let rows = rows(&store, 5).await;
    let mut tasks = JoinSet::new();
    for last in 1..=5_usize {
        let (store, link) = (Arc::clone(&store), rows[last - 1].link);
        let last = u64::try_from(last).expect("a small number");
        tasks.spawn(async move {
            let batch = Batch(vec![put_head(&head(1, last), link, 0)]);
            store.commit(&batch).await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(heads(&store, 0, 10).await.len(), 1);
}

/// A head gets one time stamp, and keeps it.
pub async fn a_head_is_stamped_once(store: Arc<dyn Store>) {
    let rows = rows(&store, 2).await;
    conflict(&store, vec![stamp(1, b"early")]).await;
    let writes = vec![
        put_head(&head(1, 1), rows[0].link, 0),
        put_head(&head(2, 2), rows[1].link, 1),
    ];
    commit(&store, writes).await;
    conflict(&store, vec![stamp(3, b"none")]).await;
    commit(&store, vec![stamp(2, b"\x30\x00\xff")]).await;
    conflict(&store, vec![stamp(2, b"again")]).await;
    let found = heads(&store, 0, 10).await;
    assert_eq!(found[0].stamp, None);
    assert_eq!(found[1].stamp.as_deref(), Some(&b"\x30\x00\xff"[..]));
    assert_eq!(store.newest_head().await, Ok(Some(found[1].clone())));
    commit(&store, vec![stamp(1, b"late")]).await;
    assert_eq!(
        heads(&store, 0, 1).await[0].stamp.as_deref(),
        Some(&b"late"[..])
    );
}

/// Every kind of party finds its own rows, in order and in parts, and no others.
pub async fn rows_are_found_by_their_subject(store: Arc<dyn Store>) {
    let parties = [
        Party::Organisation(org(OWNER)),
        person(),
        Party::Foreign {
            icd: "9999".to_owned(),
            id: "SE-55 6677".to_owned(),
        },
        Party::Custom(CUSTOM.to_owned()),
    ];
    let mut nobody = row(9);
    nobody.subject = None;
    for seed in 1..=3 {
        for party in &parties {
            let mut record = row(seed);
            record.subject = Some(party.clone());
            // Who asked is not who it is about.
            record.requestor = Some(parties[0].clone());
            commit(&store, vec![append(&record), append(&nobody)]).await;
        }
    }
    let whole = audit(&store, 1, 100).await;
    for party in &parties {
        let of = |row: &&StoredAudit| row.record.subject.as_ref() == Some(party);
        let expected: Vec<_> = whole.iter().filter(of).cloned().collect();
        assert_eq!(expected.len(), 3);
        for (after, count_max, from, to) in [
            (0, 10, 0, 3),
            (0, 2, 0, 2),
            (expected[0].sequence, 10, 1, 3),
            (expected[2].sequence, 10, 3, 3),
            (u64::MAX, 10, 3, 3),
        ] {
            let filter = AboutFilter {
                subject: party.clone(),
                after,
                count_max,
            };
            let found = store.about(&filter).await.expect("rows");
            assert_eq!(found, expected[from..to], "{party} {after} {count_max}");
        }
    }
    let stranger = AboutFilter {
        subject: Party::Organisation(org(OTHER_OWNER)),
        after: 0,
        count_max: 10,
    };
    assert_eq!(store.about(&stranger).await, Ok(Vec::new()));
}
