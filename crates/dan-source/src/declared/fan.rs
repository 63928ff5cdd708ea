//! [`Fan`]: `for_each` of a `[[call]]` — the same question for every item of a list, a stated number
//! at a time, with an outcome for each.

use std::sync::Arc;

use dan_core::jmespath::Budget;
use dan_core::ports::{CallContext, SourceError};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::call::{Answer, Call, Job, SourcePorts};
use super::document::Document;
use super::expression::{Expr, is_true};
use super::failure;
use super::gather::stopped;
use super::template::{Template, Unusable};
use super::token::Brought;

/// Most items that one call may be made for.
pub(crate) const ITEMS_MAX: usize = 256;
/// Most items that may be asked about at the same time.
pub(crate) const WIDTH_MAX: u32 = 64;
/// Name under which templates of `answer` and `failed` see how a call went.
pub(crate) const CALL_ROOT: &str = "call";
/// What finding the list may cost.
const LIST_BUDGET: Budget = Budget {
    steps: 200_000,
    output_bytes: 4 * 1024 * 1024,
};

/// What judging one item may cost.
const ITEM_BUDGET: Budget = Budget {
    steps: 10_000,
    output_bytes: 64 * 1024,
};

/// `for_each`, `when`, `width`, `answer` and `failed`.
pub(crate) struct Fan {
    pub(crate) list: Expr,
    /// The call is made for an item for which this is true; one that cannot be judged is left out.
    pub(crate) when: Option<Expr>,
    pub(crate) width: usize,
    /// Members that are added to the answer for an item.
    pub(crate) answer: Vec<(String, Template)>,
    /// What stands for an item whose call failed; without it, the failure is the whole call's.
    pub(crate) failed: Option<Vec<(String, Template)>>,
}

/// How it went for one item.
pub(crate) struct Outcome {
    pub(crate) result: Result<Answer, SourceError>,
    pub(crate) ms: u64,
}

impl Fan {
    /// The items as they are now, those that `when` leaves out apart.
    ///
    /// # Errors
    /// [`failure::misshapen`] when the list is none, or too long.
    pub(crate) fn items(
        &self,
        call: &Call,
        document: &mut Document,
    ) -> Result<Vec<Value>, SourceError> {
        let mut items = self.list(call, document)?;
        if let Some(when) = &self.when {
            items.retain(|item| {
                document.set("item", item.clone());
                let verdict = when.search(document.whole(), ITEM_BUDGET);
                verdict.is_ok_and(|value| is_true(&value))
            });
            document.set("item", Value::Null);
        }
        Ok(items)
    }

    /// Whether its list or its condition mentions this name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let in_when = self.when.as_ref().is_some_and(|when| when.mentions(name));
        in_when || self.list.mentions(name)
    }

    fn list(&self, call: &Call, document: &Document) -> Result<Vec<Value>, SourceError> {
        let wrong = |what: &str| {
            failure::misshapen(
                call.source_name(),
                &format!("call {}: for_each {what}", call.id),
            )
        };
        let found = self.list.search(document.whole(), LIST_BUDGET);
        match found.map_err(|error| wrong(&error.to_string()))? {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) if items.len() <= ITEMS_MAX => Ok(items),
            Value::Array(_) => Err(wrong("has too many items")),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Err(wrong("is no list"))
            }
        }
    }

    /// Asks about every item, `width` at a time. Dropping it stops them all.
    ///
    /// # Errors
    /// The first failure where `failed` does not say what stands for it; the others are stopped.
    pub(crate) async fn ask_all(
        &self,
        call: &Arc<Call>,
        jobs: Vec<Result<Job, SourceError>>,
        brought: &Brought,
        (ports, ctx): (&SourcePorts, &CallContext),
    ) -> Result<Vec<Outcome>, SourceError> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(jobs.len(), || None);
        let mut waiting = jobs.into_iter().enumerate();
        let mut running: JoinSet<(usize, Outcome)> = JoinSet::new();
        loop {
            while running.len() < self.width
                && let Some((at, job)) = waiting.next()
            {
                let call = Arc::clone(call);
                let (brought, ports, ctx) = (brought.clone(), ports.clone(), ctx.clone());
                running.spawn(async move {
                    let begun = Instant::now();
                    let result = match job {
                        Ok(job) => call.ask(job, &brought, &ports, &ctx).await,
                        Err(error) => Err(error),
                    };
                    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                    (at, Outcome { result, ms })
                });
            }
            match running.join_next().await {
                Some(Ok((at, outcome))) => {
                    if let (Err(error), None) = (&outcome.result, &self.failed) {
                        return Err(error.clone());
                    }
                    if let Some(place) = outcomes.get_mut(at) {
                        *place = Some(outcome);
                    }
                }
                Some(Err(error)) => return Err(stopped(&error)),
                None => return Ok(outcomes.into_iter().flatten().collect()),
            }
        }
    }

    /// What stands in the document for one item.
    ///
    /// # Errors
    /// The failure itself where `failed` does not say what stands for it; what cannot be filled in.
    pub(crate) fn merge(
        &self,
        call: &Call,
        item: Value,
        outcome: Outcome,
        document: &mut Document,
    ) -> Result<Merged, SourceError> {
        let (answer, reason) = match outcome.result {
            Ok(answer) => (Some(answer), None),
            Err(error) => {
                if self.failed.is_none() {
                    return Err(error);
                }
                tracing::debug!(cause = %error.cause, "a call for one item failed");
                (None, Some(error.text.unwrap_or_default()))
            }
        };
        let templates = match (&answer, &self.failed) {
            (None, Some(failed)) => failed,
            (_, _) => &self.answer,
        };
        document.set("item", item);
        document.set(CALL_ROOT, json!({"ms": outcome.ms, "reason": reason}));
        let added = fill(templates, document);
        document.set("item", Value::Null);
        document.set(CALL_ROOT, Value::Null);
        let added = added
            .map_err(|Unusable(what)| failure::unusable(call.source_name(), &call.id, &what))?;
        Ok(Merged { answer, added })
    }
}

/// An item's answer, and the members that are added to it.
pub(crate) struct Merged {
    /// `None` where the call failed.
    pub(crate) answer: Option<Answer>,
    pub(crate) added: Map<String, Value>,
}

fn fill(
    templates: &[(String, Template)],
    document: &Document,
) -> Result<Map<String, Value>, Unusable> {
    let mut members = Map::new();
    for (name, template) in templates {
        let value = template.fill(document)?;
        members.insert(name.clone(), value.map_or(Value::Null, Value::String));
    }
    Ok(members)
}

/// The answer for an item with members added; an answer that is no object stands under `answer`.
pub(crate) fn with_members(document: Value, added: Map<String, Value>) -> Value {
    if added.is_empty() {
        return document;
    }
    if let Value::Object(mut members) = document {
        members.extend(added);
        return Value::Object(members);
    }
    let mut members = added;
    members.insert("answer".to_owned(), document);
    Value::Object(members)
}
