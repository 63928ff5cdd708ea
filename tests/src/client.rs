//! A client that sends what it is told and nothing else: no `Accept`, no `User-Agent`, no retry.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take; today's .NET client gives up at the same time.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// An address split for a connection: `host:port`, and what comes after it.
///
/// # Panics
/// For anything but `http://…`.
#[must_use]
pub fn split_url(url: &str) -> (&str, &str) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("{url} is not plain HTTP, and the suite speaks no TLS"));
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}

/// One request to be sent.
#[derive(Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A JSON body, and the header that says so.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// A body, with no header that says what it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it over a connection of its own.
    ///
    /// # Panics
    /// When there is no answer within [`PATIENCE`].
    pub async fn send(self) -> Answer {
        Connection::open(&self.url).await.send(self).await
    }

    /// The same, for an answer that may be cut short.
    ///
    /// # Errors
    /// Why it is not whole.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`].
    pub async fn try_send(self) -> Result<Answer, String> {
        Connection::open(&self.url).await.try_send(self).await
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let (authority, target) = split_url(&self.url);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(target)
            .header("host", authority);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).unwrap()
    }
}

/// A connection that is kept.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Connects to the host of an address.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn open(url: &str) -> Self {
        let stream = connect(url).await;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends one request; the connection can be used again afterwards.
    ///
    /// # Panics
    /// When there is no answer within [`PATIENCE`], or the connection was closed.
    pub async fn send(&mut self, call: Call) -> Answer {
        let sent = self.try_send(call).await;
        sent.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, for an answer that may be cut short.
    ///
    /// # Errors
    /// Why it is not whole.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`].
    pub async fn try_send(&mut self, call: Call) -> Result<Answer, String> {
        let what = format!("{} {}", call.method, call.url);
        let exchange = async {
            self.0.ready().await?;
            let response = self.0.send_request(call.request()).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?;
            Ok::<_, hyper::Error>((head, body))
        };
        let (head, body) = timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| panic!("{what}: no answer within {PATIENCE:?}"))
            .map_err(|error| format!("{what}: {error}"))?;
        Ok(Answer {
            what,
            status: head.status,
            headers: head.headers,
            trailers: body.trailers().cloned().unwrap_or_default(),
            body: body.to_bytes(),
        })
    }
}

async fn connect(url: &str) -> TcpStream {
    let (authority, _) = split_url(url);
    let address = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    TcpStream::connect(&address)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
}

/// Sends a head byte by byte as it is written, which is the only way to choose the case of a name,
/// and reads until the peer closes. The head must ask for `Connection: close`.
///
/// # Panics
/// When what comes back is not HTTP/1.1.
pub async fn send_verbatim(url: &str, head: &str) -> Answer {
    let mut stream = connect(url).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut raw))
        .await
        .expect("an answer in time")
        .unwrap();
    Answer::read(head.lines().next().unwrap_or_default(), &raw)
}

/// What came back.
#[derive(Clone)]
pub struct Answer {
    /// The request, for messages.
    pub what: String,
    /// HTTP status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Fields behind the body.
    pub trailers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// Reads what a peer has sent until it closed.
    ///
    /// # Panics
    /// When it is not an HTTP/1.1 answer.
    #[must_use]
    pub fn read(what: &str, raw: &[u8]) -> Self {
        let end = raw
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("{what}: no head"));
        let text = std::str::from_utf8(&raw[..end]).unwrap();
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        Self {
            what: what.to_owned(),
            status: status.parse().unwrap(),
            headers,
            trailers: HeaderMap::new(),
            body: Bytes::copy_from_slice(&raw[end + 4..]),
        }
    }

    /// A header that is there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a header of visible ASCII"))
    }

    /// What proves the answer: a field in front of the body, or behind it.
    #[must_use]
    pub fn proof(&self, name: &str) -> Option<&str> {
        let behind = self.trailers.get(name);
        let behind = behind.map(|value| value.to_str().expect("a trailer of visible ASCII"));
        self.header(name).or(behind)
    }

    /// The media type without parameters.
    #[must_use]
    pub fn media_type(&self) -> &str {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The body as text, cut for messages.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let cut: String = text.chars().take(600).collect();
        format!("{} → {}: {cut}", self.what, self.status.as_u16())
    }

    /// The body of a JSON answer.
    ///
    /// # Panics
    /// When the content type or the body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.media_type(), "application/json", "{}", self.excerpt());
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.excerpt()))
    }

    /// Holds that it succeeded with exactly 200, and gives it back.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.excerpt());
        self
    }

    /// Holds that it is a refusal every client can read: status, JSON, an integer `code`, a text
    /// `description`, no `detailCode` but text, and nothing of our insides.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn refused(&self, status: u16, code: u64) {
        assert_eq!(self.status.as_u16(), status, "{}", self.excerpt());
        let body = self.readable_refusal();
        assert_eq!(body["code"], code, "{}", self.excerpt());
    }

    /// Holds that it is a refusal every client can read, whichever it is, and gives its body.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn readable_refusal(&self) -> Value {
        let shown = self.excerpt();
        assert!(!self.status.is_success(), "{shown}");
        assert!(is_registered(self.status.as_u16()), "{shown}");
        let body = self.json();
        assert!(body["code"].is_u64(), "integer code: {shown}");
        let description = body["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "text description: {shown}");
        let detail = &body["detailCode"];
        assert!(
            detail.is_null() || detail.is_string(),
            "detailCode: {shown}"
        );
        for inside in [
            "stacktrace",
            "stackTrace",
            "innerExceptionMessage",
            "innerExceptionStackTrace",
        ] {
            assert!(body[inside].is_null(), "{inside}: {shown}");
        }
        body
    }
}

/// Whether a client that knows the registered numbers only (IANA, RFC 9110 §16.2) can read it.
#[must_use]
pub fn is_registered(status: u16) -> bool {
    matches!(status, 200..=208 | 226 | 300..=305 | 307 | 308)
        || matches!(status, 400..=417 | 421..=426 | 428 | 429 | 431 | 451)
        || matches!(status, 500..=508 | 511)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_the_path() {
        assert_eq!(split_url("http://a:1/v1/x?y=/"), ("a:1", "/v1/x?y=/"));
        assert_eq!(split_url("http://a"), ("a", "/"));
    }

    #[test]
    fn numbers_nobody_registered_are_told_apart() {
        assert!(
            [200, 204, 400, 404, 429, 503]
                .into_iter()
                .all(is_registered)
        );
        assert!(
            !([0, 299, 306, 418, 499, 520, 599]
                .into_iter()
                .any(is_registered))
        );
    }
}
