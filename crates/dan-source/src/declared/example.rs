//! Runs the examples of a definition: recorded answers in, expected values out, without network.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dan_core::dataset::ValueType;
use dan_core::evidence::{Evidence, EvidenceValue, Harvest};
use dan_core::party::{Party, Realm};
use dan_core::ports::{FetchReply, SourceError};
use dan_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Job};
use super::definition::{Definition, File};
use super::document::{Document, Inputs};
use super::failure::{self, Event, Meaning};
use super::fan::Outcome;
use super::faults::Fault;
use super::gather::{Gathered, Made, Ready, Run, Work};
use super::pages::{Pages, Unjoined};
use super::upstream::Upstream;
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

/// The answers a definition is carried out with, instead of asking.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<'a> {
    pub(crate) answers: &'a BTreeMap<String, Vec<Canned>>,
    pub(crate) now: Timestamp,
    /// A call that fails in this way, whatever its answers are.
    pub(crate) fault: Option<(&'a str, Fault)>,
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
                marked: example.place.marked,
                what: format!("the example does not come out: {what}"),
                hint: Some("correct the definition, or the file that is expected".to_owned()),
            })
            .collect()
    }

    /// Declared values that no example produces: metadata promises what nobody has seen.
    #[must_use]
    pub fn unproven_values(&self) -> Vec<String> {
        let mut names: BTreeSet<&str> = self.values.iter().map(|rule| rule.name.as_str()).collect();
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
        self.harvest_recorded(example, None)
    }

    /// What an example gives when a call of it fails.
    pub(crate) fn harvest_recorded(
        &self,
        example: &Example,
        fault: Option<(&str, Fault)>,
    ) -> Result<Vec<EvidenceValue>, SourceError> {
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
        let recorded = Recorded {
            answers: &example.answers,
            now: example.now,
            fault,
        };
        if let Some(file) = &self.file {
            return self.canned_file(file, recorded, &inputs);
        }
        let (harvest, _bytes) = self.canned(recorded, "", &inputs)?;
        match harvest.evidence {
            Evidence::Values(values) => Ok(values),
            Evidence::Binary { .. } | Evidence::Stream(_) => Ok(Vec::new()),
        }
    }

    /// As [`Definition::harvest`], from recorded answers; those of this definition are named with
    /// `prefix` before them.
    fn canned(
        &self,
        recorded: Recorded<'_>,
        prefix: &str,
        inputs: &Inputs<'_>,
    ) -> Result<(Harvest, usize), SourceError> {
        let mut document = Document::new(inputs, &self.parameters, &self.tables);
        let gathered = self.gathered(recorded, prefix, inputs, &mut document)?;
        let bytes = gathered.bytes;
        Ok((self.shape(document, gathered, inputs)?, bytes))
    }

    /// The bytes that would be passed on, as their length and digest.
    fn canned_file(
        &self,
        file: &File,
        recorded: Recorded<'_>,
        inputs: &Inputs<'_>,
    ) -> Result<Vec<EvidenceValue>, SourceError> {
        let mut document = Document::new(inputs, &self.parameters, &self.tables);
        self.gathered(recorded, "", inputs, &mut document)?;
        let canned = recorded.answers.get(&file.call.id).map(Vec::as_slice);
        let job = file.call.prepare(inputs, &document)?;
        let read = |upstream: &Upstream, reply: &FetchReply| file.call.read_bytes(upstream, reply);
        let asked = (recorded, file.call.id.as_str());
        let value = asked_in_turn(&file.call, job, canned.unwrap_or_default(), asked, read)?;
        Ok(vec![EvidenceValue {
            name: file.name.clone(),
            value_type: ValueType::Binary,
            source: self.publisher.clone(),
            timestamp: Some(recorded.now),
            mime_type: file.media_type.clone(),
            value,
        }])
    }

    fn gathered(
        &self,
        recorded: Recorded<'_>,
        prefix: &str,
        inputs: &Inputs<'_>,
        document: &mut Document,
    ) -> Result<Gathered, SourceError> {
        let mut run = Run::new(&self.calls, inputs, document);
        loop {
            let ready = run.ready()?;
            if ready.is_empty() {
                break;
            }
            for Ready { at, call, work } in ready {
                run.record(at, made(&call, work, recorded, prefix))?;
            }
        }
        Ok(run.finish())
    }
}

/// What recorded answers make of a call: one for each address, or one for each item of its list.
fn made(
    call: &Call,
    work: Work,
    recorded: Recorded<'_>,
    prefix: &str,
) -> Result<Made, SourceError> {
    let name = format!("{prefix}{}", call.id);
    let canned = recorded.answers.get(&name).map(Vec::as_slice);
    let canned = canned.unwrap_or_default();
    match work {
        Work::One(job) => answer(call, *job, canned, (recorded, &name)).map(Made::One),
        Work::Each(items, jobs) => {
            let mut outcomes = Vec::with_capacity(jobs.len());
            for (at, job) in jobs.into_iter().enumerate() {
                let own = canned.get(at).map(std::slice::from_ref).unwrap_or_default();
                let result = job.and_then(|job| answer(call, job, own, (recorded, &name)));
                outcomes.push(Outcome { result, ms: 0 });
            }
            Ok(Made::Each(items, outcomes))
        }
    }
}

/// What a call makes of recorded answers.
fn answer(
    call: &Call,
    job: Job,
    canned: &[Canned],
    (recorded, name): (Recorded<'_>, &str),
) -> Result<Answer, SourceError> {
    let job = match job {
        Job::Ask(prepared) => Job::Ask(prepared),
        Job::Dataset(composition) => {
            let (prefix, inputs) = (format!("{name}."), composition.inputs());
            let made = composition.definition.canned(recorded, &prefix, &inputs);
            return made.map(|(harvest, bytes)| Answer::of_dataset(&call.id, harvest, bytes));
        }
    };
    let read = |upstream: &Upstream, reply: &FetchReply| call.read(upstream, reply, recorded.now);
    asked_in_turn(
        call,
        job,
        canned,
        (recorded, name),
        |upstream, reply| match &call.pages {
            Some(pages) if recorded.fault.is_none_or(|(fails, _)| fails != name) => {
                paged(call, upstream, pages, canned, recorded.now)
            }
            Some(_) | None => read(upstream, reply),
        },
    )
}

/// Recorded answers, address by address.
fn asked_in_turn<T>(
    call: &Call,
    job: Job,
    canned: &[Canned],
    (recorded, name): (Recorded<'_>, &str),
    read: impl Fn(&Upstream, &FetchReply) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let Job::Ask(prepared) = job else {
        return Err(failure::misshapen(call.source_name(), "another dataset"));
    };
    let upstream = &prepared.upstream;
    if let Some((_, fault)) = recorded.fault.filter(|(fails, _)| *fails == name) {
        let reply = fault.reply(call.format.recorded(), upstream.reply_bytes_max);
        let reply = reply.map_err(|event| call.failed(&upstream.name, event))?;
        return read(upstream, &reply);
    }
    let mut left = prepared.requests.len();
    for one in canned.iter().take(prepared.requests.len()) {
        left = left.saturating_sub(1);
        let reply = reply_of(call, one);
        if reply.status == 404 && left > 0 {
            continue;
        }
        return read(upstream, &reply);
    }
    Err(unrecorded(call, upstream))
}

/// A list of recorded answers, one for each part.
fn paged(
    call: &Call,
    upstream: &Upstream,
    pages: &Pages,
    canned: &[Canned],
    now: Timestamp,
) -> Result<Answer, SourceError> {
    let mut reading = pages.begin();
    let (mut calls, mut bytes) = (Vec::new(), 0_usize);
    for one in canned {
        let mut part = call.read(upstream, &reply_of(call, one), now)?;
        bytes = bytes.saturating_add(part.bytes);
        calls.append(&mut part.calls);
        let more = reading.take(part.document);
        let more = more.map_err(|Unjoined(why)| failure::misshapen(&upstream.name, why))?;
        if !more {
            return Ok(Answer {
                document: reading.end(),
                calls,
                bytes,
            });
        }
    }
    Err(unrecorded(call, upstream))
}

fn reply_of(call: &Call, canned: &Canned) -> FetchReply {
    let (status, body) = match canned {
        Canned::Body(body) => (200, Bytes::from(call.format.recorded_bytes(body))),
        Canned::Status(status) => (*status, Bytes::new()),
    };
    FetchReply {
        status,
        media_type: Some(call.format.recorded().to_owned()),
        retry_after_s: None,
        body,
    }
}

fn unrecorded(call: &Call, upstream: &Upstream) -> SourceError {
    let mut error = call.failed(&upstream.name, Event::Network);
    error.cause.push_str(" (the example has no answer for it)");
    error
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
