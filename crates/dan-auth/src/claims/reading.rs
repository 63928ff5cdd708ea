//! Single claims, from JSON to what they mean (pure). What is not of the one right shape is nothing.

use dan_core::party::{NORWEGIAN_ICD, ORGANISATION_SCHEME, OrgNumber};
use serde_json::{Map, Value};

use super::ClaimError;

/// Longest `delegation_source` and `system_id`, in bytes.
const NAME_BYTES_MAX: usize = 2048;
/// The last second of the year 9999; a later one is no date.
const NUMERIC_DATE_MAX: f64 = 253_402_300_799.0;
/// The one kind of `authorization_details` (RFC 9396 §2) that is understood: a system user of Altinn.
const SYSTEM_USER_TYPE: &str = "urn:altinn:systemuser";
/// Length of a UUID as text.
const UUID_BYTES: usize = 36;

/// A system user of Altinn: an organisation's own identity for a machine that somebody else runs.
#[derive(Clone, Debug)]
pub(super) struct SystemUser {
    /// A UUID in lower case.
    pub(super) id: String,
    /// Whose it is.
    pub(super) owner: OrgNumber,
}

/// A `NumericDate` (RFC 7519 §2): seconds since the epoch. Whole ones only, as our issuers write them
/// (`security.md` §3); no fractions, no texts.
pub(super) fn numeric_date(
    claims: &Map<String, Value>,
    name: &str,
    wrong: ClaimError,
) -> Result<Option<f64>, ClaimError> {
    claims.get(name).map_or(Ok(None), |claim| {
        claim
            .as_f64()
            .filter(|_| claim.is_u64())
            .filter(|date| (0.0..=NUMERIC_DATE_MAX).contains(date))
            .map_or(Err(wrong), |date| Ok(Some(date)))
    })
}

/// Whom RFC 7519 §4.1.3 names. An array that holds anything but texts names nobody.
pub(super) fn audience(aud: Option<&Value>) -> Vec<String> {
    match aud {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .unwrap_or_default(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}

/// A text of sensible length.
pub(super) fn name(claim: &Value) -> Option<String> {
    claim
        .as_str()
        .filter(|text| !text.is_empty() && text.len() <= NAME_BYTES_MAX)
        .map(str::to_owned)
}

/// `{"authority": "iso6523-actorid-upis", "ID": "0192:<nine digits>"}`.
pub(super) fn organisation(claim: &Value) -> Option<OrgNumber> {
    let claim = claim.as_object()?;
    if claim.get("authority")?.as_str()? != ORGANISATION_SCHEME {
        return None;
    }
    let (icd, number) = claim.get("ID")?.as_str()?.split_once(':')?;
    (icd == NORWEGIAN_ICD)
        .then(|| OrgNumber::parse(number))
        .flatten()
}

/// One system user: `[{"type", "systemuser_id": [uuid], "systemuser_org": {…}, "system_id"}]`, as Maskinporten
/// writes it. Several details, or one of another type, would each say more than we understand.
pub(super) fn system_user(details: &Value) -> Result<SystemUser, ClaimError> {
    let one = details.as_array().and_then(|all| match all.as_slice() {
        [one] => one.as_object(),
        _ => None,
    });
    let one = one.ok_or("authorization_details is not one object")?;
    if one.get("type").is_none_or(|kind| kind != SYSTEM_USER_TYPE) {
        return Err("authorization_details is of a type that is not understood");
    }
    let id = match one.get("systemuser_id").and_then(Value::as_array) {
        Some(all) => match all.as_slice() {
            [id] => id.as_str().filter(|id| is_uuid(id)),
            _ => None,
        },
        None => None,
    };
    let id = id.ok_or("systemuser_id is not one UUID")?;
    one.get("system_id")
        .and_then(name)
        .ok_or("system_id is missing or malformed")?;
    let owner = one.get("systemuser_org").and_then(organisation);
    Ok(SystemUser {
        id: id.to_ascii_lowercase(),
        owner: owner.ok_or("systemuser_org is missing or malformed")?,
    })
}

/// The text form of RFC 9562 §4, in any case.
fn is_uuid(text: &str) -> bool {
    text.len() == UUID_BYTES
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// RFC 6749 §3.3. Anything but a text is no scope at all.
pub(super) fn scopes(claim: Option<&Value>) -> Vec<String> {
    claim
        .and_then(Value::as_str)
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "2F1c5a1e-6c0b-4b0e-9d7f-5a6b7c8d9e0f";

    fn details(change: impl FnOnce(&mut Value)) -> Value {
        let mut one = json!({
            "type": "urn:altinn:systemuser",
            "systemuser_id": [ID],
            "systemuser_org": {"authority": "iso6523-actorid-upis", "ID": "0192:991825827"},
            "system_id": "974760673_system",
        });
        change(&mut one);
        json!([one])
    }

    #[test]
    fn a_system_user_has_one_identifier_and_one_owner() {
        let user = system_user(&details(|_| ())).unwrap();
        assert_eq!(user.id, ID.to_ascii_lowercase());
        assert_eq!(user.owner.as_str(), "991825827");
        let more = details(|one| one["externalRef"] = json!("x"));
        assert!(system_user(&more).is_ok());
    }

    #[test]
    fn other_details_are_refused() {
        let one = details(|_| ())[0].clone();
        let mut wrong = vec![
            json!(null),
            json!([]),
            json!([null]),
            json!([one.clone(), one.clone()]),
            json!([one.clone(), {"type": "other"}]),
            one,
        ];
        for (name, value) in [
            ("type", json!("urn:altinn:resource")),
            ("type", json!(["urn:altinn:systemuser"])),
            ("type", json!(null)),
            ("systemuser_id", json!(ID)),
            ("systemuser_id", json!([])),
            ("systemuser_id", json!([ID, ID])),
            ("systemuser_id", json!(["x"])),
            ("systemuser_id", json!([format!("{ID} ")])),
            ("systemuser_id", json!([7])),
            ("systemuser_org", json!(null)),
            ("systemuser_org", json!("0192:991825827")),
            ("systemuser_org", json!({"ID": "0192:991825827"})),
            ("system_id", json!(null)),
            ("system_id", json!("")),
            (
                "system_id",
                json!("x".repeat(NAME_BYTES_MAX.saturating_add(1))),
            ),
        ] {
            wrong.push(details(|one| one[name] = value));
        }
        for name in ["type", "systemuser_id", "systemuser_org", "system_id"] {
            wrong.push(details(|one| {
                one.as_object_mut().unwrap().shift_remove(name);
            }));
        }
        for wrong in wrong {
            assert!(system_user(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn uuids_have_one_form() {
        assert!(is_uuid(ID));
        let compact = ID.replace('-', "");
        let moved = ID.replacen("5a1e-", "5-a1e", 1);
        for wrong in [
            "",
            &compact,
            &moved,
            &ID.replace('c', "g"),
            &ID.replace('c', "ç"),
        ] {
            assert!(!is_uuid(wrong), "{wrong}");
        }
    }
}
