//! Direct harvest: checks 60–63, 65–68.

use std::collections::BTreeSet;

use dan_tests::client::Answer;
use dan_tests::consumer::{Consumer, EBEVIS, OTHER_COMPANY, OWNER};
use dan_tests::proof::{Expected, proven};
use dan_tests::shapes::{envelope_of, is_flat, items, text};
use dan_tests::world::calm;
use serde_json::Value;

const FLAGS: &str = "tokenOnBehalfOfOwner=False&reuseToken=False";

async fn ask(query: &str) -> Answer {
    let path = format!("directharvest/UnitBasicInformation?{query}");
    Consumer::of(EBEVIS).await.get(&path).await
}

/// The same, answered and proven.
async fn harvest(query: &str) -> Answer {
    let answer = ask(query).await.ok();
    let expected = Expected::direct("UnitBasicInformation", EBEVIS.name, OWNER);
    proven(&answer, &expected).await;
    answer
}

async fn values() -> Vec<Value> {
    let answer = harvest(&format!("subject={OWNER}&{FLAGS}")).await;
    envelope_of(&answer, "UnitBasicInformation")
}

#[tokio::test]
async fn check_60_the_requestor_is_the_tokens_organisation() {
    let values = values().await;
    let number = values
        .iter()
        .find(|v| v["evidenceValueName"] == "OrganizationNumber");
    assert_eq!(number.expect("OrganizationNumber")["value"], 991_825_827);
}

#[tokio::test]
async fn check_61_without_envelope_it_is_one_object_with_typed_members() {
    let answer = harvest(&format!("envelope=false&subject={OWNER}&{FLAGS}")).await;
    is_flat(&answer.json(), &values().await);
}

#[tokio::test]
async fn check_62_a_query_makes_the_view() {
    let query = "query=%7BOrgnr%3A%20OrganizationNumber%2C%20Navn%3A%20OrganizationName%7D";
    let path = format!("envelope=false&subject={OWNER}&{FLAGS}&{query}");
    let body = harvest(&path).await.json();
    let members = body.as_object().expect("an object").keys();
    let members: BTreeSet<&str> = members.map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["Navn", "Orgnr"]));
    assert_eq!(body["Orgnr"], 991_825_827);
    text(&body, "Navn");
}

#[tokio::test]
async fn check_63_a_query_that_is_none_is_400_1027() {
    let answer = ask(&format!(
        "envelope=false&subject={OWNER}&{FLAGS}&query=%5B%5B"
    ))
    .await;
    answer.refused(400, 1027);
}

#[tokio::test]
async fn check_65_an_unknown_parameter_is_400_1017_and_names_have_no_case() {
    let query = format!("subject={OWNER}&{FLAGS}");
    ask(&format!("{query}&foo=1")).await.refused(400, 1017);
    let answer = harvest(&format!("{query}&Envelope=FALSE")).await;
    is_flat(&answer.json(), &values().await);
    let answer = harvest(&format!("SUBJECT={OWNER}&TOKENONBEHALFOFOWNER=False")).await;
    envelope_of(&answer, "UnitBasicInformation");
}

#[tokio::test]
async fn check_66_a_dataset_that_needs_consent_is_400_1006() {
    let path = format!("directharvest/RestanserV2?subject={OTHER_COMPANY}");
    Consumer::of(EBEVIS)
        .await
        .get(&path)
        .await
        .refused(400, 1006);
}

#[tokio::test]
async fn check_67_an_unknown_dataset_is_400_1007() {
    let path = format!("directharvest/NoSuchDataset?subject={OWNER}&{FLAGS}");
    Consumer::of(EBEVIS)
        .await
        .get(&path)
        .await
        .refused(400, 1007);
}

#[tokio::test]
async fn check_68_the_only_document_is_the_body_itself() {
    let _calm = calm().await;
    let consumer = Consumer::of(EBEVIS).await;
    let path = format!("directharvest/DanTestDokument?subject={OTHER_COMPANY}&{FLAGS}");
    let enveloped = consumer.get(&path).await.ok();
    let bare = consumer.get(&format!("{path}&envelope=false")).await.ok();
    let expected = Expected::direct("DanTestDokument", EBEVIS.name, OTHER_COMPANY);
    proven(&enveloped, &expected).await;
    proven(&bare, &expected).await;
    let values = envelope_of(&enveloped, "DanTestDokument");
    let [only] = items(&Value::Array(values.clone()))
        .to_vec()
        .try_into()
        .unwrap_or_else(|values: Vec<Value>| {
            panic!("{} values instead of one document", values.len())
        });
    assert_eq!(only["valueType"], "jsonSchema");
    let document: Value = match &only["value"] {
        Value::String(text) => serde_json::from_str(text).expect("JSON text"),
        inline => inline.clone(),
    };
    assert!(document.is_object(), "{document}");
    assert_eq!(bare.json(), document);
}
