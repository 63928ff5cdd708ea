//! Calls that send something, answers that are no JSON, and answers in parts.

use dan_core::ports::{Method, SourceFailure};
use serde_json::{Value, json};

use super::{Outside, Reply, SOURCE, definition, definition_with, harvest, harvest_with, values};
use dan_core::testkit::fakes::call_context;

const NAME: &str = "[[parameter]]\nname = \"navn\"\ntype = \"string\"\n";
const VALUE: &str = "[[value]]\nname = \"svar\"\ntype = \"jsonSchema\"\nfrom = \"unit\"\n";

fn posted(body: &str) -> String {
    format!("{NAME}[[call]]\nid = \"unit\"\nsource = \"reg\"\npost = \"/sok\"\n{body}\n{VALUE}")
}

/// What is sent for a name that tries to break out.
async fn sent(body: &str, name: &str) -> (Method, &'static str, String) {
    let definition = definition(&posted(body));
    let outside = Outside::new([("/sok", Reply::Json(json!({"ok": true})))]);
    let parameters = [("navn", json!(name))];
    let made = harvest_with(&definition, &outside, &parameters, &call_context()).await;
    assert_eq!(
        values(&made.expect("an answer")),
        json!([["svar", {"ok": true}, "Reg"]])
    );
    let asked = outside.asked.lock().expect("no panic");
    let (media_type, bytes) = asked[0].body.clone().expect("a body");
    (
        asked[0].method,
        media_type,
        String::from_utf8(bytes.to_vec()).expect("text"),
    )
}

#[tokio::test]
async fn what_is_inserted_is_encoded_for_json() {
    let body = r#"json = { org = "{subject.org}", liste = ["{param.navn}", 1, true], tom = "{subject.person}" }"#;
    let (method, media_type, text) = sent(body, "\"}, {\"a\": \"").await;
    assert_eq!((method, media_type), (Method::Post, "application/json"));
    let read: Value = serde_json::from_str(&text).expect("JSON");
    let expected = json!({"org": "991825827", "liste": ["\"}, {\"a\": \"", 1, true]});
    assert_eq!(read, expected);
}

#[tokio::test]
async fn values_go_into_the_variables_of_graphql_only() {
    let body = "graphql = \"query($n: String!) { enhet(navn: $n) { navn } }\"\nvariables = { n = \"{param.navn}\" }";
    let (_, media_type, text) = sent(body, "\") { hemmelig }").await;
    let read: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(media_type, "application/json");
    let expected = json!({
        "query": "query($n: String!) { enhet(navn: $n) { navn } }",
        "variables": {"n": "\") { hemmelig }"},
    });
    assert_eq!(read, expected);
}

#[tokio::test]
async fn what_is_inserted_is_encoded_for_forms_and_xml() {
    let (_, media_type, text) = sent("form = { a = \"{param.navn}\", b = \"x\" }", "1&c=2 æ").await;
    assert_eq!(media_type, "application/x-www-form-urlencoded");
    assert_eq!(text, "a=1%26c%3D2%20%C3%A6&b=x");
    let (_, media_type, text) = sent(
        "soap = '<a b=\"{param.navn}\">{subject.org}</a>'",
        "\"/><c>'&",
    )
    .await;
    assert_eq!(media_type, "text/xml; charset=utf-8");
    assert_eq!(
        text,
        "<a b=\"&quot;/&gt;&lt;c&gt;&apos;&amp;\">991825827</a>"
    );
}

#[tokio::test]
async fn a_value_that_no_xml_has_or_that_is_missing_is_not_sent() {
    for (value, body) in [
        ("a\u{1}b", "xml = '<a>{param.navn}</a>'"),
        (" ", "xml = '<a>{param.navn}</a>'"),
        ("a", "soap = '<a b=\"{subject.person}\">{param.navn}</a>'"),
    ] {
        let definition = definition(&posted(body));
        let outside = Outside::new([]);
        let parameters = [("navn", json!(value))];
        let made = harvest_with(&definition, &outside, &parameters, &call_context()).await;
        let error = made.expect_err("it cannot be written");
        assert_eq!((error.failure, error.detail), (SourceFailure::Refused, 5));
        assert_eq!(outside.urls(), [""; 0]);
    }
}

fn read_as(format: &str, fail: &str) -> String {
    format!(
        "[[call]]\nid = \"unit\"\nsource = \"reg\"\nget = \"/svar\"\nformat = {format}\n{fail}\n{VALUE}"
    )
}

#[tokio::test]
async fn answers_in_xml_and_csv_are_documents_too() {
    let definition = definition_with(&read_as("{ xml = { lists = [\"rad\"] } }", ""), SOURCE, &[]);
    let xml = |body: &str| {
        Reply::Raw(
            200,
            Some("text/xml; charset=utf-8"),
            body.as_bytes().to_vec(),
        )
    };
    let outside = Outside::new([("/svar", xml("<a><rad>1</rad></a>"))]);
    let made = harvest(&definition, &outside).await.expect("XML");
    assert_eq!(values(&made), json!([["svar", {"rad": ["1"]}, "Reg"]]));
    let accepted = outside.asked.lock().expect("no panic")[0].headers.clone();
    let expected = [("accept", "application/xml, text/xml".to_owned())];
    assert_eq!(accepted, expected);

    let definition = definition_with(&read_as("{ csv = { separator = \";\" } }", ""), SOURCE, &[]);
    let rows = Reply::Raw(200, Some("text/csv"), b"a;b\n1;2\n".to_vec());
    let made = harvest(&definition, &Outside::new([("/svar", rows)]))
        .await
        .expect("CSV");
    assert_eq!(
        values(&made),
        json!([["svar", [{"a": "1", "b": "2"}], "Reg"]])
    );
}

#[tokio::test]
async fn what_is_no_answer_of_its_format_has_the_meaning_of_the_table() {
    let fault = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault/></e:Body></e:Envelope>";
    let fail = "fail = { \"soap-fault\" = \"caller:7\", \"not-xml\" = \"temporary:8\" }";
    let definition = definition_with(&read_as("\"xml\"", fail), SOURCE, &[]);
    for (media_type, body, failure, detail) in [
        ("application/xml", fault, SourceFailure::Refused, 7),
        ("application/xml", "<a>", SourceFailure::Transient, 8),
        ("application/json", "{}", SourceFailure::Transient, 8),
    ] {
        let reply = Reply::Raw(200, Some(media_type), body.as_bytes().to_vec());
        let made = harvest(&definition, &Outside::new([("/svar", reply)])).await;
        let error = made.expect_err("no answer");
        assert_eq!((error.failure, error.detail), (failure, detail));
        assert!(!error.cause.contains("Fault"), "{}", error.cause);
    }
}

const PAGED: &str = r#"
[[call]]
id = "unit"
source = "reg"
get = "/liste"
query = { org = "{subject.org}" }
pages = { query = "side", step = 1, more = "page.sider > next", items = "page.rader", most = 2 }
"#;

#[tokio::test]
async fn parts_are_joined_and_each_is_told_in_the_statement() {
    let definition = definition(&format!("{PAGED}{VALUE}"));
    let part = |rows: &[u8], of: u8| Reply::Json(json!({"sider": of, "rader": rows}));
    let outside = Outside::new([
        ("/liste?org=991825827&side=0", part(&[1, 2], 2)),
        ("/liste?org=991825827&side=1", part(&[3], 2)),
    ]);
    let made = harvest(&definition, &outside).await.expect("both parts");
    assert_eq!(values(&made), json!([["svar", [1, 2, 3], "Reg"]]));
    assert_eq!(made.calls.len(), 2);

    let outside = Outside::new([
        ("/liste?org=991825827&side=0", part(&[1], 9)),
        ("/liste?org=991825827&side=1", part(&[2], 9)),
    ]);
    let error = harvest(&definition, &outside)
        .await
        .expect_err("a list that is cut is none");
    assert_eq!((error.failure, error.detail), (SourceFailure::Broken, 4));
}
