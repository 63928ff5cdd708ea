//! Sources that fail: left alone, asked once more, and never another's harm.

use dan_core::ports::{FetchError, SourceFailure};
use serde_json::json;

use super::kept::Node;
use super::{Outside, Reply, SOURCE, call, definition, definition_with, values};
use crate::protect::{DETAIL_RESTING, FAILURES_MAX};

const OWNER: &str = "974760673";
const GET: &str = "get = \"/units/{subject.org}\"";

fn down() -> Reply {
    Reply::Raw(500, None, Vec::new())
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_left_alone_and_named() {
    let definition = definition(&call(GET));
    let node = Node::new(Outside::new([("/units/991825827", down())]));
    for _ in 0..FAILURES_MAX {
        let error = node.harvest(&definition, OWNER).await.expect_err("down");
        assert_eq!(error.detail, 2);
    }
    let asked = node.outside.urls().len();
    let error = node.harvest(&definition, OWNER).await.expect_err("resting");
    assert_eq!(
        (error.failure, error.detail),
        (SourceFailure::Transient, DETAIL_RESTING)
    );
    assert_eq!(error.source, "REG");
    assert_eq!(node.outside.urls().len(), asked);
}

#[tokio::test]
async fn a_failing_source_of_a_dataset_closes_nothing_of_the_others() {
    let fish = "address = \"https://reg.example/api/fish\"\n";
    let body = format!(
        "{}[[call]]\nid = \"more\"\nsource = \"fish\"\nget = \"/x\"\noptional = true\n",
        call(GET)
    );
    let definition = definition_with(&body, SOURCE, &[("sources/fish.toml", fish)]);
    let found = Reply::Json(json!({"navn": "Fjord AS"}));
    let node = Node::new(Outside::new([
        ("/units/991825827", found),
        ("/fish/x", down()),
    ]));
    for _ in 0..FAILURES_MAX * 2 {
        let made = node
            .harvest(&definition, OWNER)
            .await
            .expect("the other one is well");
        assert_eq!(values(&made), json!([["navn", "Fjord AS", "Reg"]]));
    }
    let asked = |part: &str| {
        node.outside
            .urls()
            .iter()
            .filter(|url| url.contains(part))
            .count()
    };
    assert_eq!(
        asked("/units/"),
        usize::try_from(FAILURES_MAX * 2).expect("few")
    );
    assert_eq!(asked("/fish/"), usize::try_from(FAILURES_MAX).expect("few"));
}

#[tokio::test]
async fn what_found_no_connection_is_asked_once_more_and_what_is_sent_never_is() {
    let broken = || Reply::Fails(FetchError::Network("x".to_owned()));
    let node = Node::new(Outside::new([("/units/991825827", broken())]));
    assert!(node.harvest(&definition(&call(GET)), OWNER).await.is_err());
    assert_eq!(node.outside.urls().len(), 2);
    assert!(node.harvest(&definition(&call(GET)), OWNER).await.is_err());
    assert_eq!(node.outside.urls().len(), 3, "tries are saved up first");

    let posted = call("post = \"/units/{subject.org}\"\njson = { a = 1 }");
    let node = Node::new(Outside::new([("/units/991825827", broken())]));
    assert!(node.harvest(&definition(&posted), OWNER).await.is_err());
    assert_eq!(node.outside.urls().len(), 1);
}

#[tokio::test]
async fn what_is_kept_is_given_also_while_a_source_is_left_alone() {
    let kept = definition(&call(&format!("{GET}\ncache = \"60m\"")));
    let failing = definition(&call("get = \"/down\""));
    let found = Reply::Json(json!({"navn": "Fjord AS"}));
    let node = Node::new(Outside::new([
        ("/units/991825827", found),
        ("/down", down()),
    ]));
    node.harvest(&kept, OWNER).await.expect("an answer");
    for _ in 0..=FAILURES_MAX {
        assert!(node.harvest(&failing, OWNER).await.is_err());
    }
    let made = node.harvest(&kept, OWNER).await.expect("it is kept");
    assert_eq!(values(&made), json!([["navn", "Fjord AS", "Reg"]]));
    assert!(
        node.harvest(&kept, "958935420").await.is_err(),
        "for another it is not"
    );
}
