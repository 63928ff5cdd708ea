//! Databases of earlier versions, as they were made then, opened by this one.

use std::sync::Arc;

use dan_core::audit::link;
use dan_core::ports::{AboutFilter, AccreditationFilter, Batch, Place, Store, StoreError};
use dan_core::testkit::store_suite::{
    append, grant, key, put, remember, remembered, row, usage_key,
};
use dan_core::time::Timestamp;
use rusqlite::{Connection, params};

use super::schema::{MIGRATIONS, key_fits, migrate};
use super::{SqliteStore, connect_writer};
use crate::record::{encode_accreditation, encode_api_key, encode_audit};
use crate::seal::Sealer;
use crate::{Access, Durability};

/// Seeds of what the first version wrote.
const SEEDS: std::ops::RangeInclusive<u8> = 1..=5;

fn sealer() -> Sealer {
    Sealer::new(&[7; 32])
}

/// A database of version 1 with a row for each seed in every table, written by the statements of
/// that version: by the embedded 0001 alone, whatever came later.
fn first_version(path: &std::path::Path) -> Connection {
    super::create(path).unwrap();
    let mut connection = connect_writer(path, Durability::Process).unwrap();
    migrate(&mut connection, &MIGRATIONS[..1]).unwrap();
    assert_eq!(key_fits(&connection, &sealer()), Ok(true));
    let mut previous = [0; 32];
    for seed in SEEDS {
        let grant = grant(seed);
        let body = encode_accreditation(&grant, &sealer()).unwrap();
        let (id, owner) = (grant.id.as_str(), grant.owner.as_str());
        let values = params![id, owner, grant.context, grant.last_changed.as_ms(), body];
        let sql = "INSERT INTO accreditation (id, revision, owner, context, last_changed, body) \
                   VALUES (?1, 3, ?2, ?3, ?4, ?5)";
        connection.execute(sql, values).unwrap();
        let body = encode_audit(&row(seed), &sealer()).unwrap();
        previous = link(&previous, body.as_bytes());
        let sql = "INSERT INTO audit (sequence, body, link) VALUES (?1, ?2, ?3)";
        connection
            .execute(sql, params![seed, body, previous])
            .unwrap();
        let key = key(seed);
        let body = encode_api_key(&key).unwrap();
        let sql = "INSERT INTO api_key (id, created, body) VALUES (?1, ?2, ?3)";
        let values = params![key.id, key.created.as_ms(), body];
        connection.execute(sql, values).unwrap();
        let used = usage_key(i32::from(seed), "d");
        let sql = "INSERT INTO usage (month, context, dataset, owner, count) \
                   VALUES (?1, ?2, ?3, ?4, 9)";
        let values = params![used.month, used.context, used.dataset, used.owner];
        connection.execute(sql, values).unwrap();
    }
    connection
}

fn open(path: &std::path::Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path, sealer(), Durability::Process, Access::Node).unwrap())
}

#[tokio::test]
async fn the_first_version_is_brought_up_to_date_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dan.db");
    drop(first_version(&path));
    for opened in 1..=2 {
        let store = open(&path);
        for seed in SEEDS {
            let found = store.accreditation(&grant(seed).id).await.unwrap().unwrap();
            assert_eq!((found.value, found.revision), (grant(seed), 3), "{opened}");
            assert_eq!(store.api_key(&key(seed).id).await, Ok(Some(key(seed))));
            let month = i32::from(seed);
            let usage = store.usage(month, month).await.unwrap();
            assert_eq!((&usage[0].key, usage[0].count), (&usage_key(month, "d"), 9));
        }
        let rows = store.audit(1, 100).await.unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| row.record).collect();
        assert_eq!(rows, SEEDS.map(row).collect::<Vec<_>>());
        let filter = AboutFilter {
            subject: row(1).subject.unwrap(),
            after: 0,
            count_max: 100,
        };
        assert_eq!(store.about(&filter).await.unwrap().len(), rows.len());
    }
    let store = open(&path);
    let filter = AccreditationFilter {
        owner: grant(1).owner,
        context: grant(1).context,
        changed_after: None,
        after: Some(Place {
            last_changed: grant(2).last_changed,
            id: grant(2).id,
        }),
        count_max: 2,
    };
    let found = store.accreditations(&filter).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|found| found.value).collect();
    assert_eq!(found, [grant(3), grant(4)]);
    let end = grant(1).valid_to;
    assert_eq!(store.ended(end, 100).await, Ok(Vec::new()));
    let found = store.ended(end.plus_ms(1), 100).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|found| found.value).collect();
    assert_eq!(found, SEEDS.map(grant).collect::<Vec<_>>());
    let writes = vec![
        put(&grant(1), 3),
        put(&grant(6), 0),
        append(&row(6)),
        remember(&remembered(6), 0),
    ];
    assert_eq!(store.commit(&Batch(writes)).await, Ok(()));
    let value = remembered(6);
    let found = store.idempotency(value.owner, &value.key_digest).await;
    assert_eq!(found, Ok(Some(value)));
    assert_eq!(store.audit(1, 100).await.unwrap().len(), 6, "the chain");
}

#[tokio::test]
async fn records_that_do_not_read_do_not_keep_a_database_from_being_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dan.db");
    let first = first_version(&path);
    for (seed, body) in [
        (1, ""),
        (2, "{"),
        (3, "{\"valid_to\":\"never\"}"),
        (4, "[]"),
    ] {
        let sql = "UPDATE accreditation SET body = ?1 WHERE id = ?2";
        let id = grant(seed).id;
        assert_eq!(first.execute(sql, [body, id.as_str()]), Ok(1));
    }
    drop(first);
    let store = open(&path);
    for seed in 1..=4 {
        let found = store.accreditation(&grant(seed).id).await;
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    }
    // Nobody knows when they ended, so they have not.
    let found = store.ended(Timestamp::from_ms(i64::MAX), 100).await;
    let found: Vec<_> = found
        .unwrap()
        .into_iter()
        .map(|found| found.value)
        .collect();
    assert_eq!(found, [grant(5)]);
}

#[tokio::test]
async fn a_node_of_the_first_version_goes_on_beside_a_newer_tool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dan.db");
    let node = first_version(&path);
    let tool = SqliteStore::open(&path, sealer(), Durability::Process, Access::Tool).unwrap();
    let body = encode_accreditation(&grant(6), &sealer()).unwrap();
    let sql = "INSERT INTO accreditation (id, revision, owner, context, last_changed, body) \
               VALUES (?1, 1, '991825827', 'Suite', 6, ?2)";
    node.execute(sql, params![grant(6).id.as_str(), body])
        .unwrap();
    let found = tool.ended(Timestamp::from_ms(i64::MAX), 100).await.unwrap();
    assert_eq!(found.last().map(|found| &found.value), Some(&grant(6)));
}
