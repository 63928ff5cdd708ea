//! Registers of the labour inspection: who may let out labour, clean, or care for cars (services.md §1.3).
//!
//! Main units are in them, with their sub units. Whoever asks must say which program it is.

use http::StatusCode;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use crate::people::{self, Unit};
use crate::reply::{self, Call, Reply};
use crate::units::UNITS;

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/arbeidstilsynet";
/// Whoever has a workshop, or sub units, has what the registers ask for.
const REPAIR: &str = "45.200";

/// Answers `GET /arbeidstilsynet/{register}/{org}`.
pub(crate) fn answer(call: &Call) -> Reply {
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    if call.header(&USER_AGENT).is_none_or(str::is_empty) {
        return reply::refused(StatusCode::FORBIDDEN, "hvem spør? user-agent mangler");
    }
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let segments: Vec<&str> = route.split('/').skip(1).collect();
    let (entry, number): (fn(&Unit) -> Value, _) = match segments.as_slice() {
        ["bilpleie", number] => (car_care, *number),
        ["bemanning", number] => (staffing, *number),
        ["renhold", number] => (cleaning, *number),
        _ => return reply::no_such_route(),
    };
    let unit = people::unit(number).filter(|unit| is_registered(unit));
    match unit {
        Some(unit) => reply::ok(&json!({ "data": entry(unit) })),
        None => reply::refused(StatusCode::NOT_FOUND, "virksomheten er ikke i registeret"),
    }
}

fn is_registered(unit: &Unit) -> bool {
    let repairs = unit.industries.iter().any(|(code, _)| *code == REPAIR);
    unit.above.is_none() && (repairs || sub_units(unit).next().is_some())
}

fn sub_units(unit: &Unit) -> impl Iterator<Item = &'static Unit> {
    let number = unit.number;
    UNITS.iter().filter(move |one| one.above == Some(number))
}

/// Main units are approved; of their sub units only those with an even number of employees above ten.
fn car_care(unit: &Unit) -> Value {
    let entry = |unit: &Unit, approved: bool| {
        let (status, text, approval) = match approved {
            true => (1, "Registrert", "godkjent"),
            false => (3, "Under behandling", "ikke godkjent"),
        };
        json!({
            "organisasjonsnummer": unit.number,
            "registerstatus": status,
            "registerstatusTekst": text,
            "godkjenningsstatus": approval,
        })
    };
    let below: Vec<Value> = sub_units(unit)
        .map(|one| entry(one, one.employees > 10))
        .collect();
    let mut whole = entry(unit, true);
    if let Value::Object(members) = &mut whole {
        members.insert("underenheter".to_owned(), Value::Array(below));
    }
    whole
}

fn staffing(unit: &Unit) -> Value {
    json!({ "organisasjonsnummer": unit.number, "godkjenningsstatus": "Godkjent" })
}

/// Who has sub units has had its status changed.
fn cleaning(unit: &Unit) -> Value {
    let changed = sub_units(unit)
        .next()
        .map(|_| json!("2025-08-20T00:00:00Z"));
    json!({
        "organisasjonsnummer": unit.number,
        "status": "Godkjent med ansatte",
        "statusEndret": changed,
    })
}
