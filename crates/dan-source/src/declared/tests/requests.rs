//! What is sent: query, headers, credentials.

use dan_core::ports::SourceFailure;
use dan_core::secret::Secret;
use dan_core::testkit::fakes::call_context;
use serde_json::json;

use super::{Outside, Reply, call, definition, definition_with, harvest, harvest_with};

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
