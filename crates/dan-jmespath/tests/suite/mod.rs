//! Reads the compliance suite, and compares results with numbers as numbers.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop, and must say what it skipped"
)]

use std::path::PathBuf;

use serde_json::Value;

/// One case of the suite.
pub(crate) struct Case {
    /// The document.
    pub(crate) given: Value,
    /// The expression.
    pub(crate) expression: String,
    /// What must come of it.
    pub(crate) expected: Expected,
}

/// What must come of a case.
pub(crate) enum Expected {
    /// This value.
    Result(Value),
    /// A value; the benchmarks do not say which.
    AnyResult,
    /// An error of this class, when compiled or when searched.
    Error(String),
}

/// All cases, or none where the folder is not there.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let shared = std::env::var_os("DAN_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("suites/jmespath/tests");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        tell("skipped: there is no folder shared/suites/jmespath/tests");
        return None;
    };
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file of the suite");
        let groups: Value = serde_json::from_str(&text).expect("JSON");
        for group in groups.as_array().expect("an array of groups") {
            cases.extend(group_cases(group));
        }
    }
    Some(cases)
}

fn group_cases(group: &Value) -> Vec<Case> {
    let given = group.get("given").expect("a document");
    let list = group.get("cases").and_then(Value::as_array);
    let read = |case: &Value| Case {
        given: given.clone(),
        expression: case
            .get("expression")
            .and_then(Value::as_str)
            .expect("an expression")
            .to_owned(),
        expected: match (case.get("result"), case.get("error"), case.get("bench")) {
            (Some(result), None, None) => Expected::Result(result.clone()),
            (None, Some(class), None) => {
                Expected::Error(class.as_str().expect("a class").to_owned())
            }
            (None, None, Some(_)) => Expected::AnyResult,
            (_, _, _) => panic!("a case of a kind that is not known"),
        },
    };
    list.expect("an array of cases").iter().map(read).collect()
}

/// Whether two values are equal, numbers by value.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Tells whoever runs the tests.
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}
