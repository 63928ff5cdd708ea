//! What two contexts offer, and the source behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dan_core::caller::{Caller, KeyProof, Proof, TokenProof};
use dan_core::catalog::{Catalog, Supply};
use dan_core::context::ServiceContext;
use dan_core::dataset::{Alias, Dataset, ParameterSpec, ValueType};
use dan_core::evidence::{Evidence, EvidenceValue, Harvest, SourceCall};
use dan_core::ports::{CallContext, HarvestOrder, PortFuture, Source, SourceError, SourceFailure};
use dan_core::requirement::{Requirement, ScopeRule};
use dan_core::secret::Secret;
use dan_core::testkit::builders::{self, AGENCY, OTHER_AGENCY};
use dan_core::testkit::fakes::START;
use serde_json::{Value, json};

/// Owner, context and canary of everybody: none is part of another.
pub(super) const CONSUMERS: [(&str, &str, &str); 4] = [
    (AGENCY, "One", "kanari-rod"),
    (AGENCY, "Two", "kanari-gul"),
    (OTHER_AGENCY, "One", "kanari-bla"),
    (OTHER_AGENCY, "Two", "kanari-hvit"),
];

pub(super) fn canary_of(owner: &str, context: &str) -> &'static str {
    CONSUMERS
        .iter()
        .find(|(of, within, _)| *of == owner && *within == context)
        .map(|(_, _, canary)| *canary)
        .unwrap()
}

pub(super) fn all_canaries() -> String {
    CONSUMERS.map(|(_, _, canary)| canary).join(" ")
}

/// Answers with what the asking consumer sent and its canary; and, as a source that knows no
/// measure, with everybody's canary where nobody asked for it.
#[derive(Default)]
pub(super) struct Parrot {
    pub(super) failing: AtomicBool,
}

impl Source for Parrot {
    fn id(&self) -> &str {
        "parrot"
    }

    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>> {
        let owner = order.owner().unwrap();
        let canary = canary_of(owner.as_str(), order.context().unwrap());
        let sent: Vec<Value> = order
            .parameters()
            .iter()
            .map(|parameter| parameter.value.clone())
            .collect();
        let value = |name: &str, value: Value| EvidenceValue {
            name: name.to_owned(),
            value_type: ValueType::JsonSchema,
            source: "Testregisteret".to_owned(),
            timestamp: None,
            mime_type: None,
            value,
        };
        let answer = if self.failing.load(Ordering::SeqCst) {
            Err(SourceError {
                failure: SourceFailure::Refused,
                source: "PARROT".to_owned(),
                detail: 1,
                text: Some(canary.to_owned()),
                cause: all_canaries(),
            })
        } else {
            Ok(Harvest {
                evidence: Evidence::Values(vec![
                    value("navn", json!({"canary": canary, "sent": sent})),
                    value("udeklarert", Value::from(all_canaries())),
                ]),
                calls: vec![SourceCall {
                    id: "c".to_owned(),
                    retrieved_at: START,
                    digest: [9; 32],
                }],
            })
        };
        Box::pin(async move { answer })
    }
}
pub(super) fn caller(owner: &str, context: &str) -> Caller {
    let key = Proof::Key(KeyProof::new(
        format!("key-{owner}"),
        format!("{context}-product"),
        None,
    ));
    let token = Proof::Token(TokenProof::new(
        builders::org(owner),
        vec!["dan:test".to_owned()],
        Arc::new(Secret::new(canary_of(owner, context).to_owned())),
    ));
    Caller::join(vec![key, token]).unwrap()
}

/// Datasets of one context, of both, and of both under two names.
pub(super) fn catalog(source: Arc<Parrot>) -> Catalog {
    let context = |name: &str| {
        let scope = Requirement::Scope(ScopeRule {
            required: vec!["dan:test".to_owned()],
        });
        ServiceContext {
            id: format!("{name}-product"),
            name: name.to_owned(),
            ..builders::context(vec![builders::rule(&format!("{name}/scope"), scope)])
        }
    };
    let dataset = |name: &str, contexts: &[&str]| Dataset {
        contexts: contexts.iter().map(|name| (*name).to_owned()).collect(),
        parameters: vec![ParameterSpec {
            name: "text".to_owned(),
            parameter_type: Some(ValueType::String),
            required: false,
        }],
        ..builders::dataset(name)
    };
    let alias = |context: &str, name: &str| Alias {
        context: context.to_owned(),
        name: name.to_owned(),
    };
    let two_names = Dataset {
        aliases: vec![alias("One", "First"), alias("Two", "Second")],
        ..dataset("TwoNames", &["One", "Two"])
    };
    let datasets = vec![
        dataset("Both", &["One", "Two"]),
        dataset("OnlyOne", &["One"]),
        dataset("OnlyTwo", &["Two"]),
        two_names,
    ];
    let contexts = vec![context("One"), context("Two")];
    let supply = Supply { source, datasets };
    let (catalog, problems) = Catalog::build(contexts, vec![supply], "1".to_owned());
    assert!(problems.is_empty());
    catalog
}

pub(super) fn names_in(context: &str) -> [&'static str; 3] {
    if context == "One" {
        ["Both", "OnlyOne", "First"]
    } else {
        ["Both", "OnlyTwo", "Second"]
    }
}
