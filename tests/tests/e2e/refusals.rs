//! What is wrong with a configuration is told before anything is served: exit status 2, and the words that
//! `docs/operating.md` promises.

use std::fs;

use dan_tests::node::{Node, Scratch};
use toml::Table;

use crate::place::{Place, SUBJECT_KEY, has_openssl, operators_page, shown};

/// What the table of the page calls `exit 2`: the words, without what stands between them.
fn promised() -> Vec<Vec<String>> {
    let page = operators_page();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| exit 2, `"));
    let words = rows.map(|row| row.split_once('`').unwrap().0);
    words
        .map(|words| {
            words
                .split('…')
                .map(|word| word.trim().to_owned())
                .collect()
        })
        .collect()
}

#[tokio::test]
async fn every_documented_refusal_ends_with_2_and_its_words() {
    let mut place = Place::new().await;
    let good = place.config.clone();
    let node = place.node().await;
    let mut promised = promised();
    // Only a newer program makes such a database; the store's own tests hold it.
    promised.retain(|words| !words[0].starts_with("the database has schema version"));
    if has_openssl() {
        let folder = shown(place.scratch.folder());
        let lines = format!(
            "cd {folder}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
             -subj /CN=other -keyout other.pem -out other.crt"
        );
        place.scratch.shell(&lines).await.exits(0);
    } else {
        promised.retain(|words| words[0] != "the first certificate is not that of the key");
    }
    let count = promised.len();
    for words in promised {
        place.config = good.clone();
        // A database of its own, unless it is about the one in use.
        place.set("store", "url", format!("sqlite:data/{}.db", words[0].len()));
        spoil(&mut place, &words[0], &node);
        let file = place.file();
        let said = place.scratch.dan_edge(&["--config", shown(&file)]).await;
        let said = said.exits(2);
        let all = words.iter().all(|word| said.stderr.contains(word));
        assert!(all, "{words:?} is not in {}", said.stderr);
    }
    assert!(count >= 9, "the table has only {count}");
    assert_eq!(node.ready().await["ready"], true, "the first node goes on");
    // Also what the command line says is held against the rules.
    place.config = good;
    place.set("server", "behind_proxy", toml::Value::Array(Vec::new()));
    let file = place.file();
    let listen = ["--config", shown(&file), "--listen", "0.0.0.0:0"];
    let said = place.scratch.dan_edge(&listen).await.exits(2).stderr;
    assert!(said.contains("in clear"), "{said}");
}

/// Makes the configuration wrong in the way that the page describes with these words.
fn spoil(place: &mut Place, words: &str, node: &Node) {
    match words {
        "unknown key" => place.set("server", "lisen", "127.0.0.1:0"),
        "plain HTTP on" => {
            place.set("server", "listen", "0.0.0.0:0");
            place.set("server", "behind_proxy", toml::Value::Array(Vec::new()));
        }
        "audience is required" => {
            let issuer = place.config["issuers"][0].as_table_mut().unwrap();
            issuer.remove("audience");
        }
        "nobody brings client certificates" => {
            place.set("server", "behind_proxy", toml::Value::Array(Vec::new()));
            let tls = "client_roots = \"c\"".parse::<Table>().unwrap();
            place.set("server", "tls", tls);
        }
        "means nothing without client_roots" => {
            let tls = "certificate = \"a\"\nkey = { file = \"b\" }\nclient_crls = \"c\"";
            place.set("server", "tls", tls.parse::<Table>().unwrap());
        }
        "signing.keys is empty" => {
            place.set("signing", "keys", toml::Value::Array(Vec::new()));
        }
        "the first certificate is not that of the key" => {
            let key = "key = { file = \"signing.pem\" }\ncertificate = \"other.crt\"";
            place.set("signing", "keys", vec![key.parse::<Table>().unwrap()]);
        }
        "another node uses this database" => place.set("store", "url", "sqlite:data/dan.db"),
        "another store.subject_key" => {
            // A copy, since the one in use is locked first.
            for suffix in ["", "-wal", "-shm"] {
                let from = place.data().join(format!("dan.db{suffix}"));
                fs::copy(from, place.data().join(format!("copy.db{suffix}"))).unwrap();
            }
            place.set("store", "url", "sqlite:data/copy.db");
            let other = SUBJECT_KEY.replace("AQID", "AQIE");
            place.scratch.write("other.key", other);
            let key: Table = "file = \"other.key\"".parse().unwrap();
            place.set("store", "subject_key", key);
        }
        "cannot listen on" => place.set("server", "listen", &*node.address),
        "the catalogue has" => place.break_catalogue(),
        other => panic!("docs/operating.md promises {other}, and nothing here makes it happen"),
    }
}

#[tokio::test]
async fn an_unknown_key_is_told_with_its_line_and_its_neighbour() {
    let scratch = Scratch::new();
    let file = scratch.write("dan.toml", "[server]\nlisen = \"127.0.0.1:0\"\n");
    for said in [
        scratch.dan_edge(&["--config", shown(&file)]).await,
        scratch.dan(&["doctor", "--config", shown(&file)]).await,
        scratch
            .dan(&["keys", "list", "--config", shown(&file)])
            .await,
    ] {
        let said = said.exits(2).stderr;
        assert!(said.contains("line 2"), "{said}");
        assert!(said.contains("did you mean `listen`?"), "{said}");
    }
    let nothing: [&str; 0] = [];
    let said = scratch.dan_edge(&nothing).await.exits(2).stderr;
    assert!(said.contains("--sandbox") && said.contains("--config"));
    let both = ["--sandbox", "--config", shown(&file)];
    scratch.dan_edge(&both).await.exits(2);
}
