//! API keys over the management listener: the same acts as `dan keys`, for programs.
//!
//! Open to nobody until the operator has set a token; then to those who send it.

use std::net::IpAddr;

use dan_core::caller::Allowance;
use dan_core::error::{Code, Fault};
use dan_core::network::Network;
use dan_core::party::OrgNumber;
use dan_core::ports::{ApiKeyRecord, IssuedKey, KeyError, KeyGrant, KeyUse, StoreError};
use dan_core::strict;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use super::Management;
use crate::limits::read_body;
use crate::render::{self, Outbound};
use crate::request_body::RequestBody;

/// Largest request body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Days an old key keeps working after it was replaced, unless the request says otherwise.
pub const OVERLAP_DAYS_DEFAULT: u32 = 14;

/// How much of a path a log line shows, in bytes.
const PATH_SHOWN_MAX: usize = 64;

/// Body of `POST /keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    context: String,
    org: Option<String>,
    name: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
    per_second: Option<u32>,
    per_day: Option<u32>,
    days: Option<u32>,
}

/// Body of `POST /keys/{id}/rotate`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap_days: Option<u32>,
}

/// A key as it is shown to an operator: everything but the key.
#[must_use]
pub fn key_view(key: &ApiKeyRecord, used: Option<&KeyUse>) -> Value {
    json!({
        "id": key.id,
        "context": key.context_id,
        "org": key.org.map(|org| org.to_string()),
        "name": key.name,
        "created": key.created.to_string(),
        "expires": key.expires.map(|moment| moment.to_string()),
        "replaces": key.replaces,
        "scopes": key.scopes,
        "networks": key.networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "per_second": key.allowance.per_second,
        "per_day": key.allowance.per_day,
        "last_used": used.map(|used| used.last_used.to_string()),
    })
}

/// A key that was just made, with the key itself.
#[must_use]
pub fn issued_view(issued: &IssuedKey) -> Value {
    let mut view = key_view(&issued.record, None);
    if let Value::Object(members) = &mut view {
        members.insert("key".to_owned(), issued.key.expose().into());
    }
    view
}

/// Answers below `/keys`.
pub(super) async fn answer(
    management: &Management,
    request: Request<RequestBody>,
    peer: IpAddr,
) -> Outbound {
    let id = management.exchange.new_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match serve(management, request).await {
        Ok(response) => response,
        Err(fault) => render::problem(&fault, &id),
    };
    // Who did it, beside the row of the trail that says what was done.
    tracing::info!(
        event = "keys.managed",
        request.id = id,
        client.address = tracing::field::display(peer),
        method = method.as_str(),
        path = path.get(..PATH_SHOWN_MAX).unwrap_or(&path),
        status = response.status().as_u16(),
        "API keys were managed"
    );
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

async fn serve(management: &Management, request: Request<RequestBody>) -> Result<Outbound, Fault> {
    let (parts, body) = request.into_parts();
    open(management, &parts.headers)?;
    let body = read_body(body, BODY_BYTES_MAX).await?;
    let path = parts.uri.path().trim_end_matches('/');
    let mut segments = path.split('/').skip(2);
    let place = (segments.next(), segments.next(), segments.next());
    match (&parts.method, place) {
        (&Method::GET, (None, ..)) => list(management).await,
        (&Method::POST, (None, ..)) => create(management, &body).await,
        (&Method::POST, (Some(id), Some("rotate"), None)) => rotate(management, id, &body).await,
        (&Method::DELETE, (Some(id), None, None)) => {
            let ended = management.desk.revoke(id).await.map_err(fault_of)?;
            render::json(&key_view(&ended, None), None)
        }
        _ => Err(not_found(
            "GET and POST /keys, POST /keys/{id}/rotate, DELETE /keys/{id}",
        )),
    }
}

/// Only who has the operator's token gets further; without one, nobody.
fn open(management: &Management, headers: &HeaderMap) -> Result<(), Fault> {
    let Some(token) = &management.token else {
        return Err(not_found(
            "keys are managed here once management.token is set; until then use `dan keys`",
        ));
    };
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|value| value.strip_prefix("Bearer "));
    let same = presented
        .is_some_and(|presented| bool::from(presented.as_bytes().ct_eq(token.expose().as_bytes())));
    if same {
        Ok(())
    } else {
        Err(Fault::with(
            Code::InvalidAccessToken,
            "send the management token in the header Authorization: Bearer …",
        ))
    }
}

async fn list(management: &Management) -> Result<Outbound, Fault> {
    let keys = management.desk.list().await.map_err(fault_of)?;
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| key_view(&key.record, key.used.as_ref()))
        .collect();
    render::json(&json!({ "keys": keys }), None)
}

async fn create(management: &Management, body: &[u8]) -> Result<Outbound, Fault> {
    let wish: NewKey = read(body)?;
    let catalog = management.exchange.catalog();
    let ids: Vec<&str> = catalog
        .contexts()
        .iter()
        .map(|context| context.id.as_str())
        .collect();
    let Some(context) = ids.iter().find(|id| id.eq_ignore_ascii_case(&wish.context)) else {
        return Err(invalid(format!(
            "no such service context; known: {}",
            ids.join(", ")
        )));
    };
    let org = wish.org.map(|org| {
        OrgNumber::parse(&org).ok_or_else(|| invalid("org is no valid organisation number"))
    });
    let org = org.transpose()?;
    let networks = wish.networks.iter().map(|text| {
        Network::parse(text).ok_or_else(|| invalid("a network is written 198.51.100.0/24"))
    });
    let fallback = || {
        org.map_or_else(
            || "unbound".to_owned(),
            |org| format!("{org} for {context}"),
        )
    };
    let grant = KeyGrant {
        context_id: (*context).to_owned(),
        org,
        name: wish.name.unwrap_or_else(fallback),
        expires: wish
            .days
            .map(|days| management.exchange.now().plus_days(days)),
        scopes: wish.scopes,
        networks: networks.collect::<Result<_, Fault>>()?,
        allowance: Allowance {
            per_second: wish.per_second,
            per_day: wish.per_day,
        },
    };
    let issued = management.desk.create(grant).await.map_err(fault_of)?;
    created(&issued_view(&issued))
}

async fn rotate(management: &Management, id: &str, body: &[u8]) -> Result<Outbound, Fault> {
    let wish = if body.is_empty() {
        Rotation::default()
    } else {
        read(body)?
    };
    let overlap_days = wish.overlap_days.unwrap_or(OVERLAP_DAYS_DEFAULT);
    let (issued, old) = management
        .desk
        .rotate(id, overlap_days)
        .await
        .map_err(fault_of)?;
    let mut view = issued_view(&issued);
    if let Value::Object(members) = &mut view {
        members.insert("old".to_owned(), key_view(&old, None));
    }
    created(&view)
}

fn created(view: &Value) -> Result<Outbound, Fault> {
    let mut response = render::json(view, None)?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// A strict object: no key twice, no key we do not know.
fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Fault> {
    let members: Map<String, Value> =
        strict::json_object(body).map_err(|error| invalid(format!("the body: {error}")))?;
    serde_json::from_value(Value::Object(members))
        .map_err(|error| invalid(format!("the body: {error}")))
}

fn invalid(why: impl Into<String>) -> Fault {
    Fault::with(Code::InvalidAuthorizationRequest, why)
}

fn not_found(why: &str) -> Fault {
    Fault::with(Code::InvalidAuthorizationRequest, why).status(404)
}

fn fault_of(error: KeyError) -> Fault {
    match error {
        KeyError::Unknown => not_found("there is no such API key"),
        KeyError::Ended(_)
        | KeyError::Overlapping { .. }
        | KeyError::Store(StoreError::Conflict) => invalid(error.to_string()).status(409),
        KeyError::Invalid(why) => invalid(why),
        KeyError::Store(error @ (StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
            Fault::with(Code::ServiceNotAvailable, "the node's own store")
                .because(format!("{error:?}"))
        }
    }
}
