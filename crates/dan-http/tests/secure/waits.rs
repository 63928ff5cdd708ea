//! Silences over HTTP/2: each has its own end, and the peer is told where that can be.

use std::time::Duration;

use dan_http::head_guard::Patience;
use dan_http::listen::ListenLimits;
use h2::Reason;
use http::{Method, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::floods::{
    BLOCK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, POST_BLOCK, PREFACE, SETTINGS,
    frame, goaway_code, greeted,
};
use super::server::{HANGS, Server, client, rest, start, with_alpn};
use super::streams::{client_of, exchange, get};

const QUICK: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(600);

async fn with(change: impl FnOnce(&mut Patience)) -> Server {
    let mut patience = Patience {
        head: LONG,
        idle: LONG,
        body: LONG,
        write: LONG,
        linger: QUICK,
    };
    change(&mut patience);
    let limits = ListenLimits {
        patience,
        ..ListenLimits::default()
    };
    start(limits, None).await
}

#[tokio::test]
async fn what_is_begun_must_be_complete_in_time() {
    let server = with(|patience| patience.head = QUICK).await;
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let open = frame(HEADERS, 0, 1, BLOCK);
    for (name, bytes, code) in [
        ("nothing", vec![], None),
        ("half a preface", PREFACE[..10].to_vec(), None),
        ("no settings", PREFACE.to_vec(), None),
        ("half a frame", [&hello[..], &open[..12]].concat(), Some(11)),
        (
            "half a block",
            [&hello[..], &open, &frame(CONTINUATION, 0, 1, &[])].concat(),
            Some(11),
        ),
    ] {
        let mut stream = server.connect_h2().await;
        stream.write_all(&bytes).await.unwrap();
        let said = rest(&mut stream).await;
        if code.is_some() {
            assert_eq!(goaway_code(&said), code, "{name}");
        }
    }
    assert!(server.notes().is_empty());
    // Nor over HTTP/1.1 behind TLS, with or without ALPN.
    let config = with_alpn(client(&server, rustls::ALL_VERSIONS, None), &[b"http/1.1"]);
    let mut stream = server.connect(&config).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    assert!(rest(&mut stream).await.starts_with(b"HTTP/1.1 408"));
}

#[tokio::test]
async fn an_idle_connection_is_left_in_good_order() {
    let server = with(|patience| patience.idle = QUICK).await;
    let mut client = client_of(server.connect_h2().await).await;
    exchange(&mut client, get("/"), None).await.unwrap();
    let ended = timeout(HANGS, client.driver.join_next())
        .await
        .expect("closed");
    assert!(ended.unwrap().unwrap().is_ok(), "NO_ERROR");
    // A peer that ignores the goodbye is not waited for.
    let mut deaf = greeted(&server).await;
    assert_eq!(goaway_code(&rest(&mut deaf).await), Some(0));
}

#[tokio::test]
async fn a_request_under_way_is_not_idle() {
    let server = with(|patience| {
        patience.idle = QUICK;
        patience.write = QUICK;
    })
    .await;
    let mut client = client_of(server.connect_h2().await).await;
    let (answer, _) = client.send.send_request(get("/never"), true).unwrap();
    let waited = timeout(QUICK * 4, answer).await;
    assert!(waited.is_err(), "still at work");
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408_and_its_connection_serves_on() {
    let server = with(|patience| patience.body = QUICK).await;
    let mut client = client_of(server.connect_h2().await).await;
    let mut request = get("/body");
    *request.method_mut() = Method::POST;
    let (answer, mut stream) = client.send.send_request(request, false).unwrap();
    stream.send_data("some".into(), false).unwrap();
    let answer = timeout(HANGS, answer).await.expect("answered").unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    let reset = timeout(HANGS, std::future::poll_fn(|cx| stream.poll_reset(cx))).await;
    assert_eq!(reset.expect("reset").unwrap(), Reason::NO_ERROR);
    let (status, _) = exchange(&mut client, get("/"), None).await.unwrap();
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_data_frame_that_stalls_ends_the_connection() {
    let server = with(|patience| patience.body = QUICK).await;
    let mut stream = greeted(&server).await;
    let data = frame(DATA, 0, 1, &[0; 100]);
    let bytes = [&frame(HEADERS, END_HEADERS, 1, POST_BLOCK)[..], &data[..50]].concat();
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(goaway_code(&rest(&mut stream).await), Some(11));
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let server = with(|patience| patience.write = QUICK).await;
    let mut stream = server.connect_h2().await;
    // A window of nothing for every stream.
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, BLOCK);
    stream
        .write_all(&[PREFACE, &settings, &request].concat())
        .await
        .unwrap();
    assert_eq!(goaway_code(&rest(&mut stream).await), Some(11));
    assert_eq!(server.notes(), ["GET /"]);
}
