//! One connection: its TLS handshake, the protocol that was agreed on, and hyper behind the guard of that protocol.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::client_auth::presented;
use crate::framing;
use crate::h2_guard::{H2Guard, Link};
use crate::h2_traffic::{FRAME_BYTES_MAX, STREAMS_MAX, STREAMS_UNTOLD_MAX};
use crate::head_guard::{HeadGuard, stands_for_refusal};
use crate::listen::{Inbound, ListenLimits, PeerInfo};
use crate::request_body::RequestBody;
use crate::tls::H2;

/// hyper's buffer for one direction of one HTTP/1.1 connection, bytes. Holds the largest head the guard lets through.
const MAX_BUFFER: usize = 64 * 1024;
/// Decoded header list of an HTTP/2 request, bytes as RFC 9113 §6.5.2 counts them. More is answered 431.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// What a peer may send of one body before we have read it, bytes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same for all streams of a connection together: the most that unread bodies can hold of our memory.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// Answer bytes that hyper holds for one stream before it waits for the peer's window.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams the peer has reset and we have not looked at yet; more ends the connection (rapid reset).
const RESETS_PENDING_MAX: usize = 50;
/// Streams reset because the peer broke a rule; more ends the connection.
const RESETS_FOR_ERRORS_MAX: usize = 100;
/// How often a peer over HTTP/2 is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_WAIT: Duration = Duration::from_secs(10);

/// Ends when `stopping` says so, or nobody can say so any more.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    while !*stopping.borrow_and_update() {
        if stopping.changed().await.is_err() {
            return;
        }
    }
}

/// A connection that was accepted.
pub(crate) struct Connection<S> {
    pub(crate) peer: PeerInfo,
    pub(crate) limits: ListenLimits,
    pub(crate) service: S,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl<S, F> Connection<S>
where
    S: Fn(Inbound, PeerInfo) -> F + Send + Sync + 'static,
    F: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
{
    /// Serves it until one side has had enough. May be dropped at any time.
    pub(crate) async fn run(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        match tls {
            // Boxed one by one, so that a task is no larger than what it does.
            Some(tls) => Box::pin(self.tls(stream, tls)).await,
            None => Box::pin(self.http1(stream)).await,
        }
    }

    async fn tls(mut self, stream: TcpStream, tls: Arc<ServerConfig>) {
        let handshake = {
            let accepting = Box::pin(TlsAcceptor::from(tls).accept(stream));
            tokio::select! {
                biased;
                () = told_to_stop(&mut self.stopping) => return,
                handshake = timeout(self.limits.handshake, accepting) => handshake,
            }
        };
        let stream = match handshake {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!("TLS handshake took too long");
                return;
            }
        };
        let (_, session) = stream.get_ref();
        self.peer.certificate = presented(session.peer_certificates()).map(Arc::new);
        if session.alpn_protocol() == Some(H2) {
            Box::pin(self.http2(stream)).await;
        } else {
            Box::pin(self.http1(stream)).await;
        }
    }

    async fn http1<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused = Arc::new(OnceLock::new());
        let guard = HeadGuard::new(stream, self.limits.patience, Arc::clone(&refused));
        let (service, peer) = (self.service, self.peer);
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let inbound = match refused.get() {
                Some(refusal) if stands_for_refusal(request.method()) => Inbound::Refused(*refusal),
                _ => Inbound::Request(request.map(RequestBody::guarded)),
            };
            // hyper keeps room for this future as long as the connection lives: a pointer is all it should be.
            let response = Box::pin(service(inbound, peer.clone()));
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

    async fn http2<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let link = Arc::new(Link::default());
        let guard = H2Guard::new(stream, self.limits.patience, Arc::clone(&link));
        let (starting, mut started) = mpsc::channel(STREAMS_UNTOLD_MAX);
        let (service, peer, silence) = (self.service, self.peer, self.limits.patience.body);
        let working = Arc::clone(&link);
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let (parts, body) = request.into_parts();
            let inbound = match framing::h2::judge(&parts) {
                Ok(()) => {
                    let body = RequestBody::bounded(body, silence);
                    Inbound::Request(http::Request::from_parts(parts, body))
                }
                Err(refusal) => Inbound::Refused(refusal),
            };
            let at_work = working.work();
            let response = service(inbound, peer.clone());
            async move {
                let response = response.await;
                drop(at_work);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder(Streams(starting)).serve_connection(TokioIo::new(guard), answer);
        let mut connection = pin!(connection);
        let mut streams = JoinSet::new();
        let mut leaving = false;
        // Each turn polls the connection again, so the guard learns at once that a stream has ended.
        let ended = loop {
            tokio::select! {
                biased;
                () = told_to_stop(&mut self.stopping), if !leaving => {
                    leaving = true;
                    link.leaves();
                    connection.as_mut().graceful_shutdown();
                }
                () = link.leave.notified(), if !leaving => {
                    leaving = true;
                    link.leaves();
                    connection.as_mut().graceful_shutdown();
                }
                ended = &mut connection => break ended,
                Some(stream) = started.recv() => {
                    streams.spawn(stream);
                }
                Some(ended) = streams.join_next(), if !streams.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a request ended in a panic");
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection failed");
        }
    }
}

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands the work on streams to the task of their connection, which ends them when it ends.
#[derive(Clone)]
struct Streams(mpsc::Sender<Stream>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // No peer can have as many streams as there are places; were it so, the stream would be reset.
        if self.0.try_send(Box::pin(stream)).is_err() {
            tracing::warn!("a stream found no place");
        }
    }
}

fn builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_frame_size(u32::try_from(FRAME_BYTES_MAX).ok())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_FOR_ERRORS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAIT);
    builder
}
