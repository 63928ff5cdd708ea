//! Rules about what the request and its token bring along.

use std::sync::Arc;

use dan_core::requirement::{
    CpvList, CustomSubject, LegalBasisRule, ReferenceKind, ReferenceRule, Requirement, ScopeRule,
};
use regex::Regex;

use crate::catalog_folder::problem::{At, Mistake, suggestion};
use crate::catalog_folder::section::Section;
use crate::catalog_folder::table::{CPV_TABLE, Tables};

/// Kinds of legal basis as a rule names them.
const BASES: [&str; 2] = ["cpv", "espd"];

pub(super) fn scope(section: &mut Section<'_>) -> Option<Requirement> {
    let scopes = section.texts("all");
    if scopes.is_empty() {
        section.missing("all");
        return None;
    }
    let malformed = |scope: &At<String>| {
        scope.value.is_empty()
            || scope
                .value
                .contains(|c: char| c.is_whitespace() || c == ',')
    };
    if let Some(scope) = scopes.iter().find(|scope| malformed(scope)) {
        let what = format!("`{}` is no single scope", scope.value);
        let hint = "write each scope as a text of its own";
        section.problems().hint(&scope.place, what, hint);
        return None;
    }
    Some(Requirement::Scope(ScopeRule {
        required: scopes.into_iter().map(|scope| scope.value).collect(),
    }))
}

fn pattern(section: &mut Section<'_>, key: &'static str, default: &str) -> Option<Regex> {
    let text = section.text(key);
    let pattern = text.as_ref().map_or(default, |text| text.value.as_str());
    match Regex::new(pattern) {
        Ok(_) if pattern.is_empty() => {
            let place = text.as_ref().map_or(section.place(), |text| &text.place);
            let what = format!("`{key}` in [[require]] is empty, which lets everything in");
            section.problems().add(place, what);
            None
        }
        Ok(regex) => Some(regex),
        Err(error) => {
            let place = text.as_ref().map_or(section.place(), |text| &text.place);
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            let what = format!("`{key}` in [[require]] is no regular expression: {reason}");
            section.problems().add(place, what);
            None
        }
    }
}

pub(super) fn custom_subject(section: &mut Section<'_>) -> Option<Requirement> {
    let pattern = pattern(section, "also", CustomSubject::PATTERN_DEFAULT);
    let description = section.text("description");
    Some(Requirement::CustomSubject(CustomSubject {
        pattern: pattern?,
        description: description.map(|text| text.value),
    }))
}

pub(super) fn reference(section: &mut Section<'_>) -> Option<Requirement> {
    let which = section.required_text("reference");
    let format = pattern(section, "format", ".*");
    let which = which?;
    let reference = match which.value.as_str() {
        "consent" => ReferenceKind::Consent,
        "external" => ReferenceKind::External,
        other => {
            let what = format!("`reference` in [[require]] is `{other}`");
            let hint = "write \"consent\" or \"external\"";
            section.problems().hint(&which.place, what, hint);
            return None;
        }
    };
    Some(Requirement::Reference(ReferenceRule {
        reference,
        format: format?,
    }))
}

/// `accepts = ["cpv", "espd"]`, and the table of the CPV codes.
pub(super) fn legal_basis(section: &mut Section<'_>, tables: &Tables) -> Option<Requirement> {
    let problems = section.problems();
    let before = problems.count();
    let accepted = section.texts("accepts");
    for one in &accepted {
        if !BASES.contains(&one.value.as_str()) {
            problems.report(
                &one.place,
                Mistake {
                    what: format!("`{}` is no kind of legal basis", one.value),
                    hint: suggestion(&one.value, BASES),
                },
            );
        }
    }
    if accepted.is_empty() {
        section.missing("accepts");
    }
    let has = |name: &str| accepted.iter().any(|one| one.value == name);
    let table = section.text("cpv");
    let cpv = if has("cpv") {
        cpv_list(table.as_ref(), section, tables)
    } else {
        if let Some(table) = &table {
            let what = "`cpv` in [[require]] without accepts = [\"cpv\"]";
            problems.hint(&table.place, what, "leave it out, or accept that basis");
        }
        None
    };
    (problems.count() == before).then(|| {
        Requirement::LegalBasis(LegalBasisRule {
            cpv: cpv.map(Arc::new),
            espd: has("espd"),
        })
    })
}

/// The codes of the table that the rule names, or of the usual one. `None` is reported, here or
/// where the table is.
fn cpv_list(named: Option<&At<String>>, section: &Section<'_>, tables: &Tables) -> Option<CpvList> {
    let problems = section.problems();
    let place = named.map_or(section.place(), |name| &name.place);
    let name = named.map_or(CPV_TABLE, |name| name.value.as_str());
    let Some(found) = tables.get(name) else {
        let known = tables.keys().map(String::as_str);
        let hint = suggestion(name, known)
            .unwrap_or_else(|| format!("add tables/{name}.toml with the CPV codes"));
        problems.hint(place, format!("there is no table `{name}`"), hint);
        return None;
    };
    // A table with a mistake of its own is told about where it is; so is the usual one.
    match found.as_ref()?.cpv() {
        Ok(list) => Some(list),
        Err(_) if name == CPV_TABLE => None,
        Err(mistake) => {
            let what = format!("the table `{name}` holds no CPV codes: {}", mistake.what);
            problems.report(
                place,
                Mistake {
                    what,
                    hint: mistake.hint,
                },
            );
            None
        }
    }
}
