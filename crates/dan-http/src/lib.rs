//! The hyper adapters of dan: the listener, the routes, and the one way out.
//!
//! [`Node`] is the public API over an [`dan_core::flow::Exchange`]; [`management`] is the second
//! listener; [`client`] is the `Fetch` port. [`listen::serve`] runs either on a socket.
//!
//! To add an endpoint over an existing use case: a handler in `routes/`, a row in the table of
//! `routes/mod.rs`, and the line in `routes/access.snap` that says who may call it.

mod accept;
pub mod body;
pub mod client;
pub mod client_auth;
mod client_cert;
mod connection;
mod dispatch;
pub mod framing;
mod h2_frames;
mod h2_guard;
pub mod h2_traffic;
pub mod head_guard;
mod limits;
pub mod listen;
pub mod management;
pub mod patience;
pub mod probe;
mod query_string;
pub mod rate_limit;
mod render;
pub mod request_body;
mod routes;
#[cfg(test)]
mod streaming_tests;
pub mod tls;
pub mod untaken;
mod visit;
mod wire;

use std::sync::Arc;

use dan_core::error::Fault;
use dan_core::flow::Exchange;
use dan_core::inquiry::Application;
use dan_core::network::Network;
use dan_core::ports::Authenticator;
use http::HeaderValue;

pub use limits::{BODY_BYTES_MAX, IGNORED_BODY_BYTES_MAX, REQUEST_TIME_MAX};

/// Which build this is.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// Version of the package.
    pub version: &'static str,
    /// Commit it was built from.
    pub commit: &'static str,
    /// When that commit was made, RFC 3339; also shown as the time of building, so that builds repeat.
    pub commit_date: &'static str,
}

/// The public API.
pub struct Node {
    exchange: Arc<Exchange>,
    chain: Vec<Arc<dyn Authenticator>>,
    proxies: Vec<Network>,
    host_names: Vec<String>,
    build: BuildInfo,
    version: HeaderValue,
    pause: rate_limit::Pause,
}

impl Node {
    /// An API over these use cases; `chain` proves who calls, `proxies` may speak for others.
    #[must_use]
    pub fn new(
        exchange: Arc<Exchange>,
        chain: Vec<Arc<dyn Authenticator>>,
        proxies: Vec<Network>,
        build: BuildInfo,
    ) -> Self {
        let version = format!("{}-{}", build.version, build.commit);
        let version =
            HeaderValue::from_str(&version).unwrap_or(HeaderValue::from_static("unknown"));
        Self {
            exchange,
            chain,
            proxies,
            host_names: Vec::new(),
            build,
            version,
            pause: rate_limit::Pause::default(),
        }
    }

    /// Names this node answers to in absolute-form targets, without port. Without any, absolute-form targets are
    /// refused: nobody but a client of a forward proxy sends them (`security.md` §1.3.1).
    #[must_use]
    pub fn with_host_names(mut self, host_names: Vec<String>) -> Self {
        self.host_names = host_names;
        self
    }
}

/// Reads the body of `POST authorization` as the API does, for commands that explain it.
///
/// # Errors
/// 1014 or 1008, as the API answers them.
pub fn read_application(body: &[u8]) -> Result<Application, Fault> {
    wire::application::read(body)
}

/// The OpenAPI document of what is served, for documentation.
#[must_use]
pub fn openapi(public_url: &str) -> serde_json::Value {
    routes::openapi::document(public_url)
}
