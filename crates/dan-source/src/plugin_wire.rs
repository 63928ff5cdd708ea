//! JSON shapes of the plugin protocol: what is sent, and what comes back.

use dan_core::dataset::{Dataset, ValueType};
use dan_core::evidence::EvidenceValue;
use dan_core::inquiry::Parameter;
use dan_core::party::{ORGANISATION_SCHEME, PERSON_SCHEME, Party};
use dan_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::plugin_reader::{Members, plain_words};

/// Body of a harvest (`wire-api.md` §5.11). Every member is written, `null` where unset.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HarvesterRequest<'a> {
    /// The subject, whatever it is: number, identity number or free text.
    pub(crate) organization_number: Option<&'a str>,
    pub(crate) accreditation_id: Option<&'a str>,
    pub(crate) requestor: Option<&'a str>,
    pub(crate) subject_party: Option<WireParty<'a>>,
    pub(crate) requestor_party: Option<WireParty<'a>>,
    /// Always `null`: datasets that answer later are refused.
    pub(crate) async_evidence_code_action: Option<u8>,
    pub(crate) service_context: Option<&'a str>,
    pub(crate) evidence_code_name: &'a str,
    pub(crate) parameters: Option<Vec<WireParameter<'a>>>,
    /// Consent token; always `null`, rules of consent are refused before a harvest.
    pub(crate) jwt: Option<&'a str>,
    /// Token for the source.
    pub(crate) mp_token: Option<&'a str>,
}

/// A party, unmasked (`wire-api.md` §5.3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireParty<'a> {
    scheme: Option<&'static str>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    norwegian_organization_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    norwegian_social_security_number: Option<&'a str>,
}

impl<'a> From<&'a Party> for WireParty<'a> {
    fn from(party: &'a Party) -> Self {
        let (scheme, id) = match party {
            Party::Organisation(number) => (Some(ORGANISATION_SCHEME), number.actor_id()),
            Party::Person(number) => (Some(PERSON_SCHEME), number.expose().to_owned()),
            Party::Foreign { icd, id } => (Some(ORGANISATION_SCHEME), format!("{icd}:{id}")),
            Party::Custom(text) => (None, text.clone()),
        };
        let (organisation, person) = match party {
            Party::Organisation(number) => (Some(number.as_str()), None),
            Party::Person(number) => (None, Some(number.expose())),
            Party::Foreign { .. } | Party::Custom(_) => (None, None),
        };
        Self {
            scheme,
            id,
            norwegian_organization_number: organisation,
            norwegian_social_security_number: person,
        }
    }
}

/// A parameter, as the client sent it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireParameter<'a> {
    evidence_param_name: &'a str,
    value: &'a Value,
}

impl<'a> From<&'a Parameter> for WireParameter<'a> {
    fn from(parameter: &'a Parameter) -> Self {
        Self {
            evidence_param_name: &parameter.name,
            value: &parameter.value,
        }
    }
}

/// Reads the values of an answer. Values that the definition does not declare are left out
/// (`engine.md` W-42); what a value leaves unsaid is taken from the definition.
///
/// # Errors
/// What is wrong, without any value.
pub(crate) fn read_values(
    list: Vec<Value>,
    dataset: &Dataset,
    now: Timestamp,
) -> Result<Vec<EvidenceValue>, String> {
    let mut values = Vec::with_capacity(dataset.values.len());
    for entry in list {
        let mut members = Members::of(entry)?;
        let name = members
            .text("evidenceValueName")?
            .ok_or("a value without evidenceValueName")?;
        let Some(spec) = dataset.values.iter().find(|spec| spec.name == name) else {
            continue;
        };
        let value_type = match members.text("valueType")? {
            Some(text) => ValueType::parse(&text).ok_or("an unknown valueType")?,
            None => spec.value_type,
        };
        if value_type == ValueType::Binary {
            return Err("a binary value inside JSON".to_owned());
        }
        let stamp = members.text("timestamp").ok().flatten();
        values.push(EvidenceValue {
            name,
            value_type,
            source: members
                .text("source")?
                .unwrap_or_else(|| spec.source.clone()),
            timestamp: Some(
                stamp
                    .and_then(|text| Timestamp::parse(&text))
                    .unwrap_or(now),
            ),
            mime_type: members.text("mimeType")?.or_else(|| spec.mime_type.clone()),
            value: members.take("value").unwrap_or(Value::Null),
        });
    }
    Ok(values)
}

/// A plugin's refusal or failure (`wire-api.md` §5.8, §7.3).
pub(crate) struct ErrorModel {
    /// 3001, 3002 or 3003; anything else is the plugin's mistake.
    pub(crate) code: Option<i64>,
    /// The plugin's own number; 0 when it gives none, or one that is no number.
    pub(crate) detail: u32,
    /// The plugin's own words: what follows the first `": "`.
    pub(crate) words: String,
}

impl ErrorModel {
    /// `None` when the document holds none of the members that make an error model.
    pub(crate) fn read(document: Value) -> Option<Self> {
        let mut members = Members::of(document).ok()?;
        let code = members.take("code");
        let description = members.take("description");
        let detail = members.take("detailCode");
        if code.is_none() && description.is_none() && detail.is_none() {
            return None;
        }
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let words = description
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|text| text.split_once(": "))
            .map(|(_, words)| plain_words(words))
            .unwrap_or_default();
        Some(Self {
            code: code.as_ref().and_then(number),
            detail: detail
                .as_ref()
                .and_then(number)
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(0),
            words,
        })
    }
}

/// Whether this is what the host of a plugin says when the plugin crashed (`wire-api.md` §7.3).
pub(crate) fn is_host_error(document: &Value) -> bool {
    const MEMBERS: [&str; 6] = [
        "id",
        "requestId",
        "statusCode",
        "errorCode",
        "message",
        "errorDetails",
    ];
    document.as_object().is_some_and(|members| {
        members
            .keys()
            .any(|name| MEMBERS.iter().any(|known| known.eq_ignore_ascii_case(name)))
    })
}

#[cfg(test)]
mod tests {
    use dan_core::testkit::builders;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000);

    fn values(list: Value) -> Result<Vec<EvidenceValue>, String> {
        let Value::Array(list) = list else {
            panic!("a list is needed");
        };
        read_values(list, &builders::dataset("d"), NOW)
    }

    #[test]
    fn what_a_value_leaves_unsaid_comes_from_the_definition() {
        let read = values(json!([{"evidenceValueName": "navn", "value": "x"}])).unwrap();
        assert_eq!(read[0].value_type, ValueType::String);
        assert_eq!(read[0].source, "Testregisteret");
        assert_eq!(read[0].timestamp, Some(NOW));
        assert_eq!(read[0].value, json!("x"));
    }

    #[test]
    fn what_a_value_says_is_kept_and_more_is_ignored_w35() {
        let read = values(json!([{
            "EvidenceValueName": "navn", "valueType": 8, "source": "Other", "mimeType": "a/b",
            "timestamp": "1970-01-01T00:00:02Z", "value": {"a": [1, null]}, "somethingNew": {}
        }]))
        .unwrap();
        assert_eq!(read[0].value_type, ValueType::JsonSchema);
        assert_eq!(read[0].source, "Other");
        assert_eq!(read[0].mime_type.as_deref(), Some("a/b"));
        assert_eq!(read[0].timestamp, Some(Timestamp::from_ms(2_000)));
        assert_eq!(read[0].value, json!({"a": [1, null]}));
    }

    #[test]
    fn undeclared_values_are_left_out_and_null_is_a_value_w42() {
        let read = values(json!([
            {"evidenceValueName": "fnr", "valueType": "no such", "value": "secret"},
            {"evidenceValueName": "navn", "valueType": "string", "timestamp": "bad", "value": null},
            {"evidenceValueName": "navn", "valueType": "string"}
        ]))
        .unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].value, Value::Null);
        assert_eq!(read[0].timestamp, Some(NOW));
    }

    #[test]
    fn values_that_make_no_sense_are_refused_without_being_repeated() {
        for list in [
            json!(["navn"]),
            json!([null]),
            json!([{"valueType": "string", "value": "hush"}]),
            json!([{"evidenceValueName": "navn", "valueType": "hush"}]),
            json!([{"evidenceValueName": "navn", "valueType": "binary", "value": "hush"}]),
            json!([{"evidenceValueName": "navn", "source": ["hush"]}]),
            json!([{"evidenceValueName": "navn", "value": "hush", "Value": "hush"}]),
        ] {
            let error = values(list.clone()).unwrap_err();
            assert!(!error.contains("hush"), "{list}: {error}");
        }
    }

    #[test]
    fn error_models_are_told_from_other_documents() {
        let read = |document| ErrorModel::read(document).map(|m| (m.code, m.detail, m.words));
        let model =
            json!({"code": 3002, "detailCode": "1003", "description": "Default: not here: no"});
        let words = "not here: no".to_owned();
        assert_eq!(read(model), Some((Some(3002), 1003, words)));
        let odd = json!({"CODE": "3001", "detailCode": "abc", "description": "no colon"});
        assert_eq!(read(odd), Some((Some(3001), 0, String::new())));
        let negative = json!({"description": "x: y\nz", "detailCode": -1});
        assert_eq!(read(negative), Some((None, 0, "y z".to_owned())));
        for none in [
            json!({}),
            json!({"message": "m"}),
            json!([]),
            json!(null),
            json!("x"),
        ] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
        assert!(is_host_error(&json!({"requestId": "1"})));
        assert!(!is_host_error(&json!({"code": 1})));
        assert!(!is_host_error(&json!(["id"])));
    }

    #[test]
    fn parties_are_written_as_the_plugins_know_them() {
        let wire = |party: &Party| serde_json::to_value(WireParty::from(party)).unwrap();
        assert_eq!(
            wire(&Party::from_canonical("0192:991825827").unwrap()),
            json!({"scheme": "iso6523-actorid-upis", "id": "0192:991825827",
                   "norwegianOrganizationNumber": "991825827"})
        );
        assert_eq!(
            wire(&Party::from_canonical("nor-freg::07056120453").unwrap()),
            json!({"scheme": "nor-freg", "id": "07056120453",
                   "norwegianSocialSecurityNumber": "07056120453"})
        );
        assert_eq!(
            wire(&Party::from_canonical("9999:x").unwrap()),
            json!({"scheme": "iso6523-actorid-upis", "id": "9999:x"})
        );
        assert_eq!(
            wire(&Party::Custom("0301/1/2".to_owned())),
            json!({"scheme": null, "id": "0301/1/2"})
        );
    }
}
