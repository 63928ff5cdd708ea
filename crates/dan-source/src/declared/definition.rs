//! [`Definition`]: what a dataset's file says beside its head and its rules, read and compiled.
//!
//! To add a construct: its key in the reader that fits, its field here or in the part it belongs
//! to, its step in `declared/mod.rs`, and its line in `docs/catalog.md`.

mod bodies;
mod calls;
mod components;
mod examples;
mod fans;
mod file;
mod formats;
mod keeping;
mod paging;
mod parameters;
mod plans;
mod removals;
mod token;
mod values;

pub(crate) use plans::check_header;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dan_core::canonical::canonical_json;
use dan_core::dataset::{ParameterSpec, ValueSpec};
use serde_json::{Map, Value, json};

use super::CALLLESS_SOURCE;
use super::call::{Call, How};
use super::example::Example;
use super::mapping::ValueRule;
use super::minimise::{Keeping, Removal};
use super::parameter::ParameterRule;
use super::template::{Scope, Settings};
use super::upstream::Upstream;
use crate::catalog_folder::CatalogFiles;
use crate::catalog_folder::problem::{At, Place, Problems};
use crate::catalog_folder::section::Section;
use crate::catalog_folder::table::Tables;

/// Names that no call and no table may have.
const RESERVED: [&str; 9] = [
    "subject",
    "requestor",
    "owner",
    "param",
    "now",
    "item",
    "setting",
    "each",
    "call",
];

/// The compiled definition of a dataset. Immutable; shared by every request.
pub struct Definition {
    pub(super) name: String,
    pub(super) publisher: String,
    pub(super) mapping: Arc<str>,
    pub(super) calls: Vec<Arc<Call>>,
    pub(super) parameters: Vec<ParameterRule>,
    pub(super) tables: BTreeMap<String, Arc<Value>>,
    pub(super) keepings: Vec<Keeping>,
    pub(super) removals: Vec<Removal>,
    pub(super) values: Vec<ValueRule>,
    pub(super) examples: Vec<Example>,
    /// Of a binary dataset: what is passed on. Then `values` is empty.
    pub(super) file: Option<File>,
}

/// The answer of a call, passed on byte by byte.
pub(super) struct File {
    /// Asked last, when all others have answered.
    pub(super) call: Arc<Call>,
    /// Name of the value.
    pub(super) name: String,
    /// As declared; `None` where the answer names it.
    pub(super) media_type: Option<String>,
    pub(super) bytes_max: usize,
}

impl Definition {
    /// Name of the dataset.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why this node cannot get it: a source of it needs a setting that is missing.
    pub(crate) fn unset(&self) -> Option<String> {
        let component = self.components().find_map(|other| other.unset());
        if component.is_some() {
            return component;
        }
        let upstream = self.all_calls().find_map(|call| call.unset())?;
        let setting = upstream.unset.as_deref().unwrap_or_default();
        Some(format!(
            "the source {} needs the setting `{setting}`; add it under [settings]",
            upstream.name
        ))
    }

    /// Identifier of the source that serves it: the one its first call names.
    #[must_use]
    pub fn source_name(&self) -> &str {
        self.all_calls()
            .next()
            .map_or(CALLLESS_SOURCE, |call| call.source_name())
    }

    fn all_calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        let file = self.file.iter().map(|file| &file.call);
        self.calls.iter().chain(file)
    }

    /// Scopes of the tokens its calls are asked with, with blanks between them.
    pub(crate) fn scopes(&self) -> Option<String> {
        let mut scopes: Vec<&str> = Vec::new();
        let plans = self.all_calls().flat_map(|call| call.plans());
        let all = plans.filter_map(|plan| plan.token.scope());
        let theirs: Vec<String> = self
            .components()
            .filter_map(|other| other.scopes())
            .collect();
        let all = all.chain(theirs.iter().map(String::as_str));
        for scope in all.flat_map(|scope| scope.split(' ')) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        (!scopes.is_empty()).then(|| scopes.join(" "))
    }

    /// Datasets that it is made of.
    pub(crate) fn components(&self) -> impl Iterator<Item = &Self> {
        self.calls.iter().filter_map(|call| match &call.how {
            How::Dataset(component) => Some(component.definition.as_ref()),
            How::Ask(_) => None,
        })
    }

    /// How long its calls may take, those that wait for each other one after another.
    pub(crate) fn calls_time(&self) -> Duration {
        let calls: Vec<&Call> = self.calls.iter().map(AsRef::as_ref).collect();
        let ends = calls::ends(&calls);
        Duration::from_secs(ends.into_iter().max().unwrap_or(0))
    }

    /// How many datasets deep it is made of others: 1 when it is not.
    pub(crate) fn depth(&self) -> usize {
        let deepest = self.components().map(Self::depth).max();
        deepest.unwrap_or(0).saturating_add(1)
    }

    /// RFC 8785 of what turns answers into values.
    pub(crate) const fn mapping(&self) -> &Arc<str> {
        &self.mapping
    }

    /// How many examples it brings; at least one.
    #[must_use]
    pub fn example_count(&self) -> usize {
        self.examples.len()
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({}, {} calls)", self.name, self.calls.len())
    }
}

/// What the files around a dataset's file hold.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) settings: Settings<'a>,
    /// By name; `None` for a source whose own file has a mistake.
    pub(crate) upstreams: &'a BTreeMap<String, Option<Arc<Upstream>>>,
    /// By name.
    pub(crate) tables: &'a Tables,
    /// Those read before, by name; `None` for one whose file has a mistake.
    pub(crate) datasets: &'a BTreeMap<String, Option<Arc<Definition>>>,
    /// For the texts of examples.
    pub(crate) files: &'a CatalogFiles,
}

/// What the head of the file says that the rest depends on.
pub(crate) struct Head<'a> {
    pub(crate) name: &'a str,
    pub(crate) publisher: &'a str,
    pub(crate) timeout_s: u32,
    pub(crate) bytes_max: u64,
}

/// A definition, and what metadata tells of it.
pub(crate) struct Read {
    pub(crate) definition: Definition,
    pub(crate) values: Vec<ValueSpec>,
    pub(crate) parameters: Vec<ParameterSpec>,
}

/// Roots that the templates and expressions of one file may use.
pub(super) struct Roots<'a> {
    settings: Settings<'a>,
    params: Vec<String>,
    calls: Vec<String>,
    tables: Vec<String>,
}

impl Roots<'_> {
    fn scope(&self, item: bool) -> Scope<'_> {
        Scope {
            settings: self.settings,
            request: true,
            params: &self.params,
            calls: &self.calls,
            item,
        }
    }

    /// For expressions, which see tables and no settings.
    fn expressions(&self, item: bool) -> Vec<String> {
        let mut roots = self.scope(item).root_names();
        roots.retain(|root| root != "setting");
        roots.extend(self.tables.iter().cloned());
        roots
    }
}

/// Reads everything of a dataset's file but its head and its rules.
pub(crate) fn read(section: &mut Section<'_>, head: &Head<'_>, around: &Surroundings<'_>) -> Read {
    let mapping = mapping_text(section, around.datasets);
    let parameters = parameters::read(section);
    let call_sections = section.sections("call");
    let roots = Roots {
        settings: around.settings,
        // A split parameter is a list, which no template can write.
        params: parameters
            .rules
            .iter()
            .filter(|rule| rule.split.is_none())
            .map(|rule| rule.name.clone())
            .collect(),
        calls: call_sections
            .iter()
            .filter_map(|call| call.json("id").as_str().map(str::to_owned))
            .collect(),
        tables: around.tables.keys().cloned().collect(),
    };
    let mut calls = calls::read(call_sections, &roots, around, head);
    let (keepings, removals) = removals::read(section, &roots);
    let mut values = values::read(section, &roots, head);
    let file = file::read(section, &mut values, &mut calls, head);
    let examples = examples::read(section, &roots, around);
    let used = |name: &&String| {
        let in_calls = calls.iter().any(|call| call.mentions(name));
        let in_values = values.rules.iter().any(|rule| rule.mentions(name));
        let in_keepings = keepings.iter().any(|keeping| keeping.when.mentions(name));
        in_calls
            || in_values
            || in_keepings
            || removals.iter().any(|removal| removal.mentions(name))
    };
    let tables: BTreeMap<String, Arc<Value>> = around
        .tables
        .iter()
        .filter(|(name, _)| used(name))
        .filter_map(|(name, table)| Some((name.clone(), Arc::clone(&table.as_ref()?.rows))))
        .collect();
    let definition = Definition {
        name: head.name.to_owned(),
        publisher: head.publisher.to_owned(),
        mapping: Arc::from(mapping),
        calls,
        parameters: parameters.rules,
        tables,
        keepings,
        removals,
        values: values.rules,
        examples,
        file,
    };
    Read {
        definition,
        values: values.specs,
        parameters: parameters.specs,
    }
}

/// RFC 8785 of the part that turns answers into values: the `mapping` of the signed view. Of a call
/// it holds what shapes its answer: what is added for items, and the mapping of another dataset.
fn mapping_text(
    section: &Section<'_>,
    datasets: &BTreeMap<String, Option<Arc<Definition>>>,
) -> String {
    let mut part = json!({
        "keep": section.json("keep"),
        "remove": section.json("remove"),
        "value": section.json("value"),
    });
    let calls = section.json("call");
    let shaping: Map<String, Value> = calls
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|call| {
            let id = call.get("id")?.as_str()?.to_owned();
            let name = call.get("dataset").and_then(Value::as_str);
            let other = name.and_then(|name| datasets.get(name)?.as_ref());
            let other = other.and_then(|other| serde_json::from_str::<Value>(&other.mapping).ok());
            let added = ["answer", "failed"].map(|key| call.get(key).cloned());
            let shapes = other.is_some() || added.iter().any(Option::is_some);
            let [answer, failed] = added;
            shapes.then(|| {
                (
                    id,
                    json!({"answer": answer, "dataset": other, "failed": failed}),
                )
            })
        })
        .collect();
    if let (Value::Object(members), false) = (&mut part, shaping.is_empty()) {
        members.insert("call".to_owned(), Value::Object(shaping));
    }
    canonical_json(&part).unwrap_or_else(|reason| {
        section.problems().add(section.place(), reason);
        String::new()
    })
}

/// A name that expressions can use without quotes, and that means nothing else.
pub(crate) fn check_name(name: &At<String>, what: &str, problems: &Problems) -> bool {
    let text = name.value.as_str();
    let fits = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.starts_with(|first: char| first.is_ascii_alphabetic());
    if !fits {
        problems.hint(
            &name.place,
            format!("`{text}` cannot name {what}"),
            "use letters a to z, digits and _, a letter first",
        );
        return false;
    }
    if RESERVED.contains(&text) {
        problems.hint(
            &name.place,
            format!("`{text}` cannot name {what}: it means something already"),
            format!("choose a name other than {}", RESERVED.join(", ")),
        );
        return false;
    }
    true
}

/// Reports a limit that a file goes beyond.
pub(super) fn check_count(
    count: usize,
    most: usize,
    what: &str,
    place: &Place,
    problems: &Problems,
) {
    if count > most {
        problems.hint(
            place,
            format!("{count} {what} in one file"),
            format!("at most {most} are allowed"),
        );
    }
}
