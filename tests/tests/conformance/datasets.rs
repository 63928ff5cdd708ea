//! Datasets whose sources are tried too: checks 69 and 70.

use std::collections::BTreeSet;

use dan_tests::consumer::{COMPANY, Consumer, DIHE, EBEVIS, PERSON, TILDA, token};
use dan_tests::proof::{Expected, proven};
use dan_tests::shapes::{items, text};
use dan_tests::world::{alone, calm};
use http::Method;
use serde_json::{Value, json};

const REPORTS: &str = "TildaTilsynsrapportv1";
/// A token that is none.
const GARBAGE: &str = "abc-no-token-at-all";

#[tokio::test]
async fn check_69_an_agency_that_fails_is_told_and_costs_no_other() {
    let world = alone().await;
    world
        .break_it("tilda-fiskeridirektoratet", &json!({"status": 500}))
        .await;
    let path =
        format!("directharvest/{REPORTS}?subject={COMPANY}&tilsynskilder=971203420,874761192");
    let answer = Consumer::of(TILDA).await.get(&path).await.ok();
    proven(&answer, &Expected::direct(REPORTS, TILDA.name, COMPANY)).await;
    let body = answer.json();
    let mut named: Vec<&str> = Vec::new();
    let mut told = BTreeSet::new();
    for value in items(&body["evidenceValues"]) {
        named.push(text(value, "evidenceValueName"));
        let document: Value = match &value["value"] {
            Value::String(text) => serde_json::from_str(text).expect("JSON text"),
            inline => inline.clone(),
        };
        if let Some(status) = document["status"].as_str() {
            let rows = document["tilsynsrapporter"].as_array().map(Vec::len);
            told.insert((text(value, "source").to_owned(), status.to_owned(), rows));
        }
    }
    assert_eq!(
        named,
        ["enhetsinformasjon", "tilsynsrapporter", "tilsynsrapporter"]
    );
    let agency = |number: &str, status: &str, rows| (number.to_owned(), status.to_owned(), rows);
    let expected = [
        agency("874761192", "ok", Some(1)),
        agency("971203420", "feil", None),
    ];
    assert_eq!(told, BTreeSet::from(expected));
    world.mend().await;
}

#[tokio::test]
async fn check_70_a_forwarded_token_reaches_the_source_and_nobody_else() {
    let _calm = calm().await;
    let forwarded = async |consumer: &Consumer, dataset: &str, token: &str| {
        let path = format!("directharvest/{dataset}");
        let person = json!({"subject": PERSON});
        let asked = match dataset {
            "FregPerson" => person,
            _ => json!({"subject": COMPANY}),
        };
        let call = consumer.call(Method::POST, &path).json(&asked);
        let answer = call.header("X-Forward-Access-Token", token).send().await;
        let body = String::from_utf8_lossy(&answer.body);
        let told = format!("{:?}{body}", answer.headers);
        assert!(!told.contains(token), "{dataset}");
        answer
    };
    let owner = Consumer::of(DIHE).await;
    // The source takes tokens of its own identity provider: it has been handed this one.
    let known = token("scopes=folkeregister:deling/offentligmedhjemmel&orgNo=958935420").await;
    forwarded(&owner, "FregPerson", &known).await.ok();
    let refused = forwarded(&owner, "FregPerson", GARBAGE).await;
    refused.refused(502, 3003);
    // Where a source is not asked with the caller's token, it is accepted and goes nowhere.
    let procurer = Consumer::of(EBEVIS).await;
    forwarded(&procurer, "UnitBasicInformation", GARBAGE)
        .await
        .ok();
    let inspector = Consumer::of(TILDA).await;
    let answer = forwarded(&inspector, REPORTS, GARBAGE).await.ok();
    let body = answer.json();
    let failed = items(&body["evidenceValues"])
        .iter()
        .filter(|one| one["value"].to_string().contains("feil"));
    assert_eq!(failed.count(), 0, "{body}");
}
