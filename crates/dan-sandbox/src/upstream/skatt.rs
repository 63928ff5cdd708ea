//! The tax administration: what an organisation owes (services.md §1.2, §12.5).
//!
//! No token is asked for: whether the node sends one is what the calls of the control interface and the node's own tests
//! show.

use http::StatusCode;
use serde_json::{Value, json};

use crate::people;
use crate::reply::{self, Call, Reply};

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/skatt";
/// When the answers were made. Fixed, so that the same question has the same answer.
const DELIVERED: &str = "2026-01-15T08:30:00Z";

/// Answers `GET /skatt/v2/ebevis/{org}`.
pub(crate) fn answer(call: &Call) -> Reply {
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    let Some(organisation) = call
        .path()
        .strip_prefix(PATH)
        .and_then(|route| route.strip_prefix("/v2/ebevis/"))
    else {
        return reply::no_such_route();
    };
    match people::unit(organisation) {
        Some(unit) => reply::ok(&arrears(unit.number)),
        None => reply::refused(StatusCode::NOT_FOUND, "organisasjonen er ukjent"),
    }
}

/// Whole kroner, made from the digits of the number so that no two organisations owe the same.
fn arrears(organisation: &str) -> Value {
    let seed: u32 = organisation.bytes().map(u32::from).sum();
    let owed = |factor: u32| json!({ "forfaltOgUbetalt": seed.saturating_mul(factor) });
    json!({
        "levert": DELIVERED,
        "forespurteOrganisasjon": organisation,
        "restanser": {
            "arbeidsgiveravgift": owed(3),
            "forskuddstrekk": owed(7),
            "forskuddsskatt": owed(0),
            "restskatt": owed(11),
            "gebyr": owed(1),
            "merverdiavgift": owed(29),
        },
    })
}
