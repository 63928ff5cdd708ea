//! [`Query`]: JMESPath of a stranger over harvested values, inside budgets.

use std::{fmt, io};

use dan_jmespath::{Budget, Expression};
use serde_json::Value;

use crate::error::{Code, Fault};

/// What the answer to a query of a caller without a name may have, bytes of JSON, unless what it asks has more itself.
pub const OPEN_ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How much larger than what it asks such an answer may be, bytes of JSON, where that gives more.
pub const OPEN_ANSWER_BYTES_MORE: usize = 256 * 1024;

/// A query that has been read. Reading comes before any side effect.
pub struct Query {
    expression: Expression,
    text: String,
    open: bool,
}

impl Query {
    /// The same query, of a caller that has not said who it is: a few bytes that cost nothing may not make an answer of
    /// megabytes.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

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
            open: false,
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
    /// 1027 when types do not fit, a budget of steps or bytes is used up, or the answer to an [`Self::open`] query is
    /// larger than [`OPEN_ANSWER_BYTES_MAX`] and than what it asks by [`OPEN_ANSWER_BYTES_MORE`]. The text names types
    /// and functions, never a value.
    pub fn apply(&self, document: &Value) -> Result<Value, Fault> {
        let found = self
            .expression
            .search(document, &Budget::default())
            .map_err(|error| Fault::with(Code::InvalidJmesPathExpression, error.to_string()))?;
        if self.open && is_swollen(&found, document) {
            let text = "the answer to the query would be too large";
            return Err(Fault::with(Code::InvalidJmesPathExpression, text));
        }
        Ok(found)
    }
}

fn is_swollen(found: &Value, document: &Value) -> bool {
    let bytes = json_bytes(found);
    bytes > OPEN_ANSWER_BYTES_MAX
        && bytes > json_bytes(document).saturating_add(OPEN_ANSWER_BYTES_MORE)
}

/// The length of a value as JSON; none that could not be written is ever short.
fn json_bytes(value: &Value) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Counts what is written to it.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    fn an_open_query_may_not_swell_what_it_asks_and_may_take_all_of_it() {
        let query = |text: &str| Query::parse(text).unwrap().unwrap();
        let code = |query: Query, document: &Value| {
            let found = query.apply(document);
            found.err().map(|fault| (fault.code, fault.status))
        };
        let refused = Some((Code::InvalidJmesPathExpression, 400));
        let small = json!({"a": "x".repeat(1000)});
        let doubled = |times| format!("@{}", "|[@,@]".repeat(times));
        assert_eq!(code(query(&doubled(9)).open(), &small), None);
        assert_eq!(code(query(&doubled(11)).open(), &small), refused);
        assert_eq!(code(query(&doubled(11)), &small), None, "of a caller");
        let large = json!("x".repeat(2_000_000));
        assert_eq!(code(query("@").open(), &large), None);
        assert_eq!(code(query("[@,@]").open(), &large), refused);
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
