//! The audit trail as an operator and an auditor meet it: signed heads, checks of the store and of an
//! exported file, heads kept elsewhere, extracts, and what the node records of itself.

use std::path::{Path, PathBuf};

use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{COMPANY, DAN_TEST, EBEVIS, OWNER, PERSON, TILDA};
use dan_tests::node::{Ended, Node, until};
use dan_tests::shapes::text;
use http::Method;
use serde_json::{Value, json};

use crate::place::{
    DATASET, PUBLIC_URL, Place, copy_folder, exported_rows, harvest, shipped_catalogue, shown,
};

/// A node, its published keys as a file, and a file for what is exported.
struct Audited {
    place: Place,
    jwks: PathBuf,
}

impl Audited {
    /// A node that has answered some requests, one of them about a person, and still runs.
    async fn new() -> (Self, Node) {
        let place = Place::new().await;
        let node = place.node().await;
        let jwks = place
            .scratch
            .write("jwks.json", node.keys().await.to_string());
        let client = place.client(&node, EBEVIS, OWNER).await;
        for _ in 0..3 {
            harvest(&client, DATASET).await.ok();
        }
        let tilda = place.client(&node, TILDA, OWNER).await;
        let person = json!({"subject": PERSON});
        let path = "directharvest/TildaMetadatav1";
        tilda.post(path, &person).await.ok();
        (Self { place, jwks }, node)
    }

    async fn dan(&self, words: &[&str]) -> Ended {
        self.place.scratch.dan(words).await
    }

    async fn export(&self) -> String {
        let file = self.place.file();
        let export = ["audit", "export", "--config", shown(&file)];
        self.dan(&export).await.exits(0).stdout
    }

    async fn rows(&self) -> Vec<Value> {
        exported_rows(&self.export().await)
    }

    /// Checks the store; with heads that were kept, where there are any.
    async fn verify(&self, kept: &[&Path]) -> Ended {
        let file = self.place.file();
        let mut words = vec!["audit", "verify", "--json", "--config", shown(&file)];
        for kept in kept {
            words.extend(["--head", shown(kept)]);
        }
        self.dan(&words).await
    }

    /// Checks an exported text as an auditor does, who has the text and the key set alone.
    async fn verify_text(&self, export: &str, kept: &[&Path]) -> Ended {
        let file = self.place.scratch.write("export.jsonl", export);
        let (file, jwks) = (shown(&file), shown(&self.jwks));
        let mut words = vec!["audit", "verify", "--json", "--file", file, "--jwks", jwks];
        for kept in kept {
            words.extend(["--head", shown(kept)]);
        }
        self.dan(&words).await
    }

    /// Keeps the newest head as `docs/operating.md` says, once every row is under it.
    async fn keep_head(&self, node: &Node) -> PathBuf {
        let head = until("a head over every row", async || {
            let report = self.verify(&[]).await.exits(0).json();
            let is_whole = report["covered"] == report["rows"];
            let answer = newest_head(node).await;
            is_whole.then(|| String::from_utf8(answer.ok().body.to_vec()).unwrap())
        })
        .await;
        self.place.scratch.write("kept.jwt", head)
    }
}

async fn newest_head(node: &Node) -> Answer {
    let url = format!("{}/audit/head", node.management);
    Call::new(Method::GET, url).send().await
}

/// Holds that the answer was no, and gives the first bad record and what was done.
#[track_caller]
fn broken(ended: Ended) -> (u64, String) {
    let report = ended.exits(1).json();
    assert_eq!(report["holds"], false, "{report}");
    let finding = &report["finding"];
    let record = finding["record"].as_u64().unwrap();
    (record, text(finding, "flaw").to_owned())
}

#[tokio::test]
async fn a_trail_is_checked_in_the_store_and_as_a_file() {
    let (audited, node) = Audited::new().await;
    let kept = audited.keep_head(&node).await;
    let client = audited.place.client(&node, DAN_TEST, OWNER).await;
    harvest(&client, DATASET).await.ok();
    node.stop().await;

    let report = audited.verify(&[&kept]).await.exits(0).json();
    assert_eq!(report["covered"], report["rows"], "the stop is covered too");
    assert_eq!(
        (&report["kept"], &report["interrupted"]),
        (&json!(1), &json!(0))
    );
    let export = audited.export().await;
    let as_file = audited.verify_text(&export, &[&kept]).await.exits(0).json();
    assert_eq!(as_file, report);
    assert!(!export.contains(PERSON));

    // What people read, and what is stored.
    let rows = exported_rows(&export);
    let about = |number: &str| {
        let delivered = |row: &&Value| row["subject"] == number && row["phase"] == "delivered";
        rows.iter().find(delivered).unwrap()["sequence"]
            .as_u64()
            .unwrap()
    };
    let (company, person) = (about(COMPANY), about("(person)"));
    let changed = |sequence: u64, from: &str, to: &str| {
        let is_it = |line: &&str| line.contains(&format!("\"sequence\":{sequence},"));
        let line = export.lines().find(is_it).unwrap();
        assert!(line.contains(from), "{line}");
        export.replace(line, &line.replacen(from, to, 1))
    };
    for (touched, expected) in [
        (changed(company, DATASET, "Other"), company),
        (
            changed(
                company,
                "\\\"dataset\\\":\\\"Unit",
                "\\\"dataset\\\":\\\"Knit",
            ),
            company,
        ),
        (
            changed(person, "\"owner\":\"991825827\"", "\"owner\":\"974760673\""),
            person,
        ),
        (
            changed(person, "\"phase\":\"delivered\"", "\"phase\":\"failed\""),
            person,
        ),
    ] {
        let found = broken(audited.verify_text(&touched, &[]).await);
        assert_eq!(found, (expected, "edited".to_owned()));
    }
    let without = |sequence: u64| {
        let lines = export.lines();
        let kept: Vec<_> = lines
            .filter(|line| !line.contains(&format!("\"sequence\":{sequence},")))
            .collect();
        kept.join("\n")
    };
    let found = broken(audited.verify_text(&without(company), &[]).await);
    assert_eq!(found, (company, "missing".to_owned()));
    let swapped = {
        let mut lines: Vec<_> = export.lines().collect();
        lines.swap(0, 1);
        lines.join("\n")
    };
    let found = broken(audited.verify_text(&swapped, &[]).await);
    assert_eq!(found, (1, "swapped".to_owned()));

    // Cut with its heads, only a head that was kept tells.
    let first_head = export.find("{\"head\"").unwrap();
    let cut = &export[..first_head];
    let left = u64::try_from(cut.lines().count()).unwrap();
    audited.verify_text(cut, &[]).await.exits(0);
    let found = broken(audited.verify_text(cut, &[&kept]).await);
    assert_eq!(found, (left + 1, "cut".to_owned()));
    let cut = format!("{}\n", export.lines().last().unwrap());
    let found = broken(audited.verify_text(&cut, &[]).await);
    assert_eq!(found.1, "head", "a head alone");

    let foreign = export.replacen("\"dataset\":", "\"\u{9b}31m\":1,\"dataset\":", 1);
    let ended = audited.verify_text(&foreign, &[]).await;
    assert!(!ended.stdout.contains('\u{9b}'), "{ended:?}");
    assert_eq!(broken(ended).1, "edited");

    // Whose trail it is.
    let mine = exported_rows(&export).len();
    assert_eq!(report["rows"], mine);
    assert_eq!(report["iss"], PUBLIC_URL);
    assert!(report["node"].is_string());
    let file = audited.place.file();
    let whole = audited.place.scratch.write("export.jsonl", &export);
    let (whole, jwks) = (shown(&whole), shown(&audited.jwks));
    let of_file = ["audit", "verify", "--file", whole, "--jwks", jwks];
    let of = |issuer: &'static str| [&of_file[..], &["--issuer", issuer]].concat();
    let said = audited.dan(&of(PUBLIC_URL)).await.exits(0).stdout;
    assert!(
        said.contains(&format!("of the node at {PUBLIC_URL:?}")),
        "{said}"
    );
    audited.dan(&of("https://other.example/v1")).await.exits(1);

    // A kept line that is no head says nothing about the trail.
    let page = audited.place.scratch.write("page.jwt", "\n<html>\n");
    let words = [
        "audit",
        "verify",
        "--config",
        shown(&file),
        "--head",
        shown(&page),
    ];
    let said = audited.dan(&words).await.exits(2).stderr;
    assert!(said.contains("page.jwt:2"), "{said}");

    let found = broken(audited.verify_text("", &[]).await);
    assert_eq!(found, (1, "missing".to_owned()), "an empty file");

    // With keys of somebody else nothing is proven.
    let other = audited.place.sandbox.node.keys().await.to_string();
    let other = audited.place.scratch.write("other.json", other);
    let export = audited.place.scratch.write("export.jsonl", &export);
    let words = [
        "audit",
        "verify",
        "--file",
        shown(&export),
        "--jwks",
        shown(&other),
    ];
    let said = audited.dan(&words).await.exits(1).stdout;
    assert!(said.contains("BROKEN: record 1: head"), "{said}");
    audited.dan(&words[..4]).await.exits(2);
    audited.dan(&["audit", "verify"]).await.exits(2);
}

#[tokio::test]
async fn a_tail_cut_from_the_database_is_found_by_a_head_that_was_kept() {
    let (audited, node) = Audited::new().await;
    let kept = audited.keep_head(&node).await;
    node.stop().await;
    let lines = audited.export().await;
    // The head of the stop stands in the log, for those who keep logs.
    let last_head: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let rows = exported_rows(&lines);
    let (last, covered) = (rows.len(), &last_head["last"]);
    assert_eq!(covered, &json!(last));

    let database = audited.place.data().join("dan.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let forged = connection.execute("DELETE FROM audit WHERE sequence > 3", []);
    assert!(forged.is_err(), "a trigger stands in the way of mistakes");
    connection
        .execute_batch(
            "DROP TRIGGER audit_is_not_deleted; DROP TRIGGER audit_head_is_not_deleted; \
             DELETE FROM audit WHERE sequence > 3",
        )
        .unwrap();
    let found = broken(audited.verify(&[]).await);
    assert_eq!(found.1, "cut");
    connection
        .execute_batch("DELETE FROM audit_head WHERE last > 3")
        .unwrap();
    drop(connection);
    audited.verify(&[]).await.exits(0);
    let found = broken(audited.verify(&[&kept]).await);
    assert_eq!(found, (4, "cut".to_owned()));
}

#[tokio::test]
async fn the_newest_head_is_shown_and_logged() {
    let place = Place::new().await;
    let node = place.node().await;
    let head = until("a head", async || {
        let answer = newest_head(&node).await;
        answer.status.is_success().then_some(answer)
    })
    .await;
    assert_eq!(head.header("content-type"), Some("application/jwt"));
    let management = node.management.clone();
    let public = Call::new(Method::GET, format!("{}/audit/head", node.root));
    assert_eq!(public.send().await.status, 404, "not on the public port");
    node.terminate();
    let logged = until("the last head", async || {
        let log = node.log();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line: &Value| line["message"] == "newest head of the audit trail")
    })
    .await;
    assert_eq!(node.ended().await, Some(0), "{management}");
    let kept = place.scratch.write("logged.jwt", text(&logged, "head"));
    let file = place.file();
    let words = [
        "audit",
        "verify",
        "--config",
        shown(&file),
        "--head",
        shown(&kept),
    ];
    let said = place.scratch.dan(&words).await.exits(0).stdout;
    assert!(said.contains("1 kept heads agree"), "{said}");
}

#[tokio::test]
async fn the_node_and_its_operator_are_in_the_trail() {
    let mut place = Place::new().await;
    let catalogue = place.scratch.path("catalogue");
    copy_folder(&shipped_catalogue(), &catalogue);
    place.set("catalog", "path", shown(&catalogue));
    let node = place.node().await;
    let audited = Audited {
        jwks: PathBuf::new(),
        place,
    };
    let first = audited.rows().await;
    let actions = |rows: &[Value]| -> Vec<String> {
        let actions = rows.iter().map(|row| text(row, "action").to_owned());
        actions.collect()
    };
    assert_eq!(actions(&first), ["NodeStarted", "SigningKeyActivated"]);
    let started = &first[0]["node"];
    assert_eq!(started["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(started["kid"], node.keys().await["keys"][0]["kid"]);
    assert_eq!(started["catalog"], node.ready().await["catalog"]["version"]);

    let context = catalogue.join("contexts/ebevis-product.toml");
    let changed = format!("{}\n# other\n", std::fs::read_to_string(&context).unwrap());
    std::fs::write(&context, changed).unwrap();
    let rows = until("the other catalogue is recorded", async || {
        let rows = audited.rows().await;
        (rows.len() > first.len()).then_some(rows)
    })
    .await;
    let replaced = rows.last().unwrap();
    assert_eq!(replaced["action"], "CatalogReplaced");
    assert_ne!(replaced["node"]["catalog"], started["catalog"]);

    let file = audited.place.file();
    let clear = [
        "audit",
        "export",
        "--show-persons",
        "--config",
        shown(&file),
    ];
    audited.dan(&clear).await.exits(0);
    node.stop().await;
    let rows = audited.rows().await;
    let last = rows.len() - 2;
    assert_eq!(actions(&rows[last..]), ["TrailExported", "NodeStopped"]);
}

#[tokio::test]
async fn an_extract_says_who_fetched_what_and_is_recorded_itself() {
    let (audited, node) = Audited::new().await;
    node.stop().await;
    let file = audited.place.file();
    let extract = ["audit", "extract", "--config", shown(&file), "--subject"];
    let of = |subject: &'static str| [&extract[..], &[subject, "--json"]].concat();
    let said = audited.dan(&of(COMPANY)).await.exits(0);
    let entries = exported_rows(&said.stdout);
    assert_eq!(entries.len(), 4, "three answers and the extract itself");
    for entry in &entries[..3] {
        assert_eq!(entry["outcome"], "delivered");
        assert_eq!(entry["owner"], OWNER);
        assert_eq!(entry["dataset"], DATASET);
        assert!(entry["detail"]["kid"].is_string());
    }
    assert_eq!(entries[3]["action"], "SubjectExtracted");

    // A person's number comes through a pipe, and stands nowhere in what is said.
    let lines = format!(
        "printf '{PERSON}\\n' | dan audit extract --config {} --subject - --lang nb",
        shown(&file)
    );
    let page = audited.place.scratch.shell(&lines).await.exits(0);
    assert!(
        page.stdout
            .contains("Utdrag av revisjonsloggen om en person")
    );
    assert!(page.stdout.contains("hentet: TildaMetadatav1"), "{page:?}");
    assert!(page.stdout.contains("utlevert: "), "{page:?}");
    assert!(!page.stdout.contains(PERSON) && !page.stderr.contains(PERSON));
    let aloud = audited.dan(&of(PERSON)).await.exits(0);
    assert!(aloud.stderr.contains("can be seen"), "{aloud:?}");

    let later = [&of(COMPANY)[..], &["--from", "2100-01-01T00:00:00Z"]].concat();
    assert_eq!(audited.dan(&later).await.exits(0).stdout, "");
    for wrong in ["123456789", "nobody", ""] {
        let words = [&extract[..], &[wrong]].concat();
        audited.dan(&words).await.exits(2);
    }
    let made = |row: &&Value| row["action"] == "SubjectExtracted";
    assert_eq!(audited.rows().await.iter().filter(made).count(), 4);
    audited.verify(&[]).await.exits(0);
}

#[tokio::test]
async fn a_trail_forged_behind_a_running_node_is_not_signed() {
    let (audited, node) = Audited::new().await;
    audited.keep_head(&node).await;
    let database = audited.place.data().join("dan.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute_batch("DROP TRIGGER audit_head_is_not_deleted; DELETE FROM audit_head")
        .unwrap();
    until("the node says so", async || {
        node.log()
            .contains("the trail was changed behind the node")
            .then_some(())
    })
    .await;
    let client = audited.place.client(&node, DAN_TEST, OWNER).await;
    harvest(&client, DATASET).await.ok();
    node.stop().await;
    let count = "SELECT count(*) FROM audit_head";
    let heads: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(heads, 0);
}

#[tokio::test]
async fn a_newest_head_that_is_not_the_nodes_is_not_built_on() {
    let (audited, node) = Audited::new().await;
    node.stop().await;
    let database = audited.place.data().join("dan.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let triggers = "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_master \
                    WHERE type = 'trigger' AND tbl_name = 'audit_head'";
    let triggers: String = connection
        .query_row(triggers, [], |row| row.get(0))
        .unwrap();
    connection.execute_batch(&triggers).unwrap();
    let change = "UPDATE audit_head SET jws = substr(jws, 1, length(jws) - 20) \
                  || 'AAAAAAAAAAAAAAAAAAAA' WHERE last = (SELECT max(last) FROM audit_head)";
    assert_eq!(connection.execute(change, []).unwrap(), 1);
    let newest = "SELECT max(last) FROM audit_head";
    let before: i64 = connection.query_row(newest, [], |row| row.get(0)).unwrap();
    let node = audited.place.node().await;
    assert!(node.log().contains("the trail was changed behind the node"));
    node.stop().await;
    let after: i64 = connection.query_row(newest, [], |row| row.get(0)).unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn commands_that_read_the_trail_make_no_database() {
    let place = Place::new().await;
    let file = place.file();
    for words in [
        &["audit", "verify"][..],
        &["audit", "tail"],
        &["audit", "export"],
        &["audit", "extract", "--subject", COMPANY],
        &["keys", "list"],
    ] {
        let words = [words, &["--config", shown(&file)]].concat();
        let said = place.scratch.dan(&words).await.exits(2).stderr;
        assert!(said.contains("there is no database at"), "{said}");
    }
    assert!(!place.data().join("dan.db").exists());
}
