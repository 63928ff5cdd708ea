//! `dan doctor`: one cause and one fix for each thing that is wrong, and the effective values.
//!
//! To look at one more thing: a function that gives a `Finding`, and a line in [`run`].

mod certificates;
mod credentials;
mod issuers;
mod listeners;
mod outside;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dan_core::ports::{Clock, Fetch};
use dan_http::client::HttpClient;
use dan_source::catalog_folder::Loaded;
use dan_store::Access;
use serde_json::{Value, json};

use crate::compose::{self, load_catalog, open_store};
use crate::config::{self, Config, SigningKey};
use crate::output::{Ending, Misuse, Outcome, say, say_json};
use crate::signing_keys::open_signer;
use crate::system::SystemClock;

/// A consumer's credentials that are not let in, to find out why.
#[derive(Debug, Default)]
pub struct Presented {
    /// File with a bearer token.
    pub token: Option<PathBuf>,
    /// PEM file with an enterprise certificate, its intermediates behind it.
    pub certificate: Option<PathBuf>,
}

/// One thing that was looked at.
struct Finding {
    what: String,
    /// What is wrong and what to do; `None` when it is well.
    wrong: Option<String>,
    detail: String,
}

/// Looks at everything a node needs.
///
/// # Errors
/// A configuration that cannot be read at all. Anything else that is wrong is the answer no.
pub async fn run(path: &Path, shown: &Presented, as_json: bool) -> Ending {
    let config = config::read(path)?;
    let mut findings = vec![
        look(
            "signing keys",
            open_signer(&config).map(|signer| {
                let now = SystemClock.now();
                format!("{} signs", signer.ring().active_kid(now).unwrap_or("none"))
            }),
        ),
        look(
            "catalogue",
            load_catalog(&config).map(|loaded| describe_catalog(&loaded)),
        ),
        look("store", store(&config).await),
        issuers::configured(&config),
        look("token client and Altinn", tokens_configured(&config)),
        listeners::proxies(&config),
    ];
    findings.extend(listeners::ports(&config).await);
    findings.extend(certificates::findings(&config).await);
    match HttpClient::new() {
        Ok(client) => {
            findings.extend(issuers::probes(&config, &client).await);
            findings.extend(outside::probes(&config, &client).await);
        }
        Err(error) => findings.push(look("outbound HTTP", Err(Misuse(error)))),
    }
    findings.extend(credentials::findings(&config, shown).await);
    let well = findings.iter().all(|finding| finding.wrong.is_none());
    if as_json {
        let shown: Vec<Value> = findings
            .iter()
            .map(|finding| json!({"what": finding.what, "well": finding.wrong.is_none(), "detail": finding.detail, "wrong": finding.wrong}))
            .collect();
        say_json(&json!({"well": well, "findings": shown, "effective": effective(&config)}));
    } else {
        for finding in &findings {
            match &finding.wrong {
                None => say(format!("well   {}: {}", finding.what, finding.detail)),
                Some(wrong) => say(format!("WRONG  {}: {wrong}", finding.what)),
            }
        }
        say("\neffective values (no secrets):");
        if let Value::Object(members) = effective(&config) {
            for (key, value) in members {
                say(format!("  {key} = {value}"));
            }
        }
    }
    Ok(if well { Outcome::Yes } else { Outcome::No })
}

/// What is served, and which datasets this node is not set up for: a choice, not a mistake.
fn describe_catalog(loaded: &Loaded) -> String {
    let (contexts, datasets) = (loaded.contexts.len(), loaded.datasets.len());
    let closed = loaded.datasets.iter().filter_map(|declared| {
        let why = declared.dataset.unavailable.as_deref()?;
        Some(format!(
            "\n         closed  {}: {why}",
            declared.dataset.name
        ))
    });
    let closed: String = closed.collect();
    format!(
        "version {}: {contexts} contexts, {datasets} datasets{closed}",
        loaded.version
    )
}

fn look(what: &str, found: Result<String, Misuse>) -> Finding {
    let what = what.to_owned();
    match found {
        Ok(detail) => Finding {
            what,
            wrong: None,
            detail,
        },
        Err(Misuse(wrong)) => Finding {
            what,
            wrong: Some(wrong),
            detail: String::new(),
        },
    }
}

async fn store(config: &Config) -> Result<String, Misuse> {
    let store = open_store(config, None, Access::Tool)?;
    store.ready().await.map_err(|error| match super::store_failed(error) {
        Misuse(why) if why.contains("locked") => Misuse(format!(
            "{why}; another process keeps the database locked: end it (`fuser` on the file shows which)"
        )),
        other => other,
    })?;
    let keys = store.api_keys().await.map_err(super::store_failed)?.len();
    Ok(format!("takes writes; {keys} API keys"))
}

/// Reads the keys and settings that the node gets tokens of its own with.
fn tokens_configured(config: &Config) -> Result<String, Misuse> {
    let fetch: Arc<dyn Fetch> = Arc::new(HttpClient::new()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    compose::token_client(config, &fetch, &clock)?;
    compose::authorities(config, &fetch, &clock)?;
    let said = |there: bool, name: &str| {
        if there {
            name.to_owned()
        } else {
            format!("no {name}")
        }
    };
    let (client, altinn) = (config.token_client.is_some(), config.altinn.is_some());
    Ok(format!(
        "{}, {}",
        said(client, "token client"),
        said(altinn, "Altinn")
    ))
}

/// What is in force, secrets by their place only.
fn effective(config: &Config) -> Value {
    let issuers: Vec<Value> = config
        .issuers
        .iter()
        .map(|issuer| json!({
            "name": issuer.name, "discovery": issuer.discovery, "audience": issuer.audience,
            "accept_any_audience": issuer.accept_any_audience, "persons": issuer.persons,
            "delegation_sources": issuer.delegation_sources, "system_users": issuer.system_users,
            "lifetime_max_s": issuer.lifetime_max_s, "remember_tokens": issuer.remember_tokens,
        }))
        .collect();
    let plugins: Vec<Value> = config
        .plugins
        .iter()
        .map(|plugin| json!({"name": plugin.name, "url": plugin.url}))
        .collect();
    let secrets: Vec<String> = config
        .secrets
        .iter()
        .map(|(name, place)| format!("{name}: {place}"))
        .collect();
    json!({
        "server.listen": config.server.listen.to_string(),
        "server.public_url": compose::public_url(config, config.server.listen),
        "server.behind_proxy": config.server.behind_proxy,
        "server.host_names": config.server.host_names,
        "server.tls": config.server.tls.as_ref().map(|tls| json!({
            "certificate": tls.certificate,
            "client_roots": tls.client_roots,
            "client_intermediates": tls.client_intermediates,
            "client_crls": tls.client_crls,
            "client_ocsp": tls.client_ocsp,
            "client_ocsp_default": tls.client_ocsp_default,
            "client_revocation_soft_s": tls.client_revocation_soft_s,
            "client_seid_v1": tls.client_seid_v1,
        })),
        "limits": format!("{:?}", config.limits),
        "management.token": config.management.token.as_ref().map(ToString::to_string),
        "server.realm": format!("{:?}", config.server.realm).to_lowercase(),
        "management.listen": config.management.listen.to_string(),
        "issuers": issuers,
        "catalog.path": config.catalog.path,
        "plugins": plugins,
        "store.url": config.store.url,
        "store.durability": format!("{:?}", config.store.durability).to_lowercase(),
        "signing.keys": config.signing.keys.iter().map(SigningKey::place).collect::<Vec<_>>(),
        "settings": config.settings,
        "secrets": secrets,
        "registry.url": config.registry.url,
        "token_client": config.token_client.as_ref().map(|client| client.client_id.clone()),
        "consent": config.consent.as_ref().map(|consent| format!("{} (not used by this version)", consent.provider)),
    })
}
