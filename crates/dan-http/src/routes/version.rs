//! `version` (`wire-api.md` §5.10).

use dan_core::error::Fault;
use serde_json::json;

use crate::render::{self, Outbound};
use crate::visit::Visit;

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let build = &visit.node.build;
    render::json_utf8(&json!({
        "name": "dan",
        "version": build.version,
        "built": build.commit_date,
        "commit": build.commit,
        "commitDate": build.commit_date,
    }))
}
