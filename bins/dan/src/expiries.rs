//! When certificates and keys of a node end, for the metrics and for `dan doctor`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dan_auth::certificate::ExpiryKind;
use dan_core::time::Timestamp;
use dan_http::management::Expiring;

use crate::client_certificates::ClientCertificates;
use crate::config::Config;
use crate::server_tls::ChainEnds;

/// Everything of a running node that ends at a known moment, but for API keys, which the store has.
pub(crate) struct Expiries {
    pub(crate) server: Option<Arc<ArcSwap<ChainEnds>>>,
    pub(crate) clients: Option<Arc<ClientCertificates>>,
    pub(crate) signing: Vec<Expiring>,
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
        all.extend(self.signing.iter().cloned());
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

/// Signing keys with a planned end; what cannot be read was refused before.
pub(crate) fn of_signing(config: &Config) -> Vec<Expiring> {
    let keys = config.signing.keys.iter();
    keys.filter_map(|key| {
        let at = Timestamp::parse(key.retired_at.as_deref()?)?;
        let name = key.kid.clone().unwrap_or_else(|| key.key.to_string());
        Some(Expiring {
            kind: "signing_key",
            name,
            at,
        })
    })
    .collect()
}
