//! [`TrailCursor`]: reads a trail from a store in order, each head behind the last row it covers.

use std::collections::VecDeque;

use dan_core::audit::TrailHead;
use dan_core::ports::{Store, StoreError, TrailRow};

/// Rows that are read at once.
const PAGE_ROWS: u32 = 1_000;
/// Heads that are read at once.
const PAGE_HEADS: u32 = 100;

/// The next part of a trail.
#[derive(Debug)]
pub enum Piece {
    /// Rows, in the order of their positions.
    Rows(Vec<TrailRow>),
    /// The head over the rows so far.
    Head(TrailHead),
}

/// A walk over a trail. A node may go on writing meanwhile: heads that are newer than the walk are
/// left out.
pub struct TrailCursor<'s> {
    store: &'s dyn Store,
    heads: VecDeque<TrailHead>,
    /// Last row of the newest head when the walk began; `None` before it begins.
    newest: Option<u64>,
    /// Last row of the last head that was read.
    after: u64,
    next: u64,
    no_more_heads: bool,
    no_more_rows: bool,
}

impl<'s> TrailCursor<'s> {
    /// A walk from the first row on.
    #[must_use]
    pub fn new(store: &'s dyn Store) -> Self {
        Self {
            store,
            heads: VecDeque::new(),
            newest: None,
            after: 0,
            next: 1,
            no_more_heads: false,
            no_more_rows: false,
        }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<Piece>, StoreError> {
        self.fetch_heads().await?;
        let until = self.heads.front().map_or(u64::MAX, |head| head.last);
        if !self.no_more_rows && self.next <= until {
            let rows = self.rows(until).await?;
            if !rows.is_empty() {
                return Ok(Some(Piece::Rows(rows)));
            }
        }
        Ok(self.heads.pop_front().map(Piece::Head))
    }

    async fn rows(&mut self, until: u64) -> Result<Vec<TrailRow>, StoreError> {
        let left = until.saturating_sub(self.next).saturating_add(1);
        let count = u32::try_from(left).unwrap_or(PAGE_ROWS).min(PAGE_ROWS);
        let rows = self.store.trail(self.next, count).await?;
        match rows.last() {
            Some(last) => self.next = last.sequence.max(self.next).saturating_add(1),
            None => self.no_more_rows = true,
        }
        Ok(rows)
    }

    async fn fetch_heads(&mut self) -> Result<(), StoreError> {
        let newest = match self.newest {
            Some(newest) => newest,
            None => {
                let newest = self.store.newest_head().await?;
                newest.map_or(0, |head| head.last)
            }
        };
        self.newest = Some(newest);
        if !self.heads.is_empty() || self.no_more_heads {
            return Ok(());
        }
        let heads = self.store.heads(self.after, PAGE_HEADS).await?;
        let heads = heads.into_iter().filter(|head| head.last <= newest);
        self.heads.extend(heads);
        match self.heads.back() {
            Some(head) => self.after = head.last,
            None => self.no_more_heads = true,
        }
        Ok(())
    }
}
