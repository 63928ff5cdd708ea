//! Faults that are asked for, and the count of calls: the interface under `/control` (contracts.md §2).
//!
//! A fault is met by the calls that arrive while it stands; a call already delayed keeps its delay.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Clock;
use crate::fault::{Dropped, Fault};
use crate::reply::{self, Call, Reply};
use crate::services::Service;

/// Calls listed for one name; the oldest fall out, the count goes on.
pub(crate) const MAX_CALLS: usize = 10_000;
/// Bytes kept of one recorded address.
const MAX_RECORDED_PATH: usize = 1024;

struct Recorded {
    method: Method,
    path: Box<str>,
    at: i64,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    count: u64,
    in_flight: u64,
    in_flight_max: u64,
    calls: VecDeque<Recorded>,
}

impl State {
    fn reset(&mut self) {
        self.count = 0;
        self.in_flight_max = self.in_flight;
        self.calls = VecDeque::new();
    }

    /// The fault one call meets; gone when it was the last.
    fn take_fault(&mut self) -> Option<Fault> {
        if self.fault.as_mut()?.use_up() {
            self.fault.take()
        } else {
            self.fault.clone()
        }
    }
}

/// Faults and counts of every service, by its name.
pub(crate) struct Control {
    clock: Clock,
    states: BTreeMap<&'static str, Arc<Mutex<State>>>,
}

fn open(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    pub(crate) fn new(clock: Clock) -> Self {
        let states = Service::all().map(|name| (name, Arc::default()));
        Self {
            clock,
            states: states.collect(),
        }
    }

    fn state(&self, name: &str) -> Option<&Arc<Mutex<State>>> {
        self.states.get(Service::canonical(name))
    }

    /// Counts a call and gives what it will meet. The call is in flight until the ticket is dropped.
    ///
    /// `None` for a service there is none of.
    pub(crate) fn enter(&self, service: &str, head: &Parts) -> Option<Ticket> {
        let counted = Arc::clone(self.state(service)?);
        let address = head
            .uri
            .path_and_query()
            .map_or(head.uri.path(), http::uri::PathAndQuery::as_str);
        let recorded = Recorded {
            method: head.method.clone(),
            path: bounded(address).into(),
            at: (self.clock)(),
        };
        let mut state = open(&counted);
        state.count = state.count.saturating_add(1);
        state.in_flight = state.in_flight.saturating_add(1);
        state.in_flight_max = state.in_flight_max.max(state.in_flight);
        if state.calls.len() >= MAX_CALLS {
            state.calls.pop_front();
        }
        state.calls.push_back(recorded);
        let fault = state.take_fault();
        drop(state);
        Some(Ticket {
            fault,
            state: counted,
        })
    }

    /// Forgets the calls of every service; faults stay.
    pub(crate) fn reset_calls(&self) {
        for state in self.states.values() {
            open(state).reset();
        }
    }

    /// Answers what lies under `/control/`.
    pub(crate) fn answer(&self, call: &Call) -> Reply {
        let path = call.path().strip_prefix("/control/").unwrap_or_default();
        let Some((kind @ ("faults" | "calls"), name)) = path.split_once('/') else {
            return reply::no_such_route();
        };
        let Some(state) = self.state(name) else {
            let known: Vec<&str> = Service::names().collect();
            return reply::json(
                StatusCode::NOT_FOUND,
                &json!({ "error": "unknown name", "known": known }),
            );
        };
        match (kind, call.method()) {
            ("faults", &Method::PUT) => match Fault::ordered(call.body()) {
                Ok(fault) => {
                    open(state).fault = Some(fault);
                    reply::empty(StatusCode::NO_CONTENT)
                }
                Err(error) => reply::refused(StatusCode::BAD_REQUEST, &error),
            },
            ("faults", &Method::DELETE) => {
                open(state).fault = None;
                reply::empty(StatusCode::NO_CONTENT)
            }
            ("calls", &Method::GET) => reply::ok(&calls(state)),
            ("calls", &Method::DELETE) => {
                open(state).reset();
                reply::empty(StatusCode::NO_CONTENT)
            }
            ("faults", _) => reply::method_not_allowed("PUT, DELETE"),
            _ => reply::method_not_allowed("GET, DELETE"),
        }
    }
}

fn calls(state: &Mutex<State>) -> Value {
    let state = open(state);
    let calls: Vec<Value> = state
        .calls
        .iter()
        .map(|call| {
            json!({
                "method": call.method.as_str(),
                "path": call.path,
                "at": rfc3339(call.at),
            })
        })
        .collect();
    json!({ "count": state.count, "in_flight_max": state.in_flight_max, "calls": calls })
}

/// A time in UTC as RFC 3339 text; the epoch for what lies outside the calendar.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

fn bounded(address: &str) -> &str {
    let mut end = address.len().min(MAX_RECORDED_PATH);
    loop {
        match address.get(..end) {
            Some(kept) => return kept,
            None => end = end.saturating_sub(1),
        }
    }
}

/// One call on its way.
pub(crate) struct Ticket {
    state: Arc<Mutex<State>>,
    fault: Option<Fault>,
}

impl Ticket {
    /// Waits as long as the fault says and gives its answer; `None` when the service is to answer itself.
    ///
    /// # Errors
    /// [`Dropped`] when the connection is to be closed instead.
    pub(crate) async fn fault(&self) -> Result<Option<Reply>, Dropped> {
        match &self.fault {
            Some(fault) => fault.happen().await,
            None => Ok(None),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = open(&self.state);
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control::new(Arc::new(|| 1_767_225_600_123))
    }

    fn counted(control: &Control) -> Value {
        calls(control.state("skatt").unwrap())
    }

    fn head(address: &str) -> Parts {
        http::Request::builder()
            .uri(address)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn the_list_of_calls_is_bounded_and_the_count_is_not() {
        let control = control();
        for number in 0..=MAX_CALLS {
            drop(control.enter("skatt", &head(&format!("/skatt/{number}"))));
        }
        let calls = counted(&control);
        assert_eq!(calls["count"], MAX_CALLS + 1);
        assert_eq!(calls["in_flight_max"], 1);
        let listed = calls["calls"].as_array().unwrap();
        assert_eq!(listed.len(), MAX_CALLS);
        assert_eq!(listed[0]["path"], "/skatt/1");
        assert_eq!(listed[0]["at"], "2026-01-01T00:00:00.123Z");
    }

    #[test]
    fn a_long_address_is_kept_in_part() {
        let address = format!("/skatt/{}", "a".repeat(4000));
        let control = control();
        drop(control.enter("skatt", &head(&address)));
        let calls = counted(&control);
        let kept = calls["calls"][0]["path"].as_str().unwrap();
        assert_eq!(kept.len(), MAX_RECORDED_PATH);
        assert_eq!(bounded(&"å".repeat(600)).len(), MAX_RECORDED_PATH);
        let uneven = format!("a{}", "å".repeat(600));
        assert_eq!(bounded(&uneven).len(), MAX_RECORDED_PATH - 1);
    }

    #[test]
    fn a_reset_keeps_what_is_in_flight_and_the_faults() {
        let control = control();
        open(control.state("skatt").unwrap()).fault =
            Some(Fault::ordered(br#"{"status":503}"#).unwrap());
        let first = control.enter("skatt", &head("/skatt/1"));
        drop(control.enter("skatt", &head("/skatt/2")));
        assert_eq!(counted(&control)["in_flight_max"], 2);
        control.reset_calls();
        let calls = counted(&control);
        assert_eq!(
            (calls["count"].as_u64(), calls["in_flight_max"].as_u64()),
            (Some(0), Some(1))
        );
        drop(first);
        assert!(open(control.state("skatt").unwrap()).fault.is_some());
    }

    #[test]
    fn a_fault_with_times_is_met_as_often_and_no_more() {
        let mut state = State {
            fault: Some(Fault::ordered(br#"{"status":500,"times":2}"#).unwrap()),
            ..State::default()
        };
        assert!(state.take_fault().is_some());
        assert!(state.take_fault().is_some());
        assert!(state.take_fault().is_none());
    }
}
