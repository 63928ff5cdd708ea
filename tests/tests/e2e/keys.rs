//! API keys as an operator handles them over the management listener, and the limits of those who hold one.

use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{DAN_TEST, EBEVIS, OWNER};
use dan_tests::node::{Node, until};
use dan_tests::shapes::{items, text};
use http::Method;
use serde_json::{Value, json};
use toml::Table;

use crate::place::{DATASET, Place, harvest};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A node whose keys may be managed with [`TOKEN`].
async fn managed() -> (Place, Node) {
    let mut place = Place::new().await;
    place.scratch.write("management.token", TOKEN);
    let token = "file = \"management.token\"".parse::<Table>().unwrap();
    place.set("management", "token", token);
    let node = place.node().await;
    (place, node)
}

fn manage(node: &Node, method: Method, path: &str) -> Call {
    let call = Call::new(method, format!("{}{path}", node.management));
    call.header("Authorization", &format!("Bearer {TOKEN}"))
}

async fn create(node: &Node, wish: Value) -> Answer {
    manage(node, Method::POST, "/keys").json(&wish).send().await
}

#[tokio::test]
async fn keys_are_made_rotated_and_ended_over_the_management_listener() {
    let (place, node) = managed().await;
    let wish = json!({"context": EBEVIS.id, "org": OWNER, "name": "Etaten"});
    let made = create(&node, wish).await;
    assert_eq!(made.status, 201, "{}", made.excerpt());
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.json();
    let token = place.sandbox.token(EBEVIS.scope, OWNER).await;
    let old = node.client(text(&made, "key"), &token);
    harvest(&old, DATASET).await.ok();

    let path = format!("/keys/{}/rotate", text(&made, "id"));
    let rotated = manage(&node, Method::POST, &path).send().await;
    assert_eq!(rotated.status, 201, "{}", rotated.excerpt());
    let rotated = rotated.json();
    assert_eq!(rotated["replaces"], made["id"]);
    let new = node.client(text(&rotated, "key"), &token);
    harvest(&new, DATASET).await.ok();
    harvest(&old, DATASET).await.ok();

    let path = format!("/keys/{}", text(&made, "id"));
    manage(&node, Method::DELETE, &path).send().await.ok();
    until("the old key ends", async || {
        (old.get("accreditations").await.status == 401).then_some(())
    })
    .await;
    harvest(&new, DATASET).await.ok();
    let again = manage(&node, Method::DELETE, &path).send().await;
    assert_eq!(again.status, 409, "{}", again.excerpt());

    let listed = manage(&node, Method::GET, "/keys").send().await.ok();
    let shown = listed.excerpt();
    let listed = listed.json();
    assert_eq!(items(&listed["keys"]).len(), 2, "{shown}");
    for secret in [text(&made, "key"), text(&rotated, "key")] {
        assert!(!listed.to_string().contains(secret), "{shown}");
        assert!(!node.log().contains(secret));
    }
    // What was done is on the record.
    let file = place.file();
    let tail = ["audit", "export", "--config", crate::place::shown(&file)];
    let tail = place.scratch.dan(&tail).await.exits(0).stdout;
    for action in ["ApiKeyCreated", "ApiKeyReplaced", "ApiKeyRevoked"] {
        assert!(tail.contains(action), "{action}: {tail}");
    }
    node.stop().await;
    let listed = [
        "keys",
        "list",
        "--config",
        crate::place::shown(&file),
        "--json",
    ];
    let listed = place.scratch.dan(&listed).await.exits(0).json();
    let used = items(&listed)
        .iter()
        .filter(|key| key["last_used"].is_string());
    assert_eq!(used.count(), 2, "{listed}");
}

#[tokio::test]
async fn nobody_manages_keys_without_the_token_nor_where_none_is_set() {
    let (_place, node) = managed().await;
    for (method, path) in [
        (Method::GET, "/keys"),
        (Method::POST, "/keys"),
        (Method::POST, "/keys/x/rotate"),
        (Method::DELETE, "/keys/x"),
    ] {
        let url = format!("{}{path}", node.management);
        let bare = Call::new(method.clone(), &url).send().await;
        assert_eq!(bare.status, 401, "{method} {path}");
        let wrong = Call::new(method.clone(), &url).header("Authorization", "Bearer 0123");
        assert_eq!(wrong.send().await.status, 401, "{method} {path}");
        // Not on the public port, with or without the token.
        let public = Call::new(method, format!("{}{path}", node.root));
        let public = public.header("Authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(public.send().await.status, 404, "{path}");
    }
    for wish in [
        json!({}),
        json!({"context": "nothing"}),
        json!({"context": EBEVIS.id, "org": "991825828"}),
        json!({"context": EBEVIS.id, "networks": ["x"]}),
        json!({"context": EBEVIS.id, "scopes": ["dan:x"]}),
        json!({"context": EBEVIS.id, "per_second": 0}),
        json!({"context": EBEVIS.id, "unknown": 1}),
        json!([]),
    ] {
        let refused = create(&node, wish.clone()).await;
        assert_eq!(refused.status, 400, "{wish}: {}", refused.excerpt());
    }
    let place = Place::new().await;
    let closed = place.node().await;
    let answer = manage(&closed, Method::GET, "/keys").send().await;
    assert_eq!(answer.status, 404, "{}", answer.excerpt());
}

#[tokio::test]
async fn a_caller_over_its_limits_is_told_when_to_come_back_and_others_are_not() {
    let (place, node) = managed().await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    let wish = json!({"context": DAN_TEST.id, "per_second": 1, "per_day": 3});
    let limited = create(&node, wish).await.json();
    let usual = create(&node, json!({"context": DAN_TEST.id})).await.json();
    let (limited, usual) = (
        node.client(text(&limited, "key"), &token),
        node.client(text(&usual, "key"), &token),
    );
    let first = limited.get("accreditations").await.ok();
    assert_eq!(
        first.header("ratelimit-policy"),
        Some(r#""key";q=2;w=2, "organisation";q=400;w=1, "day";q=3;w=86400"#)
    );
    let now = first.header("ratelimit").unwrap();
    assert!(
        now.starts_with(r#""key";r=1;t=1, "#) && now.contains(r#""day";r=2;"#),
        "{now}"
    );
    limited.get("accreditations").await.ok();
    let refused = until("a refusal", async || {
        let answer = limited.get("accreditations").await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(refused.json()["code"], 1029);
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert!(refused.header("ratelimit").is_some());
    usual.get("accreditations").await.ok();
    assert!(node.metric("dan_callers_throttled_total").await >= 1);
}
