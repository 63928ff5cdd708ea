//! `dan doctor`: one cause and one fix for each thing that is wrong, and the effective values.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dan_core::ports::{CallContext, Clock, Fetch, FetchRequest};
use dan_http::client::HttpClient;
use dan_source::catalog_folder::Loaded;
use dan_store::Access;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::compose::{self, load_catalog, open_signer, open_store};
use crate::config::{self, Config};
use crate::output::{Ending, Misuse, Outcome, say, say_json};
use crate::system::SystemClock;

/// How long asking one address may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer of a probe, in bytes.
const PROBE_BYTES_MAX: usize = 4 * 1024 * 1024;

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
pub async fn run(path: &Path, as_json: bool) -> Ending {
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
        issuers_configured(&config),
        look("token client and Altinn", tokens_configured(&config)),
    ];
    findings.extend(probes(&config).await);
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
    store.ready().await.map_err(super::store_failed)?;
    let keys = store.api_keys().await.map_err(super::store_failed)?.len();
    Ok(format!("takes writes; {keys} API keys"))
}

fn issuers_configured(config: &Config) -> Finding {
    let found = if config.issuers.is_empty() {
        Err(Misuse(
            "no [[issuers]]: no token will be accepted; add Maskinporten".to_owned(),
        ))
    } else {
        Ok(config
            .issuers
            .iter()
            .map(|issuer| issuer.name.as_str())
            .collect::<Vec<_>>()
            .join(", "))
    };
    look("issuers", found)
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

/// Asks every address a node will depend on.
async fn probes(config: &Config) -> Vec<Finding> {
    let client = match HttpClient::new() {
        Ok(client) => client,
        Err(error) => return vec![look("outbound HTTP", Err(Misuse(error)))],
    };
    let mut addresses: Vec<(String, String)> = config
        .issuers
        .iter()
        .map(|issuer| (format!("issuer {}", issuer.name), issuer.discovery.clone()))
        .collect();
    addresses.push((
        "entity register".to_owned(),
        format!("{}/enheter/974760673", config.registry.url),
    ));
    let plugins = config.plugins.iter();
    addresses.extend(plugins.map(|plugin| {
        (
            format!("plugin {}", plugin.name),
            format!("{}/evidencecodes", plugin.url),
        )
    }));
    let mut findings = Vec::new();
    for (what, url) in addresses {
        findings.push(look(&what, probe(&client, &url).await));
    }
    findings
}

async fn probe(client: &HttpClient, url: &str) -> Result<String, Misuse> {
    let now = Instant::now();
    let deadline = now.checked_add(PROBE_TIME_MAX).unwrap_or(now);
    let ctx = CallContext {
        request_id: "dan-doctor".into(),
        deadline,
    };
    let reply = client
        .fetch(
            FetchRequest::get("doctor", url.to_owned(), PROBE_BYTES_MAX),
            &ctx,
        )
        .await;
    match reply {
        Ok(reply) if reply.status < 400 => Ok(format!("{url} answers {}", reply.status)),
        Ok(reply) => Err(Misuse(format!(
            "{url} answers {}; check the address and who may call it",
            reply.status
        ))),
        Err(error) => Err(Misuse(format!(
            "{url}: {error}; check the address, DNS and the firewall"
        ))),
    }
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
        "server.tls": config.server.tls.is_some(),
        "server.realm": format!("{:?}", config.server.realm).to_lowercase(),
        "management.listen": config.management.listen.to_string(),
        "issuers": issuers,
        "catalog.path": config.catalog.path,
        "plugins": plugins,
        "store.url": config.store.url,
        "store.durability": format!("{:?}", config.store.durability).to_lowercase(),
        "signing.keys": config.signing.keys.iter().map(|key| key.key.to_string()).collect::<Vec<_>>(),
        "settings": config.settings,
        "secrets": secrets,
        "registry.url": config.registry.url,
        "token_client": config.token_client.as_ref().map(|client| client.client_id.clone()),
        "consent": config.consent.as_ref().map(|consent| format!("{} (not used by this version)", consent.provider)),
    })
}
