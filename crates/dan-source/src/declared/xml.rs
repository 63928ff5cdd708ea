//! XML from a source, SOAP too, as one JSON document.
//!
//! An element is text when it has nothing but text; otherwise an object with its elements by local
//! name, its attributes as `@name` and its text as `#text`. Elements of the same name side by side
//! are a list, and those a definition calls `lists` always are. The root stands for itself: its
//! content is the document. Document types, and with them entities, are refused by the parser.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

use super::format::Unreadable;

/// Most nodes of one answer.
pub(crate) const NODES_MAX: u32 = 1_000_000;
/// How deep elements may be nested.
pub(crate) const DEPTH_MAX: usize = 100;

/// SOAP 1.1 and 1.2.
const ENVELOPES: [&str; 2] = [
    "http://schemas.xmlsoap.org/soap/envelope/",
    "http://www.w3.org/2003/05/soap-envelope",
];
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// How elements are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct XmlForm {
    /// Local names of elements that are lists also where there is one.
    pub(crate) lists: Vec<String>,
    /// Namespaces whose elements are named with something before it: address to prefix.
    pub(crate) namespaces: BTreeMap<String, String>,
}

/// Reads a whole document of UTF-8 XML.
///
/// # Errors
/// Why it is none, without repeating it; a SOAP fault.
pub(crate) fn read(bytes: &[u8], form: &XmlForm) -> Result<Value, Unreadable> {
    let malformed = |why: String| Unreadable::Malformed(why);
    let text = std::str::from_utf8(bytes).map_err(|_position| malformed("not UTF-8".to_owned()))?;
    let options = ParsingOptions {
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|error| malformed(format!("no XML at {}", error.pos())))?;
    let root = document.root_element();
    if is_fault(root) {
        return Err(Unreadable::Fault);
    }
    content(root, form, 0).ok_or_else(|| malformed("nested too deep".to_owned()))
}

fn is_fault(root: Node<'_, '_>) -> bool {
    let soap = |node: &Node<'_, '_>, name: &str| {
        let tag = node.tag_name();
        tag.name() == name && tag.namespace().is_some_and(|it| ENVELOPES.contains(&it))
    };
    let mut bodies = root.children().filter(|node| soap(node, "Body"));
    soap(&root, "Envelope") && bodies.any(|body| body.children().any(|node| soap(&node, "Fault")))
}

/// `None` when it is nested too deep.
fn content(node: Node<'_, '_>, form: &XmlForm, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    if node
        .attribute((INSTANCE, "nil"))
        .is_some_and(|nil| matches!(nil, "true" | "1"))
    {
        return Some(Value::Null);
    }
    let mut members = Map::new();
    for attribute in node
        .attributes()
        .filter(|it| it.namespace() != Some(INSTANCE))
    {
        members.insert(
            format!("@{}", attribute.name()),
            Value::from(attribute.value()),
        );
    }
    let mut text = String::new();
    for child in node.children() {
        if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        }
        if child.is_element() {
            let value = content(child, form, depth.saturating_add(1))?;
            add(&mut members, &name(child, form), value, form);
        }
    }
    if members.is_empty() {
        return Some(Value::from(text.trim()));
    }
    if !text.trim().is_empty() {
        members.insert("#text".to_owned(), Value::from(text.trim()));
    }
    Some(Value::Object(members))
}

fn name(node: Node<'_, '_>, form: &XmlForm) -> String {
    let tag = node.tag_name();
    let prefix = tag
        .namespace()
        .and_then(|address| form.namespaces.get(address));
    prefix.map_or_else(
        || tag.name().to_owned(),
        |prefix| format!("{prefix}_{}", tag.name()),
    )
}

/// No element is a list by itself, so a list here is of elements side by side.
fn add(members: &mut Map<String, Value>, name: &str, value: Value, form: &XmlForm) {
    match members.get_mut(name) {
        Some(Value::Array(items)) => items.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None if form.lists.iter().any(|list| list == name) => {
            members.insert(name.to_owned(), Value::Array(vec![value]));
        }
        None => {
            members.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> Result<Value, Unreadable> {
        let form = XmlForm {
            lists: vec!["rad".to_owned()],
            namespaces: BTreeMap::from([("urn:b".to_owned(), "b".to_owned())]),
        };
        read(text.as_bytes(), &form)
    }

    #[test]
    fn elements_attributes_and_text_become_members() {
        let text = r#"<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
            xmlns:b="urn:b" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><s:Body>
            <a id="1">x <!-- y --> &amp; <![CDATA[<z>]]></a><n>1</n><n>2</n><rad>3</rad><b:n>4</b:n>
            <tom/><null i:nil="true"/></s:Body></s:Envelope>"#;
        let expected = json!({"Body": {
            "a": {"@id": "1", "#text": "x  & <z>"},
            "n": ["1", "2"], "rad": ["3"], "b_n": "4", "tom": "", "null": null,
        }});
        assert_eq!(of(text), Ok(expected));
    }

    #[test]
    fn a_soap_fault_is_no_answer() {
        for space in ENVELOPES {
            let text = format!(
                "<e:Envelope xmlns:e='{space}'><e:Body><e:Fault><faultstring>canary</faultstring></e:Fault></e:Body></e:Envelope>"
            );
            assert_eq!(of(&text), Err(Unreadable::Fault));
        }
        assert!(of("<Envelope><Body><Fault/></Body></Envelope>").is_ok());
    }

    #[test]
    fn entities_document_types_and_depth_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        let outside = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>";
        let deep = format!(
            "{}{}",
            "<a>".repeat(DEPTH_MAX + 2),
            "</a>".repeat(DEPTH_MAX + 2)
        );
        for text in [bomb, outside, &deep, "<a>", "", "{}", "<a>&b;</a>"] {
            assert!(
                matches!(of(text), Err(Unreadable::Malformed(_))),
                "{text:.30}"
            );
        }
        assert!(read(b"<a>\xff</a>", &XmlForm::default()).is_err());
    }
}
