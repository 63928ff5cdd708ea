//! Whole definitions against a fake outside: every construct, every class of failure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dan_core::evidence::{Evidence, Harvest};
use dan_core::party::{Party, Realm};
use dan_core::ports::{
    CallContext, Fetch, FetchError, FetchReply, FetchRequest, PortFuture, SourceError,
    SourceFailure,
};
use dan_core::secret::Secret;
use dan_core::statement::sha256;
use dan_core::testkit::fakes::{START, StillClock, call_context};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::Instant;

use super::document::Inputs;
use super::token::Brought;
use super::{Definition, SourcePorts};
use crate::catalog_folder::{CatalogFiles, Environment, load};

const SOURCE: &str = "address = \"https://reg.example/api\"\n[limits]\nreply_bytes_max = 2000\n";
const HEAD: &str = "[dataset]\nabout = \"x\"\nsource = \"Reg\"\npublic = true\n";
const EXAMPLE: &str = "\n[[example]]\nfails = \"caller:5\"\nsubject = \"x\"\n";

/// What the fake outside answers to an address.
#[derive(Clone)]
enum Reply {
    Json(Value),
    Raw(u16, Option<&'static str>, Vec<u8>),
    Fails(FetchError),
    /// Answers once as many requests as the barrier wants are there.
    Together(Arc<Barrier>, Value),
}

#[derive(Default)]
struct Outside {
    replies: BTreeMap<String, Reply>,
    asked: Mutex<Vec<FetchRequest>>,
}

impl Outside {
    fn new(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Arc<Self> {
        let replies = replies
            .into_iter()
            .map(|(path, reply)| (format!("https://reg.example/api{path}"), reply));
        Arc::new(Self {
            replies: replies.collect(),
            asked: Mutex::default(),
        })
    }

    fn urls(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().map(|request| request.url.clone()).collect()
    }
}

impl Fetch for Outside {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        let reply = self.replies.get(&request.url).cloned();
        self.asked.lock().expect("no panic").push(request);
        Box::pin(async move {
            let (status, media_type, body) = match reply {
                None => (404, Some("text/plain"), b"canary-body".to_vec()),
                Some(Reply::Json(value)) => (
                    200,
                    Some("application/json"),
                    value.to_string().into_bytes(),
                ),
                Some(Reply::Raw(status, media_type, body)) => (status, media_type, body),
                Some(Reply::Fails(error)) => return Err(error),
                Some(Reply::Together(barrier, value)) => {
                    barrier.wait().await;
                    (
                        200,
                        Some("application/json"),
                        value.to_string().into_bytes(),
                    )
                }
            };
            Ok(FetchReply {
                status,
                media_type: media_type.map(str::to_owned),
                retry_after_s: None,
                body: Bytes::from(body),
            })
        })
    }
}

fn definition_with(body: &str, source: &str, extra: &[(&str, &str)]) -> Arc<Definition> {
    let mut texts = vec![
        ("sources/reg.toml".to_owned(), source.to_owned()),
        (
            "datasets/D.toml".to_owned(),
            format!("{HEAD}{body}{EXAMPLE}"),
        ),
    ];
    texts.extend(
        extra
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    );
    let files = CatalogFiles::from_texts(texts);
    let settings = BTreeMap::from([("reg".to_owned(), "https://reg.example/api".to_owned())]);
    let find = |name: &str| (name == "key").then(|| Arc::new(Secret::new("s3cret:x".to_owned())));
    match load(&files, &Environment::new(&settings, &find)) {
        Ok(mut loaded) => loaded.datasets.remove(0).definition,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"));
        }
    }
}

fn definition(body: &str) -> Arc<Definition> {
    definition_with(body, SOURCE, &[])
}

fn call(rest: &str) -> String {
    format!(
        "[[call]]\nid = \"unit\"\nsource = \"reg\"\n{rest}\n[[value]]\nname = \"navn\"\ntype = \"string\"\nfrom = \"unit.navn\"\n"
    )
}

async fn harvest_with(
    definition: &Definition,
    outside: &Arc<Outside>,
    parameters: &[(&str, Value)],
    ctx: &CallContext,
) -> Result<Harvest, SourceError> {
    let subject = Party::parse("991825827", Realm::Production).expect("a number");
    let ports = SourcePorts {
        fetch: Arc::clone(outside) as _,
        clock: Arc::new(StillClock::default()),
        tokens: None,
    };
    let inputs = Inputs {
        subject: Some(&subject),
        subject_text: None,
        requestor: Some(&subject),
        owner: None,
        parameters: parameters
            .iter()
            .map(|(name, value)| (*name, value))
            .collect(),
        now: START,
    };
    definition
        .harvest(&inputs, &Brought::default(), &ports, ctx)
        .await
}

async fn harvest(definition: &Definition, outside: &Arc<Outside>) -> Result<Harvest, SourceError> {
    harvest_with(definition, outside, &[], &call_context()).await
}

fn values(harvest: &Harvest) -> Value {
    let Evidence::Values(values) = &harvest.evidence else {
        panic!("values are expected");
    };
    let pairs = values
        .iter()
        .map(|value| json!([value.name, value.value, value.source]));
    pairs.collect()
}

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

#[tokio::test]
async fn empty_query_values_are_left_out_and_lists_repeat_the_name() {
    let body = r#"
[[parameter]]
name = "fra"
type = "dateTime"
[[parameter]]
name = "navn"
type = "string"
[[call]]
id = "unit"
source = "reg"
get = "/u?fixed=1"
query = { fromDate = "{param.fra:date}", "navn å" = "{param.navn}", part = ["a", "{subject.org}"] }
[[value]]
name = "navn"
type = "string"
from = "unit.navn"
"#;
    let definition = definition(body);
    let ctx = call_context();
    let outside = Outside::new([]);
    let given = [
        ("navn", json!("Æ&b=?")),
        ("fra", json!("2025-02-03T23:30:00-01:00")),
    ];
    let first = harvest_with(&definition, &outside, &given, &ctx).await;
    let second = harvest_with(&definition, &outside, &[("navn", json!(" "))], &ctx).await;
    assert!(first.is_err() && second.is_err());
    assert_eq!(
        outside.urls(),
        [
            "https://reg.example/api/u?fixed=1&fromDate=2025-02-04&navn%20%C3%A5=%C3%86%26b%3D%3F&part=a&part=991825827",
            "https://reg.example/api/u?fixed=1&part=a&part=991825827",
        ]
    );
}

#[tokio::test]
async fn headers_travel_as_secrets_and_cannot_be_broken_out_of() {
    let body = r#"
[[parameter]]
name = "ref"
type = "string"
[[call]]
id = "unit"
source = "reg"
get = "/u"
headers = { X-Ref = "{param.ref}", Accept = "application/vnd.x+json", X-None = "{param.ref}" }
[[value]]
name = "navn"
type = "string"
from = "unit.navn"
"#;
    let source = "address = \"{setting.reg}\"\n[credential]\napi_key = { header = \"X-Key\", value = \"secret:key\" }\n";
    let definition = definition_with(body, source, &[]);
    let ctx = call_context();
    let outside = Outside::new([("/u", Reply::Json(json!({"navn": "x"})))]);
    let good = [("ref", json!("a-1"))];
    harvest_with(&definition, &outside, &good, &ctx)
        .await
        .expect("sent");
    {
        let asked = outside.asked.lock().expect("no panic");
        let request = asked.first().expect("one request");
        let secret: Vec<(&str, &str)> = request
            .secret_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert!(secret.contains(&("x-ref", "a-1")), "{secret:?}");
        assert!(secret.contains(&("x-key", "s3cret:x")), "{secret:?}");
        let accept = ("accept", "application/vnd.x+json".to_owned());
        assert_eq!(request.headers, [accept]);
        assert_eq!(request.peer, "reg");
    }
    for hostile in ["a\r\nX-Evil: 1", "æ", "a\0b", &"x".repeat(5000)] {
        let sent = [("ref", json!(hostile))];
        let refused = harvest_with(&definition, &outside, &sent, &ctx)
            .await
            .expect_err("refused");
        assert_eq!(
            (refused.failure, refused.detail),
            (SourceFailure::Refused, 5)
        );
        assert!(!refused.text.unwrap_or_default().contains(hostile));
    }
    assert_eq!(outside.urls().len(), 1);
}

#[tokio::test]
async fn basic_credentials_are_sent_as_authorization() {
    let source = "address = \"https://reg.example/api\"\n[credential]\nbasic = \"secret:key\"\n";
    let definition = definition_with(&call("get = \"/u\""), source, &[]);
    let outside = Outside::new([("/u", Reply::Json(json!({"navn": "x"})))]);
    harvest(&definition, &outside).await.expect("sent");
    let asked = outside.asked.lock().expect("no panic");
    let sent = asked[0].authorization.as_ref().map(Secret::expose);
    assert_eq!(sent, Some("Basic czNjcmV0Ong="));
}

#[tokio::test]
async fn a_call_that_wants_a_consent_token_is_never_made_without() {
    let definition = definition(&call("get = \"/u\"\ntoken = \"consent\""));
    let outside = Outside::new([("/u", Reply::Json(json!({"navn": "x"})))]);
    let refused = harvest(&definition, &outside).await.expect_err("no token");
    assert_eq!(refused.failure, SourceFailure::Refused);
    assert_eq!(outside.urls(), [""; 0]);
}

#[tokio::test]
async fn what_is_removed_is_nowhere_in_the_answer() {
    let body = r#"
[[call]]
id = "unit"
source = "reg"
get = "/unit"
optional = true
[[call]]
id = "rows"
source = "reg"
get = "/rows"
[[remove]]
path = "rows[].notes"
[[remove]]
path = ["rows[].person", "rows[].inner.person"]
when = "unit.form == 'ENK'"
when_missing = "remove"
[[value]]
name = "default"
type = "jsonSchema"
from = "rows"
[[value]]
name = "again"
type = "jsonSchema"
from = "rows[].{n: notes, p: person}"
"#;
    let definition = definition(body);
    let rows = json!([
        {"id": 1, "notes": "canary", "person": "canary", "inner": {"person": "canary", "id": 2}},
    ]);
    for (unit, removed) in [
        (Some(json!({"form": "ENK"})), true),
        (Some(json!({"form": "AS"})), false),
        (None, true),
    ] {
        let unit = unit.map(|unit| ("/unit", Reply::Json(unit)));
        let rows = ("/rows", Reply::Json(rows.clone()));
        let outside = Outside::new(unit.into_iter().chain([rows]));
        let told = values(&harvest(&definition, &outside).await.expect("rows")).to_string();
        assert_eq!(!told.contains("canary"), removed, "{told}");
        assert!(!told.contains("\"notes\""), "{told}");
    }
}

#[tokio::test]
async fn a_list_gives_one_value_an_item_with_its_own_source() {
    let body = r#"
[[call]]
id = "reports"
source = "reg"
get = "/reports"
[[value]]
name = "rapport"
type = "jsonSchema"
each = "reports[?ok]"
source = "{item.agency}"
from = "item"
[[value]]
name = "navn"
type = "string"
each = "reports"
from = "item.name"
keep_empty = true
"#;
    let definition = definition(body);
    let rows = json!([{"ok": true, "agency": "A", "name": "n"}, {"ok": false}, {"ok": true}]);
    let outside = Outside::new([("/reports", Reply::Json(rows))]);
    let harvest = harvest(&definition, &outside).await.expect("reports");
    assert_eq!(
        values(&harvest),
        json!([
            ["rapport", {"ok": true, "agency": "A", "name": "n"}, "A"],
            ["rapport", {"ok": true}, "Reg"],
            ["navn", "n", "Reg"],
            ["navn", "", "Reg"],
            ["navn", "", "Reg"],
        ])
    );
}

#[tokio::test]
async fn a_definition_without_calls_gives_links_and_tables() {
    let body = r#"
[[value]]
name = "lenke"
type = "uri"
text = "https://w2.example/kunngjoring/{subject.org}?q={requestor.org}"
[[value]]
name = "tekst"
type = "string"
text = "Om {subject.org}"
[[value]]
name = "rader"
type = "string"
from = "join(',', rows[?on].name)"
"#;
    let table = "[[row]]\nname = \"a\"\non = true\n[[row]]\nname = \"b\"\non = false\n";
    let definition = definition_with(body, SOURCE, &[("tables/rows.toml", table)]);
    let outside = Outside::new([]);
    let answer = harvest(&definition, &outside)
        .await
        .expect("no call needed");
    assert_eq!(
        values(&answer),
        json!([
            [
                "lenke",
                "https://w2.example/kunngjoring/991825827?q=991825827",
                "Reg"
            ],
            ["tekst", "Om 991825827", "Reg"],
            ["rader", "a", "Reg"],
        ])
    );
    assert_eq!(answer.calls.len(), 1);
    assert_eq!(definition.source_name(), "declared");
    assert_eq!(outside.urls(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_asked_when_the_request_lacks_what_the_address_needs() {
    let definition = definition(&call("get = \"/u/{subject.person}\""));
    let outside = Outside::new([]);
    let refused = harvest(&definition, &outside).await.expect_err("no person");
    assert_eq!(
        (refused.failure, refused.detail),
        (SourceFailure::Refused, 5)
    );
    assert_eq!(
        refused.text.as_deref(),
        Some("the source cannot be asked: subject.person is missing")
    );
    assert_eq!(outside.urls(), [""; 0]);
}
