//! A consumer of the node, as far as the sandbox needs one: it asks, reads, and keeps what it got.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// What the consumer was answered.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Answer {
    /// A header as text; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// A consumer with an API key and a token.
pub struct Consumer {
    client: Client<HttpConnector, Full<Bytes>>,
    key: String,
    token: String,
}

impl Consumer {
    /// A consumer that sends these with every request; empty ones are left out.
    #[must_use]
    pub fn new(key: &str, token: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            client,
            key: key.to_owned(),
            token: token.to_owned(),
        }
    }

    /// Sends one request, with a JSON body where there is one.
    ///
    /// # Errors
    /// What kept the answer from coming, in words for people.
    pub async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<String>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(url);
        if !self.key.is_empty() {
            request = request.header("ocp-apim-subscription-key", &self.key);
        }
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request
            .body(body)
            .map_err(|error| format!("{url}: {error}"))?;
        let exchange = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| error.to_string())?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, exchange).await;
        answer
            .unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()))
            .map_err(|error| format!("{url}: {error}"))
    }
}
