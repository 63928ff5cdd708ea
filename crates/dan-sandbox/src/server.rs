//! Accepting connections and handing each request to the service its address belongs to.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Clock;
use crate::control::Control;
use crate::fault::Dropped;
use crate::issuer::{GENERATOR_PATH, Issuer, ROTATE_PATH};
use crate::reply::{self, Call, Reply};
use crate::services::{Handler, Service};

/// Connections open at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
/// Bytes of one request body.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
/// hyper's buffer for one direction of one connection, bytes; also the limit of a head.
const MAX_BUFFER: usize = 64 * 1024;
/// How long a peer may take over a head, and over a body. An idle connection is closed after it as well.
const READ_WAIT: Duration = Duration::from_secs(120);
/// How long nothing is accepted after the system had no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything the fake world holds.
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) clock: Clock,
    pub(crate) control: Arc<Control>,
    pub(crate) issuer: Issuer,
}

/// Serves until the other end of `stop` is gone; connections are cut then, and when the task is aborted.
pub(crate) async fn serve(
    listener: TcpListener,
    world: Arc<World>,
    mut stop: oneshot::Receiver<Infallible>,
) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            Err(_) = &mut stop => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the fake world ended in a panic");
                }
            }
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&world)));
                }
                Err(error) => accept_failed(&error).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "the fake world cannot accept a connection for now");
    drop(timeout(ACCEPT_PAUSE, std::future::pending::<()>()).await);
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = service_fn(move |request| Arc::clone(&world).answer(request));
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_WAIT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the fake world ended early");
    }
}

impl World {
    async fn answer(self: Arc<Self>, request: http::Request<Incoming>) -> Result<Reply, Dropped> {
        let (head, body) = request.into_parts();
        let service = Service::of_path(head.uri.path());
        let ticket = service.and_then(|service| self.control.enter(service.name, &head));
        let body = match read(body).await? {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal),
        };
        if let Some(ticket) = &ticket
            && let Some(reply) = ticket.fault().await?
        {
            return Ok(reply);
        }
        let call = Call::new(head, body);
        let now = (self.clock)();
        Ok(match service.map(|service| service.handler) {
            Some(Handler::Issuer) => self.issuer.answer(&call, now).await,
            Some(Handler::Plain(answer)) => answer(&self, &call, now),
            None if call.path() == GENERATOR_PATH => self.issuer.generate(&call, now).await,
            None if call.path() == ROTATE_PATH => self.issuer.rotate(&call).await,
            None if call.path().starts_with("/control/") => self.control.answer(&call),
            None => reply::no_such_route(),
        })
    }
}

/// The whole body, or the refusal of one that is too large.
async fn read(body: Incoming) -> Result<Result<Bytes, Reply>, Dropped> {
    match timeout(READ_WAIT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(Ok(body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(Err(reply::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large",
        ))),
        Ok(Err(_)) | Err(_) => Err(Dropped),
    }
}
