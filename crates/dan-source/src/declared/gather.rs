//! Makes the calls of a definition: each as early as its inputs allow, independent ones at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use dan_core::evidence::SourceCall;
use dan_core::ports::{CallContext, SourceError, SourceFailure};
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};

use super::call::{Answer, Call, Job, SourcePorts};
use super::document::{Document, Inputs};
use super::failure;
use super::fan::{self, Outcome};
use super::token::Brought;

/// Most that one harvest may receive from all its calls together, in bytes.
pub const HARVEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the calls gave, beside what they put into the document.
#[derive(Default)]
pub(crate) struct Gathered {
    /// In the order of the definition; those of a list in the order of its items.
    pub(crate) calls: Vec<SourceCall>,
    /// Optional calls that gave nothing.
    pub(crate) failed: BTreeSet<String>,
    /// Calls that gave nothing for some item of their list.
    pub(crate) partly: BTreeSet<String>,
    /// How much was received.
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

/// The calls of one harvest on their way.
pub(crate) struct Run<'a> {
    calls: &'a [Arc<Call>],
    inputs: &'a Inputs<'a>,
    states: Vec<State>,
    answered: Vec<Vec<SourceCall>>,
    failed: BTreeSet<String>,
    partly: BTreeSet<String>,
    bytes: usize,
    document: &'a mut Document,
}

/// A call that can be made now.
pub(crate) struct Ready {
    pub(crate) at: usize,
    pub(crate) call: Arc<Call>,
    pub(crate) work: Work,
}

/// What there is to do for it.
pub(crate) enum Work {
    One(Box<Job>),
    /// An item and its job each.
    Each(Vec<Value>, Vec<Result<Job, SourceError>>),
}

/// How it went.
pub(crate) enum Made {
    One(Answer),
    Each(Vec<Value>, Vec<Outcome>),
}

/// Makes all calls and puts their answers into the document. Dropping it stops them all.
///
/// # Errors
/// The first failure of a call that is not optional; the others are stopped then.
pub(crate) async fn gather(
    calls: &[Arc<Call>],
    (inputs, document): (&Inputs<'_>, &mut Document),
    brought: &Brought,
    ports: &SourcePorts,
    ctx: &CallContext,
) -> Result<Gathered, SourceError> {
    let mut run = Run::new(calls, inputs, document);
    let mut running: JoinSet<(usize, Result<Made, SourceError>)> = JoinSet::new();
    loop {
        let mut ready = run.ready()?;
        if running.is_empty()
            && ready.len() == 1
            && let Some(Ready { at, call, work }) = ready.pop()
        {
            // The only one that can run needs no task of its own.
            let outcome = make(&call, work, brought, (ports, ctx)).await;
            run.record(at, outcome)?;
            continue;
        }
        for Ready { at, call, work } in ready {
            let (brought, ports, ctx) = (brought.clone(), ports.clone(), ctx.clone());
            running.spawn(async move { (at, make(&call, work, &brought, (&ports, &ctx)).await) });
        }
        match running.join_next().await {
            Some(Ok((at, outcome))) => run.record(at, outcome)?,
            Some(Err(error)) => return Err(stopped(&error)),
            None => break,
        }
    }
    Ok(run.finish())
}

async fn make(
    call: &Arc<Call>,
    work: Work,
    brought: &Brought,
    (ports, ctx): (&SourcePorts, &CallContext),
) -> Result<Made, SourceError> {
    match (work, &call.each) {
        (Work::One(job), _) => call.ask(*job, brought, ports, ctx).await.map(Made::One),
        (Work::Each(items, jobs), Some(each)) => {
            let outcomes = each.ask_all(call, jobs, brought, (ports, ctx)).await?;
            Ok(Made::Each(items, outcomes))
        }
        (Work::Each(items, _), None) => Ok(Made::Each(items, Vec::new())),
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        calls: &'a [Arc<Call>],
        inputs: &'a Inputs<'a>,
        document: &'a mut Document,
    ) -> Self {
        Self {
            calls,
            inputs,
            states: vec![State::Waiting; calls.len()],
            answered: vec![Vec::new(); calls.len()],
            failed: BTreeSet::new(),
            partly: BTreeSet::new(),
            bytes: 0,
            document,
        }
    }

    pub(crate) fn finish(self) -> Gathered {
        Gathered {
            calls: self.answered.into_iter().flatten().collect(),
            failed: self.failed,
            partly: self.partly,
            bytes: self.bytes,
        }
    }

    /// Calls whose inputs are there. One that cannot be made has failed.
    pub(crate) fn ready(&mut self) -> Result<Vec<Ready>, SourceError> {
        let mut ready = Vec::new();
        while let Some(at) = self.next() {
            let Some(call) = self.calls.get(at).cloned() else {
                break;
            };
            self.set(at, State::Running);
            match self.work(&call) {
                Ok(work) => ready.push(Ready { at, call, work }),
                Err(error) => self.record(at, Err(error))?,
            }
        }
        Ok(ready)
    }

    fn work(&mut self, call: &Call) -> Result<Work, SourceError> {
        let Some(each) = &call.each else {
            let job = call.prepare(self.inputs, self.document)?;
            return Ok(Work::One(Box::new(job)));
        };
        let items = each.items(call, self.document)?;
        let mut jobs = Vec::with_capacity(items.len());
        for item in &items {
            self.document.set("item", item.clone());
            jobs.push(call.prepare(self.inputs, self.document));
        }
        self.document.set("item", Value::Null);
        Ok(Work::Each(items, jobs))
    }

    fn next(&self) -> Option<usize> {
        let ended = |at: &usize| self.states.get(*at) == Some(&State::Ended);
        let mut places = self.states.iter().zip(self.calls).enumerate();
        places
            .find(|(_, (state, call))| **state == State::Waiting && call.needs.iter().all(ended))
            .map(|(at, _)| at)
    }

    fn set(&mut self, at: usize, state: State) {
        if let Some(place) = self.states.get_mut(at) {
            *place = state;
        }
    }

    /// Puts what a call gave into the document.
    ///
    /// # Errors
    /// The failure of a call that is not optional.
    pub(crate) fn record(
        &mut self,
        at: usize,
        outcome: Result<Made, SourceError>,
    ) -> Result<(), SourceError> {
        self.set(at, State::Ended);
        let Some(call) = self.calls.get(at).cloned() else {
            return Ok(());
        };
        let merged = outcome.and_then(|made| match made {
            Made::One(answer) => self.count(&call, answer),
            Made::Each(items, outcomes) => self.merge(&call, items, outcomes),
        });
        match merged {
            Ok((document, calls)) => {
                self.document.set(&call.id, document);
                if let Some(place) = self.answered.get_mut(at) {
                    *place = calls;
                }
                Ok(())
            }
            Err(error) if call.optional => {
                tracing::debug!(call = %call.id, cause = %error.cause, "optional call failed");
                self.document.set(&call.id, Value::Null);
                self.failed.insert(call.id.clone());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Holds a harvest to what it may receive.
    fn count(
        &mut self,
        call: &Call,
        answer: Answer,
    ) -> Result<(Value, Vec<SourceCall>), SourceError> {
        self.bytes = self.bytes.saturating_add(answer.bytes);
        if self.bytes > HARVEST_BYTES_MAX {
            let what = "the answers of all calls together are too large";
            return Err(failure::misshapen(call.source_name(), what));
        }
        Ok((answer.document, answer.calls))
    }

    /// The answers for the items of a list, in its order.
    fn merge(
        &mut self,
        call: &Call,
        items: Vec<Value>,
        outcomes: Vec<Outcome>,
    ) -> Result<(Value, Vec<SourceCall>), SourceError> {
        let (mut documents, mut calls) = (Vec::with_capacity(items.len()), Vec::new());
        let Some(each) = &call.each else {
            return Ok((Value::Null, calls));
        };
        for (place, (item, outcome)) in items.into_iter().zip(outcomes).enumerate() {
            let merged = each.merge(call, item, outcome, self.document)?;
            let Some(answer) = merged.answer else {
                self.partly.insert(call.id.clone());
                documents.push(Value::Object(merged.added));
                continue;
            };
            let (document, rests_on) = self.count(call, answer)?;
            documents.push(fan::with_members(document, merged.added));
            calls.extend(rests_on.into_iter().map(|one| SourceCall {
                id: placed(&call.id, place, &one.id),
                ..one
            }));
        }
        Ok((Value::Array(documents), calls))
    }
}

/// `reports[3]`, `reports[3].unit`: which item of its list a call was for.
fn placed(call: &str, place: usize, id: &str) -> String {
    let rest = id.strip_prefix(call).unwrap_or_default();
    format!("{call}[{place}]{rest}")
}

/// A task of a call that did not end by itself.
pub(crate) fn stopped(error: &JoinError) -> SourceError {
    SourceError {
        failure: SourceFailure::Broken,
        source: "DECLARED".to_owned(),
        detail: 0,
        text: None,
        cause: format!("a call stopped: {error}"),
    }
}
