//! JMESPath with a budget of steps and bytes.
//!
//! An expression from a stranger is compiled once and searched in any number of documents. Neither
//! can be made to overflow the stack, to run long or to fill memory: length and nesting are limited
//! when an expression is compiled, steps and bytes while it runs, and chains of any length are
//! loops. Values are borrowed from the document until the result is copied out.
//!
//! The language is classic JMESPath, as specified at jmespath.org, with all 26 functions. Where
//! the specification leaves room:
//!
//! - names of functions, numbers of arguments, `&` and a slice step of 0 are checked when the
//!   expression is compiled, so an error does not depend on the document;
//! - `!` binds looser than a chain: `!a.b` is `!(a.b)`;
//! - what follows a projection applies to each element until `|`, `)` or `[]`, after a multi-select
//!   as after a name: `[*].{a: b}.a` is a list of each `a` (implementations differ on both; this is
//!   how JmesPath.Net reads them);
//! - numbers are compared by exact value (`1 == 1.0`), and integers stay integers in `sum`, `avg`,
//!   `abs`, `ceil` and `floor` as long as they fit 64 bits;
//! - `<`, `<=`, `>` and `>=` are for numbers; of anything else they give null;
//! - a literal between backticks must be JSON;
//! - members of objects keep the order they were written in.
//!
//! ```
//! use dan_jmespath::{Budget, Expression};
//! use serde_json::json;
//!
//! let expression = Expression::compile("roles[?active].person.name | sort(@)")?;
//! let document = json!({"roles": [
//!     {"active": true, "person": {"name": "Kari"}},
//!     {"active": false, "person": {"name": "Per"}},
//!     {"active": true, "person": {"name": "Anne"}},
//! ]});
//! assert_eq!(
//!     expression.search(&document, &Budget::default())?,
//!     json!(["Anne", "Kari"])
//! );
//!
//! let refused = Expression::compile("roles[?active").map(|_| ());
//! assert_eq!(
//!     refused.map_err(|error| error.to_string()),
//!     Err("syntax error at byte 13: expected ] after the filter".to_owned())
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ast;
mod budget;
mod data;
mod error;
mod evaluate;
mod functions;
mod lexer;
mod number;
mod output;
mod parser;
mod projection;

use std::fmt;

use serde_json::Value;

pub use budget::{Budget, OUTPUT_BYTES_DEFAULT, STEPS_DEFAULT};
pub use error::{CompileError, EvaluationError, Resource};

/// The longest expression, in bytes of UTF-8.
pub const EXPRESSION_BYTES_MAX: usize = 4096;

/// How deep brackets of an expression nest: parentheses, multi-selects, filters and arguments.
///
/// Indexes and the links of a chain do not count, and are limited by the length alone.
pub const DEPTH_MAX: usize = 64;

/// How many levels of arrays and objects an expression may build around what it selects.
pub const BUILT_DEPTH_MAX: usize = 128;

/// How many levels of arrays and objects a value may have that is compared, written or returned:
/// what an expression builds, around the 127 levels that the parser of JSON accepts, and one.
pub const VALUE_DEPTH_MAX: usize = 256;

/// A compiled expression.
///
/// Immutable; share it between threads in an `Arc`. Its `Debug` does not show the text, which may
/// hold personal data.
pub struct Expression {
    root: ast::Expr,
    bytes: usize,
}

impl Expression {
    /// Compiles `text`, classic JMESPath of at most [`EXPRESSION_BYTES_MAX`] bytes whose brackets
    /// nest at most [`DEPTH_MAX`] deep.
    ///
    /// # Errors
    ///
    /// What is wrong with the text and where: see [`CompileError`].
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        let bytes = text.len();
        if bytes > EXPRESSION_BYTES_MAX {
            return Err(CompileError::TooLong { bytes });
        }
        Ok(Self {
            root: parser::parse(text)?,
            bytes,
        })
    }

    /// Searches `document`, using no more than `budget`.
    ///
    /// The result is a copy; what is selected nowhere is null. It has at most [`VALUE_DEPTH_MAX`]
    /// levels, [`BUILT_DEPTH_MAX`] of them made by the expression.
    ///
    /// # Errors
    ///
    /// A function got a value it does not take, a number grew too large, a value nests too deep,
    /// or the budget ran out: see [`EvaluationError`].
    pub fn search(&self, document: &Value, budget: &Budget) -> Result<Value, EvaluationError> {
        let mut meter = budget::Meter::new(budget);
        let found = evaluate::evaluate(&self.root, &data::Data::from(document), &mut meter)?;
        output::to_value(&found, &mut meter)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Expression>();
    }

    #[test]
    fn debug_does_not_show_the_text() {
        let expression = Expression::compile("people[?id == 'secret']").expect("valid");
        assert_eq!(format!("{expression:?}"), "Expression { bytes: 23, .. }");
    }

    #[test]
    fn length_is_counted_in_bytes() {
        let fits = format!("'{}'", "é".repeat((EXPRESSION_BYTES_MAX - 2) / 2));
        assert!(Expression::compile(&fits).is_ok());
        assert_eq!(
            Expression::compile(&format!("{fits} ")).err(),
            Some(CompileError::TooLong { bytes: 4097 })
        );
    }
}
