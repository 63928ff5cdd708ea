//! Which calls are made, in which order, and what becomes of a harvest when one fails.

use std::sync::Arc;

use dan_core::evidence::Evidence;
use dan_core::ports::{CallContext, FetchError, SourceFailure};
use dan_core::statement::sha256;
use dan_core::testkit::fakes::{START, call_context};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::time::Instant;

use super::{Outside, Reply, call, definition, harvest, harvest_with, values};

#[tokio::test]
async fn one_call_gives_values_with_source_time_and_digest() {
    let definition = definition(&call("get = \"/units/{subject.org}\""));
    let body = json!({"navn": "Fjord AS", "hemmelig": "x"});
    let outside = Outside::new([("/units/991825827", Reply::Json(body.clone()))]);
    let harvest = harvest(&definition, &outside).await.expect("an answer");
    assert_eq!(values(&harvest), json!([["navn", "Fjord AS", "Reg"]]));
    let [call] = harvest.calls.as_slice() else {
        panic!("one call");
    };
    assert_eq!((call.id.as_str(), call.retrieved_at), ("unit", START));
    assert_eq!(call.digest, sha256(body.to_string().as_bytes()));
    let Evidence::Values(values) = &harvest.evidence else {
        panic!("values are expected");
    };
    assert_eq!(values[0].timestamp, Some(START));
    assert_eq!(definition.source_name(), "reg");
}

#[tokio::test]
async fn the_next_address_is_asked_on_404_and_on_nothing_else() {
    let definition = definition(&call(
        "get = [\"/a/{subject.org}\", \"/b/{subject.org}\"]\nfail = { \"404\" = \"caller:7\" }",
    ));
    let found = Reply::Json(json!({"navn": "B"}));
    let outside = Outside::new([("/b/991825827", found)]);
    let second = harvest(&definition, &outside).await.expect("found");
    assert_eq!(values(&second), json!([["navn", "B", "Reg"]]));
    assert_eq!(outside.urls().len(), 2);

    let error = harvest(&definition, &Outside::new([]))
        .await
        .expect_err("nowhere");
    assert_eq!((error.failure, error.detail), (SourceFailure::Refused, 7));

    let down = Reply::Raw(500, None, Vec::new());
    let outside = Outside::new([("/a/991825827", down)]);
    assert!(harvest(&definition, &outside).await.is_err());
    assert_eq!(outside.urls().len(), 1);
}

/// A failure, and what it means by the default table and by [`OWN_TABLE`].
type Case = (
    &'static str,
    Reply,
    (SourceFailure, u32),
    (SourceFailure, u32),
);

const OWN_TABLE: &str = r#"get = "/u"
[call.fail]
404 = "caller:21"
4xx = "broken:22"
429 = "temporary:23"
5xx = "broken:24"
network = "broken:25"
timeout = "broken:26"
empty = "caller:27"
not-json = "temporary:28"
too-large = "temporary:29"
202 = "temporary:30"
"#;

fn raw(status: u16, body: &str) -> Reply {
    Reply::Raw(status, Some("application/json"), body.as_bytes().to_vec())
}

fn failures() -> Vec<Case> {
    use SourceFailure::{Broken, Refused, Transient};
    const BODY: &str = "canary-body";
    let fails = Reply::Fails;
    let typed = |media_type| Reply::Raw(200, media_type, b"{\"navn\":\"x\"}".to_vec());
    let no_json = ((Broken, 3), (Transient, 28));
    let mut cases = vec![
        ("400", raw(400, BODY), (Refused, 1), (Broken, 22)),
        ("401", raw(401, BODY), (Broken, 3), (Broken, 22)),
        ("403", raw(403, BODY), (Broken, 3), (Broken, 22)),
        ("404", raw(404, BODY), (Refused, 1), (Refused, 21)),
        ("410", raw(410, BODY), (Refused, 1), (Broken, 22)),
        ("429", raw(429, BODY), (Transient, 2), (Transient, 23)),
        ("500", raw(500, BODY), (Transient, 2), (Broken, 24)),
        ("503", raw(503, BODY), (Transient, 2), (Broken, 24)),
        ("302", raw(302, BODY), (Broken, 3), (Broken, 3)),
        ("empty", raw(200, ""), (Broken, 3), (Refused, 27)),
        ("204", raw(204, ""), (Broken, 3), (Refused, 27)),
        (
            "too large",
            raw(200, &"1".repeat(2001)),
            (Broken, 3),
            (Transient, 29),
        ),
        (
            "wrong type",
            raw(200, "{\"navn\": [\"canary-body\"]}"),
            (Broken, 4),
            (Broken, 4),
        ),
    ];
    for (error, by_default, by_table) in [
        (
            FetchError::Network(BODY.to_owned()),
            (Transient, 2),
            (Broken, 25),
        ),
        (FetchError::Timeout, (Transient, 2), (Broken, 26)),
        (FetchError::TooLarge, (Broken, 3), (Transient, 29)),
        (
            FetchError::Refused(BODY.to_owned()),
            (Broken, 3),
            (Broken, 3),
        ),
    ] {
        cases.push(("no answer", fails(error), by_default, by_table));
    }
    for (name, reply) in [
        ("not json", raw(200, BODY)),
        ("cut off", raw(200, "{\"navn\": \"x")),
        (
            "a member twice",
            raw(200, "{\"navn\":\"x\",\"navn\":\"y\"}"),
        ),
        ("html", typed(Some("text/html"))),
        ("no media type", typed(None)),
    ] {
        cases.push((name, reply, no_json.0, no_json.1));
    }
    cases
}

#[tokio::test]
async fn every_class_of_failure_gives_the_declared_error() {
    let plain = definition(&call("get = \"/u\""));
    let own = definition(&call(OWN_TABLE));
    for (name, reply, by_default, by_table) in failures() {
        for (definition, expected) in [(&plain, by_default), (&own, by_table)] {
            let outside = Outside::new([("/u", reply.clone())]);
            let error = harvest(definition, &outside).await.expect_err(name);
            assert_eq!((error.failure, error.detail), expected, "{name}");
            assert_eq!(error.source, "REG", "{name}");
            let told = error.text.unwrap_or_default();
            assert!(!told.contains("canary-body"), "{name}: {told}");
        }
    }
    let accepted = Outside::new([("/u", raw(202, "{\"navn\":\"x\"}"))]);
    assert!(harvest(&plain, &accepted).await.is_ok());
    assert_eq!(harvest(&own, &accepted).await.expect_err("202").detail, 30);
}

#[tokio::test]
async fn when_the_request_itself_is_out_of_time_the_source_is_out_of_reach() {
    let definition = definition(&call("get = \"/u\""));
    let ctx = CallContext {
        deadline: Instant::now(),
        ..call_context()
    };
    let never = Reply::Together(Arc::new(Barrier::new(2)), json!({}));
    let outside = Outside::new([("/u", never)]);
    let error = harvest_with(&definition, &outside, &[], &ctx)
        .await
        .expect_err("late");
    assert_eq!(error.failure, SourceFailure::Unreachable);
}

#[tokio::test]
async fn independent_calls_run_at_once_and_dependent_ones_after_them() {
    let body = r#"
[[call]]
id = "third"
source = "reg"
get = "/c/{first.id}/{second.id}"
timeout = "5s"
[[call]]
id = "first"
source = "reg"
get = "/a"
timeout = "5s"
[[call]]
id = "second"
source = "reg"
get = "/b"
timeout = "5s"
[[value]]
name = "sum"
type = "string"
from = "join('-', [first.id, second.id, third.id])"
"#;
    let definition = definition(body);
    // Both answer only when both are asked.
    let both = Arc::new(Barrier::new(2));
    let outside = Outside::new([
        ("/a", Reply::Together(Arc::clone(&both), json!({"id": "1"}))),
        ("/b", Reply::Together(both, json!({"id": "2"}))),
        ("/c/1/2", Reply::Json(json!({"id": "3"}))),
    ]);
    let harvest = harvest(&definition, &outside).await.expect("all three");
    assert_eq!(values(&harvest)[0][1], json!("1-2-3"));
    let order: Vec<&str> = harvest.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(order, ["third", "first", "second"]);
}

#[tokio::test]
async fn an_optional_call_may_fail_and_what_needs_it_copes() {
    let body = r#"
[[call]]
id = "main"
source = "reg"
get = "/main"
optional = true
timeout = "5s"
[[call]]
id = "detail"
source = "reg"
get = "/detail/{main.id or subject.org}"
timeout = "5s"
[[call]]
id = "extra"
source = "reg"
get = "/extra/{main.id}"
optional = true
timeout = "5s"
[[value]]
name = "a"
type = "string"
from = "detail.a"
[[value]]
name = "b"
type = "jsonSchema"
from = "{extra: extra, main: main.id}"
skip_if_missing = "extra"
"#;
    let definition = definition(body);
    let outside = Outside::new([("/detail/991825827", Reply::Json(json!({"a": "x"})))]);
    let alone = harvest(&definition, &outside).await.expect("one will do");
    assert_eq!(values(&alone), json!([["a", "x", "Reg"]]));
    assert_eq!(alone.calls.len(), 1);

    let outside = Outside::new([
        ("/main", Reply::Json(json!({"id": "7"}))),
        ("/detail/7", Reply::Json(json!({"a": "y"}))),
        ("/extra/7", Reply::Json(json!([1]))),
    ]);
    let all = harvest(&definition, &outside).await.expect("all");
    assert_eq!(
        values(&all),
        json!([["a", "y", "Reg"], ["b", {"extra": [1], "main": "7"}, "Reg"]])
    );
}
