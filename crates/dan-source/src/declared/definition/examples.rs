//! Reads `[[example]]`: recorded answers in, expected values out.

use std::collections::BTreeMap;

use dan_core::party::{Party, Realm};
use serde_json::Value;

use super::{Roots, Surroundings};
use crate::catalog_folder::problem::{At, Mistake, Problems, suggestion};
use crate::catalog_folder::section::{Node, Section};
use crate::declared::example::{Canned, EXAMPLE_NOW, Example, Expected};
use crate::declared::failure::Meaning;
use crate::declared::json;

pub(super) fn read(
    section: &mut Section<'_>,
    roots: &Roots<'_>,
    around: &Surroundings<'_>,
) -> Vec<Example> {
    let problems = section.problems();
    let sections = section.sections("example");
    if sections.is_empty() {
        let hint =
            "add [[example]] with subject, answers and expect: what nobody tried is not served";
        problems.hint(section.place(), "this definition has no example", hint);
    }
    let mut examples = Vec::new();
    for mut one in sections {
        let expected = expected(&mut one, around);
        let example = expected.map(|expected| Example {
            place: one.place().clone(),
            subject: one.text("subject").map(|text| text.value),
            requestor: party(&mut one, "requestor"),
            owner: party(&mut one, "owner"),
            parameters: parameters(&mut one),
            answers: answers(&mut one, roots, around),
            now: one.moment("now").unwrap_or(EXAMPLE_NOW),
            expected,
        });
        // Free words for the reader of the file.
        one.text("about");
        if example.is_some() {
            one.finish();
        }
        examples.extend(example);
    }
    examples
}

fn party(section: &mut Section<'_>, key: &'static str) -> Option<Party> {
    let text = section.text(key)?;
    Party::parse(&text.value, Realm::Sandbox)
        .map_err(|error| {
            let what = format!("`{key}` in [[example]]: {error}");
            section.problems().add(&text.place, what);
        })
        .ok()
}

fn parameters(section: &mut Section<'_>) -> Vec<(String, Value)> {
    let Some(mut table) = section.section("params") else {
        return Vec::new();
    };
    table
        .rest()
        .into_iter()
        .map(|(name, item)| (name.value, item.value.to_json()))
        .collect()
}

/// One answer for each address that is asked: a file, or a status.
fn answers(
    section: &mut Section<'_>,
    roots: &Roots<'_>,
    around: &Surroundings<'_>,
) -> BTreeMap<String, Vec<Canned>> {
    let mut answers = BTreeMap::new();
    let Some(mut table) = section.section("answers") else {
        return answers;
    };
    for (call, item) in table.rest() {
        if !roots.calls.contains(&call.value) {
            section.problems().report(
                &call.place,
                Mistake {
                    what: format!("`answers` names no call: `{}`", call.value),
                    hint: suggestion(&call.value, roots.calls.iter().map(String::as_str)),
                },
            );
        }
        one_answer(call.value, item, around, (section.problems(), &mut answers));
    }
    answers
}

/// A file or a status; a list of them, one for each address or item; a table, for the calls of
/// another dataset.
fn one_answer(
    name: String,
    item: At<Node>,
    around: &Surroundings<'_>,
    (problems, answers): (&Problems, &mut BTreeMap<String, Vec<Canned>>),
) {
    let items = match item.value {
        Node::List(items) => items,
        Node::Table(members) => {
            for inner in members {
                let name = format!("{name}.{}", inner.key.value);
                one_answer(name, inner.item, around, (problems, answers));
            }
            return;
        }
        Node::Text(_) | Node::Number(_) | Node::Flag(_) | Node::Moment(_) => vec![item],
    };
    let canned = items
        .iter()
        .filter_map(|item| canned(item, around, problems))
        .collect();
    answers.insert(name, canned);
}

fn canned(item: &At<Node>, around: &Surroundings<'_>, problems: &Problems) -> Option<Canned> {
    let status = match &item.value {
        Node::Text(path) => {
            let path = At::new(path.clone(), item.place.clone());
            return file(&path, around, problems).map(|text| Canned::Body(text.to_owned()));
        }
        Node::Number(number) => number
            .as_u64()
            .and_then(|status| u16::try_from(status).ok()),
        Node::Flag(_) | Node::Moment(_) | Node::List(_) | Node::Table(_) => None,
    };
    let status = status.filter(|status| (200..600).contains(status));
    if status.is_none() {
        let hint = "write \"examples/file.json\", or a status such as 404";
        problems.hint(&item.place, "an answer is a file or a status", hint);
    }
    status.map(Canned::Status)
}

fn file<'a>(path: &At<String>, around: &Surroundings<'a>, problems: &Problems) -> Option<&'a str> {
    let found = path
        .value
        .starts_with("examples/")
        .then(|| around.files.text(&path.value))
        .flatten();
    if found.is_none() {
        let what = format!("there is no file `{}`", path.value);
        let hint = "examples lie in the folder examples/ and are named from the catalogue's root";
        problems.hint(&path.place, what, hint);
    }
    found
}

fn expected(section: &mut Section<'_>, around: &Surroundings<'_>) -> Option<Expected> {
    let problems = section.problems();
    match (section.text("expect"), section.text("fails")) {
        (Some(path), None) => {
            let text = file(&path, around, problems)?;
            match json::read(text.as_bytes()) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => Some(Expected::Values(value)),
                Ok(_) | Err(_) => {
                    let what = format!("`{}` holds no JSON object", path.value);
                    let hint = "write {\"name\": value, …} in the order of the definition";
                    problems.hint(&path.place, what, hint);
                    None
                }
            }
        }
        (None, Some(meaning)) => Meaning::parse(&meaning.value)
            .map_err(|mistake| problems.report(&meaning.place, mistake))
            .map(Expected::Failure)
            .ok(),
        (_, _) => {
            let what = "[[example]] needs either `expect` or `fails`";
            let hint = "expect = \"examples/file.values.json\", fails = \"caller:1\"";
            problems.hint(section.place(), what, hint);
            None
        }
    }
}
