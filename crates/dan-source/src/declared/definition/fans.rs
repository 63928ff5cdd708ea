//! Reads `for_each`, `when`, `width`, `answer` and `failed` of a `[[call]]`.

use super::plans::{Reading, template_text};
use crate::catalog_folder::section::Section;
use crate::declared::expression::Expr;
use crate::declared::fan::{CALL_ROOT, Fan, WIDTH_MAX};
use crate::declared::template::{Template, parse, roots};

/// Items at a time when `width` does not say.
const WIDTH_DEFAULT: u32 = 8;

/// What makes a call be made for every item; tells the other readers where the items come from.
pub(super) fn read<'a>(section: &mut Section<'_>, reading: &mut Reading<'a>) -> Option<Fan> {
    let problems = section.problems();
    let text = section.text("for_each");
    let width = section.number("width", 1..=WIDTH_MAX);
    let Some(text) = text else {
        let others = ["when", "width", "answer", "failed"];
        if others.iter().any(|key| section.has(key)) {
            let what =
                "`when`, `width`, `answer` and `failed` belong to `for_each`, which is not there";
            let hint = "add for_each = \"…\", a list to make the call for, or leave them out";
            problems.hint(section.place(), what, hint);
        }
        return None;
    };
    let list = Expr::compile(&text.value, &reading.names.expressions(false));
    let list = list
        .map_err(|mistake| problems.report(&text.place, mistake))
        .ok();
    let around = reading.around;
    let mentioned = |name: &str| list.as_ref().is_some_and(|list| list.mentions(name));
    let tables = around.tables.iter().filter(|(name, _)| mentioned(name));
    let rows = tables
        .filter_map(|(_, table)| table.as_ref()?.rows.as_array())
        .flatten()
        .collect();
    reading.rows = Some(rows);
    let when = section.text("when").and_then(|text| {
        Expr::compile(&text.value, &reading.names.expressions(true))
            .map_err(|mistake| problems.report(&text.place, mistake))
            .ok()
    });
    for expression in list.iter().chain(&when) {
        reading.reads.extend(expression.names().map(str::to_owned));
    }
    let width = width.map_or(WIDTH_DEFAULT, |width| width.value);
    let answer = members(section, "answer", reading).unwrap_or_default();
    let failed = members(section, "failed", reading);
    Some(Fan {
        list: list?,
        when,
        width: usize::try_from(width).unwrap_or(1),
        answer,
        failed,
    })
}

/// Names and templates, which see the item and how its call went.
fn members(
    section: &mut Section<'_>,
    key: &'static str,
    reading: &mut Reading<'_>,
) -> Option<Vec<(String, Template)>> {
    if !section.has(key) {
        return None;
    }
    let problems = section.problems();
    let mut table = section.section(key)?;
    let mut calls = reading.names.calls.clone();
    calls.push(CALL_ROOT.to_owned());
    let mut members = Vec::new();
    for (name, item) in table.rest() {
        let Some(text) = template_text(&name, item, problems) else {
            continue;
        };
        let mut scope = reading.names.scope(true);
        scope.calls = &calls;
        let pieces = parse(&text.value, &scope, &mut |mistake| {
            problems.report(&text.place, mistake);
        });
        let own = roots(&pieces).filter(|root| *root != CALL_ROOT);
        reading.reads.extend(own.map(str::to_owned));
        members.push((name.value, Template(pieces)));
    }
    Some(members)
}
