//! Lists and deletion: checks 44–47, 51–53.

use std::collections::BTreeSet;

use dan_tests::consumer::{AGENCY, Consumer, EBEVIS, NOBODY, STRANGER, TILDA};
use dan_tests::shapes::{names, text};
use jiff::Timestamp;
use serde_json::{Value, json};

#[tokio::test]
async fn check_44_a_list_is_an_array_also_when_empty() {
    let stranger = Consumer::of_owner(EBEVIS, STRANGER).await;
    assert!(stranger.get("accreditations/").await.ok().json().is_array());
    let owner = Consumer::of(EBEVIS).await;
    let path = format!("accreditations/?requestor={NOBODY}");
    assert_eq!(owner.get(&path).await.ok().json(), json!([]));
}

#[tokio::test]
async fn check_45_a_moment_without_seconds_is_understood() {
    let owner = Consumer::of(EBEVIS).await;
    let grant = owner.granted().await;
    let list = owner
        .get("accreditations?changedafter=1970-01-01T00:00Z")
        .await;
    let list = list.ok().json();
    assert!(names(&list, "id").contains(text(&grant, "id")));
}

#[tokio::test]
async fn check_46_nine_fractional_digits_and_the_future_are_understood() {
    let owner = Consumer::of(EBEVIS).await;
    let now = Timestamp::now();
    let list = owner
        .get(&format!("accreditations?changedafter={now:.9}"))
        .await;
    assert!(list.ok().json().is_array());
    let list = owner
        .get("accreditations?changedafter=2999-01-01T00:00:00Z")
        .await;
    assert_eq!(list.ok().json(), json!([]));
}

#[tokio::test]
async fn check_47_another_owners_grant_does_not_exist() {
    let owner = Consumer::of(EBEVIS).await;
    let grant = owner.granted().await;
    let id = text(&grant, "id");
    let other = Consumer::of_owner(EBEVIS, AGENCY).await;
    let list = other.get("accreditations").await.ok().json();
    assert!(!names(&list, "id").contains(id));
    let status = format!("evidence/{id}");
    other.get(&status).await.refused(404, 1002);
    other
        .get(&format!("{status}/UnitBasicInformation"))
        .await
        .refused(404, 1002);
    other
        .delete(&format!("accreditations/{id}"))
        .await
        .refused(404, 1002);
    // It is there for its owner, and as it was.
    let still = owner.get(&status).await.ok().json();
    assert_eq!(still[0]["evidenceCodeName"], "UnitBasicInformation");
}

#[tokio::test]
async fn a_list_is_of_the_keys_service_only() {
    let owner = Consumer::of(EBEVIS).await;
    let grant = owner.granted().await;
    let list = Consumer::of(TILDA)
        .await
        .get("accreditations")
        .await
        .ok()
        .json();
    assert!(!names(&list, "id").contains(text(&grant, "id")));
    let all = owner.get("accreditations").await.ok().json();
    let services: BTreeSet<&str> = names(&all, "serviceContext");
    assert_eq!(services, BTreeSet::from([EBEVIS.name]));
}

async fn deleted() -> (Consumer, Value) {
    let owner = Consumer::of(EBEVIS).await;
    let grant = owner.granted().await;
    let id = text(&grant, "id");
    let answer = owner.delete(&format!("accreditations/{id}")).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.excerpt());
    assert!(answer.body.is_empty(), "{}", answer.excerpt());
    (owner, grant)
}

#[tokio::test]
async fn check_51_deletion_is_204_without_a_body() {
    let (owner, grant) = deleted().await;
    let list = owner.get("accreditations").await.ok().json();
    assert!(!names(&list, "id").contains(text(&grant, "id")));
}

/// With a JSON body, unlike the reference (`contracts.md` §5).
#[tokio::test]
async fn check_52_a_second_deletion_is_404_1002() {
    let (owner, grant) = deleted().await;
    let path = format!("accreditations/{}", text(&grant, "id"));
    owner.delete(&path).await.refused(404, 1002);
}

#[tokio::test]
async fn check_53_the_status_of_what_was_deleted_is_404_1002() {
    let (owner, grant) = deleted().await;
    let status = format!("evidence/{}", text(&grant, "id"));
    owner.get(&status).await.refused(404, 1002);
    owner
        .get(&format!("{status}/UnitBasicInformation"))
        .await
        .refused(404, 1002);
}
