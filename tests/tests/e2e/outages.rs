//! What others fail at is told as that, is not held against the caller, and heals without a restart.

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, DAN_TEST, EBEVIS, NOBODY, OWNER};
use dan_tests::node::{Client, Node, proven_by, until};
use dan_tests::shapes::{names, text};
use serde_json::{Value, json};
use toml::Table;

use crate::place::{DATASET, Place, harvest};
use crate::stub::Address;

/// The name of the plugin of the sandbox's outside world.
const PLUGIN: &str = "sandbox-plugin";
/// What it offers.
const PLUGIN_DATASET: &str = "PluginEnhetsfakta";

/// Asks until it is answered with evidence; on the way there is no other refusal than that.
async fn recovered(client: &Client, dataset: &str, meanwhile: (u16, u64)) -> Answer {
    until("the node has recovered", async || {
        let answer = harvest(client, dataset).await;
        if answer.status.is_success() {
            return Some(answer);
        }
        answer.refused(meanwhile.0, meanwhile.1);
        None
    })
    .await
}

async fn description(answer: &Answer) -> String {
    text(&answer.json(), "description").to_owned()
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_503_until_it_is_up() {
    let place = Place::new().await;
    let (_, key) = place.key(EBEVIS, OWNER).await;
    // The generator is no part of the issuer that fails.
    place
        .sandbox
        .break_it("issuer", &json!({"status": 503}))
        .await;
    let node = place.node().await;
    assert_eq!(node.ready().await["ready"], true);
    let token = place.sandbox.token(EBEVIS.scope, OWNER).await;
    let client = node.client(&key, &token);
    let answer = harvest(&client, DATASET).await;
    answer.refused(503, 1013);
    let why = description(&answer).await;
    assert!(why.contains("who calls cannot be checked"), "{why}");
    // Who lacks a key is told so, and what needs nobody's word is answered.
    harvest(&node.client("", &token), DATASET)
        .await
        .refused(401, 1023);
    let nobody = node.anonymous();
    let open = nobody.get(&format!("opendata/{DATASET}/{COMPANY}")).await;
    proven_by(&open, &node.keys().await);

    place
        .sandbox
        .break_it("issuer", &json!({"drop": true}))
        .await;
    harvest(&client, DATASET).await.refused(503, 1013);
    place.sandbox.mend("issuer").await;
    let answer = recovered(&client, DATASET, (503, 1013)).await;
    proven_by(&answer, &node.keys().await);
    // Once its keys are known, a failing issuer stops nobody.
    place
        .sandbox
        .break_it("issuer", &json!({"status": 500}))
        .await;
    proven_by(&harvest(&client, DATASET).await, &node.keys().await);
}

#[tokio::test]
async fn a_register_that_is_down_is_not_a_subject_that_is_not_found() {
    let mut place = Place::new().await;
    let address = Address::reserve();
    // As an authority only; the sources are well.
    place.set("registry", "url", address.base());
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let answer = harvest(&client, DATASET).await;
    answer.refused(503, 1013);
    let why = description(&answer).await;
    assert!(why.contains("the entity register"), "{why}");
    let application = json!({
        "requestor": OWNER,
        "subject": COMPANY,
        "evidenceRequests": [{"evidenceCodeName": DATASET}],
    });
    let refused = client.post("authorization", &application).await;
    refused.refused(503, 1013);
    let nobody = node.anonymous();
    let unit = nobody.get(&format!("ccr/{COMPANY}")).await;
    unit.refused(503, 1013);

    let up = address.serve(|target| {
        let number = target.rsplit('/').next().unwrap_or_default();
        let known = target.starts_with("/enheter/") && number != NOBODY;
        let unit = json!({
            "organisasjonsnummer": number,
            "navn": "EN ENHET",
            "organisasjonsform": {"kode": "ORGL"},
        });
        if known { (200, unit) } else { (404, json!({})) }
    });
    let answer = recovered(&client, DATASET, (503, 1013)).await;
    proven_by(&answer, &node.keys().await);
    // Now that it can be asked, not found is not found.
    let path = format!("directharvest/{DATASET}?subject={NOBODY}");
    client.get(&path).await.refused(400, 1004);
    // What is known stands in while it is down again.
    drop(up);
    proven_by(&harvest(&client, DATASET).await, &node.keys().await);
    let other = format!("directharvest/{DATASET}?subject=998997801");
    client.get(&other).await.refused(503, 1013);
}

/// Names of the datasets that a node offers.
async fn offers(node: &Node, dataset: &str) -> bool {
    let nobody = node.anonymous();
    let all = nobody.get("public/metadata/evidencecodes").await.ok();
    names(&all.json(), "evidenceCodeName").contains(dataset)
}

#[tokio::test]
async fn a_plugin_that_is_down_at_the_start_is_offered_once_it_is_up() {
    let mut place = Place::new().await;
    let key = place.sandbox.folder.join("plugin.key");
    let plugin = format!(
        "name = \"{PLUGIN}\"\nurl = \"{}/plugin/api\"\nkey = {{ file = {key:?} }}",
        place.sandbox.outside
    );
    let plugin: Table = plugin.parse().unwrap();
    place
        .config
        .insert("plugins".to_owned(), vec![plugin].into());
    let (_, key) = place.key(EBEVIS, OWNER).await;
    place
        .sandbox
        .break_it(PLUGIN, &json!({"status": 503}))
        .await;
    let node = place.node().await;
    let token = place.sandbox.token(EBEVIS.scope, OWNER).await;
    let client = node.client(&key, &token);
    assert_eq!(node.ready().await["ready"], true);
    assert!(!offers(&node, PLUGIN_DATASET).await);
    harvest(&client, PLUGIN_DATASET).await.refused(400, 1007);
    // The others are there.
    proven_by(&harvest(&client, DATASET).await, &node.keys().await);

    place.sandbox.mend(PLUGIN).await;
    until("the plugin's datasets are offered", async || {
        offers(&node, PLUGIN_DATASET).await.then_some(())
    })
    .await;
    let answer = harvest(&client, PLUGIN_DATASET).await;
    let claims = proven_by(&answer, &node.keys().await);
    assert_eq!(claims["dataset"], PLUGIN_DATASET);
    // Down again, it is offered still (docs/plugin-protocol.md: no connection is 1013).
    place.sandbox.break_it(PLUGIN, &json!({"drop": true})).await;
    assert!(offers(&node, PLUGIN_DATASET).await);
    let failed = harvest(&client, PLUGIN_DATASET).await;
    failed.refused(503, 1013);
    place.sandbox.mend(PLUGIN).await;
    let answer = recovered(&client, PLUGIN_DATASET, (503, 1013)).await;
    proven_by(&answer, &node.keys().await);
}

#[tokio::test]
async fn a_source_that_fails_is_told_as_such_left_alone_for_a_while_and_asked_again() {
    let place = Place::new().await;
    let node = place.node().await;
    let client = place.client(&node, DAN_TEST, OWNER).await;
    let dataset = "DanTestDokument";
    let keys = node.keys().await;
    proven_by(&harvest(&client, dataset).await, &keys);
    // What is no JSON is the source's mistake and not temporary; a status of 500 may pass.
    let broken = json!({"status": 200, "body": "<html>oops</html>", "times": 1});
    place.sandbox.break_it("testdata", &broken).await;
    harvest(&client, dataset).await.refused(502, 3003);
    place
        .sandbox
        .break_it("testdata", &json!({"status": 500}))
        .await;
    let asked = place.sandbox.count("testdata").await;
    let mut detail = Value::Null;
    // More than it takes for the breaker to open.
    for _ in 0..60 {
        let answer = harvest(&client, dataset).await;
        answer.refused(503, 3001);
        detail = answer.json()["detailCode"].clone();
    }
    let detail = text(&json!({"detail": detail}), "detail").to_owned();
    assert!(detail.ends_with("-5007"), "an open breaker says {detail}");
    let asked = place.sandbox.count("testdata").await - asked;
    assert!(asked < 60, "the source was asked {asked} times");
    // Other sources are not concerned.
    proven_by(&harvest(&client, DATASET).await, &keys);
    place.sandbox.mend("testdata").await;
    proven_by(&recovered(&client, dataset, (503, 3001)).await, &keys);
}
