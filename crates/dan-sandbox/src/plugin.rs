//! A plugin as they exist for DAN, to be called unchanged (engine.md §6, wire-api.md §5.4-5.6).
//!
//! Three datasets: `PluginEnhetsfakta` (three values of which one is JSON in a string), `PluginBinar` (bytes) and
//! `PluginParameter` (a required `Aar`, and `Feil` with `midlertidig` or `varig` for the two failures of a server).

use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::control::rfc3339;
use crate::people::{self, Unit};
use crate::reply::{self, Call, Reply};

/// The function key the plugin asks for, in the header `x-functions-key`. It opens nothing but the fake world.
pub const PLUGIN_KEY: &str = "sandbox-plugin-function-key";
/// Where the plugin is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/plugin/api";

const KEY_HEADER: HeaderName = HeaderName::from_static("x-functions-key");
const SOURCE: &str = "Sandkassen";
const DESCRIPTION_SCHEMA: &str =
    r#"{"type":"object","properties":{"form":{"type":"string"},"naering":{"type":"array"}}}"#;
/// What a binary dataset answers with: neither text nor JSON.
const BINARY: &[u8] = b"\x00\x01DAN\xff\xfe sandbox\x80";

/// The three ways in which a plugin fails (engine.md §6.2).
#[derive(Clone, Copy)]
enum Failure {
    Transient,
    Client,
    Server,
}

/// Codes a plugin author chooses; these are the template's.
const UNAVAILABLE: u16 = 1001;
const INVALID_INPUT: u16 = 1002;
const NOT_FOUND: u16 = 1003;
const UNPARSABLE: u16 = 1004;

struct Refusal(Failure, u16, &'static str);

/// Answers what lies under `/plugin/`.
pub(crate) fn answer(call: &Call, now_ms: i64) -> Reply {
    let Some(name) = call.path().strip_prefix("/plugin/api/") else {
        return reply::no_such_route();
    };
    if name == "evidencecodes" {
        return if call.reads() {
            reply::ok(&evidence_codes())
        } else {
            reply::method_not_allowed("GET, HEAD")
        };
    }
    let harvest = match name {
        "PluginEnhetsfakta" => facts,
        "PluginBinar" => binary,
        "PluginParameter" => parameter,
        _ => return reply::no_such_route(),
    };
    if call.method() != Method::POST {
        return reply::method_not_allowed("POST");
    }
    if call.header(&KEY_HEADER) != Some(PLUGIN_KEY) {
        return reply::empty(StatusCode::UNAUTHORIZED);
    }
    let at = rfc3339(now_ms);
    subject(call)
        .and_then(|(unit, request)| harvest(unit, &request, &at))
        .unwrap_or_else(|refusal| error(&refusal))
}

fn subject(call: &Call) -> Result<(&'static Unit, Value), Refusal> {
    let request: Value = serde_json::from_slice(call.body())
        .ok()
        .filter(Value::is_object)
        .ok_or(Refusal(
            Failure::Client,
            INVALID_INPUT,
            "the body is not a harvest request",
        ))?;
    let number = request.get("organizationNumber").and_then(Value::as_str);
    let number = number.ok_or(Refusal(
        Failure::Client,
        INVALID_INPUT,
        "organizationNumber is missing",
    ))?;
    let unit = people::unit(number).ok_or(Refusal(
        Failure::Client,
        NOT_FOUND,
        "the organisation is unknown",
    ))?;
    Ok((unit, request))
}

fn facts(unit: &Unit, _: &Value, at: &str) -> Result<Reply, Refusal> {
    let industries: Vec<&str> = unit.industries.iter().map(|(code, _)| *code).collect();
    let described = json!({ "form": unit.form.0, "naering": industries }).to_string();
    Ok(reply::ok(&json!([
        value("navn", "string", at, &json!(unit.name)),
        value("antall", "number", at, &json!(unit.employees)),
        value("beskrivelse", "jsonSchema", at, &json!(described)),
    ])))
}

fn binary(_: &Unit, _: &Value, _: &str) -> Result<Reply, Refusal> {
    let body = Bytes::from_static(BINARY);
    Ok(reply::bytes(
        StatusCode::OK,
        "application/octet-stream",
        body,
    ))
}

fn parameter(unit: &Unit, request: &Value, at: &str) -> Result<Reply, Refusal> {
    match parameter_of(request, "Feil") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind == "midlertidig" => {
            return Err(Refusal(
                Failure::Transient,
                UNAVAILABLE,
                "the source is down, as asked for",
            ));
        }
        Some(Value::String(kind)) if kind == "varig" => {
            return Err(Refusal(
                Failure::Server,
                UNPARSABLE,
                "the source cannot be understood, as asked for",
            ));
        }
        Some(_) => {
            return Err(Refusal(
                Failure::Client,
                INVALID_INPUT,
                "Feil is midlertidig or varig",
            ));
        }
    }
    // A direct harvest delivers every parameter as text (engine.md §6.6).
    let year = match parameter_of(request, "Aar") {
        Some(Value::Number(year)) => year.as_u64(),
        Some(Value::String(year)) => year.parse().ok(),
        _ => None,
    };
    let year = year
        .filter(|year| (1900..=2100).contains(year))
        .ok_or(Refusal(
            Failure::Client,
            INVALID_INPUT,
            "Aar is a year from 1900 to 2100",
        ))?;
    Ok(reply::ok(&json!([
        value("aar", "number", at, &json!(year)),
        value("organisasjon", "string", at, &json!(unit.number)),
    ])))
}

fn parameter_of<'a>(request: &'a Value, name: &str) -> Option<&'a Value> {
    request
        .get("parameters")?
        .as_array()?
        .iter()
        .find(|parameter| {
            parameter
                .get("evidenceParamName")
                .is_some_and(|n| n == name)
        })?
        .get("value")
}

fn value(name: &str, kind: &str, at: &str, value: &Value) -> Value {
    json!({
        "evidenceValueName": name,
        "valueType": kind,
        "source": SOURCE,
        "timestamp": at,
        "value": value,
    })
}

fn error(Refusal(failure, detail, text): &Refusal) -> Reply {
    let (status, code, class) = match failure {
        Failure::Transient => (
            StatusCode::SERVICE_UNAVAILABLE,
            3001,
            "The source failed for a while",
        ),
        Failure::Client => (
            StatusCode::BAD_REQUEST,
            3002,
            "The request cannot be answered",
        ),
        Failure::Server => (StatusCode::BAD_GATEWAY, 3003, "The source failed"),
    };
    reply::json(
        status,
        &json!({
            "code": code,
            "description": format!("{class}: {text}"),
            "detailCode": detail.to_string(),
        }),
    )
}

/// The metadata as Newtonsoft writes it: a leading `$type` on every requirement.
fn evidence_codes() -> Value {
    let requestor_is_public = json!({
        "$type": "Dan.Common.Models.PartyTypeRequirement, Dan.Common",
        "allowedPartyTypes": [{ "Key": 2, "Value": 1 }],
        "failureAction": 0,
        "requiredOnEvidenceHarvester": true,
    });
    let scope_of_ebevis = json!({
        "$type": "Dan.Common.Models.MaskinportenScopeRequirement, Dan.Common",
        "requiredScopes": ["altinn:dataaltinnno/ebevis"],
        "appliesToServiceContext": ["eBevis"],
        "failureAction": 0,
        "requiredOnEvidenceHarvester": true,
    });
    let mut described = defined("beskrivelse", "jsonSchema");
    if let Some(members) = described.as_object_mut() {
        members.insert("jsonSchemaDefintion".to_owned(), json!(DESCRIPTION_SCHEMA));
    }
    let mut parameter = dataset(
        "PluginParameter",
        "Tar imot et år og gir det tilbake",
        &[defined("aar", "number"), defined("organisasjon", "string")],
        &[&requestor_is_public],
    );
    if let Some(members) = parameter.as_object_mut() {
        let parameters = json!([
            { "evidenceParamName": "Aar", "paramType": "number", "required": true },
            { "evidenceParamName": "Feil", "paramType": "string", "required": false },
        ]);
        members.insert("parameters".to_owned(), parameters);
    }
    json!([
        dataset(
            "PluginEnhetsfakta",
            "Fakta om en enhet, fra en eksisterende plugin",
            &[
                defined("navn", "string"),
                defined("antall", "number"),
                described
            ],
            &[&requestor_is_public, &scope_of_ebevis],
        ),
        dataset(
            "PluginBinar",
            "Rå byte fra en eksisterende plugin",
            &[defined("fil", "binary")],
            &[&requestor_is_public],
        ),
        parameter,
    ])
}

fn dataset(name: &str, about: &str, values: &[Value], requirements: &[&Value]) -> Value {
    json!({
        "evidenceCodeName": name,
        "description": about,
        "belongsToServiceContexts": ["eBevis", "DAN-test"],
        "isAsynchronous": false,
        "isPublic": false,
        "maxValidDays": 90,
        "serviceEditionCode": 0,
        "values": values,
        "authorizationRequirements": requirements,
    })
}

fn defined(name: &str, kind: &str) -> Value {
    json!({ "evidenceValueName": name, "source": SOURCE, "valueType": kind })
}
