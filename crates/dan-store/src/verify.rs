//! Walks the whole audit trail, for people who want to know whether it was touched.

use dan_core::ports::{Store, StoreError};

/// Rows that are read at once.
const PAGE_ROWS: u32 = 1_000;

/// What was found: an unbroken chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedAudit {
    /// How many rows.
    pub rows: u64,
    /// The last link, zeros when there are no rows. Noted elsewhere, it shows later whether rows
    /// at the end were taken away, which the chain alone cannot.
    pub link: [u8; 32],
}

/// Reads every row of the trail and checks that each follows from the one before.
///
/// # Errors
/// [`StoreError::Corrupt`] with the first row that does not follow or does not read; others when
/// the store cannot be read.
pub async fn verify_audit(store: &dyn Store) -> Result<VerifiedAudit, StoreError> {
    let mut verified = VerifiedAudit {
        rows: 0,
        link: [0; 32],
    };
    loop {
        let first = verified.rows.saturating_add(1);
        let rows = store.audit(first, PAGE_ROWS).await?;
        let Some(last) = rows.last() else {
            return Ok(verified);
        };
        verified = VerifiedAudit {
            rows: last.sequence,
            link: last.link,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use dan_core::ports::Batch;
    use dan_core::testkit::store_suite;

    #[tokio::test]
    async fn every_row_is_walked_over() {
        let store = MemoryStore::new();
        let empty = verify_audit(&store).await.unwrap();
        assert_eq!((empty.rows, empty.link), (0, [0; 32]));
        let rows = PAGE_ROWS * 2 + 1;
        let row = store_suite::row(1);
        let batch = Batch((0..rows).map(|_| store_suite::append(&row)).collect());
        store.commit(&batch).await.unwrap();
        let verified = verify_audit(&store).await.unwrap();
        let last = store.audit(u64::from(rows), 1).await.unwrap();
        assert_eq!(
            (verified.rows, verified.link),
            (last[0].sequence, last[0].link)
        );
        assert_eq!(verified.rows, u64::from(rows));
    }
}
