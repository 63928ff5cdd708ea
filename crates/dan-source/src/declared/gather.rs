//! Asks the calls of a definition: each as early as its inputs allow, independent ones at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use dan_core::evidence::SourceCall;
use dan_core::ports::{CallContext, FetchRequest, SourceError, SourceFailure};
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};

use super::call::{Answer, Call, SourcePorts};
use super::document::Document;
use super::token::Brought;

/// What the calls gave, beside what they put into the document.
#[derive(Default)]
pub(crate) struct Gathered {
    /// In the order of the definition.
    pub(crate) calls: Vec<SourceCall>,
    /// Optional calls that gave nothing.
    pub(crate) failed: BTreeSet<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

struct Run<'a> {
    calls: &'a [Arc<Call>],
    states: Vec<State>,
    answered: Vec<Option<SourceCall>>,
    failed: BTreeSet<String>,
    document: &'a mut Document,
}

/// Asks all calls and puts their answers into the document. Dropping it stops them all.
///
/// # Errors
/// The first failure of a call that is not optional; the others are stopped then.
pub(crate) async fn gather(
    calls: &[Arc<Call>],
    document: &mut Document,
    brought: &Brought,
    ports: &SourcePorts,
    ctx: &CallContext,
) -> Result<Gathered, SourceError> {
    let mut run = Run {
        calls,
        states: vec![State::Waiting; calls.len()],
        answered: vec![None; calls.len()],
        failed: BTreeSet::new(),
        document,
    };
    let mut running: JoinSet<(usize, Result<Answer, SourceError>)> = JoinSet::new();
    loop {
        let mut ready = run.ready()?;
        if running.is_empty()
            && ready.len() == 1
            && let Some(Ready { at, call, requests }) = ready.pop()
        {
            // The only one that can run needs no task of its own.
            let outcome = call.ask(requests, brought, ports, ctx).await;
            run.record(at, outcome)?;
            continue;
        }
        for Ready { at, call, requests } in ready {
            let (brought, ports, ctx) = (brought.clone(), ports.clone(), ctx.clone());
            running.spawn(async move { (at, call.ask(requests, &brought, &ports, &ctx).await) });
        }
        match running.join_next().await {
            Some(Ok((at, outcome))) => run.record(at, outcome)?,
            Some(Err(error)) => return Err(stopped(&error)),
            None => break,
        }
    }
    Ok(Gathered {
        calls: run.answered.into_iter().flatten().collect(),
        failed: run.failed,
    })
}

/// A call that can be asked now.
struct Ready {
    at: usize,
    call: Arc<Call>,
    requests: Vec<FetchRequest>,
}

impl Run<'_> {
    /// Calls whose inputs are there. One that cannot be made has failed.
    fn ready(&mut self) -> Result<Vec<Ready>, SourceError> {
        let mut ready = Vec::new();
        while let Some(at) = self.next() {
            let Some(call) = self.calls.get(at).cloned() else {
                break;
            };
            self.set(at, State::Running);
            match call.prepare(self.document) {
                Ok(requests) => ready.push(Ready { at, call, requests }),
                Err(error) => self.record(at, Err(error))?,
            }
        }
        Ok(ready)
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

    fn record(
        &mut self,
        at: usize,
        outcome: Result<Answer, SourceError>,
    ) -> Result<(), SourceError> {
        self.set(at, State::Ended);
        let Some(call) = self.calls.get(at) else {
            return Ok(());
        };
        match outcome {
            Ok(answer) => {
                self.document.set(&call.id, answer.document);
                if let Some(place) = self.answered.get_mut(at) {
                    *place = Some(answer.call);
                }
                Ok(())
            }
            Err(error) if call.optional => {
                tracing::debug!(source.id = %call.upstream.name, cause = %error.cause, "optional call failed");
                self.document.set(&call.id, Value::Null);
                self.failed.insert(call.id.clone());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn stopped(error: &JoinError) -> SourceError {
    SourceError {
        failure: SourceFailure::Broken,
        source: "DECLARED".to_owned(),
        detail: 0,
        text: None,
        cause: format!("a call stopped: {error}"),
    }
}
