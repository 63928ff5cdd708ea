//! Accepting connections, and ending them gracefully; what happens on one is in `connection.rs`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use dan_core::ports::ClientCertificate;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::body::AnswerBody;
use crate::connection::Connection;
use crate::framing::Refusal;
use crate::head_guard::Patience;
use crate::request_body::RequestBody;
use crate::tls::{HANDSHAKE_WAIT, Reloadable};
use crate::untaken::UntakenLimits;

/// Connections open at once; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 16 * 1024;
/// How long connections may take to finish the requests under way once the listener is told to stop.
pub const DRAIN_WAIT: Duration = Duration::from_secs(30);
/// How long nothing is accepted after the system had no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What one listener allows; the defaults are the constants of this module, of [`crate::patience`], of
/// [`crate::tls`] and of [`crate::untaken`].
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// See [`MAX_CONNECTIONS`]; at least one is always served.
    pub connections: usize,
    /// See [`HANDSHAKE_WAIT`].
    pub handshake: Duration,
    /// How long a peer may keep one connection waiting.
    pub patience: Patience,
    /// How much of our answers peers may leave untaken.
    pub untaken: UntakenLimits,
    /// See [`DRAIN_WAIT`]. Connections that are not done then are cut.
    pub drain: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            handshake: HANDSHAKE_WAIT,
            patience: Patience::default(),
            untaken: UntakenLimits::default(),
            drain: DRAIN_WAIT,
        }
    }
}

/// Who is at the other end of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Address of the TCP peer, which may be a proxy.
    pub address: SocketAddr,
    /// What the peer presented in its TLS handshake, or in the one that this session goes on from. It holds the key of
    /// the leaf; nothing else has been looked at. `None` also without TLS.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// What arrives on a connection: over HTTP/1.1 one at a time and in order, over HTTP/2 as many at once as there are
/// streams. Not printable: it holds what peers send.
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one; boxing it would cost every request"
)]
pub enum Inbound {
    /// A request with lawful framing. Reading its body can still fail: [`crate::head_guard::refusal_of_body`].
    Request(http::Request<RequestBody>),
    /// In place of a request that must not be served. The connection closes after the answer to it.
    Refused(Refusal),
}

/// Serves connections from `listener` until `shutdown` resolves, then lets those open finish the request under way,
/// and gives the number of connections that had to be cut at `limits.drain`.
///
/// With `tls` every connection begins with a TLS handshake under the settings of that moment, and speaks HTTP/2 where
/// the peer's ALPN asks for it; without, HTTP/1.1 only. `service` is called once for each request and for each refused
/// head. Over HTTP/1.1 that is in order, never two at a time for one connection, and a peer that has closed its sending
/// side is still answered, so the future runs on when the peer goes away while it works: the service bounds its own
/// time. Over HTTP/2 the future is dropped when the peer gives up the stream.
pub async fn serve<S, F>(
    listener: TcpListener,
    tls: Option<Arc<Reloadable>>,
    limits: ListenLimits,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
) -> usize
where
    S: Fn(Inbound, PeerInfo) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Response<AnswerBody>> + Send + 'static,
{
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let untaken = Arc::new(AtomicUsize::new(0));
    let mut shutdown = pin!(shutdown);
    loop {
        let room = connections.len() < limits.connections.max(1);
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                note_end(ended);
                continue;
            }
            accepted = listener.accept(), if room => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let connection = Connection {
                    peer: PeerInfo {
                        address,
                        certificate: None,
                    },
                    limits,
                    untaken: Arc::clone(&untaken),
                    service: service.clone(),
                    stopping: stopping.clone(),
                };
                let tls = tls.as_ref().map(|tls| tls.current());
                connections.spawn(connection.run(stream, tls));
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                if timeout(ACCEPT_PAUSE, &mut shutdown).await.is_ok() {
                    break;
                }
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    drain(connections, limits.drain).await
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) -> usize {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    if timeout(limit, all_ended).await.is_ok() {
        return 0;
    }
    let cut = connections.len();
    tracing::warn!(cut, "connections were cut at the end of the drain");
    connections.shutdown().await;
    cut
}

fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended in a panic");
    }
}

/// Errors of `accept` that say nothing about the next connection (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Mutex;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::{Semaphore, oneshot};

    /// Longer than anything here takes; reached only when something hangs.
    const HANGS: Duration = Duration::from_secs(20);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinSet<usize>,
        /// One note for each call, when it begins.
        begun: Arc<Semaphore>,
        /// A call ends for each permit.
        may_end: Arc<Semaphore>,
        callers: Arc<Mutex<Vec<SocketAddr>>>,
    }

    async fn start(limits: ListenLimits, free_calls: usize) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, may_end) = (
            Arc::new(Semaphore::new(0)),
            Arc::new(Semaphore::new(free_calls)),
        );
        let callers = Arc::new(Mutex::new(Vec::new()));
        let shared = (
            Arc::clone(&begun),
            Arc::clone(&may_end),
            Arc::clone(&callers),
        );
        let service = move |inbound, peer: PeerInfo| {
            let (begun, may_end, callers) = shared.clone();
            async move {
                callers.lock().unwrap().push(peer.address);
                begun.add_permits(1);
                may_end.acquire().await.unwrap().forget();
                assert!(
                    matches!(inbound, Inbound::Request(_)),
                    "refusals panic here"
                );
                http::Response::new(AnswerBody::from(Bytes::from_static(b"done")))
            }
        };
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(serve(listener, None, limits, service, async {
            stopped.await.ok();
        }));
        Running {
            address,
            stop,
            task,
            begun,
            may_end,
            callers,
        }
    }

    impl Running {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn call_begun(&self) {
            timeout(HANGS, self.begun.acquire())
                .await
                .expect("called")
                .unwrap()
                .forget();
        }
    }

    async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut text = String::new();
        timeout(HANGS, stream.read_to_string(&mut text))
            .await
            .expect("closed")
            .unwrap();
        text
    }

    async fn one_answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"done") {
            let byte = timeout(HANGS, stream.read_u8()).await.expect("answered");
            text.push(byte.expect("open"));
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_drain_finishes_what_is_under_way_closes_idle_connections_and_takes_no_new_ones() {
        let mut running = start(ListenLimits::default(), 1).await;
        let (mut idle, mut fresh, mut busy) = (
            running.connect().await,
            running.connect().await,
            running.connect().await,
        );
        idle.write_all(REQUEST).await.unwrap();
        one_answer(&mut idle).await;
        running.call_begun().await;
        busy.write_all(REQUEST).await.unwrap();
        running.call_begun().await;

        running.stop.send(()).unwrap();
        assert_eq!(rest(&mut idle).await, "");
        assert_eq!(rest(&mut fresh).await, "");
        assert!(
            TcpStream::connect(running.address).await.is_err(),
            "the listener is closed"
        );
        running.may_end.add_permits(1);
        let answer = rest(&mut busy).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"),
            "{answer}"
        );
        assert!(answer.contains("connection: close"), "{answer}");
        let cut = timeout(HANGS, running.task.join_next())
            .await
            .expect("ends");
        assert_eq!(cut.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn a_drain_cuts_what_does_not_finish() {
        let limits = ListenLimits {
            drain: Duration::from_millis(20),
            ..ListenLimits::default()
        };
        let running = start(limits, 0).await;
        let mut busy = running.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        running.call_begun().await;
        let Running { stop, mut task, .. } = running;
        stop.send(()).unwrap();
        assert_eq!(
            timeout(HANGS, task.join_next())
                .await
                .expect("ends")
                .unwrap()
                .unwrap(),
            1
        );
        assert_eq!(rest(&mut busy).await, "");
    }

    #[tokio::test]
    async fn a_connection_over_the_limit_waits_until_another_ends() {
        let limits = ListenLimits {
            connections: 1,
            ..ListenLimits::default()
        };
        let running = start(limits, 3).await;
        let mut first = running.connect().await;
        first.write_all(REQUEST).await.unwrap();
        one_answer(&mut first).await;
        let mut second = running.connect().await;
        second.write_all(REQUEST).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        one_answer(&mut first).await;
        let one = first.local_addr().unwrap();
        drop(first);
        one_answer(&mut second).await;
        let two = second.local_addr().unwrap();
        assert_eq!(*running.callers.lock().unwrap(), [one, one, two]);
    }

    #[tokio::test]
    async fn a_call_that_panics_ends_its_connection_only() {
        let running = start(ListenLimits::default(), 9).await;
        let mut refused = running.connect().await;
        refused.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut nothing = Vec::new();
        timeout(HANGS, refused.read_to_end(&mut nothing))
            .await
            .expect("closed")
            .ok();
        assert!(nothing.is_empty());
        let mut next = running.connect().await;
        next.write_all(REQUEST).await.unwrap();
        one_answer(&mut next).await;
    }

    #[tokio::test]
    async fn a_peer_that_stops_sending_is_still_answered() {
        let running = start(ListenLimits::default(), 0).await;
        let mut stream = running.connect().await;
        stream.write_all(REQUEST).await.unwrap();
        stream.shutdown().await.unwrap();
        running.call_begun().await;
        running.may_end.add_permits(1);
        assert!(rest(&mut stream).await.ends_with("done"));
    }

    #[test]
    fn only_errors_of_one_connection_are_passed_over_at_once() {
        for kind in [
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::Interrupted,
        ] {
            assert!(concerns_one_connection(&kind.into()), "{kind:?}");
        }
        // EMFILE, ENFILE, ENOMEM
        for errno in [24, 23, 12] {
            assert!(
                !concerns_one_connection(&io::Error::from_raw_os_error(errno)),
                "{errno}"
            );
        }
    }
}
