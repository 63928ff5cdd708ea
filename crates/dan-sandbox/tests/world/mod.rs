//! A running fake world and a client for it that writes HTTP by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dan_sandbox::{Sandbox, SandboxConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The time in the fake world: 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const AUDIENCE: &str = "https://dan.example.no";
/// Longer than anything here takes; reached only when something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

pub(crate) async fn world() -> Sandbox {
    Sandbox::start(SandboxConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        clock: Arc::new(|| NOW * 1000),
        audience: AUDIENCE.to_owned(),
    })
    .await
    .unwrap()
}

/// One answer, taken apart. `None` from [`send`] means that the connection was closed without one.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        let line = line.to_ascii_lowercase();
        self.head
            .to_ascii_lowercase()
            .lines()
            .any(|one| one == line)
    }
}

/// Sends one request on a connection of its own. `head` is the method, the address and further header lines.
pub(crate) async fn send(to: SocketAddr, head: &str, body: &[u8]) -> Option<Answer> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|one| format!("{one}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    timeout(HANGS, stream.read_to_end(&mut answer))
        .await
        .expect("an answer in time")
        .unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = answer.split_at(end);
    let head = std::str::from_utf8(head).unwrap().to_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = body[4..].to_vec();
    Some(Answer { status, head, body })
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Answer {
    send(to, &format!("GET {path}"), b"").await.unwrap()
}
