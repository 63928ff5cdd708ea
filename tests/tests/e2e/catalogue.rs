//! The catalogue of a running node is its folder: what is added answers, what is broken changes nothing,
//! what is removed is gone; no restart, no request lost.

use std::fs;
use std::path::Path;

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, DAN_TEST, OWNER};
use dan_tests::node::{Client, Sandbox, Scratch, proven_by, until};
use dan_tests::shapes::{items, names, text};
use serde_json::{Value, json};

use crate::place::{DATASET, Place, copy_folder, shipped_catalogue, shown};

/// The dataset that comes and goes.
const NAME: &str = "EtNyttDatasett";
/// A dataset of the same source that stays.
const OTHER: &str = "DanTestDokument";
/// Whom a document of the test source is about.
const FROM: &str = "document.navn";

fn definition(from: &str) -> String {
    format!(
        r#"
[dataset]
about    = "Who a document is about"
source   = "Testdata"
contexts = ["DAN-test"]

[[call]]
id     = "document"
source = "testdata"
get    = "/dokumenter/{{subject.org}}"

[[value]]
name = "hvem"
type = "string"
from = "{from}"

[[example]]
subject = "310000019"
answers = {{ document = "examples/dokument.json" }}
expect  = "examples/nytt.values.json"
"#
    )
}

/// Swaps a file in as a whole, since a folder is looked at while it changes.
fn put(scratch: &Scratch, catalogue: &Path, name: &str, text: &str) {
    let unfinished = scratch.write("unfinished", text);
    fs::rename(unfinished, catalogue.join(name)).unwrap();
}

async fn harvest(client: &Client, dataset: &str) -> Answer {
    let path = format!("directharvest/{dataset}?subject={COMPANY}&envelope=false");
    client.get(&path).await
}

/// Waits until the node knows as many mistakes in the files as that, and gives them.
async fn problems(sandbox: &Sandbox, some: bool) -> Value {
    let seen = async || {
        let problems = sandbox.node.ready().await["catalog"]["problems"].clone();
        (items(&problems).is_empty() != some).then_some(problems)
    };
    until("the mistakes are told", seen).await
}

/// The dataset as the catalogue in force has it, when it has it.
async fn listed(sandbox: &Sandbox) -> bool {
    let nobody = sandbox.node.anonymous();
    let all = nobody.get("public/metadata/evidencecodes").await.ok();
    names(&all.json(), "evidenceCodeName").contains(NAME)
}

#[tokio::test]
async fn a_dataset_comes_with_its_file_stays_while_it_is_broken_and_goes_with_it() {
    let scratch = Scratch::new();
    let catalogue = scratch.path("catalogue");
    copy_folder(&shipped_catalogue(), &catalogue);
    let sandbox = Sandbox::start(&scratch, &["--catalog", shown(&catalogue)]).await;
    let token = sandbox.token(DAN_TEST.scope, OWNER).await;
    let client = sandbox.node.client(sandbox.key(DAN_TEST.id), &token);
    let keys = sandbox.node.keys().await;
    let file = format!("datasets/{NAME}.toml");
    harvest(&client, NAME).await.refused(400, 1007);
    let before = sandbox.node.metric("dan_catalog_datasets").await;

    let expected = json!({"hvem": "Syntetisk dokument"}).to_string();
    put(&scratch, &catalogue, "examples/nytt.values.json", &expected);
    put(&scratch, &catalogue, &file, &definition(FROM));
    until("the new dataset is listed", async || {
        listed(&sandbox).await.then_some(())
    })
    .await;
    let answer = harvest(&client, NAME).await;
    // One value alone is the whole answer (wire-api.md §9.2).
    let name = answer.json();
    assert!(name.is_string(), "{name}");
    assert_eq!(proven_by(&answer, &keys)["dataset"], NAME);
    assert_eq!(
        sandbox.node.metric("dan_catalog_datasets").await,
        before + 1
    );
    assert_eq!(sandbox.node.metric("dan_catalog_problems").await, 0);
    let version = sandbox.node.ready().await["catalog"]["version"].clone();

    // No TOML; a key that is none; no expression.
    let good = definition(FROM);
    for broken in [
        good.replace("[dataset]", "[dataset"),
        good.replace("contexts", "context"),
        definition("document.navn["),
    ] {
        put(&scratch, &catalogue, &file, &broken);
        let told = problems(&sandbox, true).await;
        let told = told[0].as_str().unwrap();
        assert!(told.starts_with(&format!("{file}:")), "{told}");
        let ready = sandbox.node.ready().await;
        assert_eq!(ready["ready"], true, "{ready}");
        assert_eq!(ready["catalog"]["version"], version, "{ready}");
        assert!(sandbox.node.metric("dan_catalog_problems").await > 0);
        let checked = scratch.dan(&["catalog", "check", shown(&catalogue)]).await;
        let said = checked.exits(1).stdout;
        // The node says it in one line, the command shows it in the line of the file.
        let (_, what) = told.split_once(": ").unwrap();
        let what = what.rsplit_once("; ").map_or(what, |(what, _hint)| what);
        assert!(
            said.contains(&format!("error: {what}\n")),
            "{told} is not in {said}"
        );
        // What was in force stays in force, the broken dataset and the others.
        assert_eq!(harvest(&client, NAME).await.ok().json(), name);
        proven_by(&harvest(&client, OTHER).await, &keys);

        put(&scratch, &catalogue, &file, &good);
        problems(&sandbox, false).await;
        assert_eq!(sandbox.node.metric("dan_catalog_problems").await, 0);
        proven_by(&harvest(&client, NAME).await, &keys);
    }
    scratch
        .dan(&["catalog", "check", shown(&catalogue)])
        .await
        .exits(0);

    fs::remove_file(catalogue.join(&file)).unwrap();
    until("the removed dataset is gone", async || {
        (!listed(&sandbox).await).then_some(())
    })
    .await;
    harvest(&client, NAME).await.refused(400, 1007);
    assert_eq!(sandbox.node.metric("dan_catalog_datasets").await, before);
    proven_by(&harvest(&client, OTHER).await, &keys);
}

#[tokio::test]
async fn an_example_that_does_not_come_out_is_a_mistake_like_the_others() {
    let scratch = Scratch::new();
    let catalogue = scratch.path("catalogue");
    copy_folder(&shipped_catalogue(), &catalogue);
    let file = format!("datasets/{NAME}.toml");
    let expected = json!({"hvem": "Syntetisk dokument"}).to_string();
    put(&scratch, &catalogue, "examples/nytt.values.json", &expected);
    put(&scratch, &catalogue, &file, &definition(FROM));
    let sandbox = Sandbox::start(&scratch, &["--catalog", shown(&catalogue)]).await;
    let version = sandbox.node.ready().await["catalog"]["version"].clone();
    // Something else comes out of it than its example says (docs/catalog.md, Mistakes).
    let wrong = definition("document.organisasjonsnummer");
    put(&scratch, &catalogue, &file, &wrong);
    let checked = scratch.dan(&["catalog", "check", shown(&catalogue)]).await;
    let said = checked.exits(1).stdout;
    assert!(said.contains("the example does not come out"), "{said}");
    let seen = until("the node has looked at the folder", async || {
        let seen = sandbox.node.ready().await["catalog"].clone();
        let told = !items(&seen["problems"]).is_empty();
        (told || seen["version"] != version).then_some(seen)
    })
    .await;
    assert_eq!(seen["version"], version, "the mistake is in force: {seen}");
    let told = seen["problems"].to_string();
    assert!(told.contains("the example does not come out"), "{told}");
}

#[tokio::test]
async fn a_changed_definition_is_in_force_as_a_whole_and_requests_go_on_meanwhile() {
    let scratch = Scratch::new();
    let catalogue = scratch.path("catalogue");
    copy_folder(&shipped_catalogue(), &catalogue);
    let file = format!("datasets/{NAME}.toml");
    let expected = json!({"hvem": "Syntetisk dokument"}).to_string();
    put(&scratch, &catalogue, "examples/nytt.values.json", &expected);
    put(&scratch, &catalogue, &file, &definition(FROM));
    let sandbox = Sandbox::start(&scratch, &["--catalog", shown(&catalogue)]).await;
    let token = sandbox.token(DAN_TEST.scope, OWNER).await;
    let client = sandbox.node.client(sandbox.key(DAN_TEST.id), &token);
    let keys = sandbox.node.keys().await;
    let view = async || {
        let answer = harvest(&client, NAME).await;
        let claims = proven_by(&answer, &keys);
        (claims["view"].clone(), answer.json())
    };
    let (old, body) = view().await;
    // The same value under another expression: the statement says that the mapping is another.
    let changed = definition("document.[navn][0]");
    put(&scratch, &catalogue, &file, &changed);
    let new = until("the changed definition is in force", async || {
        // Each answer on the way is a good one.
        let (view, same) = view().await;
        assert_eq!(same, body);
        (view != old).then_some(view)
    })
    .await;
    assert_eq!(view().await.0, new);
}

#[tokio::test]
async fn a_setting_that_a_node_lacks_closes_the_datasets_of_that_source_and_no_others() {
    let mut place = Place::new().await;
    let settings = place.config["settings"].as_table_mut().unwrap();
    let address = settings.remove("testdata").unwrap();
    let node = place.node().await;
    let client = place.client(&node, DAN_TEST, OWNER).await;
    let ready = node.ready().await;
    assert_eq!(ready["ready"], true, "{ready}");
    let closed = &ready["catalog"]["closed"];
    let why = text(closed, OTHER);
    assert!(why.contains("testdata"), "{why}");
    assert_eq!(closed.get(DATASET), None, "{closed}");
    let nobody = node.anonymous();
    let listed = nobody.get("public/metadata/evidencecodes").await.ok();
    let listed = listed.json();
    let listed = names(&listed, "evidenceCodeName");
    assert!(listed.contains(DATASET) && !listed.contains(OTHER));
    harvest(&client, OTHER).await.refused(503, 1013);
    let keys = node.keys().await;
    proven_by(&harvest(&client, DATASET).await, &keys);
    node.stop().await;
    let doctor = ["doctor", "--config", shown(&place.file())].map(str::to_owned);
    let said = place.scratch.dan(&doctor).await.exits(0).stdout;
    let told = said
        .lines()
        .any(|line| line.contains("closed") && line.contains(OTHER));
    assert!(told, "{said}");

    place.set("settings", "testdata", address);
    let node = place.node().await;
    assert_eq!(node.ready().await["catalog"]["closed"].get(OTHER), None);
    let client = place.client(&node, DAN_TEST, OWNER).await;
    proven_by(&harvest(&client, OTHER).await, &keys);
}

#[tokio::test]
async fn a_stranger_can_pick_from_the_list_and_not_multiply_it() {
    let scratch = Scratch::new();
    let sandbox = Sandbox::start(&scratch, &[]).await;
    let nobody = sandbox.node.anonymous();
    let list = "public/metadata/evidencecodes";
    let all = nobody.get(&format!("{list}?query=%40")).await.ok();
    let plain = nobody.get(list).await.ok();
    assert_eq!(items(&all.json()).len(), items(&plain.json()).len());
    let doubled = "%7C%5B%40%2C%40%5D".repeat(7);
    let swollen = nobody.get(&format!("{list}?query=%40{doubled}")).await;
    swollen.refused(400, 1027);
}
