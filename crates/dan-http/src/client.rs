//! The `Fetch` port over hyper: one pool, caps on bytes and time, no redirects.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use dan_core::parts::Parts;
use dan_core::ports::{
    CallContext, Fetch, FetchError, FetchReply, FetchRequest, FetchStream, Method, PortFuture,
};
use dan_core::time::Timestamp;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout_at;

/// Idle connections kept to one host.
pub const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long an idle connection is kept.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long connecting may take; the whole call has its own deadline.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// hyper's buffer for one direction of one connection, bytes: the largest head that is read of an answer, and the largest
/// part of its body.
pub const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Longest address.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// Outbound HTTP over hyper and rustls.
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that trusts the certificate authorities of the machine. On a machine without any,
    /// plain HTTP works and every HTTPS peer is refused.
    ///
    /// # Errors
    /// Why the TLS library could not be set up.
    pub fn new() -> Result<Self, String> {
        let tls = tls_config()?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIME_MAX));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_buf_size(BUFFER_BYTES_MAX)
            .build(connector);
        Ok(Self { client })
    }
}

impl HttpClient {
    /// What time it is where this address is, by the `Date` of its answer; `None` when it does not say.
    ///
    /// # Errors
    /// [`FetchError`] when there is no answer.
    pub async fn clock_of(
        &self,
        url: &str,
        ctx: &CallContext,
    ) -> Result<Option<Timestamp>, FetchError> {
        let request = build(
            FetchRequest::get("clock", url.to_owned(), 0),
            &ctx.request_id,
        )?;
        let response = timeout_at(ctx.deadline, self.client.request(request)).await;
        let response = response.map_err(|_elapsed| FetchError::Timeout)?;
        let response =
            response.map_err(|_why| FetchError::Network("the exchange broke".to_owned()))?;
        let date = response
            .headers()
            .get(DATE)
            .and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let since = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        Ok(ms.map(Timestamp::from_ms))
    }
}

fn tls_config() -> Result<ClientConfig, String> {
    let builder = || {
        let provider = Arc::new(aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())
    };
    match builder()?.try_with_platform_verifier() {
        Ok(verified) => Ok(verified.with_no_client_auth()),
        Err(error) => {
            tracing::warn!(%error, "no certificate authorities; install ca-certificates to reach HTTPS peers");
            Ok(builder()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth())
        }
    }
}

impl Fetch for HttpClient {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        Box::pin(async move {
            let bytes_max = request.reply_bytes_max;
            let request = build(request, &ctx.request_id)?;
            let exchange = async { read(self.send(request).await?, bytes_max).await };
            timeout_at(ctx.deadline, exchange)
                .await
                .map_err(|_elapsed| FetchError::Timeout)?
        })
    }

    fn open<'a>(
        &'a self,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchStream, FetchError>> {
        Box::pin(async move {
            let bytes_max = request.reply_bytes_max;
            let request = build(request, &ctx.request_id)?;
            let response = timeout_at(ctx.deadline, self.send(request)).await;
            let (parts, body) = response
                .map_err(|_elapsed| FetchError::Timeout)??
                .into_parts();
            check_size(&body, bytes_max)?;
            let left = bytes_max;
            Ok(FetchStream {
                status: parts.status.as_u16(),
                media_type: text(&parts.headers, &CONTENT_TYPE).map(str::to_owned),
                retry_after_s: retry_after_s(&parts.headers),
                body: Box::pin(Arriving { body, left }),
            })
        })
    }
}

impl HttpClient {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, FetchError> {
        self.client.request(request).await.map_err(|error| {
            // The error's own text may repeat the address; its kind does not.
            let kind = if error.is_connect() {
                "no connection"
            } else {
                "the exchange broke"
            };
            FetchError::Network(kind.to_owned())
        })
    }
}

/// A body that is read when it is asked for.
struct Arriving {
    body: Incoming,
    /// Bytes that may still come.
    left: usize,
}

impl Parts<FetchError> for Arriving {
    fn poll_part(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, FetchError>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(_broken)) => return Poll::Ready(Some(Err(broke_off()))),
            };
            // Trailers of the other end say nothing to us.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            return Poll::Ready(Some(match self.left.checked_sub(data.len()) {
                Some(left) => {
                    self.left = left;
                    Ok(data)
                }
                None => Err(FetchError::TooLarge),
            }));
        }
    }
}

fn broke_off() -> FetchError {
    FetchError::Network("the answer broke off".to_owned())
}

/// Whether a body that says how large it is is larger than it may be.
fn check_size(body: &Incoming, bytes_max: usize) -> Result<(), FetchError> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    if body.size_hint().lower() > limit {
        return Err(FetchError::TooLarge);
    }
    Ok(())
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn retry_after_s(headers: &HeaderMap) -> Option<u32> {
    text(headers, &RETRY_AFTER).and_then(|seconds| seconds.parse().ok())
}

fn build(request: FetchRequest, request_id: &str) -> Result<Request<Full<Bytes>>, FetchError> {
    let refused = |text: &str| FetchError::Refused(text.to_owned());
    if request.url.len() > URL_BYTES_MAX {
        return Err(refused("longer than 8 KiB"));
    }
    let uri: Uri = request
        .url
        .parse()
        .map_err(|_invalid| refused("not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(refused("not an http or https URL"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let value = HeaderValue::from_str(value).map_err(|_invalid| refused("a header value"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    if let Some(secret) = &request.authorization {
        headers.insert(AUTHORIZATION, sensitive(secret.expose())?);
    }
    for (name, secret) in &request.secret_headers {
        let name = HeaderName::try_from(name).map_err(|_invalid| refused("a header name"))?;
        headers.insert(name, sensitive(secret.expose())?);
    }
    let (media_type, body) = request.body.unwrap_or_default();
    if !media_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    let mut built = Request::new(Full::new(body));
    *built.method_mut() = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
    };
    *built.uri_mut() = uri;
    *built.headers_mut() = headers;
    Ok(built)
}

/// Marked so that it is not shown by `Debug` and not kept in compression tables.
fn sensitive(text: &str) -> Result<HeaderValue, FetchError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_invalid| FetchError::Refused("a secret is no header value".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read(response: Response<Incoming>, bytes_max: usize) -> Result<FetchReply, FetchError> {
    let (parts, mut body) = response.into_parts();
    check_size(&body, bytes_max)?;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_broken| broke_off())?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len().saturating_add(data.len()) > bytes_max {
            return Err(FetchError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(FetchReply {
        status: parts.status.as_u16(),
        media_type: text(&parts.headers, &CONTENT_TYPE).map(str::to_owned),
        retry_after_s: retry_after_s(&parts.headers),
        body: whole.freeze(),
    })
}

#[cfg(test)]
mod tests {
    use dan_core::secret::Secret;

    use super::*;

    fn request(url: &str) -> FetchRequest {
        FetchRequest::get("peer", url.to_owned(), 10)
    }

    #[test]
    fn only_http_addresses_are_asked() {
        for url in [
            "file:///etc/passwd",
            "ftp://x/",
            "//x",
            "",
            "http://",
            "gopher://x",
            "x y",
        ] {
            let refused = build(request(url), "id");
            assert!(matches!(refused, Err(FetchError::Refused(_))), "{url}");
        }
        let long = format!("http://x/{}", "a".repeat(URL_BYTES_MAX));
        assert!(matches!(
            build(request(&long), "id"),
            Err(FetchError::Refused(_))
        ));
        assert!(build(request("http://127.0.0.1:1/a?b=c"), "id").is_ok());
    }

    #[test]
    fn secrets_do_not_show_and_cannot_break_the_head() {
        let mut with_secret = request("http://x/");
        with_secret.authorization = Some(Secret::new("Bearer hunter2".to_owned()));
        let built = build(with_secret, "id").unwrap();
        assert!(!format!("{built:?}").contains("hunter2"));
        let mut broken = request("http://x/");
        broken.secret_headers = vec![("x-key".to_owned(), Secret::new("a\r\nb: c".to_owned()))];
        assert!(build(broken, "id").is_err());
    }
}
