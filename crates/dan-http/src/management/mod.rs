//! The second listener: is it alive, is it ready, what did it count, who has a key. Never on the public port.

mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;

use dan_core::flow::Exchange;
use dan_core::ports::KeyDesk;
use dan_core::secret::Secret;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::listen::{Inbound, PeerInfo};
use crate::render::{self, Outbound};

pub use keys::{OVERLAP_DAYS_DEFAULT, issued_view, key_view};

/// What the second listener is for.
pub struct Management {
    /// The use cases.
    pub exchange: Arc<Exchange>,
    /// Issues API keys.
    pub desk: Arc<dyn KeyDesk>,
    /// Who sends it may manage keys; `None` means nobody may, here.
    pub token: Option<Secret>,
}

impl Management {
    /// Answers `/livez`, `/readyz`, `/metrics` and what is below `/keys`.
    pub async fn answer(self: Arc<Self>, inbound: Inbound, _peer: PeerInfo) -> Outbound {
        let Inbound::Request(request) = inbound else {
            return render::empty(StatusCode::BAD_REQUEST);
        };
        let exchange = &self.exchange;
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/livez") => text("text/plain", "ok\n".to_owned()),
            (&Method::GET, "/readyz") => ready(exchange).await,
            (&Method::GET, "/metrics") => text("text/plain; version=0.0.4", metrics(exchange)),
            (_, path) if path == "/keys" || path.starts_with("/keys/") => {
                keys::answer(&self, request).await
            }
            _ => render::empty(StatusCode::NOT_FOUND),
        }
    }
}

/// Ready when the store takes writes and there is a catalogue. A mistake in the catalogue's files
/// is shown, and does not make the node unready: it serves the last good picture.
async fn ready(exchange: &Exchange) -> Outbound {
    let catalog = exchange.catalog();
    let store = exchange.ready().await;
    let ready = store.is_ok() && !catalog.contexts().is_empty();
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
    });
    let mut response = text("application/json", format!("{detail}\n"));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// Prometheus text, format 0.0.4.
fn metrics(exchange: &Exchange) -> String {
    let mut page = String::new();
    for (name, help, count) in exchange.meter().read() {
        page.push_str(&format!(
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}\n"
        ));
    }
    let problems = exchange.catalog_problems().len();
    let datasets = exchange.catalog().dataset_count();
    for (name, help, value) in [
        (
            "dan_catalog_problems",
            "Mistakes in the catalogue's files",
            problems,
        ),
        (
            "dan_catalog_datasets",
            "Datasets in the catalogue that is served",
            datasets,
        ),
    ] {
        page.push_str(&format!(
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
        ));
    }
    page
}

fn text(media_type: &'static str, body: String) -> Outbound {
    let mut response = render::empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    *response.body_mut() = Full::new(body.into());
    response
}
