//! [`Line`]: a source that is being asked — from what is kept, together with others who ask the same,
//! or over the wire; in parts where the answer comes so.

use std::sync::Arc;

use dan_core::party::OrgNumber;
use dan_core::ports::{CallContext, FetchError, FetchRequest, FetchStream, Method, SourceError};
use dan_core::secret::Secret;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use super::answered::{Answered, Missed};
use super::call::{Answer, Call, SourcePorts};
use super::failure::{self, Event};
use super::flight;
use super::gate::Gate;
use super::gather::HARVEST_BYTES_MAX;
use super::pages::{Pages, Unjoined};
use super::upstream::Upstream;
use crate::breaker::Pass;
use crate::protect::{DETAIL_BUSY, DETAIL_RESTING};

/// A source that is being asked: a place there, and what it knows us by.
pub(crate) struct Line<'a> {
    pub(crate) call: &'a Call,
    pub(crate) upstream: &'a Upstream,
    pub(crate) authorization: Option<Secret>,
    pub(crate) owner: Option<OrgNumber>,
    pub(crate) ports: &'a SourcePorts,
    pub(crate) ctx: CallContext,
    /// The request's own time ends before the call's.
    pub(crate) cut_short: bool,
}

impl Line<'_> {
    /// From what is kept, from who asks the same just now, or from the source.
    pub(crate) async fn send(
        &self,
        mut request: FetchRequest,
    ) -> Result<Arc<Answered>, SourceError> {
        if let Some(token) = &self.authorization {
            request.authorization = Some(Secret::new(token.expose().to_owned()));
        }
        self.in_time(self.answered(request)).await
    }

    /// The head of an answer; the body follows as it is asked for, and the place among the calls is
    /// held until then. Never kept, never shared, never asked for twice.
    pub(crate) async fn open(
        &self,
        mut request: FetchRequest,
    ) -> Result<(FetchStream, OwnedSemaphorePermit), SourceError> {
        if let Some(token) = &self.authorization {
            request.authorization = Some(Secret::new(token.expose().to_owned()));
        }
        self.in_time(async {
            let gate = self.ports.gates.of(&self.upstream.name);
            let (place, pass) = self.enter(&gate).await?;
            let opened = self.ports.fetch.open(request, &self.ctx).await;
            let came = opened.as_ref();
            gate.settle(pass, came.map(|reply| (reply.status, reply.retry_after_s)));
            opened.map(|reply| (reply, place)).map_err(Missed::Fetch)
        })
        .await
    }

    /// A place among the calls to the source, and leave to ask it.
    async fn enter(&self, gate: &Gate) -> Result<(OwnedSemaphorePermit, Pass), Missed> {
        let place = self.upstream.enter(self.ctx.deadline).await;
        let place = place.map_err(|_crowded| Missed::Crowded)?;
        let pass = gate.admit().ok_or(Missed::Resting)?;
        Ok((place, pass.until(self.ctx.deadline)))
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, Missed>> + Send,
    ) -> Result<T, SourceError> {
        let source = self.upstream.name.as_str();
        match timeout_at(self.ctx.deadline, asking).await {
            Ok(Ok(answered)) => Ok(answered),
            Err(_) | Ok(Err(Missed::Fetch(FetchError::Timeout))) if self.cut_short => {
                Err(self.call.out_of_time(source))
            }
            Err(_) | Ok(Err(Missed::Fetch(FetchError::Timeout))) => {
                Err(self.call.failed(source, Event::Timeout))
            }
            Ok(Err(Missed::Fetch(error))) => Err(self.call.unanswered(source, &error)),
            Ok(Err(Missed::Resting)) => {
                let text = "the source has failed too often, or asks for a pause; try again later";
                Err(failure::not_asked(source, DETAIL_RESTING, text))
            }
            Ok(Err(Missed::Crowded)) => {
                let text = "too many requests wait for the source; try again later";
                Err(failure::not_asked(source, DETAIL_BUSY, text))
            }
        }
    }

    async fn answered(&self, request: FetchRequest) -> Result<Arc<Answered>, Missed> {
        // What is sent may change something at the source: it is sent each time.
        if request.method == Method::Post {
            return self.ask(request).await;
        }
        let key = flight::key_of(&request, self.owner);
        let flights = &self.ports.flights;
        let Some(keeping) = self.call.keeping else {
            return flights.join(key, self.ask(request)).await;
        };
        let cache = &self.ports.cache;
        if let Some(kept) = cache.find(&key, self.ports.clock.now()) {
            return kept;
        }
        let outcome = flights.join(key, self.ask(request)).await;
        cache.keep(key, &outcome, keeping, self.ports.clock.now());
        outcome
    }

    async fn ask(&self, request: FetchRequest) -> Result<Arc<Answered>, Missed> {
        let gate = self.ports.gates.of(&self.upstream.name);
        let mut again = request.method == Method::Get;
        loop {
            let (_place, pass) = self.enter(&gate).await?;
            let came = self.ports.fetch.fetch(request.copied(), &self.ctx).await;
            let told = came.as_ref();
            gate.settle(pass, told.map(|reply| (reply.status, reply.retry_after_s)));
            match came {
                Ok(reply) => {
                    let at = self.ports.clock.now();
                    return Ok(Arc::new(Answered { reply, at }));
                }
                // Nothing has come back, and asking changes nothing at the source (RFC 9110 §9.2.2).
                Err(FetchError::Network(_)) if again && gate.may_retry() => again = false,
                Err(error) => return Err(Missed::Fetch(error)),
            }
        }
    }

    /// Asks for one part after another.
    pub(crate) async fn pages(
        &self,
        pages: &Pages,
        first: &FetchRequest,
    ) -> Result<Answer, SourceError> {
        let mut reading = pages.begin();
        let (mut calls, mut bytes) = (Vec::new(), 0_usize);
        loop {
            let mut request = first.copied();
            request.url = reading.address(&first.url);
            let answered = self.send(request).await?;
            let mut part = self
                .call
                .read(self.upstream, &answered.reply, answered.at)?;
            bytes = bytes.saturating_add(part.bytes);
            if bytes > HARVEST_BYTES_MAX {
                return Err(self.call.failed(&self.upstream.name, Event::TooLarge));
            }
            calls.append(&mut part.calls);
            let more = reading.take(part.document);
            let more = more.map_err(|Unjoined(why)| {
                failure::misshapen(
                    &self.upstream.name,
                    &format!("call {}: {why}", self.call.id),
                )
            })?;
            if !more {
                return Ok(Answer {
                    document: reading.end(),
                    calls,
                    bytes,
                });
            }
        }
    }
}
