//! Credentials: checks 12–21.

use dan_tests::client::{send_verbatim, split_url};
use dan_tests::consumer::{AGENCY, Consumer, DAN_TEST, EBEVIS, OWNER, application_with, token};
use dan_tests::proof::{Expected, proven};
use dan_tests::shapes::{envelope_of, items};
use dan_tests::subject::subject;
use http::Method;
use serde_json::json;

/// A list as [`OWNER`] under eBevis with whatever token.
async fn list_with(token_query: &str) -> dan_tests::client::Answer {
    let token = token(&format!("orgNo={OWNER}&{token_query}")).await;
    Consumer::with(EBEVIS, &token).get("accreditations").await
}

#[tokio::test]
async fn check_12_a_key_without_a_token_is_401_1023() {
    let consumer = Consumer::of(EBEVIS).await.without_token();
    let answer = consumer.get("accreditations").await;
    answer.refused(401, 1023);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
}

#[tokio::test]
async fn check_13_wrong_signature_and_expired_tokens_are_401_1024() {
    for wrong in ["key=unknown", "exp=-3600"] {
        let answer = list_with(&format!("scopes={}&{wrong}", EBEVIS.scope)).await;
        answer.refused(401, 1024);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{wrong}: {challenge}"
        );
    }
}

#[tokio::test]
async fn check_14_a_token_expired_5_s_ago_still_counts() {
    let answer = list_with(&format!("scopes={}&exp=-5", EBEVIS.scope)).await;
    answer.ok().json();
}

/// The scope is another than in the checklist: what asks for `…/null` gets `…/ebevis` beside it
/// (`contracts.md` §2), which would prove nothing about the prefix.
#[tokio::test]
async fn check_15_any_scope_with_the_prefix_opens_the_door() {
    let token = token(&format!("orgNo={OWNER}&scopes=altinn:dataaltinnno/other")).await;
    let consumer = Consumer::with(EBEVIS, &token);
    let list = consumer.get("accreditations/").await.ok().json();
    assert!(list.is_array());
}

#[tokio::test]
async fn check_16_no_scope_with_the_prefix_is_403_1019() {
    for scopes in [
        "skatteetaten:noe",
        "",
        "altinn:dataaltinnnoXYZ",
        "xdan:test",
    ] {
        list_with(&format!("scopes={scopes}"))
            .await
            .refused(403, 1019);
    }
}

#[tokio::test]
async fn check_17_a_stale_token_leaves_nothing_behind() {
    let stale = token(&format!("orgNo={OWNER}&scopes={}&exp=-3600", EBEVIS.scope)).await;
    let reference = "suite-check-17";
    let body = application_with(
        "UnitBasicInformation",
        json!({"externalReference": reference, "requestor": AGENCY}),
    );
    let answer = Consumer::with(EBEVIS, &stale).apply(&body).await;
    answer.refused(401, 1024);
    let fresh = Consumer::of(EBEVIS).await;
    let count = || async {
        let list = fresh.get("accreditations").await.ok().json();
        let all = items(&list).iter();
        all.filter(|one| one["externalReference"] == reference)
            .count()
    };
    let before = count().await;
    fresh.apply(&body).await.ok().json();
    assert_eq!(count().await, before + 1);
    if subject().is_own() {
        assert_eq!(before, 0);
    }
}

#[tokio::test]
async fn check_18_the_key_header_has_no_case_and_a_wrong_key_is_401() {
    let consumer = Consumer::of(EBEVIS).await;
    let url = format!("{}/accreditations", subject().api);
    let (host, target) = split_url(&url);
    let list_with_key = async |key: &str| {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nOcp-apim-subscription-key: {key}\r\n\
             Authorization: Bearer {}\r\nConnection: close\r\n\r\n",
            consumer.token()
        );
        send_verbatim(&url, &head).await
    };
    let answer = list_with_key(subject().key(EBEVIS.id)).await;
    assert!(answer.ok().json().is_array());
    list_with_key("no-such-key").await.refused(401, 1024);
    // contracts.md §5: no key at all is another code.
    let answer = consumer.without_key().get("accreditations").await;
    answer.refused(401, 1023);
}

#[tokio::test]
async fn check_19_the_key_may_stand_in_the_query_and_is_no_parameter() {
    let consumer = Consumer::of(EBEVIS).await.without_key();
    let key = subject().key(EBEVIS.id);
    let path = format!("metadata/errorcodes?Ocp-Apim-Subscription-Key={key}");
    consumer.get(&path).await.ok().json();
    let path = format!(
        "directharvest/UnitBasicInformation?Ocp-Apim-Subscription-Key={key}&subject={OWNER}"
    );
    let answer = consumer.get(&path).await.ok();
    envelope_of(&answer, "UnitBasicInformation");
    proven(
        &answer,
        &Expected::direct("UnitBasicInformation", "eBevis", OWNER),
    )
    .await;
}

#[tokio::test]
async fn check_20_the_scheme_of_the_token_has_no_case() {
    let consumer = Consumer::of(EBEVIS).await;
    let answer = consumer
        .without_token()
        .call(Method::GET, "accreditations")
        .header("authorization", &format!("bearer {}", consumer.token()))
        .send()
        .await;
    assert!(answer.ok().json().is_array());
}

/// The suite never sends either, unless told to; what it is told here is the opposite.
#[tokio::test]
async fn check_21_accept_and_user_agent_are_not_needed() {
    let consumer = Consumer::of(EBEVIS).await;
    for path in [
        "accreditations",
        "metadata/evidencecodes",
        "public/metadata/servicecontexts",
    ] {
        assert!(consumer.get(path).await.ok().json().is_array(), "{path}");
        let call = consumer.call(Method::GET, path);
        let answer = call.header("accept", "text/html").header("user-agent", "x");
        assert!(answer.send().await.ok().json().is_array(), "{path}");
    }
}

/// `contracts.md` §5: a scope satisfies the entry rule of another service, but no rule of this one.
#[tokio::test]
async fn a_scope_of_another_service_lets_in_but_grants_nothing() {
    let token = token(&format!("orgNo={OWNER}&scopes={}", DAN_TEST.scope)).await;
    let consumer = Consumer::with(EBEVIS, &token);
    assert!(consumer.get("accreditations").await.ok().json().is_array());
    let body = application_with("UnitBasicInformation", json!({}));
    consumer.apply(&body).await.refused(403, 1019);
}
