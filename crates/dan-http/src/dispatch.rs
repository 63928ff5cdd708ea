//! The whole pipeline on one page: limits → route → authenticate → handler → render.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use dan_core::caller::Caller;
use dan_core::error::{Code, Fault};
use dan_core::flow::authenticate;
use dan_core::limits::Standing;
use dan_core::ports::{CallContext, Credentials};
use dan_core::secret::Secret;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Version};
use tokio::time::{Instant, timeout_at};

use crate::Node;
use crate::body::AnswerBody;
use crate::client_cert::{self, of_request};
use crate::limits::{
    BODY_BYTES_MAX, IGNORED_BODY_BYTES_MAX, REQUEST_TIME_MAX, client_address, read_body,
};
use crate::listen::{Inbound, PeerInfo};
use crate::query_string::QueryString;
use crate::rate_limit;
use crate::render::{self, Outbound};
use crate::request_body::RequestBody;
use crate::routes::{Access, Found, Route, find};
use crate::visit::Visit;

/// Header and query names an API key may come under (`clients.md` check 19).
const KEY_NAMES: [&str; 2] = ["ocp-apim-subscription-key", "subscription-key"];

impl Node {
    /// Answers one request; never fails, whatever comes in.
    pub async fn answer(self: Arc<Self>, inbound: Inbound, peer: PeerInfo) -> Outbound {
        let started = Instant::now();
        let id = self.exchange.new_id();
        let deadline = started.checked_add(REQUEST_TIME_MAX).unwrap_or(started);
        let ctx = CallContext {
            request_id: Arc::from(id.as_str()),
            deadline,
        };
        let mut notes = Notes::default();
        let mut response = match inbound {
            Inbound::Refused(refusal) => {
                self.exchange.meter().requests_refused.count();
                let fault = Fault::with(Code::InvalidAuthorizationRequest, refusal.reason)
                    .status(refusal.status);
                notes.fault(&fault);
                let mut response = render::fault(&fault, &id);
                render::close(&mut response);
                response
            }
            Inbound::Request(request) => self.respond(request, peer, &ctx, &mut notes).await,
        };
        render::finish(&mut response, &id, &self.version);
        notes.write(&self, &ctx, &response, started);
        response
    }

    async fn respond(
        &self,
        request: Request<RequestBody>,
        peer: PeerInfo,
        ctx: &CallContext,
        notes: &mut Notes,
    ) -> Outbound {
        let (parts, body) = request.into_parts();
        if let Err(fault) = self.names_us(&parts) {
            notes.fault(&fault);
            let mut response = render::fault(&fault, &ctx.request_id);
            render::close(&mut response);
            return response;
        }
        let found = find(&parts.method, parts.uri.path());
        let (route, path) = match found {
            Ok(Found::Route(route, path)) => (route, path),
            Ok(Found::Preflight) => return render::preflight(),
            Ok(Found::Nothing) => {
                let fault = Fault::with(
                    Code::InvalidAuthorizationRequest,
                    "there is no such address; see /v1/public/metadata/oas/json",
                );
                notes.fault(&fault);
                return render::fault(&fault.status(404), &ctx.request_id);
            }
            Err(fault) => {
                notes.fault(&fault);
                return render::fault(&fault, &ctx.request_id);
            }
        };
        notes.route = Some(route.pattern);
        let arrival = Arrival {
            path,
            parts,
            body,
            peer,
        };
        let work = self.serve(route, arrival, ctx, notes);
        let mut response = match work.await {
            Ok(response) => response,
            Err(fault) => {
                notes.fault(&fault);
                if fault.code == Code::QuotaExceeded {
                    self.pause.hold().await;
                }
                let mut response = if route.is_new_here() {
                    render::problem(&fault, &ctx.request_id)
                } else {
                    render::fault(&fault, &ctx.request_id)
                };
                if matches!(fault.status, 408 | 413) {
                    render::close(&mut response);
                }
                response
            }
        };
        rate_limit::tell(&mut response, &notes.standings);
        if route.cors {
            render::allow_any_origin(&mut response);
        }
        response
    }

    /// An absolute-form target must name this node (`security.md` §1.3.1). Over HTTP/2 every target has a host, which
    /// is no more than the Host field is over HTTP/1.1.
    fn names_us(&self, parts: &Parts) -> Result<(), Fault> {
        let Some(authority) = parts.uri.authority() else {
            return Ok(());
        };
        let host = authority.host();
        let ours = self
            .host_names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host));
        if ours || parts.version == Version::HTTP_2 {
            return Ok(());
        }
        Err(Fault::with(
            Code::InvalidAuthorizationRequest,
            "the request target names another host; send the path alone",
        )
        .status(400))
    }

    async fn serve(
        &self,
        route: &'static Route,
        arrival: Arrival,
        ctx: &CallContext,
        notes: &mut Notes,
    ) -> Result<Outbound, Fault> {
        let Arrival {
            path,
            parts,
            body,
            peer,
        } = arrival;
        let query = QueryString::parse(parts.uri.query().unwrap_or_default())?;
        let late = |_elapsed| Fault::with(Code::ServiceNotAvailable, "no answer within 90 s");
        let asks_as_somebody = match route.access {
            Access::Anonymous => false,
            Access::Consumer => true,
            Access::Either => self.presents(&parts.headers, &query, &peer),
        };
        let (caller, admission) = match asks_as_somebody {
            false => (None, None),
            true => {
                let credentials = self
                    .credentials(&parts.headers, &query, &peer)
                    .inspect_err(|fault| {
                        let presented = self.unread(&parts.headers, &peer);
                        self.note_stranger(fault, &presented, ctx);
                    })?;
                let proving = authenticate(&self.chain, &credentials, ctx);
                let caller = timeout_at(ctx.deadline, proving).await.map_err(late)?;
                let caller = caller.inspect_err(|fault| {
                    self.note_stranger(fault, &Presented::of(&credentials), ctx);
                })?;
                notes.caller = Some(caller.clone());
                let admission = timeout_at(ctx.deadline, self.exchange.admit(&caller))
                    .await
                    .map_err(late)?
                    .map_err(|unadmitted| {
                        notes.standings = unadmitted.standings;
                        unadmitted.fault
                    })?;
                notes.standings.clone_from(&admission.standings);
                (Some(caller), Some(admission))
            }
        };
        let body = body_for(&parts.method, body, ctx).await?;
        let visit = Visit {
            node: self,
            ctx,
            caller: caller.as_ref(),
            path: &path,
            query: &query,
            headers: &parts.headers,
            version: parts.version,
            body,
        };
        let answered = timeout_at(ctx.deadline, (route.handler)(&visit)).await;
        let mut response = answered.map_err(late)??;
        // A request whose answer still arrives is still under way.
        if let AnswerBody::Stream(stream) = response.body_mut() {
            stream.hold(admission);
        }
        Ok(response)
    }

    /// The one event about a request whose sender was not let in: what was wrong and from where, and nothing of what
    /// was presented (`security.md` §3).
    fn note_stranger(&self, fault: &Fault, presented: &Presented, ctx: &CallContext) {
        self.exchange.meter().callers_refused.count();
        tracing::warn!(
            event = "caller.refused",
            request.id = tracing::field::display(&ctx.request_id),
            client.address = tracing::field::display(presented.address),
            presented.key = presented.key,
            presented.token = presented.token,
            presented.certificate = presented.certificate,
            fault.code = fault.code.number(),
            reason = fault
                .cause
                .as_deref()
                .or(fault.text.as_deref())
                .unwrap_or_default(),
            "a caller was not let in"
        );
    }

    /// Whether a key or a token comes with the request, good or not. A certificate alone says nothing: browsers and
    /// proxies present one everywhere.
    fn presents(&self, headers: &HeaderMap, query: &QueryString, peer: &PeerInfo) -> bool {
        let unread = self.unread(headers, peer);
        unread.key || unread.token || KEY_NAMES.iter().any(|name| query.get(name).is_some())
    }

    /// What was presented in a way that nobody can read.
    fn unread(&self, headers: &HeaderMap, peer: &PeerInfo) -> Presented {
        Presented {
            address: client_address(peer.address.ip(), headers, &self.proxies),
            key: KEY_NAMES.iter().any(|name| headers.contains_key(*name)),
            token: headers.contains_key(AUTHORIZATION),
            certificate: headers.contains_key(client_cert::CERTIFICATE),
        }
    }

    /// What the request presents. `X-NADOBE-*` and `Client-Cert` (RFC 9440) count from trusted proxies only (`contracts.md` §5).
    fn credentials(
        &self,
        headers: &HeaderMap,
        query: &QueryString,
        peer: &PeerInfo,
    ) -> Result<Credentials, Fault> {
        let address = peer.address.ip();
        let trusted = self.proxies.iter().any(|network| network.contains(address));
        let certificate = of_request(peer, headers, trusted)?;
        let from_header = KEY_NAMES.iter().find_map(|name| headers.get(*name));
        let api_key = match from_header {
            Some(value) => value.to_str().ok().map(str::to_owned),
            None => KEY_NAMES
                .iter()
                .find_map(|name| query.get(name))
                .map(str::to_owned),
        };
        let forwarded = headers.get("x-nadobe-authorization").filter(|_| trusted);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(Fault::with(
                Code::InvalidAccessToken,
                "two Authorization headers",
            ));
        }
        let bearer = forwarded
            .or(first)
            .and_then(|value| value.to_str().ok())
            .map(token_of);
        Ok(Credentials {
            api_key: api_key.map(|key| Secret::new(key.trim().to_owned())),
            bearer: bearer.map(|token| Arc::new(Secret::new(token.to_owned()))),
            certificate,
            address: client_address(address, headers, &self.proxies),
        })
    }
}

/// From where a request comes, and which kinds of proof it brings, good or not.
struct Presented {
    address: IpAddr,
    key: bool,
    token: bool,
    certificate: bool,
}

impl Presented {
    fn of(credentials: &Credentials) -> Self {
        Self {
            address: credentials.address,
            key: credentials.api_key.is_some(),
            token: credentials.bearer.is_some(),
            certificate: credentials.certificate.is_some(),
        }
    }
}

/// A request that found its route.
struct Arrival {
    path: Vec<String>,
    parts: Parts,
    body: RequestBody,
    peer: PeerInfo,
}

/// The token after the scheme; a bare token counts too. `Bearer` twice is left to be refused.
fn token_of(value: &str) -> &str {
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => value,
    }
}

async fn body_for(method: &Method, body: RequestBody, ctx: &CallContext) -> Result<Bytes, Fault> {
    let late = |_elapsed| {
        Fault::with(
            Code::InvalidAuthorizationRequest,
            "the body did not arrive in time",
        )
        .status(408)
    };
    let limit = if *method == Method::POST {
        BODY_BYTES_MAX
    } else {
        IGNORED_BODY_BYTES_MAX
    };
    let body = timeout_at(ctx.deadline, read_body(body, limit))
        .await
        .map_err(late)??;
    Ok(if *method == Method::POST {
        body
    } else {
        Bytes::new()
    })
}

/// What is learnt of a request on its way. Makes one log line: no query string, no header, no body, nothing of a person.
#[derive(Default)]
struct Notes {
    route: Option<&'static str>,
    caller: Option<Caller>,
    standings: Vec<Standing>,
    code: Option<u16>,
    cause: Option<String>,
}

impl Notes {
    fn fault(&mut self, fault: &Fault) {
        self.code = Some(fault.code.number());
        self.cause.clone_from(&fault.cause);
    }

    fn write(&self, node: &Node, ctx: &CallContext, response: &Outbound, started: Instant) {
        let meter = node.exchange.meter();
        meter.requests.count();
        let status = response.status();
        if status.is_server_error() && self.code == Some(Code::InternalServerError.number()) {
            meter.faults_internal.count();
        }
        let owner = self
            .caller
            .as_ref()
            .map(|caller| caller.owner().to_string());
        let line = tracing::field::display;
        let (request_id, route) = (line(&ctx.request_id), self.route.unwrap_or("none"));
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (owner, cause) = (
            owner.unwrap_or_default(),
            self.cause.as_deref().unwrap_or_default(),
        );
        let (code, status) = (self.code.unwrap_or_default(), status.as_u16());
        if status == 500 {
            tracing::error!(
                request.id = request_id,
                route,
                caller.owner = owner,
                status,
                fault.code = code,
                duration_ms,
                cause,
                "request failed"
            );
        } else {
            tracing::info!(
                request.id = request_id,
                route,
                caller.owner = owner,
                status,
                fault.code = code,
                duration_ms,
                cause,
                "request"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_whatever_the_scheme_looks_like() {
        for text in ["Bearer t", "bearer t", "BEARER  t ", "t"] {
            assert_eq!(token_of(text), "t", "{text}");
        }
        assert_eq!(token_of("Bearer Bearer t"), "Bearer t");
        assert_eq!(token_of("Basic dXNlcjpw"), "Basic dXNlcjpw");
    }
}
