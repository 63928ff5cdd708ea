//! `accreditations`: list and delete (`wire-api.md` §4.2, §4.3).

use dan_core::error::{Code, Fault};
use dan_core::flow::ListQuery;
use dan_core::time::Timestamp;
use http::StatusCode;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::accreditation::WireAccreditation;

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
    };
    let (rows, catalog) = visit.exchange().list(visit.call()?, query).await?;
    let shown: Vec<WireAccreditation<'_>> = rows
        .iter()
        .map(|row| WireAccreditation::of(&row.accreditation, &catalog, row.aggregate))
        .collect();
    render::json(&shown, jmespath.as_ref())
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
}
