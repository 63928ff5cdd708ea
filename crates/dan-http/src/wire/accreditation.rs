//! Grants and their status (`wire-api.md` §5.1, §5.7).

use std::collections::BTreeMap;

use dan_core::accreditation::Accreditation;
use dan_core::catalog::Catalog;
use dan_core::evidence::DatasetStatus;
use dan_core::flow::DatasetState;
use serde::Serialize;
use serde_json::Value;

use super::dataset::WireDataset;
use super::party::WireParty;
use super::requirement::rule;

/// A status code with its text.
#[derive(Serialize)]
pub(crate) struct WireStatusCode {
    code: u8,
    description: &'static str,
}

impl WireStatusCode {
    pub(crate) const fn of(status: DatasetStatus) -> Self {
        Self {
            code: status.number(),
            description: status.text(),
        }
    }
}

/// The status of one dataset.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireStatus<'a> {
    evidence_code_name: &'a str,
    status: WireStatusCode,
    valid_from: String,
    valid_to: String,
}

impl<'a> WireStatus<'a> {
    pub(crate) fn of(state: &'a DatasetState) -> Self {
        Self {
            evidence_code_name: &state.dataset,
            status: WireStatusCode::of(state.status),
            valid_from: state.valid_from.offset_text(),
            valid_to: state.valid_to.offset_text(),
        }
    }
}

/// A grant.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireAccreditation<'a> {
    id: &'a str,
    requestor: Option<&'a str>,
    subject: Option<&'a str>,
    subject_party: WireParty,
    requestor_party: WireParty,
    aggregate_status: WireStatusCode,
    is_direct_harvest: bool,
    evidence_codes: Vec<WireDataset<'a>>,
    skipped_evidence_codes: BTreeMap<&'a str, Value>,
    issued: String,
    last_changed: String,
    valid_to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_reference: Option<&'a str>,
    language_code: &'a str,
    service_context: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_receipt_redirect_url: Option<&'a str>,
}

impl<'a> WireAccreditation<'a> {
    /// `aggregate` is unknown outside the list (`wire-api.md` §4.1, 6).
    pub(crate) fn of(
        grant: &'a Accreditation,
        catalog: &'a Catalog,
        aggregate: DatasetStatus,
    ) -> Self {
        let datasets = grant.datasets.iter();
        Self {
            id: grant.id.as_str(),
            requestor: grant.requestor.expose_bare(),
            subject: grant.subject.as_ref().and_then(|party| party.expose_bare()),
            subject_party: WireParty::of(grant.subject.as_ref()),
            requestor_party: WireParty::of(Some(&grant.requestor)),
            aggregate_status: WireStatusCode::of(aggregate),
            is_direct_harvest: false,
            evidence_codes: datasets
                .map(|dataset| WireDataset::granted(dataset, &grant.context, catalog))
                .collect(),
            skipped_evidence_codes: skipped(grant, catalog),
            issued: grant.issued.offset_text(),
            last_changed: grant.last_changed.offset_text(),
            valid_to: grant.valid_to.offset_text(),
            consent_reference: grant.consent_reference.as_deref(),
            external_reference: grant.external_reference.as_deref(),
            language_code: &grant.language,
            service_context: &grant.context,
            consent_receipt_redirect_url: grant.consent_receipt_redirect_url.as_deref(),
        }
    }
}

/// Datasets that were left out, each with the rule that was not met (`engine.md` W-39).
fn skipped<'a>(grant: &'a Accreditation, catalog: &Catalog) -> BTreeMap<&'a str, Value> {
    let rule_of = |name: &str, id: &str| {
        let offer = catalog.offer(&grant.context, name)?;
        offer
            .rules
            .iter()
            .find(|one| one.id == id)
            .map(|one| rule(one))
    };
    let entry = |one: &'a dan_core::accreditation::SkippedDataset| {
        let mut shown = rule_of(&one.name, &one.rule_id).unwrap_or_else(|| serde_json::json!({}));
        if let Some(members) = shown.as_object_mut() {
            members.insert("id".to_owned(), one.rule_id.clone().into());
        }
        (one.name.as_str(), shown)
    };
    grant.skipped.iter().map(entry).collect()
}
