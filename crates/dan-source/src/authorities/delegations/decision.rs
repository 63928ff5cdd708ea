//! Requests to Altinn's decision point and its decisions: XACML 3.0 in JSON (OASIS, *JSON Profile of
//! XACML 3.0 Version 1.1*), with one request reference for each action (its §4.2.4).

use serde_json::{Map, Value, json};

/// A party by name and value of its attribute.
type Attribute<'a> = (&'a str, &'a str);

/// XACML 3.0 §10.2.6.
const ACTION_ID: &str = "urn:oasis:names:tc:xacml:1.0:action:action-id";

/// May `to` do each of `actions` to `resource` on behalf of `from`? `resource` is an identifier of
/// the resource register, or `<service code>/<edition>` of Altinn 2.
pub(super) fn request(
    (from, to): (Attribute<'_>, Attribute<'_>),
    resource: &str,
    actions: &[String],
) -> Value {
    let one = |name: &str, value: &str| json!({"AttributeId": name, "Value": value});
    let mut what = match resource.split_once('/') {
        Some((code, edition)) => vec![
            one("urn:altinn:servicecode", code),
            one("urn:altinn:serviceeditioncode", edition),
        ],
        None => vec![one("urn:altinn:resource", resource)],
    };
    what.push(one(from.0, from.1));
    let action = |(at, action): (usize, &String)| json!({"Id": format!("a{at}"), "Attribute": [one(ACTION_ID, action)]});
    let asked: Vec<Value> = actions.iter().enumerate().map(action).collect();
    let reference = |at: usize| json!({"ReferenceId": ["s0", format!("a{at}"), "r0"]});
    let references: Vec<Value> = (0..actions.len()).map(reference).collect();
    json!({"Request": {
        "ReturnPolicyIdList": false,
        "AccessSubject": [{"Id": "s0", "Attribute": [one(to.0, to.1)]}],
        "Action": asked,
        "Resource": [{"Id": "r0", "Attribute": what}],
        "MultiRequests": {"RequestReference": references},
    }})
}

/// Whether every one of `count` decisions is `Permit`, to the letter. Obligations, which say how a
/// user must have logged in, do not concern a question that no user asks.
///
/// # Errors
/// Why the answer cannot be understood.
pub(super) fn all_permitted(answer: &Value, count: usize) -> Result<bool, String> {
    let results = member(answer, "Response")?
        .as_array()
        .ok_or("the answer holds no list of decisions")?;
    if results.len() != count {
        let found = results.len();
        return Err(format!("{found} decisions where {count} were asked for"));
    }
    let mut permitted = true;
    for result in results {
        let decision = member(result, "Decision")?;
        let decision = decision.as_str().ok_or("a decision is no text")?;
        permitted = permitted && decision == "Permit";
    }
    Ok(permitted)
}

/// A member by its name as the standard has it, or as Altinn writes it: with a small first letter.
/// Both at once could be read in two ways.
fn member<'v>(value: &'v Value, name: &str) -> Result<&'v Value, String> {
    let members: Option<&Map<String, Value>> = value.as_object();
    let mut found = members
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(format!("the answer has no single {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: Attribute<'_> = ("urn:altinn:organization:identifier-no", "991825827");
    const PERSON: Attribute<'_> = ("urn:altinn:person:identifier-no", "07056120453");

    #[test]
    fn one_request_asks_about_every_action() {
        let actions = ["read".to_owned(), "write".to_owned()];
        let request = request((ORG, PERSON), "dan-test", &actions);
        assert_eq!(
            request,
            json!({"Request": {
                "ReturnPolicyIdList": false,
                "AccessSubject": [{"Id": "s0", "Attribute": [
                    {"AttributeId": "urn:altinn:person:identifier-no", "Value": "07056120453"},
                ]}],
                "Action": [
                    {"Id": "a0", "Attribute": [{"AttributeId": ACTION_ID, "Value": "read"}]},
                    {"Id": "a1", "Attribute": [{"AttributeId": ACTION_ID, "Value": "write"}]},
                ],
                "Resource": [{"Id": "r0", "Attribute": [
                    {"AttributeId": "urn:altinn:resource", "Value": "dan-test"},
                    {"AttributeId": "urn:altinn:organization:identifier-no", "Value": "991825827"},
                ]}],
                "MultiRequests": {"RequestReference": [
                    {"ReferenceId": ["s0", "a0", "r0"]},
                    {"ReferenceId": ["s0", "a1", "r0"]},
                ]},
            }})
        );
    }

    #[test]
    fn a_service_of_altinn_2_goes_by_code_and_edition() {
        let request = request((ORG, ORG), "5616/1", &["read".to_owned()]);
        let what = &request["Request"]["Resource"][0]["Attribute"];
        assert_eq!(
            what[0],
            json!({"AttributeId": "urn:altinn:servicecode", "Value": "5616"})
        );
        assert_eq!(
            what[1],
            json!({"AttributeId": "urn:altinn:serviceeditioncode", "Value": "1"})
        );
    }

    #[test]
    fn only_permit_to_the_letter_and_for_every_action_is_a_yes_w13() {
        let permits = |decisions: &[&str]| {
            let results = decisions.iter().map(|text| json!({"Decision": text}));
            let results: Vec<Value> = results.collect();
            all_permitted(&json!({"Response": results}), decisions.len())
        };
        assert_eq!(permits(&["Permit"]), Ok(true));
        assert_eq!(permits(&["Permit", "Permit"]), Ok(true));
        for decisions in [
            &["Deny"][..],
            &["NotApplicable"],
            &["Indeterminate"],
            &["permit"],
            &["Permit "],
            &["Permitted"],
            &[""],
            &["Permit", "Deny"],
            &["Deny", "Permit"],
        ] {
            assert_eq!(permits(decisions), Ok(false), "{decisions:?}");
        }
        let as_altinn_writes = json!({"response": [{"decision": "Permit", "status": {}}]});
        assert_eq!(all_permitted(&as_altinn_writes, 1), Ok(true));
    }

    #[test]
    fn what_is_not_understood_is_no_decision() {
        for answer in [
            json!(null),
            json!([]),
            json!("Permit"),
            json!({}),
            json!({"Decision": "Permit"}),
            json!({"Response": {"Decision": "Permit"}}),
            json!({"Response": []}),
            json!({"Response": ["Permit"]}),
            json!({"Response": [{"Decision": true}]}),
            json!({"Response": [{"Decision": ["Permit"]}]}),
            json!({"Response": [{"Status": "Permit"}]}),
            json!({"Response": [{"Decision": "Permit"}, {"Decision": "Permit"}]}),
            json!({"Response": [{"Decision": "Permit"}], "response": [{"Decision": "Deny"}]}),
            json!({"Response": [{"Decision": "Permit", "decision": "Deny"}]}),
        ] {
            assert!(all_permitted(&answer, 1).is_err(), "{answer}");
        }
        let one = json!({"Response": [{"Decision": "Permit"}]});
        assert!(
            all_permitted(&one, 2).is_err(),
            "one action was not decided"
        );
    }
}
