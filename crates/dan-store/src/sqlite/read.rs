//! The readers: a few connections that only read, and the queries.
//!
//! A query is one statement, so that it sees one state of the database, and with it whole batches.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dan_core::accreditation::{Accreditation, AccreditationId};
use dan_core::party::OrgNumber;
use dan_core::ports::{
    AccreditationFilter, ApiKeyRecord, IdempotencyRecord, KeyUse, ProofRecord, StoreError, Stored,
    StoredAudit,
};
use dan_core::time::Timestamp;
use dan_core::usage::{UsageKey, UsageRow};
use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use tokio::sync::Semaphore;

use super::{connect_reader, store_error};
use crate::record::{
    AuditRow, decode_accreditation, decode_api_key, decode_audit, decode_idempotency, decode_proof,
    idempotency_id,
};
use crate::seal::Sealer;

/// Connections that read at once.
const READERS_MAX: usize = 4;
/// Reads that may be running or waiting; further ones are refused.
const READS_MAX: usize = 1024;

/// Behind the place `(last_changed, id)`; an empty identifier is in front of every other.
const LIST: &str = "SELECT id, revision, body FROM accreditation \
                    WHERE owner = ?1 AND context = ?2 AND (last_changed, id) > (?3, ?4) \
                    ORDER BY last_changed, id LIMIT ?5";
const ENDED: &str = "SELECT id, revision, body FROM accreditation \
                     WHERE valid_to < ?1 ORDER BY valid_to, id LIMIT ?2";

/// Connections that only read, opened when they are first needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    running: Arc<Semaphore>,
    places: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
            running: Arc::new(Semaphore::new(READERS_MAX)),
            places: Semaphore::new(READS_MAX),
        }
    }

    /// Runs a query on a thread that may block. When the future is dropped, the query runs to its
    /// end unseen, and keeps its connection until then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when too many wait or no connection can be had; else what the
    /// query answers.
    pub(super) async fn run<T, F>(self: &Arc<Self>, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let _place = self.places.try_acquire().map_err(|_full| {
            StoreError::Unavailable(format!("more than {READS_MAX} reads at once"))
        })?;
        let permit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))?;
        let readers = Arc::clone(self);
        let read = move || {
            let result = readers.with_connection(query);
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|died| StoreError::Unavailable(died.to_string()))?
    }

    fn with_connection<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect_reader(&self.path).map_err(|error| store_error(&error))?,
        };
        let result = query(&connection);
        // One that failed may be broken; the next read opens another.
        if !matches!(result, Err(StoreError::Unavailable(_))) {
            self.idle().push(connection);
        }
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn accreditation(
    connection: &Connection,
    id: &AccreditationId,
    sealer: &Sealer,
) -> Result<Option<Stored<Accreditation>>, StoreError> {
    let sql = "SELECT id, revision, body FROM accreditation WHERE id = ?1";
    one(connection, sql, [id.as_str()], grant_row)?
        .map(|row| row.read(sealer))
        .transpose()
}

pub(super) fn accreditations(
    connection: &Connection,
    filter: &AccreditationFilter,
    sealer: &Sealer,
) -> Result<Vec<Stored<Accreditation>>, StoreError> {
    let Some((last_changed, id)) = start(filter) else {
        return Ok(Vec::new());
    };
    let values = (
        filter.owner.as_str(),
        &filter.context,
        last_changed,
        id,
        filter.count_max,
    );
    let rows = many(connection, LIST, values, grant_row)?;
    rows.into_iter().map(|row| row.read(sealer)).collect()
}

/// The place that a list starts behind, `None` where nothing can be behind it. Both bounds of the
/// filter are one, and the later one holds, so that the index is entered where the list starts.
fn start(filter: &AccreditationFilter) -> Option<(i64, &str)> {
    let changed = match filter.changed_after {
        None => i64::MIN,
        Some(after) => after.as_ms().checked_add(1)?,
    };
    let place = filter.after.as_ref();
    let place = place.map(|place| (place.last_changed.as_ms(), place.id.as_str()));
    Some((changed, "").max(place.unwrap_or((i64::MIN, ""))))
}

pub(super) fn ended(
    connection: &Connection,
    before: Timestamp,
    count_max: u32,
    sealer: &Sealer,
) -> Result<Vec<Stored<Accreditation>>, StoreError> {
    let rows = many(connection, ENDED, (before.as_ms(), count_max), grant_row)?;
    rows.into_iter().map(|row| row.read(sealer)).collect()
}

pub(super) fn idempotency(
    connection: &Connection,
    owner: OrgNumber,
    key_digest: &[u8; 32],
    sealer: &Sealer,
) -> Result<Option<IdempotencyRecord>, StoreError> {
    let sql = "SELECT body FROM idempotency WHERE id = ?1";
    let id = idempotency_id(owner, key_digest, sealer);
    one(connection, sql, [id], |row| row.get::<_, String>(0))?
        .map(|body| decode_idempotency(owner, key_digest, &body, sealer))
        .transpose()
}

pub(super) fn proof(
    connection: &Connection,
    id: &str,
    sealer: &Sealer,
) -> Result<Option<ProofRecord>, StoreError> {
    let sql = "SELECT body FROM proof WHERE id = ?1";
    one(connection, sql, [id], |row| row.get::<_, String>(0))?
        .map(|body| decode_proof(id, &body, sealer))
        .transpose()
}

pub(super) fn api_key(
    connection: &Connection,
    id: &str,
) -> Result<Option<ApiKeyRecord>, StoreError> {
    let sql = "SELECT id, body FROM api_key WHERE id = ?1";
    one(connection, sql, [id], key_row)?
        .map(|(id, body)| decode_api_key(&id, &body))
        .transpose()
}

pub(super) fn api_keys(connection: &Connection) -> Result<Vec<ApiKeyRecord>, StoreError> {
    let sql = "SELECT id, body FROM api_key ORDER BY created, id";
    let rows = many(connection, sql, [], key_row)?;
    rows.into_iter()
        .map(|(id, body)| decode_api_key(&id, &body))
        .collect()
}

pub(super) fn key_uses(
    connection: &Connection,
    id: Option<&str>,
) -> Result<Vec<KeyUse>, StoreError> {
    let sql = "SELECT key_id, last_used, day, count FROM key_use \
               WHERE ?1 IS NULL OR key_id = ?1 ORDER BY key_id";
    many(connection, sql, [id], |row| {
        Ok(KeyUse {
            key_id: row.get(0)?,
            last_used: Timestamp::from_ms(row.get(1)?),
            day: row.get(2)?,
            count: unsigned(row, 3)?,
        })
    })
}

pub(super) fn usage(
    connection: &Connection,
    first: i32,
    last: i32,
) -> Result<Vec<UsageRow>, StoreError> {
    let sql = "SELECT month, context, dataset, owner, count FROM usage \
               WHERE month BETWEEN ?1 AND ?2 ORDER BY month, context, dataset, owner";
    many(connection, sql, [first, last], |row| {
        Ok(UsageRow {
            key: UsageKey {
                month: row.get(0)?,
                context: row.get(1)?,
                dataset: row.get(2)?,
                owner: row.get(3)?,
            },
            count: unsigned(row, 4)?,
        })
    })
}

pub(super) fn audit(
    connection: &Connection,
    first: u64,
    count_max: u32,
    sealer: &Sealer,
) -> Result<Vec<StoredAudit>, StoreError> {
    let first = first.max(1);
    // The row before the first gives the link that the first must follow from.
    let Ok(before) = i64::try_from(first.saturating_sub(1)) else {
        return Ok(Vec::new());
    };
    let sql = "SELECT sequence, body, link FROM audit WHERE sequence >= ?1 \
               ORDER BY sequence LIMIT ?2";
    let limit = i64::from(count_max).saturating_add(i64::from(before > 0));
    let mut rows = many(connection, sql, [before, limit], |row| {
        Ok(AuditRow {
            sequence: unsigned(row, 0)?,
            text: row.get(1)?,
            link: row.get(2)?,
        })
    })?;
    let mut previous = [0; 32];
    if before > 0
        && let Some(row) = rows.first()
    {
        if row.sequence != before.unsigned_abs() {
            return Err(StoreError::Corrupt(format!("audit row {before}: missing")));
        }
        previous = row.link;
        rows.remove(0);
    }
    decode_audit(first, previous, rows, sealer)
}

struct GrantRow {
    id: String,
    revision: u64,
    body: String,
}

impl GrantRow {
    fn read(self, sealer: &Sealer) -> Result<Stored<Accreditation>, StoreError> {
        Ok(Stored {
            value: decode_accreditation(&self.id, &self.body, sealer)?,
            revision: self.revision,
        })
    }
}

fn grant_row(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    Ok(GrantRow {
        id: row.get(0)?,
        revision: unsigned(row, 1)?,
        body: row.get(2)?,
    })
}

fn key_row(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number)
        .map_err(|_negative| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(values, read).optional())
        .map_err(|error| store_error(&error))
}

fn many<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(values, read)?.collect())
        .map_err(|error| store_error(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema;

    /// What SQLite says it will do, a line for each step.
    fn plan(sql: &str) -> Vec<String> {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, schema::MIGRATIONS).unwrap();
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        steps
    }

    #[test]
    fn lists_are_read_from_an_index_in_its_order() {
        for (sql, expected) in [
            (
                LIST,
                "INDEX accreditation_list (owner=? AND context=? AND (last_changed,id)>(?,?))",
            ),
            (ENDED, "INDEX accreditation_ended (valid_to<?)"),
        ] {
            let steps = plan(sql);
            assert_eq!(steps.len(), 1, "sorted on the way: {steps:?}");
            assert!(steps[0].ends_with(expected), "{steps:?}");
        }
    }
}
