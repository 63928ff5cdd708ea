//! One fault: how it is asked for, and what a call meets.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::reply::{self, Reply};

/// The longest delay a fault may ask for, milliseconds.
const MAX_DELAY_MS: u64 = 600_000;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Dropped {}

/// What the body of `PUT /control/faults/{name}` may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    delay_ms: Option<u64>,
    status: Option<u16>,
    body: Option<Value>,
    times: Option<u64>,
    drop: Option<bool>,
}

/// What a call meets instead of, or before, the real answer.
#[derive(Clone)]
pub(crate) struct Fault {
    delay: Duration,
    answer: Option<(StatusCode, &'static str, Bytes)>,
    drop: bool,
    left: Option<u64>,
}

impl Fault {
    /// Reads the body of `PUT /control/faults/{name}`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(crate) fn ordered(body: &[u8]) -> Result<Self, String> {
        let order: Order = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let delay_ms = order.delay_ms.unwrap_or_default();
        if delay_ms > MAX_DELAY_MS {
            return Err(format!("delay_ms is at most {MAX_DELAY_MS}"));
        }
        if order.times == Some(0) {
            return Err("times is at least 1; DELETE ends a fault".to_owned());
        }
        let status = order
            .status
            .map(|number| match StatusCode::from_u16(number) {
                Ok(status) if (200..600).contains(&number) => Ok(status),
                Ok(_) | Err(_) => Err("status is 200 to 599".to_owned()),
            })
            .transpose()?;
        let (media_type, body) = match order.body {
            Some(Value::String(text)) => (media_type_of(&text), Some(Bytes::from(text))),
            Some(value) => ("application/json", Some(value.to_string().into())),
            None => ("application/json", None),
        };
        let answer = (status.is_some() || body.is_some()).then(|| {
            let status = status.unwrap_or(StatusCode::OK);
            (status, media_type, body.unwrap_or_default())
        });
        Ok(Self {
            delay: Duration::from_millis(delay_ms),
            answer,
            drop: order.drop.unwrap_or_default(),
            left: order.times,
        })
    }

    /// Counts one call that meets it; true when it was the last.
    pub(crate) fn use_up(&mut self) -> bool {
        match self.left.as_mut() {
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            None => false,
        }
    }

    /// Waits as long as it says and gives its answer; `None` when the service is to answer itself.
    ///
    /// # Errors
    /// [`Dropped`] when the connection is to be closed instead.
    pub(crate) async fn happen(&self) -> Result<Option<Reply>, Dropped> {
        if !self.delay.is_zero() && timeout(self.delay, pending::<()>()).await.is_ok() {
            return Ok(None);
        }
        if self.drop {
            return Err(Dropped);
        }
        Ok(self
            .answer
            .as_ref()
            .map(|(status, media_type, body)| reply::bytes(*status, media_type, body.clone())))
    }
}

fn media_type_of(text: &str) -> &'static str {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_cannot_be_understood_is_refused() {
        for body in [
            "",
            "[]",
            r#"{"delay":1}"#,
            r#"{"delay_ms":-1}"#,
            r#"{"delay_ms":600001}"#,
            r#"{"delay_ms":1.5}"#,
            r#"{"status":100}"#,
            r#"{"status":600}"#,
            r#"{"status":"500"}"#,
            r#"{"times":0}"#,
            r#"{"drop":"yes"}"#,
        ] {
            assert!(Fault::ordered(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Fault::ordered(br#"{"status":null,"drop":false}"#).is_ok());
    }

    #[test]
    fn the_body_of_a_fault_is_json_where_it_can_be() {
        let media_type = |order: &str| Fault::ordered(order.as_bytes()).unwrap().answer.unwrap();
        let (status, kind, body) = media_type(r#"{"body":{"a":1}}"#);
        assert_eq!(
            (status, kind, &*body),
            (StatusCode::OK, "application/json", &b"{\"a\":1}"[..])
        );
        assert_eq!(media_type(r#"{"body":"{}"}"#).1, "application/json");
        let (_, kind, body) = media_type(r#"{"body":"<html>","status":502}"#);
        assert_eq!(
            (kind, &*body),
            ("text/plain; charset=utf-8", &b"<html>"[..])
        );
        assert!(media_type(r#"{"status":503}"#).2.is_empty());
    }
}
