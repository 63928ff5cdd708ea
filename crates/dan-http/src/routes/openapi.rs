//! The OpenAPI document, made from the route table: it cannot show what is not served.

use dan_core::error::Fault;
use serde_json::{Map, Value, json};

use super::{Access, PUBLIC_TOO, ROUTES, Route};
use crate::render::{self, Outbound};
use crate::visit::Visit;

pub(crate) async fn serve(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    render::json(&document(&visit.exchange().settings().public_url), None)
}

/// OpenAPI 3.1; addresses are relative to `public_url`.
pub(crate) fn document(public_url: &str) -> Value {
    let mut paths = Map::new();
    for route in ROUTES
        .iter()
        .filter(|route| !route.pattern.starts_with('/'))
    {
        let mut addresses = vec![format!("/{}", route.pattern)];
        if PUBLIC_TOO
            .iter()
            .any(|first| route.pattern.starts_with(first))
        {
            addresses.push(format!("/public/{}", route.pattern));
        }
        for address in addresses {
            let item = paths.entry(address).or_insert_with(|| json!({}));
            if let Value::Object(item) = item {
                item.insert(route.method.as_str().to_lowercase(), operation(route));
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "dan", "version": "v1", "description": "Datasets about organisations and persons, in real time, from the authoritative source. Compatible with data.altinn.no."},
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"},
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
            "schemas": {"Error": error_schema()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let parameter = |segment: &str| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
    };
    let mut parameters: Vec<Value> = route.pattern.split('/').filter_map(parameter).collect();
    let is_proof = route.pattern.starts_with("proofs/");
    let query = json!({"name": "query", "in": "query", "description": "JMESPath over the answer", "schema": {"type": "string", "maxLength": 4096}});
    parameters.extend((!is_proof).then_some(query));
    let success = if route.method == http::Method::DELETE {
        "204"
    } else {
        "200"
    };
    let mut answer = json!({"description": route.summary});
    if is_proof && let Value::Object(members) = &mut answer {
        let content = json!({"application/jwt": {"schema": {"type": "string"}}});
        members.insert("content".to_owned(), content);
    }
    let error = json!({"description": "An error with a code of metadata/errorcodes", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": {success: answer, "default": error},
        "security": match route.access {
            Access::Anonymous => json!([]),
            Access::Consumer => json!([{"key": [], "token": []}]),
            Access::Either => json!([{}, {"key": [], "token": []}]),
        },
    });
    if route.method == http::Method::POST
        && let Value::Object(members) = &mut operation
    {
        let body = json!({"content": {"application/json": {"schema": {"type": "object"}}}});
        members.insert("requestBody".to_owned(), body);
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words: String = route
        .pattern
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '/')
        .collect();
    format!(
        "{}-{}",
        route.method.as_str().to_lowercase(),
        words.replace('/', "-")
    )
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["code", "description"],
        "properties": {
            "code": {"type": "integer"},
            "description": {"type": "string"},
            "detailCode": {"type": "string"},
            "detailDescription": {"type": "string"},
            "rules": {"type": "array", "items": {"type": "string"}, "description": "Rules that were not met"},
            "invocationId": {"type": "string"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document() {
        let document = document("https://dan.example.no/v1");
        for route in ROUTES
            .iter()
            .filter(|route| !route.pattern.starts_with('/'))
        {
            let address = format!("/{}", route.pattern)
                .replace('~', "~0")
                .replace('/', "~1");
            let method = route.method.as_str().to_lowercase();
            assert!(
                document
                    .pointer(&format!("/paths/{address}/{method}"))
                    .is_some(),
                "{address}"
            );
        }
    }
}
