//! What consumers send, and everything they get to see.

use std::sync::Arc;

use crate::chance::Chance;
use bytes::Bytes;
use dan_core::accreditation::Accreditation;
use dan_core::audit::Phase;
use dan_core::dataset::Dataset;
use dan_core::error::{Code, Fault};
use dan_core::evidence::Evidence;
use dan_core::flow::{Answer, Form, Presented, Presenter};
use dan_core::inquiry::{Application, DatasetRequest, Parameter};
use dan_core::testkit::builders::{AGENCY, COMPANY, PERSON};
use dan_core::testkit::fakes::FakeStore;
use dan_core::time::Timestamp;
use serde_json::{Value, json};

use super::offered::names_in;

pub(super) fn any_form(chance: &mut Chance) -> Form {
    chance.pick(&[Form::Plain, Form::Plain, Form::Jose, Form::Cose])
}

pub(super) fn application(
    chance: &mut Chance,
    context: &str,
    mark: &str,
    now: Timestamp,
) -> Application {
    let mut names = names_in(context).to_vec();
    names.remove(chance.below(3));
    if chance.percent(50) {
        names.remove(chance.below(2));
    }
    let request = |name: &str| DatasetRequest {
        name: name.to_owned(),
        parameters: vec![Parameter {
            name: "text".to_owned(),
            value: Value::from(mark),
        }],
        ..DatasetRequest::default()
    };
    let days = u32::try_from(2 + chance.below(60)).unwrap();
    Application {
        requestor: Some(AGENCY.to_owned()),
        subject: Some(chance.pick(&[COMPANY, PERSON]).to_owned()),
        datasets: names.into_iter().map(request).collect(),
        consent_reference: Some(mark.to_owned()),
        external_reference: Some(mark.to_owned()),
        consent_receipt_redirect_url: Some(format!("https://{mark}")),
        valid_to: chance.percent(70).then(|| now.plus_days(days)),
        ..Application::default()
    }
}

/// Shapes an answer, and looks whether it may: its intent is in the store already.
pub(super) struct Watchful {
    pub(super) store: Arc<FakeStore>,
    pub(super) request_id: Arc<str>,
    pub(super) form: Form,
}

impl Presenter for Watchful {
    fn form(&self, _dataset: &Dataset) -> Result<Form, Fault> {
        Ok(self.form)
    }

    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault> {
        let records = self.store.records();
        assert!(
            records
                .iter()
                .any(|record| record.phase == Phase::Intent
                    && *record.request_id == *self.request_id),
            "an answer is shaped before its intent is durable"
        );
        let Evidence::Values(values) = answer.evidence else {
            return Err(Fault::new(Code::InternalServerError));
        };
        let values: Vec<Value> = values
            .iter()
            .map(|value| json!({"name": value.name, "value": value.value}))
            .collect();
        Ok(Presented {
            body: Bytes::from(Value::from(values).to_string()),
            media_type: Some("application/json".to_owned()),
            query: None,
        })
    }
}

/// Everything of a fault that reaches the peer; its cause does not.
pub(super) fn shown(fault: &Fault) -> String {
    format!(
        "{} {} {} {:?} {:?}",
        fault.code.number(),
        fault.status,
        fault.description(),
        fault.detail,
        fault.rules
    )
}

/// Everything that stands in a grant.
pub(super) fn everything(grant: &Accreditation) -> String {
    let parameters = grant.datasets.iter().flat_map(|one| &one.parameters);
    let sent: Vec<String> = parameters
        .map(|parameter| format!("{}={}", parameter.name, parameter.value))
        .collect();
    let subject = grant.subject.as_ref().map(|party| party.expose_canonical());
    format!(
        "{grant:?} {sent:?} {} {subject:?}",
        grant.requestor.expose_canonical()
    )
}
