//! Bodies that leave while they arrive, over a real connection of each protocol: what is held, what is told at the
//! end, and what becomes of those that break off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dan_core::flow::{BrokenOff, FRAME_BYTES_MAX, Frame, Seal};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::body::{AnswerBody, Frames, StreamBody};
use crate::connection::Connection;
use crate::listen::{Inbound, ListenLimits, PeerInfo};
use crate::untaken::STREAM_BYTES_MAX;

/// What lies between the node and a client in these tests, bytes each way.
const PIPE: usize = 16 * 1024;
const MIB: usize = 1024 * 1024;

/// What a test knows of a stream.
#[derive(Default)]
struct Seen {
    /// Bytes that were handed out.
    given: AtomicUsize,
    gone: AtomicBool,
}

#[derive(Clone, Copy)]
enum End {
    Sealed,
    Broken,
    /// Nothing more comes, and no end.
    Silent,
}

/// Frames as large as they may be, out of one allocation.
struct Source {
    frame: Bytes,
    left: usize,
    end: End,
    seen: Arc<Seen>,
}

impl Frames for Source {
    fn poll_frame(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BrokenOff>>> {
        if let Some(left) = self.left.checked_sub(self.frame.len()) {
            self.left = left;
            self.seen
                .given
                .fetch_add(self.frame.len(), Ordering::SeqCst);
            return Poll::Ready(Some(Ok(Frame::Part(self.frame.clone()))));
        }
        match self.end {
            End::Sealed => Poll::Ready(Some(Ok(Frame::End(Seal {
                digest: [7; 32],
                signature: "a.b.c".to_owned(),
            })))),
            End::Broken => Poll::Ready(Some(Err(BrokenOff))),
            End::Silent => Poll::Pending,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.seen.gone.store(true, Ordering::SeqCst);
    }
}

struct Served {
    client: DuplexStream,
    seen: Arc<Seen>,
    /// Bytes that the listener counts as untaken.
    all: Arc<AtomicUsize>,
    task: JoinSet<()>,
    _stop: watch::Sender<bool>,
}

/// A connection whose every answer is a stream.
fn served(http2: bool, bytes: usize, end: End) -> Served {
    let (client, server) = duplex(PIPE);
    let (seen, all) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
    let (stop, stopping) = watch::channel(false);
    let source = Arc::clone(&seen);
    let connection = Connection {
        peer: PeerInfo {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: None,
        },
        limits: ListenLimits::default(),
        untaken: Arc::clone(&all),
        service: move |_: Inbound, _: PeerInfo| {
            let frames = Source {
                frame: Bytes::from(vec![b'x'; FRAME_BYTES_MAX]),
                left: bytes,
                end,
                seen: Arc::clone(&source),
            };
            async {
                let body = AnswerBody::Stream(Box::new(StreamBody::new(Box::new(frames))));
                let response = Response::builder();
                let response = response.header("trailer", "content-digest, x-signature-jwt");
                response.body(body).unwrap()
            }
        },
        stopping,
    };
    let mut task = JoinSet::new();
    if http2 {
        task.spawn(connection.http2(server));
    } else {
        task.spawn(connection.http1(server));
    }
    Served {
        client,
        seen,
        all,
        task,
        _stop: stop,
    }
}

impl Served {
    fn given(&self) -> usize {
        self.seen.given.load(Ordering::SeqCst)
    }

    /// The stream is dropped, and its share given back.
    async fn is_over(&mut self) {
        while self.all.load(Ordering::SeqCst) > 0 || !self.seen.gone.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

/// The whole answer to a GET over HTTP/1.1: bytes and trailers.
async fn get(client: DuplexStream, te: Option<&str>) -> Result<(usize, Option<HeaderMap>), String> {
    let (mut send, connection) = http1::handshake(TokioIo::new(client)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut request = Request::get("/").header("host", "a");
    if let Some(te) = te {
        request = request.header("te", te);
    }
    let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let response = send.send_request(request).await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| error.to_string())?;
    let trailers = body.trailers().cloned();
    Ok((body.to_bytes().len(), trailers))
}

fn proves(trailers: &HeaderMap) {
    assert_eq!(trailers["x-signature-jwt"], "a.b.c");
    let digest = "sha-256=:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=:";
    assert_eq!(trailers["content-digest"], digest);
}

#[tokio::test]
async fn over_http_1_1_the_proof_follows_the_body_where_the_client_asks_for_trailers() {
    for (te, told) in [
        (Some("trailers"), true),
        (Some("gzip;q=0.3, trailers"), true),
        (None, false),
    ] {
        let mut one = served(false, MIB, End::Sealed);
        let client = std::mem::replace(&mut one.client, duplex(1).0);
        let (bytes, trailers) = get(client, te).await.unwrap();
        assert_eq!(bytes, MIB);
        assert_eq!(trailers.is_some(), told, "{te:?}");
        if let Some(trailers) = trailers {
            proves(&trailers);
        }
        one.is_over().await;
    }
}

#[tokio::test]
async fn over_http_1_1_an_answer_that_breaks_off_is_seen_to_be_incomplete() {
    let mut one = served(false, MIB, End::Broken);
    one.client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n")
        .await
        .unwrap();
    let mut raw = Vec::new();
    one.client.read_to_end(&mut raw).await.unwrap();
    assert!(raw.len() > MIB / 2);
    // The chunk that says that there are no more never came.
    assert!(!raw.ends_with(b"\r\n0\r\n\r\n") && !raw.windows(5).any(|part| part == b"\r\n0\r\n"));
    one.is_over().await;
    let mut two = served(false, MIB, End::Broken);
    let client = std::mem::replace(&mut two.client, duplex(1).0);
    assert!(get(client, None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_the_source_back_and_nothing_piles_up() {
    const BODY: usize = 200 * MIB;
    let mut one = served(false, BODY, End::Sealed);
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    one.client.write_all(request).await.unwrap();
    let (mut taken, mut most) = (0, 0);
    let mut tick = interval(Duration::from_millis(500));
    let mut part = vec![0; MIB];
    let mut slow_until = Some(64);
    while !one.seen.gone.load(Ordering::SeqCst) {
        // A while at about the pace that a peer must keep at least, then as fast as it goes.
        if let Some(left) = slow_until {
            tick.tick().await;
            slow_until = (left > 0).then(|| left - 1);
        }
        let read = one.client.read(&mut part[..PIPE]).await.unwrap();
        if read == 0 {
            break;
        }
        taken += read;
        // What was given and not taken waits in the node, or in the pipe.
        most = most.max(one.given().saturating_sub(taken));
        assert!(one.all.load(Ordering::SeqCst) <= STREAM_BYTES_MAX);
    }
    assert_eq!(one.given(), BODY);
    assert!(most <= STREAM_BYTES_MAX + PIPE, "{most} bytes waited");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_stops_the_source_and_loses_its_connection() {
    for http2 in [false, true] {
        let mut one = served(http2, 200 * MIB, End::Sealed);
        let start = Instant::now();
        if http2 {
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(1000);
            let client = std::mem::replace(&mut one.client, duplex(1).0);
            let (mut send, connection) = builder.handshake::<_, Bytes>(client).await.unwrap();
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            let request = Request::get("https://a/").body(()).unwrap();
            let (answer, _) = send.send_request(request, true).unwrap();
            let mut body = answer.await.unwrap().into_body();
            while let Some(Ok(_)) = body.data().await {}
        } else {
            let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            one.client.write_all(request).await.unwrap();
        }
        one.task.join_next().await;
        let waited = start.elapsed().as_secs();
        assert!((30..=60).contains(&waited), "{http2}: {waited} s");
        assert!(one.given() <= 2 * STREAM_BYTES_MAX, "{}", one.given());
        one.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_2_the_proof_follows_and_a_reset_tells_of_what_broke_off() {
    for end in [End::Sealed, End::Broken] {
        let mut one = served(true, 4 * MIB, end);
        let client = std::mem::replace(&mut one.client, duplex(1).0);
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(u32::try_from(PIPE).unwrap());
        let (mut send, connection) = builder.handshake::<_, Bytes>(client).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::get("https://a/").body(()).unwrap();
        let (answer, _) = send.send_request(request, true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        let mut taken = 0;
        let broken = loop {
            match body.data().await {
                Some(Ok(data)) => {
                    taken += data.len();
                    assert!(one.given() - taken <= STREAM_BYTES_MAX + PIPE, "{taken}");
                    body.flow_control().release_capacity(data.len()).unwrap();
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        match end {
            End::Sealed => {
                assert_eq!(taken, 4 * MIB);
                assert!(broken.is_none());
                proves(&body.trailers().await.unwrap().unwrap());
            }
            End::Broken | End::Silent => assert!(broken.is_some_and(|error| error.is_reset())),
        }
        one.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_ends_the_stream() {
    for http2 in [false, true] {
        let mut one = served(http2, 200 * MIB, End::Sealed);
        let client = std::mem::replace(&mut one.client, duplex(1).0);
        if http2 {
            let (mut send, connection) = h2::client::handshake(client).await.unwrap();
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            let request = Request::get("https://a/").body(()).unwrap();
            let (answer, mut stream) = send.send_request(request, true).unwrap();
            answer.await.unwrap();
            stream.send_reset(h2::Reason::CANCEL);
            one.is_over().await;
        } else {
            let mut client = client;
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            client.read_exact(&mut [0; 1000]).await.unwrap();
            drop(client);
            one.is_over().await;
        }
        assert!(one.given() < MIB);
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_2_a_slow_source_is_not_held_against_the_client() {
    let mut one = served(true, 2 * FRAME_BYTES_MAX, End::Silent);
    let client = std::mem::replace(&mut one.client, duplex(1).0);
    let (mut send, connection) = h2::client::handshake(client).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get("https://a/").body(()).unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    let mut taken = 0;
    while taken < 2 * FRAME_BYTES_MAX {
        let data = body.data().await.unwrap().unwrap();
        taken += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    let patient = tokio::time::timeout(Duration::from_secs(300), body.data()).await;
    assert!(patient.is_err(), "the connection was cut");
    assert!(!one.seen.gone.load(Ordering::SeqCst));
}
