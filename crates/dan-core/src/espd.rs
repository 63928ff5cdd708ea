//! Reads a European Single Procurement Document as far as a legal basis needs it: it is XML, well
//! formed and bounded, and its root says what it is. Nothing is accepted unread.

use roxmltree::{Document, ParsingOptions};

/// Largest document, in bytes.
pub const BYTES_MAX: usize = 512 * 1024;
/// Most nodes of a document.
const NODES_MAX: u32 = 50_000;
/// Roots that are an ESPD: the request of a buyer or the answer of a supplier, in the namespaces of
/// UBL 2.2 and later (ESPD EDM 2 to 4) and of the first version.
const ROOTS: [(&str, &str); 4] = [
    (
        "QualificationApplicationRequest",
        "urn:oasis:names:specification:ubl:schema:xsd:QualificationApplicationRequest-2",
    ),
    (
        "QualificationApplicationResponse",
        "urn:oasis:names:specification:ubl:schema:xsd:QualificationApplicationResponse-2",
    ),
    (
        "ESPDRequest",
        "urn:grow:names:specification:ubl:schema:xsd:ESPDRequest-1",
    ),
    (
        "ESPDResponse",
        "urn:grow:names:specification:ubl:schema:xsd:ESPDResponse-1",
    ),
];

/// Checks that a text is an ESPD.
///
/// # Errors
/// Why not, in words for the peer; nothing of the document is repeated.
pub fn check(text: &str) -> Result<(), String> {
    if text.len() > BYTES_MAX {
        return Err(format!("larger than {BYTES_MAX} bytes"));
    }
    // Document type declarations, and with them entities, are refused by the parser.
    let options = ParsingOptions {
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|error| format!("not well-formed XML at {}", error.pos()))?;
    let root = document.root_element().tag_name();
    let known = |(name, namespace): &(&str, &str)| {
        root.name() == *name && root.namespace() == Some(*namespace)
    };
    if ROOTS.iter().any(known) {
        return Ok(());
    }
    Err("the root element is none of an ESPD request or response".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str, namespace: &str, inner: &str) -> String {
        format!(r#"<?xml version="1.0"?><e:{name} xmlns:e="{namespace}">{inner}</e:{name}>"#)
    }

    #[test]
    fn requests_and_responses_are_documents() {
        for (name, namespace) in ROOTS {
            assert_eq!(check(&document(name, namespace, "<a/>")), Ok(()));
        }
    }

    #[test]
    fn nothing_else_is_accepted() {
        let (name, namespace) = ROOTS[0];
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]>"#;
        let root = document(name, namespace, "&y;");
        for text in [
            "".to_owned(),
            "ESPD".to_owned(),
            "<a/>".to_owned(),
            document(name, "urn:other", ""),
            document("Other", namespace, ""),
            document(name, namespace, "<open>"),
            document(name, namespace, &"<a/>".repeat(60_000)),
            document(name, namespace, &"x".repeat(BYTES_MAX)),
            root.replacen("?>", &format!("?>{bomb}"), 1),
            format!("<{name}/>"),
        ] {
            assert!(check(&text).is_err(), "{:.60}", text);
        }
    }
}
