//! [`Query`]: JMESPath of a stranger over harvested values, inside budgets.

use std::fmt;

use dan_jmespath::{Budget, Expression};
use serde_json::Value;

use crate::error::{Code, Fault};

/// A query that has been read. Reading comes before any side effect.
pub struct Query {
    expression: Expression,
    text: String,
}

impl Query {
    /// Reads an expression; `None` for an empty one, which is ignored (`wire-api.md` §3.4).
    ///
    /// # Errors
    /// 1027 when it is not JMESPath, longer than 4 096 bytes or too deep.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        if text.is_empty() {
            return Ok(None);
        }
        let expression = Expression::compile(text)
            .map_err(|error| Fault::with(Code::InvalidJmesPathExpression, error.to_string()))?;
        Ok(Some(Self {
            expression,
            text: text.to_owned(),
        }))
    }

    /// The expression as it was sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Applies it. A path that leads nowhere gives `null`.
    ///
    /// # Errors
    /// 1027 when types do not fit or a budget of steps or bytes is used up. The text names types
    /// and functions, never a value.
    pub fn apply(&self, document: &Value) -> Result<Value, Fault> {
        self.expression
            .search(document, &Budget::default())
            .map_err(|error| Fault::with(Code::InvalidJmesPathExpression, error.to_string()))
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bad_query_is_refused_before_anything_happens() {
        let code = |text: &str| Query::parse(text).err().map(|fault| fault.code);
        assert_eq!(code("[["), Some(Code::InvalidJmesPathExpression));
        assert_eq!(
            code(&"a".repeat(5000)),
            Some(Code::InvalidJmesPathExpression)
        );
        assert!(Query::parse("").unwrap().is_none());
    }

    #[test]
    fn a_query_that_doubles_its_answer_ends_in_1027() {
        let query = Query::parse(&format!("@{}", "|[@,@]".repeat(40)))
            .unwrap()
            .unwrap();
        let fault = query.apply(&json!({"a": "x"})).unwrap_err();
        assert_eq!(fault.code, Code::InvalidJmesPathExpression);
    }
}
