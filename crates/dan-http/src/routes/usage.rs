//! Statistics: public ones in today's shape (`wire-api.md` §12.3), and an owner's own.

use std::collections::BTreeMap;

use dan_core::error::Fault;
use dan_core::flow::{Period, PublicCount};
use dan_core::usage::UsageRow;
use serde_json::{Value, json};

use crate::render::{self, Outbound};
use crate::visit::Visit;

/// Names of the months, as clients know them.
const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "Mars",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Desember",
];

pub(crate) async fn month(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let counts = visit.exchange().public_usage(Period::ThisMonth).await?;
    let row = |count: &PublicCount| json!({"ServiceContext": count.context, "Count": count.count});
    render::json(
        &counts.iter().map(row).collect::<Vec<_>>(),
        visit.jmespath()?.as_ref(),
    )
}

pub(crate) async fn last_year(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    by_month(visit, Period::LastYear).await
}

pub(crate) async fn all(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    by_month(visit, Period::All).await
}

/// One inner list for each month, oldest first.
async fn by_month(visit: &Visit<'_>, period: Period) -> Result<Outbound, Fault> {
    let counts = visit.exchange().public_usage(period).await?;
    let mut months: BTreeMap<i32, Vec<Value>> = BTreeMap::new();
    for count in &counts {
        let row = json!({
            "Time": month_name(count.month),
            "ServiceContext": count.context,
            "Count": count.count,
        });
        months.entry(count.month).or_default().push(row);
    }
    render::json(
        &months.into_values().collect::<Vec<_>>(),
        visit.jmespath()?.as_ref(),
    )
}

fn month_name(month: i32) -> String {
    let name = usize::try_from(month.rem_euclid(12))
        .ok()
        .and_then(|at| MONTHS.get(at));
    format!("{} {}", name.unwrap_or(&""), month.div_euclid(12))
}

/// The caller's own counts; new here, so nothing of it is left out.
pub(crate) async fn own(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let rows = visit.exchange().own_usage(visit.call()?.caller).await?;
    let row = |row: &UsageRow| {
        let (year, month) = (row.key.month.div_euclid(12), row.key.month.rem_euclid(12));
        json!({
            "month": format!("{year:04}-{:02}", month.saturating_add(1)),
            "serviceContext": row.key.context,
            "evidenceCodeName": row.key.dataset,
            "count": row.count,
        })
    };
    render::json(
        &rows.iter().map(row).collect::<Vec<_>>(),
        visit.jmespath()?.as_ref(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_norwegian_names() {
        assert_eq!(month_name(2024 * 12), "Januar 2024");
        assert_eq!(month_name(2026 * 12 + 11), "Desember 2026");
    }
}
