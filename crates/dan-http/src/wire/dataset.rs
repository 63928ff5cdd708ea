//! Definitions of datasets in metadata and in grants (`wire-api.md` §5.4, §5.5).

use dan_core::accreditation::GrantedDataset;
use dan_core::catalog::{Catalog, Listing};
use dan_core::dataset::{Dataset, ValueSpec, ValueType};
use serde::Serialize;
use serde_json::Value;

use super::requirement::rule;

/// A dataset definition.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireDataset<'a> {
    evidence_code_name: &'a str,
    description: Option<&'a str>,
    parameters: Vec<WireParameter<'a>>,
    is_asynchronous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_valid_days: Option<u32>,
    values: Vec<WireValueSpec<'a>>,
    authorization_requirements: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_context: Option<&'a str>,
    belongs_to_service_contexts: Vec<&'a str>,
    is_public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation_warning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireParameter<'a> {
    evidence_param_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireValueSpec<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    evidence_value_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    source: &'a str,
    value_type: &'static str,
    /// Misspelt on the wire; clients read it so.
    #[serde(
        rename = "jsonSchemaDefintion",
        skip_serializing_if = "Option::is_none"
    )]
    json_schema: Option<&'a str>,
}

impl<'a> WireDataset<'a> {
    /// As it stands in metadata, under one of its names.
    pub(crate) fn listed(row: &'a Listing) -> Self {
        let parameters = row
            .dataset
            .parameters
            .iter()
            .map(|spec| WireParameter {
                evidence_param_name: &spec.name,
                param_type: spec.parameter_type.map(ValueType::wire_name),
                required: Some(spec.required),
                value: None,
            })
            .collect();
        Self {
            authorization_requirements: row.rules.iter().map(|one| rule(one)).collect(),
            service_context: row.alias_context.as_deref(),
            belongs_to_service_contexts: row.contexts(),
            ..Self::of(&row.name, &row.dataset, parameters)
        }
    }

    /// As it stands in a grant: rules left out, parameters as they were sent. A dataset that is not
    /// in the catalogue any more shows its name only.
    pub(crate) fn granted(
        granted: &'a GrantedDataset,
        context: &'a str,
        catalog: &'a Catalog,
    ) -> Self {
        let parameters = granted
            .parameters
            .iter()
            .map(|parameter| WireParameter {
                evidence_param_name: &parameter.name,
                param_type: None,
                required: None,
                value: Some(&parameter.value).filter(|value| !value.is_null()),
            })
            .collect();
        match catalog.offer(context, &granted.name) {
            Some(offer) => Self::of(&granted.name, &offer.dataset, parameters),
            None => Self::gone(&granted.name, parameters),
        }
    }

    fn of(name: &'a str, dataset: &'a Dataset, parameters: Vec<WireParameter<'a>>) -> Self {
        Self {
            evidence_code_name: name,
            description: dataset.description.as_deref(),
            parameters,
            is_asynchronous: dataset.asynchronous,
            max_valid_days: dataset.valid_days_max,
            values: dataset.values.iter().map(WireValueSpec::of).collect(),
            authorization_requirements: Vec::new(),
            service_context: None,
            belongs_to_service_contexts: dataset.contexts.iter().map(String::as_str).collect(),
            is_public: dataset.public,
            valid_to: dataset.valid_to.map(|moment| moment.to_string()),
            valid_from: dataset.valid_from.map(|moment| moment.to_string()),
            deprecation_warning: dataset.deprecation_warning.as_deref(),
            timeout: dataset.timeout_s,
            license: dataset.license.as_deref(),
        }
    }

    const fn gone(name: &'a str, parameters: Vec<WireParameter<'a>>) -> Self {
        Self {
            evidence_code_name: name,
            description: None,
            parameters,
            is_asynchronous: false,
            max_valid_days: None,
            values: Vec::new(),
            authorization_requirements: Vec::new(),
            service_context: None,
            belongs_to_service_contexts: Vec::new(),
            is_public: false,
            valid_to: None,
            valid_from: None,
            deprecation_warning: None,
            timeout: None,
            license: None,
        }
    }
}

impl<'a> WireValueSpec<'a> {
    fn of(spec: &'a ValueSpec) -> Self {
        Self {
            mime_type: spec.mime_type.as_deref(),
            evidence_value_name: &spec.name,
            description: spec.description.as_deref(),
            source: &spec.source,
            // A client that meets the word `binary` loses the whole catalogue (`clients.md` §0, 6).
            value_type: if spec.value_type == ValueType::Binary {
                ValueType::Attachment.wire_name()
            } else {
                spec.value_type.wire_name()
            },
            json_schema: spec.json_schema.as_deref(),
        }
    }
}
