//! One `[[call]]`: from the document to requests, and from the reply back to JSON.

use std::sync::Arc;
use std::time::Duration;

use dan_core::evidence::{Arriving, SourceCall};
use dan_core::ports::{
    CallContext, Clock, Fetch, FetchError, FetchReply, FetchRequest, FetchStream, PortFuture,
    SourceError, SourceFailure,
};
use dan_core::secret::Secret;
use dan_core::statement::{hex, sha256};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::document::Document;
use super::failure::{self, Event, FailureTable, Meaning};
use super::json;
use super::template::{Template, Unusable};
use super::token::{Brought, CallToken};
use super::upstream::Upstream;
use super::url::{self, UrlTemplate};
use crate::arriving::{media_type_of, told};
use crate::authorities::tokens::TokenIssuer;

/// Longest value of a header that is sent, in bytes.
const HEADER_BYTES_MAX: usize = 4096;

/// The outside, as a declared source needs it.
#[derive(Clone)]
pub struct SourcePorts {
    /// The way out.
    pub fetch: Arc<dyn Fetch>,
    /// Tells when an answer came.
    pub clock: Arc<dyn Clock>,
    /// Gives tokens of ours; without it, calls that want one are not made.
    pub tokens: Option<Arc<dyn TokenIssuer>>,
}

/// A call, compiled.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) upstream: Arc<Upstream>,
    /// The next one is asked when one answers 404.
    pub(crate) addresses: Vec<UrlTemplate>,
    /// Encoded name and value; a value that is empty is left out.
    pub(crate) query: Vec<(String, Template)>,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) timeout: Duration,
    /// A failure leaves the answer out instead of ending the harvest.
    pub(crate) optional: bool,
    pub(crate) failures: FailureTable,
    pub(crate) token: CallToken,
    /// Places of the calls whose answers it is made from.
    pub(crate) needs: Vec<usize>,
}

/// An answer, whole or as it comes.
trait Answered: Sized + Send {
    fn of<'a>(
        fetch: &'a dyn Fetch,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Self, FetchError>>;

    fn status(&self) -> u16;
}

impl Answered for FetchReply {
    fn of<'a>(
        fetch: &'a dyn Fetch,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Self, FetchError>> {
        fetch.fetch(request, ctx)
    }

    fn status(&self) -> u16 {
        self.status
    }
}

impl Answered for FetchStream {
    fn of<'a>(
        fetch: &'a dyn Fetch,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Self, FetchError>> {
        fetch.open(request, ctx)
    }

    fn status(&self) -> u16 {
        self.status
    }
}

/// What a call gave.
pub(crate) struct Answer {
    pub(crate) document: Value,
    pub(crate) call: SourceCall,
}

impl Call {
    /// Makes the requests: one for each address, without a token yet.
    pub(crate) fn prepare(&self, document: &Document) -> Result<Vec<FetchRequest>, SourceError> {
        let refused =
            |unusable: Unusable| failure::unusable(&self.upstream.name, &self.id, &unusable.0);
        self.requests(document).map_err(refused)
    }

    /// The same: what an example asks.
    pub(crate) fn requests(&self, document: &Document) -> Result<Vec<FetchRequest>, Unusable> {
        let mut query = String::new();
        for (name, template) in &self.query {
            if let Some(value) = template.fill(document)? {
                query.push_str(&format!("&{name}={}", url::encoded(&value)));
            }
        }
        let query = query.strip_prefix('&').unwrap_or_default();
        let mut requests = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            let mut url = address.fill(document)?;
            if !query.is_empty() {
                url.push(if address.has_query() { '&' } else { '?' });
                url.push_str(query);
            }
            url::check(&url)?;
            let upstream = &self.upstream;
            let mut request = FetchRequest::get(&upstream.name, url, upstream.reply_bytes_max);
            self.add_headers(&mut request, document)?;
            upstream.sign_on(&mut request);
            requests.push(request);
        }
        Ok(requests)
    }

    /// Headers of a definition may hold a person's number, so they travel as secrets.
    fn add_headers(&self, request: &mut FetchRequest, document: &Document) -> Result<(), Unusable> {
        for (name, template) in &self.headers {
            let Some(value) = template.fill(document)? else {
                continue;
            };
            let visible = value.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
            if !visible || value.len() > HEADER_BYTES_MAX {
                return Err(Unusable(format!("a value cannot be sent as header {name}")));
            }
            if name == "accept" {
                request.headers.retain(|(name, _)| *name != "accept");
                request.headers.push(("accept", value));
            } else {
                request
                    .secret_headers
                    .push((name.clone(), Secret::new(value)));
            }
        }
        Ok(())
    }

    fn failed(&self, event: Event) -> SourceError {
        let meaning = self.failures.meaning(event);
        failure::error(&self.upstream.name, &self.id, event, meaning)
    }

    /// Asks, within the call's own time and the request's. Dropping it closes the exchange.
    ///
    /// # Errors
    /// By the call's `fail` table; 1013 when the request's own time is over.
    pub(crate) async fn ask(
        &self,
        requests: Vec<FetchRequest>,
        brought: &Brought,
        ports: &SourcePorts,
        ctx: &CallContext,
    ) -> Result<Answer, SourceError> {
        let (answered, _place) = self
            .exchange::<FetchReply>(requests, (brought, ports), ctx)
            .await?;
        self.read(&answered, ports)
    }

    /// The same, for an answer that is passed on as it comes, at most `bytes_max` bytes of it. The time is for the head.
    ///
    /// # Errors
    /// As [`Call::ask`]; and so does what arrives end.
    pub(crate) async fn open(
        self: &Arc<Self>,
        mut requests: Vec<FetchRequest>,
        bytes_max: usize,
        (brought, ports): (&Brought, &SourcePorts),
        ctx: &CallContext,
    ) -> Result<Arriving, SourceError> {
        for request in &mut requests {
            request.reply_bytes_max = bytes_max;
        }
        let asking = (brought, ports);
        let (reply, place) = self.exchange::<FetchStream>(requests, asking, ctx).await?;
        self.check_status(reply.status)?;
        let call = Arc::clone(self);
        let parts = told(reply.body, move |error| {
            // The place among the calls is taken until the last byte is here.
            let _taken = &place;
            call.unanswered(error)
        });
        Ok(Arriving {
            parts,
            media_type: media_type_of(reply.media_type),
            call: self.id.clone(),
            retrieved_at: ports.clock.now(),
        })
    }

    /// Asks one address after the other until one does not answer 404, and holds a place for that.
    async fn exchange<T: Answered>(
        &self,
        requests: Vec<FetchRequest>,
        (brought, ports): (&Brought, &SourcePorts),
        ctx: &CallContext,
    ) -> Result<(T, OwnedSemaphorePermit), SourceError> {
        let own = Instant::now().checked_add(self.timeout);
        let deadline = own.map_or(ctx.deadline, |own| own.min(ctx.deadline));
        let ctx = CallContext {
            request_id: Arc::clone(&ctx.request_id),
            deadline,
        };
        let late = |cut_short: bool| {
            if cut_short {
                self.out_of_time()
            } else {
                self.failed(Event::Timeout)
            }
        };
        let cut_short = own.is_none_or(|own| ctx.deadline < own);
        let named = (self.upstream.name.as_str(), self.id.as_str());
        let authorization = self
            .token
            .authorization(named, brought, ports, &ctx)
            .await?;
        let place = self
            .upstream
            .enter(deadline)
            .await
            .map_err(|_crowded| SourceError {
                text: Some("the source is busy; try again later".to_owned()),
                ..self.failed(Event::Timeout)
            })?;
        let mut left = requests.len();
        for mut request in requests {
            left = left.saturating_sub(1);
            if let Some(token) = &authorization {
                request.authorization = Some(Secret::new(token.expose().to_owned()));
            }
            let reply = match timeout_at(deadline, T::of(ports.fetch.as_ref(), request, &ctx)).await
            {
                Ok(Ok(reply)) => reply,
                Err(_) | Ok(Err(FetchError::Timeout)) => return Err(late(cut_short)),
                Ok(Err(error)) => return Err(self.unanswered(&error)),
            };
            if reply.status() == 404 && left > 0 {
                continue;
            }
            return Ok((reply, place));
        }
        Err(self.failed(Event::Status(404)))
    }

    fn out_of_time(&self) -> SourceError {
        SourceError {
            failure: SourceFailure::Unreachable,
            ..self.failed(Event::Timeout)
        }
    }

    fn unanswered(&self, error: &FetchError) -> SourceError {
        let failed = match error {
            FetchError::Network(_) => self.failed(Event::Network),
            FetchError::Timeout => self.failed(Event::Timeout),
            FetchError::TooLarge => self.failed(Event::TooLarge),
            FetchError::Refused(_) => SourceError {
                failure: SourceFailure::Broken,
                detail: failure::BROKEN,
                text: None,
                ..self.failed(Event::Network)
            },
        };
        let cause = format!("{} ({error})", failed.cause);
        SourceError { cause, ..failed }
    }

    fn read(&self, reply: &FetchReply, ports: &SourcePorts) -> Result<Answer, SourceError> {
        let document = self.interpret(reply)?;
        let call = SourceCall {
            id: self.id.clone(),
            retrieved_at: ports.clock.now(),
            digest: sha256(&reply.body),
        };
        Ok(Answer { document, call })
    }

    /// What a reply says: a document, or a failure by the table.
    pub(crate) fn interpret(&self, reply: &FetchReply) -> Result<Value, SourceError> {
        self.check_status(reply.status)?;
        if reply.body.is_empty() {
            return Err(self.failed(Event::Empty));
        }
        // The limit is the client's to keep; a client that does not is not believed either.
        if reply.body.len() > self.upstream.reply_bytes_max {
            return Err(self.failed(Event::TooLarge));
        }
        if !reply.media_type.as_deref().is_some_and(is_json) {
            return Err(self.no_document("the media type is not JSON"));
        }
        json::read(&reply.body).map_err(|reason| self.no_document(&reason))
    }

    /// Whether a status is one of success, and not one that the table gives another meaning.
    fn check_status(&self, status: u16) -> Result<(), SourceError> {
        let success = (200..300).contains(&status);
        if !success || self.failures.names_status(status) {
            return Err(self.failed(Event::Status(status)));
        }
        Ok(())
    }

    /// What a recorded answer is, where it is passed on as bytes.
    ///
    /// # Errors
    /// By the call's `fail` table.
    pub(crate) fn interpret_bytes(&self, reply: &FetchReply) -> Result<Value, SourceError> {
        self.check_status(reply.status)?;
        let sha256 = hex(&sha256(&reply.body));
        Ok(json!({"bytes": reply.body.len(), "sha256": sha256}))
    }

    fn no_document(&self, reason: &str) -> SourceError {
        let failed = self.failed(Event::NotJson);
        let cause = format!("{} ({reason})", failed.cause);
        SourceError { cause, ..failed }
    }

    /// What the `fail` table says, for examples.
    pub(crate) fn meaning(&self, event: Event) -> Meaning {
        self.failures.meaning(event)
    }
}

/// `application/json`, or any type with the `+json` suffix (RFC 6839 §3.1), with or without
/// parameters.
fn is_json(media_type: &str) -> bool {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    let plain = plain.to_ascii_lowercase();
    plain == "application/json" || plain.ends_with("+json") || plain == "text/json"
}
