//! Status, and the harvest of a grant: checks 55–57, 59.

use dan_tests::client::Answer;
use dan_tests::consumer::{
    Consumer, DROSJELOYVE, EBEVIS, OTHER_COMPANY, application, application_with,
};
use dan_tests::proof::{Expected, proven};
use dan_tests::shapes::{envelope_of, is_flat, items, moment, text};
use serde_json::{Value, json};

/// A grant on `UnitBasicInformation`, and how to harvest it.
struct Grant {
    owner: Consumer,
    id: String,
}

impl Grant {
    async fn new() -> Self {
        let owner = Consumer::of(EBEVIS).await;
        let grant = owner.granted().await;
        let id = text(&grant, "id").to_owned();
        Self { owner, id }
    }

    async fn harvest(&self, query: &str) -> Answer {
        let path = format!("evidence/{}/UnitBasicInformation{query}", self.id);
        let answer = self.owner.get(&path).await.ok();
        let expected =
            Expected::granted("UnitBasicInformation", EBEVIS.name, OTHER_COMPANY, &self.id);
        proven(&answer, &expected).await;
        answer
    }
}

#[tokio::test]
async fn the_status_of_a_grant_names_each_dataset() {
    let grant = Grant::new().await;
    let answer = grant.owner.get(&format!("evidence/{}", grant.id)).await;
    let body = answer.ok().json();
    assert_eq!(items(&body).len(), 1);
    let status = &body[0];
    assert_eq!(status["evidenceCodeName"], "UnitBasicInformation");
    assert_eq!(status["status"]["code"], 1);
    text(&status["status"], "description");
    assert!(moment(&status["validFrom"]) < moment(&status["validTo"]));
}

#[tokio::test]
async fn check_55_an_envelope_has_all_that_clients_read_and_names_once() {
    let answer = Grant::new().await.harvest("").await;
    let values = envelope_of(&answer, "UnitBasicInformation");
    let number = values
        .iter()
        .find(|v| v["evidenceValueName"] == "OrganizationNumber");
    assert_eq!(number.expect("OrganizationNumber")["value"], 998_997_801);
}

/// The taxi licence service reads a map by name, with the source and time of one value
/// (`clients.md` §6).
#[tokio::test]
async fn check_55_the_same_under_another_service() {
    let owner = Consumer::of(DROSJELOYVE).await;
    let grant = owner.apply(&application("KonkursDrosje")).await.ok().json();
    let id = text(&grant, "id");
    let answer = owner
        .get(&format!("evidence/{id}/KonkursDrosje"))
        .await
        .ok();
    let values = envelope_of(&answer, "KonkursDrosje");
    let name = values
        .iter()
        .find(|v| v["evidenceValueName"] == "Organisasjonsnavn");
    text(name.expect("Organisasjonsnavn"), "source");
    let context = DROSJELOYVE.name;
    proven(
        &answer,
        &Expected::granted("KonkursDrosje", context, OTHER_COMPANY, id),
    )
    .await;
}

/// What the envelope says, without the moments it was said at.
fn facts(answer: &Answer) -> Vec<Value> {
    let mut values = envelope_of(answer, "UnitBasicInformation");
    for value in &mut values {
        value.as_object_mut().unwrap().remove("timestamp");
    }
    values
}

#[tokio::test]
async fn check_56_flags_of_the_official_client_change_nothing() {
    let grant = Grant::new().await;
    let query = "?tokenOnBehalfOfOwner=False&reuseToken=False&useEnvelope=True";
    let (plain, flagged) = (grant.harvest("").await, grant.harvest(query).await);
    assert_eq!(facts(&plain), facts(&flagged));
}

#[tokio::test]
async fn check_57_without_envelope_it_is_one_object_with_typed_members() {
    let grant = Grant::new().await;
    let query = "?envelope=false&tokenOnBehalfOfOwner=False&reuseToken=False";
    let (enveloped, flat) = (grant.harvest("").await, grant.harvest(query).await);
    is_flat(
        &flat.json(),
        &envelope_of(&enveloped, "UnitBasicInformation"),
    );
}

/// A harvest of a grant takes its parameters from the grant.
#[tokio::test]
async fn a_granted_parameter_reaches_the_source() {
    let owner = Consumer::of(EBEVIS).await;
    let years = async |count: u64| {
        let parameter = json!({"evidenceParamName": "NumberOfYears", "value": count});
        let request =
            json!({"evidenceCodeName": "AnnualFinancialReport", "parameters": [parameter]});
        let body = application_with("", json!({"evidenceRequests": [request]}));
        let grant = owner.apply(&body).await.ok().json();
        let id = text(&grant, "id");
        let answer = owner
            .get(&format!("evidence/{id}/AnnualFinancialReport"))
            .await;
        let answer = answer.ok();
        let expected = Expected::granted("AnnualFinancialReport", EBEVIS.name, OTHER_COMPANY, id);
        proven(&answer, &expected).await;
        envelope_of(&answer, "AnnualFinancialReport").len()
    };
    let _calm = dan_tests::world::calm().await;
    assert!(years(1).await < years(3).await);
}

#[tokio::test]
async fn check_59_what_was_not_granted_is_400_1006() {
    let grant = Grant::new().await;
    for other in ["AnnualFinancialReport", "NoSuchDataset"] {
        let path = format!("evidence/{}/{other}", grant.id);
        grant.owner.get(&path).await.refused(400, 1006);
    }
}
