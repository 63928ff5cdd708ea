//! Connections that ask again as soon as they are answered, in a runtime of their own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

const REQUEST: &[u8] = b"GET /v1/directharvest/A?subject=998997801 HTTP/1.1\r\nhost: localhost\r\n\
    ocp-apim-subscription-key: key\r\nauthorization: Bearer token\r\n\r\n";

/// How many answers, and how many a second.
pub fn ask(address: SocketAddr, connections: usize, length: Duration) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        let until = begun + length;
        let mut asking = JoinSet::new();
        for _ in 0..connections {
            asking.spawn(one(address, until));
        }
        let answered: u32 = asking.join_all().await.into_iter().sum();
        let answered = f64::from(answered);
        (answered, answered / begun.elapsed().as_secs_f64())
    })
}

async fn one(address: SocketAddr, until: Instant) -> u32 {
    let mut stream = TcpStream::connect(address).await.expect("the node");
    stream.set_nodelay(true).expect("a socket");
    let (mut answered, mut buffer) = (0, Vec::new());
    while Instant::now() < until {
        stream.write_all(REQUEST).await.expect("the node");
        buffer.clear();
        while !is_whole(&buffer) {
            let read = stream.read_buf(&mut buffer).await.expect("the node");
            assert!(read > 0, "closed: {}", String::from_utf8_lossy(&buffer));
        }
        assert!(
            buffer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&buffer)
        );
        answered += 1;
    }
    answered
}

/// Whether the head and as much body as it promises are there.
fn is_whole(buffer: &[u8]) -> bool {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
        .expect("a length");
    buffer.len() >= end + 4 + length
}
