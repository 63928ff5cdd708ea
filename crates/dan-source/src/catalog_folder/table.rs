//! Reads `tables/<name>.toml`: one list of rows, under any one key, and perhaps its `version`.
//!
//! A table with a version whose rows have a `code` can be a list of CPV codes, for rules of kind
//! `legal-basis`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dan_core::requirement::CpvList;
use serde_json::Value;

use super::problem::{Mistake, Problems};
use super::section::{self, Node};

/// Most rows of a table.
const ROWS_MAX: usize = 10_000;

/// The table of CPV codes for rules that name none, and for the rules of plugins.
pub(crate) const CPV_TABLE: &str = "cpv_risk";

/// A list of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) rows: Arc<Value>,
    /// Names the state of the list, where its file does.
    version: Option<String>,
}

/// By name; `None` for a table whose own file has a mistake.
pub(crate) type Tables = BTreeMap<String, Option<Table>>;

/// The table in a file; `None` when it has a mistake.
pub(crate) fn read(file: &str, text: &str, problems: &Problems) -> Option<Table> {
    let before = problems.count();
    let mut section = section::read(file, text, problems)?;
    let version = section
        .json("version")
        .is_string()
        .then(|| section.text("version"))
        .flatten();
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
    (problems.count() == before).then(|| Table {
        rows: Arc::new(rows.value.to_json()),
        version: version.map(|text| text.value),
    })
}

impl Table {
    /// The same as a list of CPV codes.
    ///
    /// # Errors
    /// What keeps it from being one.
    pub(crate) fn cpv(&self) -> Result<CpvList, Mistake> {
        let version = self.version.clone().ok_or_else(|| {
            Mistake::with_hint(
                "a list of CPV codes has a version",
                "write version = \"2025-01\" before the first row",
            )
        })?;
        let mut codes = BTreeSet::new();
        for row in self.rows.as_array().into_iter().flatten() {
            let code = row.get("code").and_then(Value::as_str);
            let code = code.filter(|code| is_cpv(code)).ok_or_else(|| {
                Mistake::with_hint(
                    "a row has no CPV code",
                    "write code = \"45000000-7\": eight digits, a hyphen and the control digit",
                )
            })?;
            if !codes.insert(code.to_owned()) {
                return Err(Mistake::new(format!("the CPV code {code} is there twice")));
            }
        }
        Ok(CpvList { version, codes })
    }
}

/// `45000000-7`: eight digits and a control digit (Regulation (EC) No 213/2008, annex I).
fn is_cpv(code: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    code.split_once('-').is_some_and(|(number, control)| {
        number.len() == 8 && control.len() == 1 && digits(number) && digits(control)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpv(text: &str) -> Result<CpvList, String> {
        let problems = Problems::default();
        let table = read("tables/t.toml", text, &problems).expect("a table");
        assert_eq!(problems.count(), 0);
        table.cpv().map_err(|mistake| mistake.what)
    }

    #[test]
    fn a_list_of_codes_has_a_version_and_whole_codes() {
        let list = cpv("version = \"v1\"\n[[code]]\ncode = \"45000000-7\"\nabout = \"x\"\n");
        let list = list.expect("a list");
        assert_eq!(list.version, "v1");
        assert!(list.codes.contains("45000000-7"));
    }

    #[test]
    fn what_is_no_list_of_codes_is_told() {
        let row = |code: &str| format!("version = \"v\"\n[[code]]\ncode = {code}\n");
        for code in [
            "\"45000000\"",
            "\"4500000-7\"",
            "\"45000000-77\"",
            "\"4500000x-7\"",
            "\"45000000-7 \"",
            "45000000",
        ] {
            assert_eq!(cpv(&row(code)).unwrap_err(), "a row has no CPV code");
        }
        let without = cpv("[[code]]\ncode = \"45000000-7\"\n");
        assert_eq!(without.unwrap_err(), "a list of CPV codes has a version");
        let twice = row("\"45000000-7\"") + "[[code]]\ncode = \"45000000-7\"\n";
        let what = cpv(&twice).unwrap_err();
        assert_eq!(what, "the CPV code 45000000-7 is there twice");
    }

    #[test]
    fn version_may_also_be_the_word_for_the_rows() {
        let problems = Problems::default();
        let table = read("tables/t.toml", "[[version]]\nn = 1\n", &problems);
        assert_eq!(
            table.map(|table| table.rows.to_string()).as_deref(),
            Some("[{\"n\":1}]")
        );
    }
}
