//! What is counted, by month, in the same commit as the act itself.

use crate::time::Timestamp;

/// One count: a dataset harvested under a context in a month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageKey {
    /// Year times 12 plus month (0 to 11), UTC.
    pub month: i32,
    /// Name of the context; `OpenData` for open data.
    pub context: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Owner; empty for open data.
    pub owner: String,
}

/// A counted row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// What.
    pub key: UsageKey,
    /// How often.
    pub count: u64,
}

/// The month a moment lies in, as [`UsageKey::month`] counts it.
#[must_use]
pub fn month_of(at: Timestamp) -> i32 {
    let text = at.to_string();
    let mut parts = text.split('-').filter_map(|part| part.parse::<i32>().ok());
    let (year, month) = (parts.next().unwrap_or(1970), parts.next().unwrap_or(1));
    year.saturating_mul(12)
        .saturating_add(month)
        .saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_counted_from_year_zero() {
        assert_eq!(month_of(Timestamp::from_ms(0)), 1970 * 12);
        assert_eq!(
            month_of(Timestamp::parse("2026-11-24").unwrap()),
            2026 * 12 + 10
        );
    }
}
