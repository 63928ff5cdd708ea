//! Certificates: those the node shows, and those it takes from consumers.

use std::sync::Arc;

use dan_core::ports::{Clock, Fetch, KeyDesk as _};
use dan_core::time::{DAY_MS, Timestamp};
use dan_http::client::HttpClient;
use dan_http::management::{Expiring, keys_that_end};
use dan_http::tls::not_after;
use dan_store::Access;

use super::{Finding, look};
use crate::client_certificates::ClientCertificates;
use crate::compose::{key_desk, open_store};
use crate::config::Config;
use crate::expiries::{of_chain, of_clients, of_signing, of_token_client};
use crate::output::Misuse;
use crate::server_tls::ServerTls;
use crate::signing_keys::open_signer;
use crate::system::SystemClock;

/// The chain of the listener, the roots and lists for consumers, and what ends soon.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let now = SystemClock.now();
    let mut findings = Vec::new();
    let mut ending = of_token_client(config);
    // What cannot be read is a finding of its own.
    if let Ok(signer) = open_signer(config) {
        ending.extend(of_signing(&signer.ring(), now));
    }
    let chain = chain(config);
    if let Ok(Some(chain)) = &chain {
        ending.extend(chain.iter().cloned());
    }
    findings.push(look(
        "certificate of the node",
        chain.and_then(|chain| judge_chain(chain, now)),
    ));
    let clients = clients(config);
    if let Ok(Some(clients)) = &clients {
        ending.extend(of_clients(clients));
    }
    let clients = clients.and_then(|clients| judge_clients(clients.as_ref(), now));
    findings.push(look("enterprise certificates", clients));
    if let Ok(store) = open_store(config, None, Access::Tool) {
        let keys = key_desk(&store).list().await.unwrap_or_default();
        ending.extend(keys_that_end(&keys, now));
    }
    findings.push(look("what ends next", Ok(next(ending, now))));
    findings
}

/// Judges client certificates as the node does; `None` where it takes none.
pub(super) fn clients(config: &Config) -> Result<Option<ClientCertificates>, Misuse> {
    let fetch: Arc<dyn Fetch> = Arc::new(HttpClient::new()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    ClientCertificates::open(config, &fetch, &clock)
}

fn chain(config: &Config) -> Result<Option<Vec<Expiring>>, Misuse> {
    let Some(tls) = &config.server.tls else {
        return Ok(None);
    };
    let Some(path) = tls.certificate.as_ref().map(|path| config.resolve(path)) else {
        return Ok(None);
    };
    ServerTls::open(config)?;
    let pem =
        std::fs::read(&path).map_err(|error| Misuse(format!("{}: {error}", path.display())))?;
    Ok(Some(of_chain(&not_after(&pem))))
}

fn judge_chain(chain: Option<Vec<Expiring>>, now: Timestamp) -> Result<String, Misuse> {
    let Some(chain) = chain else {
        return Ok("none; the node speaks plain HTTP".to_owned());
    };
    match chain.iter().find(|one| one.at <= now) {
        Some(ended) => Err(Misuse(format!(
            "{} ended at {}; put a new chain into the file of server.tls.certificate, a running node takes it over",
            ended.name, ended.at
        ))),
        None => Ok(chain
            .iter()
            .map(|one| shown(one, now))
            .collect::<Vec<_>>()
            .join(", ")),
    }
}

fn judge_clients(clients: Option<&ClientCertificates>, now: Timestamp) -> Result<String, Misuse> {
    let Some(clients) = clients else {
        return Ok("not taken; server.tls.client_roots names the roots".to_owned());
    };
    let all = of_clients(clients);
    if let Some(ended) = all.iter().find(|one| one.at <= now) {
        let fix = if ended.kind == "revocation_list" {
            "fetch the issuer's newest list into the folder of server.tls.client_crls; after the soft period its \
             certificates are refused"
        } else {
            "take it out of server.tls.client_roots and put the issuer's new root in"
        };
        let (kind, name, at) = (ended.kind.replace('_', " "), &ended.name, ended.at);
        return Err(Misuse(format!("the {kind} {name} ended at {at}; {fix}")));
    }
    let revocation = if clients.revocation_checked() {
        "revocation checked"
    } else {
        "revocation NOT checked: set server.tls.client_crls or client_ocsp"
    };
    let roots = all.iter().filter(|one| one.kind == "client_root").count();
    let lists = all.len().saturating_sub(roots);
    Ok(format!(
        "{roots} roots, {lists} revocation lists, {revocation}"
    ))
}

fn next(mut ending: Vec<Expiring>, now: Timestamp) -> String {
    ending.retain(|one| one.at > now);
    ending.sort_by_key(|one| one.at);
    match ending.first() {
        None => "nothing that is known".to_owned(),
        Some(first) => format!("{} {}", first.kind.replace('_', " "), shown(first, now)),
    }
}

fn shown(one: &Expiring, now: Timestamp) -> String {
    let left_ms = one.at.as_ms().saturating_sub(now.as_ms());
    format!(
        "{} ends at {} (in {} days)",
        one.name,
        one.at,
        left_ms.div_euclid(DAY_MS)
    )
}
