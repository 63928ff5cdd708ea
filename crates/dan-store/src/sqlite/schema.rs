//! Brings a database up to date, forward only, and refuses what it does not know.
//!
//! A migration is never edited once it is out: its checksum is kept, and another one is refused.

use dan_core::ports::StoreError;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use super::store_error;
use crate::OpenError;
use crate::seal::{Place, Sealer};

/// One step of the schema.
pub(super) struct Migration {
    /// From 1, without gaps.
    pub(super) version: u32,
    /// Statements, run in one transaction.
    pub(super) sql: &'static str,
}

/// Every step so far, in order.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("migrations/0001_first.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("migrations/0002_ended_and_idempotency.sql"),
    },
    Migration {
        version: 3,
        sql: include_str!("migrations/0003_key_use.sql"),
    },
    Migration {
        version: 4,
        sql: include_str!("migrations/0004_proof.sql"),
    },
];

impl Migration {
    /// SHA-256 of the statements; line ends of another system do not make another migration.
    fn checksum(&self) -> [u8; 32] {
        Sha256::digest(self.sql.replace('\r', "")).into()
    }
}

/// Why the schema is not what this program needs.
#[derive(Debug)]
pub(super) enum SchemaError {
    /// A database of something else.
    NotOurs,
    /// Written by a newer program.
    Newer { found: u32, known: u32 },
    /// An applied migration differs.
    Diverged { version: u32 },
    /// SQLite refused.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Applies the migrations that are missing, all or none, and returns the version there is then.
///
/// # Errors
/// [`SchemaError`]; the database is as it was.
pub(super) fn migrate(
    connection: &mut Connection,
    migrations: &[Migration],
) -> Result<(), SchemaError> {
    // Nothing is locked when there is nothing to do, so that a tool opens beside a busy node.
    if pending(connection, migrations)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (
             version INTEGER NOT NULL PRIMARY KEY,
             checksum BLOB NOT NULL
         ) STRICT",
    )?;
    // Asked again: another process may have been faster.
    for migration in pending(&transaction, migrations)? {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO schema_version (version, checksum) VALUES (?1, ?2)",
            params![migration.version, migration.checksum()],
        )?;
        tracing::info!(version = migration.version, "database schema brought up to");
    }
    transaction.commit()?;
    Ok(())
}

fn pending<'a>(
    connection: &Connection,
    migrations: &'a [Migration],
) -> Result<&'a [Migration], SchemaError> {
    let applied = applied(connection)?;
    let known = migrations.last().map_or(0, |migration| migration.version);
    if let Some((found, _)) = applied.last()
        && *found > known
    {
        return Err(SchemaError::Newer {
            found: *found,
            known,
        });
    }
    for ((version, checksum), migration) in applied.iter().zip(migrations) {
        if *version != migration.version || checksum != &migration.checksum() {
            return Err(SchemaError::Diverged { version: *version });
        }
    }
    Ok(migrations.get(applied.len()..).unwrap_or_default())
}

/// Version and checksum of what was applied, ascending.
fn applied(connection: &Connection) -> Result<Vec<(u32, Vec<u8>)>, SchemaError> {
    let (tables, ours): (i64, bool) = connection.query_row(
        "SELECT count(*), coalesce(max(name = 'schema_version'), 0) FROM sqlite_schema",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    match (tables, ours) {
        (0, _) => return Ok(Vec::new()),
        (_, false) => return Err(SchemaError::NotOurs),
        (_, true) => {}
    }
    let mut statement =
        connection.prepare("SELECT version, checksum FROM schema_version ORDER BY version")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const CANARY: Place<'_> = Place {
    kind: "meta",
    field: "canary",
    id: "",
};

/// Whether the database was made with this key. A new one is made with it from now on.
///
/// # Errors
/// [`StoreError`] when that cannot be found out.
pub(super) fn key_fits(connection: &Connection, sealer: &Sealer) -> Result<bool, StoreError> {
    let read = || {
        connection
            .query_row("SELECT value FROM meta WHERE name = 'canary'", [], |row| {
                row.get::<_, String>(0)
            })
            .optional()
            .map_err(|error| store_error(&error))
    };
    if read()?.is_none() {
        let sealed = sealer.seal(CANARY, b"canary").map_err(|_no_randomness| {
            StoreError::Unavailable("the random source of the machine failed".to_owned())
        })?;
        connection
            .execute(
                "INSERT INTO meta (name, value) VALUES ('canary', ?1) ON CONFLICT DO NOTHING",
                [sealed],
            )
            .map_err(|error| store_error(&error))?;
    }
    // Read in any case: another process may have been faster, with another key.
    let sealed = read()?.unwrap_or_default();
    Ok(sealer.open(CANARY, &sealed).is_ok())
}

/// What a person is told.
pub(super) fn open_error(path: &std::path::Path, error: SchemaError) -> OpenError {
    let path = path.to_owned();
    match error {
        SchemaError::NotOurs => OpenError::NotOurs(path),
        SchemaError::Newer { found, known } => OpenError::Newer { path, found, known },
        SchemaError::Diverged { version } => OpenError::Diverged { path, version },
        SchemaError::Sql(error) => super::file_error(&path, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    const ONE: Migration = Migration {
        version: 1,
        sql: "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)",
    };
    const TWO: Migration = Migration {
        version: 2,
        sql: "ALTER TABLE a ADD COLUMN y INTEGER;\nUPDATE a SET y = x + 1",
    };
    const BROKEN: Migration = Migration {
        version: 3,
        sql: "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (x INTEGER)",
    };

    fn database() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    fn versions(connection: &Connection) -> Vec<u32> {
        let applied = applied(connection).unwrap();
        applied.into_iter().map(|(version, _)| version).collect()
    }

    #[test]
    fn an_older_database_is_brought_up_to_date_with_its_rows() {
        let mut connection = database();
        migrate(&mut connection, &[ONE]).unwrap();
        assert_eq!(versions(&connection), [1]);
        migrate(&mut connection, &[ONE, TWO]).unwrap();
        assert_eq!(versions(&connection), [1, 2]);
        let y: i64 = connection
            .query_row("SELECT y FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!(y, 2);
        migrate(&mut connection, &[ONE, TWO]).unwrap();
        assert_eq!(versions(&connection), [1, 2]);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut connection = database();
        migrate(&mut connection, &[ONE]).unwrap();
        let failed = migrate(&mut connection, &[ONE, TWO, BROKEN]);
        assert!(matches!(failed, Err(SchemaError::Sql(_))));
        assert_eq!(versions(&connection), [1]);
        assert!(connection.prepare("SELECT y FROM a").is_err());
        assert!(connection.prepare("SELECT x FROM b").is_err());
        migrate(&mut connection, &[ONE, TWO]).unwrap();
    }

    #[test]
    fn newer_edited_and_foreign_databases_are_refused() {
        let mut connection = database();
        migrate(&mut connection, &[ONE, TWO]).unwrap();
        assert!(matches!(
            migrate(&mut connection, &[ONE]),
            Err(SchemaError::Newer { found: 2, known: 1 })
        ));
        let edited = Migration {
            sql: "CREATE TABLE a (x INTEGER, y INTEGER) STRICT",
            ..ONE
        };
        assert!(matches!(
            migrate(&mut connection, &[edited, TWO]),
            Err(SchemaError::Diverged { version: 1 })
        ));
        let mut foreign = database();
        foreign.execute_batch("CREATE TABLE b (x)").unwrap();
        assert!(matches!(
            migrate(&mut foreign, &[ONE]),
            Err(SchemaError::NotOurs)
        ));
        assert!(foreign.prepare("SELECT * FROM schema_version").is_err());
    }

    #[test]
    fn line_ends_do_not_make_another_migration() {
        let windows = Migration {
            sql: "ALTER TABLE a ADD COLUMN y INTEGER;\r\nUPDATE a SET y = x + 1",
            ..TWO
        };
        assert_eq!(windows.checksum(), TWO.checksum());
    }

    #[test]
    fn migrations_are_numbered_without_gaps_and_never_edited() {
        let checksums = [
            "02e01d74022776c892f68469852547a27cbc3a61e3e651d04482ceb6aded3834",
            "deffe3cd7714a00599bc60e16aa3f5b642e9d070113afcee35bdda284976daf1",
            "01ad66dfd6284d5491f01f915583080a54af3a4e2e22c6c43226547479652ffc",
            "3bff713221fbeab33210ce797c18a0c278593b2773eba9af8301521912837b28",
        ];
        assert_eq!(MIGRATIONS.len(), checksums.len(), "note the new one's here");
        for ((migration, checksum), version) in MIGRATIONS.iter().zip(checksums).zip(1..) {
            assert_eq!(migration.version, version);
            assert_eq!(hex::encode(&migration.checksum()), checksum, "{version}");
        }
    }
}
