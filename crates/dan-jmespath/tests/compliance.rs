//! The official compliance suite of JMESPath (shared/suites/jmespath/tests).

mod suite;

use dan_jmespath::{Budget, CompileError, EvaluationError, Expression};
use serde_json::Value;

use suite::{Case, Expected};

/// The suite has 908 cases; fewer mean that the reader of it is broken.
const CASES_MIN: usize = 800;

#[test]
fn every_case_of_the_suite_has_the_result_or_error_it_asks_for() {
    let Some(cases) = suite::cases() else {
        return;
    };
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let found = search(case);
            let right = match (&found, &case.expected) {
                (Ok(found), Expected::Result(wanted)) => suite::same(found, wanted),
                (Ok(_), Expected::AnyResult) => true,
                (Err(found), Expected::Error(wanted)) => found == wanted,
                (Ok(_), Expected::Error(_))
                | (Err(_), Expected::Result(_) | Expected::AnyResult) => false,
            };
            (!right).then(|| format!("{}: {found:?}", case.expression))
        })
        .collect();
    suite::tell(&format!("{} cases of the suite", cases.len()));
    assert!(cases.len() > CASES_MIN, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The result, or the class of the error as the suite names it.
fn search(case: &Case) -> Result<Value, &'static str> {
    let expression = Expression::compile(&case.expression).map_err(|error| match error {
        CompileError::Syntax { .. } => "syntax",
        CompileError::UnknownFunction { .. } => "unknown-function",
        CompileError::InvalidArity { .. } => "invalid-arity",
        CompileError::InvalidType { .. } => "invalid-type",
        CompileError::InvalidValue { .. } => "invalid-value",
        CompileError::TooLong { .. } | CompileError::TooDeep { .. } => "limit",
    })?;
    let found = expression.search(&case.given, &Budget::default());
    found.map_err(|error| match error {
        EvaluationError::InvalidType { .. } => "invalid-type",
        EvaluationError::InvalidValue { .. } => "invalid-value",
        EvaluationError::TooDeep | EvaluationError::BudgetExceeded(_) => "limit",
    })
}
