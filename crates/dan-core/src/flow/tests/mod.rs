//! The flows over stand-ins: what is granted, what is refused, what is recorded.

mod explain;
mod gate;
mod grant;
mod list;
mod person;
mod release;
mod stream;
mod upkeep;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, Call, Exchange, Presented, Presenter, Wish};
use crate::audit::{Action, Phase};
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::evidence::Evidence;
use crate::inquiry::{Application, OfferedTokens};
use crate::meter::Meter;
use crate::requirement::{ConsentRule, Requirement, Rule, ScopeRule};
use crate::testkit::builders::{self, AGENCY};
use crate::testkit::fakes::{FakeSource, Fakes, call_context};

const SCOPE: &str = "dan:test";

struct Plain;

impl Presenter for Plain {
    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault> {
        let body = match answer.evidence {
            Evidence::Values(values) => {
                let list: Vec<Value> = values
                    .iter()
                    .map(|v| json!({"name": v.name, "value": v.value}))
                    .collect();
                Bytes::from(Value::from(list).to_string())
            }
            Evidence::Binary { bytes, .. } => bytes.clone(),
            Evidence::Stream(_) => panic!("a stream is not shaped"),
        };
        let media_type = Some("application/json".to_owned());
        Ok(Presented {
            body,
            media_type,
            query: None,
        })
    }
}

struct Desk {
    fakes: Fakes,
    exchange: Exchange,
    caller: Caller,
}

impl Desk {
    fn with(rules: Vec<Rule>, datasets: Vec<Dataset>) -> Self {
        let fakes = Fakes::new(|source| catalog(rules, source, datasets));
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        Self {
            fakes,
            exchange,
            caller: builders::caller(AGENCY, &[SCOPE]),
        }
    }

    async fn grant(&self, application: Application) -> Result<String, Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let granted = self
            .exchange
            .grant(call, application, OfferedTokens::default(), None)
            .await?;
        Ok(granted.accreditation.id.to_string())
    }

    async fn harvest_as(&self, caller: &Caller, id: &str, dataset: &str) -> Result<String, Fault> {
        let ctx = call_context();
        let tokens = OfferedTokens::default();
        let wish = Wish {
            tokens: &tokens,
            presenter: &Plain,
        };
        let envelope = self
            .exchange
            .harvest(Call { caller, ctx: &ctx }, id, dataset, wish)
            .await?;
        let envelope = envelope.whole().unwrap();
        Ok(String::from_utf8(envelope.body.to_vec()).unwrap())
    }

    async fn harvest(&self, id: &str, dataset: &str) -> Result<String, Fault> {
        self.harvest_as(&self.caller, id, dataset).await
    }

    async fn direct(&self, application: Application) -> Result<String, Fault> {
        let ctx = call_context();
        let tokens = OfferedTokens::default();
        let wish = Wish {
            tokens: &tokens,
            presenter: &Plain,
        };
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let envelope = self
            .exchange
            .direct_harvest(call, application, wish)
            .await?;
        let envelope = envelope.whole().unwrap();
        Ok(envelope.signature)
    }

    /// Every record, once everything that waits has been written.
    async fn records(&self) -> Vec<(Action, Phase)> {
        tokio::join!(self.exchange.keep_records(), self.exchange.close());
        self.fakes
            .store
            .records()
            .into_iter()
            .map(|record| (record.action, record.phase))
            .collect()
    }
}

fn catalog(rules: Vec<Rule>, source: Arc<FakeSource>, datasets: Vec<Dataset>) -> Catalog {
    builders::catalog(builders::context(rules), source, datasets)
}

fn code<T>(result: Result<T, Fault>) -> Option<Code> {
    result.err().map(|fault| fault.code)
}

fn scope_rule(scope: &str) -> Rule {
    builders::rule(
        "Test/scope",
        Requirement::Scope(ScopeRule {
            required: vec![scope.to_owned()],
        }),
    )
}

fn with_rule(name: &str, rule: Rule) -> Dataset {
    Dataset {
        rules: vec![rule],
        ..builders::dataset(name)
    }
}

/// An application with one thing changed.
fn with(change: impl FnOnce(&mut Application)) -> Application {
    let mut application = builders::application(&["A"]);
    change(&mut application);
    application
}

fn consent_rule() -> Rule {
    builders::rule("C/consent", Requirement::Consent(ConsentRule::default()))
}

fn with_consent() -> Application {
    let mut application = builders::application(&["C"]);
    application.datasets[0].request_consent = true;
    application.consent_reference = Some("2026-1".to_owned());
    application
}
