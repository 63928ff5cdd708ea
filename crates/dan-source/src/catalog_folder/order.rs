//! Reads the datasets' files in an order in which a dataset comes after those it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dan_core::requirement::Requirement;

use super::problem::{Place, Problems};
use super::{CatalogFiles, Declared, dataset};
use crate::declared::definition::Surroundings;
use crate::declared::{COMPOSITION_DEPTH_MAX, Definition};

/// Path, name and text of a file.
type File<'a> = (&'a str, &'a str, &'a str);

/// Every dataset without a mistake, by name; mistakes are reported.
pub(crate) fn read(
    files: &CatalogFiles,
    contexts: Option<&[String]>,
    around: &Surroundings<'_>,
    problems: &Problems,
) -> Vec<Declared> {
    let mut waiting: Vec<(File<'_>, BTreeSet<String>)> = files
        .in_folder("datasets")
        .map(|file| (file, components(file.2)))
        .collect();
    // Those made of nothing first, so that a name that is misspelt finds its neighbour.
    waiting.sort_by_key(|(_, parts)| !parts.is_empty());
    let names: BTreeSet<&str> = waiting.iter().map(|((_, name, _), _)| *name).collect();
    // A dataset that does not exist is waited for by nobody: the reader of the call reports it.
    for (_, parts) in &mut waiting {
        parts.retain(|part| names.contains(part.as_str()));
    }
    let mut known: BTreeMap<String, Option<Arc<Definition>>> = BTreeMap::new();
    let mut read: BTreeMap<String, Declared> = BTreeMap::new();
    loop {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, parts)| parts.iter().all(|part| known.contains_key(part)));
        waiting = rest;
        if ready.is_empty() {
            break;
        }
        for (file, parts) in ready {
            let around = Surroundings {
                datasets: &known,
                ..*around
            };
            let declared = dataset::read(file, contexts, &around, problems);
            let definition = declared.as_ref().map(|one| Arc::clone(&one.definition));
            known.insert(file.1.to_owned(), definition);
            if let Some(declared) = declared {
                check(&declared, file.0, &parts, &read, problems);
                read.insert(file.1.to_owned(), declared);
            }
        }
    }
    for ((path, name, _), _) in waiting {
        let what = format!("{name} is made of itself, by way of the datasets its calls name");
        let hint = "datasets may be made of others, not in a circle";
        problems.hint(&Place::whole(path), what, hint);
    }
    read.into_values().collect()
}

/// Datasets that the calls of a file name. What is no TOML names none; its reader says so.
fn components(text: &str) -> BTreeSet<String> {
    let file: toml::Table = toml::from_str(text).unwrap_or_default();
    let calls = file.get("call").and_then(toml::Value::as_array);
    let names = calls
        .into_iter()
        .flatten()
        .filter_map(|call| call.get("dataset")?.as_str());
    names.map(str::to_owned).collect()
}

/// A dataset must not give out what the ones it is made of would not.
fn check(
    declared: &Declared,
    path: &str,
    parts: &BTreeSet<String>,
    read: &BTreeMap<String, Declared>,
    problems: &Problems,
) {
    let place = Place::whole(path);
    if declared.definition.depth() > COMPOSITION_DEPTH_MAX {
        let what = format!("datasets made of datasets, more than {COMPOSITION_DEPTH_MAX} deep");
        problems.hint(&place, what, "ask the sources themselves");
    }
    let asks_consent = |one: &Declared| {
        let mut rules = one.dataset.rules.iter();
        rules.any(|rule| matches!(rule.requirement, Requirement::Consent(_)))
    };
    for part in parts.iter().filter_map(|part| read.get(part)) {
        if asks_consent(part) && !asks_consent(declared) {
            let other = &part.dataset.name;
            let what = format!("{other} needs the subject's consent, and this dataset does not");
            let hint =
                "add a [[require]] of kind \"consent\": consent is not passed over by composing";
            problems.hint(&place, what, hint);
        }
    }
}
