//! Frames written by hand: each cheap way to keep a server busy ends its own connection and nobody else's.

use dan_http::listen::ListenLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::server::{HANGS, Server, rest, start};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// A GET of the root of `a` in the static table of HPACK.
pub(crate) const BLOCK: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];
/// The same as POST.
pub(crate) const POST_BLOCK: &[u8] = &[0x83, 0x87, 0x84, 0x41, 1, b'a'];

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Kind and payload of each whole frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((&[l1, l2, l3, kind, ..], rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, l1, l2, l3]);
        let Some((payload, rest)) = rest.split_at_checked(length.try_into().unwrap()) else {
            break;
        };
        frames.push((kind, payload));
        bytes = rest;
    }
    frames
}

/// The error code of the last GOAWAY, if there is one.
pub(crate) fn goaway_code(bytes: &[u8]) -> Option<u8> {
    let mut goaways = frames(bytes)
        .into_iter()
        .filter(|(kind, _)| *kind == GOAWAY);
    goaways
        .next_back()
        .and_then(|(_, payload)| payload.get(7).copied())
}

/// A connection that has said hello.
pub(crate) async fn greeted(server: &Server) -> TlsStream<TcpStream> {
    let mut stream = server.connect_h2().await;
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

/// Sends all of it as far as it is taken, and gives what the server said until it closed.
pub(crate) async fn flooded(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = tokio::io::split(greeted(server).await);
    let write = async {
        // The server may close before all is sent.
        writing.write_all(bytes).await.ok();
        writing.flush().await.ok();
    };
    tokio::join!(rest(&mut reading), write).0
}

#[tokio::test]
async fn each_flood_ends_its_connection_with_goaway_and_no_other() {
    let server = start(ListenLimits::default(), None).await;
    let many = |times: u32, one: &dyn Fn(u32) -> Vec<u8>| -> Vec<u8> {
        (0..times).flat_map(one).collect()
    };
    let open = |n: u32| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, BLOCK);
    let begun = frame(HEADERS, END_HEADERS, 1, POST_BLOCK);
    let continued = |n: u32| match n {
        0 => frame(HEADERS, END_STREAM, 1, BLOCK),
        _ => frame(CONTINUATION, 0, 1, &[]),
    };
    let fat = |n: u32| match n {
        0 => frame(HEADERS, END_STREAM, 1, BLOCK),
        _ => frame(CONTINUATION, 0, 1, &[0; 16_000]),
    };
    let empty = |n: u32| match n {
        0 => begun.clone(),
        _ => frame(DATA, 0, 1, &[]),
    };
    let reset = |n: u32| [open(n), frame(RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
    for (name, bytes, code) in [
        (
            "settings",
            many(10_000, &|_| frame(SETTINGS, 0, 0, &[])),
            11,
        ),
        ("pings", many(10_000, &|_| frame(PING, 0, 0, &[0; 8])), 11),
        (
            "priorities",
            many(10_000, &|_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])),
            11,
        ),
        ("continuations", many(10_000, &continued), 11),
        ("fat continuations", many(10, &fat), 11),
        ("empty data", many(10_000, &empty), 11),
        ("rapid reset", many(10_000, &reset), 11),
        (
            "unknown frames",
            many(10_000, &|_| frame(0x20, 0, 0, &[])),
            11,
        ),
        ("a large frame", frame(DATA, 0, 1, &[0; 16 * 1024 + 1]), 6),
    ] {
        let said = flooded(&server, &bytes).await;
        assert_eq!(goaway_code(&said), Some(code), "{name}");
        assert!(server.is_healthy().await);
    }
    // A handler is called for few of ten thousand requests that are given up at once.
    let calls = server.notes().len();
    assert!(calls < 1_000, "{calls}");
}

#[tokio::test]
async fn what_is_no_http_2_ends_the_connection() {
    let server = start(ListenLimits::default(), None).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        &[0; 300],
        &[PREFACE, &frame(HEADERS, 4, 1, BLOCK)].concat(),
        &[
            PREFACE,
            &frame(SETTINGS, 0, 0, &[]),
            &frame(CONTINUATION, 4, 1, BLOCK),
        ]
        .concat(),
        &[
            PREFACE,
            &frame(SETTINGS, 0, 0, &[]),
            &frame(HEADERS, 4, 2, BLOCK),
        ]
        .concat(),
    ] {
        let mut stream = server.connect_h2().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await;
    }
    assert!(server.notes().is_empty());
    assert!(server.is_healthy().await);
}

#[tokio::test]
async fn fields_that_belong_to_a_connection_reset_their_stream_only() {
    let server = start(ListenLimits::default(), None).await;
    let field = |name: &str, value: &str| {
        let mut block = BLOCK.to_vec();
        for text in [name, value] {
            if text == name {
                block.push(0);
            }
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.bytes());
        }
        block
    };
    let mut bytes = Vec::new();
    for (n, block) in (0..).zip([
        field("connection", "close"),
        field("transfer-encoding", "chunked"),
        field("te", "gzip"),
    ]) {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block));
    }
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 99, BLOCK));
    let mut stream = greeted(&server).await;
    stream.write_all(&bytes).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b" done") {
        said.push(
            timeout(HANGS, stream.read_u8())
                .await
                .expect("answered")
                .unwrap(),
        );
    }
    let resets = frames(&said)
        .into_iter()
        .filter(|(kind, _)| *kind == RST_STREAM);
    assert_eq!(resets.count(), 3);
    assert_eq!(server.notes(), ["GET /"]);
}
