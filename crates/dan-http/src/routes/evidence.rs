//! `evidence`: status and harvest of a grant (`wire-api.md` §4.6, §4.7).

use dan_core::error::Fault;
use dan_core::flow::Wish;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::accreditation::WireStatus;

pub(crate) async fn status(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let query = visit.jmespath()?;
    let states = visit
        .exchange()
        .status(visit.call()?.caller, visit.segment(0))
        .await?;
    let shown: Vec<WireStatus<'_>> = states.iter().map(WireStatus::of).collect();
    render::json(&shown, query.as_ref())
}

pub(crate) async fn harvest(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let presenter = visit.presenter(true)?;
    let tokens = visit.tokens();
    let wish = Wish {
        tokens: &tokens,
        presenter: &presenter,
    };
    let (id, dataset) = (visit.segment(0), visit.segment(1));
    let released = visit
        .exchange()
        .harvest(visit.call()?, id, dataset, wish)
        .await?;
    visit.evidence(released)
}
