//! Authorization beyond the first answers: checks 27–29, 39–41, 54, 58 and 64; explanations,
//! idempotency keys, pages and statistics.

use std::collections::BTreeSet;

use dan_tests::consumer::{
    COMPANY, Consumer, DAN_TEST, DIHE, DROSJELOYVE, EBEVIS, OTHER_COMPANY, OWNER, PERSON,
    application, application_with,
};
use dan_tests::shapes::{envelope_of, items, names, text};
use dan_tests::world::calm;
use http::Method;
use serde_json::{Value, json};

const FLAG: &str = "?tokenOnBehalfOfOwner=true";

fn with_consent(datasets: &[(&str, bool)]) -> Value {
    let request = |(name, consent): &(&str, bool)| {
        // The k6 suite writes the boolean as text.
        json!({"evidenceCodeName": name, "requestConsent": consent.to_string()})
    };
    let requests: Vec<Value> = datasets.iter().map(request).collect();
    let members = json!({"evidenceRequests": requests, "consentReference": "2026-1"});
    application_with("RestanserV2", members)
}

#[tokio::test]
async fn check_27_consent_as_text_is_understood() {
    let owner = Consumer::of(EBEVIS).await;
    owner
        .apply(&with_consent(&[("RestanserV2", true)]))
        .await
        .ok();
}

#[tokio::test]
async fn check_28_without_asking_for_consent_it_is_403_1019_and_names_the_rule() {
    let owner = Consumer::of(EBEVIS).await;
    let answer = owner.apply(&application("RestanserV2")).await;
    answer.refused(403, 1019);
    assert_eq!(answer.json()["rules"], json!(["RestanserV2/consent"]));
}

#[tokio::test]
async fn check_29_54_58_a_consent_that_nobody_gave_is_pending_and_closes_its_dataset_only() {
    let _calm = calm().await;
    let owner = Consumer::of(DROSJELOYVE).await;
    let datasets = [("KonkursDrosje", false), ("RestanserV2", true)];
    let grant = owner.apply(&with_consent(&datasets)).await.ok().json();
    let codes = names(&grant["evidenceCodes"], "evidenceCodeName");
    assert_eq!(codes, BTreeSet::from(["KonkursDrosje", "RestanserV2"]));
    let id = text(&grant, "id");
    let status = owner.get(&format!("evidence/{id}")).await.ok().json();
    let numbers: Vec<&Value> = items(&status)
        .iter()
        .map(|row| &row["status"]["code"])
        .collect();
    assert_eq!(numbers, [&json!(1), &json!(2)]);
    owner
        .get(&format!("evidence/{id}/RestanserV2"))
        .await
        .refused(403, 1010);
    owner
        .get(&format!("evidence/{id}/KonkursDrosje"))
        .await
        .ok();
}

#[tokio::test]
async fn check_39_a_token_for_the_source_must_be_offered() {
    let owner = Consumer::of(DIHE).await;
    let wanted = application_with("FregPerson", json!({"subject": PERSON}));
    let answer = owner
        .call(Method::POST, &format!("authorization{FLAG}"))
        .json(&wanted)
        .send()
        .await;
    answer.ok();
    owner.apply(&wanted).await.refused(403, 1019);
}

#[tokio::test]
async fn check_40_the_requestor_must_be_the_owner() {
    let owner = Consumer::of(DIHE).await;
    for (requestor, granted) in [(OWNER, true), (OTHER_COMPANY, false)] {
        let members = json!({"subject": PERSON, "requestor": requestor});
        let wanted = application_with("SummertSkattegrunnlag", members);
        let path = format!("authorization{FLAG}");
        let answer = owner.call(Method::POST, &path).json(&wanted).send().await;
        match granted {
            true => drop(answer.ok()),
            false => answer.refused(403, 1019),
        }
    }
}

#[tokio::test]
async fn check_41_further_members_are_taken_and_the_reference_echoed() {
    let members = json!({
        "externalReference": "case-42",
        "consentReceiptRedirectUrl": "https://example.org/done",
        "skipAltinnNotification": true,
    });
    let owner = Consumer::of(EBEVIS).await;
    let grant = owner
        .apply(&application_with("UnitBasicInformation", members))
        .await
        .ok()
        .json();
    assert_eq!(grant["externalReference"], "case-42");
}

#[tokio::test]
async fn check_64_a_person_in_the_body_and_parameters_in_the_query() {
    let _calm = calm().await;
    let owner = Consumer::of(DIHE).await;
    let path =
        "directharvest/FregPerson?part=person-basis&tokenOnBehalfOfOwner=True&reuseToken=False";
    let answer = owner.post(path, &json!({"subject": PERSON})).await.ok();
    assert!(!envelope_of(&answer, "FregPerson").is_empty());
}

#[tokio::test]
async fn roles_and_rights_are_asked_of_altinn() {
    let _calm = calm().await;
    let owner = Consumer::of(DAN_TEST).await;
    for (dataset, holder) in [
        ("DanTestRolle", OTHER_COMPANY),
        ("DanTestRettighet", COMPANY),
    ] {
        let about = |subject: &str| application_with(dataset, json!({"subject": subject}));
        owner.apply(&about(holder)).await.ok();
        let other = if holder == COMPANY {
            OTHER_COMPANY
        } else {
            COMPANY
        };
        owner.apply(&about(other)).await.refused(403, 1019);
    }
}

#[tokio::test]
async fn an_explanation_agrees_with_the_decision_and_stores_nothing() {
    let owner = Consumer::of(EBEVIS).await;
    for (dataset, granted) in [("UnitBasicInformation", true), ("RestanserV2", false)] {
        let wanted = application(dataset);
        let explained = owner
            .post("authorization/explain", &wanted)
            .await
            .ok()
            .json();
        assert_eq!(explained["granted"], granted, "{explained}");
        for rule in items(&explained["rules"]) {
            assert!(!text(rule, "rule").is_empty() && !text(rule, "origin").is_empty());
        }
        assert_eq!(owner.apply(&wanted).await.status.is_success(), granted);
    }
    let refused = owner
        .post("authorization/explain", &application("Nothing"))
        .await;
    assert_eq!(refused.status.as_u16(), 400);
    assert_eq!(refused.media_type(), "application/problem+json");
}

#[tokio::test]
async fn a_grant_is_used_through_the_service_it_was_given_under_only_w40() {
    let grant = Consumer::of(EBEVIS).await.granted().await;
    let id = text(&grant, "id");
    let elsewhere = Consumer::of_owner(DAN_TEST, OWNER).await;
    elsewhere
        .get(&format!("evidence/{id}"))
        .await
        .refused(404, 1002);
    let harvest = format!("evidence/{id}/UnitBasicInformation");
    elsewhere.get(&harvest).await.refused(404, 1002);
    elsewhere
        .delete(&format!("accreditations/{id}"))
        .await
        .refused(404, 1002);
}

#[tokio::test]
async fn the_same_key_gives_the_same_grant_w20() {
    let owner = Consumer::of(EBEVIS).await;
    let apply = async |key: &str, dataset: &str| {
        let call = owner
            .call(Method::POST, "authorization")
            .header("Idempotency-Key", key);
        call.json(&application(dataset)).send().await
    };
    let first = apply("conformance-1", "UnitBasicInformation")
        .await
        .ok()
        .json();
    let second = apply("conformance-1", "UnitBasicInformation")
        .await
        .ok()
        .json();
    assert_eq!(first["id"], second["id"]);
    apply("conformance-1", "Roller").await.refused(422, 1014);
    let other = apply("conformance-2", "UnitBasicInformation")
        .await
        .ok()
        .json();
    assert_ne!(first["id"], other["id"]);
}

#[tokio::test]
async fn pages_lead_to_every_grant() {
    let owner = Consumer::of_owner(DAN_TEST, "974760673").await;
    let mut expected = BTreeSet::new();
    for _ in 0..5 {
        let wanted = application_with("DanTestDokument", json!({"requestor": "974760673"}));
        expected.insert(text(&owner.apply(&wanted).await.ok().json(), "id").to_owned());
    }
    let mut found = BTreeSet::new();
    let mut path = "accreditations?limit=2".to_owned();
    loop {
        let page = owner.get(&path).await.ok();
        assert!(items(&page.json()).len() <= 2);
        found.extend(names(&page.json(), "id").into_iter().map(str::to_owned));
        let Some(link) = page.header("link") else {
            break;
        };
        let (address, rest) = link.trim_start_matches('<').split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        path = address.split_once("/v1/").unwrap().1.to_owned();
    }
    assert!(found.is_superset(&expected));
    owner.get("accreditations?limit=0").await.refused(400, 1014);
    owner
        .get("accreditations?cursor=x")
        .await
        .refused(400, 1014);
}

#[tokio::test]
async fn statistics_are_public_and_an_owners_own_are_its_own() {
    let _calm = calm().await;
    let owner = Consumer::of(DAN_TEST).await;
    for _ in 0..6 {
        owner
            .get(&format!("directharvest/DanTestDokument?subject={COMPANY}"))
            .await
            .ok();
    }
    for path in [
        "metadata/usage/month",
        "public/metadata/usage/lastYear",
        "metadata/usage/all",
    ] {
        assert!(
            Consumer::anonymous().get(path).await.ok().json().is_array(),
            "{path}"
        );
    }
    let own = owner.get("usage").await.ok().json();
    let counted = items(&own)
        .iter()
        .any(|row| row["evidenceCodeName"] == "DanTestDokument");
    assert!(counted, "{own}");
}
