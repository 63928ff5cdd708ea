//! Statistics, counted in the same commit as what they count.

use std::collections::BTreeMap;

use super::{Exchange, store_fault};
use crate::caller::Caller;
use crate::error::Fault;
use crate::usage::{UsageRow, month_of};

/// Public counts below this are not shown: a small number may say who asked.
pub const PUBLIC_COUNT_MIN: u64 = 5;
/// Months in a year.
const MONTHS: i32 = 12;

/// A public count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicCount {
    /// Year times 12 plus month (0 to 11).
    pub month: i32,
    /// Name of the context.
    pub context: String,
    /// How many datasets were harvested.
    pub count: u64,
}

/// Which months are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The calendar month that is running.
    ThisMonth,
    /// The calendar year before this one.
    LastYear,
    /// Everything there is.
    All,
}

impl Exchange {
    /// Harvests by month and context, ordered by month, small numbers left out.
    ///
    /// # Errors
    /// 1013 when the store is out of reach.
    pub async fn public_usage(&self, period: Period) -> Result<Vec<PublicCount>, Fault> {
        let rows = self.usage_of(period).await?;
        let mut sums: BTreeMap<(i32, String), u64> = BTreeMap::new();
        for row in rows {
            let sum = sums.entry((row.key.month, row.key.context)).or_default();
            *sum = sum.saturating_add(row.count);
        }
        let shown = sums
            .into_iter()
            .filter(|(_, count)| *count >= PUBLIC_COUNT_MIN);
        Ok(shown
            .map(|((month, context), count)| PublicCount {
                month,
                context,
                count,
            })
            .collect())
    }

    /// The caller's own harvests by month, context and dataset; nothing is left out.
    ///
    /// # Errors
    /// 1013 when the store is out of reach; 1019 when the caller's token stands for one person.
    pub async fn own_usage(&self, caller: &Caller) -> Result<Vec<UsageRow>, Fault> {
        caller.check_not_for_one_person()?;
        let owner = caller.owner().to_string();
        let mut rows = self.usage_of(Period::All).await?;
        rows.retain(|row| row.key.owner == owner);
        rows.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(rows)
    }

    async fn usage_of(&self, period: Period) -> Result<Vec<UsageRow>, Fault> {
        let this_month = month_of(self.now());
        let this_year = this_month.saturating_sub(this_month.rem_euclid(MONTHS));
        let (first, last) = match period {
            Period::ThisMonth => (this_month, this_month),
            Period::LastYear => (
                this_year.saturating_sub(MONTHS),
                this_year.saturating_sub(1),
            ),
            Period::All => (i32::MIN, i32::MAX),
        };
        self.ports
            .store
            .usage(first, last)
            .await
            .map_err(store_fault)
    }
}
