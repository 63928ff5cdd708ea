//! The stored shape of a grant.

use dan_core::accreditation::{Accreditation, AccreditationId, GrantedDataset, SkippedDataset};
use dan_core::inquiry::{LegalBasis, LegalBasisKind, Parameter};
use dan_core::ports::StoreError;
use dan_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use zeroize::Zeroizing;

use super::{
    StoredParty, VERSION, check_version, corrupt, from_text, not_opened, not_sealed, read_org,
    to_text, write_org,
};
use crate::seal::{Place, Sealer};

const KIND: &str = "accreditation";

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    id: String,
    owner: String,
    context: String,
    requestor: StoredParty,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<StoredParty>,
    datasets: Vec<Dataset>,
    skipped: Vec<Skipped>,
    legal_bases: Vec<Basis>,
    issued: Timestamp,
    last_changed: Timestamp,
    valid_to: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_reference: Option<String>,
    language: String,
    /// Sealed [`Hidden`].
    hidden: String,
}

#[derive(Serialize, Deserialize)]
struct Dataset {
    name: String,
    /// Names; the values are hidden.
    parameters: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_basis_id: Option<String>,
    request_consent: bool,
}

#[derive(Serialize, Deserialize)]
struct Skipped {
    name: String,
    rule_id: String,
}

#[derive(Serialize, Deserialize)]
struct Basis {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<BasisKind>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BasisKind {
    Espd,
    Cpv,
}

/// What may tell of a person, sealed as one text.
#[derive(Serialize, Deserialize)]
struct Hidden {
    /// Values of the parameters of each dataset, in order.
    parameters: Vec<Vec<StoredValue>>,
    /// Content of each legal basis, in order. An ESPD names the managers of a company.
    legal_bases: Vec<String>,
    /// May carry a session of the subject.
    redirect_url: Option<String>,
}

/// A parameter value. Numbers are not kept as JSON, whose readers may round the last bit.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredValue {
    Null,
    Bool(bool),
    Text(String),
    Signed(i64),
    Unsigned(u64),
    /// The bits of an `f64`.
    Float(u64),
    /// A list or an object, which no parameter is (`wire-api.md` §11 step 7), as JSON text.
    Json(String),
}

impl StoredValue {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(_) | Value::Object(_) => Self::Json(value.to_string()),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), _, _) => Self::Signed(number),
                (None, Some(number), _) => Self::Unsigned(number),
                (None, None, Some(number)) => Self::Float(number.to_bits()),
                (None, None, None) => Self::Json(value.to_string()),
            },
        }
    }

    fn read(self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Text(text) => Value::String(text),
            Self::Signed(number) => Value::from(number),
            Self::Unsigned(number) => Value::from(number),
            Self::Float(bits) => Value::Number(Number::from_f64(f64::from_bits(bits))?),
            Self::Json(text) => serde_json::from_str(&text).ok()?,
        })
    }
}

fn place<'a>(field: &'static str, id: &'a str) -> Place<'a> {
    Place {
        kind: KIND,
        field,
        id,
    }
}

/// The stored text of a grant.
///
/// # Errors
/// [`StoreError::Unavailable`] when nothing can be sealed.
pub(crate) fn encode_accreditation(
    value: &Accreditation,
    sealer: &Sealer,
) -> Result<String, StoreError> {
    let id = value.id.as_str();
    let record = Record {
        v: VERSION,
        id: id.to_owned(),
        owner: write_org(value.owner),
        context: value.context.clone(),
        requestor: StoredParty::seal(&value.requestor, place("requestor", id), sealer)?,
        subject: value
            .subject
            .as_ref()
            .map(|party| StoredParty::seal(party, place("subject", id), sealer))
            .transpose()?,
        datasets: value.datasets.iter().map(write_dataset).collect(),
        skipped: value
            .skipped
            .iter()
            .map(|one| Skipped {
                name: one.name.clone(),
                rule_id: one.rule_id.clone(),
            })
            .collect(),
        legal_bases: value.legal_bases.iter().map(write_basis).collect(),
        issued: value.issued,
        last_changed: value.last_changed,
        valid_to: value.valid_to,
        consent_reference: value.consent_reference.clone(),
        external_reference: value.external_reference.clone(),
        language: value.language.clone(),
        hidden: hide(value, sealer)?,
    };
    to_text(&record)
}

/// Reads what [`encode_accreditation`] wrote under this identifier.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn decode_accreditation(
    id: &str,
    text: &str,
    sealer: &Sealer,
) -> Result<Accreditation, StoreError> {
    let record: Record = from_text(KIND, id, text)?;
    check_version(KIND, id, record.v)?;
    if record.id != id {
        return Err(corrupt(KIND, id, "the record is of another accreditation"));
    }
    let hidden = reveal(id, &record.hidden, sealer)?;
    let differ = || corrupt(KIND, id, "the sealed part is of another form");
    if hidden.parameters.len() != record.datasets.len()
        || hidden.legal_bases.len() != record.legal_bases.len()
    {
        return Err(differ());
    }
    let datasets = record.datasets.into_iter().zip(hidden.parameters);
    let bases = record.legal_bases.into_iter().zip(hidden.legal_bases);
    Ok(Accreditation {
        id: AccreditationId::parse(id).ok_or_else(|| corrupt(KIND, id, "not an identifier"))?,
        owner: read_org(KIND, id, &record.owner)?,
        context: record.context,
        requestor: record.requestor.open(place("requestor", id), sealer)?,
        subject: record
            .subject
            .map(|party| party.open(place("subject", id), sealer))
            .transpose()?,
        datasets: datasets
            .map(|(dataset, values)| read_dataset(dataset, values))
            .collect::<Option<_>>()
            .ok_or_else(differ)?,
        skipped: record
            .skipped
            .into_iter()
            .map(|one| SkippedDataset {
                name: one.name,
                rule_id: one.rule_id,
            })
            .collect(),
        legal_bases: bases
            .map(|(basis, content)| read_basis(basis, content))
            .collect(),
        issued: record.issued,
        last_changed: record.last_changed,
        valid_to: record.valid_to,
        consent_reference: record.consent_reference,
        external_reference: record.external_reference,
        language: record.language,
        consent_receipt_redirect_url: hidden.redirect_url,
    })
}

fn hide(value: &Accreditation, sealer: &Sealer) -> Result<String, StoreError> {
    let values = |dataset: &GrantedDataset| {
        let parameters = dataset.parameters.iter();
        parameters.map(|one| StoredValue::of(&one.value)).collect()
    };
    let hidden = Hidden {
        parameters: value.datasets.iter().map(values).collect(),
        legal_bases: value
            .legal_bases
            .iter()
            .map(|basis| basis.content.clone())
            .collect(),
        redirect_url: value.consent_receipt_redirect_url.clone(),
    };
    let text = Zeroizing::new(to_text(&hidden)?);
    sealer
        .seal(place("hidden", value.id.as_str()), text.as_bytes())
        .map_err(not_sealed)
}

fn reveal(id: &str, sealed: &str, sealer: &Sealer) -> Result<Hidden, StoreError> {
    let place = place("hidden", id);
    let plain = sealer
        .open(place, sealed)
        .map_err(|error| not_opened(place, error))?;
    serde_json::from_slice(&plain)
        .map_err(|_may_repeat_text| corrupt(KIND, id, "the sealed part does not read"))
}

fn write_dataset(dataset: &GrantedDataset) -> Dataset {
    Dataset {
        name: dataset.name.clone(),
        parameters: dataset
            .parameters
            .iter()
            .map(|parameter| parameter.name.clone())
            .collect(),
        legal_basis_id: dataset.legal_basis_id.clone(),
        request_consent: dataset.request_consent,
    }
}

fn read_dataset(dataset: Dataset, values: Vec<StoredValue>) -> Option<GrantedDataset> {
    if dataset.parameters.len() != values.len() {
        return None;
    }
    let parameters = dataset.parameters.into_iter().zip(values);
    Some(GrantedDataset {
        name: dataset.name,
        parameters: parameters
            .map(|(name, value)| {
                Some(Parameter {
                    name,
                    value: value.read()?,
                })
            })
            .collect::<Option<_>>()?,
        legal_basis_id: dataset.legal_basis_id,
        request_consent: dataset.request_consent,
    })
}

fn write_basis(basis: &LegalBasis) -> Basis {
    Basis {
        id: basis.id.clone(),
        kind: basis.kind.map(|kind| match kind {
            LegalBasisKind::Espd => BasisKind::Espd,
            LegalBasisKind::Cpv => BasisKind::Cpv,
        }),
    }
}

fn read_basis(basis: Basis, content: String) -> LegalBasis {
    LegalBasis {
        id: basis.id,
        kind: basis.kind.map(|kind| match kind {
            BasisKind::Espd => LegalBasisKind::Espd,
            BasisKind::Cpv => LegalBasisKind::Cpv,
        }),
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::testkit::store_suite::{self, PARAMETER, PERSON};

    fn sealer() -> Sealer {
        Sealer::new(&[7; 32])
    }

    #[test]
    fn a_grant_reads_back_and_hides_its_person() {
        let grant = store_suite::grant(1);
        let text = encode_accreditation(&grant, &sealer()).unwrap();
        let read = decode_accreditation(grant.id.as_str(), &text, &sealer());
        assert_eq!(read, Ok(grant));
        for secret in [PERSON, PARAMETER, "<espd>", "example.org"] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert!(text.contains("0192:974760673"), "organisations are clear");
    }

    #[test]
    fn a_record_does_not_pass_for_another() {
        let (one, two) = (store_suite::grant(1), store_suite::grant(2));
        let text = encode_accreditation(&one, &sealer()).unwrap();
        let read = |text: &str| decode_accreditation(two.id.as_str(), text, &sealer());
        assert!(matches!(read(&text), Err(StoreError::Corrupt(_))));
        // With the identifier exchanged as well, the sealed parts do not open.
        let forged = text.replace(one.id.as_str(), two.id.as_str());
        assert!(matches!(read(&forged), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn newer_and_broken_records_are_told_apart_without_their_text() {
        let grant = store_suite::grant(1);
        let text = encode_accreditation(&grant, &sealer()).unwrap();
        let read = |text: &str| decode_accreditation(grant.id.as_str(), text, &sealer());
        for (changed, expected) in [
            (text.replace("\"v\":1", "\"v\":2"), "version 2"),
            ("{\"v\":2}".to_owned(), "version 2"),
            ("{\"v\":1,\"id\":\"07056120453\"}".to_owned(), "line 1"),
            (
                text.replace("\"owner\":\"0192", "\"owner\":17,\"x\":\"07056120453"),
                "line 1",
            ),
            ("07056120453".to_owned(), "line 1"),
            (text.replace("0192:974760673", "974760673"), "party"),
            (text.replace("0192:991825827", "9999:1"), "organisation"),
        ] {
            let Err(StoreError::Corrupt(told)) = read(&changed) else {
                panic!("{changed} was read");
            };
            assert!(told.contains(expected), "{told}");
            assert!(!told.contains("0705"), "{told}");
        }
    }

    #[test]
    fn lists_and_objects_read_back_too() {
        for value in [serde_json::json!([1, "a"]), serde_json::json!({"b": null})] {
            assert_eq!(StoredValue::of(&value).read(), Some(value));
        }
        assert!(StoredValue::Float(f64::NAN.to_bits()).read().is_none());
    }
}
