//! [`Document`]: what templates and expressions of one harvest read, by root.

use std::collections::BTreeMap;
use std::sync::Arc;

use dan_core::party::Party;
use dan_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::parameter::ParameterRule;

/// Calls by id, `subject`, `requestor`, `owner`, `param`, `now`, `item`, and tables by name.
/// Holds evidence and identity numbers: it has no `Debug`.
pub(crate) struct Document(Value);

/// What a request says, as far as a definition can see it.
pub(crate) struct Inputs<'a> {
    pub(crate) subject: Option<&'a Party>,
    /// The subject as text, also where it is no party.
    pub(crate) subject_text: Option<&'a str>,
    pub(crate) requestor: Option<&'a Party>,
    pub(crate) owner: Option<&'a Party>,
    /// Name and value of each parameter that was sent.
    pub(crate) parameters: Vec<(&'a str, &'a Value)>,
    pub(crate) now: Timestamp,
}

impl Document {
    /// What is known before any call.
    pub(crate) fn new(
        inputs: &Inputs<'_>,
        rules: &[ParameterRule],
        tables: &BTreeMap<String, Arc<Value>>,
    ) -> Self {
        let mut roots = Map::new();
        let mut subject = party(inputs.subject);
        if let (Some(text), Value::Object(members)) = (inputs.subject_text, &mut subject) {
            members.insert("id".to_owned(), Value::from(text));
        }
        roots.insert("subject".to_owned(), subject);
        roots.insert("requestor".to_owned(), party(inputs.requestor));
        roots.insert("owner".to_owned(), party(inputs.owner));
        let mut given = Map::new();
        for rule in rules {
            let sent = inputs
                .parameters
                .iter()
                .find(|(name, _)| *name == rule.name)
                .map(|(_, value)| *value);
            if let Some(value) = rule.value(sent) {
                given.insert(rule.name.clone(), value);
            }
        }
        roots.insert("param".to_owned(), Value::Object(given));
        roots.insert("now".to_owned(), Value::from(inputs.now.to_string()));
        for (name, rows) in tables {
            roots.insert(name.clone(), Value::clone(rows));
        }
        Self(Value::Object(roots))
    }

    /// The whole, for expressions.
    pub(crate) const fn whole(&self) -> &Value {
        &self.0
    }

    /// What stands under a root; null when nothing does.
    pub(crate) fn find(&self, root: &str) -> &Value {
        self.0.get(root).unwrap_or(&Value::Null)
    }

    /// Puts a value under a root, in place of what was there.
    pub(crate) fn set(&mut self, root: &str, value: Value) {
        if let Value::Object(roots) = &mut self.0 {
            roots.insert(root.to_owned(), value);
        }
    }

    /// Takes what stands under a root, and leaves null.
    pub(crate) fn take(&mut self, root: &str) -> Value {
        self.0.get_mut(root).map(Value::take).unwrap_or_default()
    }

    /// Changes what stands under a root, if anything does.
    pub(crate) fn change(&mut self, root: &str, change: impl FnOnce(&mut Value)) {
        if let Some(value) = self.0.get_mut(root) {
            change(value);
        }
    }
}

#[cfg(test)]
impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

fn party(party: Option<&Party>) -> Value {
    let Some(party) = party else {
        return json!({});
    };
    let (org, person) = match party {
        Party::Organisation(number) => (Some(number.as_str()), None),
        Party::Person(number) => (None, Some(number.expose())),
        Party::Foreign { .. } | Party::Custom(_) => (None, None),
    };
    json!({"org": org, "id": party.expose_bare(), "person": person})
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::party::Realm;

    fn inputs<'a>(subject: Option<&'a Party>, text: Option<&'a str>) -> Inputs<'a> {
        Inputs {
            subject,
            subject_text: text,
            requestor: None,
            owner: None,
            parameters: Vec::new(),
            now: Timestamp::from_ms(0),
        }
    }

    #[test]
    fn a_party_is_seen_as_what_it_is() {
        for (text, org, person) in [
            ("991825827", json!("991825827"), Value::Null),
            ("07056120453", Value::Null, json!("07056120453")),
        ] {
            let party = Party::parse(text, Realm::Production).expect("a party");
            let document = Document::new(&inputs(Some(&party), None), &[], &BTreeMap::new());
            let subject = document.find("subject");
            assert_eq!(subject["org"], org);
            assert_eq!(subject["person"], person);
            assert_eq!(subject["id"], json!(text));
        }
        let document = Document::new(&inputs(None, Some("9/7")), &[], &BTreeMap::new());
        assert_eq!(document.find("subject"), &json!({"id": "9/7"}));
        assert_eq!(document.find("owner"), &json!({}));
        assert_eq!(document.find("now"), &json!("1970-01-01T00:00:00Z"));
    }
}
