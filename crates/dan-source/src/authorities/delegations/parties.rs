//! The list of parties that somebody may act for, with the roles each of them has given.

use dan_core::party::Party;
use serde_json::Value;

/// Most parties that are looked at. A longer list is not understood: the answer could stand in the
/// part that nobody read.
const PARTIES_MAX: usize = 100_000;
/// How deep sub units may nest.
const DEPTH_MAX: usize = 8;

/// Whether `from` is on the list, at any depth, and has given the role of exactly this code.
///
/// # Errors
/// Why the list cannot be understood. It names nobody.
pub(super) fn role_given(answer: &Value, from: &Party, role: &str) -> Result<bool, String> {
    let whole = answer
        .as_array()
        .ok_or("the answer is no list of parties")?;
    let mut seen = 0_usize;
    // One level after the other, so that nothing recurses as deep as a peer likes.
    let mut level: Vec<&[Value]> = vec![whole];
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for party in level.into_iter().flatten() {
            seen = seen.saturating_add(1);
            if seen > PARTIES_MAX {
                return Err(format!("more than {PARTIES_MAX} parties"));
            }
            if !party.is_object() {
                return Err("a party is no object".to_owned());
            }
            if is(party, from) && has(party, role)? {
                return Ok(true);
            }
            let below = list(party, "subunits")?;
            if !below.is_empty() {
                next.push(below);
            }
        }
        if next.is_empty() {
            return Ok(false);
        }
        level = next;
    }
    Err(format!("sub units nest deeper than {DEPTH_MAX}"))
}

/// Whether this is the party; one that only holds the hierarchy together has given nothing.
fn is(party: &Value, wanted: &Party) -> bool {
    let text = |name: &str| party.get(name).and_then(Value::as_str);
    let same = match wanted {
        Party::Organisation(number) => text("organizationNumber") == Some(number.as_str()),
        Party::Person(number) => text("personId") == Some(number.expose()),
        Party::Foreign { .. } | Party::Custom(_) => false,
    };
    same && party.get("onlyHierarchyElementWithNoAccess") != Some(&Value::Bool(true))
}

fn has(party: &Value, role: &str) -> Result<bool, String> {
    let roles = list(party, "authorizedRoles")?;
    if !roles.iter().all(Value::is_string) {
        return Err("a role is no text".to_owned());
    }
    Ok(roles.iter().any(|given| given == role))
}

/// A list that may be left out.
fn list<'v>(party: &'v Value, name: &str) -> Result<&'v [Value], String> {
    match party.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            Err(format!("{name} of a party is no list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use dan_core::party::Realm;
    use serde_json::json;

    use super::*;

    fn party(text: &str) -> Party {
        Party::parse(text, Realm::Sandbox).expect("a number")
    }

    fn given(answer: &Value) -> Result<bool, String> {
        role_given(answer, &party("998997801"), "DAGL")
    }

    #[expect(clippy::needless_pass_by_value, reason = "tables read better")]
    fn organisation(number: &str, roles: Value, below: Value) -> Value {
        json!({"organizationNumber": number, "personId": null, "isDeleted": false,
            "onlyHierarchyElementWithNoAccess": false, "authorizedRoles": roles,
            "subunits": below})
    }

    #[test]
    fn the_party_is_found_at_any_depth_with_the_role_to_the_letter() {
        let found = organisation("998997801", json!(["UTINN", "DAGL"]), json!([]));
        assert_eq!(given(&json!([found])), Ok(true));
        let mut nested = found;
        for _ in 1..DEPTH_MAX {
            nested = organisation("991825827", json!(null), json!([nested]));
        }
        assert_eq!(given(&json!([nested.clone()])), Ok(true));
        let deeper = organisation("991825827", json!([]), json!([nested]));
        assert!(given(&json!([deeper])).is_err(), "too deep is not a no");
        let person = json!([{"personId": "07056120453", "authorizedRoles": ["DAGL"]}]);
        assert_eq!(role_given(&person, &party("07056120453"), "DAGL"), Ok(true));
    }

    #[test]
    fn nearly_right_is_no_w13() {
        for answer in [
            json!([]),
            json!([organisation(
                "998997801",
                json!(["DAGLX", "dagl", "XDAGL"]),
                json!([])
            )]),
            json!([organisation("998997801", json!([]), json!(null))]),
            json!([organisation("998997801", json!(null), json!([]))]),
            json!([organisation("99899780", json!(["DAGL"]), json!([]))]),
            json!([{"organizationNumber": 998_997_801, "authorizedRoles": ["DAGL"]}]),
            json!([{"name": "998997801", "authorizedRoles": ["DAGL"]}]),
            json!([{"personId": "998997801", "authorizedRoles": ["DAGL"]}]),
            json!([{"organizationNumber": "998997801", "authorizedResources": ["DAGL"]}]),
            json!([{"organizationNumber": "998997801", "authorizedRoles": ["DAGL"],
                "onlyHierarchyElementWithNoAccess": true}]),
            // The role of the unit above is not the role of the unit below.
            json!([organisation(
                "991825827",
                json!(["DAGL"]),
                json!([organisation("998997801", json!([]), json!([]))])
            )]),
        ] {
            assert_eq!(given(&answer), Ok(false), "{answer}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_answer() {
        for answer in [
            json!(null),
            json!({"parties": []}),
            json!("998997801 DAGL"),
            json!(["998997801"]),
            json!([null]),
            json!([organisation("998997801", json!("DAGL"), json!([]))]),
            json!([organisation("998997801", json!([1]), json!([]))]),
            json!([organisation("991825827", json!([]), json!({}))]),
            json!([organisation("991825827", json!([]), json!(["x"]))]),
        ] {
            assert!(given(&answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_list_without_end_is_not_understood() {
        let many: Vec<Value> = vec![json!({}); PARTIES_MAX + 1];
        assert!(given(&Value::Array(many)).is_err());
    }
}
