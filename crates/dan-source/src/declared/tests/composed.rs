//! Calls for every item of a list, calls in variants, and calls that are other datasets.

use std::sync::Arc;

use dan_core::ports::{FetchError, SourceFailure};
use dan_core::testkit::fakes::call_context;
use serde_json::json;
use tokio::sync::Barrier;

use super::{
    EXAMPLE, HEAD, Outside, Reply, SOURCE, definition, definition_with, harvest, harvest_with,
    values,
};
use crate::catalog_folder::{CatalogFiles, Environment, load};

const AGENCIES: &str = r#"
[[agency]]
org = "1"
name = "Arbeid"
source = "reg"
has = ["a"]
[[agency]]
org = "2"
name = "Fisk"
source = "fish"
has = ["a", "b"]
[[agency]]
org = "3"
name = "Ingen"
source = "reg"
has = []
"#;
const FISH: &str = "address = \"https://reg.example/api/fish\"\n";
const FAN: &str = r#"
[[call]]
id = "reports"
for_each = "agencies[?contains(has, 'a')]"
width = 2
source = "{item.source}"
get = "/tilsyn/{item.org}/{subject.org}"
answer = { status = "ok", by = "{item.name}" }
failed = { status = "feil", by = "{item.name}", why = "{call.reason}" }
[[value]]
name = "rapport"
type = "jsonSchema"
each = "reports"
source = "{item.by}"
from = "item"
"#;
const TABLE: &[(&str, &str)] = &[
    ("tables/agencies.toml", AGENCIES),
    ("sources/fish.toml", FISH),
];
const ONE: &str = "/tilsyn/1/991825827";
const TWO: &str = "/fish/tilsyn/2/991825827";

#[tokio::test]
async fn every_item_is_asked_at_its_own_source_and_answers_in_the_order_of_the_list() {
    let definition = definition_with(FAN, SOURCE, TABLE);
    let together = Arc::new(Barrier::new(2));
    let reply = |of| Reply::Together(Arc::clone(&together), json!({"n": of, "status": "x"}));
    let outside = Outside::new([(ONE, reply(1)), (TWO, reply(2))]);
    let harvest = harvest(&definition, &outside).await.expect("both answer");
    let expected = json!([
        ["rapport", {"n": 1, "status": "ok", "by": "Arbeid"}, "Arbeid"],
        ["rapport", {"n": 2, "status": "ok", "by": "Fisk"}, "Fisk"],
    ]);
    assert_eq!(values(&harvest), expected);
    let ids: Vec<&str> = harvest.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["reports[0]", "reports[1]"]);
}

#[tokio::test]
async fn an_item_that_fails_is_told_and_takes_no_other_with_it() {
    let definition = definition_with(FAN, SOURCE, TABLE);
    let outside = Outside::new([
        (ONE, Reply::Fails(FetchError::Network("x".to_owned()))),
        (TWO, Reply::Json(json!([7]))),
    ]);
    let harvest = harvest(&definition, &outside).await.expect("one answers");
    let expected = json!([
        ["rapport", {"status": "feil", "by": "Arbeid", "why": "the source cannot be reached"}, "Arbeid"],
        ["rapport", {"status": "ok", "by": "Fisk", "answer": [7]}, "Fisk"],
    ]);
    assert_eq!(values(&harvest), expected);
    let ids: Vec<&str> = harvest.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["reports[1]"]);
}

#[tokio::test]
async fn items_may_be_chosen_by_the_request_and_what_cannot_be_judged_is_left_out() {
    let parameter = "[[parameter]]\nname = \"kilder\"\ntype = \"string\"\n";
    let body = FAN.replace(
        "width = 2",
        "when = \"!param.kilder || contains(param.kilder, item.org)\"",
    );
    let definition = definition_with(&format!("{parameter}{body}"), SOURCE, TABLE);
    let reply = || Reply::Json(json!({}));
    let outside = Outside::new([(ONE, reply()), (TWO, reply())]);
    let cases = [(" ", 2), ("2", 1), ("1;2", 2), ("3", 0), ("x", 0)];
    for (chosen, asked) in cases {
        let before = outside.urls().len();
        let sent = [("kilder", json!(chosen))];
        let made = harvest_with(&definition, &outside, &sent, &call_context()).await;
        let made = made.expect("an answer");
        assert_eq!(outside.urls().len() - before, asked, "{chosen}");
        let made = values(&made);
        assert_eq!(made.as_array().map(Vec::len), Some(asked), "{chosen}");
    }
    let unjudged = FAN.replace("width = 2", "when = \"contains(item.no, item.org)\"");
    let definition = definition_with(&unjudged, SOURCE, TABLE);
    let made = harvest(&definition, &Outside::new([])).await;
    assert_eq!(values(&made.expect("an answer")), json!([]));
}

#[tokio::test]
async fn a_source_this_node_is_not_set_up_for_fails_its_items_only() {
    let fish = "address = \"{setting.fish}\"\n[credential]\nbasic = \"secret:nokey\"\n";
    let table = [TABLE[0], ("sources/fish.toml", fish)];
    let definition = definition_with(FAN, SOURCE, &table);
    assert_eq!(definition.unset(), None);
    let outside = Outside::new([(ONE, Reply::Json(json!({})))]);
    let made = harvest(&definition, &outside).await.expect("one answers");
    let why = "the source cannot be asked: this node is not set up for it";
    let expected = json!([
        ["rapport", {"status": "ok", "by": "Arbeid"}, "Arbeid"],
        ["rapport", {"status": "feil", "by": "Fisk", "why": why}, "Fisk"],
    ]);
    assert_eq!(values(&made), expected);
    assert_eq!(outside.urls().len(), 1);
    let neither = "address = \"{setting.neither}\"\n";
    let definition = definition_with(FAN, neither, &table);
    let told = definition.unset().unwrap_or_default();
    assert!(told.contains("needs the setting"), "{told}");
}

#[tokio::test]
async fn without_words_for_a_failure_one_item_fails_the_call() {
    let lines: Vec<&str> = FAN
        .lines()
        .filter(|line| !line.starts_with("failed"))
        .collect();
    let definition = definition_with(&lines.join("\n"), SOURCE, TABLE);
    let outside = Outside::new([(TWO, Reply::Json(json!({})))]);
    let error = harvest(&definition, &outside)
        .await
        .expect_err("one is 404");
    assert_eq!((error.failure, error.detail), (SourceFailure::Refused, 1));
}

#[tokio::test]
async fn what_is_known_of_some_items_only_decides_nothing_that_keeps_data_in() {
    let removal = "[[remove]]\npath = \"reports[].n\"\nwhen = \"reports[0].n == `9`\"\nwhen_missing = \"remove\"\n";
    let definition = definition_with(&format!("{FAN}{removal}"), SOURCE, TABLE);
    let outside = Outside::new([(TWO, Reply::Json(json!({"n": "canary"})))]);
    let harvest = harvest(&definition, &outside).await.expect("one answers");
    assert!(!values(&harvest).to_string().contains("canary"));
}

#[tokio::test]
async fn the_first_variant_whose_condition_holds_is_the_one() {
    let body = r#"
[[parameter]]
name = "test"
type = "string"
[[call]]
id = "unit"
source = "reg"
get = "/units/{subject.org}"
[[call.variant]]
when = "param.test == 'ja'"
get = "/test/{subject.org}"
[[call.variant]]
when = "starts_with(subject.org, '9') && param.test == 'fisk'"
source = "fish"
[[value]]
name = "navn"
type = "string"
from = "unit.navn"
"#;
    let definition = definition_with(body, SOURCE, &[("sources/fish.toml", FISH)]);
    let named = |name| Reply::Json(json!({"navn": name}));
    let outside = Outside::new([
        ("/units/991825827", named("A")),
        ("/test/991825827", named("B")),
        ("/fish/units/991825827", named("C")),
    ]);
    for (test, name) in [("nei", "A"), ("ja", "B"), ("fisk", "C")] {
        let sent = [("test", json!(test))];
        let harvest = harvest_with(&definition, &outside, &sent, &call_context()).await;
        let harvest = harvest.expect("an answer");
        assert_eq!(values(&harvest), json!([["navn", name, "Reg"]]));
    }
}

const INNER: &str = r#"
[[parameter]]
name = "aar"
type = "number"
[[call]]
id = "unit"
source = "reg"
get = "/units/{subject.org}"
query = { aar = "{param.aar}" }
[[value]]
name = "navn"
type = "string"
from = "unit.navn"
[[value]]
name = "tall"
type = "number"
each = "unit.tall || `[]`"
from = "item"
"#;
const OUTER: &str = r#"
[[call]]
id = "parent"
source = "reg"
get = "/parents/{subject.org}"
[[call]]
id = "other"
dataset = "Inner"
subject = "{parent.hoved or subject.org}"
params = { aar = "2024" }
optional = true
[[value]]
name = "navn"
type = "string"
from = "other.navn || 'ukjent'"
[[value]]
name = "tall"
type = "jsonSchema"
from = "other.tall"
skip_if_missing = "other"
"#;

fn inner(body: &str) -> String {
    format!("{HEAD}{body}{EXAMPLE}")
}

#[tokio::test]
async fn another_dataset_is_a_call_with_a_subject_and_parameters_of_its_own() {
    let text = inner(INNER);
    let definition = definition_with(OUTER, SOURCE, &[("datasets/Inner.toml", &text)]);
    let answer = json!({"navn": "Hoved", "tall": [1, 2]});
    let parent = (
        "/parents/991825827",
        Reply::Json(json!({"hoved": "974760673"})),
    );
    let outside = Outside::new([
        parent.clone(),
        ("/units/974760673?aar=2024", Reply::Json(answer)),
    ]);
    let made = harvest(&definition, &outside).await.expect("an answer");
    let expected = json!([["navn", "Hoved", "Reg"], ["tall", [1, 2], "Reg"]]);
    assert_eq!(values(&made), expected);
    let ids: Vec<&str> = made.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["parent", "other.unit"]);

    let outside = Outside::new([parent]);
    let made = harvest(&definition, &outside)
        .await
        .expect("it is optional");
    assert_eq!(values(&made), json!([["navn", "ukjent", "Reg"]]));
}

#[test]
fn the_view_names_the_mapping_of_what_it_is_made_of() {
    let text = inner(INNER);
    let outer = definition_with(OUTER, SOURCE, &[("datasets/Inner.toml", &text)]);
    let changed = inner(&INNER.replace("unit.navn", "unit.name"));
    let other = definition_with(OUTER, SOURCE, &[("datasets/Inner.toml", &changed)]);
    assert_ne!(outer.mapping(), other.mapping());
    let same = definition_with(FAN, SOURCE, TABLE);
    let other = definition_with(&FAN.replace("\"ok\"", "\"OK\""), SOURCE, TABLE);
    assert_ne!(same.mapping(), other.mapping());
    assert!(
        !definition(&super::call("get = \"/x\""))
            .mapping()
            .contains("\"call\"")
    );
}

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let mut texts = vec![("sources/reg.toml".to_owned(), SOURCE.to_owned())];
    texts.extend(
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    );
    match load(&CatalogFiles::from_texts(texts), &Environment::invented()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn datasets_are_not_made_of_themselves_or_of_what_is_not_there() {
    let with = |name: &str| {
        inner(&format!(
            "[[call]]\nid = \"x\"\ndataset = \"{name}\"\n[[value]]\nname = \"a\"\ntype = \"string\"\nfrom = \"x.a\"\n"
        ))
    };
    let told = problems(&[
        ("datasets/A.toml", &with("B")),
        ("datasets/B.toml", &with("A")),
    ]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|line| line.contains("made of itself")),
        "{told:?}"
    );
    let told = problems(&[
        ("datasets/A.toml", &with("Innr")),
        ("datasets/Inner.toml", &inner(INNER)),
    ]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("there is no dataset `Innr` in the files; did you mean `Inner`?"),
        "{told:?}"
    );
    let deep: Vec<(String, String)> = [("A", "B"), ("B", "C"), ("C", "Inner")]
        .into_iter()
        .map(|(name, of)| (format!("datasets/{name}.toml"), with(of)))
        .collect();
    let mut files: Vec<(&str, &str)> = deep
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let text = inner(INNER);
    files.push(("datasets/Inner.toml", &text));
    let told = problems(&files);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("datasets/A.toml") && told[0].contains("more than 3 deep"),
        "{told:?}"
    );
}

#[test]
fn consent_is_not_passed_over_by_composing() {
    let rule = "[[require]]\nkind = \"consent\"\nresource = \"r\"\n";
    let guarded = inner(INNER).replace("[[call]]", &format!("{rule}[[call]]"));
    let context = "name = \"Test\"\nowner = \"x\"\n";
    let in_context = |text: String| text.replace("public = true", "contexts = [\"Test\"]");
    let outer = in_context(inner(OUTER));
    let guarded = in_context(guarded);
    let files = |outer: &str| {
        problems(&[
            ("contexts/test.toml", context),
            ("datasets/Outer.toml", outer),
            ("datasets/Inner.toml", &guarded),
        ])
    };
    let told = files(&outer);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("Inner needs the subject's consent"),
        "{told:?}"
    );
    let with_rule = outer.replacen("[[call]]", &format!("{rule}[[call]]"), 1);
    assert_eq!(files(&with_rule), Vec::<String>::new());
}

#[test]
fn every_failure_of_every_call_of_the_shipped_catalogue_is_as_declared() {
    let loaded = load(&CatalogFiles::embedded(), &Environment::invented()).expect("no mistake");
    let (problems, tried) = loaded.try_faults();
    assert_eq!(problems, []);
    assert!(tried > 100, "{tried}");
}
