//! Runs the examples of a definition: recorded answers in, expected values out, without network.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dan_core::dataset::ValueType;
use dan_core::evidence::{Evidence, EvidenceValue, SourceCall};
use dan_core::party::{Party, Realm};
use dan_core::ports::{FetchReply, SourceError};
use dan_core::statement::sha256;
use dan_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::definition::Definition;
use super::document::{Document, Inputs};
use super::failure::{self, Event, Meaning};
use super::gather::Gathered;
use crate::catalog_folder::problem::{Place, Problem};

/// The moment of examples that give none: 2026-01-01T00:00:00Z.
pub(crate) const EXAMPLE_NOW: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// One `[[example]]`.
pub(crate) struct Example {
    pub(crate) place: Place,
    pub(crate) subject: Option<String>,
    pub(crate) requestor: Option<Party>,
    pub(crate) owner: Option<Party>,
    pub(crate) parameters: Vec<(String, Value)>,
    pub(crate) answers: BTreeMap<String, Vec<Canned>>,
    pub(crate) now: Timestamp,
    pub(crate) expected: Expected,
}

/// A recorded answer.
pub(crate) enum Canned {
    /// Status 200 and this body.
    Body(String),
    /// This status and no body.
    Status(u16),
}

/// What must come out.
pub(crate) enum Expected {
    /// `{"name": value}`, or `[{"name": …, "value": …}]` where names repeat.
    Values(Value),
    /// The failure, in terms of the `fail` table.
    Failure(Meaning),
}

impl Definition {
    /// Runs every example. What differs is a problem at the line of the example.
    #[must_use]
    pub fn run_examples(&self) -> Vec<Problem> {
        let outcomes = self
            .examples
            .iter()
            .filter_map(|example| self.run(example).err().map(|what| (example, what)));
        outcomes
            .map(|(example, what)| Problem {
                file: example.place.file.to_string(),
                line: example.place.line,
                what: format!("the example does not come out: {what}"),
                hint: Some("correct the definition, or the file that is expected".to_owned()),
            })
            .collect()
    }

    /// Declared values that no example produces: metadata promises what nobody has seen.
    #[must_use]
    pub fn unproven_values(&self) -> Vec<String> {
        let mut names: BTreeSet<&str> = self.values.iter().map(|rule| rule.name.as_str()).collect();
        names.extend(self.file.as_ref().map(|file| file.name.as_str()));
        for example in &self.examples {
            if let Ok(values) = self.harvest_example(example) {
                for value in &values {
                    names.remove(value.name.as_str());
                }
            }
        }
        names.into_iter().map(str::to_owned).collect()
    }

    fn run(&self, example: &Example) -> Result<(), String> {
        for (name, _) in &example.parameters {
            if !self.parameters.iter().any(|rule| rule.name == *name) {
                return Err(format!("there is no parameter `{name}`"));
            }
        }
        match (self.harvest_example(example), &example.expected) {
            (Ok(values), Expected::Values(expected)) => compare(&values, expected),
            (Ok(_), Expected::Failure(_)) => Err("it succeeds".to_owned()),
            (Err(error), Expected::Failure(meaning)) => {
                if error.failure == meaning.failure && error.detail == meaning.detail {
                    return Ok(());
                }
                let (failure, detail) = (error.failure, error.detail);
                Err(format!("it fails as {failure:?}:{detail}, {}", error.cause))
            }
            (Err(error), Expected::Values(_)) => Err(format!("it fails: {}", error.cause)),
        }
    }

    fn harvest_example(&self, example: &Example) -> Result<Vec<EvidenceValue>, SourceError> {
        let text = example.subject.as_deref();
        let subject = text.and_then(|text| Party::parse(text, Realm::Sandbox).ok());
        let inputs = Inputs {
            subject: subject.as_ref(),
            subject_text: text.filter(|_| subject.is_none()),
            requestor: example.requestor.as_ref(),
            owner: example.owner.as_ref(),
            parameters: example
                .parameters
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
            now: example.now,
        };
        let mut document = Document::new(&inputs, &self.parameters, &self.tables);
        let gathered = self.canned(example, &mut document)?;
        if let Some(file) = &self.file {
            let canned = example.answers.get(&file.call.id).map(Vec::as_slice);
            let read = |reply: &FetchReply| file.call.interpret_bytes(reply);
            let (value, _) = answer(&file.call, canned.unwrap_or_default(), &document, read)?;
            return Ok(vec![EvidenceValue {
                name: file.name.clone(),
                value_type: ValueType::Binary,
                source: self.publisher.clone(),
                timestamp: Some(example.now),
                mime_type: file.media_type.clone(),
                value,
            }]);
        }
        match self.shape(document, gathered, &inputs)?.evidence {
            Evidence::Values(values) => Ok(values),
            Evidence::Binary { .. } | Evidence::Stream(_) => Ok(Vec::new()),
        }
    }

    /// The calls one after another, in an order in which every input is there.
    fn canned(&self, example: &Example, document: &mut Document) -> Result<Gathered, SourceError> {
        let mut ended = vec![false; self.calls.len()];
        let mut answered: Vec<Option<SourceCall>> = vec![None; self.calls.len()];
        let mut failed = BTreeSet::new();
        loop {
            let is_ended = |at: &usize| ended.get(*at).copied().unwrap_or(true);
            let next = self
                .calls
                .iter()
                .enumerate()
                .find(|(at, call)| !is_ended(at) && call.needs.iter().all(is_ended));
            let Some((at, call)) = next else { break };
            let canned = example.answers.get(&call.id).map(Vec::as_slice);
            let read = |reply: &FetchReply| call.interpret(reply);
            match answer(call, canned.unwrap_or_default(), document, read) {
                Ok((value, digest)) => {
                    document.set(&call.id, value);
                    if let Some(place) = answered.get_mut(at) {
                        *place = Some(SourceCall {
                            id: call.id.clone(),
                            retrieved_at: example.now,
                            digest,
                        });
                    }
                }
                Err(_) if call.optional => {
                    document.set(&call.id, Value::Null);
                    failed.insert(call.id.clone());
                }
                Err(error) => return Err(error),
            }
            if let Some(place) = ended.get_mut(at) {
                *place = true;
            }
        }
        Ok(Gathered {
            calls: answered.into_iter().flatten().collect(),
            failed,
        })
    }
}

/// What a call makes of recorded answers, address by address.
fn answer(
    call: &Call,
    canned: &[Canned],
    document: &Document,
    read: impl Fn(&FetchReply) -> Result<Value, SourceError>,
) -> Result<(Value, [u8; 32]), SourceError> {
    let requests = call
        .requests(document)
        .map_err(|unusable| failure::unusable(&call.upstream.name, &call.id, &unusable.0))?;
    let mut left = requests.len();
    for one in canned.iter().take(requests.len()) {
        left = left.saturating_sub(1);
        let (status, body) = match one {
            Canned::Body(body) => (200, Bytes::copy_from_slice(body.as_bytes())),
            Canned::Status(status) => (*status, Bytes::new()),
        };
        if status == 404 && left > 0 {
            continue;
        }
        let digest = sha256(&body);
        let reply = FetchReply {
            status,
            media_type: Some("application/json".to_owned()),
            retry_after_s: None,
            body,
        };
        return Ok((read(&reply)?, digest));
    }
    let meaning = call.meaning(Event::Network);
    let mut error = failure::error(&call.upstream.name, &call.id, Event::Network, meaning);
    error.cause.push_str(" (the example has no answer for it)");
    Err(error)
}

/// Compares without regard to the order of members, and with regard to that of repeated names.
fn compare(values: &[EvidenceValue], expected: &Value) -> Result<(), String> {
    let found = if expected.is_array() {
        values
            .iter()
            .map(|value| json!({"name": value.name, "value": value.value}))
            .collect()
    } else {
        let mut members = Map::new();
        for value in values {
            if members
                .insert(value.name.clone(), value.value.clone())
                .is_some()
            {
                return Err(format!(
                    "the value {} comes more than once: expect a list [{{\"name\", \"value\"}}]",
                    value.name
                ));
            }
        }
        Value::Object(members)
    };
    match difference(&found, expected, "") {
        Some(difference) => Err(difference),
        None => Ok(()),
    }
}

/// The first difference, with the way to it.
fn difference(found: &Value, expected: &Value, way: &str) -> Option<String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                let way = format!("{way}/{name}");
                match found.get(name) {
                    None => return Some(format!("{way} is missing")),
                    Some(found) => {
                        if let Some(difference) = difference(found, value, &way) {
                            return Some(difference);
                        }
                    }
                }
            }
            let extra = found.keys().find(|name| !expected.contains_key(*name));
            extra.map(|name| format!("{way}/{name} is not expected"))
        }
        (Value::Array(found), Value::Array(expected)) => {
            if found.len() != expected.len() {
                let (found, expected) = (found.len(), expected.len());
                return Some(format!("{way} has {found} items, {expected} are expected"));
            }
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.find_map(|(at, (found, expected))| {
                difference(found, expected, &format!("{way}/{at}"))
            })
        }
        (found, expected) if found == expected => None,
        (found, expected) => Some(format!("{way} is {found}, {expected} is expected")),
    }
}
