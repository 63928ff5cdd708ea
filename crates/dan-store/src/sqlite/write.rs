//! The one writer: a thread that takes everything that waits and commits it together.
//!
//! Each batch runs in a savepoint, so that a conflict undoes that batch alone; the transaction is
//! committed once for all of them, and only then does anybody get an answer. One commit costs the
//! same for one batch as for a hundred.

use std::io;
use std::thread::{self, JoinHandle};

use dan_core::audit::link;
use dan_core::ports::{ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, StoreError, Write};
use dan_core::time::Timestamp;
use dan_core::usage::UsageKey;
use rusqlite::{Connection, OptionalExtension as _, Params, params};
use tokio::sync::{mpsc, oneshot};

use super::{read, store_error};
use crate::record::{
    encode_accreditation, encode_api_key, encode_audit, encode_idempotency, encode_proof,
    idempotency_id,
};
use crate::seal::Sealer;

/// Batches that may wait; one more waits outside for [`super::WRITE_WAIT_MAX`].
const QUEUE_MAX: usize = 1024;
/// Batches that are committed together.
const GROUP_MAX: usize = 256;
/// Steps of one batch; the flows need some hundreds at most.
const STEPS_MAX: usize = 4096;

/// One step, ready to be bound: encoding and sealing are done before the queue.
enum Step {
    PutGrant {
        id: String,
        expect: u64,
        owner: String,
        context: String,
        last_changed: i64,
        body: String,
    },
    DeleteGrant {
        id: String,
        expect: u64,
    },
    Append(String),
    Count(UsageKey),
    PutKey {
        id: String,
        created: i64,
        body: String,
        expect: Option<Box<ApiKeyRecord>>,
    },
    Use(KeyUse),
    Remember {
        id: String,
        now: i64,
        expires: i64,
        body: String,
    },
    Forget {
        before: i64,
    },
    KeepProof {
        id: String,
        expires: i64,
        body: String,
        count_max: u32,
    },
    ForgetProofs {
        before: i64,
    },
    Probe,
}

/// The steps of one batch, and where the answer goes.
pub(super) struct Job {
    steps: Vec<Step>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

/// Where the answer to a job comes.
pub(super) type Answer = oneshot::Receiver<Result<(), StoreError>>;

impl Job {
    /// Encodes and seals a batch.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is too large or cannot be sealed.
    pub(super) fn of(batch: &Batch, sealer: &Sealer) -> Result<(Self, Answer), StoreError> {
        if batch.0.len() > STEPS_MAX {
            return Err(StoreError::Unavailable(format!(
                "a batch of more than {STEPS_MAX} steps"
            )));
        }
        let steps = batch.0.iter().map(|write| Step::of(write, sealer));
        Ok(Self::with(steps.collect::<Result<_, _>>()?))
    }

    /// A write that changes nothing anybody reads.
    pub(super) fn probe() -> (Self, Answer) {
        Self::with(vec![Step::Probe])
    }

    fn with(steps: Vec<Step>) -> (Self, Answer) {
        let (answer, receiver) = oneshot::channel();
        (Self { steps, answer }, receiver)
    }

    /// Whoever asked may have given up waiting; then nobody needs to know.
    fn answer(self, result: Result<(), StoreError>) {
        self.answer.send(result).unwrap_or_default();
    }
}

impl Step {
    fn of(write: &Write, sealer: &Sealer) -> Result<Self, StoreError> {
        Ok(match write {
            Write::PutAccreditation { value, expect } => Self::PutGrant {
                id: value.id.as_str().to_owned(),
                expect: *expect,
                owner: value.owner.as_str().to_owned(),
                context: value.context.clone(),
                last_changed: value.last_changed.as_ms(),
                body: encode_accreditation(value, sealer)?,
            },
            Write::DeleteAccreditation { id, expect } => Self::DeleteGrant {
                id: id.as_str().to_owned(),
                expect: *expect,
            },
            Write::AppendAudit(record) => Self::Append(encode_audit(record, sealer)?),
            Write::CountUse(key) => Self::Count(key.clone()),
            Write::PutApiKey { value, expect } => Self::PutKey {
                id: value.id.clone(),
                created: value.created.as_ms(),
                body: encode_api_key(value)?,
                expect: expect.clone(),
            },
            Write::CountKeyUse(used) => Self::Use(used.clone()),
            Write::PutIdempotency { value, now } => Self::remember(value, *now, sealer)?,
            Write::ForgetIdempotency(before) => Self::Forget {
                before: before.as_ms(),
            },
            Write::KeepProof { value, count_max } => Self::KeepProof {
                id: value.id.clone(),
                expires: value.expires.as_ms(),
                body: encode_proof(value, sealer)?,
                count_max: *count_max,
            },
            Write::ForgetProofs(before) => Self::ForgetProofs {
                before: before.as_ms(),
            },
        })
    }

    fn remember(
        value: &IdempotencyRecord,
        now: Timestamp,
        sealer: &Sealer,
    ) -> Result<Self, StoreError> {
        let id = idempotency_id(value.owner, &value.key_digest, sealer);
        Ok(Self::Remember {
            now: now.as_ms(),
            expires: value.expires.as_ms(),
            body: encode_idempotency(&id, value, sealer)?,
            id,
        })
    }
}

/// The end of the audit trail.
#[derive(Clone, Copy)]
struct Head {
    sequence: i64,
    link: [u8; 32],
}

const PUT_KEY: &str = "INSERT INTO api_key (id, created, body) VALUES (?1, ?2, ?3) \
     ON CONFLICT DO UPDATE SET created = excluded.created, body = excluded.body";
const USE: &str = "INSERT INTO key_use (key_id, last_used, day, count) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT DO UPDATE SET \
     last_used = CASE WHEN day > excluded.day + 1 THEN excluded.last_used \
     ELSE max(last_used, excluded.last_used) END, \
     count = CASE WHEN day = excluded.day THEN count + excluded.count \
     WHEN day = excluded.day + 1 THEN count ELSE excluded.count END, \
     day = CASE WHEN day = excluded.day + 1 THEN day ELSE excluded.day END";
const REMEMBER: &str = "INSERT INTO idempotency (id, expires, body) VALUES (?1, ?2, ?3) \
     ON CONFLICT DO UPDATE SET expires = excluded.expires, body = excluded.body \
     WHERE idempotency.expires <= ?4";
const FORGET: &str = "DELETE FROM idempotency WHERE expires < ?1";
const KEEP_PROOF: &str =
    "INSERT INTO proof (id, expires, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const FORGET_PROOFS: &str = "DELETE FROM proof WHERE expires < ?1";
const PROBE: &str = "INSERT INTO meta (name, value) VALUES ('probe', hex(randomblob(8))) \
     ON CONFLICT DO UPDATE SET value = excluded.value";

struct Writer {
    connection: Connection,
    jobs: mpsc::Receiver<Job>,
    head: Head,
    /// What SQLite said last; another number means that another process has written.
    data_version: i64,
}

/// Starts the writer. It ends, with everything written, when the sender is gone.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(connection: Connection) -> io::Result<(mpsc::Sender<Job>, JoinHandle<()>)> {
    let (sender, jobs) = mpsc::channel(QUEUE_MAX);
    let writer = Writer {
        connection,
        jobs,
        head: Head {
            sequence: 0,
            link: [0; 32],
        },
        // No version is negative: the head is read with the first transaction.
        data_version: -1,
    };
    let thread = thread::Builder::new()
        .name("dan-store-writer".to_owned())
        .spawn(move || writer.run())?;
    Ok((sender, thread))
}

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            match self.begin() {
                Ok(()) => self.group(first),
                Err(error) => self.refuse_all(first, &error),
            }
        }
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        execute(&self.connection, "BEGIN IMMEDIATE", [])?;
        self.catch_up().inspect_err(|_error| self.roll_back())
    }

    /// A tool beside this node may have appended rows since.
    fn catch_up(&mut self) -> rusqlite::Result<()> {
        let version = self
            .connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if version != self.data_version {
            self.head = read_head(&self.connection)?;
            self.data_version = version;
        }
        Ok(())
    }

    /// Everybody who waits while the database is locked or broken gets the answer now, instead of
    /// one after the other after a time-out each.
    fn refuse_all(&mut self, first: Job, error: &rusqlite::Error) {
        let error = store_error(error);
        let mut next = Some(first);
        for _ in 0..=QUEUE_MAX {
            let Some(job) = next else { return };
            job.answer(Err(error.clone()));
            next = self.jobs.try_recv().ok();
        }
        if let Some(job) = next {
            job.answer(Err(error));
        }
    }

    fn group(&mut self, first: Job) {
        let before = self.head;
        let mut done = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            let result = self.batch(&job.steps);
            done.push((job, result));
            // Full disks and the like end the transaction; then nothing of it can be kept.
            next = if self.connection.is_autocommit() || done.len() >= GROUP_MAX {
                None
            } else {
                self.jobs.try_recv().ok()
            };
        }
        match self.finish() {
            Ok(()) => {
                for (job, result) in done {
                    job.answer(result);
                }
            }
            Err(error) => {
                self.head = before;
                for (job, result) in done {
                    // What was a conflict may be none now that the others are undone.
                    job.answer(match result {
                        Err(StoreError::Unavailable(_)) => result,
                        Ok(()) | Err(_) => Err(store_error(&error)),
                    });
                }
            }
        }
    }

    fn finish(&self) -> rusqlite::Result<()> {
        // Fails as it must where SQLite has ended the transaction by itself.
        execute(&self.connection, "COMMIT", [])
            .map(|_rows| ())
            .inspect_err(|_error| self.roll_back())
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = execute(&self.connection, "ROLLBACK", [])
        {
            tracing::error!(%error, "a transaction cannot be rolled back");
        }
    }

    fn batch(&mut self, steps: &[Step]) -> Result<(), StoreError> {
        let before = self.head;
        let result = execute(&self.connection, "SAVEPOINT batch", [])
            .map_err(|error| store_error(&error))
            .and_then(|_rows| steps.iter().try_for_each(|step| self.step(step)));
        if result.is_err() {
            self.head = before;
            if self.connection.is_autocommit() {
                return result;
            }
            execute(&self.connection, "ROLLBACK TO batch", [])
                .map_err(|error| store_error(&error))?;
        }
        execute(&self.connection, "RELEASE batch", []).map_err(|error| store_error(&error))?;
        result
    }

    fn step(&mut self, step: &Step) -> Result<(), StoreError> {
        let connection = &self.connection;
        let rows = match step {
            Step::PutGrant {
                id,
                expect,
                owner,
                context,
                last_changed,
                body,
            } => put_grant(
                connection,
                *expect,
                params![id, revision(*expect)?, owner, context, last_changed, body],
            ),
            Step::DeleteGrant { id, expect } => execute(
                connection,
                "DELETE FROM accreditation WHERE id = ?1 AND revision = ?2",
                params![id, revision(*expect)?],
            ),
            Step::Append(body) => self.append(body),
            Step::Count(key) => execute(
                connection,
                "INSERT INTO usage (month, context, dataset, owner, count) \
                 VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                params![key.month, key.context, key.dataset, key.owner],
            ),
            Step::PutKey {
                id,
                created,
                body,
                expect,
            } => {
                if read::api_key(connection, id)?.as_ref() != expect.as_deref() {
                    return Err(StoreError::Conflict);
                }
                execute(connection, PUT_KEY, params![id, created, body])
            }
            Step::Use(used) => {
                let (last_used, day) = (used.last_used.as_ms(), used.day);
                let count = i64::try_from(used.count).unwrap_or(i64::MAX);
                execute(connection, USE, params![used.key_id, last_used, day, count])
            }
            Step::Remember {
                id,
                now,
                expires,
                body,
            } => execute(connection, REMEMBER, params![id, expires, body, now]),
            Step::Forget { before } => forget(connection, FORGET, *before),
            Step::KeepProof {
                id,
                expires,
                body,
                count_max,
            } => keep_proof(connection, *count_max, params![id, expires, body]),
            Step::ForgetProofs { before } => forget(connection, FORGET_PROOFS, *before),
            Step::Probe => execute(connection, PROBE, []),
        }
        .map_err(|error| store_error(&error))?;
        // Every step changes one row; a grant that was not there, or not as expected, none, and so
        // does an application that is remembered already.
        if rows == 1 {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }

    fn append(&mut self, body: &str) -> rusqlite::Result<usize> {
        let next = Head {
            sequence: self.head.sequence.saturating_add(1),
            link: link(&self.head.link, body.as_bytes()),
        };
        let rows = execute(
            &self.connection,
            "INSERT INTO audit (sequence, body, link) VALUES (?1, ?2, ?3)",
            params![next.sequence, body, next.link],
        )?;
        self.head = next;
        Ok(rows)
    }
}

fn put_grant(connection: &Connection, expect: u64, values: impl Params) -> rusqlite::Result<usize> {
    let sql = if expect == 0 {
        "INSERT INTO accreditation (id, revision, owner, context, last_changed, body) \
         VALUES (?1, ?2 + 1, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE accreditation SET revision = revision + 1, owner = ?3, context = ?4, \
         last_changed = ?5, body = ?6 WHERE id = ?1 AND revision = ?2"
    };
    execute(connection, sql, values)
}

/// However many there were, it is one step that was done.
fn forget(connection: &Connection, sql: &str, before: i64) -> rusqlite::Result<usize> {
    execute(connection, sql, [before]).map(|_rows| 1)
}

/// Keeps one, and only the last `count_max` of all there ever were.
fn keep_proof(
    connection: &Connection,
    count_max: u32,
    values: impl Params,
) -> rusqlite::Result<usize> {
    let rows = execute(connection, KEEP_PROOF, values)?;
    if rows == 1 {
        let gone = connection
            .last_insert_rowid()
            .saturating_sub(i64::from(count_max.max(1)));
        execute(connection, "DELETE FROM proof WHERE sequence <= ?1", [gone])?;
    }
    Ok(rows)
}

fn execute(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(values)
}

/// A revision that SQLite cannot hold is none that it has.
fn revision(expect: u64) -> Result<i64, StoreError> {
    i64::try_from(expect).map_err(|_too_large| StoreError::Conflict)
}

fn read_head(connection: &Connection) -> rusqlite::Result<Head> {
    let last = connection
        .prepare_cached("SELECT sequence, link FROM audit ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Head {
                sequence: row.get(0)?,
                link: row.get(1)?,
            })
        })
        .optional()?;
    Ok(last.unwrap_or(Head {
        sequence: 0,
        link: [0; 32],
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{SqliteStore, connect_reader, connect_writer, read};
    use super::*;
    use crate::{Access, Durability};
    use dan_core::testkit::store_suite;

    /// A batch of some 20 kB with one audit row.
    fn large(seed: u8) -> Batch {
        let mut key = store_suite::key(seed);
        key.name = "x".repeat(20_000);
        Batch(vec![
            store_suite::append(&store_suite::row(seed)),
            Write::new_api_key(key),
        ])
    }

    #[tokio::test]
    async fn a_full_disk_takes_what_fits_and_recovers_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dan.db");
        let sealer = || Sealer::new(&[7; 32]);
        drop(SqliteStore::open(&path, sealer(), Durability::Process, Access::Node).unwrap());
        let connection = connect_writer(&path, Durability::Process).unwrap();
        connection
            .pragma_update_and_check(None, "max_page_count", 60, |_row| Ok(()))
            .unwrap();
        let (jobs, thread) = start(connection).unwrap();
        let mut answers = Vec::new();
        for seed in 1..=20 {
            let (job, answer) = Job::of(&large(seed), &sealer()).unwrap();
            jobs.send(job).await.unwrap();
            answers.push(answer);
        }
        let mut written = Vec::new();
        let mut refused = 0;
        for (seed, answer) in (1..).zip(answers) {
            match answer.await.unwrap() {
                Ok(()) => written.push(store_suite::row(seed)),
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(!written.is_empty() && refused > 0, "{refused} refused");

        let other = connect_writer(&path, Durability::Process).unwrap();
        other.execute("DELETE FROM api_key", []).unwrap();
        let (job, answer) = Job::of(&large(21), &sealer()).unwrap();
        jobs.send(job).await.unwrap();
        assert_eq!(answer.await.unwrap(), Ok(()));
        written.push(store_suite::row(21));
        drop(jobs);
        thread.join().unwrap();
        let reader = connect_reader(&path).unwrap();
        let rows = read::audit(&reader, 1, 100, &sealer()).unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| row.record).collect();
        assert_eq!(rows, written);
    }
}
