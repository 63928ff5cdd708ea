//! Reads the metadata of a plugin: the datasets it offers (`wire-api.md` §5.4).
//!
//! A dataset with anything in it that cannot be understood is kept under its name, closed, so that
//! nobody gets it by a rule that was not read (`engine.md` W-06). The others are not affected.

use std::sync::Arc;

use dan_core::dataset::{Alias, Dataset, ParameterSpec, ValueSpec, ValueType};
use dan_core::requirement::{CpvList, OnFailure, Requirement, Rule, Undecided};
use serde_json::Value;

use crate::plugin_reader::{Members, plain_words, read_json};
use crate::plugin_rules::read_rules;

/// Most datasets of one plugin.
const DATASETS_MAX: usize = 1_000;
/// Longest name of a dataset, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Reads the answer of `GET evidencecodes`. `cpv` are the codes of the catalogue, for legal bases.
///
/// # Errors
/// When it is no list at all; one bad entry is no reason to lose the others (`engine.md` W-21).
pub(crate) fn read_datasets(
    plugin: &str,
    body: &[u8],
    cpv: Option<&Arc<CpvList>>,
) -> Result<Vec<Dataset>, String> {
    let Value::Array(entries) = read_json(body)? else {
        return Err("the metadata is no list of datasets".to_owned());
    };
    if entries.len() > DATASETS_MAX {
        return Err(format!("more than {DATASETS_MAX} datasets"));
    }
    let mut datasets = Vec::with_capacity(entries.len());
    for entry in entries {
        match read_dataset(plugin, entry, cpv) {
            Ok(dataset) => {
                if let Some(reason) = &dataset.unavailable {
                    let dataset = &dataset.name;
                    tracing::error!(plugin, dataset, reason, "the dataset is closed");
                }
                datasets.push(dataset);
            }
            Err(reason) => tracing::error!(plugin, reason, "a dataset is left out"),
        }
    }
    Ok(datasets)
}

/// `Err` when there is no name to close it under.
fn read_dataset(plugin: &str, entry: Value, cpv: Option<&Arc<CpvList>>) -> Result<Dataset, String> {
    let mut members = Members::of(entry)?;
    let name = members
        .text("evidenceCodeName")?
        .filter(|name| is_addressable(name))
        .ok_or("evidenceCodeName is missing, or cannot stand in an address")?;
    let mut dataset = nameless(plugin);
    dataset.name = name;
    if let Err(reason) = fill(&mut dataset, &mut members, plugin, cpv) {
        dataset.unavailable = Some(plain_words(&reason));
        dataset.rules = vec![never(&dataset.name, plugin)];
    }
    Ok(dataset)
}

/// The name becomes the last part of the plugin's address.
fn is_addressable(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "/\\?#%".contains(c);
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(forbidden)
        && name.chars().any(|c| c != '.')
}

fn nameless(plugin: &str) -> Dataset {
    Dataset {
        name: String::new(),
        description: None,
        publisher: plugin.to_owned(),
        contexts: Vec::new(),
        aliases: Vec::new(),
        values: Vec::new(),
        parameters: Vec::new(),
        rules: Vec::new(),
        unavailable: None,
        public: false,
        asynchronous: false,
        valid_days_max: None,
        timeout_s: None,
        bytes_max: None,
        source_scopes: None,
        license: None,
        valid_from: None,
        valid_to: None,
        deprecation_warning: None,
        mapping: Arc::from("null"),
    }
}

/// Stands in for rules that could not be read, should anybody overlook that the dataset is closed.
fn never(dataset: &str, plugin: &str) -> Rule {
    Rule {
        id: format!("{dataset}/unreadable"),
        origin: format!("plugin {plugin}"),
        requirement: Requirement::Undecided(Undecided {
            kind: "unreadable".to_owned(),
            wire_type: "Requirement".to_owned(),
        }),
        on_failure: OnFailure::Deny,
        contexts: Vec::new(),
        at_harvest: true,
    }
}

/// Where it is offered comes first, so that a closed dataset is known to be there. The deprecated
/// `serviceContext` binds nothing, as in DAN (`wire-api.md` §12.2).
fn fill(
    dataset: &mut Dataset,
    members: &mut Members,
    plugin: &str,
    cpv: Option<&Arc<CpvList>>,
) -> Result<(), String> {
    dataset.contexts = members.texts("belongsToServiceContexts")?;
    dataset.public = members.flag("isPublic", false)?;
    for alias in members.list("datasetAliases")? {
        dataset.aliases.push(read_alias(alias)?);
    }
    dataset.asynchronous = members.flag("isAsynchronous", false)?;
    dataset.rules = read_rules(
        &dataset.name,
        plugin,
        members.list("authorizationRequirements")?,
        cpv,
    )?;
    for value in members.list("values")? {
        let spec = read_value_spec(value)?;
        if dataset.values.iter().any(|known| known.name == spec.name) {
            return Err("two values have the same name".to_owned());
        }
        dataset.values.push(spec);
    }
    for parameter in members.list("parameters")? {
        dataset.parameters.push(read_parameter(parameter)?);
    }
    dataset.publisher = publisher(&dataset.values, plugin);
    dataset.description = members.text("description")?;
    dataset.valid_days_max = members.number("maxValidDays")?;
    dataset.timeout_s = members.number("timeout")?;
    dataset.source_scopes = members
        .text("requiredScopes")?
        .filter(|scopes| !scopes.trim().is_empty());
    dataset.license = members.text("license")?;
    dataset.valid_from = members.moment("validFrom")?;
    dataset.valid_to = members.moment("validTo")?;
    dataset.deprecation_warning = members.text("deprecationWarning")?;
    if dataset.values.is_empty() {
        return Err("it declares no values".to_owned());
    }
    if dataset.timeout_s == Some(0) {
        return Err("timeout is 0".to_owned());
    }
    if dataset.asynchronous {
        return Err("it answers later, which this version cannot ask for".to_owned());
    }
    Ok(())
}

fn read_alias(value: Value) -> Result<Alias, String> {
    let mut members = Members::of(value)?;
    let named = |text: Option<String>| {
        text.filter(|text| !text.is_empty())
            .ok_or("an alias without context or name")
    };
    Ok(Alias {
        context: named(members.text("ServiceContext")?)?,
        name: named(members.text("DatasetAliasName")?)?,
    })
}

fn read_value_spec(value: Value) -> Result<ValueSpec, String> {
    let mut members = Members::of(value)?;
    let name = members
        .text("evidenceValueName")?
        .filter(|name| !name.is_empty())
        .ok_or("a value without evidenceValueName")?;
    let value_type = members
        .text("valueType")?
        .and_then(|text| ValueType::parse(&text))
        .ok_or_else(|| format!("the value {name} has no known valueType"))?;
    Ok(ValueSpec {
        name,
        value_type,
        source: members.text("source")?.unwrap_or_default(),
        description: members.text("description")?,
        mime_type: members.text("mimeType")?,
        // The misspelling is the contract.
        json_schema: members.text("jsonSchemaDefintion")?,
    })
}

fn read_parameter(value: Value) -> Result<ParameterSpec, String> {
    let mut members = Members::of(value)?;
    let name = members
        .text("evidenceParamName")?
        .filter(|name| !name.is_empty())
        .ok_or("a parameter without evidenceParamName")?;
    let parameter_type = members
        .text("paramType")?
        .map(|text| {
            ValueType::parse(&text).ok_or_else(|| format!("the parameter {name} has no known type"))
        })
        .transpose()?;
    Ok(ParameterSpec {
        parameter_type,
        required: members.flag("required", false)?,
        name,
    })
}

/// The register all values come from, in the plugin's words; the plugin where there are several.
fn publisher(values: &[ValueSpec], plugin: &str) -> String {
    let first = values.first().map_or("", |value| &value.source);
    if first.is_empty() || values.iter().any(|value| value.source != first) {
        return plugin.to_owned();
    }
    first.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(members: &Value) -> Dataset {
        let mut entry = json!({"evidenceCodeName": "D", "belongsToServiceContexts": ["eBevis"],
            "values": [{"evidenceValueName": "default", "valueType": "string", "source": "R"}]});
        for (name, value) in members.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let body = serde_json::to_vec(&json!([entry])).unwrap();
        read_datasets("demo", &body, None).unwrap().remove(0)
    }

    #[test]
    fn a_definition_is_read_whole() {
        let dataset = one(&json!({
            "description": "Tax arrears", "isAsynchronous": false, "maxValidDays": "90",
            "evidenceSource": "ignored", "serviceEditionCode": 0, "requiredScopes": "a:b c:d",
            "isPublic": true, "validTo": "2030-01-01", "timeout": 60, "license": "nlod",
            "deprecationWarning": "soon", "parameters": [
                {"evidenceParamName": "year", "paramType": 2, "required": true},
                {"evidenceParamName": "free"}],
            "datasetAliases": [{"ServiceContext": "Tilda", "DatasetAliasName": "A"}]
        }));
        assert_eq!(dataset.unavailable, None);
        assert_eq!(dataset.valid_days_max, Some(90));
        assert_eq!(dataset.timeout_s(), 60);
        assert_eq!(dataset.source_scopes.as_deref(), Some("a:b c:d"));
        assert!(dataset.public);
        assert_eq!(dataset.publisher, "R");
        assert_eq!(
            dataset.parameters[0].parameter_type,
            Some(ValueType::Number)
        );
        assert!(dataset.parameters[0].required);
        assert_eq!(dataset.parameters[1].parameter_type, None);
        assert_eq!(dataset.aliases[0].name, "A");
        assert_eq!(&*dataset.mapping, "null");
    }

    #[test]
    fn what_is_not_understood_closes_that_dataset_under_its_name_w06() {
        for members in [
            json!({"authorizationRequirements": [{"requiredScopes": ["a"]}]}),
            json!({"AuthorizationRequirements": [{"$type": "X, Dan.Common"}]}),
            json!({"authorizationRequirements": {}}),
            json!({"values": []}),
            json!({"values": [{"evidenceValueName": "x", "valueType": "new"}]}),
            json!({"values": [{"evidenceValueName": "x", "valueType": "string"},
                              {"evidenceValueName": "x", "valueType": "string"}]}),
            json!({"parameters": [{"evidenceParamName": "x", "paramType": "new"}]}),
            json!({"maxValidDays": -1}),
            json!({"timeout": 0}),
            json!({"timeout": "soon"}),
            json!({"validTo": "never"}),
            json!({"isPublic": "perhaps"}),
            json!({"datasetAliases": [{"ServiceContext": "Tilda"}]}),
            json!({"isAsynchronous": true}),
        ] {
            let dataset = one(&members);
            assert_eq!(dataset.name, "D");
            assert_eq!(dataset.contexts, ["eBevis"]);
            assert!(dataset.unavailable.is_some(), "{members}");
            assert!(
                dataset.rules.iter().any(|rule| rule.id == "D/unreadable"),
                "{members}"
            );
        }
    }

    #[test]
    fn one_bad_entry_costs_no_other_w21() {
        let good = json!({"evidenceCodeName": "Good.zip", "belongsToServiceContexts": ["Test"],
            "values": [{"evidenceValueName": "v", "valueType": "binary"}]});
        let body = json!([
            {"values": []}, 7, null, {"evidenceCodeName": ""}, {"evidenceCodeName": "../admin"},
            {"evidenceCodeName": ".."}, {"evidenceCodeName": "a b"}, {"evidenceCodeName": "a%2fb"},
            {"evidenceCodeName": "x".repeat(300)}, good
        ]);
        let read = read_datasets("demo", body.to_string().as_bytes(), None).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].name, "Good.zip");
        assert!(read[0].is_binary() && read[0].unavailable.is_none());
        assert_eq!(read[0].publisher, "demo");
    }

    #[test]
    fn what_is_no_list_is_refused_whole() {
        let many = json!(vec![json!({}); DATASETS_MAX + 1]).to_string();
        for body in ["", "null", "{}", "<html>", "[", r#"[{"a":1,"a":1}]"#, &many] {
            assert!(read_datasets("demo", body.as_bytes(), None).is_err());
        }
    }

    #[test]
    fn the_legacy_context_binds_nothing() {
        let dataset = one(&json!({"belongsToServiceContexts": null, "serviceContext": "eBevis"}));
        assert!(dataset.contexts.is_empty());
    }
}
