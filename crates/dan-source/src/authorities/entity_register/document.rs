//! Reads the documents of Enhetsregisteret: a unit, and a page of units (`wire-api.md` §5.13).
//!
//! Lenient: only the number must be there and be the one asked for, and the organisation form of a
//! unit that lives, because decisions rest on it.

use std::sync::Arc;

use dan_core::party::OrgNumber;
use dan_core::ports::Unit;
use serde_json::Value;

/// Where in the register a unit stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Main,
    Sub,
}

impl Place {
    /// The collection, in addresses and in pages.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Main => "enheter",
            Self::Sub => "underenheter",
        }
    }
}

/// One page of sub units.
pub(super) struct Page {
    pub(super) units: Vec<Unit>,
    /// Address of the next page, as the register gives it.
    pub(super) next: Option<String>,
}

/// Reads the document of one unit; `gone` when it came with 410.
///
/// # Errors
/// Why this is no answer about `number`.
pub(super) fn read_unit(
    body: &[u8],
    number: OrgNumber,
    place: Place,
    gone: bool,
) -> Result<Unit, String> {
    let mut unit = unit_of(parse(body)?, place)?;
    if unit.number != number {
        return Err("the document is about another number".to_owned());
    }
    if gone && unit.deleted.is_none() {
        // The register names no date; that it is gone is what counts.
        unit.deleted = Some(String::new());
    }
    check_form(&unit)?;
    Ok(unit)
}

/// Reads one page of sub units.
///
/// # Errors
/// Why this is no page.
pub(super) fn read_page(body: &[u8]) -> Result<Page, String> {
    let mut page = parse(body)?;
    if !page.is_object() {
        return Err("the page is no object".to_owned());
    }
    let next = page
        .pointer("/_links/next/href")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .filter(|_| !is_last(&page));
    let mut units = Vec::new();
    if let Some(embedded) = page.get_mut("_embedded") {
        let list = embedded.get_mut(Place::Sub.path()).map(Value::take);
        let Some(Value::Array(list)) = list else {
            return Err("the page holds no list of sub units".to_owned());
        };
        for document in list {
            let unit = unit_of(document, Place::Sub)?;
            check_form(&unit)?;
            units.push(unit);
        }
    }
    Ok(Page { units, next })
}

/// The last page may have a link to itself as its next one.
fn is_last(page: &Value) -> bool {
    let count = |pointer| page.pointer(pointer).and_then(Value::as_u64);
    match (count("/page/number"), count("/page/totalPages")) {
        (Some(number), Some(total)) => number.saturating_add(1) >= total,
        _ => false,
    }
}

fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        format!(
            "no readable JSON at line {}, column {}",
            error.line(),
            error.column()
        )
    })
}

fn unit_of(document: Value, place: Place) -> Result<Unit, String> {
    let text = |pointer: &str| match document.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let org = |pointer: &str| text(pointer).and_then(|text| OrgNumber::parse(&text));
    let number = org("/organisasjonsnummer").ok_or("a unit without a valid number")?;
    let codes = [
        "/naeringskode1/kode",
        "/naeringskode2/kode",
        "/naeringskode3/kode",
    ];
    let unit = Unit {
        number,
        name: text("/navn").unwrap_or_default(),
        form: text("/organisasjonsform/kode").unwrap_or_default(),
        sector: text("/institusjonellSektorkode/kode"),
        industries: codes.into_iter().filter_map(text).collect(),
        parent: org("/overordnetEnhet"),
        deleted: text("/slettedato"),
        is_sub_unit: place == Place::Sub,
        document: Arc::new(Value::Null),
    };
    Ok(Unit {
        document: Arc::new(document),
        ..unit
    })
}

fn check_form(unit: &Unit) -> Result<(), String> {
    if unit.form.is_empty() && unit.deleted.is_none() {
        return Err("a unit without an organisation form".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NUMBER: &str = "998997801";

    fn read(document: &Value, gone: bool) -> Result<Unit, String> {
        let number = OrgNumber::parse(NUMBER).unwrap();
        read_unit(document.to_string().as_bytes(), number, Place::Main, gone)
    }

    #[test]
    fn a_document_is_read_leniently() {
        let unit = read(
            &json!({"organisasjonsnummer": 998_997_801, "organisasjonsform": {"kode": "ORGL"},
                "naeringskode1": {"kode": "84.110"}, "naeringskode2": null,
                "naeringskode3": {"kode": 62.01}, "institusjonellSektorkode": {"kode": 6100},
                "overordnetEnhet": "991825827", "navn": ["odd"], "slettedato": "", "new": {}}),
            false,
        )
        .unwrap();
        assert_eq!((unit.name.as_str(), unit.form.as_str()), ("", "ORGL"));
        assert_eq!(unit.industries, ["84.110", "62.01"]);
        assert_eq!(unit.sector.as_deref(), Some("6100"));
        assert_eq!(unit.parent.unwrap().as_str(), "991825827");
        assert!(unit.deleted.is_none() && unit.is_public_agency());
    }

    #[test]
    fn what_is_no_answer_about_the_number_is_refused() {
        for document in [
            json!({}),
            json!([]),
            json!(null),
            json!({"organisasjonsnummer": NUMBER}),
            json!({"organisasjonsnummer": "991825827", "organisasjonsform": {"kode": "AS"}}),
            json!({"organisasjonsnummer": "123456789", "slettedato": "2017-10-20"}),
        ] {
            assert!(read(&document, false).is_err(), "{document}");
        }
    }

    #[test]
    fn gone_is_deleted_with_or_without_a_date() {
        let dated = json!({"organisasjonsnummer": NUMBER, "slettedato": "2017-10-20"});
        let deleted = |document, gone| read(document, gone).unwrap().deleted;
        assert_eq!(deleted(&dated, false).as_deref(), Some("2017-10-20"));
        assert_eq!(deleted(&dated, true).as_deref(), Some("2017-10-20"));
        let bare = json!({"organisasjonsnummer": NUMBER});
        assert_eq!(deleted(&bare, true).as_deref(), Some(""));
    }

    #[test]
    fn a_page_without_units_is_empty_and_a_broken_one_is_no_page() {
        let page = |document: Value| read_page(document.to_string().as_bytes());
        let none = page(json!({"_links": {}, "page": {"totalElements": 0}})).unwrap();
        assert!(none.units.is_empty() && none.next.is_none());
        for broken in [
            json!([]),
            json!({"_embedded": {}}),
            json!({"_embedded": {"underenheter": {}}}),
            json!({"_embedded": {"underenheter": [{"navn": "x"}]}}),
        ] {
            assert!(page(broken.clone()).is_err(), "{broken}");
        }
    }
}
