//! Enhetsregisteret as data.brreg.no answers: units, sub units, roles and searches in HAL pages.
//!
//! Members are those of its OpenAPI document and of recorded answers. A deleted unit is answered with 200 and what is
//! left of it; the form of errors is the register's own (`feilmelding`, `valideringsfeil`).

mod shape;

use http::StatusCode;
use serde_json::{Map, Value, json};

use self::shape::{roles_json, unit_json};
use crate::people::{Unit, unit};
use crate::reply::{self, Call, Form, Reply};
use crate::units::UNITS;

/// Where the register is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/enhetsregisteret/api";
/// Hits of one page when nobody says how many.
const PAGE_SIZE: usize = 20;
/// The register gives no hits beyond this one, whatever the page.
const MAX_DEPTH: usize = 10_000;
/// What a search may ask for here. The register knows more; what is not known is refused.
const SEARCH_NAMES: [&str; 6] = [
    "navn",
    "organisasjonsnummer",
    "organisasjonsform",
    "overordnetEnhet",
    "page",
    "size",
];

/// One of the two halves of the register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Main,
    Sub,
}

impl Half {
    const fn name(self) -> &'static str {
        match self {
            Self::Main => "enheter",
            Self::Sub => "underenheter",
        }
    }

    const fn of(unit: &Unit) -> Self {
        if unit.above.is_some() {
            Self::Sub
        } else {
            Self::Main
        }
    }
}

/// Answers what lies under `/enhetsregisteret/`; `base` is the address of the fake world.
pub(crate) fn answer(call: &Call, base: &str, now_ms: i64) -> Reply {
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    let register = Register {
        call,
        api: format!("{base}{PATH}"),
        now_ms,
    };
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let segments: Vec<&str> = route.split('/').skip(1).collect();
    match segments.as_slice() {
        ["enheter"] => register.search(Half::Main),
        ["underenheter"] => register.search(Half::Sub),
        ["enheter", number] => register.one(Half::Main, number, unit_json),
        ["underenheter", number] => register.one(Half::Sub, number, unit_json),
        ["enheter", number, "roller"] => register.one(Half::Main, number, roles_json),
        _ => register.error(StatusCode::NOT_FOUND, "Ressursen finnes ikke", None),
    }
}

struct Register<'a> {
    call: &'a Call,
    api: String,
    now_ms: i64,
}

/// A query member the register does not accept: its name, its value, and why.
struct Invalid(String, String, &'static str);

impl Register<'_> {
    fn one(&self, half: Half, number: &str, show: fn(&Unit, &str) -> Value) -> Reply {
        if number.len() != 9 || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            let name = "organisasjonsnummer".to_owned();
            let wrong = Invalid(name, number.to_owned(), "Organisasjonsnummeret er ugyldig");
            return self.invalid(&wrong);
        }
        match unit(number).filter(|unit| half == Half::of(unit)) {
            Some(unit) => reply::ok(&show(unit, &self.api)),
            None => self.error(StatusCode::NOT_FOUND, "Enheten finnes ikke", None),
        }
    }

    fn search(&self, half: Half) -> Reply {
        let Some(query) = self.call.query() else {
            return self.error(StatusCode::BAD_REQUEST, "Feilaktig forespørsel", None);
        };
        match self.page(half, &query) {
            Ok(page) => reply::ok(&page),
            Err(wrong) => self.invalid(&wrong),
        }
    }

    fn page(&self, half: Half, query: &Form) -> Result<Value, Invalid> {
        if let Some(name) = query.names().find(|name| !SEARCH_NAMES.contains(name)) {
            let value = query.get(name).unwrap_or_default().to_owned();
            return Err(Invalid(name.to_owned(), value, "Ukjent parameter"));
        }
        let number = number_of(query, "page", 0)?;
        let size = number_of(query, "size", PAGE_SIZE)?;
        let first = number.saturating_mul(size);
        if size == 0 || first.saturating_add(size) > MAX_DEPTH {
            let value = size.to_string();
            return Err(Invalid("size".to_owned(), value, "Ugyldig sidestørrelse"));
        }
        let hits: Vec<&Unit> = UNITS
            .iter()
            .filter(|unit| half == Half::of(unit) && unit.deleted.is_none() && matches(unit, query))
            .collect();
        let shown: Vec<Value> = hits
            .iter()
            .skip(first)
            .take(size)
            .map(|unit| unit_json(unit, &self.api))
            .collect();
        let pages = hits.len().div_ceil(size);
        let mut page = Map::new();
        if !shown.is_empty() {
            page.insert("_embedded".to_owned(), json!({ half.name(): shown }));
        }
        let links = self.links(half, query, (number, size, pages));
        page.insert("_links".to_owned(), links);
        let about = json!({
            "size": size, "totalElements": hits.len(), "totalPages": pages, "number": number,
        });
        page.insert("page".to_owned(), about);
        Ok(Value::Object(page))
    }

    fn links(
        &self,
        half: Half,
        query: &Form,
        (number, size, pages): (usize, usize, usize),
    ) -> Value {
        let mut kept = String::new();
        for name in SEARCH_NAMES.iter().take(4) {
            if let Some(value) = query.get(name) {
                kept.push_str(&format!("{name}={}&", encoded(value)));
            }
        }
        let link = |number: usize| {
            let address = format!("{}/{}", self.api, half.name());
            json!({ "href": format!("{address}?{kept}page={number}&size={size}") })
        };
        let last = pages.saturating_sub(1);
        let mut links = Map::new();
        links.insert("first".to_owned(), link(0));
        if number > 0 {
            links.insert("prev".to_owned(), link(number.saturating_sub(1)));
        }
        links.insert("self".to_owned(), link(number));
        if number < last {
            links.insert("next".to_owned(), link(number.saturating_add(1)));
        }
        links.insert("last".to_owned(), link(last));
        Value::Object(links)
    }

    fn invalid(&self, Invalid(name, value, why): &Invalid) -> Reply {
        let wrong = json!({ "feilmelding": why, "parametere": [name], "feilaktigVerdi": value });
        self.error(
            StatusCode::BAD_REQUEST,
            "Feilaktig forespørsel",
            Some(wrong),
        )
    }

    fn error(&self, status: StatusCode, message: &str, wrong: Option<Value>) -> Reply {
        let wrong: Vec<Value> = wrong.into_iter().collect();
        reply::json(
            status,
            &json!({
                "tidsstempel": self.now_ms,
                "status": status.as_u16(),
                "feilmelding": message,
                "antallFeil": wrong.len(),
                "valideringsfeil": wrong,
                "sti": self.call.path(),
            }),
        )
    }
}

fn number_of(query: &Form, name: &str, default: usize) -> Result<usize, Invalid> {
    match query.get(name) {
        None | Some("") => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .ok_or_else(|| Invalid(name.to_owned(), text.to_owned(), "Ikke et tall")),
    }
}

fn matches(unit: &Unit, query: &Form) -> bool {
    let among = |list: &str, one: &str| list.split(',').any(|candidate| candidate == one);
    query.get("navn").is_none_or(|part| {
        let part = part.to_lowercase();
        unit.name.to_lowercase().contains(&part)
    }) && query
        .get("organisasjonsnummer")
        .is_none_or(|list| among(list, unit.number))
        && query
            .get("organisasjonsform")
            .is_none_or(|list| among(list, unit.form.0))
        && query
            .get("overordnetEnhet")
            .is_none_or(|above| unit.above == Some(above))
}

/// What a query member may hold without escape (RFC 3986 §2.3); everything else is percent-encoded.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_only_what_a_query_may_hold() {
        assert_eq!(encoded("BJØRN & co"), "BJ%C3%98RN%20%26%20co");
        assert_eq!(encoded("991825827,992037601"), "991825827,992037601");
    }
}
