//! A node that is killed at any moment loses nothing that it has answered.
//!
//! The test starts itself once more as a child, which writes and says what was acknowledged, kills
//! it in the middle, and looks at what is left.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use dan_core::ports::{Batch, Store, Write};
use dan_core::secret::Secret;
use dan_core::testkit::store_suite::{append, row, usage_key};
use dan_store::trail::{Report, TrailCheck, check_store};
use dan_store::{StoreConfig, open};
use tokio::task::JoinSet;

/// Says to the child where the database is.
const DATABASE: &str = "DAN_STORE_KILLED_DATABASE";
/// Kills in one test.
const ROUNDS: usize = 3;
/// Acknowledged batches before the child is killed.
const ACKNOWLEDGED: usize = 200;
/// Where a child that nobody kills ends.
const BATCHES_MAX: usize = 20_000;
const TASKS: usize = 16;

fn store(path: &Path) -> Arc<dyn Store> {
    let key = Some(Secret::new("07".repeat(32)));
    open(&StoreConfig::new(format!("sqlite:{}", path.display()), key)).unwrap()
}

/// What a check of the trail says; there are no heads in these tests.
async fn holds(store: &Arc<dyn Store>) -> Report {
    let no_head = |_: &str| Err("there are no heads here".to_owned());
    let check = TrailCheck::new(&no_head, &[]);
    let report = check_store(store.as_ref(), check).await.unwrap();
    assert_eq!(report.finding, None);
    report
}

async fn write(store: Arc<dyn Store>, name: String) {
    for number in 0..BATCHES_MAX / TASKS {
        let mut record = row(1);
        record.request_id = format!("{name}-{number}");
        let batch = Batch(vec![
            append(&record),
            Write::CountUse(usage_key(1, "d")),
            append(&record),
        ]);
        store.commit(&batch).await.unwrap();
        let line = format!("acknowledged {}\n", record.request_id);
        // The parent is gone: nobody will kill this process any more.
        if std::io::stdout().write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// The child. As an ordinary test it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_is_killed() {
    let Some(path) = env::var_os(DATABASE) else {
        return;
    };
    let store = store(Path::new(&path));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let name = format!("{}-{task}", std::process::id());
        tasks.spawn(write(Arc::clone(&store), name));
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dan.db");
    let mut acknowledged = BTreeSet::new();
    for round in 1..=ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_one_that_is_killed", "--nocapture"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let names = lines.map_while(Result::ok).filter_map(|line| {
            let name = line.strip_prefix("acknowledged ")?;
            Some(name.to_owned())
        });
        acknowledged.extend(names.take(ACKNOWLEDGED));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acknowledged.len(), round * ACKNOWLEDGED);

        let store = store(&path);
        let verified = holds(&store).await;
        let rows = store.audit(1, u32::MAX).await.unwrap();
        assert_eq!(u64::try_from(rows.len()).unwrap(), verified.rows);
        for pair in rows.chunks(2) {
            assert_eq!(pair[0].record, pair[1].record, "half of a batch");
        }
        let kept: BTreeSet<_> = rows.into_iter().map(|row| row.record.request_id).collect();
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let counted = store.usage(1, 1).await.unwrap()[0].count;
        assert_eq!(counted * 2, verified.rows);
    }
}
