//! Can the node listen, and does it know who stands in front of it?

use std::io::ErrorKind;
use std::net::SocketAddr;

use dan_http::client::HttpClient;
use tokio::net::TcpListener;

use super::outside::ask;
use super::{Finding, look};
use crate::config::Config;
use crate::output::Misuse;

/// Whether both addresses are free, or taken by a node that runs already.
pub(super) async fn ports(config: &Config) -> Vec<Finding> {
    let running = is_running(config.management.listen).await;
    let mut findings = Vec::new();
    for (key, address) in [
        ("server.listen", config.server.listen),
        ("management.listen", config.management.listen),
    ] {
        findings.push(look(key, port(key, address, running).await));
    }
    findings
}

async fn port(key: &str, address: SocketAddr, running: bool) -> Result<String, Misuse> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && running => {
            Ok(format!("{address} is taken by a node that runs"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(Misuse(format!(
            "{address} is taken by another program (`ss -ltnp` shows which); end it, or change {key}"
        ))),
        Err(error) => Err(Misuse(format!(
            "cannot listen on {address}: {error}; {key} must be an address of this machine"
        ))),
    }
}

/// Whether a node answers on the management listener.
async fn is_running(management: SocketAddr) -> bool {
    let Ok(client) = HttpClient::new() else {
        return false;
    };
    let reply = ask(&client, &format!("http://{management}/livez")).await;
    reply.is_ok_and(|reply| reply.body.as_ref() == b"ok\n")
}

/// Whether a proxy that ends TLS is trusted: else everybody has its address, and certificates it passes on are
/// not looked at.
pub(super) fn proxies(config: &Config) -> Finding {
    let server = &config.server;
    let https = server
        .public_url
        .as_ref()
        .is_some_and(|url| url.starts_with("https://"));
    let found = if !server.behind_proxy.is_empty() {
        Ok(format!("trusted: {}", server.behind_proxy.join(", ")))
    } else if https && !config.speaks_tls() {
        Err(Misuse(
            "server.public_url is https and the node speaks plain HTTP, so a proxy ends TLS; it is not trusted: \
             every caller has its address, and certificates it passes on are ignored; name its network in \
             server.behind_proxy"
                .to_owned(),
        ))
    } else {
        Ok("none".to_owned())
    };
    look("proxies", found)
}
