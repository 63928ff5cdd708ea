//! [`Component`]: a call that is another dataset of the catalogue.
//!
//! The other definition is carried out with the same permit: its rules are those of the dataset
//! that is made of it, and what needs a consent stays a matter of consent (`catalog_folder`
//! refuses anything else).

use std::sync::Arc;

use dan_core::evidence::{EvidenceValue, SourceCall};
use dan_core::party::{Party, Realm};
use dan_core::time::Timestamp;
use serde_json::{Map, Value};

use super::Definition;
use super::document::{Document, Inputs};
use super::template::{Template, Unusable};

/// How deep datasets may be made of others.
pub(crate) const DEPTH_MAX: usize = 3;

/// `dataset = "…"` of a `[[call]]`.
pub(crate) struct Component {
    pub(crate) definition: Arc<Definition>,
    /// Another subject than the one asked about.
    pub(crate) subject: Option<Template>,
    /// Parameters of the other dataset.
    pub(crate) parameters: Vec<(String, Template)>,
}

/// What the other definition is asked with; owned, for a task of its own.
pub(crate) struct Composition {
    pub(crate) definition: Arc<Definition>,
    subject: Option<Party>,
    subject_text: Option<String>,
    requestor: Option<Party>,
    owner: Option<Party>,
    parameters: Vec<(String, Value)>,
    now: Timestamp,
}

impl Component {
    /// Fills in what the other dataset is asked with.
    ///
    /// # Errors
    /// What cannot be filled in for this request.
    pub(crate) fn prepare(
        &self,
        inputs: &Inputs<'_>,
        document: &Document,
    ) -> Result<Composition, Unusable> {
        let (subject, subject_text) = match &self.subject {
            None => (
                inputs.subject.cloned(),
                inputs.subject_text.map(str::to_owned),
            ),
            Some(template) => {
                let text = template.fill(document)?;
                let text = text.ok_or_else(|| Unusable("the subject is missing".to_owned()))?;
                match Party::parse(&text, Realm::Sandbox) {
                    Ok(party) => (Some(party), None),
                    Err(_) => (None, Some(text)),
                }
            }
        };
        let mut parameters = Vec::new();
        for (name, template) in &self.parameters {
            if let Some(value) = template.fill(document)? {
                parameters.push((name.clone(), Value::String(value)));
            }
        }
        Ok(Composition {
            definition: Arc::clone(&self.definition),
            subject,
            subject_text,
            requestor: inputs.requestor.cloned(),
            owner: inputs.owner.cloned(),
            parameters,
            now: inputs.now,
        })
    }
}

impl Composition {
    /// The same, as definitions read it.
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs {
            subject: self.subject.as_ref(),
            subject_text: self.subject_text.as_deref(),
            requestor: self.requestor.as_ref(),
            owner: self.owner.as_ref(),
            parameters: self
                .parameters
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
            now: self.now,
        }
    }
}

/// Values as one document: members by name, a list where a name repeats.
pub(crate) fn document_of(values: Vec<EvidenceValue>) -> Value {
    let mut members: Map<String, Value> = Map::new();
    let mut repeated: Vec<String> = Vec::new();
    for EvidenceValue { name, value, .. } in values {
        match members.get_mut(&name) {
            None => {
                members.insert(name, value);
            }
            Some(Value::Array(items)) if repeated.contains(&name) => items.push(value),
            Some(first) => {
                *first = Value::Array(vec![first.take(), value]);
                repeated.push(name);
            }
        }
    }
    Value::Object(members)
}

/// The calls of the other definition, under the name of this one.
pub(crate) fn named(call: &str, calls: Vec<SourceCall>) -> impl Iterator<Item = SourceCall> {
    calls.into_iter().map(move |one| SourceCall {
        id: format!("{call}.{}", one.id),
        ..one
    })
}
