//! Checks an audit trail, in a store or exported: pure but for the walk over a store.
//!
//! [`TrailCheck`] is given rows and heads in their order and finds the first that is not what it
//! must be; `diagnose` says what was done to it. [`TrailCursor`] reads them from a store, and
//! [`read_line`] from a line of an export, which [`row_line`] and [`head_line`] write.
//!
//! What it rests on: each row is linked to the one before ([`dan_core::audit::link`]), and each head
//! is signed over the links of a run of rows. Whoever changes a row has to make all later links
//! anew, and then no head fits; whoever cuts off the end together with its heads is found by a head
//! that somebody kept elsewhere.
//! Rows that nothing signs are a finding once they are older than a node lets them be.

mod check;
mod cursor;
mod diagnose;
mod intents;
mod lines;
#[cfg(test)]
mod tamper_tests;

use dan_core::ports::{Store, StoreError};

pub use check::{Finding, Flaw, ReadHead, Report, SignedBy, StampFits, TrailCheck};
pub use cursor::{Piece, TrailCursor};
pub use lines::{Line, Shown, head_line, read_line, row_line, row_view};

/// Checks the trail of a store from its first row on. A node may go on writing meanwhile.
///
/// # Errors
/// [`StoreError`] when the store cannot be read. What does not hold is in the report.
pub async fn check_store(
    store: &dyn Store,
    mut check: TrailCheck<'_>,
) -> Result<Report, StoreError> {
    let mut cursor = TrailCursor::new(store);
    while let Some(piece) = cursor.next().await? {
        let wants_more = match piece {
            Piece::Rows(rows) => rows.into_iter().all(|row| check.row(row)),
            Piece::Head(head) => check.head(&head.jws, head.stamp.as_deref()),
        };
        if !wants_more {
            break;
        }
    }
    Ok(check.finish())
}
