//! Requests over HTTP/2, by the `h2` crate: what is served, and what is refused with our own words.

use bytes::Bytes;
use dan_http::listen::ListenLimits;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode, Version};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::floods::{BLOCK, END_HEADERS, END_STREAM, HEADERS, frame, goaway_code, greeted};
use super::server::{HANGS, Server, rest, start};

/// A client, and the task that drives its connection.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) driver: JoinSet<Result<(), h2::Error>>,
}

pub(crate) async fn client_of(stream: TlsStream<TcpStream>) -> Client {
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Client { send, driver }
}

async fn connect(server: &Server) -> Client {
    client_of(server.connect_h2().await).await
}

pub(crate) fn get(path: &str) -> Request<()> {
    let uri = format!("https://localhost{path}");
    Request::builder()
        .version(Version::HTTP_2)
        .uri(uri)
        .body(())
        .unwrap()
}

/// Sends and reads all; the answer's body, or why there was none.
pub(crate) async fn exchange(
    client: &mut Client,
    request: Request<()>,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Vec<u8>), h2::Error> {
    let ready = client.send.clone().ready().await?;
    client.send = ready;
    let (answer, mut stream) = client.send.send_request(request, body.is_none())?;
    if let Some(body) = body {
        stream.send_data(body.into(), true)?;
    }
    let (parts, mut body) = timeout(HANGS, answer)
        .await
        .expect("answered")?
        .into_parts();
    let mut whole = Vec::new();
    while let Some(data) = timeout(HANGS, body.data()).await.expect("goes on") {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        whole.extend_from_slice(&data);
    }
    Ok((parts.status, whole))
}

#[tokio::test]
async fn many_requests_at_once_with_bodies_and_large_answers_are_served() {
    let server = start(ListenLimits::default(), None).await;
    let mut client = connect(&server).await;
    for size in [0, 1, 300_000] {
        let mut request = get("/x");
        *request.method_mut() = Method::POST;
        let (status, body) = exchange(&mut client, request, Some(vec![7; size]))
            .await
            .unwrap();
        let expected = format!("POST /x {size} done");
        assert_eq!((status, body), (StatusCode::OK, expected.into_bytes()));
    }
    let (_, big) = exchange(&mut client, get("/big"), None).await.unwrap();
    assert_eq!(big.len(), 1024 * 1024);

    let mut answers = JoinSet::new();
    for _ in 0..100 {
        client.send = client.send.clone().ready().await.unwrap();
        let (answer, _) = client.send.send_request(get("/many"), true).unwrap();
        answers.spawn(async move { answer.await.unwrap().status() });
    }
    let all = timeout(HANGS, answers.join_all()).await.expect("answered");
    assert!(all.len() == 100 && all.iter().all(|status| *status == StatusCode::OK));
}

#[tokio::test]
async fn the_rules_of_a_head_are_those_of_http_1_1() {
    let server = start(ListenLimits::default(), None).await;
    let mut client = connect(&server).await;
    let with = |name: &str, value: &str, times: usize| {
        let mut request = get("/x");
        for _ in 0..times {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let target = |bytes: usize| format!("/{}", "x".repeat(bytes.saturating_sub(1)));
    for (request, expected) in [
        (with("x", "y", 100), 200),
        (with("x", "y", 101), 431),
        (with("host", "localhost", 1), 200),
        (with("host", "elsewhere", 1), 400),
        (with("content_length", "1", 1), 400),
        (get(&target(8 * 1024)), 200),
        (get(&target(8 * 1024 + 1)), 414),
    ] {
        let uri = request.uri().path().len();
        let (status, body) = match exchange(&mut client, request, None).await {
            Ok(answer) => answer,
            Err(error) => panic!("{expected} with a target of {uri}: {error}"),
        };
        assert_eq!(status.as_u16(), expected);
        if expected != 200 {
            assert_eq!(body, br#"{"code":1014}"#, "in our own words");
        }
    }
    assert_eq!(
        server.notes().len(),
        3,
        "what is refused reaches no handler"
    );
    // A header list over the limit that our SETTINGS state.
    let (status, _) = exchange(&mut client, with("x", &"y".repeat(400), 50), None)
        .await
        .unwrap();
    assert_eq!(status.as_u16(), 431);
    let connect = Request::builder()
        .method(Method::CONNECT)
        .uri("localhost:443")
        .body(())
        .unwrap();
    let (status, _) = exchange(&mut client, connect, None).await.unwrap();
    assert_eq!(status.as_u16(), 400);
    assert_eq!(server.notes().len(), 3);
}

#[tokio::test]
async fn a_drain_finishes_streams_that_are_under_way_and_takes_no_new_ones() {
    let mut server = start(ListenLimits::default(), None).await;
    let mut client = connect(&server).await;
    let mut request = get("/slow");
    *request.method_mut() = Method::POST;
    let (answer, mut stream) = client.send.send_request(request, false).unwrap();
    while server.notes().is_empty() {
        tokio::task::yield_now().await;
    }
    server.stop.take().unwrap().send(()).unwrap();
    stream.send_data(Bytes::from_static(b"late"), true).unwrap();
    let status = timeout(HANGS, answer)
        .await
        .expect("answered")
        .unwrap()
        .status();
    assert_eq!(status, StatusCode::OK);
    let cut = timeout(HANGS, server.task.join_next()).await.expect("ends");
    assert_eq!(cut.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_peer_that_ignores_the_goodbye() {
    let mut server = start(ListenLimits::default(), None).await;
    let mut deaf = greeted(&server).await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, BLOCK);
    deaf.write_all(&request).await.unwrap();
    while server.notes().is_empty() {
        tokio::task::yield_now().await;
    }
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(goaway_code(&rest(&mut deaf).await), Some(0));
    let cut = timeout(HANGS, server.task.join_next()).await.expect("ends");
    assert_eq!(cut.unwrap().unwrap(), 0);
}
