//! `POST authorization`: the request body (`wire-api.md` §5.2).
//!
//! `requestorParty`, `subjectParty` and `fromEvidenceHarvester` are never read (`engine.md` W-01, W-02).

use dan_core::error::{Code, Fault};
use dan_core::inquiry::{Application, DatasetRequest, LegalBasis, LegalBasisKind, Parameter};
use serde_json::Value;

use super::json::{Members, parse, wrong};

/// Reads the body.
///
/// # Errors
/// 1014 for what cannot be understood; 1008 for an unknown type of legal basis.
pub(crate) fn read(body: &[u8]) -> Result<Application, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(wrong("the body", "is empty; send a JSON object"));
    }
    let value = parse(body)?;
    let members = Members::of(&value, "the body")?;
    Ok(Application {
        requestor: members.text("requestor")?,
        subject: members.text("subject")?,
        datasets: members
            .list("evidenceRequests")?
            .iter()
            .map(read_dataset)
            .collect::<Result<_, _>>()?,
        legal_bases: members
            .list("legalBasisList")?
            .iter()
            .map(read_legal_basis)
            .collect::<Result<_, _>>()?,
        valid_to: members.moment("validTo")?,
        consent_reference: members.text("consentReference")?,
        external_reference: members.text("externalReference")?,
        language: members.text("languageCode")?,
        consent_receipt_redirect_url: members.text("consentReceiptRedirectUrl")?,
        skip_notification: members.flag("skipAltinnNotification")?.unwrap_or(false),
    })
}

fn read_dataset(value: &Value) -> Result<DatasetRequest, Fault> {
    let members = Members::of(value, "evidenceRequests")?;
    Ok(DatasetRequest {
        name: members
            .text("evidenceCodeName")?
            .ok_or_else(|| wrong("evidenceRequests", "each needs an evidenceCodeName"))?,
        parameters: members
            .list("parameters")?
            .iter()
            .map(read_parameter)
            .collect::<Result<_, _>>()?,
        legal_basis_id: members.text("legalBasisId")?,
        request_consent: members.flag("requestConsent")?.unwrap_or(false),
    })
}

fn read_parameter(value: &Value) -> Result<Parameter, Fault> {
    let members = Members::of(value, "parameters")?;
    Ok(Parameter {
        name: members
            .text("evidenceParamName")?
            .ok_or_else(|| wrong("parameters", "each needs an evidenceParamName"))?,
        // Kept as it was sent; the type is checked against the definition.
        value: members.get("value").cloned().unwrap_or(Value::Null),
    })
}

fn read_legal_basis(value: &Value) -> Result<LegalBasis, Fault> {
    let members = Members::of(value, "legalBasisList")?;
    Ok(LegalBasis {
        id: members.text("id")?.unwrap_or_default(),
        kind: members
            .text("type")?
            .filter(|text| !text.is_empty())
            .map(|text| kind(&text))
            .transpose()?,
        content: members.text("content")?.unwrap_or_default(),
    })
}

/// The wire word in any case, or its number (`wire-api.md` §6).
fn kind(text: &str) -> Result<LegalBasisKind, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "espd" | "1" => Ok(LegalBasisKind::Espd),
        "cpv" | "2" => Ok(LegalBasisKind::Cpv),
        _ => Err(Fault::with(
            Code::InvalidLegalBasis,
            "the type must be espd or cpv",
        )),
    }
}

/// The subject in a direct-harvest body: `{"subject": …}`; anything else is no subject
/// (`wire-api.md` §4.8).
pub(crate) fn read_subject(body: &[u8]) -> Option<String> {
    let value = parse(body).ok()?;
    Members::of(&value, "the body").ok()?.text("subject").ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_real_clients_are_read() {
        let body = br#"{"accreditationId":null,"requestor":991825827,"subject":998997801,
            "evidenceRequests":[{"EvidenceCodeName":"A","RequestConsent":"true","parameters":
            [{"evidenceParamName":"NumberOfYears","value":2,"paramType":"number"}]}],
            "legalBasisList":[{"Id":"1","Type":"Cpv","Content":"45000000-7"}],
            "skipAltinnNotification":false,"validTo":"2030-01-01"}"#;
        let application = read(body).unwrap();
        assert_eq!(application.requestor.as_deref(), Some("991825827"));
        let dataset = application.datasets.first().unwrap();
        assert_eq!(dataset.name, "A");
        assert!(dataset.request_consent);
        assert_eq!(dataset.parameters.first().unwrap().value, Value::from(2));
        assert_eq!(
            application.legal_bases.first().unwrap().kind,
            Some(LegalBasisKind::Cpv)
        );
    }

    #[test]
    fn what_cannot_be_understood_is_1014_not_500() {
        for body in [
            "",
            "  ",
            "null",
            "[]",
            "{",
            "\"x\"",
            r#"{"evidenceRequests":{}}"#,
            r#"{"evidenceRequests":[null]}"#,
            r#"{"evidenceRequests":[{}]}"#,
            r#"{"validTo":"tomorrow"}"#,
            r#"{"skipAltinnNotification":"maybe"}"#,
            r#"{"requestor":{}}"#,
        ] {
            let fault = read(body.as_bytes()).unwrap_err();
            assert_eq!(fault.code, Code::InvalidAuthorizationRequest, "{body}");
        }
    }

    #[test]
    fn parties_and_origin_of_the_body_are_never_read_w01_w02() {
        let body = br#"{"fromEvidenceHarvester":true,"subjectParty":{"id":"0192:991825827"},
            "requestorParty":{"id":"x"},"requestor":"991825827","evidenceRequests":[]}"#;
        let application = read(body).unwrap();
        assert_eq!(application.subject, None);
    }

    #[test]
    fn a_subject_in_the_body_is_found_or_not_there() {
        assert_eq!(
            read_subject(br#"{"Subject":"07056120453"}"#).as_deref(),
            Some("07056120453")
        );
        for body in ["", "{", "[]", r#"{"subject":{}}"#] {
            assert_eq!(read_subject(body.as_bytes()), None);
        }
    }
}
