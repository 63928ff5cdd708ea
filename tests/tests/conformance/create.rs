//! Asking for access: checks 22–26, 30–38, 42, 43.

use dan_tests::client::Answer;
use dan_tests::consumer::{
    AGENCY, COMPANY, Consumer, DIHE, EBEVIS, NOBODY, OTHER_COMPANY, OWNER, TILDA, application,
    application_with, token,
};
use dan_tests::shapes::{items, moment, names, text};
use dan_tests::subject::subject;
use http::Method;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

/// What the k6 suite asks for.
fn as_k6_asks() -> Value {
    json!({
        "requestor": AGENCY,
        "subject": COMPANY,
        "evidenceRequests": [{"evidenceCodeName": "UnitBasicInformation"}],
        "consentReference": "Postdeploy_test",
        "externalReference": "Postdeploy_test",
        "languageCode": "no-nb",
    })
}

async fn under_ebevis(application: &Value) -> Answer {
    Consumer::of(EBEVIS).await.apply(application).await
}

#[tokio::test]
async fn check_22_access_is_answered_with_exactly_200_and_an_id() {
    let answer = under_ebevis(&as_k6_asks()).await;
    assert_eq!(answer.status.as_u16(), 200);
    text(&answer.json(), "id");
}

#[tokio::test]
async fn check_23_times_have_offsets_and_parties_are_text() {
    let grant = under_ebevis(&as_k6_asks()).await.ok().json();
    for member in ["issued", "lastChanged", "validTo"] {
        moment(&grant[member]);
    }
    assert!(moment(&grant["validTo"]) > moment(&grant["issued"]));
    let dataset = &items(&grant["evidenceCodes"])[0];
    assert_eq!(dataset["evidenceCodeName"], "UnitBasicInformation");
    assert_eq!(grant["requestor"], AGENCY);
    assert_eq!(grant["subject"], COMPANY);
    assert_eq!(grant["consentReference"], "Postdeploy_test");
    assert_eq!(grant["externalReference"], "Postdeploy_test");
    assert_eq!(grant["serviceContext"], EBEVIS.name);
}

#[tokio::test]
async fn check_24_location_leads_to_the_status_of_the_grant() {
    let answer = under_ebevis(&as_k6_asks()).await.ok();
    let location = answer.header("location").expect("Location");
    let (base, id) = location.rsplit_once("/evidence/").expect("/evidence/");
    assert_eq!(base, subject().public_url);
    assert_eq!(answer.json()["id"], id);
    let status = Consumer::of(EBEVIS)
        .await
        .get(&format!("evidence/{id}"))
        .await;
    assert_eq!(items(&status.ok().json()).len(), 1);
}

#[tokio::test]
async fn check_25_parties_may_be_numbers_and_come_back_as_text() {
    let parties = json!({"requestor": 991_825_827, "subject": 998_997_801});
    let body = application_with("UnitBasicInformation", parties);
    let grant = under_ebevis(&body).await.ok().json();
    assert_eq!(grant["requestor"], OWNER);
    assert_eq!(grant["subject"], OTHER_COMPANY);
}

#[tokio::test]
async fn check_26_names_have_no_case_and_unknown_members_are_ignored() {
    let body = json!({
        "accreditationId": null,
        "requestor": OWNER,
        "subject": OWNER,
        "evidenceRequests": [
            {"EvidenceCodeName": "UnitBasicInformation", "RequestConsent": false},
        ],
        "consentReference": "test",
        "externalReference": "dan-client",
        "languageCode": "no-nb",
    });
    let answer = Consumer::of(EBEVIS)
        .await
        .call(Method::POST, "authorization")
        .header("content-type", "application/json; charset=utf-8")
        .body(body.to_string())
        .send()
        .await;
    let grant = answer.ok().json();
    let granted = names(&grant["evidenceCodes"], "evidenceCodeName").len();
    assert_eq!(granted, 1);
}

/// A request for `AnnualFinancialReport` with one parameter.
fn report(name: &str, value: &Value) -> Value {
    let parameter = json!({"evidenceParamName": name, "value": value});
    let request = json!({"evidenceCodeName": "AnnualFinancialReport", "parameters": [parameter]});
    application_with("", json!({"evidenceRequests": [request]}))
}

#[tokio::test]
async fn check_30_a_number_parameter_is_a_number_or_its_text() {
    for value in [json!(2), json!("2")] {
        let answer = under_ebevis(&report("NumberOfYears", &value)).await;
        let grant = answer.ok().json();
        let parameters = &items(&grant["evidenceCodes"])[0]["parameters"];
        assert_eq!(items(parameters)[0]["evidenceParamName"], "NumberOfYears");
        assert_eq!(items(parameters)[0]["value"], value);
    }
}

#[tokio::test]
async fn check_31_wrong_unknown_and_missing_parameters_are_400_1017() {
    let consumer = Consumer::of(EBEVIS).await;
    for body in [
        report("NumberOfYears", &json!("two")),
        report("NumberOfYears", &json!(null)),
        report("NoSuchParameter", &json!(2)),
        application("AnnualFinancialReport"),
    ] {
        consumer.apply(&body).await.refused(400, 1017);
    }
}

#[tokio::test]
async fn check_32_legal_bases_are_read_in_every_spelling() {
    let consumer = Consumer::of(EBEVIS).await;
    let body = |basis: Value| {
        let request = json!({"evidenceCodeName": "UnitBasicInformation", "legalBasisId": "b1"});
        let members = json!({"evidenceRequests": [request], "legalBasisList": [basis]});
        application_with("", members)
    };
    for kind in ["cpv", "Cpv", "CPV"] {
        let basis = json!({"id": "b1", "type": kind, "content": "45000000-7"});
        consumer.apply(&body(basis)).await.ok().json();
        let basis = json!({"Id": "b1", "Type": kind, "Content": "45000000-7"});
        consumer.apply(&body(basis)).await.ok().json();
    }
    // wire-api.md §11, 3: complete, and referred to.
    let basis = json!({"id": "b1", "type": "cpv"});
    consumer.apply(&body(basis)).await.refused(400, 1008);
    let basis = json!({"id": "b2", "type": "cpv", "content": "45000000-7"});
    consumer.apply(&body(basis)).await.refused(400, 1008);
}

#[tokio::test]
async fn check_33_the_language_has_a_default_and_must_be_one_of_the_services() {
    let grant = under_ebevis(&application("UnitBasicInformation")).await;
    assert_eq!(grant.ok().json()["languageCode"], "no-nb");
    let body = application_with("UnitBasicInformation", json!({"languageCode": "xx"}));
    under_ebevis(&body).await.refused(400, 1014);
}

#[tokio::test]
async fn check_34_no_requestor_is_400_1001() {
    let body = application_with("UnitBasicInformation", json!({"requestor": null}));
    under_ebevis(&body).await.refused(400, 1001);
}

#[tokio::test]
async fn check_35_a_subject_that_is_none_is_400_1004() {
    let consumer = Consumer::of(EBEVIS).await;
    for nobody in [json!("123456789"), json!(123_456_789), json!(NOBODY)] {
        let body = application_with("UnitBasicInformation", json!({"subject": nobody}));
        let answer = consumer.apply(&body).await;
        answer.refused(400, 1004);
        assert_eq!(answer.media_type(), "application/json");
    }
}

#[tokio::test]
async fn check_36_a_dataset_is_known_by_its_exact_name() {
    let consumer = Consumer::of(EBEVIS).await;
    for name in ["NoSuchDataset", "unitbasicinformation"] {
        consumer.apply(&application(name)).await.refused(400, 1007);
    }
}

#[tokio::test]
async fn check_37_foreign_none_and_double_datasets_are_400_1006() {
    let one = json!({"evidenceCodeName": "UnitBasicInformation"});
    let consumer = Consumer::of(EBEVIS).await;
    for requests in [
        json!([{"evidenceCodeName": "TildaMetadatav1"}]),
        json!([]),
        json!([one, one]),
    ] {
        let body = application_with("", json!({"evidenceRequests": requests}));
        consumer.apply(&body).await.refused(400, 1006);
    }
}

#[tokio::test]
async fn check_38_the_scope_must_be_the_services_own() {
    let body = application("TildaMetadatav1");
    let grant = Consumer::of(TILDA).await.apply(&body).await.ok().json();
    text(&grant, "id");
    let foreign = token(&format!("orgNo={OWNER}&scopes={}", DIHE.scope)).await;
    let answer = Consumer::with(TILDA, &foreign).apply(&body).await;
    answer.refused(403, 1019);
}

#[tokio::test]
async fn check_42_validity_has_a_lower_bound_and_a_default() {
    let tomorrow = Timestamp::now().checked_add(24.hours()).unwrap();
    let body = application_with(
        "UnitBasicInformation",
        json!({"validTo": tomorrow.to_string()}),
    );
    under_ebevis(&body).await.refused(400, 1018);
    let grant = under_ebevis(&application("UnitBasicInformation")).await;
    assert!(moment(&grant.ok().json()["validTo"]) > Timestamp::now());
}

/// The reference answers 500/1015; a client's fault is a 4xx (`contracts.md` §7).
#[tokio::test]
async fn check_43_what_is_not_json_is_400_1014() {
    let consumer = Consumer::of(EBEVIS).await;
    for body in [
        "{",
        "",
        "null",
        "[]",
        "{\"requestor\":",
        "requestor=991825827",
    ] {
        let answer = consumer
            .call(Method::POST, "authorization")
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        answer.refused(400, 1014);
    }
}
