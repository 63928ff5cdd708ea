//! Reads `pages` of a `[[call]]`: how an answer in parts is asked for.

use crate::catalog_folder::section::Section;
use crate::declared::expression::Expr;
use crate::declared::pages::{NEXT_ROOT, Order, PAGE_ROOT, PAGES_MAX, Pages};
use crate::declared::url::encoded;

/// Parts that are asked for when `most` does not say.
const PAGES_DEFAULT: u32 = 20;
/// Largest number that a first part or a step may have.
const NUMBER_MAX: u32 = 1_000_000;

/// `pages = { query = "offset", step = 100, more = "…", items = "…" }`, or with `cursor` instead of
/// `first`, `step` and `more`.
pub(super) fn read(section: &mut Section<'_>) -> Option<Pages> {
    if !section.has("pages") {
        section.take("pages");
        return None;
    }
    let mut table = section.section("pages")?;
    let query = table.required_text("query");
    let items = expression(&mut table, "items", true);
    let most = table.number("most", 1..=PAGES_MAX);
    let first = table.number("first", 0..=NUMBER_MAX);
    let step = table.number("step", 1..=NUMBER_MAX);
    let more = expression(&mut table, "more", false);
    let cursor = expression(&mut table, "cursor", false);
    let problems = table.problems();
    let counted = first.is_some() || step.is_some() || more.is_some();
    let order = match (cursor, more) {
        (Some(cursor), None) if !counted => Some(Order::Cursor(cursor)),
        (None, Some(more)) => Some(Order::Count {
            first: first.map_or(0, |first| u64::from(first.value)),
            step: step.map_or(1, |step| u64::from(step.value)),
            more,
        }),
        (_, _) => {
            let hint = "write `more`, with first and step where they are not 0 and 1, or `cursor`";
            problems.hint(
                table.place(),
                "`pages` does not say what follows a page",
                hint,
            );
            None
        }
    };
    table.finish();
    Some(Pages {
        query: encoded(&query?.value),
        order: order?,
        items: items?,
        most: most.map_or(PAGES_DEFAULT, |most| most.value),
    })
}

fn expression(section: &mut Section<'_>, key: &'static str, required: bool) -> Option<Expr> {
    let text = match required {
        true => section.required_text(key),
        false => section.text(key),
    }?;
    let roots = [PAGE_ROOT, NEXT_ROOT].map(str::to_owned);
    Expr::compile(&text.value, &roots)
        .map_err(|mistake| section.problems().report(&text.place, mistake))
        .ok()
}
