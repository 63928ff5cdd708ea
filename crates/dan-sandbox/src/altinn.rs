//! Altinn 3 as far as roles and rights go: the exchange of tokens, the decision point and the list of parties.
//!
//! Every call brings a token of the identity provider. Who has given whom what stands in two small tables; whatever is
//! not in them has not been given.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::issuer::Issuer;
use crate::people;
use crate::reply::{self, Call, Reply};

/// Where Altinn is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/altinn";
const EXCHANGE: &str = "/authentication/api/v1/exchange/maskinporten";
const AUTHORIZE: &str = "/authorization/api/v1/authorize";
const PARTIES: &str = "/accessmanagement/api/v1/resourceowner/authorizedparties";

const ORGANISATION: &str = "urn:altinn:organization:identifier-no";
const PERSON: &str = "urn:altinn:person:identifier-no";
const RESOURCE: &str = "urn:altinn:resource";
const ACTION: &str = "urn:oasis:names:tc:xacml:1.0:action:action-id";

/// `from` has given `to` a role.
struct Role {
    from: &'static str,
    to: &'static str,
    code: &'static str,
}

const ROLES: [Role; 2] = [
    Role {
        from: "998997801",
        to: "991825827",
        code: "DAGL",
    },
    // A sub unit: it stands in the list below its main unit, which has given nothing.
    Role {
        from: "903301074",
        to: "991825827",
        code: "DAGL",
    },
];

/// `to` may do something to a resource on behalf of `from`.
struct Right {
    from: &'static str,
    to: &'static str,
    resource: &'static str,
    action: &'static str,
}

const RIGHTS: [Right; 1] = [Right {
    from: "992037601",
    to: "991825827",
    resource: "dan-test",
    action: "read",
}];

/// Answers what lies under `/altinn/`.
pub(crate) fn answer(call: &Call, issuer: &Issuer, now_ms: i64) -> Reply {
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let allowed = match route {
        EXCHANGE => "GET, HEAD",
        AUTHORIZE | PARTIES => "POST",
        _ => return reply::no_such_route(),
    };
    let fits = match *call.method() {
        Method::POST => allowed == "POST",
        _ => call.reads() && allowed != "POST",
    };
    if !fits {
        return reply::method_not_allowed(allowed);
    }
    let token = match issuer.admit(call, now_ms) {
        Ok(token) => token,
        Err(error) => return reply::unauthorized("Bearer", error),
    };
    if route == EXCHANGE {
        // One identity provider vouches for everybody here, so the same token will do.
        let token = token.to_owned().into();
        return reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", token);
    }
    let body = serde_json::from_slice(call.body()).unwrap_or(Value::Null);
    let answer = if route == AUTHORIZE {
        decisions(&body)
    } else {
        parties(&body)
    };
    match answer {
        Ok(answer) => reply::ok(&answer),
        Err(error) => reply::refused(StatusCode::BAD_REQUEST, error),
    }
}

/// One decision for each request reference, or one over everything where there are fewer than two.
fn decisions(body: &Value) -> Result<Value, &'static str> {
    let request = body
        .get("Request")
        .and_then(Value::as_object)
        .ok_or("there is no Request")?;
    let references: Vec<&Value> = request
        .get("MultiRequests")
        .and_then(|multi| multi.get("RequestReference")?.as_array())
        .into_iter()
        .flatten()
        .collect();
    let decided = if references.len() < 2 {
        vec![decision(request, |_| true)?]
    } else {
        let one = |reference: &&Value| {
            let named = reference.get("ReferenceId").and_then(Value::as_array);
            let named = named.ok_or("a request reference names nothing")?;
            decision(request, |id| id.is_some_and(|id| named.contains(id)))
        };
        references.iter().map(one).collect::<Result<_, _>>()?
    };
    let status = json!({ "statusCode": { "value": "urn:oasis:names:tc:xacml:1.0:status:ok" } });
    let results: Vec<Value> = decided
        .into_iter()
        .map(|decision| json!({ "decision": decision, "status": status }))
        .collect();
    Ok(json!({ "response": results }))
}

fn decision(
    request: &Map<String, Value>,
    is_meant: impl Fn(Option<&Value>) -> bool,
) -> Result<&'static str, &'static str> {
    let find = |category: &str, names: &[&str]| {
        let parts = request.get(category)?.as_array()?.iter();
        let meant = parts.filter(|part| is_meant(part.get("Id")));
        meant
            .filter_map(|part| part.get("Attribute")?.as_array())
            .flatten()
            .find(|attribute| {
                let name = attribute.get("AttributeId").and_then(Value::as_str);
                name.is_some_and(|name| names.contains(&name))
            })?
            .get("Value")?
            .as_str()
    };
    let to = find("AccessSubject", &[ORGANISATION, PERSON]).ok_or("nobody is to act")?;
    let action = find("Action", &[ACTION]).ok_or("nothing is to be done")?;
    let from = find("Resource", &[ORGANISATION, PERSON]).ok_or("nobody is acted for")?;
    let Some(resource) = find("Resource", &[RESOURCE]) else {
        // Services of Altinn 2 are not played here.
        return Ok("Indeterminate");
    };
    let given = RIGHTS.iter().any(|right| {
        (right.from, right.to, right.resource, right.action) == (from, to, resource, action)
    });
    Ok(if given { "Permit" } else { "NotApplicable" })
}

/// Those who have given somebody a role; sub units below their main units.
fn parties(body: &Value) -> Result<Value, &'static str> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let id = match (text("type"), text("value")) {
        (Some(ORGANISATION | PERSON), Some(id)) if people::known(id).is_some() => id,
        _ => return Err("there is no such organisation or person"),
    };
    let listed: Vec<Value> = ROLES
        .iter()
        .filter(|role| role.to == id)
        .filter_map(|role| {
            let unit = people::unit(role.from)?;
            let own = party(unit, &[role.code], &[]);
            let Some(above) = unit.above.and_then(people::unit) else {
                return Some(own);
            };
            Some(party(above, &[], &[own]))
        })
        .collect();
    Ok(Value::Array(listed))
}

fn party(unit: &people::Unit, roles: &[&str], below: &[Value]) -> Value {
    json!({
        "name": unit.name,
        "organizationNumber": unit.number,
        "personId": null,
        "type": "Organization",
        "unitType": unit.form.0,
        "isDeleted": unit.deleted.is_some(),
        "onlyHierarchyElementWithNoAccess": roles.is_empty(),
        "authorizedResources": [],
        "authorizedRoles": roles,
        "subunits": below,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(subject: &str, from: &str, resource: &str, actions: &[&str]) -> Value {
        let one = |name: &str, value: &str| json!({"AttributeId": name, "Value": value});
        let acts: Vec<Value> = actions
            .iter()
            .map(|action| json!({"Id": action, "Attribute": [one(ACTION, action)]}))
            .collect();
        let references: Vec<Value> = actions
            .iter()
            .map(|action| json!({"ReferenceId": ["s", action, "r"]}))
            .collect();
        json!({"Request": {
            "AccessSubject": [{"Id": "s", "Attribute": [one(ORGANISATION, subject)]}],
            "Action": acts,
            "Resource": [{"Id": "r", "Attribute": [
                one(RESOURCE, resource), one(ORGANISATION, from)]}],
            "MultiRequests": {"RequestReference": references},
        }})
    }

    fn decided(request: &Value) -> Vec<String> {
        let answer = decisions(request).unwrap();
        let results = answer["response"].as_array().unwrap().iter();
        results
            .map(|result| result["decision"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_has_been_given_is_permitted_action_by_action() {
        let (to, from) = ("991825827", "992037601");
        assert_eq!(decided(&asked(to, from, "dan-test", &["read"])), ["Permit"]);
        assert_eq!(
            decided(&asked(to, from, "dan-test", &["read", "write"])),
            ["Permit", "NotApplicable"]
        );
        for (to, from, resource) in [
            ("974760673", from, "dan-test"),
            (to, "998997801", "dan-test"),
            (to, from, "dan-tes"),
        ] {
            let request = asked(to, from, resource, &["read"]);
            assert_eq!(decided(&request), ["NotApplicable"]);
        }
    }

    #[test]
    fn a_request_with_a_part_missing_is_refused() {
        let whole = asked("991825827", "992037601", "dan-test", &["read"]);
        for part in ["AccessSubject", "Action", "Resource"] {
            let mut request = whole.clone();
            request["Request"].as_object_mut().unwrap().remove(part);
            assert!(decisions(&request).is_err(), "{part}");
        }
        assert!(decisions(&Value::Null).is_err());
        let mut strange = asked("991825827", "992037601", "dan-test", &["read", "write"]);
        strange["Request"]["MultiRequests"]["RequestReference"][0] = json!({});
        assert!(decisions(&strange).is_err());
    }

    #[test]
    fn parties_are_listed_with_the_roles_they_gave() {
        let list = |id: &str| parties(&json!({"type": ORGANISATION, "value": id}));
        let listed = list("991825827").unwrap();
        assert_eq!(listed[0]["organizationNumber"], "998997801");
        assert_eq!(listed[0]["authorizedRoles"], json!(["DAGL"]));
        assert_eq!(listed[1]["onlyHierarchyElementWithNoAccess"], true);
        assert_eq!(listed[1]["subunits"][0]["authorizedRoles"], json!(["DAGL"]));
        assert_eq!(list("974760673").unwrap(), json!([]));
        assert!(list("123456785").is_err());
        assert!(parties(&json!({"type": "urn:other", "value": "991825827"})).is_err());
        assert!(parties(&Value::Null).is_err());
    }

    #[test]
    fn whoever_has_given_something_exists() {
        for role in &ROLES {
            assert!(people::unit(role.from).is_some() && people::known(role.to).is_some());
        }
        for right in &RIGHTS {
            assert!(people::unit(right.from).is_some() && people::known(right.to).is_some());
        }
    }
}
