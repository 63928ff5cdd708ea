//! One `[[call]]`: from the document to a source or another dataset, and back to JSON.

use std::sync::Arc;
use std::time::Duration;

use dan_core::evidence::{Arriving, Evidence, Harvest, SourceCall};
use dan_core::ports::{
    CallContext, Clock, Fetch, FetchError, FetchReply, PortFuture, SourceError, SourceFailure,
};
use dan_core::statement::{hex, sha256};
use dan_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::CALLLESS_SOURCE;
use super::answered::{AnswerCache, Keeping};
use super::compose::{self, Component, Composition};
use super::document::{Document, Inputs};
use super::failure::{self, Event, FailureTable};
use super::fan::Fan;
use super::flight::Flights;
use super::format::{Format, Unreadable};
use super::gate::Gates;
use super::line::Line;
use super::pages::Pages;
use super::plan::{self, Plan, Prepared, Variant};
use super::template::Unusable;
use super::token::{Brought, CallToken};
use super::upstream::Upstream;
use crate::arriving::{media_type_of, told};
use crate::authorities::tokens::TokenIssuer;

/// The outside, as a declared source needs it.
#[derive(Clone)]
pub struct SourcePorts {
    /// The way out.
    pub fetch: Arc<dyn Fetch>,
    /// Tells when an answer came.
    pub clock: Arc<dyn Clock>,
    /// Gives tokens of ours; without it, calls that want one are not made.
    pub tokens: Option<Arc<dyn TokenIssuer>>,
    /// What definitions say is to be kept.
    pub cache: Arc<AnswerCache>,
    /// Questions under way.
    pub(crate) flights: Arc<Flights>,
    /// Which sources are left alone.
    pub gates: Arc<Gates>,
}

impl SourcePorts {
    /// Nothing kept, nothing under way.
    #[must_use]
    pub fn new(
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        tokens: Option<Arc<dyn TokenIssuer>>,
    ) -> Self {
        Self {
            fetch,
            tokens,
            cache: Arc::default(),
            flights: Arc::default(),
            gates: Arc::new(Gates::new(Arc::clone(&clock))),
            clock,
        }
    }
}

/// A call, compiled.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) how: How,
    /// Made for every item of a list.
    pub(crate) each: Option<Fan>,
    pub(crate) timeout: Duration,
    /// A failure leaves the answer out instead of ending the harvest.
    pub(crate) optional: bool,
    pub(crate) failures: FailureTable,
    /// What sources answer with.
    pub(crate) format: Format,
    /// The answer comes in parts.
    pub(crate) pages: Option<Pages>,
    /// How long answers are kept; `None`: never.
    pub(crate) keeping: Option<Keeping>,
    /// Places of the calls whose answers it is made from.
    pub(crate) needs: Vec<usize>,
}

/// What a call is.
pub(crate) enum How {
    /// A source is asked, in the first variant whose condition holds.
    Ask(Vec<Variant>),
    /// Another dataset is made.
    Dataset(Component),
}

/// A call that is ready to be made.
pub(crate) enum Job {
    Ask(Prepared),
    Dataset(Composition),
}

/// What a call gave.
pub(crate) struct Answer {
    pub(crate) document: Value,
    /// What it rests on; one entry where one source was asked.
    pub(crate) calls: Vec<SourceCall>,
    /// How much was received for it.
    pub(crate) bytes: usize,
}

impl Answer {
    /// What another dataset gave: its values as one document.
    pub(crate) fn of_dataset(call: &str, harvest: Harvest, bytes: usize) -> Self {
        let document = match harvest.evidence {
            Evidence::Values(values) => compose::document_of(values),
            Evidence::Binary { .. } | Evidence::Stream(_) => Value::Null,
        };
        Self {
            document,
            calls: compose::named(call, harvest.calls).collect(),
            bytes,
        }
    }
}

impl Call {
    /// Makes the call ready, but for tokens.
    ///
    /// # Errors
    /// What cannot be filled in for this request.
    pub(crate) fn prepare(
        &self,
        inputs: &Inputs<'_>,
        document: &Document,
    ) -> Result<Job, SourceError> {
        let made = match &self.how {
            How::Ask(variants) => match plan::choose(variants, document) {
                Some(plan) => plan.prepare(document, self.format.accept()).map(Job::Ask),
                None => Err(Unusable("no variant applies".to_owned())),
            },
            How::Dataset(component) => component.prepare(inputs, document).map(Job::Dataset),
        };
        made.map_err(|unusable| failure::unusable(self.source_name(), &self.id, &unusable.0))
    }

    /// Name of the source that stands for the call in errors: the first it may ask.
    pub(crate) fn source_name(&self) -> &str {
        match &self.how {
            How::Dataset(component) => component.definition.source_name(),
            How::Ask(_) => self
                .upstreams()
                .first()
                .map_or(CALLLESS_SOURCE, |upstream| &upstream.name),
        }
    }

    /// Whether its list or the condition of a variant mentions this name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let variants = match &self.how {
            How::Ask(variants) => variants.as_slice(),
            How::Dataset(_) => &[],
        };
        let in_variants = variants
            .iter()
            .filter_map(|variant| variant.when.as_ref())
            .any(|when| when.mentions(name));
        in_variants || self.each.as_ref().is_some_and(|each| each.mentions(name))
    }

    /// Every way it may be made in.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let variants = match &self.how {
            How::Ask(variants) => variants.as_slice(),
            How::Dataset(_) => &[],
        };
        variants.iter().map(|variant| &variant.plan)
    }

    /// Every source it may ask by itself, not those of another dataset.
    pub(crate) fn upstreams(&self) -> Vec<&Arc<Upstream>> {
        self.plans().flat_map(|plan| plan.upstreams()).collect()
    }

    /// A source without which this node cannot make the call. Where the items of a list have one
    /// each, and a failure of one is told, the call can do without some of them.
    pub(crate) fn unset(&self) -> Option<&Upstream> {
        let upstreams = self.upstreams();
        let tolerant = self.each.as_ref().is_some_and(|each| each.failed.is_some());
        let spared = tolerant && upstreams.iter().any(|it| it.unset.is_none());
        let mut missing = upstreams.into_iter().filter(|it| it.unset.is_some());
        missing.next().filter(|_| !spared).map(AsRef::as_ref)
    }

    /// Makes the call. Dropping it closes the exchange.
    ///
    /// # Errors
    /// By the call's `fail` table; 1013 when the request's own time is over.
    pub(crate) async fn ask(
        &self,
        job: Job,
        brought: &Brought,
        ports: &SourcePorts,
        ctx: &CallContext,
    ) -> Result<Answer, SourceError> {
        match job {
            Job::Ask(prepared) => self.exchange(prepared, brought, ports, ctx).await,
            Job::Dataset(composition) => self.component(&composition, brought, ports, ctx).await,
        }
    }

    /// Makes the other dataset, within the call's own time and the request's. Boxed, since a
    /// definition may be made of others, which are made of others, to a limited depth.
    fn component<'a>(
        &'a self,
        composition: &'a Composition,
        brought: &'a Brought,
        ports: &'a SourcePorts,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Answer, SourceError>> {
        Box::pin(async move {
            let ctx = self.limited(ctx);
            let definition = &composition.definition;
            let inputs = composition.inputs();
            let making = definition.harvest(&inputs, brought, ports, &ctx);
            let late = |_elapsed| self.failed(definition.source_name(), Event::Timeout);
            let (harvest, bytes) = timeout_at(ctx.deadline, making).await.map_err(late)??;
            Ok(Answer::of_dataset(&self.id, harvest, bytes))
        })
    }

    fn limited(&self, ctx: &CallContext) -> CallContext {
        let own = Instant::now().checked_add(self.timeout);
        CallContext {
            request_id: Arc::clone(&ctx.request_id),
            deadline: own.map_or(ctx.deadline, |own| own.min(ctx.deadline)),
        }
    }

    /// The failure of a call to this source, by the `fail` table.
    pub(crate) fn failed(&self, source: &str, event: Event) -> SourceError {
        let meaning = self.failures.meaning(event);
        failure::error(source, &self.id, event, meaning)
    }

    /// Asks, within the call's own time and the request's.
    async fn exchange(
        &self,
        prepared: Prepared,
        brought: &Brought,
        ports: &SourcePorts,
        ctx: &CallContext,
    ) -> Result<Answer, SourceError> {
        let asked = (prepared.upstream.as_ref(), &prepared.plan.token);
        let line = self.line(asked, brought, ports, ctx).await?;
        let mut left = prepared.requests.len();
        for request in prepared.requests {
            left = left.saturating_sub(1);
            if let Some(pages) = &self.pages {
                return line.pages(pages, &request).await;
            }
            let answered = line.send(request).await?;
            if answered.reply.status == 404 && left > 0 {
                continue;
            }
            return self.read(line.upstream, &answered.reply, answered.at);
        }
        Err(self.failed(&line.upstream.name, Event::Status(404)))
    }

    /// The same, for an answer that is passed on as it comes, at most `bytes_max` bytes of it. The time is for the head.
    ///
    /// # Errors
    /// As [`Call::ask`]; and so does what arrives end.
    pub(crate) async fn open(
        self: &Arc<Self>,
        job: Job,
        bytes_max: usize,
        (brought, ports): (&Brought, &SourcePorts),
        ctx: &CallContext,
    ) -> Result<Arriving, SourceError> {
        let Job::Ask(prepared) = job else {
            let what = "another dataset cannot be passed on as bytes";
            return Err(failure::misshapen(self.source_name(), what));
        };
        let asked = (prepared.upstream.as_ref(), &prepared.plan.token);
        let line = self.line(asked, brought, ports, ctx).await?;
        let mut left = prepared.requests.len();
        for mut request in prepared.requests {
            left = left.saturating_sub(1);
            request.reply_bytes_max = bytes_max;
            let (reply, place) = line.open(request).await?;
            if reply.status == 404 && left > 0 {
                continue;
            }
            self.check_status(&prepared.upstream.name, reply.status)?;
            let call = Arc::clone(self);
            let source = prepared.upstream.name.clone();
            let parts = told(reply.body, move |error| {
                // The place among the calls is taken until the last byte is here.
                let _taken = &place;
                call.unanswered(&source, error)
            });
            return Ok(Arriving {
                parts,
                media_type: media_type_of(reply.media_type),
                call: self.id.clone(),
                retrieved_at: ports.clock.now(),
            });
        }
        Err(self.failed(&prepared.upstream.name, Event::Status(404)))
    }

    /// A place among the calls to a source, and what it knows us by.
    async fn line<'a>(
        &'a self,
        (upstream, token): (&'a Upstream, &CallToken),
        brought: &Brought,
        ports: &'a SourcePorts,
        ctx: &CallContext,
    ) -> Result<Line<'a>, SourceError> {
        let own = self.limited(ctx);
        let source = upstream.name.as_str();
        if upstream.unset.is_some() {
            return Err(failure::unusable(
                source,
                &self.id,
                "this node is not set up for it",
            ));
        }
        let named = (source, self.id.as_str());
        let authorization = match token.authorization(named, brought, ports, &own).await? {
            Some(token) => Some(token),
            None => upstream.authorization(named, ports, &own).await?,
        };
        Ok(Line {
            call: self,
            upstream,
            authorization,
            owner: brought.owner,
            ports,
            cut_short: own.deadline == ctx.deadline,
            ctx: own,
        })
    }

    pub(crate) fn out_of_time(&self, source: &str) -> SourceError {
        SourceError {
            failure: SourceFailure::Unreachable,
            ..self.failed(source, Event::Timeout)
        }
    }

    pub(crate) fn unanswered(&self, source: &str, error: &FetchError) -> SourceError {
        let failed = match error {
            FetchError::Network(_) => self.failed(source, Event::Network),
            FetchError::Timeout => self.failed(source, Event::Timeout),
            FetchError::TooLarge => self.failed(source, Event::TooLarge),
            FetchError::Refused(_) => SourceError {
                failure: SourceFailure::Broken,
                detail: failure::BROKEN,
                text: None,
                ..self.failed(source, Event::Network)
            },
        };
        let cause = format!("{} ({error})", failed.cause);
        SourceError { cause, ..failed }
    }

    /// What a reply that came at this moment gives.
    pub(crate) fn read(
        &self,
        upstream: &Upstream,
        reply: &FetchReply,
        now: Timestamp,
    ) -> Result<Answer, SourceError> {
        let document = self.interpret(upstream, reply)?;
        let call = SourceCall {
            id: self.id.clone(),
            retrieved_at: now,
            digest: sha256(&reply.body),
        };
        Ok(Answer {
            document,
            calls: vec![call],
            bytes: reply.body.len(),
        })
    }

    /// What a reply says: a document, or a failure by the table.
    fn interpret(&self, upstream: &Upstream, reply: &FetchReply) -> Result<Value, SourceError> {
        self.check_status(&upstream.name, reply.status)?;
        let failed = |event| self.failed(&upstream.name, event);
        if reply.body.is_empty() {
            return Err(failed(Event::Empty));
        }
        // The limit is the client's to keep; a client that does not is not believed either.
        if reply.body.len() > upstream.reply_bytes_max {
            return Err(failed(Event::TooLarge));
        }
        let read = self.format.read(reply.media_type.as_deref(), &reply.body);
        read.map_err(|unreadable| match unreadable {
            Unreadable::Fault => failed(Event::Fault),
            Unreadable::Malformed(reason) => {
                let failed = failed(self.format.unread());
                let cause = format!("{} ({reason})", failed.cause);
                SourceError { cause, ..failed }
            }
        })
    }

    /// Whether a status is one of success, and not one that the table gives another meaning.
    fn check_status(&self, source: &str, status: u16) -> Result<(), SourceError> {
        let success = (200..300).contains(&status);
        if !success || self.failures.names_status(status) {
            return Err(self.failed(source, Event::Status(status)));
        }
        Ok(())
    }

    /// What a recorded answer is, where it is passed on as bytes.
    ///
    /// # Errors
    /// By the call's `fail` table.
    pub(crate) fn read_bytes(
        &self,
        upstream: &Upstream,
        reply: &FetchReply,
    ) -> Result<Value, SourceError> {
        self.check_status(&upstream.name, reply.status)?;
        let sha256 = hex(&sha256(&reply.body));
        Ok(json!({"bytes": reply.body.len(), "sha256": sha256}))
    }
}
