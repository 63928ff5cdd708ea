//! When certificates and keys of a node end, for the metrics and for `dan doctor`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dan_auth::certificate::ExpiryKind;
use dan_core::ports::Clock as _;
use dan_core::time::Timestamp;
use dan_http::management::Expiring;
use dan_http::tls::not_after;
use dan_sign::RingSigner;
use dan_sign::key_ring::{KeyRing, KeyState};

use crate::client_certificates::ClientCertificates;
use crate::config::Config;
use crate::server_tls::ChainEnds;
use crate::system::SystemClock;

/// Everything of a running node that ends at a known moment, but for API keys, which the store has.
pub(crate) struct Expiries {
    pub(crate) server: Option<Arc<ArcSwap<ChainEnds>>>,
    pub(crate) clients: Option<Arc<ClientCertificates>>,
    pub(crate) signing: Arc<RingSigner>,
    /// What does not change while the node runs.
    pub(crate) fixed: Vec<Expiring>,
}

impl Expiries {
    /// As it is now.
    pub(crate) fn read(&self) -> Vec<Expiring> {
        let mut all = Vec::new();
        if let Some(server) = &self.server {
            all.extend(of_chain(&server.load()));
        }
        if let Some(clients) = &self.clients {
            all.extend(of_clients(clients));
        }
        all.extend(of_signing(&self.signing.ring(), SystemClock.now()));
        all.extend(self.fixed.iter().cloned());
        all
    }
}

/// The chain of the public listener.
pub(crate) fn of_chain(chain: &ChainEnds) -> Vec<Expiring> {
    let one = |(name, at): &(String, Timestamp)| Expiring {
        kind: "server_certificate",
        name: name.clone(),
        at: *at,
    };
    chain.iter().map(one).collect()
}

/// Roots and revocation lists for client certificates.
pub(crate) fn of_clients(clients: &ClientCertificates) -> Vec<Expiring> {
    let one = |expiry: dan_auth::certificate::Expiry| Expiring {
        kind: match expiry.kind {
            ExpiryKind::Root => "client_root",
            ExpiryKind::RevocationList => "revocation_list",
        },
        name: expiry.name,
        at: expiry.at,
    };
    clients.expiries().into_iter().map(one).collect()
}

/// The certificate that our own assertions carry, where they do; what cannot be read was refused before.
pub(crate) fn of_token_client(config: &Config) -> Vec<Expiring> {
    let client = config.token_client.as_ref();
    let Some(file) = client.and_then(|client| client.certificate.as_ref()) else {
        return Vec::new();
    };
    let pem = std::fs::read(config.resolve(file)).unwrap_or_default();
    let ends = not_after(&pem).into_iter().take(1);
    ends.map(|(name, at)| Expiring {
        kind: "token_client_certificate",
        name,
        at,
    })
    .collect()
}

/// Signing keys with a planned end, and certificates of those that sign or will.
pub(crate) fn of_signing(ring: &KeyRing, now: Timestamp) -> Vec<Expiring> {
    let mut all = Vec::new();
    for key in ring.entries(now) {
        let mut add = |kind, at: Option<Timestamp>| {
            let name = key.kid.clone();
            all.extend(at.map(|at| Expiring { kind, name, at }));
        };
        add("signing_key", key.retired_at);
        if key.state != KeyState::Retired {
            add("signing_certificate", key.certificate_ends);
        }
    }
    all
}
