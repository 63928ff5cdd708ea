//! `proofs`: the statement of an answer that left as a stream, for clients that cannot read trailers.

use dan_core::error::Fault;

use crate::render::{self, Outbound};
use crate::visit::Visit;

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let exchange = visit.exchange();
    let statement = exchange.proof(visit.caller, visit.segment(0)).await?;
    Ok(render::proof(statement))
}
