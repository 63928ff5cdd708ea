//! The tax administration on persons: which year has been settled, and the summed-up basis of a year (services.md §7).

use http::StatusCode;
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::people;
use crate::reply::{self, Call, Reply};

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/skatt_person";
/// The latest year that has been settled.
const YEAR: &str = "2024";
/// What municipalities may see for kindergartens.
const PACKAGE: &str = "kommuneforeldrebetaling";

/// Answers `GET /sistetilgjengeligeskatteoppgjoer/v1/{number}` and
/// `GET /summertskattegrunnlag/v2/{stadie}/{package}/{year}/{number}`.
pub(crate) fn answer(call: &Call, issuer: &Issuer, now_ms: i64) -> Reply {
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let segments: Vec<&str> = route.split('/').skip(1).collect();
    let (number, summary) = match segments.as_slice() {
        ["sistetilgjengeligeskatteoppgjoer", "v1", number] => (*number, None),
        ["summertskattegrunnlag", "v2", stage, package, year, number] => {
            (*number, Some((*stage, *package, *year)))
        }
        _ => return reply::no_such_route(),
    };
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    if let Err(error) = issuer.admit(call, now_ms) {
        return reply::unauthorized("Bearer", error);
    }
    if number != people::parties().person {
        return reply::refused(StatusCode::NOT_FOUND, "personen er ukjent");
    }
    match summary {
        None => reply::ok(&json!({
            "personidentifikator": number,
            "ressursId": "skattegrunnlag",
            "sisteTilgjengeligePeriode": YEAR,
        })),
        Some((stage, ..)) if !matches!(stage, "oppgjoer" | "utkast") => {
            reply::refused(StatusCode::BAD_REQUEST, "ukjent stadie")
        }
        Some((_, package, _)) if package != PACKAGE => {
            reply::refused(StatusCode::FORBIDDEN, "rettighetspakken er ikke gitt")
        }
        Some((_, _, year)) if year != YEAR => reply::refused(
            StatusCode::NOT_FOUND,
            "det finnes ikke noe grunnlag for det året",
        ),
        Some(_) => reply::ok(&basis(number)),
    }
}

fn basis(number: &str) -> Value {
    let row = |name: &str, amount: u32, category: &str| json!({ "tekniskNavn": name, "beloep": amount, "kategori": category });
    json!({
        "personidentifikator": number,
        "inntektsaar": YEAR,
        "skjermet": false,
        "grunnlag": [
            row("samletLoennsinntekt", 612_000, "inntekt"),
            row("minstefradragIInntekt", 92_000, "inntektsfradrag"),
            row("samletGjeld", 183_457, "formuesfradrag"),
        ],
        "skatteoppgjoersdato": "2025-06-19",
    })
}
