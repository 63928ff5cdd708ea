//! `accreditations`: list and delete (`wire-api.md` §4.2, §4.3).

use dan_core::accreditation::AccreditationId;
use dan_core::error::{Code, Fault};
use dan_core::flow::ListQuery;
use dan_core::ports::Place;
use dan_core::time::Timestamp;
use http::StatusCode;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::accreditation::WireAccreditation;

/// Without `limit` the whole list, as today; with it one page, and a `Link` to the next.
pub(crate) async fn list(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let jmespath = visit.jmespath()?;
    let query = ListQuery {
        requestor: visit.query.get("requestor").map(str::to_owned),
        changed_after: visit
            .query
            .get("changedafter")
            .map(changed_after)
            .transpose()?
            .flatten(),
        only_available: visit.query.flag("onlyavailable"),
        limit: visit.query.get("limit").map(limit).transpose()?,
        after: visit.query.get("cursor").map(place).transpose()?,
    };
    let list = visit.exchange().list(visit.call()?, query).await?;
    let shown: Vec<WireAccreditation<'_>> = list
        .rows
        .iter()
        .map(|row| WireAccreditation::of(&row.accreditation, &list.catalog, row.aggregate))
        .collect();
    let mut response = render::json(&shown, jmespath.as_ref())?;
    if let Some(next) = &list.next {
        let address = format!("{}/accreditations?{}", base(visit), next_query(visit, next));
        render::set_next(&mut response, &address);
    }
    Ok(response)
}

fn base<'a>(visit: &'a Visit<'_>) -> &'a str {
    visit.exchange().settings().public_url.trim_end_matches('/')
}

/// The same question, one page further.
fn next_query(visit: &Visit<'_>, next: &Place) -> String {
    const KEPT: [&str; 4] = ["requestor", "changedafter", "onlyavailable", "limit"];
    let mut query = String::new();
    for name in KEPT {
        if let Some(value) = visit.query.get(name) {
            query.push_str(&format!("{name}={}&", escape(value)));
        }
    }
    query.push_str(&format!("cursor={}", escape(&cursor(next))));
    query
}

/// Everything but unreserved characters (RFC 3986 §2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn cursor(place: &Place) -> String {
    format!("{}.{}", place.last_changed.as_ms(), place.id)
}

fn place(cursor: &str) -> Result<Place, Fault> {
    let read = || {
        let (ms, id) = cursor.split_once('.')?;
        let last_changed = Timestamp::from_ms(ms.parse().ok()?);
        Some(Place {
            last_changed,
            id: AccreditationId::parse(id)?,
        })
    };
    read().ok_or_else(|| {
        Fault::with(
            Code::InvalidAuthorizationRequest,
            "cursor must be one that a Link header gave",
        )
    })
}

fn limit(text: &str) -> Result<u32, Fault> {
    text.parse().map_err(|_number| {
        Fault::with(
            Code::InvalidAuthorizationRequest,
            "limit must lie between 1 and 1000",
        )
    })
}

/// A `+` that was not escaped arrives as a space; it meant an offset. What is no date is refused
/// instead of dropping the filter (`wire-api.md` §16, 21).
fn changed_after(text: &str) -> Result<Option<Timestamp>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment = Timestamp::parse(text).or_else(|| Timestamp::parse(&text.replace(' ', "+")));
    let wrong = || {
        Fault::with(
            Code::InvalidAuthorizationRequest,
            "changedafter must be a date-time such as 2030-01-31T12:00:00Z",
        )
    };
    moment.map(Some).ok_or_else(wrong)
}

pub(crate) async fn delete(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    visit
        .exchange()
        .withdraw(visit.call()?, visit.segment(0))
        .await?;
    Ok(render::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unescaped_offset_is_understood_and_nonsense_refused() {
        let expected = Timestamp::parse("2024-01-01T00:00:00+01:00");
        assert_eq!(
            changed_after("2024-01-01T00:00:00 01:00").unwrap(),
            expected
        );
        assert_eq!(changed_after("").unwrap(), None);
        assert!(changed_after("yesterday").is_err());
    }

    #[test]
    fn cursors_read_back_and_others_are_refused() {
        let id = AccreditationId::from_random([3; 16]);
        let here = Place {
            last_changed: Timestamp::from_ms(1_700_000_000_123),
            id,
        };
        assert_eq!(place(&cursor(&here)).unwrap(), here);
        for text in [
            "",
            "x",
            "1.",
            "1.x",
            ".5f3a0e0c-6c1e-4d7e-9a3b-2f7f3c1f9b10",
        ] {
            assert!(place(text).is_err(), "{text}");
        }
        assert!(limit("x").is_err());
        assert_eq!(escape("a+b c/å"), "a%2Bb%20c%2F%C3%A5");
    }
}
