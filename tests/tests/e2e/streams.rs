//! Large answers of a real node: what it holds of them, and what its trail says however they end.

use dan_tests::client::split_url;
use dan_tests::consumer::{COMPANY, DAN_TEST, OWNER};
use dan_tests::node::{Client, Node, proven_by, until};
use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::place::Place;
use crate::state::trail;

/// How much a node may grow while a large answer passes, in KiB.
const GROWTH_MAX_KIB: u64 = 8 * 1024;
const MIB: usize = 1024 * 1024;

fn path(kib: usize, more: &str) -> String {
    format!("directharvest/DanTestFil?subject={COMPANY}&kib={kib}{more}")
}

/// Rows of the one harvest there was: what became of its intent.
async fn outcomes(place: &Place) -> Vec<Value> {
    let rows = trail(place).await;
    let harvests = rows
        .into_iter()
        .filter(|row| row["dataset"] == "DanTestFil");
    harvests.map(|row| row["phase"].clone()).collect()
}

/// Sends the head of a request, and leaves the answer where it is.
async fn asked(place: &Place, node: &Node, kib: usize) -> TcpStream {
    let (_, key) = place.key(DAN_TEST, OWNER).await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    asked_with(node, &key, &token, kib).await
}

async fn asked_with(node: &Node, key: &str, token: &str, kib: usize) -> TcpStream {
    let (authority, _) = split_url(&node.api);
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let head = format!(
        "GET /v1/{} HTTP/1.1\r\nhost: {authority}\r\nocp-apim-subscription-key: {key}\r\n\
         authorization: Bearer {token}\r\n\r\n",
        path(kib, "")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn desk() -> (Place, Node, Client) {
    let place = Place::new().await;
    let node = place.node().await;
    let client = place.client(&node, DAN_TEST, OWNER).await;
    (place, node, client)
}

/// `DAN_LONG=1` takes 200 MiB instead of 48.
#[tokio::test]
async fn a_large_answer_through_a_slow_reader_does_not_grow_the_node() {
    let mib = if std::env::var_os("DAN_LONG").is_some() {
        200
    } else {
        48
    };
    let (place, node, client) = desk().await;
    // Whatever is made at the first request is made.
    let small = client
        .call(Method::GET, &path(512, ""))
        .header("te", "trailers");
    proven_by(&small.send().await.ok(), &node.keys().await);
    let Some(before) = node.memory_kib() else {
        eprintln!("SKIPPED: this system does not tell how much memory a process has");
        return;
    };
    let mut stream = asked(&place, &node, mib * 1024).await;
    let (mut taken, mut most) = (0, 0);
    let mut part = vec![0; 256 * 1024];
    loop {
        let read = stream.read(&mut part).await.unwrap();
        taken += read;
        most = most.max(node.memory_kib().unwrap());
        if taken % (8 * MIB) < read {
            // The node and the source wait for us.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        if read == 0 || part[..read].ends_with(b"\r\n0\r\n\r\n") {
            break;
        }
    }
    assert!(taken >= mib * MIB, "{taken}");
    let growth = most.saturating_sub(before);
    println!("{mib} MiB passed, and the node grew by {growth} KiB from {before} KiB");
    assert!(growth <= GROWTH_MAX_KIB, "{growth} KiB");
    drop(stream);
    node.stop().await;
    assert_eq!(
        outcomes(&place).await,
        ["intent", "delivered", "intent", "delivered"]
    );
}

#[tokio::test]
async fn the_trail_tells_what_left_when_the_client_goes_away() {
    let (place, node, _) = desk().await;
    let mut stream = asked(&place, &node, 100 * 1024).await;
    let mut taken = vec![0; MIB];
    stream.read_exact(&mut taken).await.unwrap();
    drop(stream);
    until("the node has seen it", async || {
        node.log()
            .contains("the peer left before its answer was whole")
            .then_some(())
    })
    .await;
    node.stop().await;
    let rows = trail(&place).await;
    let broken = rows.last().unwrap();
    assert_eq!(broken["phase"], "broken_off");
    assert_eq!(broken["detail"]["code"], Value::Null);
    let bytes = broken["detail"]["bytes"].as_u64().unwrap();
    assert!(
        (MIB as u64 - 4096..100 * MIB as u64).contains(&bytes),
        "{bytes}"
    );
}

#[tokio::test]
async fn the_trail_tells_that_the_source_broke_off() {
    let (place, node, client) = desk().await;
    let cut = client
        .call(Method::GET, &path(2000, "&slutt=brudd"))
        .try_send()
        .await;
    assert!(cut.is_err());
    node.stop().await;
    let rows = trail(&place).await;
    let broken = rows.last().unwrap();
    assert_eq!(broken["phase"], "broken_off");
    assert_eq!(broken["detail"]["code"], 3001);
    // What the source sent last may not have reached us before the end did.
    let bytes = broken["detail"]["bytes"].as_u64().unwrap();
    assert!((500 * 1024..=1000 * 1024).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_node_that_stops_lets_a_large_answer_end_and_one_that_is_killed_leaves_the_intent() {
    let (place, node, _) = desk().await;
    let mut stream = asked(&place, &node, 4 * 1024).await;
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    node.terminate();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(node.ended().await, Some(0));
    assert_eq!(outcomes(&place).await, ["intent", "delivered"]);
    let node = place.node().await;
    let mut stream = asked(&place, &node, 100 * 1024).await;
    stream.read_exact(&mut vec![0; MIB]).await.unwrap();
    node.kill();
    assert_eq!(outcomes(&place).await, ["intent", "delivered", "intent"]);
}

#[tokio::test]
async fn a_large_answer_is_a_request_under_way_until_it_ends() {
    let mut place = Place::new().await;
    place.set("limits", "key_concurrent", 1);
    let node = place.node().await;
    let (_, key) = place.key(DAN_TEST, OWNER).await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    let client = node.client(&key, &token);
    let mut stream = asked_with(&node, &key, &token, 20 * 1024).await;
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    let small = path(1, "");
    client.get(&small).await.refused(429, 1029);
    drop(stream);
    until("it is over", async || {
        client.get(&small).await.status.is_success().then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_source_that_falls_silent_in_the_middle_is_given_up() {
    if std::env::var_os("DAN_LONG").is_none() {
        eprintln!("SKIPPED: takes half a minute; set DAN_LONG=1");
        return;
    }
    let (place, node, client) = desk().await;
    let call = client.call(Method::GET, &path(2000, "&slutt=stopp"));
    assert!(call.try_send().await.is_err());
    node.stop().await;
    let rows = trail(&place).await;
    let broken = rows.last().unwrap();
    assert_eq!(broken["phase"], "broken_off");
    assert_eq!(broken["detail"]["code"], 1013);
}
