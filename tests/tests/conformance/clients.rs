//! What five real clients put on the wire, sent again as it was with live keys, tokens and grants.
//!
//! The recording lies outside the project (`recorded/clients/captured-requests.jsonl` of the folder
//! `DAN_SHARED` names, `shared` beside the workspace by default); without it the test says so and holds
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{Consumer, DIHE, DROSJELOYVE, EBEVIS, Service, TILDA, application};
use dan_tests::shapes::text;
use dan_tests::subject::subject;
use dan_tests::world::calm;
use http::Method;
use serde_json::Value;

/// What this version answers to a request.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// 200 with JSON.
    Done,
    /// 200 with text.
    Text,
    /// 204 without a body.
    Gone,
    /// A refusal clients can read, with this status and code.
    Refused(u16, u64),
    /// 404 for a route this version does not have, readable like any refusal.
    NotBuilt,
    /// An error of the token endpoint: 400 with `error`.
    NoToken,
}
use Expected::{Done, Gone, NoToken, NotBuilt, Refused, Text};

const K6: &str = "k6-tests";
const NET: &str = "altinn-apiclient-dan";
const CLI: &str = "dan-cli";
const FINT: &str = "fint-replay";
const POSTMAN: &str = "postman-ebevis";
const TILDA_CLIENT: &str = "tilda-reference-client";

/// Client, method, path (`*` is one segment), what the rest of the request holds, what comes of it.
/// The first row that fits counts; every row must be of use.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Expected,
);
#[rustfmt::skip]
const ROWS: &[Row] = &[
    (K6, "GET", "/api/GetEnterpriseToken", "", Text),
    (K6, "GET", "/v1/accreditations/", "", Done),
    (K6, "GET", "/v1/metadata/evidencecodes", "", Done),
    (K6, "GET", "/v1/public/metadata/evidencecodes", "", Done),
    (K6, "POST", "/v1/authorization", "UnitBasicInformation", Done),
    (K6, "GET", "/v1/evidence/*/UnitBasicInformation", "", Done),
    (K6, "DELETE", "/v1/accreditations/*", "", Gone),
    (K6, "POST", "/v1/authorization", "RestanserV2 and requestConsent", Done),
    (K6, "POST", "/v1/authorization", "RestanserV2", Refused(403, 1019)),
    (K6, "POST", "/v1/authorization", "TildaMetadatav1 with tilda", Done),
    (K6, "POST", "/v1/authorization", "TildaMetadatav1 with dihe", Refused(403, 1019)),
    (K6, "POST", "/v1/authorization", "FregPerson and tokenOnBehalfOfOwner", Done),
    (K6, "POST", "/v1/authorization", "FregPerson", Refused(403, 1019)),
    (K6, "POST", "/v1/authorization", "SummertSkattegrunnlag and \"requestor\":\"998997801\"", Refused(403, 1019)),
    (K6, "POST", "/v1/authorization", "SummertSkattegrunnlag", Done),
    (NET, "POST", "/token", "", NoToken),
    (NET, "GET", "/api/public/metadata/servicecontexts", "", Done),
    (NET, "GET", "/api/public/metadata/evidencecodes/", "", Done),
    (NET, "GET", "/api/public/metadata/evidencecodes/eBevis", "", Done),
    (NET, "GET", "/api/directharvest/UnitBasicInformation", "", Done),
    // A parameter the dataset does not have.
    (NET, "POST", "/api/directharvest/UnitBasicInformation", "aar=2024", Refused(400, 1017)),
    // A register of organisations is asked about a person.
    (NET, "POST", "/api/directharvest/UnitBasicInformation", "envelope=false", Refused(400, 3002)),
    // A legal basis no dataset refers to (wire-api.md §11, 3).
    (NET, "POST", "/api/authorization", "", Refused(400, 1008)),
    (NET, "GET", "/api/evidence/*", "of a grant", Done),
    (NET, "GET", "/api/evidence/*", "of no grant", Refused(404, 1002)),
    (NET, "GET", "/api/evidence/*/UnitBasicInformation", "", Done),
    (NET, "GET", "/api/directharvest/NoSuchDataset", "", Refused(400, 1007)),
    (CLI, "POST", "/token", "", NoToken),
    (CLI, "POST", "/v1/authorization", "", Done),
    (CLI, "GET", "/v1/evidence/*", "", Done),
    (CLI, "GET", "/v1/evidence/*/UnitBasicInformation", "", Done),
    (CLI, "DELETE", "/v1/accreditations/*", "", Gone),
    (FINT, "POST", "/token", "", NoToken),
    (FINT, "GET", "/v1/public/metadata/errorcodes", "", Done),
    (FINT, "GET", "/v1/public/metadata/statuscodes", "", Done),
    (FINT, "GET", "/v1/public/metadata/evidencecodes", "", Done),
    (FINT, "GET", "/v1/public/metadata/servicecontexts", "", Done),
    (FINT, "GET", "/v1/public/metadata/evidencecodes/Drosjeloyve", "", Done),
    (FINT, "POST", "/v1/authorization", "RestanserV2", Done),
    (FINT, "GET", "/v1/accreditations", "changedafter=1970-01-01T00:00Z", Done),
    (FINT, "GET", "/v1/evidence/*", "", Done),
    (FINT, "GET", "/v1/evidence/*/KonkursDrosje", "", Done),
    // Nobody can be asked for consent in this version, so it is not in force.
    (FINT, "GET", "/v1/evidence/*/RestanserV2", "", Refused(403, 1010)),
    (FINT, "POST", "/v1/accreditations/*/reminders", "", NotBuilt),
    (FINT, "POST", "/v1/authorization", "123456789", Refused(400, 1004)),
    (FINT, "DELETE", "/v1/accreditations/*", "", Gone),
    (POSTMAN, "GET", "/v1/metadata/evidencecodes", "", Done),
    (POSTMAN, "GET", "/v1/metadata/statuscodes", "", Done),
    (POSTMAN, "GET", "/v1/metadata/errorcodes", "", Done),
    (POSTMAN, "POST", "/v1/authorization", "UnitBasicInformation", Done),
    (POSTMAN, "POST", "/v1/authorization", "AnnualFinancialReport", Done),
    (POSTMAN, "GET", "/v1/evidence/*", "", Done),
    (POSTMAN, "GET", "/v1/evidence/*/UnitBasicInformation", "", Done),
    (POSTMAN, "GET", "/v1/evidence/*/AnnualFinancialReport", "", Done),
    (POSTMAN, "DELETE", "/v1/accreditations/*", "", Gone),
    // Not in the shipped catalogue.
    (TILDA_CLIENT, "GET", "/api/directharvest/TildaTilsynsrapportv1", "", Done),
    (TILDA_CLIENT, "GET", "/api/directharvest/*", "", Refused(400, 1007)),
];

fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[tokio::test]
async fn requests_of_real_clients_are_understood() {
    let Some(recording) = recording() else {
        println!("skipped: captured-requests.jsonl is not there");
        return;
    };
    let _calm = calm().await;
    let mut clients: BTreeMap<String, Replay> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for line in recording.lines() {
        let request: Value = serde_json::from_str(line).expect("a line of JSON");
        // Lines without a method describe the grant a client signed, not a request.
        if request["method"].is_null() {
            continue;
        }
        let client = clients
            .entry(text(&request, "client").to_owned())
            .or_default();
        used.insert(client.send(&request).await);
    }
    let idle = (0..ROWS.len()).filter(|row| !used.contains(row));
    let idle: Vec<&Row> = idle.map(|row| &ROWS[row]).collect();
    assert!(idle.is_empty(), "rows without a request: {idle:?}");
}

fn recording() -> Option<String> {
    let shared = std::env::var_os("DAN_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
        PathBuf::from,
    );
    fs::read_to_string(shared.join("recorded/clients/captured-requests.jsonl")).ok()
}

/// What is known of the grant the recording goes on to speak of.
#[derive(Default)]
enum Fresh {
    #[default]
    Nothing,
    /// A grant nobody has referred to yet.
    Grant(String),
    /// It was refused, so another grant under the same service must stand in.
    Refused(Service),
}

/// One client on its way through the recording.
#[derive(Default)]
struct Replay {
    /// The token the generator gave last; k6 asks for its own.
    token: Option<(String, String)>,
    /// What the last request for access gave.
    fresh: Fresh,
    /// Recorded id to live id.
    grants: BTreeMap<String, String>,
}

impl Replay {
    /// Sends a recorded request, holds what comes of it, and gives the row that said so.
    async fn send(&mut self, request: &Value) -> usize {
        let (url, method) = (text(request, "url"), text(request, "method"));
        let body = request["body"].as_str().unwrap_or_default();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let service = service_of(request);
        let (live_path, known) = self.live(path).await;
        let scope = self.token.as_ref().map_or("", |(scope, _)| scope.as_str());
        let scope = scope.rsplit('/').next().unwrap_or_default();
        let grant = if known { "of a grant" } else { "of no grant" };
        let said = format!("{query} {body} with {scope} {grant}");
        let row = row(text(request, "client"), method, path, &said);
        let outside = path == "/token" || path.starts_with("/api/GetEnterpriseToken");
        let base = if outside {
            subject().outside.clone()
        } else {
            origin(path)
        };
        let query = query.replace("key-ebevis", subject().key(EBEVIS.id));
        let rest = if outside { path } else { within(&live_path) };
        let mark = if query.is_empty() { "" } else { "?" };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut call = Call::new(method, format!("{base}{rest}{mark}{query}"));
        call = self
            .with_headers(call, request, service)
            .await
            .body(body.to_owned());
        let answer = call.send().await;
        holds(ROWS[row].4, &answer);
        self.remember(path, &query, &answer, service);
        row
    }

    async fn with_headers(&self, mut call: Call, request: &Value, service: Service) -> Call {
        let headers = request["headers"].as_object().expect("headers");
        for (name, value) in headers {
            let value = value.as_str().expect("a header is text");
            let live = match name.as_str() {
                "content-length" => continue,
                "ocp-apim-subscription-key" => subject().key(service.id).to_owned(),
                "authorization" if value.starts_with("Basic") => "Basic azY6azY=".to_owned(),
                "authorization" => match &self.token {
                    Some((_, token)) => format!("Bearer {token}"),
                    None => format!("Bearer {}", Consumer::of(service).await.token()),
                },
                _ => value.to_owned(),
            };
            call = call.header(name, &live);
        }
        call
    }

    /// The path with ids of grants that live, and whether all of them do.
    async fn live(&mut self, path: &str) -> (String, bool) {
        let mut known = true;
        let mut segments = Vec::new();
        for segment in path.split('/') {
            if is_id(segment) && !self.grants.contains_key(segment) {
                match std::mem::take(&mut self.fresh) {
                    Fresh::Nothing => known = false,
                    Fresh::Grant(id) => drop(self.grants.insert(segment.to_owned(), id)),
                    Fresh::Refused(service) => {
                        let id = stand_in(service).await;
                        self.grants.insert(segment.to_owned(), id);
                    }
                }
            }
            let live = self.grants.get(segment).map_or(segment, String::as_str);
            segments.push(live.to_owned());
        }
        (segments.join("/"), known)
    }

    fn remember(&mut self, path: &str, query: &str, answer: &Answer, service: Service) {
        if path.ends_with("/GetEnterpriseToken") {
            let scope = query.split('&').find_map(|one| one.strip_prefix("scopes="));
            let token = String::from_utf8(answer.body.to_vec()).unwrap();
            self.token = Some((scope.unwrap_or_default().to_owned(), token));
        }
        if path.ends_with("/authorization") {
            self.fresh = if answer.status.is_success() {
                Fresh::Grant(text(&answer.json(), "id").to_owned())
            } else {
                Fresh::Refused(service)
            };
        }
    }
}

fn is_id(segment: &str) -> bool {
    segment.len() == 36 && segment.bytes().filter(|byte| *byte == b'-').count() == 4
}

/// A grant of the service on what it has for everybody; gives its id.
async fn stand_in(service: Service) -> String {
    let dataset = if service == DROSJELOYVE {
        "KonkursDrosje"
    } else {
        "UnitBasicInformation"
    };
    let grant = Consumer::of(service)
        .await
        .apply(&application(dataset))
        .await;
    text(&grant.ok().json(), "id").to_owned()
}

fn service_of(request: &Value) -> Service {
    let key = request["headers"]["ocp-apim-subscription-key"].as_str();
    match (key.unwrap_or_default(), text(request, "client")) {
        ("key-tilda", _) => TILDA,
        ("key-dihe", _) => DIHE,
        ("key", FINT) => DROSJELOYVE,
        _ => EBEVIS,
    }
}

/// The two prefixes are one and the same API; a node that is named has one base address only.
fn origin(path: &str) -> String {
    let api = &subject().api;
    if !subject().is_own() {
        return api.clone();
    }
    let version = path.split('/').nth(1).unwrap_or_default();
    let host = api
        .strip_suffix("/v1")
        .expect("a sandbox is found under /v1");
    format!("{host}/{version}")
}

/// What comes after the version.
fn within(path: &str) -> &str {
    let (_, rest) = path[1..].split_once('/').expect("a path below the version");
    &path[path.len() - rest.len() - 1..]
}

fn row(client: &str, method: &str, path: &str, said: &str) -> usize {
    let found = ROWS.iter().position(|row| {
        row.0 == client && row.1 == method && fits(row.2, path) && has_all(said, row.3)
    });
    found.unwrap_or_else(|| panic!("no row for {client} {method} {path} {said}"))
}

/// Whether the parts of `wanted` around ` and ` are all there; ` with ` names the token's scope.
fn has_all(said: &str, wanted: &str) -> bool {
    wanted
        .split(" and ")
        .all(|part| match part.split_once(" with ") {
            Some((first, scope)) => said.contains(first) && said.contains(&format!("with {scope}")),
            None => said.contains(part),
        })
}

#[track_caller]
fn holds(expected: Expected, answer: &Answer) {
    let status = answer.status.as_u16();
    let shown = format!("expected {expected:?}: {}", answer.excerpt());
    assert_ne!(status, 500, "{shown}");
    if !answer.status.is_success() && !matches!(expected, NoToken) {
        answer.readable_refusal();
    }
    match expected {
        Done => assert!(status == 200 && is_json(answer), "{shown}"),
        Text => assert!(
            status == 200 && answer.media_type() == "text/plain",
            "{shown}"
        ),
        Gone => assert!(status == 204 && answer.body.is_empty(), "{shown}"),
        NotBuilt => assert_eq!(status, 404, "{shown}"),
        NoToken => {
            assert_eq!(status, 400, "{shown}");
            text(&answer.json(), "error");
        }
        Refused(..) if answer.status.is_success() => panic!("{shown}"),
        Refused(status, code) => answer.refused(status, code),
    }
}

fn is_json(answer: &Answer) -> bool {
    let body: Result<Value, _> = serde_json::from_slice(&answer.body);
    answer.media_type() == "application/json" && body.is_ok()
}

#[test]
fn patterns_take_one_segment_each() {
    assert!(fits("/v1/evidence/*", "/v1/evidence/1"));
    assert!(fits("/v1/accreditations/", "/v1/accreditations/"));
    for path in ["/v1/evidence/", "/v1/evidence/1/2", "/v1/evidence"] {
        assert!(!fits("/v1/evidence/*", path), "{path}");
    }
}
