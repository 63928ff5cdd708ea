//! Inspection authorities: what each of them says about a unit (services.md §3.2). One handler for all; they differ in
//! what they have and in how they want to be asked.

mod shape;

use http::StatusCode;
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::people;
use crate::reply::{self, Call, Form, Reply};

/// Where the authorities are found in the fake world: the first segment of their addresses.
pub(crate) const FOLDER: &str = "tilda";
/// An object of the petroleum register that is known by its own number, and who runs it.
const NPDID: (&str, &str) = ("4711", "992037601");
/// When everything here happened; what is asked for outside of it is not found.
const HAPPENED: &str = "2025-10-14";

/// How an authority wants to be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `/{dataset}/{unit}`, moments of 24 characters.
    Plain,
    /// `/{unit}`: it has one dataset.
    Bare,
    /// `/{dataset}/{unit}/`, dates of ten characters.
    Slash,
}

/// An authority.
pub(crate) struct Agency {
    /// Its source in the catalogue, and its name in the control interface: `tilda-` and its own.
    pub(crate) source: &'static str,
    /// Its number, or what stands for it.
    org: &'static str,
    has: &'static [&'static str],
    style: Style,
}

impl Agency {
    /// Its own part of the name.
    pub(crate) fn key(&self) -> &'static str {
        self.source.split_once('-').map_or("", |(_, key)| key)
    }
}

const REPORTS: &str = "tilsyn";
const COORDINATION: &str = "koordinering";
const TREND: &str = "trend";

const fn plain(source: &'static str, org: &'static str, has: &'static [&'static str]) -> Agency {
    Agency {
        source,
        org,
        has,
        style: Style::Plain,
    }
}

const fn bare(source: &'static str, org: &'static str) -> Agency {
    Agency {
        style: Style::Bare,
        ..plain(source, org, &[REPORTS])
    }
}

const fn governor(source: &'static str, org: &'static str) -> Agency {
    Agency {
        style: Style::Slash,
        ..plain(source, org, &[REPORTS, COORDINATION])
    }
}

const ALL: &[&str] = &[REPORTS, COORDINATION, TREND];

/// Every authority.
pub(crate) const AGENCIES: [Agency; 24] = [
    plain("tilda-arbeidstilsynet", "974761211", ALL),
    bare("tilda-brann", "BRANN"),
    bare("tilda-el", "DLE"),
    plain("tilda-dirmin", "974760282", &[REPORTS, COORDINATION]),
    plain("tilda-dsb", "111111111", &[]),
    plain("tilda-fiskeridirektoratet", "971203420", ALL),
    plain("tilda-havindustritilsynet", "986174613", &[COORDINATION]),
    plain("tilda-helsetilsynet", "974761394", &[]),
    plain("tilda-justervesenet", "874761192", ALL),
    plain("tilda-mattilsynet", "985399077", &[]),
    plain("tilda-miljodirektoratet", "999601391", ALL),
    plain("tilda-nso", "960478150", &[]),
    governor("tilda-agder", "974762994"),
    governor("tilda-innlandet", "974761645"),
    governor("tilda-more-og-romsdal", "974764067"),
    governor("tilda-nordland", "974764687"),
    governor("tilda-ostfold-buskerud-oslo-og-akershus", "974761319"),
    governor("tilda-rogaland", "974763230"),
    governor("tilda-troms-og-finnmark", "967311014"),
    governor("tilda-trondelag", "974764350"),
    governor("tilda-vestfold-og-telemark", "974762501"),
    governor("tilda-vestland", "974760665"),
    plain("tilda-fellestjenester", "921627009", &[]),
    plain("tilda-digdir", "991825827", ALL),
];

/// The authority of that key.
pub(crate) fn agency(key: &str) -> Option<&'static Agency> {
    AGENCIES.iter().find(|agency| agency.key() == key)
}

/// Answers what lies under `/tilda/{agency}/`.
pub(crate) fn answer(call: &Call, issuer: &Issuer, now_ms: i64) -> Reply {
    let mut segments = call.path().split('/').skip(2);
    let Some(agency) = segments.next().and_then(agency) else {
        return reply::no_such_route();
    };
    let rest: Vec<&str> = segments.collect();
    let (dataset, id) = match (agency.style, rest.as_slice()) {
        (Style::Bare, [id]) => (REPORTS, *id),
        (Style::Plain, [dataset, id]) | (Style::Slash, [dataset, id, ""]) => (*dataset, *id),
        (_, _) => return reply::no_such_route(),
    };
    if !agency.has.contains(&dataset) {
        return reply::no_such_route();
    }
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    if let Err(error) = issuer.admit(call, now_ms) {
        return reply::unauthorized("Bearer", error);
    }
    let query = call.query();
    let Some((from, to)) = query.as_ref().and_then(|query| asked(query, agency.style)) else {
        return reply::refused(StatusCode::BAD_REQUEST, "requestor eller datoer er feil");
    };
    let Some(unit) = unit_of(id) else {
        return reply::refused(StatusCode::NOT_FOUND, "tilsynsobjektet er ukjent");
    };
    let happened = from <= HAPPENED && HAPPENED <= to;
    reply::ok(&document(agency, dataset, unit, happened))
}

/// The dates of the question; `None` when they, or who asks, are not as they should be.
fn asked(query: &Form, style: Style) -> Option<(&str, &str)> {
    let requestor = query.get("requestor")?;
    let date = |name: &str, missing: &'static str| -> Option<&str> {
        let Some(text) = query.get(name) else {
            return Some(missing);
        };
        let fits = match style {
            Style::Slash => text.len() == 10,
            Style::Plain | Style::Bare => text.len() == 24 && text.ends_with('Z'),
        };
        text.get(..10).filter(|_| fits)
    };
    people::is_organisation_number(requestor).then_some(())?;
    Some((
        date("fromDate", "0000-01-01")?,
        date("toDate", "9999-12-31")?,
    ))
}

fn unit_of(id: &str) -> Option<&str> {
    if id == NPDID.0 {
        return Some(NPDID.1);
    }
    people::unit(id).map(|unit| unit.number)
}

fn document(agency: &Agency, dataset: &str, unit: &str, happened: bool) -> Value {
    let (list, one): (_, fn(&str, &str) -> Value) = match dataset {
        COORDINATION => ("tilsynskoordineringer", shape::coordination),
        TREND => ("trendrapporter", shape::trend),
        _ => ("tilsynsrapporter", shape::report),
    };
    let rows: Vec<Value> = happened
        .then(|| one(agency.org, unit))
        .into_iter()
        .collect();
    json!({
        "status": "ukjent",
        "statustekst": "fra kilden",
        "tilsynsmyndighet": agency.org,
        list: rows,
        "intern": { "merknad": shape::UNDECLARED },
    })
}
