//! The audit trail as it lies in the file: rows unread, their links, heads, and rows about one party.

use dan_core::audit::TrailHead;
use dan_core::ports::{AboutFilter, StoreError, StoredAudit, TrailRow};
use rusqlite::{Connection, Row, params};

use super::read::{many, one, unsigned};
use super::write::execute;
use crate::record::{AuditRow, corrupt_row, decode_row, party_index};
use crate::seal::Sealer;

const ROWS: &str = "SELECT sequence, body, link FROM audit WHERE sequence >= ?1 \
                    ORDER BY sequence LIMIT ?2";
const LINKS: &str = "SELECT sequence, link FROM audit WHERE sequence >= ?1 \
                     ORDER BY sequence LIMIT ?2";
const HEADS: &str = "SELECT first, last, jws, stamp FROM audit_head LEFT JOIN audit_stamp USING (last) \
                     WHERE last > ?1 ORDER BY last LIMIT ?2";
const NEWEST_HEAD: &str = "SELECT first, last, jws, stamp FROM audit_head \
                           LEFT JOIN audit_stamp USING (last) ORDER BY last DESC LIMIT 1";
pub(super) const ABOUT: &str = "SELECT sequence, body, link FROM audit \
                                WHERE subject = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
/// Behind the newest head, and over a row that is there.
const APPEND_HEAD: &str = "INSERT INTO audit_head (last, first, jws) SELECT ?1, ?2, ?3 \
     WHERE coalesce((SELECT max(last) FROM audit_head), 0) = ?4 AND ?2 = ?4 + 1 \
     AND EXISTS (SELECT 1 FROM audit WHERE sequence = ?1 AND link = ?5)";
const STAMP: &str = "INSERT INTO audit_stamp (last, stamp) SELECT ?1, ?2 \
     WHERE EXISTS (SELECT 1 FROM audit_head WHERE last = ?1) ON CONFLICT DO NOTHING";

/// A head, ready to be bound.
pub(super) struct HeadRow {
    first: i64,
    last: i64,
    jws: String,
    link: [u8; 32],
    previous: i64,
}

impl HeadRow {
    /// # Errors
    /// [`StoreError::Conflict`] for a head over nothing; and a position that SQLite cannot hold is none that it has.
    pub(super) fn of(head: &TrailHead, link: &[u8; 32], previous: u64) -> Result<Self, StoreError> {
        if head.first > head.last {
            return Err(StoreError::Conflict);
        }
        let position = |number: u64| i64::try_from(number).map_err(|_large| StoreError::Conflict);
        Ok(Self {
            first: position(head.first)?,
            last: position(head.last)?,
            jws: head.jws.clone(),
            link: *link,
            previous: position(previous)?,
        })
    }

    pub(super) fn append(&self, connection: &Connection) -> rusqlite::Result<usize> {
        let values = params![self.last, self.first, self.jws, self.previous, self.link];
        execute(connection, APPEND_HEAD, values)
    }
}

pub(super) fn stamp(connection: &Connection, last: i64, stamp: &[u8]) -> rusqlite::Result<usize> {
    execute(connection, STAMP, params![last, stamp])
}

pub(super) fn trail(
    connection: &Connection,
    first: u64,
    count_max: u32,
) -> Result<Vec<TrailRow>, StoreError> {
    let Ok(first) = i64::try_from(first) else {
        return Ok(Vec::new());
    };
    many(connection, ROWS, (first, count_max), |row| {
        Ok(TrailRow {
            sequence: unsigned(row, 0)?,
            text: row.get(1)?,
            link: row.get(2)?,
        })
    })
}

pub(super) fn links(
    connection: &Connection,
    first: u64,
    count_max: u32,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let first = first.max(1);
    let Ok(from) = i64::try_from(first) else {
        return Ok(Vec::new());
    };
    let read = |row: &Row<'_>| Ok((unsigned(row, 0)?, row.get(1)?));
    let rows: Vec<(u64, [u8; 32])> = many(connection, LINKS, (from, count_max), read)?;
    let numbered = rows.into_iter().zip(first..);
    numbered
        .map(|((sequence, link), expected)| match sequence == expected {
            true => Ok(link),
            false => Err(corrupt_row(expected, "missing")),
        })
        .collect()
}

pub(super) fn heads(
    connection: &Connection,
    after: u64,
    count_max: u32,
) -> Result<Vec<TrailHead>, StoreError> {
    let Ok(after) = i64::try_from(after) else {
        return Ok(Vec::new());
    };
    many(connection, HEADS, (after, count_max), head)
}

pub(super) fn newest_head(connection: &Connection) -> Result<Option<TrailHead>, StoreError> {
    one(connection, NEWEST_HEAD, [], head)
}

pub(super) fn about(
    connection: &Connection,
    filter: &AboutFilter,
    sealer: &Sealer,
) -> Result<Vec<StoredAudit>, StoreError> {
    let Ok(after) = i64::try_from(filter.after) else {
        return Ok(Vec::new());
    };
    let values = (
        party_index(&filter.subject, sealer),
        after,
        filter.count_max,
    );
    let rows = many(connection, ABOUT, values, |row| {
        Ok(AuditRow {
            sequence: unsigned(row, 0)?,
            text: row.get(1)?,
            link: row.get(2)?,
        })
    })?;
    rows.into_iter()
        .map(|row| decode_row(row, sealer))
        .collect()
}

fn head(row: &Row<'_>) -> rusqlite::Result<TrailHead> {
    Ok(TrailHead {
        first: unsigned(row, 0)?,
        last: unsigned(row, 1)?,
        jws: row.get(2)?,
        stamp: row.get(3)?,
    })
}
