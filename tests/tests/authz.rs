//! The authorization matrix: every route of the OpenAPI document × every kind of caller, against a
//! reviewed snapshot. A new route fails here until somebody has looked at who may call it.
//!
//! `DAN_WRITE_SNAPSHOTS=1` writes `tests/data/authz.snap` instead of comparing; the difference is
//! then read like code.

use std::collections::BTreeMap;

use dan_tests::consumer::{
    AGENCY, COMPANY, Consumer, EBEVIS, OWNER, PERSON, TILDA, application, token,
};
use http::Method;
use serde_json::{Value, json};

/// What stands in for the segments of an address.
fn filled(pattern: &str, grant: &str) -> String {
    pattern
        .trim_start_matches('/')
        .replace("{id}", grant)
        .replace("{dataset}", "UnitBasicInformation")
        .replace("{identifier}", COMPANY)
        .replace("{context}", "eBevis")
        .replace("{number}", COMPANY)
        .replace("{release}", "00000000-0000-4000-8000-000000000000")
}

/// Every kind of caller there is; an administrator has no routes on the public listener.
async fn callers() -> Vec<(&'static str, Consumer)> {
    let right = Consumer::of(EBEVIS).await;
    let no_scope = token(&format!("scopes=other:scope&orgNo={OWNER}")).await;
    let scope = "altinn:dataaltinnno/ebevis";
    let unknown = token(&format!("scopes={scope}&orgNo={OWNER}&key=unknown")).await;
    let person = token(&format!("scopes={scope}&orgNo={OWNER}&pid={PERSON}")).await;
    vec![
        ("nobody", Consumer::anonymous()),
        ("key only", right.without_token()),
        ("token only", right.without_key()),
        ("false token", Consumer::with(EBEVIS, &unknown)),
        ("no scope", Consumer::with(EBEVIS, &no_scope)),
        ("a person's token", Consumer::with(EBEVIS, &person)),
        ("other context", Consumer::of_owner(TILDA, OWNER).await),
        ("other owner", Consumer::of_owner(EBEVIS, AGENCY).await),
        ("right one", right),
    ]
}

/// Method and pattern of every route, from the document that is served.
async fn routes() -> Vec<(Method, String)> {
    let document = Consumer::anonymous().get("public/metadata/oas/json").await;
    let document = document.ok().json();
    let mut routes = Vec::new();
    for (pattern, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            routes.push((method, pattern.clone()));
        }
    }
    assert!(routes.len() > 20);
    routes
}

/// Status and code; a grant of its own for each call, so that a deletion takes nothing from the next.
async fn ask(consumer: &Consumer, method: &Method, pattern: &str) -> String {
    let grant = match pattern.contains("{id}") {
        true => Consumer::of(EBEVIS).await.granted().await,
        false => Value::Null,
    };
    let mut path = filled(pattern, grant["id"].as_str().unwrap_or_default());
    if path.starts_with("directharvest") && *method == Method::GET {
        path = format!("{path}?subject={COMPANY}");
    }
    let mut call = consumer.call(method.clone(), &path);
    if *method == Method::POST {
        call = match path.starts_with("authorization") {
            true => call.json(&application("UnitBasicInformation")),
            false => call.json(&json!({"subject": COMPANY})),
        };
    }
    let answer = call.send().await;
    let status = answer.status.as_u16();
    if status < 400 {
        return status.to_string();
    }
    // Routes that are new here answer problem details, which carry the code too.
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    format!("{status}/{}", body["code"])
}

#[tokio::test]
async fn who_may_call_what_is_as_it_was_reviewed() {
    let callers = callers().await;
    let mut matrix: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (method, pattern) in routes().await {
        let mut row = Vec::new();
        for (name, caller) in &callers {
            row.push(format!("{name} {}", ask(caller, &method, &pattern).await));
        }
        matrix.insert(format!("{pattern} {method}"), row);
    }
    let lines = matrix
        .iter()
        .map(|(route, row)| format!("{route}\n  {}\n", row.join(", ")));
    let now: String = lines.collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/authz.snap");
    if std::env::var_os("DAN_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(path, &now).unwrap();
        return;
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        now, reviewed,
        "review the change, then write the snapshot anew"
    );
}
