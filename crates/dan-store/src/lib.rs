//! Keeps state: memory and SQLite behind one conformance suite.
//!
//! [`open`] reads a [`StoreConfig`] and gives a [`Store`]. What identifies a person is encrypted
//! before it reaches a table (`src/record.rs`, `src/seal.rs`); evidence is never stored at all:
//! nothing here can take it.
//!
//! To add an adapter: one file that implements [`Store`], uses the shapes of `src/record.rs`, ends
//! with `dan_core::store_conformance!`, and has its arm in [`open`].

mod hex;
mod memory;
mod record;
mod seal;
mod sqlite;
pub mod trail;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dan_core::ports::Store;
use dan_core::secret::Secret;

use memory::MemoryStore;
use seal::Sealer;
use sqlite::SqliteStore;

/// What a crash may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// A killed process loses nothing that was answered; a power cut may lose the last moments.
    #[default]
    Process,
    /// Nor does a power cut: every group of commits waits for the disk.
    Power,
}

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Access {
    /// A node: the only one. A second node on the same database is refused.
    #[default]
    Node,
    /// A command beside a node that may be running, for instance to issue a key. Reads and writes
    /// like a node, without claiming the database; meant to be short.
    Tool,
    /// The same for a command that has nothing to do where there is no database: makes none.
    Reader,
}

/// Where and how state is kept.
#[derive(Debug)]
pub struct StoreConfig {
    /// `sqlite:PATH`, or `memory:` for state that ends with the process.
    pub url: String,
    /// 32 bytes as base64 or hexadecimal. Required for SQLite, and the same for the life of the
    /// database; not used in memory.
    pub subject_key: Option<Secret>,
    /// What a crash may take.
    pub durability: Durability,
    /// Who opens it.
    pub access: Access,
}

impl StoreConfig {
    /// This address and key for a node, [`Durability::Process`].
    #[must_use]
    pub fn new(url: impl Into<String>, subject_key: Option<Secret>) -> Self {
        Self {
            url: url.into(),
            subject_key,
            durability: Durability::default(),
            access: Access::default(),
        }
    }
}

/// Why a store cannot be opened. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The address is of no kind that is known.
    Url(String),
    /// PostgreSQL, which this version is built without.
    Postgres,
    /// A database needs a subject key.
    KeyMissing,
    /// The subject key is not 32 bytes of base64 or hexadecimal.
    KeyMalformed,
    /// The database was written with another subject key.
    KeyWrong(PathBuf),
    /// Another node has the database.
    InUse(PathBuf),
    /// There is no database, and none is to be made.
    Missing(PathBuf),
    /// The file is a database of something else, or no database.
    NotOurs(PathBuf),
    /// The database was brought up to date by a newer program.
    Newer {
        /// Where.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// A migration that was applied differs from the one in this program.
    Diverged {
        /// Where.
        path: PathBuf,
        /// Version of the migration.
        version: u32,
    },
    /// The file cannot be read or written.
    File {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(
                f,
                "store.url {url:?} is not known; write \"sqlite:PATH\", for instance \
                 \"sqlite:dan.db\", or \"memory:\""
            ),
            Self::Postgres => f.write_str(
                "store.url: PostgreSQL is not built in this version; use \"sqlite:PATH\"",
            ),
            Self::KeyMissing => f.write_str(
                "store.subject_key is missing: national identity numbers are kept encrypted; make \
                 one with `openssl rand -base64 32 > subject.key`, and keep a copy elsewhere: \
                 without it the database cannot be read",
            ),
            Self::KeyMalformed => f.write_str(
                "store.subject_key must be 32 bytes in base64 or hexadecimal; make one with \
                 `openssl rand -base64 32`",
            ),
            Self::KeyWrong(path) => write!(
                f,
                "{}: the database was made with another store.subject_key; give that one",
                path.display()
            ),
            Self::InUse(path) => write!(
                f,
                "{}: another node uses this database; stop it first, or give this one its own",
                path.display()
            ),
            Self::Missing(path) => write!(
                f,
                "there is no database at {}; is it under the --data-dir of the node?",
                path.display()
            ),
            Self::NotOurs(path) => write!(
                f,
                "{}: this is no database of dan; give the path of one, or of a file that does \
                 not exist yet",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{}: the database has schema version {found}, this program knows up to {known}; \
                 use the newer program, or a backup from before",
                path.display()
            ),
            Self::Diverged { path, version } => write!(
                f,
                "{}: schema version {version} of the database is not the one of this program; \
                 use the program that made it",
                path.display()
            ),
            Self::File { path, cause } => write!(f, "{}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// Opens the store, makes it where there is none yet (but for [`Access::Reader`]), and brings an older one up to date. Blocks
/// while it does; called once, at the start. A SQLite store needs a Tokio runtime when it is used.
///
/// Dropping the last reference waits until what was handed over is written.
///
/// # Errors
/// [`OpenError`]; an existing database is left as it was.
pub fn open(config: &StoreConfig) -> Result<Arc<dyn Store>, OpenError> {
    let unknown = || OpenError::Url(config.url.clone());
    let (scheme, rest) = config.url.split_once(':').ok_or_else(unknown)?;
    match (scheme, rest) {
        ("memory", "") => Ok(Arc::new(MemoryStore::new())),
        ("sqlite", path) if !path.is_empty() && path != ":memory:" && !path.starts_with("//") => {
            let text = config.subject_key.as_ref().ok_or(OpenError::KeyMissing)?;
            let key = seal::parse_key(text).ok_or(OpenError::KeyMalformed)?;
            let store = SqliteStore::open(
                Path::new(path),
                Sealer::new(&key),
                config.durability,
                config.access,
            )?;
            Ok(Arc::new(store))
        }
        ("postgres" | "postgresql", _) => Err(OpenError::Postgres),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, key: Option<&str>) -> OpenError {
        let key = key.map(|text| Secret::new(text.to_owned()));
        match open(&StoreConfig::new(url, key)) {
            Err(error) => error,
            Ok(_) => panic!("{url} was opened"),
        }
    }

    #[test]
    fn addresses_and_keys_that_are_wrong_are_explained() {
        for url in [
            "",
            "dan.db",
            "sqlite:",
            "sqlite::memory:",
            "sqlite://dan.db",
            "memory:x",
            "mysql:x",
        ] {
            let error = refused(url, None);
            assert_eq!(error, OpenError::Url(url.to_owned()));
            assert!(error.to_string().contains("sqlite:PATH"), "{error}");
        }
        let postgres = refused("postgres://host/dan", None);
        assert!(postgres.to_string().contains("not built in this version"));
        let missing = refused("sqlite:none/dan.db", None);
        assert!(missing.to_string().contains("openssl rand -base64 32"));
        let malformed = refused("sqlite:none/dan.db", Some("hunter2"));
        assert!(malformed.to_string().contains("openssl rand -base64 32"));
        assert!(!malformed.to_string().contains("hunter2"));
    }

    #[test]
    fn a_configuration_does_not_print_its_key() {
        let config = StoreConfig::new("sqlite:x", Some(Secret::new("hunter2".to_owned())));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
