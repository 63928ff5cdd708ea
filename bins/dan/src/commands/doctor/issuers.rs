//! Can tokens be checked: who vouches for callers, are their keys there, and is the clock right?

use dan_auth::claims::LEEWAY_S;
use dan_auth::jwk::KeySet;
use dan_core::ports::Clock as _;
use dan_core::strict;
use dan_http::client::HttpClient;
use serde_json::Value;

use super::outside::{ask, bounds};
use super::{Finding, look};
use crate::config::{Config, Issuer};
use crate::output::Misuse;
use crate::system::SystemClock;

/// Whether anybody may vouch for a caller.
pub(super) fn configured(config: &Config) -> Finding {
    let names: Vec<&str> = config
        .issuers
        .iter()
        .map(|issuer| issuer.name.as_str())
        .collect();
    let found = if names.is_empty() {
        Err(Misuse(
            "no [[issuers]]: no token will be accepted; add Maskinporten".to_owned(),
        ))
    } else {
        Ok(names.join(", "))
    };
    look("issuers", found)
}

/// Asks every issuer as the node will, and compares clocks with it.
pub(super) async fn probes(config: &Config, client: &HttpClient) -> Vec<Finding> {
    let mut findings = Vec::new();
    for issuer in &config.issuers {
        let found = keys(issuer, client).await;
        let reached = found.is_ok();
        findings.push(look(&format!("issuer {}", issuer.name), found));
        if reached {
            let what = format!("clock, by issuer {}", issuer.name);
            findings.push(look(&what, clock(&issuer.discovery, client).await));
        }
    }
    findings
}

async fn keys(issuer: &Issuer, client: &HttpClient) -> Result<String, Misuse> {
    let reply = ask(client, &issuer.discovery).await?;
    let metadata = strict::json_object(&reply.body).map_err(|error| {
        Misuse(format!(
            "{} is no metadata document ({error}); issuers.{}.discovery is the address that ends in \
             /.well-known/oauth-authorization-server",
            issuer.discovery, issuer.name
        ))
    })?;
    let Some(url) = metadata.get("jwks_uri").and_then(Value::as_str) else {
        return Err(Misuse(format!(
            "the metadata at {} has no jwks_uri",
            issuer.discovery
        )));
    };
    let reply = ask(client, url).await.map_err(|Misuse(why)| {
        Misuse(format!(
            "the metadata is there and the keys are not, so no token can be checked: {why}"
        ))
    })?;
    match KeySet::parse(&reply.body) {
        Ok(keys) if keys.is_empty() => Err(Misuse(format!("{url} has no key that can be used"))),
        Ok(keys) => Ok(format!("{} keys at {url}", keys.len())),
        Err(error) => Err(Misuse(format!("{url} is no key set: {error}"))),
    }
}

/// Tokens live two minutes: a clock that is off by more than the leeway refuses them all.
async fn clock(url: &str, client: &HttpClient) -> Result<String, Misuse> {
    let theirs = client.clock_of(url, &bounds()).await;
    let Some(theirs) = theirs.map_err(|error| Misuse(format!("{url}: {error}")))? else {
        return Ok(format!("{url} does not say what time it is"));
    };
    let off_s = SystemClock
        .now()
        .as_seconds()
        .saturating_sub(theirs.as_seconds());
    let shown = format!(
        "this machine is {} s {} {url}",
        off_s.unsigned_abs(),
        if off_s < 0 { "behind" } else { "ahead of" }
    );
    if (off_s.unsigned_abs() as f64) < LEEWAY_S {
        Ok(shown)
    } else {
        Err(Misuse(format!(
            "{shown}, and tokens are good for two minutes; set the clock (timedatectl set-ntp true)"
        )))
    }
}
