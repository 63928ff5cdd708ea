//! The error body (`wire-api.md` §5.8), plus the rules that were not met; and problem details
//! (RFC 9457) for routes that are new here.

use dan_core::error::Fault;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireFault<'a> {
    code: u16,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_description: Option<&'a str>,
    /// Stable identifiers of the rules, as in the catalogue.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    rules: &'a [String],
    invocation_id: &'a str,
}

impl<'a> WireFault<'a> {
    pub(crate) fn of(fault: &'a Fault, invocation_id: &'a str) -> Self {
        let detail = fault.detail.as_deref();
        Self {
            code: fault.code.number(),
            description: fault.description(),
            detail_code: detail.map(|detail| detail.code.as_str()),
            detail_description: detail.and_then(|detail| detail.description.as_deref()),
            rules: &fault.rules,
            invocation_id,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireProblem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    instance: String,
    code: u16,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    rules: &'a [String],
}

impl<'a> WireProblem<'a> {
    pub(crate) fn of(fault: &'a Fault, invocation_id: &str) -> Self {
        Self {
            kind: format!("urn:dan:error:{}", fault.code.number()),
            title: fault.code.text(),
            status: fault.status,
            detail: fault.description(),
            instance: format!("urn:uuid:{invocation_id}"),
            code: fault.code.number(),
            rules: &fault.rules,
        }
    }
}
