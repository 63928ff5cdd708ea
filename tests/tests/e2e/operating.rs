//! The operator's path as `docs/operating.md` goes it, with its own blocks of commands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dan_tests::client::Answer;
use dan_tests::consumer::{AGENCY, DAN_TEST, EBEVIS, OWNER};
use dan_tests::node::{Ended, Node, Sandbox, Scratch, proven_by, until};
use dan_tests::shapes::{items, names, text};
use serde_json::Value;
use tokio::task::JoinSet;
use toml::Table;

use crate::place::{
    AUDIENCE, DATASET, Place, SUBJECT_KEY, harvest, has_openssl, operators_page, set, shown,
};
use crate::stub::Address;

/// The first block of a language that holds a text.
fn block(language: &str, holds: &str) -> String {
    let page = operators_page();
    let mut blocks = page.split("\n```").skip(1).step_by(2);
    let opening = format!("{language}\n");
    let found = blocks.find_map(|block| block.strip_prefix(&opening).filter(|b| b.contains(holds)));
    found
        .unwrap_or_else(|| panic!("docs/operating.md has no block of {language} with {holds}"))
        .to_owned()
}

/// What lines of a block may begin with that is run here: it works in our folders, and on nothing else.
const HARMLESS: [&str; 6] = [
    "cp -r catalog/. ",
    "cd ",
    "rm $(grep ",
    "dan ",
    "umask ",
    "openssl rand ",
];

/// Runs a block of the page as it stands, but for the folders and for the user who runs it.
///
/// # Panics
/// When a line is not known to be harmless.
async fn documented(scratch: &Scratch, holds: &str) -> Ended {
    let block = block("sh", holds).replace("runuser -u dan -- ", "");
    let lines = in_scratch(scratch, &block).replace("\\\n", "");
    for line in lines.lines() {
        let known = HARMLESS.iter().any(|known| line.starts_with(known));
        let mut words = line.split_whitespace();
        let ours = scratch.folder();
        let foreign =
            words.find(|word| word.starts_with('/') && !Path::new(word).starts_with(ours));
        assert!(known && foreign.is_none(), "not run here: {line}");
    }
    scratch.shell(&lines).await
}

fn in_scratch(scratch: &Scratch, text: &str) -> String {
    let text = text.replace("/etc/dan", shown(&scratch.path("etc")));
    text.replace("/var/lib/dan", shown(&scratch.path("var")))
}

/// The complete file of the page, with our folders, and addresses of this machine.
fn documented_config(scratch: &Scratch, sandbox: &Sandbox) -> Table {
    let mut config: Table = in_scratch(scratch, &block("toml", "public_url"))
        .parse()
        .unwrap();
    let outside = &sandbox.outside;
    let register = format!("{outside}/enhetsregisteret/api");
    set(&mut config, "server", "listen", "127.0.0.1:0");
    set(&mut config, "management", "listen", "127.0.0.1:0");
    set(&mut config, "settings", "er", register.clone());
    set(&mut config, "registry", "url", register);
    let issuer = &mut config["issuers"][0];
    let discovery = format!("{outside}/.well-known/oauth-authorization-server");
    issuer["discovery"] = discovery.into();
    issuer["audience"] = AUDIENCE.into();
    config["plugins"][0]["url"] = format!("{outside}/plugin/api").into();
    config
}

#[tokio::test]
async fn the_documented_way_leads_to_a_node_that_answers() {
    let scratch = Scratch::new();
    let sandbox = Sandbox::start(&scratch, &[]).await;
    for folder in ["etc/keys", "etc/catalog", "var"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    let checked = documented(&scratch, "dan catalog check .").await.exits(0);
    assert!(checked.stdout.contains("every example"), "{checked:?}");
    let key_file = "etc/keys/signing-2026-11.pem";
    documented(&scratch, "dan signing-key new").await.exits(0);
    let mode = fs::metadata(scratch.path(key_file)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let made = fs::read(scratch.path(key_file)).unwrap();
    let again = documented(&scratch, "dan signing-key new").await.exits(2);
    assert!(again.stderr.contains("never overwritten"), "{again:?}");
    assert_eq!(fs::read(scratch.path(key_file)).unwrap(), made);
    if has_openssl() {
        documented(&scratch, "openssl rand").await.exits(0);
    } else {
        scratch.write("etc/keys/subject.key", SUBJECT_KEY);
    }
    fs::copy(
        sandbox.folder.join("plugin.key"),
        scratch.path("etc/keys/demo"),
    )
    .unwrap();
    scratch.write("etc/keys/regnskap", "a-secret-of-the-catalogue");
    let config = documented_config(&scratch, &sandbox);
    scratch.write("etc/dan.toml", config.to_string());

    let well = documented(&scratch, "dan doctor").await.exits(0);
    assert!(!well.stdout.contains("WRONG"), "{well:?}");
    for secret in ["etc/keys/demo", "etc/keys/regnskap", "etc/keys/subject.key"] {
        let secret = fs::read_to_string(scratch.path(secret)).unwrap();
        assert!(!well.stdout.contains(secret.trim()), "a secret is shown");
    }
    let made = documented(&scratch, "dan keys create").await.exits(0);
    let key = made.stdout.lines().next().unwrap();

    let node = Node::start(&scratch, &scratch.path("etc/dan.toml"), "info").await;
    assert_eq!(node.ready().await["ready"], true);
    let nobody = node.anonymous();
    let listed = nobody.get("public/metadata/servicecontexts").await;
    assert!(items(&listed.ok().json()).contains(&EBEVIS.name.into()));
    let token = sandbox.token(EBEVIS.scope, OWNER).await;
    let client = node.client(key, &token);
    let keys = node.keys().await;
    for dataset in [DATASET, "PluginEnhetsfakta"] {
        let claims = proven_by(&harvest(&client, dataset).await, &keys);
        assert_eq!(
            claims["iss"],
            config["server"]["public_url"].as_str().unwrap()
        );
        assert_eq!(claims["aud"], format!("0192:{OWNER}"));
    }
    assert_eq!(keys["keys"][0]["kid"], "2026-11");
    logged(&node, &harvest(&client, DATASET).await);
    counted(&node).await;
    documented(&scratch, "dan doctor").await.exits(0);
    node.stop().await;
    let audit = documented(&scratch, "dan audit export").await.exits(0);
    assert!(audit.stdout.contains("the chain holds"), "{audit:?}");
    assert!(audit.stdout.contains("\"delivered\""), "{audit:?}");
}

/// Holds that the log has a line for an answer, as the page shows it.
fn logged(node: &Node, answer: &Answer) {
    let request = answer.header("x-invocationid").unwrap();
    let log = node.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let line = lines.iter().find(|line| line["request.id"] == request);
    let line = line.unwrap_or_else(|| panic!("no line of {request} in {log}"));
    let shown: Value = serde_json::from_str(&block("json", "request.id")).unwrap();
    for member in shown.as_object().unwrap().keys() {
        assert!(line.get(member).is_some(), "no {member} in {line}");
    }
    assert_eq!(line["message"], "request");
    assert_eq!(line["route"], "directharvest/{dataset}");
    assert_eq!(line["caller.owner"], OWNER);
    assert_eq!(
        (&line["status"], &line["fault.code"]),
        (&200.into(), &0.into())
    );
}

/// Holds that every metric of the page exists, and that those of harvests count.
async fn counted(node: &Node) {
    let page = operators_page();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `dan_"));
    let names: Vec<String> = rows
        .map(|row| format!("dan_{}", row.split('`').next().unwrap()))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    for name in &names {
        // Those with labels are there when there is something to say.
        if name == "dan_expiry_timestamp_seconds" {
            continue;
        }
        let value = node.metric(name).await;
        match name.as_str() {
            "dan_harvests_total" => assert_eq!(value, 3),
            "dan_outcomes_lost_total" | "dan_http_internal_errors_total" => assert_eq!(value, 0),
            "dan_catalog_problems" => assert_eq!(value, 0),
            _ => {}
        }
    }
}

#[tokio::test]
async fn doctor_names_each_thing_that_is_out_of_reach_and_all_else_stays_well() {
    let mut place = Place::new().await;
    let doctor = async |place: &Place, code: i32| {
        let file = place.file();
        let said = place
            .scratch
            .dan(&["doctor", "--config", shown(&file), "--json"])
            .await;
        let said = said.exits(code).json();
        assert_eq!(said["well"], code == 0, "{said}");
        let wrong = items(&said["findings"]).iter();
        let wrong = wrong.filter(|one| one["well"] == false);
        wrong
            .map(|one| (text(one, "what").to_owned(), text(one, "wrong").to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(doctor(&place, 0).await, []);
    let nowhere = Address::reserve();
    let config = place.config.clone();
    place.set("registry", "url", nowhere.base());
    let found = doctor(&place, 1).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "entity register");
    assert!(found[0].1.contains(nowhere.base()), "{found:?}");
    let file = place.file();
    let people = ["doctor", "--config", shown(&file)];
    let said = place.scratch.dan(&people).await.exits(1).stdout;
    let wrong: Vec<&str> = said.lines().filter(|l| l.starts_with("WRONG")).collect();
    assert_eq!(wrong.len(), 1, "{said}");

    // The stub comes up: well again.
    let _register = nowhere.serve(|_| (200, Value::Null));
    assert_eq!(doctor(&place, 0).await, []);

    place.config = config;
    let nowhere = Address::reserve();
    place.config["issuers"][0]["discovery"] = format!("{}/x", nowhere.base()).into();
    let plugin = format!("name = \"demo\"\nurl = \"{}/api\"", nowhere.base());
    let plugins = vec![plugin.parse::<Table>().unwrap()];
    place.config.insert("plugins".to_owned(), plugins.into());
    place.set("signing", "keys", toml::Value::Array(Vec::new()));
    place.break_catalogue();
    let found = doctor(&place, 1).await;
    let found: Vec<&str> = found.iter().map(|(what, _)| what.as_str()).collect();
    let wrong = ["signing keys", "catalogue", "issuer sandbox", "plugin demo"];
    assert_eq!(found, wrong);

    let absent = place.scratch.path("absent.toml");
    let none = ["doctor", "--config", shown(&absent)];
    place.scratch.dan(&none).await.exits(2);
}

#[tokio::test]
async fn keys_open_for_their_organisation_until_they_are_rotated_out_or_revoked() {
    let place = Place::new().await;
    let (id, key) = place.key(EBEVIS, OWNER).await;
    let node = place.node().await;
    let ours = place.sandbox.token(EBEVIS.scope, OWNER).await;
    let theirs = place.sandbox.token(EBEVIS.scope, AGENCY).await;
    let ask = async |key: &str, token: &str| harvest(&node.client(key, token), DATASET).await;
    let keys = node.keys().await;
    proven_by(&ask(&key, &ours).await, &keys);
    // The key of one organisation with the token of another; both are good by themselves.
    ask(&key, &theirs).await.refused(403, 1019);
    let (_, their_key) = place.key(EBEVIS, AGENCY).await;
    proven_by(&ask(&their_key, &theirs).await, &keys);
    ask(&their_key, &ours).await.refused(403, 1019);
    ask("", &ours).await.refused(401, 1023);
    ask(&key, "").await.refused(401, 1023);
    let flip = if key.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{flip}", &key[..key.len() - 1]);
    ask(&wrong, &ours).await.refused(401, 1024);

    let file = place.file();
    let dan = async |arguments: &[&str]| {
        let arguments = [&["keys"], arguments, &["--config", shown(&file)]].concat();
        place.scratch.dan(&arguments).await
    };
    // A running node takes a key that has ended no longer within a second.
    let ended = async |key: &str| {
        let refused = async || {
            let answer = ask(key, &ours).await;
            (!answer.status.is_success()).then_some(answer)
        };
        until("the key ends", refused).await.refused(401, 1024);
    };
    // Rotated with an overlap: both open. Without: the successor only.
    let rotated = dan(&["rotate", &id, "--json"]).await.exits(0).json();
    let (next_id, next) = (text(&rotated, "id"), text(&rotated, "key"));
    for key in [&key, next] {
        proven_by(&ask(key, &ours).await, &keys);
    }
    let rotated = dan(&["rotate", next_id, "--overlap", "0", "--json"]).await;
    let rotated = rotated.exits(0).json();
    let (last_id, last) = (text(&rotated, "id"), text(&rotated, "key"));
    ended(next).await;
    proven_by(&ask(&key, &ours).await, &keys);
    proven_by(&ask(last, &ours).await, &keys);
    dan(&["revoke", last_id]).await.exits(0);
    ended(last).await;
    proven_by(&ask(&key, &ours).await, &keys);
    dan(&["revoke", last_id]).await.exits(2);
    dan(&["revoke", "000000000000"]).await.exits(2);

    let listed = dan(&["list", "--json"]).await.exits(0);
    assert_eq!(names(&listed.json(), "id").len(), 4);
    for key in [&key, next, last, &their_key] {
        assert!(!listed.stdout.contains(key), "a key is listed");
    }
    let org = ["create", "--context", EBEVIS.id, "--org", "123456789"];
    dan(&org).await.exits(2);
    let context = ["create", "--context", "no-such", "--org", OWNER];
    dan(&context).await.exits(2);
}

#[tokio::test]
async fn what_one_service_may_ask_another_may_not() {
    let place = Place::new().await;
    let node = place.node().await;
    // A key of one service with the scope of another.
    let (_, key) = place.key(EBEVIS, OWNER).await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    let answer = harvest(&node.client(&key, &token), DATASET).await;
    answer.refused(403, 1019);
}

/// Harvests of open data; their rows are more than a pipe takes at once.
const ROWS_FOR_A_PIPE: usize = 150;

#[tokio::test]
async fn who_reads_only_the_beginning_of_an_export_is_no_accident() {
    let place = Place::new().await;
    let node = place.node().await;
    let nobody = node.anonymous();
    let mut asking = JoinSet::new();
    for _ in 0..ROWS_FOR_A_PIPE {
        let nobody = nobody.clone();
        asking.spawn(async move { nobody.get(&format!("opendata/{DATASET}/{OWNER}")).await });
    }
    while let Some(answer) = asking.join_next().await {
        answer.unwrap().ok();
    }
    let file = place.file();
    let lines = format!(
        "{{ dan audit export --config {}; echo \"ended $?\" >&2; }} | head -n 1",
        shown(&file)
    );
    let said = place.scratch.shell(&lines).await.exits(0);
    assert_eq!(said.stdout.lines().count(), 1);
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    assert!(!said.stderr.contains("ended 101"), "{}", said.stderr);
}
