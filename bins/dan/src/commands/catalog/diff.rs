//! `dan catalog diff`: what a change of the catalogue changes for whom, and whether it widens access.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dan_core::dataset::Dataset;
use dan_core::requirement::Rule;
use dan_source::catalog_folder::{Environment, Loaded, check_folder};
use serde_json::{Value, json};

use super::{page_of, rules};
use crate::output::{Ending, Misuse, Outcome, say, say_json};

/// One difference, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about: a dataset, or a dataset in a context.
    pub of: String,
    /// What is different.
    pub what: String,
    /// Somebody may have more than before.
    pub widens: bool,
}

/// Compares two folders. The answer is no when something is wider than it was.
///
/// # Errors
/// A folder with mistakes.
pub fn run(old: &Path, new: &Path, as_json: bool) -> Ending {
    let read = |folder: &Path| {
        check_folder(folder, &Environment::invented())
            .map_err(|problems| Misuse(page_of(&problems, folder)))
    };
    let changes = changes(&read(old)?, &read(new)?);
    let wider = changes.iter().filter(|change| change.widens).count();
    if as_json {
        let listed = changes
            .iter()
            .map(|change| json!({"of": change.of, "what": change.what, "widens": change.widens}));
        say_json(&json!({"widens": wider > 0, "changes": listed.collect::<Vec<Value>>()}));
    } else {
        for change in &changes {
            let mark = if change.widens { "WIDER  " } else { "       " };
            say(format!("{mark}{}: {}", change.of, change.what));
        }
        say(match (changes.len(), wider) {
            (0, _) => "nothing changes for anybody".to_owned(),
            (_, 0) => "nobody gets more than before".to_owned(),
            (_, count) => format!("{count} changes give somebody more than before"),
        });
    }
    Ok(if wider == 0 {
        Outcome::Yes
    } else {
        Outcome::No
    })
}

/// Every difference that somebody can notice, in the order of names.
#[must_use]
pub fn changes(old: &Loaded, new: &Loaded) -> Vec<Change> {
    let (before, after) = (by_name(old), by_name(new));
    let mut found = Vec::new();
    contexts(old, new, &mut found);
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for name in names {
        match (before.get(name), after.get(name)) {
            (None, Some(_)) => found.push(change(name, "is new", true)),
            (Some(_), None) => found.push(change(name, "is gone", false)),
            (Some(one), Some(other)) => {
                access((one, old), (other, new), &mut found);
                content(one, other, &mut found);
            }
            (None, None) => {}
        }
    }
    found
}

fn by_name(loaded: &Loaded) -> BTreeMap<&str, &Dataset> {
    let datasets = loaded.datasets.iter().map(|declared| &declared.dataset);
    datasets
        .map(|dataset| (dataset.name.as_str(), dataset))
        .collect()
}

fn change(of: &str, what: impl Into<String>, widens: bool) -> Change {
    Change {
        of: of.to_owned(),
        what: what.into(),
        widens,
    }
}

/// A service may narrow what its datasets allow; what it stops to ask shows in each of them.
fn contexts(old: &Loaded, new: &Loaded, found: &mut Vec<Change>) {
    let of = |loaded: &Loaded| -> BTreeMap<String, Option<String>> {
        let files = loaded.contexts.iter();
        files
            .map(|file| (file.context.name.clone(), file.legal_clearance.clone()))
            .collect()
    };
    let (before, after) = (of(old), of(new));
    for (name, clearance) in &after {
        match before.get(name) {
            None => found.push(change(name, "is a new service", false)),
            Some(was) if was != clearance => {
                let what =
                    "rests on another legal clearance: whether it allows more is for a lawyer";
                found.push(change(name, what, true));
            }
            Some(_) => {}
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        found.push(change(name, "is no service any more", false));
    }
}

/// Who may have it.
fn access(
    (one, old): (&Dataset, &Loaded),
    (other, new): (&Dataset, &Loaded),
    found: &mut Vec<Change>,
) {
    let name = other.name.as_str();
    if one.public != other.public {
        let what = match other.public {
            true => "is open to everybody now",
            false => "is open to everybody no more",
        };
        found.push(change(name, what, other.public));
    }
    let (before, after) = (places(one), places(other));
    for context in after.difference(&before) {
        found.push(change(name, format!("is offered in {context} now"), true));
    }
    for context in before.difference(&after) {
        found.push(change(
            name,
            format!("is offered in {context} no more"),
            false,
        ));
    }
    for context in before.intersection(&after) {
        let of = format!("{name} in {context}");
        let worded = |rules: Vec<&Rule>| -> BTreeSet<String> {
            let timed = |rule: &Rule| match rule.at_harvest {
                true => rule.to_string(),
                false => format!("{rule} (not asked again at harvest)"),
            };
            rules.into_iter().map(timed).collect()
        };
        let (were, are) = (
            worded(rules(one, context, old)),
            worded(rules(other, context, new)),
        );
        for rule in were.difference(&are) {
            found.push(change(&of, format!("is not asked any more: {rule}"), true));
        }
        for rule in are.difference(&were) {
            found.push(change(&of, format!("is asked now: {rule}"), false));
        }
    }
    let longest = |dataset: &Dataset| dataset.valid_days_max.unwrap_or(u32::MAX);
    if longest(one) != longest(other) {
        let days = |dataset: &Dataset| match dataset.valid_days_max {
            Some(days) => format!("{days} days"),
            None => "as long as is asked for".to_owned(),
        };
        let what = format!("grants last {}, were {}", days(other), days(one));
        found.push(change(name, what, longest(other) > longest(one)));
    }
}

/// Contexts, with the name it has there.
fn places(dataset: &Dataset) -> BTreeSet<&str> {
    let aliases = dataset.aliases.iter().map(|alias| alias.context.as_str());
    dataset
        .contexts
        .iter()
        .map(String::as_str)
        .chain(aliases)
        .collect()
}

/// What comes out, and what the caller may say.
fn content(one: &Dataset, other: &Dataset, found: &mut Vec<Change>) {
    let name = other.name.as_str();
    let values = |dataset: &Dataset| -> BTreeMap<String, &'static str> {
        let values = dataset.values.iter();
        values
            .map(|value| (value.name.clone(), value.value_type.wire_name()))
            .collect()
    };
    let (before, after) = (values(one), values(other));
    for (value, kind) in &after {
        match before.get(value) {
            None => found.push(change(name, format!("gives {value} now"), true)),
            Some(was) if was != kind => {
                let what = format!("gives {value} as {kind}, was {was}");
                found.push(change(name, what, false));
            }
            Some(_) => {}
        }
    }
    for value in before.keys().filter(|value| !after.contains_key(*value)) {
        found.push(change(name, format!("gives {value} no more"), false));
    }
    minimisation(one, other, found);
    let parameters = |dataset: &Dataset| -> BTreeMap<String, bool> {
        let parameters = dataset.parameters.iter();
        parameters
            .map(|parameter| (parameter.name.clone(), parameter.required))
            .collect()
    };
    let (before, after) = (parameters(one), parameters(other));
    for (parameter, required) in &after {
        let what = match (before.get(parameter), required) {
            (None, true) => format!("must be told {parameter} now"),
            (None, false) => format!("may be told {parameter} now"),
            (Some(false), true) => format!("must be told {parameter}, which was optional"),
            (Some(true), false) => format!("need not be told {parameter} any more"),
            (Some(_), _) => continue,
        };
        found.push(change(name, what, false));
    }
    for parameter in before.keys().filter(|name| !after.contains_key(*name)) {
        found.push(change(name, format!("takes {parameter} no more"), false));
    }
}

/// What is taken out before anything is made. Less of it is wider; other values of the same names
/// cannot be judged, and are told.
fn minimisation(one: &Dataset, other: &Dataset, found: &mut Vec<Change>) {
    if one.mapping == other.mapping {
        return;
    }
    let name = other.name.as_str();
    let part = |dataset: &Dataset, key: &str| -> BTreeSet<String> {
        let mapping: Value = serde_json::from_str(&dataset.mapping).unwrap_or_default();
        let items = mapping.get(key).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect()
    };
    let before = found.len();
    for (key, verb) in [("remove", "removes"), ("keep", "keeps only")] {
        let (were, are) = (part(one, key), part(other, key));
        for rule in were.difference(&are) {
            found.push(change(name, format!("{verb} no more: {rule}"), true));
        }
        for rule in are.difference(&were) {
            found.push(change(name, format!("{verb} now: {rule}"), false));
        }
    }
    if found.len() == before {
        let what = "its values are made in another way: compare what its examples expect";
        found.push(change(name, what, false));
    }
}

#[cfg(test)]
mod tests {
    use dan_source::catalog_folder::{CatalogFiles, load};

    use super::*;

    const CONTEXT: &str = "name = \"Test\"\nowner = \"x\"\n[[require]]\nkind = \"party\"\nrequestor = \"public-agency\"\n";
    const DATASET: &str = r#"
[dataset]
about = "x"
source = "x"
contexts = ["Test"]
valid_days = 30
[[require]]
kind = "scope"
all = ["a:b"]
[[call]]
id = "unit"
source = "reg"
get = "/units/{subject.org}"
[[remove]]
path = "unit.notes"
[[value]]
name = "navn"
type = "string"
from = "unit.navn"
[[example]]
subject = "x"
fails = "caller:5"
"#;

    fn loaded(context: &str, dataset: &str) -> Loaded {
        let texts = [
            ("contexts/test.toml", context),
            ("sources/reg.toml", "address = \"https://reg.example\"\n"),
            ("datasets/D.toml", dataset),
        ];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        load(&CatalogFiles::from_texts(texts), &Environment::invented()).unwrap()
    }

    fn told(context: (&str, &str), dataset: (&str, &str)) -> Vec<(bool, String)> {
        assert!(CONTEXT.contains(context.0) && DATASET.contains(dataset.0));
        let old = loaded(CONTEXT, DATASET);
        let new = loaded(
            &CONTEXT.replace(context.0, context.1),
            &DATASET.replace(dataset.0, dataset.1),
        );
        let changes = changes(&old, &new);
        changes
            .into_iter()
            .map(|change| (change.widens, format!("{}: {}", change.of, change.what)))
            .collect()
    }

    #[test]
    fn nothing_is_told_where_nothing_changed() {
        assert_eq!(told(("", ""), ("", "")), []);
        assert_eq!(told(("", ""), ("30", "30 # a remark")), []);
    }

    #[test]
    fn what_gives_somebody_more_is_marked() {
        for (context, dataset, widens, expected) in [
            (
                ("", ""),
                ("valid_days = 30", "valid_days = 60"),
                true,
                "D: grants last 60 days, were 30 days",
            ),
            (
                ("", ""),
                ("valid_days = 30", "valid_days = 10"),
                false,
                "D: grants last 10 days, were 30 days",
            ),
            (
                ("", ""),
                ("valid_days = 30", "public = true\nvalid_days = 30"),
                true,
                "D: is open to everybody now",
            ),
            (
                ("", ""),
                ("[[remove]]\npath = \"unit.notes\"\n", ""),
                true,
                "D: removes no more: {\"path\":\"unit.notes\"}",
            ),
            (
                ("", ""),
                ("unit.notes", "unit.notes.x"),
                true,
                "D: removes no more: {\"path\":\"unit.notes\"}",
            ),
            (
                ("", ""),
                ("name = \"navn\"", "name = \"name\""),
                true,
                "D: gives name now",
            ),
            (
                ("", ""),
                ("type = \"string\"", "type = \"number\""),
                false,
                "D: gives navn as number, was string",
            ),
            (
                ("", ""),
                ("unit.navn", "unit.name"),
                false,
                "D: its values are made in another way: compare what its examples expect",
            ),
            (
                (
                    "[[require]]\nkind = \"party\"\nrequestor = \"public-agency\"\n",
                    "",
                ),
                ("", ""),
                true,
                "D in Test: is not asked any more: ",
            ),
        ] {
            let told = told(context, dataset);
            let (is_wider, line) = told.first().expect("a change");
            assert!(line.starts_with(expected), "{expected}: {told:?}");
            assert_eq!(*is_wider, widens, "{told:?}");
        }
    }

    #[test]
    fn a_rule_that_only_leaves_out_asks_less_than_one_that_refuses() {
        let told = told(
            ("", ""),
            ("all = [\"a:b\"]", "all = [\"a:b\"]\non_failure = \"skip\""),
        );
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().any(|(widens, _)| *widens), "{told:?}");
    }

    #[test]
    fn datasets_that_come_and_go_are_told() {
        let none = load(&CatalogFiles::default(), &Environment::invented()).unwrap();
        let some = loaded(CONTEXT, DATASET);
        let lines = |changes: Vec<Change>| -> Vec<(bool, String)> {
            let lines = changes.into_iter();
            lines
                .map(|it| (it.widens, format!("{} {}", it.of, it.what)))
                .collect()
        };
        let came = [
            (false, "Test is a new service".to_owned()),
            (true, "D is new".to_owned()),
        ];
        assert_eq!(lines(changes(&none, &some)), came);
        let went = [
            (false, "Test is no service any more".to_owned()),
            (false, "D is gone".to_owned()),
        ];
        assert_eq!(lines(changes(&some, &none)), went);
    }
}
