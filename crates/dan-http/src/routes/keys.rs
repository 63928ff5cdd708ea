//! `/.well-known/jwks.json`: the published signing keys (`contracts.md` §6).

use dan_core::error::Fault;
use http::HeaderValue;
use http::header::CACHE_CONTROL;

use crate::render::{self, Outbound};
use crate::visit::Visit;

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let mut response = render::json_text(visit.exchange().key_set());
    // Shorter than any overlap of keys, so that a new key is seen before it signs.
    let value = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, value);
    Ok(response)
}
