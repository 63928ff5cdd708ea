//! Reads `datasets/<name>.toml`: the head, the rules, and with `declared/definition.rs` the rest.

use std::sync::Arc;

use dan_core::dataset::{Alias, BYTES_MAX_DEFAULT, Dataset, HARVEST_TIMEOUT_S_DEFAULT};
use dan_core::time::Timestamp;

use super::Declared;
use super::problem::{At, Mistake, Problems, suggestion};
use super::require;
use super::section::{self, Section};
use crate::declared::definition::{self, Head, Surroundings};

/// Longest time a dataset may take, in seconds.
const TIMEOUT_S_MAX: u32 = 300;
/// Largest answer that a binary dataset may allow, in MiB.
const BINARY_MIB_MAX: u32 = 16 * 1024;
/// Longest validity that a dataset may allow, in days (`wire-api.md` §3.7).
const VALID_DAYS_MAX: u32 = 1825;
/// Longest name of a dataset, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// `[dataset]`.
#[derive(Default)]
struct Top {
    about: Option<String>,
    source: Option<String>,
    contexts: Vec<String>,
    aliases: Vec<Alias>,
    valid_days: Option<u32>,
    timeout_s: Option<u32>,
    bytes_max: Option<u64>,
    public: bool,
    license: Option<String>,
    valid_from: Option<Timestamp>,
    valid_to: Option<Timestamp>,
    deprecation: Option<String>,
}

/// The dataset in a file; `None` when the file has a mistake.
pub(crate) fn read(
    (file, name, text): (&str, &str, &str),
    contexts: Option<&[String]>,
    around: &Surroundings<'_>,
    problems: &Problems,
) -> Option<Declared> {
    let before = problems.count();
    let mut section = section::read(file, text, problems)?;
    check_name(name, &section);
    let top = if let Some(mut head) = section.section("dataset") {
        let top = top(&mut head, contexts);
        head.finish();
        top
    } else {
        section.missing("[dataset]");
        Top::default()
    };
    let allowed = (!top.contexts.is_empty()).then_some(top.contexts.as_slice());
    let rules = require::read(&mut section, name, allowed, around);
    let publisher = top.source.unwrap_or_default();
    let head = Head {
        name,
        publisher: &publisher,
        timeout_s: top.timeout_s.unwrap_or(HARVEST_TIMEOUT_S_DEFAULT),
        bytes_max: top.bytes_max.unwrap_or(BYTES_MAX_DEFAULT),
    };
    let read = definition::read(&mut section, &head, around);
    section.not_built(&["fixtures", "import", "enrich", "merge"]);
    section.finish();
    if problems.count() > before {
        return None;
    }
    let mapping = Arc::clone(read.definition.mapping());
    let source_scopes = read.definition.scopes();
    let unavailable = read.definition.unset();
    Some(Declared {
        definition: Arc::new(read.definition),
        dataset: Dataset {
            name: name.to_owned(),
            description: top.about,
            publisher,
            contexts: top.contexts,
            aliases: top.aliases,
            values: read.values,
            parameters: read.parameters,
            rules,
            unavailable,
            public: top.public,
            asynchronous: false,
            valid_days_max: top.valid_days,
            timeout_s: top.timeout_s,
            bytes_max: top.bytes_max,
            source_scopes,
            license: top.license,
            valid_from: top.valid_from,
            valid_to: top.valid_to,
            deprecation_warning: top.deprecation,
            mapping,
        },
    })
}

/// The name stands in addresses and in metadata.
fn check_name(name: &str, section: &Section<'_>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
        section.problems().hint(
            section.place(),
            format!("`{name}` cannot name a dataset"),
            format!("use letters a to z, digits, `.`, `_` and `-`, at most {NAME_BYTES_MAX}"),
        );
    }
}

fn top(section: &mut Section<'_>, contexts: Option<&[String]>) -> Top {
    let problems = section.problems();
    let plain = |text: Option<At<String>>| text.map(|text| text.value);
    let about = plain(section.required_text("about"));
    let source = plain(section.required_text("source"));
    let named = section.texts("contexts");
    for name in &named {
        check_context(name, contexts, problems);
    }
    let public = section.flag("public").unwrap_or(false);
    let aliases = aliases(section, contexts);
    if named.is_empty() && !public && aliases.is_empty() {
        let what = "the dataset belongs to no context and is not public";
        let hint = "add contexts = [\"…\"] or public = true";
        problems.hint(section.place(), what, hint);
    }
    let top = Top {
        about,
        source,
        contexts: named.into_iter().map(|name| name.value).collect(),
        aliases,
        valid_days: section
            .number("valid_days", 1..=VALID_DAYS_MAX)
            .map(|days| days.value),
        timeout_s: section
            .seconds("timeout", TIMEOUT_S_MAX)
            .map(|seconds| seconds.value),
        bytes_max: section
            .number("mib_max", 1..=BINARY_MIB_MAX)
            .map(|mib| u64::from(mib.value) << 20),
        public,
        license: plain(section.text("license")),
        valid_from: section.moment("valid_from"),
        valid_to: section.moment("valid_to"),
        deprecation: plain(section.text("deprecation")),
    };
    section.not_built(&["asynchronous", "cache", "scopes"]);
    top
}

fn check_context(name: &At<String>, contexts: Option<&[String]>, problems: &Problems) {
    // When a context's own file has a mistake, what it is called is not known.
    let Some(known) = contexts else { return };
    if !known.contains(&name.value) {
        problems.report(
            &name.place,
            Mistake {
                what: format!("there is no context named `{}`", name.value),
                hint: suggestion(&name.value, known.iter().map(String::as_str)),
            },
        );
    }
}

/// `aliases = [{ context = "…", name = "…" }]`.
fn aliases(section: &mut Section<'_>, contexts: Option<&[String]>) -> Vec<Alias> {
    let problems = section.problems();
    let mut aliases = Vec::new();
    for mut one in section.sections("aliases") {
        let context = one.required_text("context");
        let name = one.required_text("name");
        one.finish();
        if let (Some(context), Some(name)) = (context, name) {
            check_context(&context, contexts, problems);
            aliases.push(Alias {
                context: context.value,
                name: name.value,
            });
        }
    }
    aliases
}
