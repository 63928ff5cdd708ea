//! Answers and faults become HTTP responses.

use std::fmt::Write as _;

use bytes::Bytes;
use dan_core::error::{Code, Fault};
use dan_core::flow::{Envelope, Released, Streamed};
use dan_core::projection::Query;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONNECTION, CONTENT_TYPE,
    HeaderName, HeaderValue, LINK, LOCATION, RETRY_AFTER, TRAILER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::body::{AnswerBody, CONTENT_DIGEST, SIGNATURE, StreamBody, content_digest};
use crate::wire::fault::{WireFault, WireProblem};

/// What the server sends.
pub(crate) type Outbound = Response<AnswerBody>;

/// Media type of model answers (`wire-api.md` §3.1).
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Media type of errors, `version` and `ccr`.
const JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Identifier of the request.
const INVOCATION: HeaderName = HeaderName::from_static("x-invocationid");
/// Version and commit of the node.
const VERSION: HeaderName = HeaderName::from_static("x-version");

/// Seconds after which an answer may find room again.
const NO_ROOM_RETRY_S: u32 = 5;

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Outbound {
    let mut response = Response::new(AnswerBody::default());
    *response.status_mut() = status;
    response
}

/// A model answer, compact, with the client's query applied.
///
/// # Errors
/// 1027 when the query does not fit.
pub(crate) fn json(value: &impl Serialize, query: Option<&Query>) -> Result<Outbound, Fault> {
    let internal = |error: serde_json::Error| Fault::new(Code::InternalServerError).because(error);
    let body = match query {
        None => serde_json::to_vec(value).map_err(internal)?,
        Some(query) => {
            let document = serde_json::to_value(value).map_err(internal)?;
            serde_json::to_vec(&query.apply(&document)?).map_err(internal)?
        }
    };
    Ok(with_body(StatusCode::OK, Bytes::from(body), JSON))
}

/// JSON with a charset, as `version` and `ccr` have it.
pub(crate) fn json_utf8(value: &impl Serialize) -> Result<Outbound, Fault> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Fault::new(Code::InternalServerError).because(error))?;
    Ok(with_body(StatusCode::OK, Bytes::from(body), JSON_UTF8))
}

/// Text that is JSON already.
pub(crate) fn json_text(text: String) -> Outbound {
    with_body(StatusCode::OK, Bytes::from(text), JSON)
}

/// Evidence, in one piece or as it arrives; proofs are found below `public_url`.
///
/// # Errors
/// 1015 when the media type of a source is no header value.
pub(crate) fn evidence(released: Released, public_url: &str) -> Result<Outbound, Fault> {
    let mut response = match released {
        Released::Whole(envelope) => whole(envelope)?,
        Released::Streamed(streamed) => stream(streamed, public_url)?,
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(VARY, HeaderValue::from(ACCEPT));
    Ok(response)
}

/// The bytes that were signed, their digest and the statement.
fn whole(envelope: Envelope) -> Result<Outbound, Fault> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    if let Some(media_type) = &envelope.media_type {
        headers.insert(CONTENT_TYPE, field(media_type)?);
    }
    headers.insert(CONTENT_DIGEST, field(&content_digest(&envelope.digest))?);
    headers.insert(SIGNATURE, field(&envelope.signature)?);
    *response.body_mut() = AnswerBody::from(envelope.body);
    Ok(response)
}

/// A head that says what will follow the body, and where it is found by those who do not see it there.
fn stream(streamed: Box<Streamed>, public_url: &str) -> Result<Outbound, Fault> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, field(streamed.media_type())?);
    headers.insert(
        TRAILER,
        HeaderValue::from_static("content-digest, x-signature-jwt"),
    );
    let proof = format!(
        "<{}/proofs/{}>; rel=\"describedby\"; type=\"application/jwt\"",
        public_url.trim_end_matches('/'),
        streamed.release()
    );
    headers.insert(LINK, field(&proof)?);
    *response.body_mut() = AnswerBody::Stream(Box::new(StreamBody::new(streamed)));
    Ok(response)
}

/// A statement, for whom it is.
pub(crate) fn proof(statement: String) -> Outbound {
    let media_type = HeaderValue::from_static("application/jwt");
    let mut response = with_body(StatusCode::OK, Bytes::from(statement), media_type);
    let kept = HeaderValue::from_static("private, no-store");
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}

fn field(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text)
        .map_err(|error| Fault::new(Code::InternalServerError).because(error))
}

/// An error body; logged once, by the caller.
pub(crate) fn fault(fault: &Fault, invocation_id: &str) -> Outbound {
    let body = serde_json::to_vec(&WireFault::of(fault, invocation_id)).unwrap_or_default();
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_body(status, Bytes::from(body), JSON_UTF8);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = fault.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, challenge(fault.code));
    }
    response
}

/// In place of an answer, whose head this was, when too many others wait to be taken.
pub(crate) fn no_room(head: &HeaderMap) -> Outbound {
    let id = head.get(INVOCATION).and_then(|id| id.to_str().ok());
    let full = Fault::new(Code::ServiceNotAvailable).retry_after(NO_ROOM_RETRY_S);
    let mut response = fault(&full, id.unwrap_or_default());
    let kept = [
        INVOCATION,
        VERSION,
        X_CONTENT_TYPE_OPTIONS,
        ACCESS_CONTROL_ALLOW_ORIGIN,
    ];
    for name in kept {
        if let Some(value) = head.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// `wire-api.md` §2.1, last paragraph.
fn challenge(code: Code) -> HeaderValue {
    if code == Code::InvalidAccessToken {
        HeaderValue::from_static(r#"Bearer realm="data.altinn.no",error="invalid_token""#)
    } else {
        HeaderValue::from_static(r#"Bearer realm="data.altinn.no""#)
    }
}

fn with_body(status: StatusCode, body: Bytes, media_type: HeaderValue) -> Outbound {
    let mut response = empty(status);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    *response.body_mut() = AnswerBody::from(body);
    response
}

/// Points to the status of a new grant (`wire-api.md` §4.1, 6).
pub(crate) fn set_location(response: &mut Outbound, public_url: &str, id: &str) {
    let mut location = String::new();
    if write!(
        location,
        "{}/evidence/{id}",
        public_url.trim_end_matches('/')
    )
    .is_ok()
        && let Ok(value) = HeaderValue::from_str(&location)
    {
        response.headers_mut().insert(LOCATION, value);
    }
}

/// Where the next page of a list is (RFC 8288).
pub(crate) fn set_next(response: &mut Outbound, address: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("<{address}>; rel=\"next\"")) {
        response.headers_mut().insert(LINK, value);
    }
}

/// An error of a route that data.altinn.no does not have: problem details (RFC 9457) that carry
/// the same code.
pub(crate) fn problem(fault: &Fault, invocation_id: &str) -> Outbound {
    let mut response = self::fault(fault, invocation_id);
    let body = serde_json::to_vec(&WireProblem::of(fault, invocation_id)).unwrap_or_default();
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    *response.body_mut() = AnswerBody::from(Bytes::from(body));
    response
}

/// Any page may read public answers.
pub(crate) fn allow_any_origin(response: &mut Outbound) {
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// The answer to a preflight: which headers a page may send (`clients.md` check 11).
pub(crate) fn preflight() -> Outbound {
    let mut response = empty(StatusCode::NO_CONTENT);
    allow_any_origin(&mut response);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, OPTIONS"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("ocp-apim-subscription-key, authorization, accept, content-type"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

/// What every response carries.
pub(crate) fn finish(response: &mut Outbound, invocation_id: &str, version: &HeaderValue) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(invocation_id) {
        headers.insert(INVOCATION, id);
    }
    headers.insert(VERSION, version.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Says that the connection ends with this answer.
pub(crate) fn close(response: &mut Outbound) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}
