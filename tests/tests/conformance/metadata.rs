//! Metadata: checks 1–11.

use std::collections::BTreeSet;

use dan_tests::consumer::{Consumer, EBEVIS};
use dan_tests::proof::definition;
use dan_tests::shapes::{VALUE_TYPES, items, names, text};
use http::Method;
use serde_json::Value;

const PARAMETER_TYPES: [&str; 6] = [
    "boolean",
    "number",
    "string",
    "dateTime",
    "attachment",
    "uri",
];

async fn catalogue() -> Value {
    let answer = Consumer::anonymous()
        .get("public/metadata/evidencecodes")
        .await;
    answer.ok().json()
}

#[tokio::test]
async fn check_01_service_contexts_are_listed_to_anybody() {
    let answer = Consumer::anonymous()
        .get("public/metadata/servicecontexts")
        .await;
    let body = answer.ok().json();
    assert!(!items(&body).is_empty());
    assert!(items(&body).iter().all(Value::is_string), "{body}");
    assert!(items(&body).contains(&Value::from(EBEVIS.name)), "{body}");
}

#[tokio::test]
async fn check_02_datasets_are_listed_to_anybody_each_with_a_named_value() {
    let body = catalogue().await;
    assert!(!items(&body).is_empty());
    for dataset in items(&body) {
        text(dataset, "evidenceCodeName");
        assert!(
            !names(&dataset["values"], "evidenceValueName").is_empty(),
            "{dataset}"
        );
    }
}

#[tokio::test]
async fn check_03_a_trailing_slash_changes_nothing() {
    let answer = Consumer::anonymous()
        .get("public/metadata/evidencecodes/")
        .await;
    assert_eq!(answer.ok().json(), catalogue().await);
}

#[tokio::test]
async fn check_04_datasets_of_one_context_are_those_that_belong_to_it() {
    let nobody = Consumer::anonymous();
    let answer = nobody.get("public/metadata/evidencecodes/eBevis").await;
    let body = answer.ok().json();
    assert!(!items(&body).is_empty());
    for dataset in items(&body) {
        let contexts = items(&dataset["belongsToServiceContexts"]);
        assert!(contexts.contains(&Value::from("eBevis")), "{dataset}");
    }
    let all = catalogue().await;
    let belongs =
        |one: &&Value| items(&one["belongsToServiceContexts"]).contains(&Value::from("eBevis"));
    assert_eq!(
        items(&all).iter().filter(belongs).count(),
        items(&body).len()
    );
    let unknown = nobody.get("public/metadata/evidencecodes/ingen-slik").await;
    assert_eq!(unknown.ok().json(), Value::Array(Vec::new()));
}

#[tokio::test]
async fn check_05_the_catalogue_is_the_same_with_key_and_token() {
    let consumer = Consumer::of(EBEVIS).await;
    let answer = consumer
        .call(Method::GET, "metadata/evidencecodes")
        .header("content-type", "application/json")
        .send()
        .await;
    assert_eq!(answer.ok().json(), catalogue().await);
}

#[tokio::test]
async fn check_06_value_types_are_those_every_client_reads() {
    let body = catalogue().await;
    for dataset in items(&body) {
        for value in items(&dataset["values"]) {
            let kind = text(value, "valueType");
            assert!(VALUE_TYPES.contains(&kind), "{dataset}");
        }
    }
    // contracts.md §5: `binary` is listed as `attachment`.
    let binary = definition("PluginBinar").await;
    let kinds: BTreeSet<&str> = names(&binary["values"], "valueType");
    assert_eq!(kinds, BTreeSet::from(["attachment"]));
}

#[tokio::test]
async fn check_07_parameter_types_are_those_every_client_reads() {
    let body = catalogue().await;
    let mut seen = 0;
    for dataset in items(&body) {
        for parameter in dataset["parameters"].as_array().into_iter().flatten() {
            seen += 1;
            let kind = &parameter["paramType"];
            let known = PARAMETER_TYPES.iter().any(|known| kind == known);
            assert!(kind.is_null() || known, "{dataset}");
        }
    }
    assert!(seen > 0, "no dataset takes a parameter");
}

async fn codes(path: &str, needed: &[u64]) {
    let with_key = Consumer::of(EBEVIS).await.get(path).await.ok().json();
    let open = Consumer::anonymous().get(&format!("public/{path}")).await;
    assert_eq!(open.ok().json(), with_key);
    for entry in items(&with_key) {
        assert!(entry["code"].is_u64(), "{entry}");
        text(entry, "description");
    }
    for code in needed {
        let found = items(&with_key).iter().any(|entry| entry["code"] == *code);
        assert!(found, "no {code} in {path}");
    }
}

#[tokio::test]
async fn check_08_status_codes_are_listed() {
    codes("metadata/statuscodes", &[1, 2, 3, 4, 5]).await;
}

#[tokio::test]
async fn check_09_error_codes_are_listed() {
    codes("metadata/errorcodes", &[1004, 1019]).await;
}

#[tokio::test]
async fn check_10_a_token_that_is_none_is_ignored() {
    let path = "public/metadata/servicecontexts";
    let answer = Consumer::anonymous()
        .call(Method::GET, path)
        .header("authorization", "Bearer garbage")
        .send()
        .await;
    let expected = Consumer::anonymous().get(path).await;
    assert_eq!(answer.ok().json(), expected.ok().json());
}

#[tokio::test]
async fn check_11_pages_of_other_origins_may_read_what_is_open_and_nothing_else() {
    let nobody = Consumer::anonymous();
    let answer = nobody
        .call(Method::GET, "public/metadata/evidencecodes")
        .header("origin", "https://x.example")
        .send()
        .await
        .ok();
    let allowed = answer
        .header("access-control-allow-origin")
        .unwrap_or_default();
    assert!(["*", "https://x.example"].contains(&allowed), "{allowed}");
    let preflight = |path: &str| {
        nobody
            .call(Method::OPTIONS, path)
            .header("origin", "https://x.example")
            .header("access-control-request-method", "GET")
            .header(
                "access-control-request-headers",
                "ocp-apim-subscription-key",
            )
            .send()
    };
    let answer = preflight("opendata/x/1").await;
    assert!(answer.status.is_success(), "{}", answer.excerpt());
    let allowed = answer
        .header("access-control-allow-headers")
        .unwrap_or_default();
    let allowed = allowed.to_ascii_lowercase();
    assert!(
        allowed
            .split(',')
            .any(|name| name.trim() == "ocp-apim-subscription-key"),
        "{allowed}"
    );
    let origin = answer
        .header("access-control-allow-origin")
        .unwrap_or_default();
    assert!(["*", "https://x.example"].contains(&origin), "{origin}");
    // contracts.md §5: on for metadata and open data, off elsewhere.
    let closed = preflight("accreditations").await;
    assert_eq!(closed.header("access-control-allow-origin"), None);
    closed.readable_refusal();
}
