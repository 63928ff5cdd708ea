//! Harvested values as bodies, enveloped and not (`wire-api.md` §9).

use bytes::Bytes;
use dan_core::dataset::{Dataset, ValueType};
use dan_core::error::{Code, Fault};
use dan_core::evidence::{Evidence, EvidenceValue};
use dan_core::flow::{Answer, Form, Presented, Presenter};
use dan_core::projection::Query;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::accreditation::WireStatusCode;
use crate::accept::Accept;

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Shapes a body as the request wants it.
pub(crate) struct EvidencePresenter {
    /// With the envelope of status and value descriptions around it.
    pub(crate) enveloped: bool,
    /// Applied without envelope only.
    pub(crate) query: Option<Query>,
    /// What the client accepts.
    pub(crate) accept: Accept,
    /// Whether the peer can be told at the end of an answer that it is whole.
    pub(crate) streams: bool,
}

impl Presenter for EvidencePresenter {
    fn form(&self, dataset: &Dataset) -> Result<Form, Fault> {
        self.accept.form(self.plain_type(dataset)).ok_or_else(|| {
            let text = "an answer comes in its own media type, as application/jose or as application/cose; name one of \
                them in Accept, or */*";
            Fault::with(Code::InvalidAuthorizationRequest, text).status(406)
        })
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault> {
        match answer.evidence {
            Evidence::Binary { bytes, media_type } => {
                Ok(self.presented(bytes.clone(), Some(media_type), None))
            }
            Evidence::Values(values) if self.enveloped => {
                let body = to_bytes(&WireEvidence::of(answer, values))?;
                Ok(self.presented(body, Some(JSON), None))
            }
            Evidence::Values(values) => self.bare(values),
            // A stream has no shape but its own.
            Evidence::Stream(_) => Err(Fault::new(Code::InternalServerError)),
        }
    }
}

impl EvidencePresenter {
    /// Media type of the plain answer, where the definition tells it.
    fn plain_type(&self, dataset: &Dataset) -> Option<&'static str> {
        let in_json = |kind: ValueType| match kind {
            ValueType::Binary => false,
            // Alone and without envelope it is the bytes that it holds.
            ValueType::Attachment => self.enveloped,
            ValueType::Boolean
            | ValueType::Number
            | ValueType::String
            | ValueType::DateTime
            | ValueType::Uri
            | ValueType::Amount
            | ValueType::JsonSchema => true,
        };
        let mut kinds = dataset.values.iter().map(|value| value.value_type);
        kinds.all(in_json).then_some(JSON)
    }

    fn presented(&self, body: Bytes, media_type: Option<&str>, query: Option<&Query>) -> Presented {
        Presented {
            body,
            media_type: media_type.map(str::to_owned),
            query: query.map(|query| query.text().to_owned()),
        }
    }

    /// `wire-api.md` §9.2: what the values are decides what the body is.
    fn bare(&self, values: &[EvidenceValue]) -> Result<Presented, Fault> {
        match values {
            [] => Ok(self.presented(Bytes::new(), None, None)),
            [only] if only.value_type == ValueType::Attachment => self.attachment(only),
            [only] if only.value_type == ValueType::JsonSchema => self.document(only),
            [only] => self.json(&only.value),
            many => match &self.query {
                None => Ok(self.presented(to_bytes(&Named(many))?, Some(JSON), None)),
                Some(_) => {
                    let object = serde_json::to_value(Named(many)).map_err(internal)?;
                    self.json(&object)
                }
            },
        }
    }

    fn json(&self, value: &Value) -> Result<Presented, Fault> {
        match &self.query {
            None => Ok(self.presented(to_bytes(value)?, Some(JSON), None)),
            Some(query) => {
                Ok(self.presented(to_bytes(&query.apply(value)?)?, Some(JSON), Some(query)))
            }
        }
    }

    /// Text passes through byte for byte; an object is pretty-printed (`wire-api.md` §9.3).
    fn document(&self, only: &EvidenceValue) -> Result<Presented, Fault> {
        match (&only.value, &self.query) {
            (Value::Null, _) => Ok(self.presented(Bytes::new(), Some(JSON), None)),
            (Value::String(text), None) => {
                Ok(self.presented(Bytes::from(text.clone()), Some(JSON), None))
            }
            (Value::String(text), Some(_)) => {
                let document = serde_json::from_str(text).map_err(|error| {
                    Fault::with(
                        Code::EvidenceSourcePermanentServer,
                        "the source's document is not JSON",
                    )
                    .because(error)
                })?;
                self.json(&document)
            }
            (value, None) => {
                let body = serde_json::to_vec_pretty(value).map_err(internal)?;
                Ok(self.presented(Bytes::from(body), Some(JSON), None))
            }
            (value, Some(_)) => self.json(value),
        }
    }

    fn attachment(&self, only: &EvidenceValue) -> Result<Presented, Fault> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let media_type = only.mime_type.as_deref().unwrap_or(BYTES);
        let body = match &only.value {
            Value::String(text) => STANDARD.decode(text).map_err(|error| {
                Fault::with(
                    Code::EvidenceSourcePermanentServer,
                    "the source's attachment is not base64",
                )
                .because(error)
            })?,
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Fault::with(
                    Code::EvidenceSourcePermanentServer,
                    "the source's attachment is not base64",
                ));
            }
        };
        Ok(self.presented(Bytes::from(body), Some(media_type), None))
    }
}

fn to_bytes(value: &impl Serialize) -> Result<Bytes, Fault> {
    serde_json::to_vec(value).map(Bytes::from).map_err(internal)
}

fn internal(error: serde_json::Error) -> Fault {
    Fault::new(Code::InternalServerError).because(error)
}

/// Values as one object, in order; names that repeat make members that repeat.
struct Named<'a>(&'a [EvidenceValue]);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for value in self.0 {
            map.serialize_entry(&value.name, &value.value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireEvidence<'a> {
    evidence_status: WireEvidenceStatus<'a>,
    evidence_values: Vec<WireValue<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireEvidenceStatus<'a> {
    evidence_code_name: &'a str,
    status: WireStatusCode,
    valid_from: String,
    valid_to: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireValue<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    evidence_value_name: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Value::is_null")]
    value: &'a Value,
    value_type: &'static str,
}

impl<'a> WireEvidence<'a> {
    fn of(answer: &Answer<'a>, values: &'a [EvidenceValue]) -> Self {
        Self {
            evidence_status: WireEvidenceStatus {
                evidence_code_name: answer.dataset,
                status: WireStatusCode::of(answer.status),
                valid_from: answer.valid_from.offset_text(),
                valid_to: answer.valid_to.offset_text(),
            },
            evidence_values: values
                .iter()
                .map(|value| WireValue {
                    mime_type: value.mime_type.as_deref(),
                    evidence_value_name: &value.name,
                    source: &value.source,
                    timestamp: value.timestamp.map(|moment| moment.to_string()),
                    value: &value.value,
                    value_type: value.value_type.wire_name(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dan_core::evidence::DatasetStatus;
    use dan_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn value(name: &str, value_type: ValueType, value: Value) -> EvidenceValue {
        EvidenceValue {
            name: name.to_owned(),
            value_type,
            source: "S".to_owned(),
            timestamp: Some(Timestamp::from_ms(0)),
            mime_type: None,
            value,
        }
    }

    fn shape(values: Vec<EvidenceValue>, enveloped: bool, query: &str) -> Result<Presented, Fault> {
        let presenter = EvidencePresenter {
            enveloped,
            query: Query::parse(query)?,
            accept: Accept::default(),
            streams: true,
        };
        presenter.present(&Answer {
            dataset: "D",
            status: DatasetStatus::Available,
            valid_from: Timestamp::from_ms(0),
            valid_to: Timestamp::from_ms(0),
            evidence: &Evidence::Values(values),
        })
    }

    fn text(presented: &Presented) -> &str {
        std::str::from_utf8(&presented.body).unwrap()
    }

    #[test]
    fn the_envelope_describes_each_value_and_leaves_null_out() {
        let values = vec![
            value("a", ValueType::Number, json!(1)),
            value("a", ValueType::String, Value::Null),
        ];
        let body = shape(values, true, "ignored").unwrap();
        let parsed: Value = serde_json::from_slice(&body.body).unwrap();
        let values = parsed
            .get("evidenceValues")
            .and_then(Value::as_array)
            .unwrap();
        assert_eq!(values.len(), 2);
        assert_eq!(values[0]["value"], json!(1));
        assert_eq!(values[0]["timestamp"], json!("1970-01-01T00:00:00Z"));
        assert!(values[1].get("value").is_none());
        assert_eq!(body.query, None);
    }

    #[test]
    fn without_envelope_the_values_decide_the_form() {
        let number = |name: &str| value(name, ValueType::Number, json!(1));
        let case = |values, query| text(&shape(values, false, query).unwrap()).to_owned();
        assert_eq!(case(vec![], ""), "");
        assert_eq!(case(vec![number("a")], ""), "1");
        assert_eq!(case(vec![number("a"), number("a")], ""), r#"{"a":1,"a":1}"#);
        assert_eq!(case(vec![number("a"), number("b")], "{x: b}"), r#"{"x":1}"#);
        assert_eq!(case(vec![number("a"), number("b")], "nothing"), "null");
        let document = |inner| vec![value("d", ValueType::JsonSchema, inner)];
        assert_eq!(case(document(json!({"a": 1})), ""), "{\n  \"a\": 1\n}");
        assert_eq!(case(document(json!("{ \"a\":1 }")), ""), "{ \"a\":1 }");
        assert_eq!(case(document(json!("{ \"a\":1 }")), "a"), "1");
        assert_eq!(
            case(vec![value("f", ValueType::Attachment, json!("aGk="))], ""),
            "hi"
        );
    }

    #[test]
    fn nonsense_from_a_source_is_the_sources_fault() {
        let bad = vec![value("f", ValueType::Attachment, json!("***"))];
        let fault = shape(bad, false, "").unwrap_err();
        assert_eq!(fault.code, Code::EvidenceSourcePermanentServer);
        let bad = vec![value("d", ValueType::JsonSchema, json!("{"))];
        assert_eq!(
            shape(bad, false, "a").unwrap_err().code,
            Code::EvidenceSourcePermanentServer
        );
    }
}
