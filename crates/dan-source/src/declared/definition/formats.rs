//! Reads `format` of a `[[call]]`: what its source answers with.

use std::collections::BTreeMap;

use crate::catalog_folder::problem::suggestion;
use crate::catalog_folder::section::{Node, Section};
use crate::declared::csv::CsvForm;
use crate::declared::format::Format;
use crate::declared::xml::XmlForm;

const NAMES: [&str; 3] = ["json", "xml", "csv"];

/// `format = "xml"`, or `format = { xml = { … } }`.
pub(super) fn read(section: &mut Section<'_>) -> Format {
    let problems = section.problems();
    if section.json("format").is_object() {
        let Some(mut table) = section.section("format") else {
            return Format::Json;
        };
        let xml = table.has("xml").then(|| table.section("xml")).flatten();
        let csv = table.has("csv").then(|| table.section("csv")).flatten();
        table.finish();
        return match (xml, csv) {
            (Some(xml), None) => Format::Xml(xml_form(xml)),
            (None, Some(csv)) => Format::Csv(csv_form(csv)),
            (_, _) => {
                let hint = "write format = { xml = { … } } or { csv = { … } }";
                problems.hint(section.place(), "`format` names no one format", hint);
                Format::Json
            }
        };
    }
    let Some(text) = section.text("format") else {
        return Format::Json;
    };
    match text.value.as_str() {
        "json" => Format::Json,
        "xml" => Format::Xml(XmlForm::default()),
        "csv" => Format::Csv(CsvForm::default()),
        other => {
            let what = format!("`{other}` is no format of an answer");
            let hint = suggestion(other, NAMES).unwrap_or_default();
            problems.hint(&text.place, what, hint);
            Format::Json
        }
    }
}

/// `lists` names elements that are lists also where there is one; `namespaces` puts a prefix before
/// the elements of a namespace.
fn xml_form(mut section: Section<'_>) -> XmlForm {
    let problems = section.problems();
    let lists = section.texts("lists");
    let mut namespaces = BTreeMap::new();
    if section.has("namespaces")
        && let Some(mut table) = section.section("namespaces")
    {
        for (prefix, item) in table.rest() {
            if let Node::Text(address) = item.value {
                namespaces.insert(address, prefix.value);
            } else {
                let hint = "write prefix = \"urn:…\"";
                problems.hint(&item.place, "a namespace is no text", hint);
            }
        }
    }
    section.finish();
    XmlForm {
        lists: lists.into_iter().map(|name| name.value).collect(),
        namespaces,
    }
}

fn csv_form(mut section: Section<'_>) -> CsvForm {
    let problems = section.problems();
    let mut form = CsvForm::default();
    if let Some(separator) = section.text_as_it_is("separator") {
        match separator.value.as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => form.separator = *byte,
            _ => {
                let hint = "write one character, for instance \";\" or \"\\t\"";
                problems.hint(&separator.place, "`separator` is not one character", hint);
            }
        }
    }
    form.columns = section
        .texts("columns")
        .into_iter()
        .map(|name| name.value)
        .collect();
    if let Some(encoding) = section.text("encoding") {
        match encoding.value.as_str() {
            "utf-8" => {}
            "iso-8859-1" => form.latin1 = true,
            other => {
                let what = format!("`{other}` is no encoding that is read");
                problems.hint(&encoding.place, what, "write \"utf-8\" or \"iso-8859-1\"");
            }
        }
    }
    section.finish();
    form
}
