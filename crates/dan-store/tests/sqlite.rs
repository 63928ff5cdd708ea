//! What the SQLite store promises beyond the port: what is on the disk, who may open it, and what
//! happens when something is wrong with it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Waker};

use dan_core::ports::{Batch, Store, StoreError, Write};
use dan_core::secret::Secret;
use dan_core::testkit::store_suite::{
    CUSTOM, PARAMETER, PERSON, append, grant, key, put, remember, remembered, row, usage_key,
};
use dan_store::trail::{Flaw, Report, TrailCheck, check_store};
use dan_store::{Access, Durability, OpenError, StoreConfig, open};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
const OTHER_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("dan.db")
    }

    fn config(&self) -> StoreConfig {
        config(&self.path())
    }

    fn open(&self) -> Arc<dyn Store> {
        open(&self.config()).unwrap()
    }

    fn tool(&self) -> Arc<dyn Store> {
        open(&StoreConfig {
            access: Access::Tool,
            ..self.config()
        })
        .unwrap()
    }

    /// A connection that knows nothing of the store.
    fn stranger(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        files
            .map(|file| {
                let path = file.unwrap().path();
                (path.display().to_string(), fs::read(&path).unwrap())
            })
            .collect()
    }
}

fn config(path: &Path) -> StoreConfig {
    StoreConfig::new(
        format!("sqlite:{}", path.display()),
        Some(Secret::new(KEY.to_owned())),
    )
}

fn refused(config: &StoreConfig) -> OpenError {
    match open(config) {
        Err(error) => error,
        Ok(_) => panic!("{config:?} was opened"),
    }
}

async fn commit(store: &Arc<dyn Store>, writes: Vec<Write>) {
    assert_eq!(store.commit(&Batch(writes)).await, Ok(()));
}

/// What a check of the trail says; there are no heads in these tests.
async fn checked(store: &Arc<dyn Store>) -> Report {
    let no_head = |_: &str| Err("there are no heads here".to_owned());
    let check = TrailCheck::new(&no_head, &[]);
    check_store(store.as_ref(), check).await.unwrap()
}

/// The same, for a trail that holds.
async fn sound(store: &Arc<dyn Store>) -> Report {
    let report = checked(store).await;
    assert_eq!(report.finding, None);
    report
}

fn everything(seed: u8) -> Vec<Write> {
    vec![
        put(&grant(seed), 0),
        append(&row(seed)),
        Write::CountUse(usage_key(1, "d")),
        Write::new_api_key(key(seed)),
        remember(&remembered(seed), 0),
    ]
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|part| part == text)
}

#[tokio::test]
async fn nothing_personal_is_in_any_file() {
    let place = Place::new();
    let mut grant = grant(1);
    grant.requestor = row(1).requestor.unwrap();
    let basis = "basis-content-canary";
    grant.legal_bases[0].content = basis.to_owned();
    let address = "https://example.org/back";
    let store = place.open();
    // Digests of what names a person: eleven digits are found again by trying.
    let mut application = remembered(1);
    application.key_digest = *b"key-digest-canary-key-digest-can";
    application.request_digest = *b"request-digest-canary-request-di";
    let writes = vec![put(&grant, 0), append(&row(1)), remember(&application, 0)];
    commit(&store, writes).await;
    let digests = [application.key_digest, application.request_digest];
    let in_hex = digests.map(|digest| digest.map(|byte| format!("{byte:02x}")).concat());
    let check = |when: &str| {
        let files = place.files();
        for (name, bytes) in &files {
            let texts = [PERSON, CUSTOM, PARAMETER, basis, address];
            for secret in texts.into_iter().chain(in_hex.iter().map(String::as_str)) {
                assert!(
                    !holds(bytes, secret.as_bytes()),
                    "{secret} in {name} {when}"
                );
            }
            for digest in &digests {
                assert!(!holds(bytes, digest), "a digest in {name} {when}");
            }
        }
        let found = files.iter().any(|(_, bytes)| holds(bytes, b"991825827"));
        assert!(found, "the test looks in the wrong place {when}");
    };
    check("while open");
    assert!(place.files().iter().any(|(name, _)| name.ends_with("-wal")));
    drop(store);
    check("after closing");
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    let store = place.open();
    commit(&store, everything(1)).await;
    for (name, _) in place.files() {
        let mode = fs::metadata(&name).unwrap().permissions().mode();
        let secret = !name.ends_with(".lock");
        assert!(!secret || mode & 0o077 == 0, "{name} {mode:o}");
    }
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let place = Place::new();
    let store = place.open();
    for seed in 1..=3 {
        commit(&store, everything(seed)).await;
    }
    let before = store.audit(1, 10).await.unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.audit(1, 10).await.unwrap(), before);
    for seed in 1..=3 {
        let found = store.accreditation(&grant(seed).id).await.unwrap();
        assert_eq!(found.map(|found| found.value), Some(grant(seed)));
        let expected = remembered(seed);
        let found = store.idempotency(expected.owner, &expected.key_digest);
        assert_eq!(found.await, Ok(Some(expected)));
    }
    assert_eq!(store.usage(1, 1).await.unwrap()[0].count, 3);
    assert_eq!(store.api_keys().await.unwrap().len(), 3);
    commit(&store, vec![append(&row(4))]).await;
    assert_eq!(sound(&store).await.rows, 4);
}

#[tokio::test]
async fn what_was_handed_over_is_written_before_it_closes() {
    let place = Place::new();
    let store = place.open();
    for seed in 1..=20 {
        let batch = Batch(everything(seed));
        let mut given_up = store.commit(&batch);
        let polled = given_up
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        drop((polled, given_up));
    }
    drop(store);
    let store = place.open();
    assert_eq!(sound(&store).await.rows, 20);
    assert_eq!(store.api_keys().await.unwrap().len(), 20);
}

#[tokio::test]
async fn many_commits_become_one_transaction() {
    let place = Place::new();
    let store = place.open();
    commit(&store, everything(1)).await;
    let before = commits_in_log(&place);
    // The stranger's lock makes the writer wait until all of them are in the queue.
    let stranger = place.stranger();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = JoinSet::new();
    for seed in 2..=101 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.commit(&Batch(everything(seed))).await });
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    stranger.execute_batch("ROLLBACK").unwrap();
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert_eq!(store.audit(1, 200).await.unwrap().len(), 101);
    assert_eq!(commits_in_log(&place) - before, 1);
}

/// Transactions in the write-ahead log: frames that carry a database size end one
/// (sqlite.org/fileformat2.html §4.1).
fn commits_in_log(place: &Place) -> usize {
    let log = fs::read(place.folder.path().join("dan.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page = usize::try_from(number(8)).unwrap();
    let salt = &log[16..24];
    (32..log.len())
        .step_by(24 + page)
        .take_while(|frame| &log[frame + 8..frame + 16] == salt)
        .filter(|frame| number(frame + 4) != 0)
        .count()
}

#[tokio::test]
async fn a_conflict_in_a_group_touches_nobody_else() {
    let place = Place::new();
    let store = place.open();
    let stranger = place.stranger();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = JoinSet::new();
    for seed in 1..=100_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut writes = everything(seed);
            if seed % 2 == 0 {
                writes.push(put(&grant(seed), 0));
            }
            (seed, store.commit(&Batch(writes)).await)
        });
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    stranger.execute_batch("ROLLBACK").unwrap();
    for (seed, result) in tasks.join_all().await {
        let expected = if seed % 2 == 0 {
            Err(StoreError::Conflict)
        } else {
            Ok(())
        };
        assert_eq!(result, expected, "{seed}");
        let found = store.accreditation(&grant(seed).id).await.unwrap();
        assert_eq!(found.is_some(), seed % 2 == 1);
    }
    assert_eq!(sound(&store).await.rows, 50);
    assert_eq!(store.usage(1, 1).await.unwrap()[0].count, 50);
}

#[tokio::test]
async fn a_locked_database_refuses_everybody_at_once_and_recovers() {
    let place = Place::new();
    let store = place.open();
    let stranger = place.stranger();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = JoinSet::new();
    // More than one group: without one answer for all, this would take a time-out for each.
    for _ in 0..600 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.commit(&Batch(vec![append(&row(1))])).await });
    }
    let (ready, results) = tokio::join!(store.ready(), tasks.join_all());
    assert!(
        matches!(ready, Err(StoreError::Unavailable(_))),
        "{ready:?}"
    );
    for result in results {
        assert!(matches!(result, Err(StoreError::Unavailable(_))));
    }
    assert_eq!(store.api_keys().await, Ok(Vec::new()), "reads go on");
    stranger.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.ready().await, Ok(()));
    commit(&store, vec![append(&row(2))]).await;
    let rows = store.audit(1, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].record, row(2));
}

#[tokio::test]
async fn a_batch_beyond_the_limit_is_refused_whole() {
    let place = Place::new();
    let store = place.open();
    let use_once = Write::CountUse(usage_key(1, "d"));
    let batch = Batch(vec![use_once.clone(); 4097]);
    let refused = store.commit(&batch).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    assert_eq!(store.usage(1, 1).await, Ok(Vec::new()));
    commit(&store, vec![use_once; 4096]).await;
    assert_eq!(store.usage(1, 1).await.unwrap()[0].count, 4096);
}

#[tokio::test]
async fn a_reader_that_gives_up_keeps_nothing() {
    let place = Place::new();
    let store = place.open();
    commit(&store, everything(1)).await;
    let id = grant(1).id;
    for _ in 0..50 {
        let mut given_up = store.accreditation(&id);
        let polled = given_up
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        drop((polled, given_up));
    }
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.accreditation(&grant(1).id).await.unwrap().is_some() });
    }
    assert!(tasks.join_all().await.iter().all(|found| *found));
}

#[tokio::test]
async fn more_reads_than_the_limit_are_refused_and_the_rest_answered() {
    let place = Place::new();
    let store = place.open();
    commit(&store, everything(1)).await;
    let mut tasks = JoinSet::new();
    for _ in 0..1500 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.api_key("key-1").await });
    }
    let results = tasks.join_all().await;
    for result in &results {
        match result {
            Ok(found) => assert_eq!(found, &Some(key(1))),
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_))),
        }
    }
    assert!(results.iter().filter(|result| result.is_ok()).count() >= 1024);
}

#[tokio::test]
async fn a_second_node_is_refused_until_the_first_has_ended() {
    let place = Place::new();
    let store = place.open();
    commit(&store, everything(1)).await;
    let error = refused(&place.config());
    assert_eq!(error, OpenError::InUse(place.path()));
    assert!(error.to_string().contains("another node"), "{error}");
    drop(store);
    let store = place.open();
    assert_eq!(store.api_keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_tool_beside_the_node_keeps_the_chain_whole() {
    let place = Place::new();
    let node = place.open();
    let tool = place.tool();
    for seed in 1..=10 {
        let store = if seed % 3 == 0 { &tool } else { &node };
        commit(store, vec![append(&row(seed))]).await;
    }
    commit(&tool, vec![Write::new_api_key(key(1))]).await;
    assert_eq!(node.api_key("key-1").await, Ok(Some(key(1))));
    let mut tasks = JoinSet::new();
    for seed in 0..100 {
        let store = Arc::clone(if seed % 2 == 0 { &tool } else { &node });
        tasks.spawn(async move { store.commit(&Batch(vec![append(&row(seed))])).await });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    let verified = sound(&node).await;
    assert_eq!(verified.rows, 110);
    assert_eq!(sound(&tool).await, verified);
}

#[tokio::test]
async fn a_reader_makes_no_database_and_reads_one_that_is_there() {
    let place = Place::new();
    let reader = StoreConfig {
        access: Access::Reader,
        ..place.config()
    };
    assert_eq!(refused(&reader), OpenError::Missing(place.path()));
    assert!(!place.path().exists());
    let node = place.open();
    commit(&node, everything(1)).await;
    let reader = open(&reader).unwrap();
    assert_eq!(sound(&reader).await, sound(&node).await);
}

#[tokio::test]
async fn another_subject_key_is_noticed_and_changes_nothing() {
    let place = Place::new();
    let store = place.open();
    commit(&store, everything(1)).await;
    drop(store);
    for access in [Access::Node, Access::Tool] {
        let error = refused(&StoreConfig {
            subject_key: Some(Secret::new(OTHER_KEY.to_owned())),
            access,
            ..place.config()
        });
        assert_eq!(error, OpenError::KeyWrong(place.path()));
        assert!(!error.to_string().contains(OTHER_KEY));
    }
    let error = refused(&StoreConfig {
        subject_key: None,
        ..place.config()
    });
    assert_eq!(error, OpenError::KeyMissing);
    let store = place.open();
    let found = store.accreditation(&grant(1).id).await.unwrap();
    assert_eq!(found.map(|found| found.value), Some(grant(1)));
}

#[tokio::test]
async fn databases_that_are_not_ours_are_left_alone() {
    let place = Place::new();
    drop(place.open());
    place
        .stranger()
        .execute(
            "INSERT INTO schema_version (version, checksum) VALUES (99, x'00')",
            [],
        )
        .unwrap();
    let newer = refused(&place.config());
    assert!(matches!(newer, OpenError::Newer { found: 99, .. }));
    assert!(newer.to_string().contains("newer program"), "{newer}");

    let other = place.folder.path().join("other.db");
    let stranger = Connection::open(&other).unwrap();
    stranger.execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert_eq!(refused(&config(&other)), OpenError::NotOurs(other));
    let tables: i64 = stranger
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);

    let text = place.folder.path().join("text.db");
    let words = "this is no database, whatever its name may say. ".repeat(100);
    fs::write(&text, &words).unwrap();
    assert_eq!(refused(&config(&text)), OpenError::NotOurs(text.clone()));
    assert_eq!(fs::read_to_string(&text).unwrap(), words);
}

#[tokio::test]
async fn places_that_cannot_be_written_are_explained() {
    let place = Place::new();
    let error = refused(&config(&place.folder.path().join("none/dan.db")));
    assert!(error.to_string().contains("no such folder"), "{error}");
    let error = refused(&config(place.folder.path()));
    assert!(matches!(error, OpenError::File { .. }), "{error}");
    drop(place.open());
    let stranger = place.stranger();
    stranger
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM usage")
        .unwrap();
    let error = refused(&place.config());
    assert!(error.to_string().contains("locked"), "{error}");
}

#[tokio::test]
async fn a_touched_trail_is_found_by_reading_it() {
    let tamper = |sql: &'static str| async move {
        let place = Place::new();
        let store = place.open();
        for seed in 1..=5 {
            commit(&store, vec![append(&row(seed))]).await;
        }
        let stranger = place.stranger();
        assert!(stranger.execute(sql, []).is_err(), "the trigger slept");
        stranger
            .execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted")
            .unwrap();
        stranger.execute(sql, []).unwrap();
        let whole = checked(&store).await.finding.unwrap();
        let part = store.audit(3, 1).await;
        ((whole.sequence, whole.flaw), part)
    };
    let (whole, part) =
        tamper("UPDATE audit SET body = replace(body, 'case 9', 'case 8') WHERE sequence = 3")
            .await;
    let told = "audit row 3: does not follow from the row before it";
    assert_eq!(whole, (3, Flaw::Edited));
    assert_eq!(part, Err(StoreError::Corrupt(told.to_owned())));
    let (whole, _) = tamper("DELETE FROM audit WHERE sequence = 3").await;
    assert_eq!(whole, (3, Flaw::Missing));
    let (whole, _) = tamper("DELETE FROM audit WHERE sequence <= 3").await;
    assert_eq!(whole, (1, Flaw::Missing));
    let (whole, part) = tamper("UPDATE audit SET link = zeroblob(32) WHERE sequence = 2").await;
    assert_eq!(whole, (2, Flaw::Edited));
    assert!(matches!(part, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_record_that_does_not_read_is_told_and_harms_no_other() {
    let place = Place::new();
    let store = place.open();
    commit(&store, [everything(1), everything(2)].concat()).await;
    let stranger = place.stranger();
    stranger
        .execute(
            "UPDATE accreditation SET body = '{' || ?1 WHERE id = ?2",
            [PERSON, grant(1).id.as_str()],
        )
        .unwrap();
    let Err(StoreError::Corrupt(told)) = store.accreditation(&grant(1).id).await else {
        panic!("a broken record was read");
    };
    assert!(!told.contains(PERSON), "{told}");
    let found = store.accreditation(&grant(2).id).await.unwrap();
    assert_eq!(found.map(|found| found.value), Some(grant(2)));
    stranger
        .execute(
            "UPDATE accreditation SET body = (SELECT body FROM accreditation WHERE id = ?1)",
            [grant(2).id.as_str()],
        )
        .unwrap();
    let exchanged = store.accreditation(&grant(1).id).await;
    assert!(matches!(exchanged, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn both_kinds_of_durability_open_the_same_database() {
    let place = Place::new();
    for (seed, durability) in [(1, Durability::Power), (2, Durability::Process)] {
        let store = open(&StoreConfig {
            durability,
            ..place.config()
        })
        .unwrap();
        commit(&store, everything(seed)).await;
    }
    assert_eq!(place.open().audit(1, 9).await.unwrap().len(), 2);
}

/// The port has no step that takes evidence. This keeps it out of the back door too.
#[test]
fn no_source_file_here_knows_evidence() {
    fn walk(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .flat_map(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }
    let sources = walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 5);
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        for name in ["EvidenceValue", "Harvest", "dan_core::evidence"] {
            assert!(!text.contains(name), "{name} in {}", path.display());
        }
    }
}
