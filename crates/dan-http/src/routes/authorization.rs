//! `POST authorization` (`wire-api.md` §4.1).

use dan_core::error::Fault;
use dan_core::evidence::DatasetStatus;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::accreditation::WireAccreditation;
use crate::wire::application;

pub(crate) async fn create(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let query = visit.jmespath()?;
    let application = application::read(&visit.body)?;
    let granted = visit
        .exchange()
        .grant(visit.call()?, application, visit.tokens())
        .await?;
    let grant = &granted.accreditation;
    let shown = WireAccreditation::of(grant, &granted.catalog, DatasetStatus::Unknown);
    let mut response = render::json(&shown, query.as_ref())?;
    let public_url = &visit.exchange().settings().public_url;
    render::set_location(&mut response, public_url, grant.id.as_str());
    Ok(response)
}
