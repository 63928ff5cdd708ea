//! Full handshakes of mutual TLS, one request each, against nginx with the same keys on the same machine: what one
//! costs the server, and how many there are in a second.
//!
//! `cargo bench -p dan-benches --bench handshake`. Rounds take turns, so that whatever else the machine does meets all
//! alike; medians count. No session is resumed. The client runs on the same processors and costs more than either
//! server, so the CPU time of the server is the figure to compare, and the rate only bounds it from below.

mod keys;
mod servers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keys::{Client, Keys};
use rustls::crypto::{SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use servers::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
const CONNECTIONS: [usize; 2] = [4, 16];
/// Microseconds in a tick of `/proc/PID/stat`.
const TICK_US: f64 = 10_000.0;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// One line of the table, and what each round gave: handshakes a second, and µs of the server for each.
struct Row<'a> {
    name: String,
    server: &'a Server,
    address: SocketAddr,
    connector: TlsConnector,
    connections: usize,
    rounds: Vec<(f64, f64)>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match &arguments[..] {
        [serve, folder] if serve == "serve" => {
            runtime.block_on(servers::serve_until_ended(Path::new(folder)));
        }
        arguments if arguments.iter().any(|one| one == "--bench") => runtime.block_on(compare()),
        _ => println!("handshake: measures under `cargo bench` only"),
    }
}

async fn compare() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = keys::make(folder.path());
    let ours = Server::ours(folder.path());
    let nginx = Server::nginx(folder.path()).await;
    if nginx.is_none() {
        println!("handshake: there is no nginx on this machine; only ours is measured");
    }
    let classic = aws_lc_rs::kx_group::X25519;
    for client in &keys.clients {
        for connections in CONNECTIONS {
            let connector = connector(&keys, client, classic);
            let rows = rows(&connector, connections, &[Some(&ours), nginx.as_ref()]);
            report(measured(rows).await, client.name, connections);
        }
    }
    // nginx of this age knows no hybrid group: what ours costs with it stands alone.
    let hybrid = aws_lc_rs::kx_group::X25519MLKEM768;
    for client in &keys.clients {
        let rows = rows(&connector(&keys, client, hybrid), 4, &[Some(&ours)]);
        let name = format!("{} over X25519MLKEM768", client.name);
        report(measured(rows).await, &name, 4);
    }
}

fn rows<'a>(
    connector: &TlsConnector,
    connections: usize,
    servers: &[Option<&'a Server>],
) -> Vec<Row<'a>> {
    let servers = servers.iter().flatten();
    servers
        .flat_map(|server| server.rows.iter().map(move |row| (*server, row)))
        .map(|(server, (name, address))| Row {
            name: (*name).to_owned(),
            server,
            address: *address,
            connector: connector.clone(),
            connections,
            rounds: Vec::with_capacity(ROUNDS),
        })
        .collect()
}

fn connector(keys: &Keys, client: &Client, group: &'static dyn SupportedKxGroup) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(keys.server.clone()).expect("our own certificate");
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![group],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(client.chain.clone(), client.key())
        .expect("our own key");
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

async fn measured(mut rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    for row in &rows {
        handshake(row.address, &row.connector).await;
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let before = row.server.ticks();
            let began = Instant::now();
            let count = round(row).await;
            let (spent, ticks) = (began.elapsed(), row.server.ticks() - before);
            let cpu_us = ticks as f64 * TICK_US / f64::from(count);
            row.rounds
                .push((f64::from(count) / spent.as_secs_f64(), cpu_us));
        }
    }
    rows
}

/// So many clients, each again and again until the round ends.
async fn round(row: &Row<'_>) -> u32 {
    let until = Instant::now() + ROUND;
    let mut clients = JoinSet::new();
    for _ in 0..row.connections {
        let (address, connector) = (row.address, row.connector.clone());
        clients.spawn(async move {
            let mut count = 0_u32;
            while Instant::now() < until {
                handshake(address, &connector).await;
                count += 1;
            }
            count
        });
    }
    clients.join_all().await.into_iter().sum()
}

/// One connection, one request, and the answer to it.
async fn handshake(address: SocketAddr, connector: &TlsConnector) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = connector.connect(name, stream).await.expect("a handshake");
    stream.write_all(REQUEST).await.expect("a request sent");
    let mut answer = Vec::new();
    // Whether the server says goodbye in good order is not looked at.
    stream.read_to_end(&mut answer).await.ok();
    let told = String::from_utf8_lossy(&answer);
    assert!(
        told.starts_with("HTTP/1.1 200") && told.ends_with("done"),
        "{told}"
    );
}

fn report(rows: Vec<Row<'_>>, client: &str, connections: usize) {
    println!("\nclient {client}, {connections} connections:");
    let medians: Vec<(String, f64, f64)> = rows
        .into_iter()
        .map(|row| {
            let (rates, costs): (Vec<f64>, Vec<f64>) = row.rounds.into_iter().unzip();
            (row.name, median(rates), median(costs))
        })
        .collect();
    let of = |name: &str| medians.iter().find(|row| row.0 == name).map(|row| row.2);
    for (name, rate, cost) in &medians {
        // Like with like: nginx looks at the chain when it is told `on`.
        let other = match name.as_str() {
            servers::HANDSHAKE => of(servers::LENIENT),
            servers::REMEMBERED | servers::JUDGED => of(servers::STRICT),
            _ => None,
        };
        let ratio = other.map_or_else(String::new, |other| {
            format!(", {:.2} of nginx's CPU", cost / other)
        });
        println!("  {name:<27} {rate:7.0} handshakes/s, {cost:6.0} µs of the server each{ratio}");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
