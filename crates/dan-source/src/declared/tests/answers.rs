//! What comes out: removals, lists, links and tables.

use dan_core::ports::SourceFailure;
use serde_json::json;

use super::{Outside, Reply, SOURCE, call, definition, definition_with, harvest, values};

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
