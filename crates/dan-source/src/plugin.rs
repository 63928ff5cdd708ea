//! [`PluginSource`]: an existing DAN plugin, called unchanged (`engine.md` §6).
//!
//! One POST a harvest. The HTTP status decides first, then the body (`engine.md` W-35). The key goes
//! in a header, never in the address (W-16).

use std::sync::Arc;

use bytes::Bytes;
use dan_core::dataset::Dataset;
use dan_core::evidence::{Arriving, Evidence, EvidenceValue, Harvest, SourceCall};
use dan_core::ports::{
    CallContext, Clock, FactError, Fetch, FetchError, FetchReply, FetchRequest, HarvestOrder,
    Method, PortFuture, Source, SourceError, SourceFailure,
};
use dan_core::requirement::CpvList;
use dan_core::secret::Secret;
use dan_core::statement::sha256;
use dan_core::time::Timestamp;
use serde_json::Value;
use tokio::time::timeout_at;

use crate::arriving::{media_type_of, told};
use crate::authorities::tokens::{TokenIssuer, TokenWish, is_token};
use crate::declared::token::Brought;
use crate::keeper::Discover;
use crate::plugin_definition::read_datasets;
use crate::plugin_reader::read_json;
use crate::plugin_wire::{
    ErrorModel, HarvesterRequest, WireParameter, WireParty, is_host_error, read_values,
};
use crate::protect::DETAIL_NOT_ASKED;

/// Largest metadata of one plugin, in bytes.
pub const DISCOVERY_BYTES_MAX: usize = 10 << 20;
/// Largest answer with values, in bytes (`security.md` F6).
pub const REPLY_BYTES_MAX: usize = 10 << 20;

/// The body of an error is empty.
pub const DETAIL_EMPTY: u32 = 5001;
/// The plugin crashed, says its host.
pub const DETAIL_CRASHED: u32 = 5002;
/// The body is neither values nor an error model.
pub const DETAIL_UNREADABLE: u32 = 5003;
/// The error model has another code than 3001 to 3003.
pub const DETAIL_OTHER_CODE: u32 = 5004;

/// Source name of details 5001 to 5003, whatever the plugin (`wire-api.md` §7.3).
const SOURCE_UNNAMED: &str = "ES";
/// Header of the key towards the plugin's host.
const KEY_HEADER: &str = "x-functions-key";

/// A plugin of the configuration.
pub struct PluginSource {
    name: String,
    url: String,
    key: Option<Arc<Secret>>,
    tokens: Option<Arc<dyn TokenIssuer>>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
}

impl PluginSource {
    /// A plugin at `url`, for instance `http://127.0.0.1:7071/api`.
    #[must_use]
    pub fn new(
        name: &str,
        url: &str,
        key: Option<Arc<Secret>>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            key,
            tokens: None,
            fetch,
            clock,
        }
    }

    /// Where the plugin's tokens come from. Without it, datasets that are asked with a token are out of
    /// reach unless the caller brings one.
    #[must_use]
    pub fn with_tokens(self, tokens: Option<Arc<dyn TokenIssuer>>) -> Self {
        Self { tokens, ..self }
    }

    /// Asks the plugin what it offers, within `ctx.deadline`. Datasets whose definition cannot be
    /// understood come with [`Dataset::unavailable`] set; `cpv` are the codes of the catalogue, for
    /// rules about legal bases. The key is not sent: metadata is open.
    ///
    /// # Errors
    /// Why there is no list, for the log and the operator.
    pub async fn discover(
        &self,
        cpv: Option<Arc<CpvList>>,
        ctx: &CallContext,
    ) -> Result<Vec<Dataset>, String> {
        let url = format!("{}/evidencecodes", self.url);
        let request = FetchRequest::get(&self.name, url, DISCOVERY_BYTES_MAX);
        let answer = timeout_at(ctx.deadline, self.fetch.fetch(request, ctx)).await;
        let reply = answer
            .unwrap_or(Err(FetchError::Timeout))
            .map_err(|error| error.to_string())?;
        if !is_success(reply.status) {
            return Err(format!("HTTP status {}", reply.status));
        }
        read_datasets(&self.name, &reply.body, cpv.as_ref())
    }

    async fn ask(&self, order: &HarvestOrder, ctx: &CallContext) -> Result<Harvest, SourceError> {
        let dataset = order.dataset();
        if dataset.asynchronous {
            let error = self.error(
                SourceFailure::Broken,
                DETAIL_NOT_ASKED,
                "asynchronous dataset",
            );
            let text = "datasets that answer later are not supported by this version";
            return Err(SourceError {
                text: Some(text.to_owned()),
                ..error
            });
        }
        let token = self.token(order, ctx).await?;
        let request = self.request(order, token.as_deref())?;
        if dataset.is_binary() {
            return self.ask_bytes(request, dataset, ctx).await;
        }
        let answer = timeout_at(ctx.deadline, self.fetch.fetch(request, ctx)).await;
        let reply = answer
            .unwrap_or(Err(FetchError::Timeout))
            .map_err(|error| self.no_reply(&error))?;
        let retrieved_at = self.clock.now();
        let digest = sha256(&reply.body);
        let values = self.read_reply(&reply, dataset, retrieved_at)?;
        Ok(Harvest {
            evidence: Evidence::Values(values),
            calls: vec![SourceCall {
                id: dataset.name.clone(),
                retrieved_at,
                digest,
            }],
        })
    }

    fn request(
        &self,
        order: &HarvestOrder,
        token: Option<&Secret>,
    ) -> Result<FetchRequest, SourceError> {
        let dataset = order.dataset();
        let parameters: Vec<_> = order.parameters().iter().map(WireParameter::from).collect();
        let body = HarvesterRequest {
            organization_number: order.expose_subject_text(),
            accreditation_id: order.accreditation(),
            requestor: order.requestor().and_then(|party| party.expose_bare()),
            subject_party: order.subject().map(WireParty::from),
            requestor_party: order.requestor().map(WireParty::from),
            async_evidence_code_action: None,
            service_context: order.context(),
            evidence_code_name: order.public_name(),
            parameters: Some(parameters).filter(|parameters| !parameters.is_empty()),
            jwt: None,
            mp_token: token.map(Secret::expose),
        };
        let body = serde_json::to_vec(&body).map_err(|_unwritable| {
            self.error(
                SourceFailure::Broken,
                DETAIL_NOT_ASKED,
                "request not writable",
            )
        })?;
        let key = self.key.as_ref().map(|key| {
            let copy = Secret::new(key.expose().to_owned());
            (KEY_HEADER.to_owned(), copy)
        });
        Ok(FetchRequest {
            method: Method::Post,
            url: format!("{}/{}", self.url, path_segment(&dataset.name)),
            headers: vec![("accept", "application/json".to_owned())],
            authorization: None,
            secret_headers: key.into_iter().collect(),
            body: Some(("application/json; charset=utf-8", Bytes::from(body))),
            reply_bytes_max: if dataset.is_binary() {
                usize::try_from(dataset.bytes_max()).unwrap_or(usize::MAX)
            } else {
                REPLY_BYTES_MAX
            },
            peer: self.name.clone(),
        })
    }

    /// Only datasets with scopes of their own are asked with a token, open data and what rests on consent
    /// never (`engine.md` §5.4, §5.8). The first match of `wire-api.md` §2.5 wins: the caller's token goes
    /// out only where he says so, and one of ours is on behalf of the owner only where he says so. Never
    /// without one where one is needed (`engine.md` W-22).
    async fn token(
        &self,
        order: &HarvestOrder,
        ctx: &CallContext,
    ) -> Result<Option<Arc<Secret>>, SourceError> {
        let Some(scope) = &order.dataset().source_scopes else {
            return Ok(None);
        };
        if order.context().is_none() || order.rests_on_consent() {
            return Ok(None);
        }
        let brought = Brought::of(order);
        if let Some(token) = brought.reused.or(brought.forwarded) {
            if is_token(token.expose()) {
                return Ok(Some(token));
            }
            let cause = "the token that is offered cannot be sent";
            return Err(SourceError {
                text: Some(cause.to_owned()),
                ..self.error(SourceFailure::Refused, DETAIL_NOT_ASKED, cause)
            });
        }
        let wish = TokenWish {
            consumer: brought.on_behalf_of,
            ..TokenWish::own(scope.clone())
        };
        let issuer = self.tokens.as_ref();
        let issuer = issuer.ok_or_else(|| self.no_token("this node", "no token client"))?;
        let given = issuer.token(&wish, ctx).await;
        given.map(Some).map_err(|FactError { authority, cause }| {
            self.no_token(&authority, &format!("no token from {authority}: {cause}"))
        })
    }

    fn no_token(&self, authority: &str, cause: &str) -> SourceError {
        SourceError {
            text: Some(format!(
                "there is no token for the source: {authority} gives none"
            )),
            ..self.error(SourceFailure::Unreachable, DETAIL_NOT_ASKED, cause)
        }
    }

    fn no_reply(&self, error: &FetchError) -> SourceError {
        no_reply(&self.name, error)
    }

    /// The head of an answer that is bytes; they are passed on as they come.
    async fn ask_bytes(
        &self,
        request: FetchRequest,
        dataset: &Dataset,
        ctx: &CallContext,
    ) -> Result<Harvest, SourceError> {
        let answer = timeout_at(ctx.deadline, self.fetch.open(request, ctx)).await;
        let reply = answer
            .unwrap_or(Err(FetchError::Timeout))
            .map_err(|error| self.no_reply(&error))?;
        if !is_success(reply.status) {
            return Err(self.refused(reply.status));
        }
        let name = self.name.clone();
        Ok(Harvest {
            evidence: Evidence::Stream(Arriving {
                parts: told(reply.body, move |error| no_reply(&name, error)),
                media_type: media_type_of(reply.media_type),
                call: dataset.name.clone(),
                retrieved_at: self.clock.now(),
            }),
            calls: Vec::new(),
        })
    }

    /// The table of `wire-api.md` §7.3, with the status first.
    fn read_reply(
        &self,
        reply: &FetchReply,
        dataset: &Dataset,
        now: Timestamp,
    ) -> Result<Vec<EvidenceValue>, SourceError> {
        let status = reply.status;
        let unreadable = |reason: String| self.unreadable(reply, &reason);
        let document = || read_json(&reply.body).map_err(unreadable);
        match status {
            200..=299 => {
                let mut document = document()?;
                match document.as_array_mut().map(std::mem::take) {
                    Some(list) => read_values(list, dataset, now).map_err(unreadable),
                    None => Err(self.failed(reply, document)),
                }
            }
            400 | 502 | 503 if is_empty(&reply.body) => Err(self.unnamed(
                DETAIL_EMPTY,
                &format!("HTTP status {status} without a body"),
            )),
            500 if is_empty(&reply.body) => {
                Err(self.unnamed(DETAIL_CRASHED, "HTTP status 500 without a body"))
            }
            400 | 500 | 502 | 503 => {
                let document = document()?;
                if status == 500 && is_host_error(&document) {
                    let cause = "HTTP status 500 from the plugin's host";
                    return Err(self.unnamed(DETAIL_CRASHED, cause));
                }
                Err(self.failed(reply, document))
            }
            _ => Err(self.refused(status)),
        }
    }

    /// What the error model says; never what else stands in the body.
    fn failed(&self, reply: &FetchReply, document: Value) -> SourceError {
        let Some(model) = ErrorModel::read(document) else {
            return self.unreadable(reply, "neither values nor an error model");
        };
        let (failure, detail) = match model.code {
            Some(3001) => (SourceFailure::Transient, model.detail),
            Some(3002) => (SourceFailure::Refused, model.detail),
            Some(3003) => (SourceFailure::Broken, model.detail),
            Some(_) | None => (SourceFailure::Broken, DETAIL_OTHER_CODE),
        };
        let cause = format!(
            "HTTP status {}, code {:?}, detail {}",
            reply.status, model.code, model.detail
        );
        SourceError {
            text: Some(model.words),
            ..self.error(failure, detail, &cause)
        }
    }

    /// Any other status: the plugin is not there for us. The detail is the status.
    fn refused(&self, status: u16) -> SourceError {
        let cause = format!("HTTP status {status}");
        self.error(SourceFailure::Unreachable, u32::from(status), &cause)
    }

    fn unreadable(&self, reply: &FetchReply, reason: &str) -> SourceError {
        let cause = format!(
            "HTTP status {}, {} bytes: {reason}",
            reply.status,
            reply.body.len()
        );
        self.unnamed(DETAIL_UNREADABLE, &cause)
    }

    fn unnamed(&self, detail: u32, cause: &str) -> SourceError {
        unnamed(&self.name, detail, cause)
    }

    fn error(&self, failure: SourceFailure, detail: u32, cause: &str) -> SourceError {
        error_of(&self.name, failure, detail, cause)
    }
}

fn no_reply(plugin: &str, error: &FetchError) -> SourceError {
    let cause = error.to_string();
    match error {
        FetchError::TooLarge => unnamed(plugin, DETAIL_UNREADABLE, &cause),
        FetchError::Refused(_) | FetchError::Network(_) | FetchError::Timeout => {
            error_of(plugin, SourceFailure::Unreachable, 0, &cause)
        }
    }
}

fn unnamed(plugin: &str, detail: u32, cause: &str) -> SourceError {
    SourceError {
        source: SOURCE_UNNAMED.to_owned(),
        ..error_of(plugin, SourceFailure::Broken, detail, cause)
    }
}

fn error_of(plugin: &str, failure: SourceFailure, detail: u32, cause: &str) -> SourceError {
    SourceError {
        failure,
        source: plugin.to_uppercase(),
        detail,
        text: None,
        cause: format!("plugin {plugin}: {cause}"),
    }
}

impl Source for PluginSource {
    fn id(&self) -> &str {
        &self.name
    }

    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>> {
        Box::pin(self.ask(order, ctx))
    }
}

/// Behind an [`Arc`], because what it offers is served by itself.
impl Discover for Arc<PluginSource> {
    fn source(&self) -> Arc<dyn Source> {
        Self::clone(self)
    }

    fn discover<'a>(
        &'a self,
        cpv: Option<Arc<CpvList>>,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<Dataset>, String>> {
        Box::pin(PluginSource::discover(self, cpv, ctx))
    }
}

const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// Empty, or JSON `null`.
fn is_empty(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.is_empty() || body == b"null"
}

/// Unreserved characters stay (RFC 3986 §2.3), the rest is percent-encoded.
fn path_segment(name: &str) -> String {
    use std::fmt::Write as _;
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            write!(segment, "%{byte:02X}").unwrap_or_default();
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_the_address() {
        assert_eq!(path_segment("AdvRegBulk.zip"), "AdvRegBulk.zip");
        assert_eq!(path_segment("a/../b?c#dæ%"), "a%2F..%2Fb%3Fc%23d%C3%A6%25");
    }
}
