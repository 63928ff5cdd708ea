//! The attack list on credentials (`security.md` §3) against a real node, as tables: what is presented, what the
//! answer must be, and what the log must and must not say.
//!
//! Each row is one request from an address of its own, which the node learns from a trusted proxy, so that wrong keys
//! of one row are not held against another. A row that is not let in makes exactly one event `caller.refused` with its
//! request's identifier, and neither the log nor the body repeats what was presented.

mod certificates;
mod claims;
mod forge;
mod keys;
mod pki;
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

/// A row that was answered.
struct Asked {
    row: Row,
    /// From where it came.
    address: String,
    answer: Answer,
}

impl Asked {
    /// The request's identifier.
    fn id(&self) -> &str {
        self.answer.header("x-invocationid").expect("an identifier")
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
            asked.push(Asked {
                row,
                address,
                answer,
            });
        }
        self.judge(asked).await;
    }

    /// Holds answers and log to what was asked, and tells everything that is wrong at once.
    async fn judge(&self, asked: Vec<Asked>) {
        let log = self.log_up_to(asked.last().expect("a row").id()).await;
        let events = events_by_request(&log);
        let nothing = Vec::new();
        let mut wrong = Vec::new();
        for one in &asked {
            let events = events.get(one.id()).unwrap_or(&nothing);
            let held = check_answer(one).and_then(|()| check_events(one, events));
            wrong.extend(held.err());
            if one.row.secrets.iter().any(|secret| log.contains(secret)) {
                wrong.push(format!("{}: what was sent stands in the log", one.row.what));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// The log, once it has the line of a request.
    async fn log_up_to(&self, id: &str) -> String {
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

/// Whether status, code and silence of an answer are as they must be.
fn check_answer(asked: &Asked) -> Result<(), String> {
    let Asked { row, answer, .. } = asked;
    let shown = format!("{}: {}", row.what, answer.excerpt());
    let status = answer.status.as_u16();
    let held = match row.outcome {
        Outcome::Taken => status == 200,
        Outcome::Refused(due, code, _) | Outcome::Unread(due, code) => {
            status == due && answer.readable_refusal()["code"] == code
        }
    };
    let body = String::from_utf8_lossy(&answer.body);
    if !held {
        return Err(format!("{shown}, not {:?}", row.outcome));
    }
    if row.secrets.iter().any(|secret| body.contains(secret)) {
        return Err(format!("{shown}: it repeats what was sent"));
    }
    Ok(())
}

/// Whether there is one event about those who were not let in, and none about others.
fn check_events(asked: &Asked, events: &[Value]) -> Result<(), String> {
    let Asked { row, address, .. } = asked;
    let what = &row.what;
    let (Outcome::Refused(_, code, words), [event]) = (row.outcome, events) else {
        let none_due = !matches!(row.outcome, Outcome::Refused(..));
        return if none_due && events.is_empty() {
            Ok(())
        } else {
            Err(format!("{what}: {} events", events.len()))
        };
    };
    if event["client.address"] != **address || event["fault.code"] != code {
        return Err(format!("{what}: not from {address} with {code}: {event}"));
    }
    let reason = text(event, "reason");
    let due = row.traces.iter().chain([&words]);
    let missing: Vec<_> = due.filter(|words| !reason.contains(**words)).collect();
    if reason.is_empty() || !missing.is_empty() {
        return Err(format!(
            "{what}: the reason {reason:?} is without {missing:?}"
        ));
    }
    Ok(())
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
