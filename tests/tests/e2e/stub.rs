//! A server that answers as a test says, on an address that can be known before anybody listens there.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// An address that is ours and where nobody listens: connections are refused.
pub(crate) struct Address {
    socket: TcpSocket,
    base: String,
}

impl Address {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let base = format!("http://{}", socket.local_addr().unwrap());
        Self { socket, base }
    }

    /// `http://host:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Listens, and answers each call; `answer` gets path and query, and gives status and JSON.
    pub(crate) fn serve(
        self,
        answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
    ) -> Stub {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let listener = self.socket.listen(BACKLOG).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::new(answer), Arc::clone(&calls)));
        Stub {
            calls,
            _serving: serving,
        }
    }
}

/// Serves until it is dropped.
pub(crate) struct Stub {
    calls: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Stub {
    /// Path and query of each call so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

type Respond = Arc<dyn Fn(&str) -> (u16, Value) + Send + Sync>;

async fn accept(listener: TcpListener, answer: Respond, calls: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (answer, calls) = (Arc::clone(&answer), Arc::clone(&calls));
        let service = service_fn(move |request: Request<Incoming>| {
            let target = request.uri().path_and_query().unwrap().as_str().to_owned();
            let (status, body) = answer(&target);
            calls.lock().unwrap().push(target);
            async move { Ok::<_, Infallible>(response(status, &body)) }
        });
        connections.spawn(async move {
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A peer may go whenever it likes.
            served.await.ok();
        });
    }
}

fn response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json");
    response.body(Full::new(body.to_string().into())).unwrap()
}
