//! A node on stand-ins, and what its decisions come to.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dan_core::accreditation::Accreditation;
use dan_core::caller::Caller;
use dan_core::error::{Code, Fault};
use dan_core::flow::{Answer, Call, Exchange, Explanation, Presented, Presenter, Wish};
use dan_core::inquiry::{Inquiry, Origin, Reading};
use dan_core::meter::Meter;
use dan_core::ports::{Clock as _, FactTable, Facts as _, Unit};
use dan_core::testkit::builders::{self};
use dan_core::testkit::fakes::{Fakes, call_context};

use super::world::{DELETED, Question, World};

/// What a grant came to: the datasets with those left out, or the code with the rules not met.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Granted {
        datasets: Vec<String>,
        left_out: BTreeSet<(String, String)>,
    },
    Refused {
        code: Code,
        rules: Vec<String>,
    },
}

pub(super) struct Desk {
    pub(super) fakes: Fakes,
    pub(super) exchange: Exchange,
    pub(super) caller: Caller,
}

pub(super) struct Plain;

impl Presenter for Plain {
    fn present(&self, _answer: &Answer<'_>) -> Result<Presented, Fault> {
        Ok(Presented {
            body: Bytes::from_static(b"{}"),
            media_type: Some("application/json".to_owned()),
            query: None,
        })
    }
}

impl Desk {
    pub(super) fn of(world: &World, question: &Question) -> Self {
        let fakes = Fakes::new(|source| world.catalog(source));
        fakes.facts.put(Unit {
            deleted: Some("2020-01-01".to_owned()),
            ..builders::unit(DELETED, "AS")
        });
        for query in &question.held {
            fakes.facts.hold(query.clone());
        }
        fakes.facts.set_down(question.down);
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        Self {
            fakes,
            exchange,
            caller: question.caller(),
        }
    }

    pub(super) async fn grant(&self, question: &Question) -> Result<Accreditation, Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let (application, tokens) = (question.application.clone(), question.tokens.clone());
        let granted = self.exchange.grant(call, application, tokens, None).await?;
        Ok(granted.accreditation)
    }

    pub(super) async fn explain(&self, question: &Question) -> Result<Explanation, Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let (application, tokens) = (question.application.clone(), question.tokens.clone());
        self.exchange.explain(call, application, tokens).await
    }

    /// What of a grant can be harvested at once, by the same caller with the same tokens.
    pub(super) async fn harvest(
        &self,
        question: &Question,
        id: &str,
        dataset: &str,
    ) -> Option<Code> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let wish = Wish {
            tokens: &question.tokens,
            presenter: &Plain,
        };
        let harvested = self.exchange.harvest(call, id, dataset, wish).await;
        harvested.err().map(|fault| fault.code)
    }

    pub(super) async fn direct(&self, question: &Question) -> Result<(), Fault> {
        let ctx = call_context();
        let call = Call {
            caller: &self.caller,
            ctx: &ctx,
        };
        let wish = Wish {
            tokens: &question.tokens,
            presenter: &Plain,
        };
        let application = question.application.clone();
        self.exchange
            .direct_harvest(call, application, wish)
            .await
            .map(|_envelope| ())
    }

    /// The inquiry of a question, where it makes sense, with every fact that its rules ask for.
    pub(super) async fn inquiry(&self, question: &Question) -> Option<(Inquiry, FactTable)> {
        let catalog = self.exchange.catalog();
        let settings = self.exchange.settings();
        let reading = Reading {
            catalog: &catalog,
            now: self.fakes.clock.now(),
            realm: settings.realm,
            validity: settings.validity,
        };
        let (application, tokens) = (question.application.clone(), question.tokens.clone());
        let inquiry = Inquiry::new(application, &self.caller, tokens, Origin::Grant, reading);
        let inquiry = inquiry.ok()?;
        let mut facts = FactTable::new();
        for one in &inquiry.asked {
            for query in one
                .offer
                .rules
                .iter()
                .flat_map(|rule| rule.requirement.needs(&inquiry))
            {
                let fact = self.fakes.facts.find(&query, &call_context()).await.ok()?;
                facts.insert(query, fact);
            }
        }
        Some((inquiry, facts))
    }
}

pub(super) fn outcome(granted: Result<Accreditation, Fault>) -> Outcome {
    match granted {
        Ok(grant) => Outcome::Granted {
            datasets: grant.datasets.into_iter().map(|one| one.name).collect(),
            left_out: grant
                .skipped
                .into_iter()
                .map(|one| (one.name, one.rule_id))
                .collect(),
        },
        Err(fault) => Outcome::Refused {
            code: fault.code,
            rules: fault.rules,
        },
    }
}

/// What an explanation says that a grant would come to.
pub(super) fn explained(question: &Question, explained: Result<Explanation, Fault>) -> Outcome {
    let explanation = match explained {
        Ok(explained) => explained,
        Err(fault) => return outcome(Err(fault)),
    };
    let unmet = |soft| {
        let rows = explanation.rules.iter();
        rows.filter(move |row| row.unmet.is_some() && row.soft == soft)
    };
    let left_out: BTreeSet<(String, String)> = unmet(true)
        .map(|row| (row.dataset.clone(), row.rule.clone()))
        .collect();
    if explanation.is_granted() {
        assert_eq!(unmet(false).count(), 0);
        let asked = question.application.datasets.iter();
        let datasets = asked
            .map(|request| request.name.clone())
            .filter(|name| left_out.iter().all(|(out, _)| out != name));
        return Outcome::Granted {
            datasets: datasets.collect(),
            left_out,
        };
    }
    let hard: BTreeSet<String> = unmet(false).map(|row| row.rule.clone()).collect();
    let soft: BTreeSet<String> = left_out.into_iter().map(|(_, rule)| rule).collect();
    let rules = if hard.is_empty() { soft } else { hard };
    Outcome::Refused {
        code: Code::AuthorizationFailed,
        rules: rules.into_iter().collect(),
    }
}
