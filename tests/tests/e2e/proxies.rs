//! Whose word about a caller's address and token counts: that of the proxies the operator names, no other.

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, EBEVIS, OWNER};
use dan_tests::node::{Client, Node, proven_by};
use http::Method;

use crate::place::{DATASET, Place};

/// Wrong keys an address may try in a minute (`contracts.md` §5).
const WRONG_MAX: usize = 10;
/// A key in the right form that is none.
const WRONG: &str = "dan_0123456789ab_0123456789abcdef0123456789abcdef0123456789abcdef";

/// Harvests as a proxy passes it on that was called from an address.
async fn passed_on(client: &Client, from: &str, token: Option<&str>) -> Answer {
    let path = format!("directharvest/{DATASET}?subject={COMPANY}");
    // What stood there before is the caller's own word.
    let from = format!("203.0.113.77, {from}");
    let mut call = client
        .call(Method::GET, &path)
        .header("X-Forwarded-For", &from);
    if let Some(token) = token {
        call = call.header("X-NADOBE-AUTHORIZATION", &format!("Bearer {token}"));
    }
    call.send().await
}

/// A node, a key for it and a token.
async fn node(place: &Place) -> (Node, String, String) {
    let (_, key) = place.key(EBEVIS, OWNER).await;
    let token = place.sandbox.token(EBEVIS.scope, OWNER).await;
    (place.node().await, key, token)
}

#[tokio::test]
async fn behind_a_named_proxy_callers_are_told_apart() {
    let mut place = Place::new().await;
    place.set("server", "behind_proxy", vec!["127.0.0.1"]);
    let (node, key, token) = node(&place).await;
    let wrong = node.client(WRONG, &token);
    for _ in 0..WRONG_MAX {
        passed_on(&wrong, "192.0.2.1", None)
            .await
            .refused(401, 1024);
    }
    let throttled = passed_on(&wrong, "192.0.2.1", None).await;
    throttled.refused(429, 1029);
    let wait = throttled.header("retry-after").expect("when to try again");
    assert!((1..=60).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    // Another address has tries left, and a good key works from any.
    passed_on(&wrong, "192.0.2.2", None)
        .await
        .refused(401, 1024);
    let keys = node.keys().await;
    let good = node.client(&key, &token);
    proven_by(&passed_on(&good, "192.0.2.1", None).await, &keys);
    // The proxy may pass the token in its own header.
    let bare = node.client(&key, "");
    proven_by(&passed_on(&bare, "192.0.2.1", Some(&token)).await, &keys);
}

#[tokio::test]
async fn nobody_else_can_say_where_a_call_comes_from_or_whose_it_is() {
    let place = Place::new().await;
    let (node, key, token) = node(&place).await;
    let bare = node.client(&key, "");
    passed_on(&bare, "192.0.2.1", Some(&token))
        .await
        .refused(401, 1023);
    let wrong = node.client(WRONG, &token);
    for number in 0..WRONG_MAX {
        let from = format!("192.0.2.{number}");
        passed_on(&wrong, &from, None).await.refused(401, 1024);
    }
    passed_on(&wrong, "192.0.2.200", None)
        .await
        .refused(429, 1029);
    let good = node.client(&key, &token);
    let answer = passed_on(&good, "192.0.2.1", None).await;
    proven_by(&answer, &node.keys().await);
}

/// Not a certificate, but what the structured field must look like.
const NO_CERTIFICATE: &str = ":AAAA:";

#[tokio::test]
async fn a_certificate_in_a_header_is_read_from_a_named_proxy_and_ignored_from_others() {
    let mut place = Place::new().await;
    let call = async |node: &Node, fields: &[&str]| {
        let client = node.client(WRONG, "");
        let mut call = client.call(
            Method::GET,
            &format!("directharvest/{DATASET}?subject={COMPANY}"),
        );
        for value in fields {
            call = call.header("Client-Cert", value);
        }
        call.send().await
    };
    let stranger = place.node().await;
    call(&stranger, &[NO_CERTIFICATE]).await.refused(401, 1024);
    call(&stranger, &["", ""]).await.refused(401, 1024);
    stranger.stop().await;
    place.set("server", "behind_proxy", vec!["127.0.0.1"]);
    let proxied = place.node().await;
    call(&proxied, &[]).await.refused(401, 1024);
    call(&proxied, &[NO_CERTIFICATE]).await.refused(400, 1014);
    call(&proxied, &["", ""]).await.refused(400, 1014);
}
