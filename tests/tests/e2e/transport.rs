//! Many at once, large ones, slow ones, and a stop in the middle of an answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dan_tests::client::{Call, send_verbatim};
use dan_tests::consumer::{COMPANY, DAN_TEST, EBEVIS, OWNER};
use dan_tests::node::{Client, Node, proven_by, until};
use dan_tests::shapes::text;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::place::{DATASET, Place, exported_rows, harvest, shown};

/// Harvests at once.
const MANY: usize = 100;
/// The largest body a request may have, in bytes.
const BODY_MAX: usize = 1024 * 1024;
/// Connections that never finish what they began to say.
const SLOW: usize = 100;
/// How long an answer may take beside them; alone it takes a hundredth of that.
const BESIDE_MAX: Duration = Duration::from_secs(5);
/// How long the source takes for the answer in the middle of which the node is stopped.
const UNDER_WAY: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn a_hundred_harvests_at_once_are_a_hundred_proven_answers() {
    let place = Place::new().await;
    let node = place.node().await;
    let client = place.client(&node, DAN_TEST, OWNER).await;
    let keys = node.keys().await;
    let mut asking = JoinSet::new();
    for number in 0..MANY {
        let client = client.clone();
        let dataset = ["DanTestDokument", DATASET][number % 2];
        asking.spawn(async move { (dataset, harvest(&client, dataset).await) });
    }
    // The trail can be verified while it grows.
    let file = place.file();
    let verify = ["audit", "verify", "--config", shown(&file)];
    place.scratch.dan(&verify).await.exits(0);
    let mut statements = BTreeSet::new();
    while let Some(asked) = asking.join_next().await {
        let (dataset, answer) = asked.unwrap();
        let claims = proven_by(&answer, &keys);
        assert_eq!(claims["dataset"], dataset);
        assert_eq!(claims["sub"], format!("0192:{COMPANY}"));
        statements.insert(text(&claims, "jti").to_owned());
    }
    assert_eq!(statements.len(), MANY);
    node.stop().await;
    // Each was recorded, also under load.
    let export = ["audit", "export", "--config", shown(&file)];
    let rows = place.scratch.dan(&export).await.exits(0).stdout;
    for phase in ["\"intent\"", "\"delivered\""] {
        assert_eq!(rows.matches(phase).count(), MANY, "{phase}");
    }
    place.scratch.dan(&verify).await.exits(0);
}

/// An application that is so many bytes long.
fn application(bytes: usize) -> String {
    let application = json!({
        "requestor": OWNER,
        "subject": COMPANY,
        "evidenceRequests": [{"evidenceCodeName": DATASET}],
    })
    .to_string();
    let (head, tail) = application.split_at(application.len() - 1);
    let blanks = " ".repeat(bytes - application.len());
    format!("{head}{blanks}{tail}")
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_read_and_a_byte_more_is_not() {
    let place = Place::new().await;
    let node = place.node().await;
    let (_, key) = place.key(EBEVIS, OWNER).await;
    let token = place.sandbox.token(EBEVIS.scope, OWNER).await;
    let client = node.client(&key, &token);
    let ask = |bytes: usize| {
        client
            .call(Method::POST, "authorization")
            .header("content-type", "application/json")
            .body(application(bytes))
    };
    let granted = ask(BODY_MAX).send().await.ok();
    text(&granted.json(), "id");
    ask(BODY_MAX + 1).send().await.refused(413, 1014);
    // Said beforehand, it is refused before it is sent.
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let head = format!(
        "POST /v1/authorization HTTP/1.1\r\nHost: x\r\nOcp-Apim-Subscription-Key: {key}\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        1_u64 << 40
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = first_line(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    proven_by(&harvest(&client, DATASET).await, &node.keys().await);
}

/// The first line of whatever comes.
async fn first_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let reading = async {
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(BESIDE_MAX, reading).await.expect("an answer");
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn who_is_slow_holds_up_nobody_and_is_answered_in_the_end() {
    let place = Place::new().await;
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let keys = node.keys().await;
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut stream = TcpStream::connect(&node.address).await.unwrap();
        // Half a head, or a head with half a body.
        let begun = if number % 2 == 0 {
            "GET /v1/public/metadata/servicecontexts HTTP/1.1\r\nHo"
        } else {
            "POST /v1/authorization HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{\"sub"
        };
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let started = Instant::now();
    for _ in 0..10 {
        let answer = timeout(BESIDE_MAX, harvest(&client, DATASET)).await;
        proven_by(&answer.expect("an answer beside slow clients"), &keys);
    }
    assert!(started.elapsed() < BESIDE_MAX, "{:?}", started.elapsed());
    let live = Call::new(Method::GET, format!("{}/livez", node.management));
    live.send().await.ok();
    // The slow ones go on, and are answered as if they had not been.
    for (number, stream) in slow.iter_mut().enumerate().take(4) {
        let (rest, status) = if number % 2 == 0 {
            ("st: x\r\n\r\n", "HTTP/1.1 200 ")
        } else {
            ("ject\": \"1\"   }", "HTTP/1.1 401 ")
        };
        stream.write_all(rest.as_bytes()).await.unwrap();
        let said = first_line(stream).await;
        assert!(said.starts_with(status), "{said}");
    }
    // Nor do the others hold up a stop.
    node.stop().await;
}

/// A harvest of a source that takes its time, asked for once the source is at it.
async fn under_way(
    place: &Place,
    client: &Client,
) -> tokio::task::JoinHandle<dan_tests::client::Answer> {
    let delay = u64::try_from(UNDER_WAY.as_millis()).unwrap();
    let fault = json!({"delay_ms": delay});
    place.sandbox.break_it("testdata", &fault).await;
    let before = place.sandbox.count("testdata").await;
    let client = client.clone();
    let asking = tokio::spawn(async move { harvest(&client, "DanTestDokument").await });
    until("the source is asked", async || {
        (place.sandbox.count("testdata").await > before).then_some(())
    })
    .await;
    asking
}

/// Whether connections to the API are taken.
async fn listens(node: &Node) -> bool {
    TcpStream::connect(&node.address).await.is_ok()
}

#[tokio::test]
async fn a_stop_finishes_the_answer_under_way_and_takes_no_new_one() {
    let place = Place::new().await;
    let node = place.node().await;
    let client = place.client(&node, DAN_TEST, OWNER).await;
    let keys = node.keys().await;
    let asking = under_way(&place, &client).await;
    let started = Instant::now();
    node.terminate();
    until("nobody listens any more", async || {
        (!listens(&node).await).then_some(())
    })
    .await;
    assert!(!asking.is_finished(), "{:?}", started.elapsed());
    let answer = asking.await.unwrap();
    assert_eq!(proven_by(&answer, &keys)["dataset"], "DanTestDokument");
    assert_eq!(node.ended().await, Some(0));
    // Its outcome is recorded before the end, which is recorded last.
    let file = place.file();
    let tail = ["audit", "tail", "--config", shown(&file), "-n", "2"];
    let last = place.scratch.dan(&tail).await.exits(0).stdout;
    let rows = exported_rows(&last);
    assert_eq!(rows[1]["action"], "NodeStopped", "{last}");
    let last = &rows[0];
    assert_eq!(last["phase"], "delivered", "{last}");
    assert_eq!(Some(text(last, "request")), answer.header("x-invocationid"));

    // And a kill in the same place leaves the intent, and nothing that looks delivered.
    let node = place.node().await;
    let tail = ["audit", "tail", "--config", shown(&file), "-n", "1"];
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    let (_, key) = place.key(DAN_TEST, OWNER).await;
    let asking = under_way(&place, &node.client(&key, &token)).await;
    // The intent is written while the source is asked, not before.
    let last = async || place.scratch.dan(&tail).await.exits(0).json();
    let intent = until("the intent is there", async || {
        Some(last().await).filter(|last| last["phase"] == "intent")
    })
    .await;
    node.kill();
    assert!(asking.await.is_err(), "an answer from a killed node");
    assert_eq!(last().await, intent);
    let verify = ["audit", "verify", "--config", shown(&file)];
    place.scratch.dan(&verify).await.exits(0);
}

#[tokio::test]
async fn absolute_targets_must_name_the_node_and_health_is_not_on_the_public_port() {
    let mut place = Place::new().await;
    place.set("server", "host_names", vec!["other.example"]);
    place.set("server", "public_url", "https://dan.example/v1");
    let node = place.node().await;
    let path = "/v1/public/metadata/servicecontexts";
    for (host, status) in [
        ("dan.example", 200),
        ("DAN.example:8443", 200),
        ("other.example", 200),
        ("elsewhere.example", 400),
        ("127.0.0.1", 400),
    ] {
        let head = format!(
            "GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        );
        let answer = send_verbatim(&node.root, &head).await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
        if status == 400 {
            answer.refused(400, 1014);
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let public = Call::new(Method::GET, format!("{}{path}", node.root));
        assert_eq!(public.send().await.status.as_u16(), 404, "{path}");
        let own = Call::new(Method::GET, format!("{}{path}", node.management));
        own.send().await.ok();
    }
    let api = Call::new(Method::GET, format!("{}{path}", node.management));
    assert_eq!(api.send().await.status.as_u16(), 404);
}
