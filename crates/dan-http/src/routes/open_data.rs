//! `opendata` (`wire-api.md` §4.9), with the two register look-ups old plugins call there.

use dan_core::error::{Code, Fault};

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::unit::unit;

pub(crate) async fn harvest(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let dataset = visit.segment(0);
    let identifier = visit.path.get(1).map(String::as_str);
    match (dataset, identifier) {
        ("_ccrproxymain", Some(number)) => return proxy(visit, number, false).await,
        ("_ccrproxysub", Some(number)) => return proxy(visit, number, true).await,
        _ => {}
    }
    let presenter = visit.presenter(false)?;
    visit.evidence(
        visit
            .exchange()
            .open_data(dataset, identifier, &presenter, visit.ctx)
            .await?,
    )
}

async fn proxy(visit: &Visit<'_>, number: &str, sub_unit: bool) -> Result<Outbound, Fault> {
    let found = visit.exchange().unit(number, visit.ctx).await?;
    match found.filter(|found| found.is_sub_unit == sub_unit) {
        Some(found) => render::json_utf8(&unit(&found)),
        None => Err(Fault::with(Code::InvalidSubject, "no such unit").status(404)),
    }
}
