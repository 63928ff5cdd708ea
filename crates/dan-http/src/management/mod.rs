//! The second listener: is it alive, is it ready, what did it count, who has a key. Never on the public port.

mod keys;
mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;

use dan_core::flow::Exchange;
use dan_core::ports::KeyDesk;
use dan_core::secret::Secret;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;

use crate::body::AnswerBody;
use crate::listen::{Inbound, PeerInfo};
use crate::render::{self, Outbound};

pub use keys::{OVERLAP_DAYS_DEFAULT, issued_view, key_view};
pub use metrics::{Expiring, keys_that_end};

/// What the second listener is for.
pub struct Management {
    /// The use cases.
    pub exchange: Arc<Exchange>,
    /// Issues API keys.
    pub desk: Arc<dyn KeyDesk>,
    /// Who sends it may manage keys; `None` means nobody may, here.
    pub token: Option<Secret>,
    /// Certificates and signing keys, and when they end.
    pub expiries: Box<dyn Fn() -> Vec<Expiring> + Send + Sync>,
    /// How it stands with the signing keys.
    pub signing: Box<dyn Fn() -> SigningHealth + Send + Sync>,
}

/// How it stands with the signing keys.
#[derive(Clone, Debug, Default)]
pub struct SigningHealth {
    /// Name of the key that signs; `None`: none does, and no evidence can leave.
    pub active: Option<String>,
    /// How many are published.
    pub keys: usize,
    /// Why the keys in the configuration are not those in force; `None`: they are.
    pub problem: Option<String>,
}

impl Management {
    /// Answers `/livez`, `/readyz`, `/metrics` and what is below `/keys`.
    pub async fn answer(self: Arc<Self>, inbound: Inbound, peer: PeerInfo) -> Outbound {
        let Inbound::Request(request) = inbound else {
            return render::empty(StatusCode::BAD_REQUEST);
        };
        let exchange = &self.exchange;
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/livez") => text("text/plain", "ok\n".to_owned()),
            (&Method::GET, "/readyz") => ready(exchange, &(self.signing)()).await,
            (&Method::GET, "/metrics") => {
                text("text/plain; version=0.0.4", metrics::page(&self).await)
            }
            (_, path) if path == "/keys" || path.starts_with("/keys/") => {
                keys::answer(&self, request, peer.address.ip()).await
            }
            _ => render::empty(StatusCode::NOT_FOUND),
        }
    }
}

/// Ready when the store takes writes, there is a catalogue and a key signs. A mistake in the catalogue's
/// files or in the table of keys is shown, and does not make the node unready: it serves the last good
/// picture.
async fn ready(exchange: &Exchange, signing: &SigningHealth) -> Outbound {
    let catalog = exchange.catalog();
    let store = exchange.ready().await;
    let ready = store.is_ok() && !catalog.contexts().is_empty() && signing.active.is_some();
    let detail = json!({
        "ready": ready,
        "store": store.map_or_else(|fault| fault.description(), |()| "ok".to_owned()),
        "catalog": {
            "version": catalog.version(),
            "contexts": catalog.contexts().len(),
            "datasets": catalog.dataset_count(),
            "closed": catalog.closed().into_iter().collect::<BTreeMap<_, _>>(),
            "problems": *exchange.catalog_problems(),
        },
        "signing": {
            "active": signing.active,
            "keys": signing.keys,
            "problem": signing.problem,
        },
    });
    let mut response = text("application/json", format!("{detail}\n"));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn text(media_type: &'static str, body: String) -> Outbound {
    let mut response = render::empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    *response.body_mut() = AnswerBody::from(bytes::Bytes::from(body));
    response
}
