//! Answers into evidence values: what the definition names, in its order, and nothing else.

use std::collections::BTreeSet;

use dan_core::dataset::ValueType;
use dan_core::evidence::EvidenceValue;
use dan_core::jmespath::Budget;
use dan_core::time::Timestamp;
use serde_json::Value;

use super::convert::convert;
use super::document::Document;
use super::expression::Expr;
use super::template::Template;
use super::url::UrlTemplate;

/// Most values that one `each` may expand to.
pub(crate) const EACH_ITEMS_MAX: usize = 1000;
/// What finding a document may cost.
const DOCUMENT_BUDGET: Budget = Budget {
    steps: 1_000_000,
    output_bytes: 16 * 1024 * 1024,
};
/// What finding any other value may cost.
const SCALAR_BUDGET: Budget = Budget {
    steps: 200_000,
    output_bytes: 4 * 1024 * 1024,
};

/// One `[[value]]`, expanded over a written-out `each`.
pub(crate) struct ValueRule {
    pub(crate) name: String,
    pub(crate) kind: ValueType,
    pub(crate) unit: Option<String>,
    pub(crate) from: Origin,
    /// The list to make one value an item of.
    pub(crate) each: Option<Expr>,
    /// Overrides the publisher of the dataset.
    pub(crate) source: Option<Template>,
    pub(crate) mime_type: Option<String>,
    /// Send text also when it is empty.
    pub(crate) keep_empty: bool,
    /// Calls without whose answer the value is left out.
    pub(crate) skip_if_missing: Vec<String>,
}

/// Where a value comes from.
pub(crate) enum Origin {
    /// The whole answer of a call, or the item of `each`.
    Whole(String),
    /// An expression over everything.
    Found(Expr),
    /// A template of text.
    Text(Template),
    /// A template of a link.
    Link(UrlTemplate),
}

/// Why there are no values, for the log: names of values and types.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The answers do not have the agreed form.
    Shape(String),
    /// The request does not say what a value is made of.
    Input(String),
}

/// Makes the values.
pub(crate) fn values(
    rules: &[ValueRule],
    document: &mut Document,
    failed: &BTreeSet<String>,
    publisher: &str,
    at: Timestamp,
) -> Result<Vec<EvidenceValue>, Misfit> {
    let mut made = Vec::with_capacity(rules.len());
    for rule in rules {
        if rule
            .skip_if_missing
            .iter()
            .any(|call| failed.contains(call))
        {
            continue;
        }
        let Some(each) = &rule.each else {
            made.extend(rule.make(document, publisher, at)?);
            continue;
        };
        let misfit = |what: &str| Misfit::Shape(format!("value {}: `each` {what}", rule.name));
        let items = each
            .search(document.whole(), DOCUMENT_BUDGET)
            .map_err(|error| misfit(&error.to_string()))?;
        let items = match items {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err(misfit("is no list"));
            }
        };
        if items.len() > EACH_ITEMS_MAX {
            return Err(misfit("has too many items"));
        }
        for item in items {
            document.set("item", item);
            made.extend(rule.make(document, publisher, at)?);
        }
        document.set("item", Value::Null);
    }
    Ok(made)
}

impl ValueRule {
    /// Whether an expression of it mentions this name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let in_from = match &self.from {
            Origin::Found(expr) => expr.mentions(name),
            Origin::Whole(_) | Origin::Text(_) | Origin::Link(_) => false,
        };
        in_from || self.each.as_ref().is_some_and(|each| each.mentions(name))
    }

    fn make(
        &self,
        document: &Document,
        publisher: &str,
        at: Timestamp,
    ) -> Result<Option<EvidenceValue>, Misfit> {
        let misfit = |what: &str| Misfit::Shape(format!("value {}: {what}", self.name));
        let found = self.find(document)?;
        let converted = convert(found, self.kind, self.unit.as_deref())
            .map_err(|wrong| misfit(&format!("{} is no {}", wrong.found, wrong.wanted)))?;
        let value = match converted {
            Some(value) => value,
            None if self.keep_empty => Value::from(""),
            None => return Ok(None),
        };
        let source = match &self.source {
            Some(template) => template
                .fill(document)
                .map_err(|unusable| misfit(&unusable.0))?,
            None => None,
        };
        Ok(Some(EvidenceValue {
            name: self.name.clone(),
            value_type: self.kind,
            source: source.unwrap_or_else(|| publisher.to_owned()),
            timestamp: Some(at),
            mime_type: self.mime_type.clone(),
            value,
        }))
    }

    fn find(&self, document: &Document) -> Result<Value, Misfit> {
        let misfit = |what: &str| format!("value {}: {what}", self.name);
        let filled = match &self.from {
            Origin::Whole(root) => return Ok(document.find(root).clone()),
            Origin::Found(expr) => {
                return expr
                    .search(document.whole(), self.budget())
                    .map_err(|error| Misfit::Shape(misfit(&error.to_string())));
            }
            Origin::Text(template) => template.fill(document),
            Origin::Link(link) => link.fill(document).map(Some),
        };
        filled
            .map(|text| text.map_or(Value::Null, Value::String))
            .map_err(|unusable| Misfit::Input(misfit(&unusable.0)))
    }

    const fn budget(&self) -> Budget {
        match self.kind {
            ValueType::JsonSchema | ValueType::Attachment => DOCUMENT_BUDGET,
            ValueType::Boolean
            | ValueType::Number
            | ValueType::String
            | ValueType::DateTime
            | ValueType::Uri
            | ValueType::Amount
            | ValueType::Binary => SCALAR_BUDGET,
        }
    }
}
