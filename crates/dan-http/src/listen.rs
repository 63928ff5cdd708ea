//! Accepting connections, serving HTTP/1.1 on each behind [`HeadGuard`], and ending gracefully.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::framing::Refusal;
use crate::head_guard::{HeadGuard, Patience, stands_for_refusal};
use crate::tls::HANDSHAKE_WAIT;

/// Connections open at once; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 8 * 1024;
/// How long connections may take to finish the requests under way once the listener is told to stop.
pub const DRAIN_WAIT: Duration = Duration::from_secs(30);
/// How long nothing is accepted after the system had no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// hyper's buffer for one direction of one connection, bytes. Holds the largest head the guard lets through.
const MAX_BUFFER: usize = 64 * 1024;

/// What one listener allows; the defaults are the constants of this module, of [`crate::head_guard`] and of
/// [`crate::tls`].
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// See [`MAX_CONNECTIONS`]; at least one is always served.
    pub connections: usize,
    /// See [`HANDSHAKE_WAIT`].
    pub handshake: Duration,
    /// How long a peer may keep one connection waiting.
    pub patience: Patience,
    /// See [`DRAIN_WAIT`]. Connections that are not done then are cut.
    pub drain: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            handshake: HANDSHAKE_WAIT,
            patience: Patience::default(),
            drain: DRAIN_WAIT,
        }
    }
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Address of the TCP peer, which may be a proxy.
    pub address: SocketAddr,
}

/// What arrives on a connection, one at a time and in order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one; boxing it would cost every request"
)]
pub enum Inbound {
    /// A request with lawful framing. Reading its body can still fail: [`crate::head_guard::refusal_of_body`].
    Request(http::Request<Incoming>),
    /// In place of a request that must not be served. The connection closes after the answer to it.
    Refused(Refusal),
}

/// Serves connections from `listener` until `shutdown` resolves, then lets those open finish the request under way,
/// and gives the number of connections that had to be cut at `limits.drain`.
///
/// With `tls` every connection begins with a TLS handshake. `service` is called once for each request and for each
/// refused head, in order, never two at a time for one connection. A peer that has closed its sending side is still
/// answered, so the future runs on when the peer goes away while it works: the service bounds its own time.
pub async fn serve<S, F>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: ListenLimits,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
) -> usize
where
    S: Fn(Inbound, PeerInfo) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
{
    let tls = tls.map(TlsAcceptor::from);
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
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
                    peer: PeerInfo { address },
                    limits,
                    service: service.clone(),
                    stopping: stopping.clone(),
                };
                connections.spawn(connection.run(stream, tls.clone()));
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

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    while !*stopping.borrow_and_update() {
        if stopping.changed().await.is_err() {
            return;
        }
    }
}

struct Connection<S> {
    peer: PeerInfo,
    limits: ListenLimits,
    service: S,
    stopping: watch::Receiver<bool>,
}

impl<S, F> Connection<S>
where
    S: Fn(Inbound, PeerInfo) -> F + Send + Sync + 'static,
    F: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
{
    async fn run(mut self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(tls) = tls else {
            return self.http(stream).await;
        };
        let handshake = tokio::select! {
            biased;
            () = told_to_stop(&mut self.stopping) => return,
            handshake = timeout(self.limits.handshake, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) => self.http(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn http<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused = Arc::new(OnceLock::new());
        let guard = HeadGuard::new(stream, self.limits.patience, Arc::clone(&refused));
        let (service, peer) = (self.service, self.peer);
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let inbound = match refused.get() {
                Some(refusal) if stands_for_refusal(request.method()) => Inbound::Refused(*refusal),
                _ => Inbound::Request(request),
            };
            let response = service(inbound, peer);
            async move { Ok::<_, Infallible>(response.await) }
        });
        // The guard bounds the wait for a head, telling an idle peer from a slow one, and answers 408: hyper cannot.
        let connection = http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(guard), answer);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            () = told_to_stop(&mut self.stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            ended = &mut connection => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection failed");
        }
    }
}
