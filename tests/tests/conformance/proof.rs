//! Proof (`contracts.md` §6): whatever the form of an answer, it is signed, and the statement says what
//! the answer is. The other modules hold the same of every answer with evidence they get.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{
    Consumer, DAN_TEST, EBEVIS, OTHER_COMPANY, OWNER, PERSON, Service, TILDA, application_with,
};
use dan_tests::proof::{Expected, definition, proven, published_keys, self_contained, sha256_hex};
use dan_tests::shapes::{items, text};
use dan_tests::subject::subject;
use dan_tests::world::{TEST_SOURCE, alone, calm};
use http::Method;
use serde_json::{Value, json};

/// A direct harvest, answered but not proven yet.
async fn harvest(service: Service, dataset: &str, query: &str) -> Answer {
    let path = format!("directharvest/{dataset}?subject={OTHER_COMPANY}{query}");
    Consumer::of(service).await.get(&path).await.ok()
}

/// A service that has a dataset: the one for tests where it can be.
async fn service_of(dataset: &str) -> Service {
    let definition = definition(dataset).await;
    let contexts = items(&definition["belongsToServiceContexts"]);
    let found = [DAN_TEST, EBEVIS]
        .into_iter()
        .find(|service| contexts.contains(&Value::from(service.name)));
    found.unwrap_or_else(|| panic!("{dataset} belongs to {contexts:?}"))
}

#[tokio::test]
async fn the_published_keys_are_public_and_named() {
    for key in items(&published_keys().await["keys"]) {
        assert_eq!(key["kty"], "EC", "{key}");
        assert_eq!(key["use"], "sig", "{key}");
        for secret in ["d", "k", "p", "q"] {
            assert!(key.get(secret).is_none(), "a private key is published");
        }
    }
}

#[tokio::test]
async fn plain_and_enveloped_answers_are_of_one_view_and_a_query_makes_another() {
    let expected = Expected::direct("UnitBasicInformation", EBEVIS.name, OTHER_COMPANY);
    let mut views = Vec::new();
    for query in [
        "",
        "&envelope=false",
        "&envelope=false&query=OrganizationName",
        "&envelope=false&query=OrganizationForm",
        "&query=OrganizationName",
    ] {
        let answer = harvest(EBEVIS, "UnitBasicInformation", query).await;
        let claims = proven(&answer, &expected).await;
        views.push(text(&claims, "view").to_owned());
    }
    // The last: a query does nothing to an envelope (wire-api.md §9.1).
    assert_eq!(views[0], views[1]);
    assert_eq!(views[0], views[4]);
    assert_ne!(views[0], views[2]);
    assert_ne!(views[2], views[3]);
}

#[tokio::test]
async fn an_attachment_is_signed_as_the_bytes_it_is() {
    let _calm = calm().await;
    let service = service_of("DanTestVedlegg").await;
    let expected = Expected::direct("DanTestVedlegg", service.name, OTHER_COMPANY);
    let enveloped = harvest(service, "DanTestVedlegg", "").await;
    proven(&enveloped, &expected).await;
    let body = enveloped.json();
    let value = &items(&body["evidenceValues"])[0];
    assert_eq!(value["valueType"], "attachment");
    let bytes = STANDARD.decode(text(value, "value")).expect("base64");
    let bare = harvest(service, "DanTestVedlegg", "&envelope=false").await;
    proven(&bare, &expected).await;
    assert_eq!(bare.body, bytes);
    assert_eq!(bare.media_type(), text(value, "mimeType"));
    assert!(bare.body.starts_with(b"%PDF-"));
}

#[tokio::test]
async fn a_binary_answer_is_signed_and_has_no_envelope() {
    let service = service_of("PluginBinar").await;
    let expected = Expected::direct("PluginBinar", service.name, OTHER_COMPANY);
    let mut bodies = Vec::new();
    for query in ["", "&envelope=true", "&envelope=false&query=x"] {
        let answer = harvest(service, "PluginBinar", query).await;
        assert_eq!(answer.media_type(), "application/octet-stream");
        proven(&answer, &expected).await;
        bodies.push(answer.body);
    }
    assert!(!bodies[0].is_empty());
    assert!(bodies.iter().all(|body| body == &bodies[0]));
}

#[tokio::test]
async fn an_existing_plugin_is_proven_as_well() {
    let service = service_of("PluginEnhetsfakta").await;
    let answer = harvest(service, "PluginEnhetsfakta", "").await;
    let expected = Expected::direct("PluginEnhetsfakta", service.name, OTHER_COMPANY);
    let claims = proven(&answer, &expected).await;
    assert_eq!(claims["source"], "Sandkassen");
}

#[tokio::test]
async fn open_data_is_signed_for_nobody_in_particular() {
    let _calm = calm().await;
    let nobody = Consumer::anonymous();
    let path = format!("opendata/DanTestApne/{OTHER_COMPANY}");
    let answer = nobody.get(&path).await.ok();
    proven(&answer, &Expected::open("DanTestApne", OTHER_COMPANY)).await;
    // The name has no case (wire-api.md §4.9), and an envelope there is none.
    let path = format!("opendata/dantestapne/{OTHER_COMPANY}?envelope=true");
    let again = nobody.get(&path).await.ok();
    proven(&again, &Expected::open("DanTestApne", OTHER_COMPANY)).await;
    assert_eq!(again.json(), answer.json());
    assert!(answer.json().get("evidenceValues").is_none());
}

#[tokio::test]
async fn every_release_has_a_statement_of_its_own() {
    let expected = Expected::direct("UnitBasicInformation", EBEVIS.name, OTHER_COMPANY);
    let mut statements = Vec::new();
    for _ in 0..2 {
        let answer = harvest(EBEVIS, "UnitBasicInformation", "").await;
        statements.push(proven(&answer, &expected).await);
    }
    assert_ne!(statements[0]["jti"], statements[1]["jti"]);
}

#[tokio::test]
async fn a_person_stands_in_a_statement_as_a_salted_digest_only() {
    let consumer = Consumer::of(TILDA).await;
    let mut subjects = Vec::new();
    for _ in 0..2 {
        // A dataset that takes any subject, and asks nobody about it.
        let body = json!({"subject": PERSON});
        let answer = consumer
            .post("directharvest/TildaMetadatav1", &body)
            .await
            .ok();
        let expected = Expected::direct("TildaMetadatav1", TILDA.name, PERSON);
        let claims = proven(&answer, &expected).await;
        subjects.push(text(&claims, "sub").to_owned());
    }
    assert_ne!(subjects[0], subjects[1], "the salt is used twice");
}

#[tokio::test]
async fn the_source_digest_is_of_what_the_source_answered() {
    let world = alone().await;
    world.forget_calls(TEST_SOURCE).await;
    let answer = harvest(DAN_TEST, "DanTestDokument", "").await;
    let calls = world.calls(TEST_SOURCE).await;
    let [call] = calls.as_slice() else {
        panic!("one harvest made {calls:?}")
    };
    let url = format!("{}{call}", subject().outside);
    let original = Call::new(Method::GET, url).send().await.ok();
    let expected = Expected::direct("DanTestDokument", DAN_TEST.name, OTHER_COMPANY);
    let claims = proven(&answer, &expected).await;
    assert_eq!(claims["source_digest"], sha256_hex(&original.body));
}

#[tokio::test]
async fn a_legal_basis_is_named_in_the_statement() {
    let consumer = Consumer::of(EBEVIS).await;
    let request = json!({"evidenceCodeName": "UnitBasicInformation", "legalBasisId": "b1"});
    let basis = json!({"id": "b1", "type": "cpv", "content": "45000000-7"});
    let members = json!({"evidenceRequests": [request], "legalBasisList": [basis]});
    let grant = consumer
        .apply(&application_with("", members))
        .await
        .ok()
        .json();
    let id = text(&grant, "id");
    let answer = consumer
        .get(&format!("evidence/{id}/UnitBasicInformation"))
        .await
        .ok();
    let expected = Expected::granted("UnitBasicInformation", EBEVIS.name, OTHER_COMPANY, id);
    let claims = proven(&answer, &expected).await;
    assert_eq!(claims["legal_basis"], json!(["b1"]));
}

/// A direct harvest in a form for the archive.
async fn archived(media_type: &str, query: &str) -> Answer {
    let path = format!("directharvest/UnitBasicInformation?subject={OTHER_COMPANY}{query}");
    let call = Consumer::of(EBEVIS).await.call(Method::GET, &path);
    let answer = call.header("accept", media_type).send().await.ok();
    assert_eq!(answer.media_type(), media_type, "{}", answer.excerpt());
    answer
}

#[tokio::test]
async fn jose_and_cose_carry_statement_and_evidence_in_one() {
    for media_type in ["application/jose", "application/cose"] {
        let signed = self_contained(&archived(media_type, "&envelope=false").await).await;
        assert_eq!(signed["dataset"], "UnitBasicInformation");
        assert_eq!(signed["aud"], format!("0192:{OWNER}"));
        assert_eq!(signed["sub"], format!("0192:{OTHER_COMPANY}"));
        assert_eq!(signed["iss"], *subject().public_url);
        let plain = harvest(EBEVIS, "UnitBasicInformation", "&envelope=false").await;
        assert_eq!(signed["evidence"], plain.json(), "{media_type}");
        let enveloped = self_contained(&archived(media_type, "").await).await;
        assert!(
            enveloped["evidence"]["evidenceValues"].is_array(),
            "{media_type}"
        );
    }
}
