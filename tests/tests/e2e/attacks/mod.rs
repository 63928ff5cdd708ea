//! The attack list on credentials (`security.md` §3) against a real node, as tables: what is presented, what the
//! answer must be, and what the log must and must not say.
//!
//! Each row is one request from an address of its own, which the node learns from a trusted proxy, so that wrong keys
//! of one row are not held against another. A row that is not let in makes exactly one event `caller.refused` with its
//! request's identifier, and neither the log nor the body repeats what was presented.

mod forge;
mod keys;
mod tokens;

use std::collections::BTreeMap;

use dan_tests::client::{Answer, send_verbatim};
use dan_tests::consumer::{EBEVIS, OWNER};
use dan_tests::node::{Node, until};
use dan_tests::shapes::text;
use serde_json::Value;

use crate::place::Place;

/// Where callers are asked for their proofs, and for nothing else.
const PATH: &str = "/v1/accreditations";
/// Shorter texts are no secrets, and stand in a log by chance.
const SECRET_CHARS_MIN: usize = 16;

/// What is to come of a row.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Let in: taken by design.
    Taken,
    /// Not let in: status, code, and words of the reason in the event.
    Refused(u16, u64, &'static str),
    /// Refused before anybody looks who calls: status and code, no event.
    Unread(u16, u64),
}

/// Refused with 401 and 1024, for this reason.
const fn invalid(reason: &'static str) -> Outcome {
    Outcome::Refused(401, 1024, reason)
}

/// One request.
struct Row {
    what: String,
    outcome: Outcome,
    query: String,
    headers: Vec<(&'static str, String)>,
    /// Words besides those of the outcome that the reason must hold.
    traces: Vec<&'static str>,
    /// From where; an address that nobody else has, if nothing is said.
    address: Option<&'static str>,
    secrets: Vec<String>,
}

impl Row {
    fn new(what: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            what: what.into(),
            outcome,
            query: String::new(),
            headers: Vec::new(),
            traces: Vec::new(),
            address: None,
            secrets: Vec::new(),
        }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn query(mut self, query: impl Into<String>) -> Self {
        self.query = query.into();
        self
    }

    fn from(mut self, address: &'static str) -> Self {
        self.address = Some(address);
        self
    }

    fn traced(mut self, words: &[&'static str]) -> Self {
        self.traces.extend(words);
        self
    }

    /// An API key in its header.
    fn key(self, key: &str) -> Self {
        let header = "Ocp-Apim-Subscription-Key";
        self.secret(key).header(header, key)
    }

    /// A token in its header, as secret as its parts.
    fn bearer(self, token: &str) -> Self {
        let header = format!("Bearer {token}");
        self.secret_token(token).header("Authorization", header)
    }

    fn secret(mut self, text: &str) -> Self {
        if text.len() >= SECRET_CHARS_MIN {
            self.secrets.push(text.to_owned());
        }
        self
    }

    fn secret_token(mut self, token: &str) -> Self {
        self = self.secret(token);
        for part in token.split('.') {
            self = self.secret(part);
        }
        self
    }

    /// The bytes of the request.
    fn head(&self, address: &str) -> String {
        let mut head = format!(
            "GET {PATH}{} HTTP/1.1\r\nHost: dan.example.no\r\nConnection: close\r\nX-Forwarded-For: {address}\r\n",
            self.query
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

/// A node behind a proxy that is this test, and a key for it.
struct Bench {
    place: Place,
    node: Node,
    /// Of [`OWNER`].
    key: String,
}

impl Bench {
    /// Starts the node of a place, which is told that we are its proxy.
    async fn of(mut place: Place) -> Self {
        place.set("server", "behind_proxy", vec!["127.0.0.1/32"]);
        let (_, key) = place.key(EBEVIS, OWNER).await;
        let node = place.node().await;
        Self { place, node, key }
    }

    /// Sends every row, and holds answers and log to them.
    async fn hold(&self, rows: Vec<Row>) {
        let mut asked = Vec::new();
        for (number, row) in rows.into_iter().enumerate() {
            let own = format!("10.{}.{}.1", number / 250, number % 250);
            let address = row.address.map_or(own, str::to_owned);
            let answer = send_verbatim(&self.node.root, &row.head(&address)).await;
            let id = check_answer(&row, &answer);
            asked.push((row, address, id));
        }
        let log = self
            .log_up_to(asked.last().map(|(.., id)| id.as_str()))
            .await;
        let events = events_by_request(&log);
        let nothing = Vec::new();
        for (row, address, id) in &asked {
            let events = events.get(id.as_str()).unwrap_or(&nothing);
            check_events(row, address, events);
            for secret in &row.secrets {
                assert!(!log.contains(secret), "{}: it stands in the log", row.what);
            }
        }
    }

    /// The log, once it has the line of a request.
    async fn log_up_to(&self, id: Option<&str>) -> String {
        let id = id.expect("a row").to_owned();
        until("the log has the last request", async || {
            let log = self.node.log();
            let mut lines = lines(&log);
            let found = lines.any(|line| line["message"] == "request" && line["request.id"] == *id);
            drop(lines);
            found.then_some(log)
        })
        .await
    }
}

/// Holds status, code and silence of an answer; gives the request's identifier.
fn check_answer(row: &Row, answer: &Answer) -> String {
    let shown = format!("{}: {}", row.what, answer.excerpt());
    match row.outcome {
        Outcome::Taken => assert_eq!(answer.status, 200, "{shown}"),
        Outcome::Refused(status, code, _) | Outcome::Unread(status, code) => {
            let said = (
                answer.status.as_u16(),
                answer.readable_refusal()["code"].as_u64(),
            );
            assert_eq!(said, (status, Some(code)), "{shown}");
        }
    }
    let body = String::from_utf8_lossy(&answer.body);
    for secret in &row.secrets {
        assert!(!body.contains(secret), "{shown}: it repeats what was sent");
    }
    let id = answer.header("x-invocationid").expect("an identifier");
    id.to_owned()
}

/// Holds that there is one event about those who were not let in, and none about others.
fn check_events(row: &Row, address: &str, events: &[Value]) {
    let Row {
        what,
        outcome,
        traces,
        ..
    } = row;
    let Outcome::Refused(_, code, words) = *outcome else {
        assert!(events.is_empty(), "{what}: {events:?}");
        return;
    };
    let [event] = events else {
        panic!("{what}: one event is due, not {events:?}");
    };
    assert_eq!(event["client.address"], address, "{what}: {event}");
    assert_eq!(event["fault.code"], code, "{what}: {event}");
    let reason = text(event, "reason");
    assert!(
        !reason.is_empty() && reason.contains(words),
        "{what}: {reason:?}, not {words:?}"
    );
    for trace in traces {
        assert!(
            reason.contains(trace),
            "{what}: {reason:?} without {trace:?}"
        );
    }
}

fn lines(log: &str) -> impl Iterator<Item = Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

fn events_by_request(log: &str) -> BTreeMap<String, Vec<Value>> {
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines(log).filter(|line| line["event"] == "caller.refused") {
        let id = text(&line, "request.id").to_owned();
        events.entry(id).or_default().push(line);
    }
    events
}
