//! [`Dataset`]: what a source offers, as its definition says.

use std::sync::Arc;

use crate::requirement::Rule;
use crate::time::Timestamp;

/// Seconds a harvest may take when the definition does not say (`wire-api.md` §5.4).
pub const HARVEST_TIMEOUT_S_DEFAULT: u32 = 35;

/// Bytes that the answer of a binary dataset may have when the definition does not say.
pub const BYTES_MAX_DEFAULT: u64 = 256 * 1024 * 1024;

/// The type of a value (`wire-api.md` §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// true or false.
    Boolean,
    /// A JSON number.
    Number,
    /// Text.
    String,
    /// ISO 8601 text.
    DateTime,
    /// Bytes, base64 in JSON.
    Attachment,
    /// A link.
    Uri,
    /// Free text, by custom `<number> <currency>`.
    Amount,
    /// A JSON document, inline or as text.
    JsonSchema,
    /// Bytes that never travel in JSON; makes the whole dataset binary.
    Binary,
}

impl ValueType {
    /// Every type with its wire name.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Boolean, "boolean"),
        (Self::Number, "number"),
        (Self::String, "string"),
        (Self::DateTime, "dateTime"),
        (Self::Attachment, "attachment"),
        (Self::Uri, "uri"),
        (Self::Amount, "amount"),
        (Self::JsonSchema, "jsonSchema"),
        (Self::Binary, "binary"),
    ];

    /// The name on the wire and in catalogue files.
    #[must_use]
    pub fn wire_name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// Reads a name in any case, or the number some clients and plugins send.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse::<usize>() {
            return Self::ALL.get(number.checked_sub(1)?).map(|(kind, _)| *kind);
        }
        Self::ALL
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(kind, _)| *kind)
    }
}

/// One value a dataset can give.
#[derive(Clone, Debug)]
pub struct ValueSpec {
    /// Name; may repeat in an answer, never in a definition.
    pub name: String,
    /// Type of the value.
    pub value_type: ValueType,
    /// The register it comes from.
    pub source: String,
    /// One sentence for people.
    pub description: Option<String>,
    /// Media type of an attachment.
    pub mime_type: Option<String>,
    /// JSON Schema of a `jsonSchema` value, as text.
    pub json_schema: Option<String>,
}

/// The type of a parameter: a [`ValueType`] up to `uri`.
pub type ParameterType = ValueType;

/// One parameter a dataset takes.
#[derive(Clone, Debug)]
pub struct ParameterSpec {
    /// Exact name.
    pub name: String,
    /// Declared type; `None` takes nothing (`engine.md` §2.1 V10 d).
    pub parameter_type: Option<ParameterType>,
    /// Must be given.
    pub required: bool,
}

/// Another name for the dataset in one context (`engine.md` §1.4).
#[derive(Clone, Debug)]
pub struct Alias {
    /// Context name.
    pub context: String,
    /// The dataset's name there.
    pub name: String,
}

/// The definition of a dataset, immutable once loaded.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Unique name, the evidence code.
    pub name: String,
    /// What it is, in one sentence.
    pub description: Option<String>,
    /// Who publishes it: the source's own words, for instance `Enhetsregisteret`.
    pub publisher: String,
    /// Names of the contexts it belongs to.
    pub contexts: Vec<String>,
    /// Other names; when there are any, the dataset is only found under them.
    pub aliases: Vec<Alias>,
    /// What it gives.
    pub values: Vec<ValueSpec>,
    /// What it takes.
    pub parameters: Vec<ParameterSpec>,
    /// Its own rules, beside those of the context.
    pub rules: Vec<Rule>,
    /// Why nobody may have it now: a rule of it could not be understood, or the node is not set up
    /// for its source. For the operator.
    pub unavailable: Option<String>,
    /// Open to everybody through open data.
    pub public: bool,
    /// Answers later; asked in three steps.
    pub asynchronous: bool,
    /// Longest validity of a grant, in days.
    pub valid_days_max: Option<u32>,
    /// Seconds a harvest may take; default [`HARVEST_TIMEOUT_S_DEFAULT`].
    pub timeout_s: Option<u32>,
    /// Bytes that the answer of a binary dataset may have; default [`BYTES_MAX_DEFAULT`].
    pub bytes_max: Option<u64>,
    /// Scopes for a token towards the source, as published by plugins.
    pub source_scopes: Option<String>,
    /// Licence of the data.
    pub license: Option<String>,
    /// Listed from this moment.
    pub valid_from: Option<Timestamp>,
    /// Listed until this moment.
    pub valid_to: Option<Timestamp>,
    /// Said to its users when it is on its way out.
    pub deprecation_warning: Option<String>,
    /// Canonical JSON (RFC 8785) of the mapping from the source's answer to values; `null` for
    /// sources that map by themselves. Hashed into the `view` of every signed statement.
    pub mapping: Arc<str>,
}

impl Dataset {
    /// A dataset with a value of type `binary` answers with raw bytes only (`wire-api.md` §9.5).
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.values
            .iter()
            .any(|value| value.value_type == ValueType::Binary)
    }

    /// Strictly between its dates, where it has any (`wire-api.md` §12.2).
    #[must_use]
    pub fn is_listed(&self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from < now) && self.valid_to.is_none_or(|to| now < to)
    }

    /// Bytes that the answer of a binary dataset may have.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max.unwrap_or(BYTES_MAX_DEFAULT)
    }

    /// Seconds a harvest may take.
    #[must_use]
    pub fn timeout_s(&self) -> u32 {
        self.timeout_s.unwrap_or(HARVEST_TIMEOUT_S_DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_types_are_read_by_name_and_number() {
        assert_eq!(ValueType::parse("jsonSchema"), Some(ValueType::JsonSchema));
        assert_eq!(ValueType::parse("JSONSCHEMA"), Some(ValueType::JsonSchema));
        assert_eq!(ValueType::parse("9"), Some(ValueType::Binary));
        for unknown in ["0", "10", "text", ""] {
            assert_eq!(ValueType::parse(unknown), None, "{unknown}");
        }
    }
}
