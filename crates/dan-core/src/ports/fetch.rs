//! Outbound HTTP: the one way out of the process.

use std::fmt;

use bytes::Bytes;

use super::{CallContext, PortFuture};
use crate::parts::{BoxParts, Ready};
use crate::secret::Secret;

/// HTTP methods that sources and authorities are asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

/// One request to the outside.
pub struct FetchRequest {
    /// Method.
    pub method: Method,
    /// Absolute `http` or `https` address. May hold an identity number: never logged.
    pub url: String,
    /// Header names and values that are no secrets.
    pub headers: Vec<(&'static str, String)>,
    /// Value of `Authorization`.
    pub authorization: Option<Secret>,
    /// Further secret headers, for instance an API key.
    pub secret_headers: Vec<(String, Secret)>,
    /// Media type and bytes of the body.
    pub body: Option<(&'static str, Bytes)>,
    /// Largest body taken in return.
    pub reply_bytes_max: usize,
    /// Name under which pool, limits and logs know the other end.
    pub peer: String,
}

impl FetchRequest {
    /// The same again. Secrets are copied, each wiped on its own.
    #[must_use]
    pub fn copied(&self) -> Self {
        let copy = |secret: &Secret| Secret::new(secret.expose().to_owned());
        let secret_headers = self.secret_headers.iter();
        Self {
            method: self.method,
            url: self.url.clone(),
            headers: self.headers.clone(),
            authorization: self.authorization.as_ref().map(copy),
            secret_headers: secret_headers
                .map(|(name, secret)| (name.clone(), copy(secret)))
                .collect(),
            body: self.body.clone(),
            reply_bytes_max: self.reply_bytes_max,
            peer: self.peer.clone(),
        }
    }

    /// A plain GET that accepts JSON.
    #[must_use]
    pub fn get(peer: &str, url: String, reply_bytes_max: usize) -> Self {
        Self {
            method: Method::Get,
            url,
            headers: vec![("accept", "application/json".to_owned())],
            authorization: None,
            secret_headers: Vec::new(),
            body: None,
            reply_bytes_max,
            peer: peer.to_owned(),
        }
    }
}

/// Shows method and peer; never the address, headers or body.
impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FetchRequest({:?} {})", self.method, self.peer)
    }
}

/// What came back, whatever the status.
pub struct FetchReply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub media_type: Option<String>,
    /// `Retry-After` in seconds, if any.
    pub retry_after_s: Option<u32>,
    /// The body, at most `reply_bytes_max`.
    pub body: Bytes,
}

/// Shows status and size; never the body.
impl fmt::Debug for FetchReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FetchReply({}, {} bytes)", self.status, self.body.len())
    }
}

/// What began to come back, whatever the status.
pub struct FetchStream {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub media_type: Option<String>,
    /// `Retry-After` in seconds, if any.
    pub retry_after_s: Option<u32>,
    /// The body. It ends with [`FetchError::TooLarge`] where there is more than `reply_bytes_max`, and with
    /// [`FetchError::Network`] where it is cut short. How long it may take is for its reader to say.
    pub body: BoxParts<FetchError>,
}

/// Shows the status; never the body.
impl fmt::Debug for FetchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FetchStream({})", self.status)
    }
}

/// Why nothing came back. Texts never hold the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The address is malformed or not allowed.
    Refused(String),
    /// No connection, or it broke.
    Network(String),
    /// Not done by the deadline.
    Timeout,
    /// The body is larger than asked for.
    TooLarge,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => write!(f, "address refused: {text}"),
            Self::Network(text) => write!(f, "connection failed: {text}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::TooLarge => f.write_str("the answer is too large"),
        }
    }
}

/// Outbound HTTP. No redirects are followed.
pub trait Fetch: Send + Sync {
    /// Sends one request and reads the whole answer, within `ctx.deadline`. Dropping it closes the
    /// exchange.
    ///
    /// # Errors
    /// [`FetchError`] when there is no HTTP answer. A 4xx or 5xx is an answer.
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>>;

    /// Sends one request and reads the head of the answer, within `ctx.deadline`; the body follows as it is asked for.
    /// Dropping either closes the exchange. An implementation that has no streams holds the body instead.
    ///
    /// # Errors
    /// As [`Fetch::fetch`].
    fn open<'a>(
        &'a self,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchStream, FetchError>> {
        Box::pin(async move {
            let reply = self.fetch(request, ctx).await?;
            Ok(FetchStream {
                status: reply.status,
                media_type: reply.media_type,
                retry_after_s: reply.retry_after_s,
                body: Ready::of([reply.body]),
            })
        })
    }
}
