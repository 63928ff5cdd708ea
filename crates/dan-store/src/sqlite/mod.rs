//! [`SqliteStore`]: one file, one writer thread, a few readers.
//!
//! Who may open the file: one node, which holds the lock file `PATH.lock` for as long as it lives,
//! and tools beside it (`Access::Tool`), which do not. The system frees the lock when a node dies,
//! however it dies; the lock file itself stays, since deleting it would race. SQLite's own locks
//! keep writes apart, and the writer looks before each transaction whether somebody else has
//! appended to the audit trail. All of this needs a local file system.

mod read;
mod schema;
mod trail;
#[cfg(test)]
mod upgrade_tests;
mod write;

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use dan_core::accreditation::{Accreditation, AccreditationId};
use dan_core::audit::TrailHead;
use dan_core::party::OrgNumber;
use dan_core::ports::{
    AboutFilter, AccreditationFilter, ApiKeyRecord, Batch, IdempotencyRecord, KeyUse, PortFuture,
    ProofRecord, Store, StoreError, Stored, StoredAudit, TrailRow,
};
use dan_core::time::Timestamp;
use dan_core::usage::UsageRow;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use tokio::sync::mpsc::{self, error::SendTimeoutError, error::TrySendError};

use crate::seal::Sealer;
use crate::{Access, Durability, OpenError};
use read::Readers;
use write::Job;

/// Longest wait for the lock of another process (`security.md` §7 F14).
const BUSY_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a place in the writer's queue.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Prepared statements kept by a connection; there are fewer.
const STATEMENTS_MAX: usize = 32;
/// Size a write-ahead log is cut back to, in bytes.
const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// State in one SQLite file.
pub(crate) struct SqliteStore {
    sealer: Arc<Sealer>,
    readers: Arc<Readers>,
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Freed last.
    _claim: Option<File>,
}

impl SqliteStore {
    /// Opens the database, makes it where there is none and it may, and brings it up to date.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open(
        path: &Path,
        sealer: Sealer,
        durability: Durability,
        access: Access,
    ) -> Result<Self, OpenError> {
        let claim = match access {
            Access::Node => Some(claim(path)?),
            Access::Tool | Access::Reader => None,
        };
        if access != Access::Reader {
            create(path)?;
        } else if !path.try_exists().map_err(|error| no_file(path, &error))? {
            return Err(OpenError::Missing(path.to_owned()));
        }
        let mut connection =
            connect_writer(path, durability).map_err(|error| file_error(path, &error))?;
        schema::migrate(&mut connection, schema::MIGRATIONS)
            .map_err(|error| schema::open_error(path, error))?;
        match schema::key_fits(&connection, &sealer) {
            Ok(true) => {}
            Ok(false) => return Err(OpenError::KeyWrong(path.to_owned())),
            Err(StoreError::Unavailable(cause) | StoreError::Corrupt(cause)) => {
                return Err(file(path, cause));
            }
            Err(StoreError::Conflict) => return Err(OpenError::KeyWrong(path.to_owned())),
        }
        let (jobs, writer) =
            write::start(connection).map_err(|error| file(path, error.to_string()))?;
        Ok(Self {
            sealer: Arc::new(sealer),
            readers: Arc::new(Readers::new(path.to_owned())),
            jobs: Some(jobs),
            writer: Some(writer),
            _claim: claim,
        })
    }

    async fn write(&self, (job, answer): (Job, write::Answer)) -> Result<(), StoreError> {
        let gone = || StoreError::Unavailable("the writer has ended".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(gone()),
            Err(TrySendError::Full(job)) => match jobs.send_timeout(job, WRITE_WAIT_MAX).await {
                Ok(()) => {}
                Err(SendTimeoutError::Closed(_)) => return Err(gone()),
                Err(SendTimeoutError::Timeout(_)) => {
                    return Err(StoreError::Unavailable(
                        "too many writes are waiting".to_owned(),
                    ));
                }
            },
        }
        answer.await.map_err(|_dropped| gone())?
    }
}

impl Drop for SqliteStore {
    /// Waits for what was handed over, so that whoever opens the file next finds it whole.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer had died");
        }
    }
}

impl Store for SqliteStore {
    fn accreditation<'a>(
        &'a self,
        id: &'a AccreditationId,
    ) -> PortFuture<'a, Result<Option<Stored<Accreditation>>, StoreError>> {
        let (id, sealer) = (id.clone(), Arc::clone(&self.sealer));
        let query = move |connection: &Connection| read::accreditation(connection, &id, &sealer);
        Box::pin(self.readers.run(query))
    }

    fn accreditations<'a>(
        &'a self,
        filter: &'a AccreditationFilter,
    ) -> PortFuture<'a, Result<Vec<Stored<Accreditation>>, StoreError>> {
        let (filter, sealer) = (filter.clone(), Arc::clone(&self.sealer));
        let query =
            move |connection: &Connection| read::accreditations(connection, &filter, &sealer);
        Box::pin(self.readers.run(query))
    }

    fn ended(
        &self,
        before: Timestamp,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<Stored<Accreditation>>, StoreError>> {
        let sealer = Arc::clone(&self.sealer);
        let query =
            move |connection: &Connection| read::ended(connection, before, count_max, &sealer);
        Box::pin(self.readers.run(query))
    }

    fn idempotency<'a>(
        &'a self,
        owner: OrgNumber,
        key_digest: &'a [u8; 32],
    ) -> PortFuture<'a, Result<Option<IdempotencyRecord>, StoreError>> {
        let (key, sealer) = (*key_digest, Arc::clone(&self.sealer));
        let query =
            move |connection: &Connection| read::idempotency(connection, owner, &key, &sealer);
        Box::pin(self.readers.run(query))
    }

    fn proof<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<Option<ProofRecord>, StoreError>> {
        let (id, sealer) = (id.to_owned(), Arc::clone(&self.sealer));
        let query = move |connection: &Connection| read::proof(connection, &id, &sealer);
        Box::pin(self.readers.run(query))
    }

    fn api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        let id = id.to_owned();
        let query = move |connection: &Connection| read::api_key(connection, &id);
        Box::pin(self.readers.run(query))
    }

    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(self.readers.run(read::api_keys))
    }

    fn key_uses<'a>(
        &'a self,
        id: Option<&'a str>,
    ) -> PortFuture<'a, Result<Vec<KeyUse>, StoreError>> {
        let id = id.map(str::to_owned);
        let query = move |connection: &Connection| read::key_uses(connection, id.as_deref());
        Box::pin(self.readers.run(query))
    }

    fn usage(&self, first: i32, last: i32) -> PortFuture<'_, Result<Vec<UsageRow>, StoreError>> {
        let query = move |connection: &Connection| read::usage(connection, first, last);
        Box::pin(self.readers.run(query))
    }

    fn audit(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<StoredAudit>, StoreError>> {
        let sealer = Arc::clone(&self.sealer);
        let query =
            move |connection: &Connection| read::audit(connection, first, count_max, &sealer);
        Box::pin(self.readers.run(query))
    }

    fn trail(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<TrailRow>, StoreError>> {
        let query = move |connection: &Connection| trail::trail(connection, first, count_max);
        Box::pin(self.readers.run(query))
    }

    fn links(
        &self,
        first: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        let query = move |connection: &Connection| trail::links(connection, first, count_max);
        Box::pin(self.readers.run(query))
    }

    fn heads(
        &self,
        after: u64,
        count_max: u32,
    ) -> PortFuture<'_, Result<Vec<TrailHead>, StoreError>> {
        let query = move |connection: &Connection| trail::heads(connection, after, count_max);
        Box::pin(self.readers.run(query))
    }

    fn newest_head(&self) -> PortFuture<'_, Result<Option<TrailHead>, StoreError>> {
        Box::pin(self.readers.run(trail::newest_head))
    }

    fn about<'a>(
        &'a self,
        filter: &'a AboutFilter,
    ) -> PortFuture<'a, Result<Vec<StoredAudit>, StoreError>> {
        let (filter, sealer) = (filter.clone(), Arc::clone(&self.sealer));
        let query = move |connection: &Connection| trail::about(connection, &filter, &sealer);
        Box::pin(self.readers.run(query))
    }

    /// Writes, since that is the only way to find out.
    fn ready(&self) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(Job::probe()))
    }

    fn commit<'a>(&'a self, batch: &'a Batch) -> PortFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.write(Job::of(batch, &self.sealer)?).await })
    }
}

/// Claims the database for this node.
fn claim(path: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let name = PathBuf::from(name);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| no_file(path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(file(&name, error.to_string())),
    }
}

/// Makes the file where there is none, for its owner only. An existing one is not opened: closing
/// it again would free the locks that SQLite holds on it in this process.
fn create(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_created) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(no_file(path, &error)),
    }
}

fn connect_writer(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| {
        let mode: String = row.get(0)?;
        if mode.eq_ignore_ascii_case("wal") {
            Ok(())
        } else {
            Err(Error::InvalidColumnName(format!(
                "journal_mode is {mode}: the file system has no shared memory"
            )))
        }
    })?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_MAX, |_row| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// No URI flag: a path is a path.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// What SQLite said, for the port. Its texts hold names of tables, never values.
fn store_error(error: &Error) -> StoreError {
    let damaged = matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
    ) || matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    );
    if damaged {
        StoreError::Corrupt(error.to_string())
    } else {
        StoreError::Unavailable(error.to_string())
    }
}

fn file_error(path: &Path, error: &Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs(path.to_owned()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => file(
            path,
            "another process keeps the database locked; end it and try again".to_owned(),
        ),
        Some(ErrorCode::ReadOnly) => file(
            path,
            "the database is not writable; give this user write access to it and its folder"
                .to_owned(),
        ),
        _ => file(path, error.to_string()),
    }
}

fn no_file(path: &Path, error: &io::Error) -> OpenError {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        return file(
            folder,
            "there is no such folder; make it, or change store.url".to_owned(),
        );
    }
    file(path, error.to_string())
}

fn file(path: &Path, cause: String) -> OpenError {
    OpenError::File {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(durability: Durability) -> (Arc<dyn Store>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dan.db");
        let sealer = Sealer::new(&[7; 32]);
        let store = SqliteStore::open(&path, sealer, durability, Access::Node).unwrap();
        (Arc::new(store), folder)
    }

    dan_core::store_conformance!(conformance, async { store(Durability::Process) });
    dan_core::store_conformance!(conformance_power, async { store(Durability::Power) });
}
