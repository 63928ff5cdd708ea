//! Is everything there that the node asks?

use std::time::Duration;

use dan_core::ports::{CallContext, Fetch as _, FetchReply, FetchRequest};
use dan_http::client::HttpClient;
use tokio::time::Instant;

use super::{Finding, look};
use crate::config::Config;
use crate::output::Misuse;

/// How long asking one address may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer of a probe, in bytes.
const PROBE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Asks the register and every plugin.
pub(super) async fn probes(config: &Config, client: &HttpClient) -> Vec<Finding> {
    let register = format!("{}/enheter/974760673", config.registry.url);
    let mut addresses = vec![("entity register".to_owned(), register)];
    addresses.extend(config.plugins.iter().map(|plugin| {
        let url = format!("{}/evidencecodes", plugin.url);
        (format!("plugin {}", plugin.name), url)
    }));
    let mut findings = Vec::new();
    for (what, url) in addresses {
        let found = ask(client, &url).await;
        let found = found.map(|reply| format!("{url} answers {}", reply.status));
        findings.push(look(&what, found));
    }
    findings
}

/// One call, with the bounds of a probe.
pub(super) fn bounds() -> CallContext {
    let now = Instant::now();
    CallContext {
        request_id: "dan-doctor".into(),
        deadline: now.checked_add(PROBE_TIME_MAX).unwrap_or(now),
    }
}

/// What an address answers, when it answers well.
///
/// # Errors
/// What to do about it.
pub(super) async fn ask(client: &HttpClient, url: &str) -> Result<FetchReply, Misuse> {
    let request = FetchRequest::get("doctor", url.to_owned(), PROBE_BYTES_MAX);
    match client.fetch(request, &bounds()).await {
        Ok(reply) if reply.status < 400 => Ok(reply),
        Ok(reply) => Err(Misuse(format!(
            "{url} answers {}; check the address and who may call it",
            reply.status
        ))),
        Err(error) => Err(Misuse(format!(
            "{url}: {error}; check the address, DNS and the firewall"
        ))),
    }
}
