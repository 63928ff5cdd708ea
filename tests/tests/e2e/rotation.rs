//! Signing keys rotate while a node answers from many connections: no restart, and not one answer that
//! the published keys do not verify.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, EBEVIS, OWNER};
use dan_tests::node::{Client, Node, until};
use dan_tests::shapes::{items, text};
use dan_verify::{verify_cose, verify_detached, verify_jose};
use http::Method;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::place::{DATASET, Place, has_openssl, shown};
use crate::signing::kid as signer;

/// Connections that ask without pause.
const CONNECTIONS: usize = 3;
/// Answers that each key signs before the load goes on to the next step.
const ANSWERS_MIN: usize = 30;
/// How long a key is published before it signs, in seconds.
const LEAD_S: &str = "2";

/// The forms of an answer, in turn.
const FORMS: [&str; 3] = ["application/json", "application/jose", "application/cose"];

/// Answers as they come in, with the form that was asked for.
type Answers = Arc<Mutex<Vec<(&'static str, Answer)>>>;

async fn ask(client: &Client, form: &str) -> Answer {
    let path = format!("directharvest/{DATASET}?subject={COMPANY}");
    let call = client.call(Method::GET, &path).header("Accept", form);
    call.send().await
}

/// Asks from several connections until it is told to stop.
fn load(client: &Client, answers: &Answers, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, answers, stop) = (client.clone(), Arc::clone(answers), Arc::clone(stop));
        tasks.spawn(async move {
            for form in FORMS.into_iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let answer = ask(&client, form).await;
                answers.lock().await.push((form, answer));
            }
        });
    }
    tasks
}

/// Names of the keys that made the signature of an answer and, where there is one, the one within.
fn kids_by(form: &str, answer: &Answer, keys: &Value) -> Vec<String> {
    assert!(answer.status.is_success(), "{}", answer.excerpt());
    let keys = keys.to_string();
    let signature = answer.header("x-signature-jwt").unwrap();
    let outer = verify_detached(&answer.body, signature, &keys);
    let inner = match form {
        "application/jose" => verify_jose(std::str::from_utf8(&answer.body).unwrap(), &keys),
        "application/cose" => verify_cose(&answer.body, &keys),
        _ => outer.clone(),
    };
    [outer, inner]
        .map(|verified| verified.unwrap_or_else(|error| panic!("{error}: {}", answer.excerpt())))
        .map(|verified| verified.kid)
        .to_vec()
}

/// Waits until this key has signed enough of what comes in.
async fn until_signed(kid: &str, answers: &Answers) {
    let mut seen = 0;
    let mut signed = 0;
    until("the next key signs", async || {
        let answers = answers.lock().await;
        for (_, answer) in answers.iter().skip(seen) {
            assert!(answer.status.is_success(), "{}", answer.excerpt());
            signed += usize::from(signer(answer) == kid);
        }
        seen = answers.len();
        (signed >= ANSWERS_MIN).then_some(())
    })
    .await;
}

async fn published(node: &Node, count: usize) -> Value {
    until("the key is published", async || {
        let keys = node.keys().await;
        (items(&keys["keys"]).len() == count).then_some(keys)
    })
    .await
}

async fn rotate(place: &Place, config: &str, out: &str) -> String {
    let out = place.scratch.path(out);
    let rotate = ["signing-key", "rotate", "--config", config, "--write"];
    let rotate = [&rotate[..], &["--lead-s", LEAD_S, "--out", shown(&out)]].concat();
    place.scratch.dan(&rotate).await.exits(0).stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_load_and_every_answer_verifies_before_and_after() {
    let mut place = Place::new().await;
    // One caller asks as much as it can.
    for rate in ["key_per_second", "organisation_per_second"] {
        place.set("limits", rate, 0);
    }
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let config = place.scratch.path("dan.toml");
    let text_before = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("# Ours. Handle with care.\n{text_before}")).unwrap();
    let (answers, stop) = (Answers::default(), Arc::new(AtomicBool::new(false)));
    let mut tasks = load(&client, &answers, &stop);

    let first = node.keys().await;
    let old = text(&first["keys"][0], "kid").to_owned();
    until_signed(&old, &answers).await;
    let said = rotate(&place, shown(&config), "next.pem").await;
    assert!(said.contains(&old), "{said}");
    node.hang_up();
    // Published, not signing yet: what is fetched now verifies what comes after the switch.
    let before = published(&node, 2).await;
    let new = text(&before["keys"][0], "kid").to_owned();
    assert_ne!(new, old);
    until_signed(&new, &answers).await;
    let after = node.keys().await;
    let so_far = answers.lock().await.len();

    // And once more, to see that a rotated configuration can be rotated.
    rotate(&place, shown(&config), "third.pem").await;
    node.hang_up();
    let last = published(&node, 3).await;
    let third = text(&last["keys"][0], "kid").to_owned();
    until_signed(&third, &answers).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }

    let answers = answers.lock().await;
    let mut counts = BTreeMap::<String, usize>::new();
    for (number, (form, answer)) in answers.iter().enumerate() {
        let kids = if number < so_far {
            let kids = kids_by(form, answer, &before);
            assert_eq!(kids, kids_by(form, answer, &after));
            kids
        } else {
            kids_by(form, answer, &last)
        };
        for kid in kids {
            *counts.entry(kid).or_default() += 1;
        }
    }
    println!("signatures by key: {counts:?}");
    assert!(counts.keys().eq(BTreeSet::from([&old, &new, &third])));

    let listed = ["signing-key", "list", "--config", shown(&config), "--json"];
    let listed = place.scratch.dan(&listed).await.exits(0).json();
    let states: Vec<&str> = items(&listed["keys"])
        .iter()
        .map(|key| text(key, "state"))
        .collect();
    assert_eq!(states, ["active", "retired", "retired"]);
    let text_after = fs::read_to_string(&config).unwrap();
    assert!(
        text_after.starts_with("# Ours. Handle with care.\n"),
        "{text_after}"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_bad_table_of_keys_leaves_the_old_ones_in_force_and_says_so() {
    let place = Place::new().await;
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let config = place.scratch.path("dan.toml");
    let good = fs::read_to_string(&config).unwrap();
    let keys = node.keys().await;
    let healthy = async || {
        until("the problem is gone", async || {
            let ready = node.ready().await;
            (ready["ready"] == true && ready["signing"]["problem"].is_null()).then_some(())
        })
        .await;
    };
    healthy().await;
    let good_key = fs::read_to_string(place.scratch.path("signing.pem")).unwrap();
    let end = "-----END PRIVATE KEY-----";
    let damaged = good_key.replace(end, &format!("AAAA{end}"));
    place.scratch.write("damaged.pem", damaged);
    for (bad, words) in [
        (good.replace("signing.pem", "absent.pem"), "absent.pem"),
        (good.replace("signing.pem", "damaged.pem"), "signing key 1"),
        (good.replace("[[signing.keys]]", "[[signing.keys]"), "line"),
        (
            good.replace("[[signing.keys]]", "[[signing.keyes]]"),
            "line",
        ),
        (
            good.replace("signing.keys", "signing.keyes"),
            "did you mean `keys`",
        ),
    ] {
        assert_ne!(bad, good);
        fs::write(&config, bad).unwrap();
        node.hang_up();
        let problem = until("the problem is shown", async || {
            let ready = node.ready().await;
            assert_eq!(ready["ready"], true);
            let problem = ready["signing"]["problem"].as_str().map(str::to_owned);
            problem.filter(|problem| problem.contains(words))
        })
        .await;
        assert!(!problem.contains("BEGIN"), "{problem}");
        assert_eq!(node.metric("dan_signing_problems").await, 1);
        assert_eq!(node.keys().await, keys);
        let answer = ask(&client, "application/json").await;
        kids_by("application/json", &answer, &keys);
    }
    fs::write(&config, &good).unwrap();
    node.hang_up();
    healthy().await;
    assert_eq!(node.metric("dan_signing_problems").await, 0);
    assert!(node.log().contains("the old ones stay in force"));
    node.stop().await;
}

#[tokio::test]
async fn an_rsa_key_signs_with_its_certificate_and_cose_needs_a_p256_key() {
    if !has_openssl() {
        return;
    }
    let mut place = Place::new().await;
    let folder = shown(place.scratch.folder()).to_owned();
    let lines = format!(
        "cd {folder}; dan signing-key new --rsa --out rsa.pem; \
         openssl req -new -x509 -key rsa.pem -subj /CN=dan -days 30 -out rsa.crt"
    );
    place.scratch.shell(&lines).await.exits(0);
    let entry = |text: &str| toml::Value::Table(text.parse().unwrap());
    let rsa = entry("kid = \"rsa\"\nkey = { file = \"rsa.pem\" }\ncertificate = \"rsa.crt\"");
    let p256 = entry("kid = \"p256\"\nkey = { file = \"signing.pem\" }");
    place.set("signing", "keys", vec![rsa.clone()]);
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let keys = node.keys().await;
    let key = &keys["keys"][0];
    assert_eq!(
        (text(key, "kty"), text(key, "alg"), text(key, "use")),
        ("RSA", "RS256", "sig")
    );
    assert_eq!(items(&key["x5c"]).len(), 1);
    for form in ["application/json", "application/jose"] {
        let answer = ask(&client, form).await;
        assert_eq!(kids_by(form, &answer, &keys), ["rsa", "rsa"]);
    }
    let refused = ask(&client, "application/cose").await;
    assert_eq!(refused.status, 406, "{}", refused.excerpt());
    assert!(
        refused.excerpt().contains("application/jose"),
        "{}",
        refused.excerpt()
    );

    // With a P-256 key behind it the same node makes COSE as well.
    place.set("signing", "keys", vec![rsa, p256]);
    place.file();
    node.hang_up();
    let keys = published(&node, 2).await;
    let answer = ask(&client, "application/cose").await;
    assert_eq!(kids_by("application/cose", &answer, &keys), ["rsa", "p256"]);
    node.stop().await;
}
