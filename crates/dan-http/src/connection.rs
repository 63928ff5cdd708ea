//! One connection: its TLS handshake, the protocol that was agreed on, and hyper behind the guard of that protocol.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::body::AnswerBody;
use crate::client_auth::presented;
use crate::framing;
use crate::h2_guard::{H2Guard, Link};
use crate::h2_traffic::{FRAME_BYTES_MAX, STREAMS_MAX, STREAMS_UNTOLD_MAX};
use crate::head_guard::{HeadGuard, stands_for_refusal};
use crate::listen::{Inbound, ListenLimits, PeerInfo};
use crate::request_body::RequestBody;
use crate::tls::H2;
use crate::untaken::{Flushes, Leaves, Untaken};

/// Bytes that the system may hold for a peer beside ours; Linux takes twice as much. At the least
/// pace of an answer it shows within [`crate::patience`] that the peer reads.
const SOCKET_BYTES: usize = 256 * 1024;

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
    /// Bytes of answers that no peer of the listener has taken yet.
    pub(crate) untaken: Arc<AtomicUsize>,
    pub(crate) service: S,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl<S, F> Connection<S>
where
    S: Fn(Inbound, PeerInfo) -> F + Send + Sync + 'static,
    F: Future<Output = http::Response<AnswerBody>> + Send + 'static,
{
    /// Serves it until one side has had enough. May be dropped at any time.
    pub(crate) async fn run(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        // What the system holds for a peer counts as taken only when it takes more. Grown to
        // megabytes, that comes too seldom for a slow peer to show that it reads.
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SOCKET_BYTES) {
            tracing::debug!(%error, "SO_SNDBUF");
        }
        match tls {
            // Boxed one by one, so that a task is no larger than what it does.
            Some(tls) => Box::pin(self.tls(stream, tls)).await,
            None => Box::pin(self.http1(stream)).await,
        }
    }

    fn untaken(&self, leaves: Leaves) -> Arc<Untaken> {
        let all = Arc::clone(&self.untaken);
        Untaken::new(all, self.limits.untaken, self.limits.patience.write, leaves)
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

    pub(crate) async fn http1<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused = Arc::new(OnceLock::new());
        let io = HeadGuard::new(stream, self.limits.patience, Arc::clone(&refused));
        let untaken = self.untaken(Leaves::Flushed);
        let answers = Arc::clone(&untaken);
        let guard = Flushes {
            io,
            untaken: Arc::clone(&untaken),
        };
        let (service, peer) = (self.service, self.peer);
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let inbound = match refused.get() {
                Some(refusal) if stands_for_refusal(request.method()) => Inbound::Refused(*refusal),
                _ => Inbound::Request(request.map(RequestBody::guarded)),
            };
            // hyper keeps room for this future as long as the connection lives: a pointer is all it should be.
            let response = Box::pin(service(inbound, peer.clone()));
            let answers = Arc::clone(&answers);
            async move {
                answers.room().await;
                Ok::<_, Infallible>(answers.admit(response.await).await)
            }
        });
        // The guard bounds the wait for a head, telling an idle peer from a slow one, and answers 408: hyper cannot.
        let connection = http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(guard), answer);
        let mut connection = pin!(connection);
        let mut overdue = pin!(untaken.overdue());
        let mut leaving = false;
        let ended = loop {
            tokio::select! {
                biased;
                () = told_to_stop(&mut self.stopping), if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                ended = &mut connection => break ended,
                () = &mut overdue => {
                    tracing::debug!("the peer takes its answer too slowly");
                    return;
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection failed");
        }
    }

    pub(crate) async fn http2<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let link = Arc::new(Link::default());
        let untaken = self.untaken(Leaves::Dropped);
        let guard = H2Guard::new(stream, self.limits.patience, Arc::clone(&link));
        let (starting, mut started) = mpsc::channel(STREAMS_UNTOLD_MAX);
        let (service, peer, silence) = (self.service, self.peer, self.limits.patience.body);
        let working = Arc::clone(&link);
        let answers = Arc::clone(&untaken);
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let (parts, body) = request.into_parts();
            let inbound = match framing::h2::judge(&parts) {
                Ok(()) => {
                    let body = RequestBody::bounded(body, silence);
                    Inbound::Request(http::Request::from_parts(parts, body))
                }
                Err(refusal) => Inbound::Refused(refusal),
            };
            let (working, answers) = (Arc::clone(&working), Arc::clone(&answers));
            let response = service(inbound, peer.clone());
            async move {
                // Who waits for room waits for the peer, and is not at work.
                answers.room().await;
                let at_work = working.work();
                let mut response = answers.admit(response.await).await;
                drop(at_work);
                if let AnswerBody::Stream(stream) = response.body_mut() {
                    stream.work_on(working);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder(Streams(starting)).serve_connection(TokioIo::new(guard), answer);
        let mut connection = pin!(connection);
        let mut overdue = pin!(untaken.overdue());
        let mut streams = JoinSet::new();
        let (mut leaving, mut cut) = (false, false);
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
                () = &mut overdue, if !cut => {
                    cut = true;
                    link.give_up();
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2_frames::tests::{PREFACE, frame};
    use crate::h2_frames::{END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, WINDOW_UPDATE};
    use crate::untaken::CONNECTION_UNTAKEN_BYTES_MAX;
    use bytes::Bytes;
    use std::sync::atomic::Ordering;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{Instant, interval};

    const ANSWER: usize = 1_700_000;
    /// What a client takes at a time.
    const STEP: usize = 16 * 1024;
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    /// A GET of the root of `a` in the static table of HPACK.
    const BLOCK: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];

    const PING_HEAD: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0];

    struct Served {
        client: DuplexStream,
        all: Arc<AtomicUsize>,
        task: JoinSet<()>,
        _stop: watch::Sender<bool>,
    }

    /// One connection whose every answer has [`ANSWER`] bytes.
    fn served(http2: bool) -> Served {
        let (client, server) = duplex(STEP);
        let all = Arc::new(AtomicUsize::new(0));
        let (stop, stopping) = watch::channel(false);
        let connection = Connection {
            peer: PeerInfo {
                address: ([127, 0, 0, 1], 1).into(),
                certificate: None,
            },
            limits: ListenLimits::default(),
            untaken: Arc::clone(&all),
            service: |_: Inbound, _: PeerInfo| async {
                http::Response::new(AnswerBody::from(Bytes::from(vec![b'x'; ANSWER])))
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
            all,
            task,
            _stop: stop,
        }
    }

    /// Reads a step at a time; how many bytes came, and the most that was held.
    async fn take_slowly(served: &mut Served, every: Duration) -> (usize, usize) {
        let (mut taken, mut most) = (0, 0);
        let mut tick = interval(every);
        let mut part = vec![0; STEP];
        while taken < ANSWER {
            tick.tick().await;
            most = most.max(served.all.load(Ordering::Relaxed));
            match served.client.read(&mut part).await {
                Ok(read) if read > 0 => taken = read.saturating_add(taken),
                _ => break,
            }
        }
        (taken, most)
    }

    #[tokio::test(start_paused = true)]
    async fn over_http_1_1_a_slow_client_is_served_and_a_trickling_one_is_not() {
        let mut slow = served(false);
        slow.client.write_all(REQUEST).await.unwrap();
        let (taken, most) = take_slowly(&mut slow, Duration::from_millis(500)).await;
        assert!(taken >= ANSWER, "{taken}");
        assert_eq!(most, ANSWER);
        tokio::task::yield_now().await;
        // All has left, and the same connection is served again.
        slow.client.write_all(REQUEST).await.unwrap();
        let (taken, _) = take_slowly(&mut slow, Duration::from_millis(500)).await;
        assert!(taken >= ANSWER, "{taken}");

        let mut trickling = served(false);
        trickling.client.write_all(REQUEST).await.unwrap();
        let start = Instant::now();
        let (taken, _) = take_slowly(&mut trickling, Duration::from_secs(5)).await;
        assert!(taken < ANSWER, "{taken}");
        assert!(start.elapsed() < Duration::from_secs(180));
        trickling.task.join_next().await;
        assert_eq!(trickling.all.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn over_http_1_1_answers_to_requests_sent_ahead_are_held_within_the_budget() {
        let mut ahead = served(false);
        ahead.client.write_all(&REQUEST.repeat(50)).await.unwrap();
        let start = Instant::now();
        let mut tick = interval(Duration::from_secs(1));
        while ahead.task.try_join_next().is_none() {
            tick.tick().await;
            let held = ahead.all.load(Ordering::Relaxed);
            assert!(held <= CONNECTION_UNTAKEN_BYTES_MAX, "{held}");
            assert!(start.elapsed() <= Duration::from_secs(60));
        }
        assert_eq!(ahead.all.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn over_http_2_a_slow_client_is_served_on_several_streams() {
        let Served {
            client,
            all,
            mut task,
            _stop,
        } = served(true);
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(u32::try_from(STEP).unwrap());
        let (mut send, connection) = builder.handshake::<_, Bytes>(client).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let mut answers = JoinSet::new();
        for _ in 0..2 {
            send = send.ready().await.unwrap();
            let request = http::Request::get("https://a/").body(()).unwrap();
            let (answer, _) = send.send_request(request, true).unwrap();
            answers.spawn(async move {
                let mut body = answer.await.unwrap().into_body();
                let (mut taken, mut tick) = (0, interval(Duration::from_secs(1)));
                while let Some(data) = body.data().await {
                    // 16 KiB a second for each of the two.
                    let size = data.unwrap().len();
                    taken += size;
                    if taken % STEP < size {
                        tick.tick().await;
                    }
                    body.flow_control().release_capacity(size).unwrap();
                }
                taken
            });
        }
        assert_eq!(answers.join_all().await, [ANSWER, ANSWER]);
        assert_eq!(all.load(Ordering::Relaxed), 0);
        drop(send);
        task.join_next().await;
    }

    #[tokio::test(start_paused = true)]
    async fn over_http_2_a_byte_now_and_then_keeps_neither_memory_nor_connection() {
        let mut served = served(true);
        // No window for any stream.
        let mut hello = [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
        for n in 0..100 {
            let stream = 2 * n + 1;
            hello.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, BLOCK));
        }
        served.client.write_all(&hello).await.unwrap();
        let start = Instant::now();
        let mut tick = interval(Duration::from_secs(5));
        let mut most = 0;
        let mut said = vec![0; STEP];
        while served.task.try_join_next().is_none() {
            tick.tick().await;
            let update = frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
            served.client.write_all(&update).await.ok();
            let reading = served.client.read(&mut said);
            let read = timeout(Duration::from_millis(1), reading).await;
            let read = read.map_or(0, |read| read.unwrap_or_default());
            // A peer that answers no PING is cut for that.
            let pings = said[..read]
                .windows(17)
                .filter(|part| part.starts_with(PING_HEAD));
            for ping in pings {
                let answer = frame(PING, 1, 0, &ping[PING_HEAD.len()..]);
                served.client.write_all(&answer).await.ok();
            }
            let held = served.all.load(Ordering::Relaxed);
            most = most.max(held);
            assert!(held <= CONNECTION_UNTAKEN_BYTES_MAX, "{held}");
            assert!(start.elapsed() < Duration::from_secs(300));
        }
        assert!(most > ANSWER, "{most}");
        assert!(start.elapsed() > Duration::from_secs(200));
        assert_eq!(served.all.load(Ordering::Relaxed), 0);
    }
}
