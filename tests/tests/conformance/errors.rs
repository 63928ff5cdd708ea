//! Errors and transport: checks 71–75.

use std::time::{Duration, Instant};

use dan_tests::client::{Answer, Call, Connection};
use dan_tests::consumer::{Consumer, DAN_TEST, EBEVIS, OTHER_COMPANY, OWNER, token};
use dan_tests::proof::{Expected, proven};
use dan_tests::shapes::{envelope_of, text};
use dan_tests::subject::subject;
use dan_tests::world::{TEST_SOURCE, alone, calm};
use http::Method;
use serde_json::json;

/// Longer than `DanTest…` datasets wait for their source (5 s), and than the suite does.
const TOO_SLOW_MS: u64 = 20_000;
/// Long before today's clients give up (100 s).
const SLOW_ANSWER_MAX: Duration = Duration::from_secs(30);
/// A grant that never was.
const NO_GRANT: &str = "3f1ad6f0-3f0a-4b27-9c2e-2a8f1c0de000";

async fn harvest_test_document() -> Answer {
    let path = format!("directharvest/DanTestDokument?subject={OTHER_COMPANY}");
    Consumer::of(DAN_TEST).await.get(&path).await
}

#[tokio::test]
async fn check_71_client_faults_are_readable() {
    let consumer = Consumer::of(EBEVIS).await;
    let harvest = format!("directharvest/UnitBasicInformation?subject={OWNER}");
    let no_scope = token(&format!("orgNo={OWNER}&scopes=x:y")).await;
    consumer
        .get("directharvest/NoSuchDataset")
        .await
        .refused(400, 1007);
    consumer
        .without_token()
        .get(&harvest)
        .await
        .refused(401, 1023);
    let foreign = Consumer::with(EBEVIS, &no_scope);
    foreign.get(&harvest).await.refused(403, 1019);
    let harvest = format!("evidence/{NO_GRANT}/UnitBasicInformation");
    consumer.get(&harvest).await.refused(404, 1002);
    consumer
        .delete(&format!("accreditations/{NO_GRANT}"))
        .await
        .refused(404, 1002);
    // A route nobody built: readable too, with whatever code (contracts.md §5).
    for answer in [
        consumer.get("no/such/route").await,
        consumer.post("no/such/route", &json!({})).await,
        consumer.delete("authorization").await,
    ] {
        assert_eq!(answer.status.as_u16(), 404, "{}", answer.excerpt());
        answer.readable_refusal();
    }
    let answer = Consumer::anonymous().get("opendata/NoSuchDataset").await;
    answer.refused(400, 1006);
}

#[tokio::test]
async fn check_71_faults_of_the_source_are_readable() {
    let world = alone().await;
    let nonsense = json!({"status": 200, "body": "<html>down for maintenance</html>"});
    world.break_it(TEST_SOURCE, &nonsense).await;
    let answer = harvest_test_document().await;
    answer.refused(502, 3003);
    assert!(
        !answer.excerpt().contains("maintenance"),
        "{}",
        answer.excerpt()
    );
    world.mend().await;
    world.break_it(TEST_SOURCE, &json!({"drop": true})).await;
    let answer = harvest_test_document().await;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.excerpt());
    let code = answer.readable_refusal()["code"].clone();
    assert!(code == 1013 || code == 3001, "{}", answer.excerpt());
    world.mend().await;
    harvest_test_document().await.ok();
}

/// `<SOURCE>-<number>`.
fn is_detail_code(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(source, number)| {
        let letters = |b: u8| b.is_ascii_uppercase() || b == b'-';
        !source.is_empty()
            && source.bytes().all(letters)
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[tokio::test]
async fn check_72_a_source_that_is_away_is_503_3001_with_its_name() {
    let world = alone().await;
    let fault = json!({"status": 503, "body": "try later"});
    world.break_it(TEST_SOURCE, &fault).await;
    let answer = harvest_test_document().await;
    answer.refused(503, 3001);
    let body = answer.json();
    assert!(is_detail_code(text(&body, "detailCode")), "{body}");
    world.mend().await;
}

/// Needs a dataset `DanTestStor` whose number parameter `kib` says how many KiB of text come back.
#[tokio::test]
async fn check_73_more_than_a_megabyte_comes_whole_over_a_kept_connection() {
    let _calm = calm().await;
    let consumer = Consumer::of(DAN_TEST).await;
    let path = format!("directharvest/DanTestStor?subject={OTHER_COMPANY}&kib=1200");
    let mut connection = Connection::open(&subject().api).await;
    let mut sizes = Vec::new();
    for encoding in [None, Some("gzip"), None] {
        let mut call = consumer.call(Method::GET, &path);
        if let Some(encoding) = encoding {
            call = call.header("accept-encoding", encoding);
        }
        let answer = connection.send(call).await.ok();
        assert_eq!(answer.header("content-encoding"), None);
        assert!(
            answer.body.len() > 1200 * 1024,
            "{} bytes",
            answer.body.len()
        );
        answer.json();
        let context = DAN_TEST.name;
        proven(
            &answer,
            &Expected::direct("DanTestStor", context, OTHER_COMPANY),
        )
        .await;
        envelope_of(&answer, "DanTestStor");
        sizes.push(answer.body.len());
    }
    // Timestamps may lose trailing zeros; nothing else changes.
    let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
    assert!(spread < 64, "{sizes:?}");
}

#[tokio::test]
async fn check_74_a_source_that_never_answers_is_503_1013_in_good_time() {
    let world = alone().await;
    world
        .break_it(TEST_SOURCE, &json!({"delay_ms": TOO_SLOW_MS}))
        .await;
    let started = Instant::now();
    let answer = harvest_test_document().await;
    let took = started.elapsed();
    answer.refused(503, 1013);
    assert!(took < SLOW_ANSWER_MAX, "{took:?}");
    world.mend().await;
}

#[tokio::test]
async fn check_75_a_content_type_without_a_body_is_no_fault() {
    let consumer = Consumer::of(EBEVIS).await;
    let grant = consumer.granted().await;
    let id = text(&grant, "id");
    let typed = |method, path: &str| -> Call {
        let call = consumer.call(method, path);
        call.header("content-type", "application/json")
    };
    typed(Method::GET, "accreditations")
        .send()
        .await
        .ok()
        .json();
    let harvest = format!("evidence/{id}/UnitBasicInformation");
    let answer = typed(Method::GET, &harvest).send().await.ok();
    envelope_of(&answer, "UnitBasicInformation");
    let answer = typed(Method::DELETE, &format!("accreditations/{id}"))
        .send()
        .await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.excerpt());
}

#[test]
fn detail_codes_are_told_apart() {
    for good in ["ABC-2", "SANDBOX-PLUGIN-1001", "TESTDATA-0"] {
        assert!(is_detail_code(good), "{good}");
    }
    for bad in ["", "ABC", "-2", "abc-2", "ABC-", "ABC-2x", "ABC2"] {
        assert!(!is_detail_code(bad), "{bad}");
    }
}
