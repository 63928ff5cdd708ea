//! [`Body`]: what a POST sends, made of templates that are encoded for their place.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::template::{Piece, Template, Unusable};
use super::url;

/// Largest body that is sent, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// A body with inserts.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// `application/json`.
    Json(JsonTemplate),
    /// `application/json` with `query` and `variables` (GraphQL over HTTP): values of the request go
    /// into variables only.
    Graphql {
        query: String,
        variables: JsonTemplate,
    },
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
    /// XML of this media type, with inserts escaped.
    Xml {
        media_type: &'static str,
        text: Template,
    },
}

/// JSON whose texts are templates.
#[derive(Clone, Debug)]
pub(crate) enum JsonTemplate {
    Text(Template),
    Literal(Value),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Body {
    /// Media type and bytes for this request.
    ///
    /// # Errors
    /// What cannot be filled in, or is too large.
    pub(crate) fn fill(&self, document: &Document) -> Result<(&'static str, Bytes), Unusable> {
        let (media_type, text) = match self {
            Self::Json(template) => (
                "application/json",
                template.fill(document)?.unwrap_or_default().to_string(),
            ),
            Self::Graphql { query, variables } => {
                let variables = variables.fill(document)?.unwrap_or_else(|| json!({}));
                let body = json!({"query": query, "variables": variables});
                ("application/json", body.to_string())
            }
            Self::Form(fields) => ("application/x-www-form-urlencoded", form(fields, document)?),
            Self::Xml { media_type, text } => (*media_type, xml(text, document)?),
        };
        if text.len() > BODY_BYTES_MAX {
            return Err(Unusable("the body would be too large".to_owned()));
        }
        Ok((media_type, Bytes::from(text)))
    }
}

impl JsonTemplate {
    /// `None` where everything that was to be inserted is empty: members and items are left out.
    fn fill(&self, document: &Document) -> Result<Option<Value>, Unusable> {
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Text(template) => Ok(template.fill(document)?.map(Value::String)),
            Self::List(items) => {
                let mut filled = Vec::with_capacity(items.len());
                for item in items {
                    filled.extend(item.fill(document)?);
                }
                Ok(Some(Value::Array(filled)))
            }
            Self::Object(members) => {
                let mut filled = Map::new();
                for (name, member) in members {
                    if let Some(value) = member.fill(document)? {
                        filled.insert(name.clone(), value);
                    }
                }
                Ok(Some(Value::Object(filled)))
            }
        }
    }
}

fn form(fields: &[(String, Template)], document: &Document) -> Result<String, Unusable> {
    let mut text = String::new();
    for (name, template) in fields {
        if let Some(value) = template.fill(document)? {
            let between = if text.is_empty() { "" } else { "&" };
            text.push_str(&format!("{between}{name}={}", url::encoded(&value)));
        }
    }
    Ok(text)
}

/// What is inserted can end neither an attribute nor an element (XML 1.0 §2.4); characters that no
/// XML has are refused (§2.2). So is a value that is missing: no element is left out for it, and an
/// empty one would be another question.
fn xml(template: &Template, document: &Document) -> Result<String, Unusable> {
    let mut text = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Setting(value) => escape(value, &mut text)?,
            Piece::Insert(insert) => {
                let missing = || Unusable(format!("{} is missing", insert.name()));
                escape(&insert.value(document)?.ok_or_else(missing)?, &mut text)?;
            }
        }
    }
    Ok(text)
}

fn escape(value: &str, out: &mut String) -> Result<(), Unusable> {
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => {
                return Err(Unusable("a value cannot stand in XML".to_owned()));
            }
            control if control.is_control() && u32::from(control) < 0x20 => {
                return Err(Unusable("a value cannot stand in XML".to_owned()));
            }
            plain => out.push(plain),
        }
    }
    Ok(())
}
