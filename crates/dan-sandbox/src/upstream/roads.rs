//! The road administration: which workshops it has approved (services.md §1.3).

use http::StatusCode;
use http::header::HeaderName;
use serde_json::json;

use crate::people;
use crate::reply::{self, Call, Reply};

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/vegvesen";
/// The key that it wants.
pub const ROADS_KEY: &str = "noekkel-i-sandkassen";
/// Where the key is.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// The industry of workshops.
const REPAIR: &str = "45.200";

/// Answers `GET /vegvesen/verksted/{org}`; 204 for whoever is no workshop.
pub(crate) fn answer(call: &Call) -> Reply {
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    if call.header(&KEY_HEADER) != Some(ROADS_KEY) {
        return reply::unauthorized("ApiKey", "the key is missing or wrong");
    }
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let Some(number) = route.strip_prefix("/verksted/") else {
        return reply::no_such_route();
    };
    if !people::is_organisation_number(number) {
        return reply::refused(StatusCode::BAD_REQUEST, "ugyldig organisasjonsnummer");
    }
    let repairs =
        people::unit(number).filter(|unit| unit.industries.iter().any(|(code, _)| *code == REPAIR));
    match repairs {
        Some(unit) => reply::ok(&json!({
            "organisasjonsnummer": unit.number,
            "godkjenningstyper": ["Bilverksted 01 - Alle kjøretøy", "Kontrollorgan 04"],
            "godkjenningsnumre": ["V-1001", "K-2002"],
        })),
        None => reply::empty(StatusCode::NO_CONTENT),
    }
}
