//! The route table: method, address, who may call, handler.

mod accreditations;
mod authorization;
mod direct_harvest;
mod evidence;
mod keys;
mod metadata;
mod open_data;
pub(crate) mod openapi;
mod proofs;
mod register;
mod usage;
mod version;

use std::future::Future;
use std::pin::Pin;

use dan_core::error::Fault;
use http::Method;

use crate::query_string::decode;
use crate::render::Outbound;
use crate::visit::Visit;

/// What a handler gives.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Outbound, Fault>> + Send + 'a>>;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody; a token is ignored, not refused (`clients.md` check 10).
    Anonymous,
    /// A consumer with API key and token or certificate.
    Consumer,
    /// Anybody; but who presents a key or a token is a consumer, or is refused.
    Either,
}

/// One row of the table.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Below `/v1` and `/api`; `{…}` takes any one segment.
    pub(crate) pattern: &'static str,
    pub(crate) access: Access,
    /// Pages of other origins may read it.
    pub(crate) cors: bool,
    /// For the OpenAPI document.
    pub(crate) summary: &'static str,
    pub(crate) handler: for<'a> fn(&'a Visit<'a>) -> Answering<'a>,
}

macro_rules! table {
    ($($method:ident $pattern:literal $access:ident $cors:literal $handler:path, $summary:literal;)*) => {
        /// Every route there is; what is not here answers 404.
        pub(crate) static ROUTES: &[Route] = &[$(Route {
            method: Method::$method,
            pattern: $pattern,
            access: Access::$access,
            cors: $cors,
            summary: $summary,
            handler: |visit| Box::pin($handler(visit)),
        },)*];
    };
}

table! {
    POST "authorization" Consumer false authorization::create, "Ask for access; creates an accreditation";
    POST "authorization/explain" Consumer false authorization::explain, "What an application would be answered, rule by rule; stores nothing";
    GET "accreditations" Consumer false accreditations::list, "Your accreditations under the key's service";
    DELETE "accreditations/{id}" Consumer false accreditations::delete, "Delete an accreditation";
    GET "evidence/{id}" Consumer false evidence::status, "Status of every dataset of an accreditation";
    POST "evidence/{id}" Consumer false evidence::status, "Status of every dataset of an accreditation";
    GET "evidence/{id}/{dataset}" Consumer false evidence::harvest, "Harvest a dataset of an accreditation";
    GET "directharvest/{dataset}" Consumer false direct_harvest::harvest, "Authorize and harvest in one call";
    POST "directharvest/{dataset}" Consumer false direct_harvest::harvest, "The same, with the subject in the body";
    GET "opendata/{dataset}" Anonymous true open_data::harvest, "Harvest an open dataset";
    GET "opendata/{dataset}/{identifier}" Anonymous true open_data::harvest, "Harvest an open dataset about somebody";
    GET "proofs/{release}" Either false proofs::show, "The statement of an answer that left as a stream, for an hour";
    GET "metadata/evidencecodes" Anonymous true metadata::datasets, "Every dataset";
    GET "metadata/evidencecodes/{context}" Anonymous true metadata::datasets_of_context, "The datasets of one service";
    GET "metadata/servicecontexts" Anonymous true metadata::contexts, "Names of the services";
    GET "metadata/statuscodes" Anonymous true metadata::status_codes, "Status codes and their texts";
    GET "metadata/errorcodes" Anonymous true metadata::error_codes, "Error codes and their texts";
    GET "metadata/usage/month" Anonymous true usage::month, "Harvests of this month by service; small numbers left out";
    GET "metadata/usage/lastYear" Anonymous true usage::last_year, "Harvests of last year by month and service";
    GET "metadata/usage/all" Anonymous true usage::all, "All harvests by month and service";
    GET "usage" Consumer false usage::own, "Your own harvests by month, service and dataset";
    GET "metadata/oas/json" Anonymous true openapi::serve, "This document";
    GET "ccr/{number}" Anonymous false register::unit, "A unit of the entity register";
    GET "ccr/{number}/subunits" Anonymous false register::sub_units, "The sub units right below a unit";
    GET "ccr/{number}/mainunit" Anonymous false register::main_unit, "The top of the chain of units above";
    GET "ccr/{number}/ispublic" Anonymous false register::is_public, "Whether a unit is a public agency";
    GET "ccr/{number}/hierarchy" Anonymous false register::hierarchy, "A unit and all below it";
    GET "version" Anonymous false version::show, "Which build this is";
    GET "/.well-known/jwks.json" Anonymous true keys::show, "The published signing keys";
}

/// Routes that data.altinn.no does not have; their errors are problem details (RFC 9457).
const NEW_HERE: [&str; 3] = ["authorization/explain", "proofs/{release}", "usage"];

impl Route {
    /// Whether its errors are problem details.
    pub(crate) fn is_new_here(&self) -> bool {
        NEW_HERE.contains(&self.pattern)
    }
}

/// Prefixes under which the table is mounted.
const PREFIXES: [&str; 2] = ["v1", "api"];
/// First segments that are also mounted below `public/` (`wire-api.md` §1.1).
const PUBLIC_TOO: [&str; 2] = ["metadata", "ccr"];
/// Most segments an address may have.
const SEGMENTS_MAX: usize = 8;

/// What stands at an address.
pub(crate) enum Found {
    Route(&'static Route, Vec<String>),
    /// The browser asks before it calls.
    Preflight,
    Nothing,
}

/// Finds the route; segments match without case, one trailing slash is tolerated.
///
/// # Errors
/// 1014 for a broken percent escape.
pub(crate) fn find(method: &Method, path: &str) -> Result<Found, Fault> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let segments: Vec<&str> = trimmed.split('/').collect();
    if segments.len() > SEGMENTS_MAX {
        return Ok(Found::Nothing);
    }
    let mut other_method = false;
    for route in ROUTES {
        let Some(values) = matches(route.pattern, &segments) else {
            continue;
        };
        if route.method == *method {
            let values = values.into_iter().map(|value| decode(value, false));
            return Ok(Found::Route(route, values.collect::<Result<_, _>>()?));
        }
        other_method |= route.cors;
    }
    if other_method && *method == Method::OPTIONS {
        return Ok(Found::Preflight);
    }
    Ok(Found::Nothing)
}

fn matches<'p>(pattern: &str, segments: &[&'p str]) -> Option<Vec<&'p str>> {
    let (pattern, segments) = match pattern.strip_prefix('/') {
        Some(rooted) => (rooted, segments),
        None => {
            let (prefix, rest) = segments.split_first()?;
            if !PREFIXES
                .iter()
                .any(|known| known.eq_ignore_ascii_case(prefix))
            {
                return None;
            }
            (pattern, without_public(rest))
        }
    };
    let mut given = segments.iter();
    let mut values = Vec::new();
    for expected in pattern.split('/') {
        let actual = given.next()?;
        if expected.starts_with('{') {
            if actual.is_empty() {
                return None;
            }
            values.push(*actual);
        } else if !expected.eq_ignore_ascii_case(actual) {
            return None;
        }
    }
    given.next().is_none().then_some(values)
}

fn without_public<'s, 'p>(segments: &'s [&'p str]) -> &'s [&'p str] {
    match segments {
        [public, rest @ ..] if public.eq_ignore_ascii_case("public") => match rest {
            [first, ..]
                if PUBLIC_TOO
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(first)) =>
            {
                rest
            }
            _ => segments,
        },
        _ => segments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(method: &Method, path: &str) -> Option<&'static str> {
        match find(method, path) {
            Ok(Found::Route(route, _)) => Some(route.pattern),
            Ok(Found::Preflight) => Some("preflight"),
            Ok(Found::Nothing) | Err(_) => None,
        }
    }

    #[test]
    fn addresses_of_real_clients_are_found() {
        let get = Method::GET;
        for (path, expected) in [
            (
                "/v1/public/metadata/evidencecodes/",
                "metadata/evidencecodes",
            ),
            ("/api/metadata/evidencecodes", "metadata/evidencecodes"),
            (
                "/v1/Metadata/EvidenceCodes/eBevis",
                "metadata/evidencecodes/{context}",
            ),
            ("/v1/accreditations/", "accreditations"),
            ("/api/public/ccr/991825827", "ccr/{number}"),
            ("/v1/opendata/x", "opendata/{dataset}"),
            (
                "/v1/directharvest/AdvRegBulk.zip",
                "directharvest/{dataset}",
            ),
            ("/.well-known/jwks.json", "/.well-known/jwks.json"),
        ] {
            assert_eq!(pattern(&get, path), Some(expected), "{path}");
        }
        for path in [
            "/",
            "/v1",
            "/metadata/evidencecodes",
            "/v1/public/authorization",
            "/v2/version",
            "/v1/accreditations//",
            "/v1/evidence//x",
            "/v1/a/b/c/d/e/f/g/h/i",
        ] {
            assert_eq!(pattern(&get, path), None, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_no_route_and_preflights_are_for_open_ones() {
        assert_eq!(pattern(&Method::POST, "/v1/accreditations"), None);
        assert_eq!(pattern(&Method::HEAD, "/v1/version"), None);
        assert_eq!(
            pattern(&Method::OPTIONS, "/v1/opendata/x/1"),
            Some("preflight")
        );
        assert_eq!(pattern(&Method::OPTIONS, "/v1/authorization"), None);
    }

    #[test]
    fn path_values_are_decoded() {
        let Ok(Found::Route(_, values)) = find(&Method::GET, "/v1/opendata/a%20b/%C3%A5") else {
            panic!("no route")
        };
        assert_eq!(values, ["a b", "å"]);
        assert!(find(&Method::GET, "/v1/opendata/%ff").is_err());
    }

    #[test]
    fn who_may_call_what_is_as_it_was_reviewed() {
        let line = |route: &Route| {
            format!(
                "{:?} {} {}{}\n",
                route.access,
                route.method,
                route.pattern,
                if route.cors { " cors" } else { "" }
            )
        };
        let now: String = ROUTES.iter().map(line).collect();
        assert_eq!(
            now,
            include_str!("access.snap"),
            "review the change, then update access.snap"
        );
    }
}
