//! `directharvest` (`wire-api.md` §4.8): every query parameter that is not reserved is a dataset
//! parameter.

use dan_core::error::Fault;
use dan_core::flow::Wish;
use dan_core::inquiry::{Application, DatasetRequest, Parameter};
use serde_json::Value;

use crate::query_string::QueryString;
use crate::render::Outbound;
use crate::visit::Visit;
use crate::wire::application::read_subject;

/// Names that are never dataset parameters, in any case. The last two carry the API key.
const RESERVED: [&str; 9] = [
    "requestor",
    "subject",
    "code",
    "envelope",
    "query",
    "reuseToken",
    "tokenOnBehalfOfOwner",
    "Ocp-Apim-Subscription-Key",
    "subscription-key",
];

pub(crate) async fn harvest(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let call = visit.call()?;
    let presenter = visit.presenter(true)?;
    let tokens = visit.tokens();
    let requestor = visit.query.get("requestor").map(str::to_owned);
    // Persons are named in the body, so that no number stands in a URL.
    let subject = visit
        .query
        .get("subject")
        .map(str::to_owned)
        .or_else(|| read_subject(&visit.body));
    let application = Application {
        requestor: Some(requestor.unwrap_or_else(|| call.caller.owner().to_string())),
        subject,
        datasets: vec![DatasetRequest {
            name: visit.segment(0).to_owned(),
            parameters: parameters(visit.query),
            ..DatasetRequest::default()
        }],
        ..Application::default()
    };
    let wish = Wish {
        tokens: &tokens,
        presenter: &presenter,
    };
    visit.evidence(
        visit
            .exchange()
            .direct_harvest(call, application, wish)
            .await?,
    )
}

fn parameters(query: &QueryString) -> Vec<Parameter> {
    query
        .iter()
        .filter(|(name, _)| {
            !RESERVED
                .iter()
                .any(|reserved| reserved.eq_ignore_ascii_case(name))
        })
        .map(|(name, value)| Parameter {
            name: name.to_owned(),
            value: Value::from(value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_no_parameters_in_any_case() {
        let text = "Requestor=1&SUBJECT=2&tokenOnBehalfOfOwner=False&reuseToken=False&envelope=0\
            &ocp-apim-subscription-key=k&code=&query=a&NumberOfYears=2";
        let found = parameters(&QueryString::parse(text).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "NumberOfYears");
        assert_eq!(found[0].value, Value::from("2"));
    }
}
