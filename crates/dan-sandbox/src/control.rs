//! Faults that are asked for, and the count of calls: the interface under `/control` (contracts.md §2).
//!
//! A fault is met by the calls that arrive while it stands; a call already delayed keeps its delay.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Clock;
use crate::fault::{Dropped, Fault};
use crate::reply::{self, Call, Reply};

/// Calls listed for one name; the oldest fall out, the count goes on.
pub(crate) const MAX_CALLS: usize = 10_000;
/// Bytes kept of one recorded address.
const MAX_RECORDED_PATH: usize = 1024;

/// The services that can be made to fail and whose calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Issuer,
    Register,
    Altinn,
    Testdata,
    Skatt,
    SkattPerson,
    Freg,
    Plugin,
}

impl Service {
    /// Every name of the control interface. The register goes by two: as authority and as source.
    const NAMES: [(&'static str, Self); 9] = [
        ("issuer", Self::Issuer),
        ("register", Self::Register),
        ("er", Self::Register),
        ("altinn", Self::Altinn),
        ("testdata", Self::Testdata),
        ("skatt", Self::Skatt),
        ("skatt_person", Self::SkattPerson),
        ("freg", Self::Freg),
        ("sandbox-plugin", Self::Plugin),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, service)| *service)
    }

    /// The service an address belongs to; the token generator and the control interface belong to none.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/.well-known/oauth-authorization-server" | "/jwk" | "/token" => {
                return Some(Self::Issuer);
            }
            _ => {}
        }
        match path.strip_prefix('/')?.split_once('/')?.0 {
            "enhetsregisteret" => Some(Self::Register),
            "altinn" => Some(Self::Altinn),
            "testdata" => Some(Self::Testdata),
            "skatt" => Some(Self::Skatt),
            "skatt_person" => Some(Self::SkattPerson),
            "freg" => Some(Self::Freg),
            "plugin" => Some(Self::Plugin),
            _ => None,
        }
    }
}

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

/// Faults and counts of every service.
pub(crate) struct Control {
    clock: Clock,
    issuer: Mutex<State>,
    register: Mutex<State>,
    altinn: Mutex<State>,
    testdata: Mutex<State>,
    skatt: Mutex<State>,
    skatt_person: Mutex<State>,
    freg: Mutex<State>,
    plugin: Mutex<State>,
}

impl Control {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            issuer: Mutex::default(),
            register: Mutex::default(),
            altinn: Mutex::default(),
            testdata: Mutex::default(),
            skatt: Mutex::default(),
            skatt_person: Mutex::default(),
            freg: Mutex::default(),
            plugin: Mutex::default(),
        }
    }

    fn state(&self, service: Service) -> MutexGuard<'_, State> {
        match service {
            Service::Issuer => &self.issuer,
            Service::Register => &self.register,
            Service::Altinn => &self.altinn,
            Service::Testdata => &self.testdata,
            Service::Skatt => &self.skatt,
            Service::SkattPerson => &self.skatt_person,
            Service::Freg => &self.freg,
            Service::Plugin => &self.plugin,
        }
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and gives what it will meet. The call is in flight until the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>, service: Service, head: &Parts) -> Ticket {
        let address = head
            .uri
            .path_and_query()
            .map_or(head.uri.path(), http::uri::PathAndQuery::as_str);
        let recorded = Recorded {
            method: head.method.clone(),
            path: bounded(address).into(),
            at: (self.clock)(),
        };
        let mut state = self.state(service);
        state.count = state.count.saturating_add(1);
        state.in_flight = state.in_flight.saturating_add(1);
        state.in_flight_max = state.in_flight_max.max(state.in_flight);
        if state.calls.len() >= MAX_CALLS {
            state.calls.pop_front();
        }
        state.calls.push_back(recorded);
        Ticket {
            fault: state.take_fault(),
            control: Arc::clone(self),
            service,
        }
    }

    /// Forgets the calls of every service; faults stay.
    pub(crate) fn reset_calls(&self) {
        for (_, service) in Service::NAMES {
            self.state(service).reset();
        }
    }

    /// Answers what lies under `/control/`.
    pub(crate) fn answer(&self, call: &Call) -> Reply {
        let path = call.path().strip_prefix("/control/").unwrap_or_default();
        let Some((kind @ ("faults" | "calls"), name)) = path.split_once('/') else {
            return reply::no_such_route();
        };
        let Some(service) = Service::named(name) else {
            let known = Service::NAMES.map(|(name, _)| name);
            return reply::json(
                StatusCode::NOT_FOUND,
                &json!({ "error": "unknown name", "known": known }),
            );
        };
        match (kind, call.method()) {
            ("faults", &Method::PUT) => match Fault::ordered(call.body()) {
                Ok(fault) => {
                    self.state(service).fault = Some(fault);
                    reply::empty(StatusCode::NO_CONTENT)
                }
                Err(error) => reply::refused(StatusCode::BAD_REQUEST, &error),
            },
            ("faults", &Method::DELETE) => {
                self.state(service).fault = None;
                reply::empty(StatusCode::NO_CONTENT)
            }
            ("calls", &Method::GET) => reply::ok(&self.calls(service)),
            ("calls", &Method::DELETE) => {
                self.state(service).reset();
                reply::empty(StatusCode::NO_CONTENT)
            }
            ("faults", _) => reply::method_not_allowed("PUT, DELETE"),
            _ => reply::method_not_allowed("GET, DELETE"),
        }
    }

    fn calls(&self, service: Service) -> Value {
        let state = self.state(service);
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
    control: Arc<Control>,
    service: Service,
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
        let mut state = self.control.state(self.service);
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Arc<Control> {
        Arc::new(Control::new(Arc::new(|| 1_767_225_600_123)))
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
    fn every_service_has_its_addresses_and_the_generator_has_none() {
        for (path, service) in [
            (
                "/.well-known/oauth-authorization-server",
                Some(Service::Issuer),
            ),
            ("/jwk", Some(Service::Issuer)),
            ("/token", Some(Service::Issuer)),
            ("/api/GetEnterpriseToken", None),
            ("/control/faults/issuer", None),
            ("/enhetsregisteret/api/enheter/1", Some(Service::Register)),
            ("/altinn/x", Some(Service::Altinn)),
            ("/testdata/dokumenter/1", Some(Service::Testdata)),
            ("/skatt/v2/ebevis/1", Some(Service::Skatt)),
            ("/plugin/api/evidencecodes", Some(Service::Plugin)),
            ("/skatt", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(Service::of_path(path), service, "{path}");
        }
    }

    #[test]
    fn the_list_of_calls_is_bounded_and_the_count_is_not() {
        let control = control();
        for number in 0..=MAX_CALLS {
            drop(control.enter(Service::Skatt, &head(&format!("/skatt/{number}"))));
        }
        let calls = control.calls(Service::Skatt);
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
        drop(control.enter(Service::Skatt, &head(&address)));
        let calls = control.calls(Service::Skatt);
        let kept = calls["calls"][0]["path"].as_str().unwrap();
        assert_eq!(kept.len(), MAX_RECORDED_PATH);
        assert_eq!(bounded(&"å".repeat(600)).len(), MAX_RECORDED_PATH);
        let uneven = format!("a{}", "å".repeat(600));
        assert_eq!(bounded(&uneven).len(), MAX_RECORDED_PATH - 1);
    }

    #[test]
    fn a_reset_keeps_what_is_in_flight_and_the_faults() {
        let control = control();
        control.state(Service::Skatt).fault = Some(Fault::ordered(br#"{"status":503}"#).unwrap());
        let first = control.enter(Service::Skatt, &head("/skatt/1"));
        drop(control.enter(Service::Skatt, &head("/skatt/2")));
        assert_eq!(control.calls(Service::Skatt)["in_flight_max"], 2);
        control.reset_calls();
        let calls = control.calls(Service::Skatt);
        assert_eq!(
            (calls["count"].as_u64(), calls["in_flight_max"].as_u64()),
            (Some(0), Some(1))
        );
        drop(first);
        assert!(control.state(Service::Skatt).fault.is_some());
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
