//! Reads `tables/<name>.toml`: one list of rows, under any one key.

use std::sync::Arc;

use serde_json::Value;

use super::problem::Problems;
use super::section::{self, Node};

/// Most rows of a table.
const ROWS_MAX: usize = 10_000;

/// The rows of a file; `None` when it has a mistake.
pub(crate) fn read(file: &str, text: &str, problems: &Problems) -> Option<Arc<Value>> {
    let before = problems.count();
    let mut section = section::read(file, text, problems)?;
    let mut members = section.rest();
    let place = section.place().clone();
    let hint = "write rows as [[row]]: every table of a file under the same name";
    let only = members.pop().filter(|_| members.is_empty());
    let Some((_, rows)) = only else {
        problems.hint(&place, "a table is one list of rows", hint);
        return None;
    };
    let Node::List(items) = &rows.value else {
        problems.hint(&rows.place, "a table is one list of rows", hint);
        return None;
    };
    if items.len() > ROWS_MAX {
        let what = format!("{} rows in one table", items.len());
        problems.hint(&rows.place, what, format!("at most {ROWS_MAX} are allowed"));
    }
    for item in items {
        if !matches!(item.value, Node::Table(_)) {
            problems.hint(&item.place, "a row is a table", hint);
        }
        if item.value.to_json().to_string().contains("{setting.") {
            let what = "templates in tables are not built yet";
            problems.hint(&item.place, what, "write the text itself");
        }
    }
    (problems.count() == before).then(|| Arc::new(rows.value.to_json()))
}
