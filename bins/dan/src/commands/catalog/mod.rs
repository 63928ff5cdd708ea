//! `dan catalog`: check a folder of definitions, show what one of them says, compare two, draft one.

pub mod diff;
pub mod draft;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use dan_core::dataset::Dataset;
use dan_core::requirement::{OnFailure, Rule};
use dan_source::catalog_folder::{Environment, Loaded, Problem, check_folder, load};
use serde_json::{Value, json};

use crate::compose::{catalog_files, list_problems};
use crate::output::{Ending, Misuse, Outcome, say, say_json};

/// Finds every mistake in one run, and runs every example.
///
/// # Errors
/// None: a folder that cannot be read is a mistake like others.
pub fn check(folder: &Path, as_json: bool) -> Ending {
    let (found, datasets, faults) = match check_folder(folder, &Environment::invented()) {
        Err(problems) => (problems, 0, 0),
        Ok(loaded) => (Vec::new(), loaded.datasets.len(), loaded.try_faults().1),
    };
    if as_json {
        let problems: Vec<Value> = found.iter().map(describe_problem).collect();
        say_json(&json!({
            "ok": found.is_empty(), "datasets": datasets, "faults": faults, "problems": problems,
        }));
    } else if found.is_empty() {
        say(format!(
            "datasets: {datasets}; every example comes out as expected, and so do {faults} failures of their sources"
        ));
    } else {
        say(page_of(&found, folder));
    }
    Ok(if found.is_empty() {
        Outcome::Yes
    } else {
        Outcome::No
    })
}

/// Every mistake with its line, as compilers show them.
fn page_of(problems: &[Problem], folder: &Path) -> String {
    let mut texts: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let shown = problems.iter().map(|problem| {
        let read = || std::fs::read_to_string(folder.join(&problem.file)).ok();
        let text = texts.entry(&problem.file).or_insert_with(read);
        problem.shown_in(text.as_deref().unwrap_or_default())
    });
    let shown: Vec<String> = shown.collect();
    let count = match problems.len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    format!("{}\n\n{count}", shown.join("\n\n"))
}

fn describe_problem(problem: &Problem) -> Value {
    json!({
        "file": problem.file,
        "line": problem.line,
        "column": problem.marked.from.saturating_add(1),
        "length": problem.marked.bytes,
        "what": problem.what,
        "hint": problem.hint,
    })
}

/// Shows what a dataset is, who may have it, what it takes and gives.
///
/// # Errors
/// A catalogue with mistakes, or a dataset or context that is not in it.
pub fn show(name: &str, context: Option<&str>, folder: Option<&Path>, as_json: bool) -> Ending {
    let files = catalog_files(folder)?;
    let loaded = load(&files, &Environment::invented())
        .map_err(|problems| Misuse(list_problems(&problems)))?;
    let dataset = loaded
        .datasets
        .iter()
        .map(|declared| &declared.dataset)
        .find(|it| it.name == name);
    let Some(dataset) = dataset else {
        let known: Vec<&str> = loaded
            .datasets
            .iter()
            .map(|declared| declared.dataset.name.as_str())
            .collect();
        return Err(Misuse(format!(
            "no dataset {name}; known: {}",
            known.join(", ")
        )));
    };
    let contexts: Vec<&str> = dataset
        .contexts
        .iter()
        .map(String::as_str)
        .filter(|known| context.is_none_or(|wanted| known.eq_ignore_ascii_case(wanted)))
        .collect();
    if contexts.is_empty() {
        let known = dataset.contexts.join(", ");
        return Err(Misuse(format!(
            "{name} is not offered there; it belongs to {known}"
        )));
    }
    if as_json {
        say_json(&describe(dataset, &contexts, &loaded));
    } else {
        say(page(dataset, &contexts, &loaded));
    }
    Ok(Outcome::Yes)
}

/// Rules that apply in a context: its own first, then those of the dataset.
fn rules<'a>(dataset: &'a Dataset, context: &str, loaded: &'a Loaded) -> Vec<&'a Rule> {
    let of_context = loaded
        .contexts
        .iter()
        .filter(|file| file.context.name == context);
    let of_context = of_context.flat_map(|file| file.context.rules.iter());
    of_context
        .chain(dataset.rules.iter().filter(|rule| rule.applies_in(context)))
        .collect()
}

fn page(dataset: &Dataset, contexts: &[&str], loaded: &Loaded) -> String {
    let mut page = format!("{}\n", dataset.name);
    let mut line = |text: String| writeln!(page, "{text}").unwrap_or_default();
    line(format!(
        "  {}",
        dataset.description.as_deref().unwrap_or("(no description)")
    ));
    line(format!(
        "  from {}{}",
        dataset.publisher,
        if dataset.public {
            ", open to everybody"
        } else {
            ""
        }
    ));
    for context in contexts {
        line(format!("\nwho may have it, under {context}"));
        for rule in rules(dataset, context, loaded) {
            line(format!("  {rule}"));
            line(format!("      {} ({})", rule.id, rule.origin));
        }
    }
    line("\nwhat it takes".to_owned());
    for parameter in &dataset.parameters {
        let required = if parameter.required {
            "required"
        } else {
            "optional"
        };
        let kind = parameter
            .parameter_type
            .map_or("nothing", |kind| kind.wire_name());
        line(format!("  {} {kind}, {required}", parameter.name));
    }
    line("\nwhat it gives".to_owned());
    for value in &dataset.values {
        line(format!("  {} {}", value.name, value.value_type.wire_name()));
    }
    page.trim_end().to_owned()
}

fn describe(dataset: &Dataset, contexts: &[&str], loaded: &Loaded) -> Value {
    let rules_of = |context: &&str| {
        let rules: Vec<Value> = rules(dataset, context, loaded)
            .into_iter()
            .map(|rule| json!({"id": rule.id, "kind": rule.requirement.kind(), "origin": rule.origin, "soft": rule.on_failure == OnFailure::Skip}))
            .collect();
        ((*context).to_owned(), Value::from(rules))
    };
    json!({
        "name": dataset.name,
        "description": dataset.description,
        "source": dataset.publisher,
        "public": dataset.public,
        "rules": contexts.iter().map(rules_of).collect::<serde_json::Map<_, _>>(),
        "parameters": dataset.parameters.iter().map(|parameter| json!({
            "name": parameter.name,
            "type": parameter.parameter_type.map(|kind| kind.wire_name()),
            "required": parameter.required,
        })).collect::<Vec<_>>(),
        "values": dataset.values.iter().map(|value| json!({
            "name": value.name,
            "type": value.value_type.wire_name(),
        })).collect::<Vec<_>>(),
    })
}
