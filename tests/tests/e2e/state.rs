//! What a node was told stays: grants, keys and the audit trail outlive a stop and a kill. What it must
//! not keep is nowhere: persons, API keys, tokens and evidence are in no file and in no log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, DAN_TEST, EBEVIS, OWNER, PERSON, TILDA};
use dan_tests::node::{Client, Node, proven_by, until};
use dan_tests::proof::sha256_hex;
use dan_tests::shapes::{items, text};
use http::Method;
use serde_json::{Value, json};

use crate::place::{DATASET, Place, harvest, shown};
use crate::stub::Address;

/// The caller's own reference of every grant.
const REFERENCE: &str = "journal-2026-0042";

/// Runs `dan audit` with these words.
pub(crate) async fn audit(place: &Place, words: &[&str]) -> String {
    let file = place.file();
    let arguments = [&["audit"], words, &["--config", shown(&file)]].concat();
    place.scratch.dan(&arguments).await.exits(0).stdout
}

/// Every row of the trail, oldest first, after its chain was found whole.
pub(crate) async fn trail(place: &Place) -> Vec<Value> {
    let verified = audit(place, &["verify"]).await;
    assert!(verified.contains("the chain holds"), "{verified}");
    let rows = audit(place, &["export"]).await;
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(verified.starts_with(&format!("{} rows", rows.len())));
    rows
}

/// The row in which an answer was going to be given.
fn intent_of(rows: &[Value], answer: &Answer) -> usize {
    let request = answer.header("x-invocationid").unwrap();
    let intent = |row: &Value| row["request"] == request && row["phase"] == "intent";
    let at = rows.iter().position(intent);
    at.unwrap_or_else(|| panic!("no intent of {}", answer.excerpt()))
}

/// Holds that an answer was recorded before and after it was given, and as what it is.
fn was_recorded(rows: &[Value], answer: &Answer) {
    let intent = intent_of(rows, answer);
    let request = &rows[intent]["request"];
    let delivered = |row: &Value| row["request"] == *request && row["phase"] == "delivered";
    let outcome = rows.iter().position(delivered).expect("an outcome");
    assert!(intent < outcome, "the outcome of {request} comes first");
    let (intent, outcome) = (&rows[intent], &rows[outcome]);
    for member in [
        "action",
        "dataset",
        "owner",
        "context",
        "key",
        "accreditation",
    ] {
        assert_eq!(intent[member], outcome[member], "{member} of {request}");
    }
    assert_eq!(outcome["detail"]["sha256"], sha256_hex(&answer.body));
    assert_eq!(outcome["detail"]["bytes"], answer.body.len());
}

/// Asks for access for 90 days, and gives the grant's identifier.
async fn granted(place: &Place, node: &Node, subject: &str) -> String {
    let client = place.client(node, EBEVIS, OWNER).await;
    let application = json!({
        "requestor": OWNER,
        "subject": subject,
        "evidenceRequests": [{"evidenceCodeName": DATASET}],
        "externalReference": REFERENCE,
    });
    let grant = client.post("authorization", &application).await.ok();
    text(&grant.json(), "id").to_owned()
}

/// Harvests a grant and holds that the answer is proven.
async fn of_grant(place: &Place, node: &Node, grant: &str) -> Answer {
    let client = place.client(node, EBEVIS, OWNER).await;
    let path = format!("evidence/{grant}/{DATASET}");
    let answer = client.get(&path).await;
    let claims = proven_by(&answer, &node.keys().await);
    assert_eq!(claims["accreditation"], grant);
    answer
}

#[tokio::test]
async fn grants_and_the_trail_outlive_a_stop_and_a_kill() {
    let place = Place::new().await;
    let node = place.node().await;
    let first = granted(&place, &node, COMPANY).await;
    let mut answers = vec![of_grant(&place, &node, &first).await];
    let client = place.client(&node, DAN_TEST, OWNER).await;
    answers.push(harvest(&client, DATASET).await.ok());
    let nobody = node.anonymous();
    let open = format!("opendata/{DATASET}/{COMPANY}");
    answers.push(nobody.get(&open).await.ok());
    node.stop().await;
    let rows = trail(&place).await;
    for answer in &answers {
        was_recorded(&rows, answer);
    }
    let before = audit(&place, &["export"]).await;

    let node = place.node().await;
    answers.push(of_grant(&place, &node, &first).await);
    let second = granted(&place, &node, COMPANY).await;
    answers.push(of_grant(&place, &node, &second).await);
    let third = granted(&place, &node, COMPANY).await;
    // What was acknowledged is kept, however soon after.
    node.kill();
    let rows = trail(&place).await;
    let after = audit(&place, &["export"]).await;
    assert!(after.starts_with(&before), "rows from before were changed");
    for answer in &answers {
        // The outcome is written behind the answer, so a kill may lose it; the intent never.
        intent_of(&rows, answer);
    }

    let node = place.node().await;
    for grant in [&first, &second, &third] {
        answers.push(of_grant(&place, &node, grant).await);
    }
    let client = place.client(&node, EBEVIS, OWNER).await;
    let list = client.get("accreditations").await.ok().json();
    assert_eq!(items(&list).len(), 3);
    node.stop().await;
    let rows = trail(&place).await;
    let latest = &answers[answers.len() - 3..];
    assert!(latest.iter().all(|answer| answer.status.is_success()));
    for answer in latest {
        was_recorded(&rows, answer);
    }
    let tail = audit(&place, &["tail", "-n", "1"]).await;
    assert_eq!(tail.lines().count(), 1);
    assert!(after_all(&rows, &tail), "{tail}");
    every_outcome_has_its_intent(&rows);
}

fn after_all(rows: &[Value], last: &str) -> bool {
    let last: Value = serde_json::from_str(last).unwrap();
    rows.last() == Some(&last)
}

/// Also of what no test looked at: nothing was given before it was written down that it would be.
fn every_outcome_has_its_intent(rows: &[Value]) {
    for (at, row) in rows.iter().enumerate() {
        if row["phase"] == "delivered" {
            let before = &rows[..at];
            let intents = before
                .iter()
                .filter(|one| one["request"] == row["request"] && one["phase"] == "intent");
            assert_eq!(intents.count(), 1, "{row}");
        }
    }
}

/// Whether `sqlite3` is here; says so when it is not.
fn has_sqlite3() -> bool {
    let here = Command::new("sqlite3").arg("-version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: there is no sqlite3 on this machine");
    }
    here
}

#[tokio::test]
async fn a_row_that_was_touched_in_the_file_is_found() {
    if !has_sqlite3() {
        return;
    }
    let place = Place::new().await;
    let node = place.node().await;
    granted(&place, &node, COMPANY).await;
    node.stop().await;
    trail(&place).await;
    let database = place.data().join("dan.db");
    // Into the main file, which has no checksums of its own.
    let lines = "PRAGMA wal_checkpoint(TRUNCATE)";
    let lines = format!("sqlite3 {} '{lines}'", shown(&database));
    place.scratch.shell(&lines).await.exits(0);
    let mut bytes = fs::read(&database).unwrap();
    let starts = 0..bytes.len() - REFERENCE.len();
    let found: Vec<usize> = starts
        .filter(|at| bytes[*at..].starts_with(REFERENCE.as_bytes()))
        .collect();
    assert!(!found.is_empty(), "the trail keeps the reference");
    for at in found {
        bytes[at + REFERENCE.len() - 1] = b'3';
    }
    fs::write(&database, bytes).unwrap();
    let file = place.file();
    let verify = ["audit", "verify", "--config", shown(&file)];
    let said = place.scratch.dan(&verify).await.exits(1).stdout;
    assert!(said.contains("BROKEN"), "{said}");
}

#[tokio::test]
async fn a_backup_of_a_running_node_is_restored_without_what_came_after() {
    if !has_sqlite3() {
        return;
    }
    let mut place = Place::new().await;
    let node = place.node().await;
    let kept = granted(&place, &node, COMPANY).await;
    let answer = of_grant(&place, &node, &kept).await;
    let (database, backup) = (place.data().join("dan.db"), place.data().join("backup.db"));
    // As docs/operating.md has it.
    let lines = format!(
        "umask 077; sqlite3 {} \".backup '{}'\"",
        shown(&database),
        shown(&backup)
    );
    place.scratch.shell(&lines).await.exits(0);
    let lost = granted(&place, &node, COMPANY).await;
    node.stop().await;

    place.set("store", "url", "sqlite:data/backup.db");
    intent_of(&trail(&place).await, &answer);
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let path = format!("evidence/{lost}/{DATASET}");
    client.get(&path).await.refused(404, 1002);
    of_grant(&place, &node, &kept).await;
    node.stop().await;
    trail(&place).await;
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}

/// Where a text stands in the files of the node, as bytes.
fn places_of(secret: &str, files: &[PathBuf]) -> Vec<PathBuf> {
    let holds = |path: &&PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes())
    };
    files.iter().filter(holds).cloned().collect()
}

/// What the register says, and nobody may keep.
const CANARY: &str = "KANARIFUGL-7f3a9c21d4";
/// A unit the register fails about, with the canary in its answer.
const FAILING: &str = "998997801";

/// A register in which every unit is called as the canary.
fn singing(target: &str) -> (u16, Value) {
    let number = target.rsplit('/').next().unwrap_or_default();
    if target.contains("/underenheter/") {
        return (404, json!({"feilmelding": CANARY}));
    }
    if number == FAILING && !target.starts_with("/authority") {
        return (500, json!({"feilmelding": CANARY, "trace": CANARY}));
    }
    let unit = json!({
        "organisasjonsnummer": number,
        "navn": CANARY,
        "organisasjonsform": {"kode": "ORGL", "beskrivelse": CANARY},
        "antallAnsatte": 412,
        "epostadresse": format!("{CANARY}@example.no"),
    });
    (200, unit)
}

/// Asks about a person in every way there is; gives the answers, the others were refused.
async fn about_a_person(node: &Node, tilda: &Client, ebevis: &Client) -> Vec<Answer> {
    let mut answers = Vec::new();
    // Directly and by a grant.
    let person = json!({"subject": PERSON});
    let path = "directharvest/TildaMetadatav1";
    answers.push(tilda.post(path, &person).await.ok());
    let application = json!({
        "requestor": OWNER,
        "subject": PERSON,
        "evidenceRequests": [{"evidenceCodeName": "TildaMetadatav1"}],
    });
    let grant = tilda.post("authorization", &application).await.ok().json();
    let path = format!("evidence/{}/TildaMetadatav1", text(&grant, "id"));
    answers.push(tilda.get(&path).await.ok());
    let list = tilda.get("accreditations").await.ok();
    assert_eq!(items(&list.json()).len(), 1);
    // A person where only organisations can be asked about, in the body and, by mistake, in the URL.
    let path = format!("directharvest/{DATASET}");
    ebevis.post(&path, &person).await.refused(400, 3002);
    let path = format!("directharvest/{DATASET}?subject={PERSON}");
    ebevis.get(&path).await.refused(400, 3002);
    let nobody = node.anonymous();
    let path = format!("opendata/{DATASET}/{PERSON}");
    nobody.get(&path).await.refused(400, 3002);
    // A source that is asked about persons in its address.
    let path = format!("opendata/DanTestApne/{PERSON}");
    answers.push(nobody.get(&path).await.ok());
    let broken = format!("{{\"subject\": \"{PERSON}\", }}");
    let call = tilda.call(Method::POST, "authorization").body(broken);
    call.send().await.refused(400, 1014);
    answers
}

#[tokio::test]
async fn persons_keys_tokens_and_evidence_are_in_no_file_and_in_no_log() {
    let mut place = Place::new().await;
    let address = Address::reserve();
    let base = address.base().to_owned();
    let _register = address.serve(singing);
    place.set("settings", "er", base.clone());
    place.set("registry", "url", format!("{base}/authority"));
    // The most that a log can be made to say.
    let node = Node::start(&place.scratch, &place.file(), "trace").await;
    let mut secrets = vec![PERSON.to_owned(), CANARY.to_owned()];
    let mut clients = Vec::new();
    for service in [TILDA, EBEVIS] {
        let (id, key) = place.key(service, OWNER).await;
        let token = place.sandbox.token(service.scope, OWNER).await;
        clients.push(node.client(&key, &token));
        let (_, claims_and_signature) = token.split_once('.').unwrap();
        secrets.extend(claims_and_signature.split('.').map(str::to_owned));
        secrets.push(key.rsplit('_').next().unwrap().to_owned());
        assert!(key.contains(&id), "the identifier is public");
    }
    let [tilda, ebevis] = &clients[..] else {
        panic!("two clients");
    };
    let mut answers = about_a_person(&node, tilda, ebevis).await;
    // Evidence, and a source that fails with it in its mouth.
    let answer = harvest(ebevis, DATASET).await.ok();
    assert!(answer.excerpt().contains(CANARY), "{}", answer.excerpt());
    answers.push(answer);
    let path = format!("directharvest/{DATASET}?subject={FAILING}");
    let failed = ebevis.get(&path).await;
    failed.readable_refusal();
    assert!(!failed.excerpt().contains(CANARY), "{}", failed.excerpt());

    let keys = node.keys().await;
    for answer in &answers {
        let claims = proven_by(answer, &keys);
        assert!(!claims.to_string().contains(PERSON), "{claims}");
    }
    let scan = |node: &Node| {
        let log = place.scratch.write("log/node.log", node.log());
        let mut files = files(&place.data());
        files.push(log);
        for secret in &secrets {
            let found = places_of(secret, &files);
            assert!(found.is_empty(), "{secret} stands in {found:?}");
        }
        // The scan finds what is there, and the log is a talkative one.
        assert!(!places_of(OWNER, &files).is_empty());
        assert!(!places_of("\"DEBUG\"", &files).is_empty());
    };
    scan(&node);
    node.terminate();
    until("the node says that it stopped", async || {
        node.log().contains("\"stopped\"").then_some(())
    })
    .await;
    scan(&node);
    assert_eq!(node.ended().await, Some(0));

    // With the key of the persons they can be shown, and are not unless asked for.
    let masked = audit(&place, &["export"]).await;
    for secret in &secrets {
        assert!(!masked.contains(secret), "{secret}");
    }
    let shown = audit(&place, &["export", "--show-persons"]).await;
    assert!(shown.contains(PERSON));
    every_outcome_has_its_intent(&trail(&place).await);
}
