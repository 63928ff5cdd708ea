//! `metadata` (`wire-api.md` §4.10), all of it open to everybody.

use dan_core::catalog::Listing;
use dan_core::error::{Code, Fault};
use dan_core::evidence::DatasetStatus;
use serde_json::json;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::accreditation::WireStatusCode;
use crate::wire::dataset::WireDataset;

pub(crate) async fn datasets(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    list(visit, |_| true)
}

/// By the context's name, in any case; an unknown one has no datasets.
pub(crate) async fn datasets_of_context(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let name = visit.segment(0);
    list(visit, |row| {
        row.contexts()
            .iter()
            .any(|context| context.eq_ignore_ascii_case(name))
    })
}

fn list(visit: &Visit<'_>, wanted: impl Fn(&Listing) -> bool) -> Result<Outbound, Fault> {
    let query = visit.jmespath()?;
    let catalog = visit.exchange().catalog();
    let rows = catalog
        .listings(visit.exchange().now())
        .filter(|row| wanted(row));
    let shown: Vec<WireDataset<'_>> = rows.map(WireDataset::listed).collect();
    render::json(&shown, query.as_ref())
}

pub(crate) async fn contexts(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let catalog = visit.exchange().catalog();
    let names: Vec<&str> = catalog
        .contexts()
        .iter()
        .map(|context| context.name.as_str())
        .collect();
    render::json(&names, visit.jmespath()?.as_ref())
}

pub(crate) async fn status_codes(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let shown: Vec<WireStatusCode> = DatasetStatus::LISTED
        .into_iter()
        .map(WireStatusCode::of)
        .collect();
    render::json(&shown, visit.jmespath()?.as_ref())
}

pub(crate) async fn error_codes(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let shown: Vec<_> = Code::ALL
        .iter()
        .map(|code| json!({"code": code.number(), "description": code.text()}))
        .collect();
    render::json(&shown, visit.jmespath()?.as_ref())
}
