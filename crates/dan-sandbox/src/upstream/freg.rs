//! The population register: one person, part by part (services.md §6.1, §7).

use http::StatusCode;
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::people;
use crate::reply::{self, Call, Reply};

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/freg";
/// Where the register keeps persons, for those whom the law lets see more than names.
const PERSONS: &str = "/folkeregisteret/offentlig-med-hjemmel/api/v1/personer/";
/// The part that is meant when none is named.
const PART: &str = "person-basis";

/// Answers `GET …/personer/{number}?part=…`, where `part` may come several times.
pub(crate) fn answer(call: &Call, issuer: &Issuer, now_ms: i64) -> Reply {
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let Some(number) = route.strip_prefix(PERSONS) else {
        return reply::no_such_route();
    };
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    if let Err(error) = issuer.admit(call, now_ms) {
        return reply::unauthorized("Bearer", error);
    }
    let Some(query) = call.query() else {
        return reply::refused(StatusCode::BAD_REQUEST, "the query cannot be decoded");
    };
    if number != people::parties().person {
        return reply::refused(StatusCode::NOT_FOUND, "personen er ukjent");
    }
    let named: Vec<&str> = query.all("part").collect();
    let parts = if named.is_empty() { vec![PART] } else { named };
    let mut whole = json!({});
    for name in parts {
        let (Some(Value::Object(part)), Value::Object(members)) = (part(name, number), &mut whole)
        else {
            return reply::refused(StatusCode::BAD_REQUEST, "ukjent part");
        };
        members.extend(part);
    }
    reply::ok(&whole)
}

fn part(name: &str, number: &str) -> Option<Value> {
    match name {
        "person-basis" => Some(json!({
            "identifikasjonsnummer": [{
                "status": "iBruk", "foedselsEllerDNummer": number,
                "identifikatortype": "foedselsnummer", "erGjeldende": true,
            }],
            "status": [{ "status": "bosatt", "erGjeldende": true }],
            "navn": [{ "fornavn": "Syntetisk", "etternavn": "Person", "erGjeldende": true }],
            "foedsel": [{ "foedselsdato": "1961-05-07", "foedselsaar": "1961", "erGjeldende": true }],
        })),
        "relasjon-utvidet" => Some(json!({
            "sivilstand": [{ "sivilstand": "ugift", "erGjeldende": true }],
            "familierelasjon": [],
        })),
        _ => None,
    }
}
