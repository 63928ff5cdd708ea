//! Tokens that were verified before: what is remembered, and what is asked again at every use.

use std::sync::Arc;

use dan_auth::jwks;
use serde_json::{Value, json};

use super::issuer::{FakeIssuer, Key, Mood, Node, claims, now_s, signed};

const DAY_MS: i64 = 24 * 3_600_000;

fn one() -> (Arc<FakeIssuer>, Node) {
    let issuer = FakeIssuer::new("one.example", vec![Key::ec(1).public("a")]);
    let node = Node::trusting(&[&issuer]);
    (issuer, node)
}

fn token(issuer: &FakeIssuer, lifetime_s: i64) -> String {
    let mut claims = claims(&issuer.name());
    let end = now_s().saturating_add(lifetime_s);
    claims.insert("exp".to_owned(), json!(end));
    let header = r#"{"alg":"ES256","kid":"a"}"#;
    signed(header, Value::Object(claims).to_string(), &Key::ec(1))
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_good_token_is_remembered_once_and_a_bad_one_never() {
    let (issuer, node) = one();
    let good = token(&issuer, 120);
    for _ in 0..3 {
        assert!(node.takes(&good).await);
    }
    assert_eq!(node.bearer.remembered_count(), 1);
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let mut forged = signature.to_owned();
    forged.replace_range(..1, if signature.starts_with('A') { "B" } else { "A" });
    for bad in [
        format!("{rest}.{forged}"),
        format!("{good}A"),
        format!("{good}."),
        token(&issuer, -60),
        token(&issuer, 90_000),
    ] {
        assert!(node.rejects(&bad).await);
    }
    assert_eq!(node.bearer.remembered_count(), 1);
}

#[tokio::test]
async fn a_remembered_token_expires_like_every_other() {
    let (issuer, node) = one();
    let token = token(&issuer, 120);
    assert!(node.takes(&token).await);
    node.clock.advance_ms(149_999);
    assert!(node.takes(&token).await);
    node.clock.advance_ms(1);
    assert!(node.rejects(&token).await);
    let reason = format!("{:?}", node.ask(&token).await.unwrap_err());
    assert!(
        reason.contains("expired") && reason.contains(&issuer.name()),
        "{reason}"
    );
    // Set back before it was issued, the clock makes it too early.
    node.clock.advance_ms(-300_000);
    assert!(node.rejects(&token).await);
}

#[tokio::test]
async fn a_remembered_token_does_not_outlive_the_keys_that_vouched_for_it() {
    for replacement in [
        vec![Key::ec(2).public("a")],
        vec![Key::ec(2).public("b")],
        vec![Key::ec(2).public("b"), Key::ec(3).public("c")],
    ] {
        let (issuer, node) = one();
        let token = token(&issuer, 3600);
        assert!(node.takes(&token).await);
        issuer.publish(replacement);
        node.clock.advance_ms(jwks::FRESH_MS);
        assert!(node.takes(&token).await);
        settle().await;
        assert!(node.rejects(&token).await);
    }
}

#[tokio::test]
async fn a_remembered_token_is_good_under_a_set_that_has_grown() {
    let (issuer, node) = one();
    let token = token(&issuer, 3600);
    assert!(node.takes(&token).await);
    issuer.publish(vec![Key::ec(1).public("a"), Key::ec(2).public("b")]);
    node.clock.advance_ms(jwks::FRESH_MS);
    assert!(node.takes(&token).await);
    settle().await;
    assert!(node.takes(&token).await);
    assert_eq!(node.bearer.remembered_count(), 1);
}

#[tokio::test]
async fn a_remembered_token_needs_keys_that_may_still_be_used() {
    let (issuer, _) = one();
    let node = Node::trusting_as(&[&issuer], |config| config.lifetime_max_s = 86_400);
    let token = token(&issuer, 86_400);
    assert!(node.takes(&token).await);
    issuer.become_(Mood::Down);
    node.clock.advance_ms(DAY_MS - 1);
    assert!(node.takes(&token).await);
    settle().await;
    node.clock.advance_ms(1);
    assert!(node.cannot_tell(&token).await);
}

#[tokio::test]
async fn a_remembered_token_of_an_issuer_with_a_new_name_is_a_strangers() {
    let (issuer, node) = one();
    let token = token(&issuer, 3600);
    assert!(node.takes(&token).await);
    issuer.rename("https://new.example/");
    node.clock.advance_ms(jwks::FRESH_MS);
    assert!(node.takes(&token).await);
    settle().await;
    assert!(node.rejects(&token).await);
}

#[tokio::test]
async fn nothing_is_remembered_of_an_issuer_whose_operator_says_so() {
    let (issuer, _) = one();
    let node = Node::trusting_as(&[&issuer], |config| config.remember_tokens = false);
    let token = token(&issuer, 120);
    assert!(node.takes(&token).await && node.takes(&token).await);
    assert_eq!(node.bearer.remembered_count(), 0);
}
