//! Reads `[[keep]]` and `[[remove]]`.

use super::Roots;
use crate::catalog_folder::problem::{At, Problems, suggestion};
use crate::catalog_folder::section::Section;
use crate::declared::expression::Expr;
use crate::declared::minimise::{Condition, FieldPath, Keeping, Removal};

/// Most steps of minimisation in one dataset.
const STEPS_MAX: usize = 64;

pub(super) fn read(section: &mut Section<'_>, roots: &Roots<'_>) -> (Vec<Keeping>, Vec<Removal>) {
    let problems = section.problems();
    let keeps = section.sections("keep");
    let removes = section.sections("remove");
    let count = keeps.len().saturating_add(removes.len());
    super::check_count(
        count,
        STEPS_MAX,
        "[[keep]] and [[remove]]",
        section.place(),
        problems,
    );
    let mut keepings = Vec::new();
    for mut one in keeps {
        let path = one
            .required_text("path")
            .and_then(|text| path(&text, roots, problems));
        let when = one
            .required_text("when")
            .and_then(|text| expression(&text, &roots.expressions(true), problems));
        let place = one.place().clone();
        one.finish();
        if let (Some(path), Some(when)) = (path, when) {
            if !path.items {
                let hint = "end the path in [] to say whose items are judged";
                problems.hint(&place, "[[keep]] is about the items of a list", hint);
            }
            keepings.push(Keeping { path, when });
        }
    }
    let removals = removes.into_iter().map(|one| removal(one, roots)).collect();
    (keepings, removals)
}

fn removal(mut section: Section<'_>, roots: &Roots<'_>) -> Removal {
    let problems = section.problems();
    if !section.has("path") {
        section.missing("path");
    }
    let paths = section.texts("path");
    let paths = paths
        .iter()
        .filter_map(|text| path(text, roots, problems))
        .collect();
    let when = section.text("when");
    let conditional = when.is_some();
    let when = when.and_then(|text| expression(&text, &roots.expressions(false), problems));
    let when_missing = when_missing(&mut section, conditional);
    section.finish();
    Removal {
        paths,
        condition: when.map(|when| Condition { when, when_missing }),
    }
}

/// Whether to remove when the condition cannot be answered. It has to be written.
fn when_missing(section: &mut Section<'_>, conditional: bool) -> bool {
    let problems = section.problems();
    let hint = "write when_missing = \"remove\" or \"keep\": what holds when the condition cannot be answered";
    match section.text("when_missing") {
        None if conditional => {
            let what = "[[remove]] has a `when` and no `when_missing`";
            problems.hint(section.place(), what, hint);
            true
        }
        None => true,
        Some(text) if !conditional => {
            let what = "`when_missing` in [[remove]] without `when`";
            problems.hint(&text.place, what, "without a condition it always removes");
            true
        }
        Some(text) => match text.value.as_str() {
            "remove" => true,
            "keep" => false,
            other => {
                let what = format!("`when_missing` in [[remove]] is `{other}`");
                problems.hint(&text.place, what, hint);
                true
            }
        },
    }
}

fn path(text: &At<String>, roots: &Roots<'_>, problems: &Problems) -> Option<FieldPath> {
    let path = match FieldPath::parse(&text.value) {
        Ok(path) => path,
        Err(mistake) => {
            problems.report(&text.place, mistake);
            return None;
        }
    };
    if !roots.calls.contains(&path.call) {
        let what = format!("the path `{}` begins with no call", text.value);
        let hint = suggestion(&path.call, roots.calls.iter().map(String::as_str));
        problems.hint(
            &text.place,
            what,
            hint.unwrap_or_else(|| "a path begins with the id of a call".to_owned()),
        );
        return None;
    }
    Some(path)
}

fn expression(text: &At<String>, roots: &[String], problems: &Problems) -> Option<Expr> {
    Expr::compile(&text.value, roots)
        .map_err(|mistake| problems.report(&text.place, mistake))
        .ok()
}
