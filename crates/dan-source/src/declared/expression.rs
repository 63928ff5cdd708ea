//! JMESPath of a definition: compiled when the file is read, with the names it mentions.

use std::collections::BTreeSet;

use dan_core::jmespath::{Budget, EvaluationError, Expression};
use serde_json::Value;

use crate::catalog_folder::problem::{Mistake, suggestion};

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expr {
    compiled: Expression,
    names: BTreeSet<String>,
}

impl Expr {
    /// Compiles a text, which may mention these roots.
    ///
    /// An expression that mentions names but none of the roots can never give anything, and is
    /// refused; one that mentions a root and misspells a member is found by the examples.
    pub(crate) fn compile(text: &str, roots: &[String]) -> Result<Self, Mistake> {
        let compiled = Expression::compile(text).map_err(|error| {
            Mistake::with_hint(
                format!("not JMESPath: {error}"),
                "see jmespath.org for the language",
            )
        })?;
        let names = names(text);
        let known = |name: &String| roots.contains(name);
        if !names.is_empty() && !names.iter().any(known) {
            let first = names.iter().next().map(String::as_str).unwrap_or_default();
            let roots = roots.iter().map(String::as_str);
            return Err(Mistake {
                what: format!("the expression `{text}` refers to nothing that is there"),
                hint: suggestion(first, roots),
            });
        }
        Ok(Self { compiled, names })
    }

    /// Whether it mentions this name, perhaps as a member of something else.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Names it mentions, also as members.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(crate) fn search(&self, whole: &Value, budget: Budget) -> Result<Value, EvaluationError> {
        self.compiled.search(whole, &budget)
    }
}

/// What JMESPath takes for true: everything but null, false and what is empty.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// Identifiers outside of literals and raw strings, without the names of functions.
fn names(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\'' | '`' | '"' => {
                let mut inner = String::new();
                let mut escaped = false;
                for next in rest.by_ref() {
                    if next == character && !escaped {
                        break;
                    }
                    escaped = !escaped && next == '\\';
                    inner.push(next);
                }
                if character == '"' {
                    found.insert(inner);
                }
            }
            start if start.is_ascii_alphabetic() || start == '_' => {
                let mut name = String::from(start);
                while let Some(next) =
                    rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_')
                {
                    name.push(next);
                }
                if rest.peek() != Some(&'(') {
                    found.insert(name);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_outside_of_literals() {
        let text = r#"join(', ', unit.adresse[?@ != 'x_y'] || `["no"]`) && "a b".c_1 && !param"#;
        let found: Vec<String> = names(text).into_iter().collect();
        assert_eq!(found, ["a b", "adresse", "c_1", "param", "unit"]);
    }

    #[test]
    fn an_expression_about_nothing_is_refused() {
        let roots = ["unit".to_owned(), "param".to_owned()];
        assert!(Expr::compile("unit.navn", &roots).is_ok());
        assert!(Expr::compile("'fixed'", &roots).is_ok());
        let refused = Expr::compile("uint.navn", &roots).expect_err("no root");
        assert_eq!(refused.hint.as_deref(), Some("known here: unit, param"));
        let broken = Expr::compile("unit.[", &roots).expect_err("no JMESPath");
        assert!(broken.what.starts_with("not JMESPath: "), "{}", broken.what);
    }
}
