//! Answers that a peer asks for and does not take: how many are made, and who else is served meanwhile.

use bytes::Bytes;
use dan_http::listen::ListenLimits;
use dan_http::untaken::UntakenLimits;
use h2::client::{ResponseFuture, SendRequest};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::server::{HANGS, Server, start};
use super::streams::{Client, client_of, exchange, get};

const MIB: usize = 1024 * 1024;

async fn with(connection_mib: usize, listener_mib: usize) -> Server {
    let untaken = UntakenLimits {
        connection_bytes: connection_mib.saturating_mul(MIB),
        listener_bytes: listener_mib.saturating_mul(MIB),
        ..UntakenLimits::default()
    };
    let limits = ListenLimits {
        untaken,
        ..ListenLimits::default()
    };
    start(limits, None).await
}

async fn ask(send: &mut SendRequest<Bytes>, path: &str) -> ResponseFuture {
    *send = send.clone().ready().await.unwrap();
    send.send_request(get(path), true).unwrap().0
}

async fn status(answer: &mut ResponseFuture) -> StatusCode {
    let answer = timeout(HANGS, answer).await.expect("answered").unwrap();
    answer.status()
}

/// A client that takes nothing of its answers' bodies beyond the first windows.
async fn deaf(server: &Server) -> Client {
    client_of(server.connect_h2().await).await
}

#[tokio::test]
async fn a_hundred_answers_that_nobody_takes_are_not_made() {
    let server = with(3, 100).await;
    let mut client = deaf(&server).await;
    let mut answers = Vec::new();
    for _ in 0..100 {
        answers.push(ask(&mut client.send, "/big").await);
    }
    let mut bodies = Vec::new();
    for answer in answers.drain(..3) {
        let answer = timeout(HANGS, answer).await.expect("answered").unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        bodies.push(answer.into_body());
    }
    // The others wait, and nothing was made for them.
    assert_eq!(server.notes().len(), 3);
    // Nobody else waits for that.
    let mut other = deaf(&server).await;
    let (_, big) = exchange(&mut other, get("/big"), None).await.unwrap();
    assert_eq!(big.len(), MIB);
    // Who is reset makes room for the next.
    drop(bodies.pop());
    let next = answers.remove(0);
    let next = timeout(HANGS, next).await.expect("answered").unwrap();
    assert_eq!(next.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_listener_that_is_full_answers_503_until_somebody_leaves() {
    let server = with(2, 3).await;
    let (mut one, mut two) = (deaf(&server).await, deaf(&server).await);
    let mut held = Vec::new();
    for n in 0..3 {
        let client = if n < 2 { &mut one } else { &mut two };
        let answer = ask(&mut client.send, "/big").await;
        let answer = timeout(HANGS, answer).await.expect("answered").unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        held.push(answer.into_body());
    }
    let mut refused = ask(&mut two.send, "/big").await;
    let answer = timeout(HANGS, &mut refused)
        .await
        .expect("answered")
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
    // HTTP/1.1 has its share in the same budget, and is told that the connection ends.
    let config = super::server::client(&server, rustls::ALL_VERSIONS, None);
    let mut stream = server.connect(&std::sync::Arc::new(config)).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    timeout(HANGS, stream.read_to_string(&mut said))
        .await
        .expect("closed")
        .unwrap();
    assert!(
        said.starts_with("HTTP/1.1 503") && said.contains("connection: close"),
        "{said}"
    );
    // A client that goes away gives all of its share back.
    drop((held, one));
    let back = async {
        while status(&mut ask(&mut two.send, "/big").await).await != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, back).await.expect("room again");
}
