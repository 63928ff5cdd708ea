//! Keys of issuers: when they are asked for, how often, and what holds while nobody answers
//! (`security.md` F12 and F13).

use std::sync::Arc;
use std::time::Duration;

use dan_auth::jwks;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::issuer::{FakeIssuer, Key, Mood, Node, b64, claims, credentials, signed};
use dan_core::ports::Authenticator as _;
use dan_core::testkit::fakes::call_context;

const HOUR_MS: i64 = 3_600_000;

fn token(issuer: &FakeIssuer, kid: &str, key: &Key, node: &Node) -> String {
    use dan_core::ports::Clock as _;
    let mut claims = claims(&issuer.name());
    let now = node.clock.now().as_seconds();
    claims.insert("iat".to_owned(), json!(now));
    claims.insert("exp".to_owned(), json!(now.saturating_add(120)));
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    signed(header, Value::Object(claims).to_string(), key)
}

fn one() -> (Arc<FakeIssuer>, Node) {
    let issuer = FakeIssuer::new("one.example", vec![Key::ec(1).public("a")]);
    let node = Node::trusting(&[&issuer]);
    (issuer, node)
}

/// A token signed with the key that [`one`] has.
fn usual(issuer: &FakeIssuer, node: &Node) -> String {
    token(issuer, "a", &Key::ec(1), node)
}

/// Lets flights that nobody waits for land.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_callers_ask_the_issuer_once() {
    let (issuer, node) = one();
    let token = usual(&issuer, &node);
    let (a, b, c) = tokio::join!(node.takes(&token), node.takes(&token), node.takes(&token));
    assert!(a && b && c);
    for _ in 0..50 {
        assert!(node.takes(&token).await);
    }
    assert_eq!(issuer.calls(), (1, 1));
}

/// A caller can look for an issuer while another caller's flight makes it known.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_refused_while_an_issuer_becomes_known() {
    for _ in 0..1_000 {
        let (issuer, node) = one();
        let token = usual(&issuer, &node);
        let node = Arc::new(node);
        let mut callers = JoinSet::new();
        for _ in 0..4 {
            let (node, token) = (Arc::clone(&node), token.clone());
            callers.spawn(async move { node.ask(&token).await });
        }
        while let Some(asked) = callers.join_next().await {
            assert!(asked.unwrap().is_ok());
        }
    }
}

#[tokio::test]
async fn a_storm_of_unknown_keys_causes_one_refresh_a_minute() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    // What is signed does not matter where no key is found.
    let rest = token(&issuer, "x", &Key::ec(9), &node);
    let (_, rest) = rest.split_once('.').unwrap();
    for number in 0..5_000 {
        let header = json!({"alg": "ES256", "kid": format!("k{number}")});
        let forged = format!("{}.{rest}", b64(header.to_string()));
        let (a, b) = tokio::join!(node.rejects(&forged), node.rejects(&forged));
        assert!(a && b);
    }
    assert_eq!(issuer.calls(), (1, 2));
    node.clock.advance_ms(jwks::UNKNOWN_KID_PAUSE_MS);
    for number in 0..10 {
        let forged = token(&issuer, &format!("k{number}"), &Key::ec(9), &node);
        assert!(node.rejects(&forged).await);
    }
    assert_eq!(issuer.calls(), (1, 3));
    assert!(node.takes(&usual(&issuer, &node)).await);
}

#[tokio::test]
async fn a_wrong_signature_causes_no_refresh() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    let forged = token(&issuer, "a", &Key::ec(9), &node);
    assert!(node.rejects(&forged).await);
    assert_eq!(issuer.calls(), (1, 1));
}

#[tokio::test]
async fn a_new_key_is_taken_at_once_and_an_old_one_no_more() {
    let (issuer, node) = one();
    let old = usual(&issuer, &node);
    assert!(node.takes(&old).await);
    issuer.publish(vec![Key::ec(2).public("b")]);
    assert!(node.takes(&token(&issuer, "b", &Key::ec(2), &node)).await);
    assert!(node.rejects(&old).await);
    assert_eq!(issuer.calls(), (1, 2));
}

#[tokio::test]
async fn a_key_that_the_issuer_has_taken_back_serves_until_the_next_refresh() {
    let (issuer, node) = one();
    issuer.publish(vec![Key::ec(1).public("a"), Key::ec(2).public("b")]);
    assert!(node.takes(&token(&issuer, "b", &Key::ec(2), &node)).await);
    assert!(node.takes(&usual(&issuer, &node)).await);
    issuer.publish(vec![Key::ec(2).public("b")]);
    node.clock.advance_ms(jwks::FRESH_MS);
    let taken_back = usual(&issuer, &node);
    assert!(node.takes(&taken_back).await);
    settle().await;
    assert!(node.rejects(&taken_back).await);
    assert!(node.takes(&token(&issuer, "b", &Key::ec(2), &node)).await);
}

#[tokio::test]
async fn old_keys_are_renewed_while_they_serve() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    node.clock.advance_ms(jwks::FRESH_MS.saturating_sub(1));
    assert!(node.takes(&usual(&issuer, &node)).await);
    settle().await;
    assert_eq!(issuer.calls(), (1, 1));
    node.clock.advance_ms(1);
    assert!(node.takes(&usual(&issuer, &node)).await);
    settle().await;
    assert!(node.takes(&usual(&issuer, &node)).await);
    settle().await;
    assert_eq!(issuer.calls(), (2, 2));
}

#[tokio::test]
async fn known_keys_serve_a_day_while_the_issuer_is_down() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    for mood in [
        Mood::Down,
        Mood::Status(500),
        Mood::Metadata("<html>".to_owned()),
        Mood::KeySet("{\"keys\":[]}".to_owned()),
        Mood::KeySet("<html>".to_owned()),
    ] {
        issuer.become_(mood);
        node.clock.advance_ms(HOUR_MS);
        assert!(node.takes(&usual(&issuer, &node)).await);
        settle().await;
        assert!(node.takes(&usual(&issuer, &node)).await);
    }
    issuer.become_(Mood::Down);
    // With bad metadata the key set was still fetched, three hours after the first time.
    node.clock.advance_ms(HOUR_MS.saturating_mul(21));
    assert!(node.takes(&usual(&issuer, &node)).await);
    settle().await;
    node.clock.advance_ms(HOUR_MS.saturating_mul(3));
    assert!(node.cannot_tell(&usual(&issuer, &node)).await);
    issuer.become_(Mood::Well);
    node.clock.advance_ms(jwks::FIRST_PAUSE_MS);
    assert!(node.takes(&usual(&issuer, &node)).await);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_not_asked_by_every_request() {
    let (issuer, node) = one();
    issuer.become_(Mood::Down);
    for _ in 0..100 {
        assert!(node.cannot_tell(&usual(&issuer, &node)).await);
    }
    assert_eq!(issuer.calls(), (1, 0));
    issuer.become_(Mood::Well);
    assert!(node.cannot_tell(&usual(&issuer, &node)).await);
    node.clock.advance_ms(jwks::FIRST_PAUSE_MS);
    assert!(node.takes(&usual(&issuer, &node)).await);
    node.clock.advance_ms(HOUR_MS);
    issuer.become_(Mood::Down);
    for _ in 0..100 {
        assert!(node.takes(&usual(&issuer, &node)).await);
        settle().await;
    }
    assert_eq!(issuer.calls(), (3, 2));
}

#[tokio::test]
async fn keys_never_seen_leave_it_undecided() {
    let metadata = |issuer: Value, keys: Value| {
        Mood::Metadata(json!({"issuer": issuer, "jwks_uri": keys}).to_string())
    };
    let many = vec![Key::ec(1).public("a"); 65];
    let huge = vec![json!({"kty": "RSA"}); 10_000];
    let rsa = |bits: usize, e: &str| {
        let n = b64(vec![0xff_u8; bits.div_ceil(8)]);
        json!({"keys": [{"kty": "RSA", "kid": "a", "n": n, "e": e}]}).to_string()
    };
    for mood in [
        Mood::Down,
        Mood::Status(404),
        Mood::Status(503),
        Mood::Status(302),
        Mood::Metadata("<html>".to_owned()),
        Mood::Metadata("{\"issuer\":\"a\",\"issuer\":\"b\"}".to_owned()),
        metadata(json!(null), json!("https://one.example/jwk")),
        metadata(json!(""), json!("https://one.example/jwk")),
        metadata(json!("https://one.example/"), json!(null)),
        metadata(
            json!("https://one.example/"),
            json!("http://one.example/jwk"),
        ),
        metadata(json!("https://one.example/"), json!("file:///jwk")),
        Mood::Metadata(" ".repeat(jwks::METADATA_BYTES_MAX.saturating_add(1))),
        Mood::KeySet("{\"keys\":[]}".to_owned()),
        Mood::KeySet("[]".to_owned()),
        Mood::KeySet(json!({"keys": many}).to_string()),
        Mood::KeySet(json!({"keys": huge}).to_string()),
        // 16 384 bits, and the exponent 3.
        Mood::KeySet(rsa(16_384, "AQAB")),
        Mood::KeySet(rsa(2_048, "Aw")),
    ] {
        let (issuer, node) = one();
        issuer.become_(mood);
        let token = usual(&issuer, &node);
        assert!(node.cannot_tell(&token).await);
        issuer.become_(Mood::Well);
        node.clock.advance_ms(jwks::FIRST_PAUSE_MS);
        assert!(node.takes(&token).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_issuer_is_waited_for_ten_seconds_at_most() {
    let (issuer, node) = one();
    issuer.become_(Mood::Silent);
    let token = usual(&issuer, &node);
    let start = Instant::now();
    assert!(node.cannot_tell(&token).await);
    assert_eq!(start.elapsed().as_secs(), jwks::FLIGHT_MAX.as_secs());
    let mut ctx = call_context();
    ctx.deadline = Instant::now() + Duration::from_secs(3);
    node.clock.advance_ms(jwks::FIRST_PAUSE_MS);
    let start = Instant::now();
    let presented = credentials(None, Some(&token));
    assert!(node.bearer.authenticate(&presented, &ctx).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_has_keys_does_not_wait_for_a_silent_issuer() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    issuer.become_(Mood::Silent);
    node.clock.advance_ms(HOUR_MS);
    let start = Instant::now();
    for _ in 0..10 {
        assert!(node.takes(&usual(&issuer, &node)).await);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn keys_are_renewed_though_the_metadata_are_silent() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    issuer.become_(Mood::SilentMetadata);
    issuer.publish(vec![Key::ec(2).public("b")]);
    node.clock.advance_ms(HOUR_MS);
    let old = usual(&issuer, &node);
    assert!(node.takes(&old).await);
    settle().await;
    tokio::time::advance(jwks::METADATA_RENEW_MAX).await;
    settle().await;
    assert!(node.rejects(&old).await);
    assert!(node.takes(&token(&issuer, "b", &Key::ec(2), &node)).await);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_does_not_stop_the_flight() {
    let (issuer, node) = one();
    let gate = Arc::new(Notify::new());
    issuer.become_(Mood::Held(Arc::clone(&gate)));
    let token = usual(&issuer, &node);
    let left = timeout(Duration::from_millis(1), node.ask(&token)).await;
    assert!(left.is_err());
    issuer.become_(Mood::Well);
    gate.notify_one();
    settle().await;
    assert!(node.takes(&token).await);
    assert_eq!(issuer.calls(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_issuer_does_not_wait_for_another() {
    let one = FakeIssuer::new("one.example", vec![Key::ec(1).public("a")]);
    let two = FakeIssuer::new("two.example", vec![Key::ec(2).public("a")]);
    let node = Node::trusting(&[&one, &two]);
    one.become_(Mood::Silent);
    let start = Instant::now();
    assert!(node.takes(&token(&two, "a", &Key::ec(2), &node)).await);
    assert_eq!(start.elapsed(), Duration::ZERO);
    // A stranger's token may be the first one's.
    let stranger = FakeIssuer::new("three.example", vec![]);
    assert!(
        node.cannot_tell(&token(&stranger, "a", &Key::ec(3), &node))
            .await
    );
    one.become_(Mood::Well);
    node.clock.advance_ms(jwks::FIRST_PAUSE_MS);
    assert!(
        node.rejects(&token(&stranger, "a", &Key::ec(3), &node))
            .await
    );
    assert!(node.takes(&token(&one, "a", &Key::ec(1), &node)).await);
}

#[tokio::test]
async fn the_keys_of_one_issuer_do_not_vouch_for_another() {
    let one = FakeIssuer::new("one.example", vec![Key::ec(1).public("a")]);
    let two = FakeIssuer::new("two.example", vec![Key::ec(2).public("a")]);
    let node = Node::trusting(&[&one, &two]);
    assert!(node.takes(&token(&one, "a", &Key::ec(1), &node)).await);
    assert!(node.rejects(&token(&one, "a", &Key::ec(2), &node)).await);
    assert!(node.rejects(&token(&two, "a", &Key::ec(1), &node)).await);
}

#[tokio::test]
async fn an_issuer_is_called_what_its_metadata_says_now() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    issuer.rename("https://new.example/");
    let renamed = usual(&issuer, &node);
    assert!(node.rejects(&renamed).await);
    node.clock.advance_ms(jwks::FRESH_MS);
    let renamed = usual(&issuer, &node);
    assert!(node.rejects(&renamed).await);
    settle().await;
    assert!(node.takes(&renamed).await);
}

#[tokio::test]
async fn the_clock_set_back_keeps_the_keys() {
    let (issuer, node) = one();
    assert!(node.takes(&usual(&issuer, &node)).await);
    issuer.become_(Mood::Down);
    node.clock.advance_ms(HOUR_MS.saturating_mul(-1));
    assert!(node.takes(&usual(&issuer, &node)).await);
}

#[tokio::test]
async fn with_no_issuer_no_token_is_good() {
    let (issuer, _) = one();
    let node = Node::trusting(&[]);
    assert!(node.rejects(&usual(&issuer, &node)).await);
}
