//! The audit trail in memory: rows as they would be stored, and their heads.

use dan_core::audit::{TrailHead, link};
use dan_core::ports::{AboutFilter, StoreError, StoredAudit, TrailRow};

use super::{Changes, MemoryStore, State, wide};
use crate::record::{AuditRow, decode_audit, decode_row};

impl MemoryStore {
    pub(super) fn read_audit(
        &self,
        first: u64,
        count_max: u32,
    ) -> Result<Vec<StoredAudit>, StoreError> {
        let first = first.max(1);
        let skipped = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
        let (previous, rows) = {
            let state = self.lock();
            let previous = skipped
                .checked_sub(1)
                .and_then(|at| state.audit.get(at))
                .map_or([0; 32], |(_, link)| *link);
            let rows = state.rows(first, wide(count_max));
            (previous, rows.map(unread).collect())
        };
        decode_audit(first, previous, rows, self.sealer()?)
    }

    pub(super) fn read_trail(&self, first: u64, count_max: u32) -> Vec<TrailRow> {
        self.lock().rows(first.max(1), wide(count_max)).collect()
    }

    /// Opens every row to find those about the party: in memory there are few.
    pub(super) fn read_about(&self, filter: &AboutFilter) -> Result<Vec<StoredAudit>, StoreError> {
        let sealer = self.sealer()?;
        let rows = self.read_trail(filter.after.saturating_add(1), u32::MAX);
        let mut found = Vec::new();
        for row in rows {
            let row = decode_row(unread(row), sealer)?;
            if found.len() < wide(filter.count_max)
                && row.record.subject.as_ref() == Some(&filter.subject)
            {
                found.push(row);
            }
        }
        Ok(found)
    }
}

impl State {
    fn rows(&self, first: u64, count_max: usize) -> impl Iterator<Item = TrailRow> {
        let skipped = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
        let rows = self.audit.iter().skip(skipped).take(count_max);
        rows.zip(first..).map(|((text, link), sequence)| TrailRow {
            sequence,
            text: text.clone(),
            link: *link,
        })
    }
}

impl Changes {
    /// The next of the encoded rows.
    pub(super) fn append(&mut self, state: &State) {
        let last = self.audit.last().or_else(|| state.audit.last());
        let previous = last.map_or([0; 32], |(_, link)| *link);
        if let Some(text) = self.encoded.pop_front() {
            let next = link(&previous, text.as_bytes());
            self.audit.push((text, next));
        }
    }

    pub(super) fn append_head(
        &mut self,
        state: &State,
        head: &TrailHead,
        link: &[u8; 32],
        previous: u64,
    ) -> Result<(), StoreError> {
        let newest = self.heads.last().or_else(|| state.heads.last());
        let newest = newest.map_or(0, |head| head.last);
        let mut rows = state.audit.iter().chain(&self.audit);
        let place = usize::try_from(head.last).ok();
        let row = place.and_then(|last| rows.nth(last.checked_sub(1)?));
        let covers = row.is_some_and(|(_, stored)| stored == link);
        let begins = previous.checked_add(1) == Some(head.first) && head.first <= head.last;
        if newest != previous || !begins || !covers {
            return Err(StoreError::Conflict);
        }
        self.heads.push(TrailHead {
            stamp: None,
            ..head.clone()
        });
        Ok(())
    }

    pub(super) fn stamp_head(
        &mut self,
        state: &State,
        last: u64,
        stamp: &[u8],
    ) -> Result<(), StoreError> {
        let mut heads = state.heads.iter().chain(&self.heads);
        let head = heads.find(|head| head.last == last);
        if head.is_none_or(|head| head.stamp.is_some()) || self.stamps.contains_key(&last) {
            return Err(StoreError::Conflict);
        }
        self.stamps.insert(last, stamp.to_vec());
        Ok(())
    }
}

fn unread(row: TrailRow) -> AuditRow {
    AuditRow {
        sequence: row.sequence,
        text: row.text,
        link: row.link,
    }
}
