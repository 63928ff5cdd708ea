//! `POST authorization` (`wire-api.md` §4.1), and the explanation of what it would decide.

use dan_core::error::{Code, Fault};
use dan_core::evidence::DatasetStatus;
use dan_core::flow::Idempotency;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::accreditation::WireAccreditation;
use crate::wire::application;
use crate::wire::explanation::WireExplanation;

pub(crate) async fn create(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let query = visit.jmespath()?;
    let application = application::read(&visit.body)?;
    let call = visit.call()?;
    let idempotency = idempotency(visit, call.caller.context_id())?;
    let granted = visit
        .exchange()
        .grant(call, application, visit.tokens(), idempotency)
        .await?;
    let grant = &granted.accreditation;
    let shown = WireAccreditation::of(grant, &granted.catalog, DatasetStatus::Unknown);
    let mut response = render::json(&shown, query.as_ref())?;
    let public_url = &visit.exchange().settings().public_url;
    render::set_location(&mut response, public_url, grant.id.as_str());
    Ok(response)
}

/// What `create` would decide, rule by rule. Stores nothing.
pub(crate) async fn explain(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let query = visit.jmespath()?;
    let application = application::read(&visit.body)?;
    let explanation = visit
        .exchange()
        .explain(visit.call()?, application, visit.tokens())
        .await?;
    render::json(&WireExplanation::of(&explanation), query.as_ref())
}

fn idempotency(visit: &Visit<'_>, context_id: &str) -> Result<Option<Idempotency>, Fault> {
    let mut values = visit.headers.get_all("idempotency-key").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        // Bytes that are no text are no key; the check says what a key is.
        (Some(key), None) => {
            Idempotency::new(key.to_str().unwrap_or_default(), context_id, &visit.body).map(Some)
        }
        (Some(_), Some(_)) => Err(Fault::with(
            Code::InvalidAuthorizationRequest,
            "two Idempotency-Key headers",
        )),
    }
}
