//! What an idle connection costs: a listener in a process of its own, so many connections with one request each, and
//! what its resident memory has grown by.
//!
//! `cargo run --release -p dan-http --example idle -- plain 10000` (or `tls`, or `h2`). Both processes need so many
//! descriptors: `ulimit -n 20000`. A node that runs already is measured with its address and process id behind that,
//! and under TLS the file of its certificate: `… -- tls 10000 127.0.0.1:8443 4711 server.pem`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a measurement may stop at the first surprise, and prints its result"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use dan_http::body::AnswerBody;
use dan_http::listen::{Inbound, ListenLimits, PeerInfo, serve};
use dan_http::tls::{Reloadable, server_config};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [mode] if mode == "serve" => serve_until_killed().await,
        [mode, count] => with_own_server(mode, count.parse().expect("a number")).await,
        [mode, count, address, pid, pem @ ..] => {
            let pem = pem.first().map_or_else(String::new, |file| {
                std::fs::read_to_string(file).expect("a certificate")
            });
            let address: SocketAddr = address.parse().expect("an address");
            let pid = pid.parse().expect("a process");
            let count = count.parse().expect("a number");
            measure(mode, count, &Subject { address, pid, pem }).await;
        }
        _ => panic!("idle (plain|tls|h2) COUNT [ADDRESS PID [PEM]]"),
    }
}

async fn serve_until_killed() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let config = server_config(certificate.as_bytes(), key.as_bytes(), None).unwrap();
    let tls = Arc::new(Reloadable::new(config));
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", plain.local_addr().unwrap());
    println!("{}", secure.local_addr().unwrap());
    println!("{certificate}");
    let answer = |_: Inbound, _: PeerInfo| async {
        http::Response::new(AnswerBody::from(Bytes::from_static(b"done")))
    };
    let limits = ListenLimits::default();
    let never = std::future::pending;
    tokio::join!(
        serve(plain, None, limits, answer, never()),
        serve(secure, Some(tls), limits, answer, never()),
    );
}

/// What is measured.
struct Subject {
    address: SocketAddr,
    pid: u32,
    pem: String,
}

async fn with_own_server(mode: &str, count: usize) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line.trim().parse::<SocketAddr>().unwrap()
    };
    let (plain, secure) = (line(), line());
    let address = if mode == "plain" { plain } else { secure };
    let mut pem = String::new();
    while !pem.contains("END CERTIFICATE") {
        said.read_line(&mut pem).unwrap();
    }
    let pid = server.id();
    measure(mode, count, &Subject { address, pid, pem }).await;
    server.kill().unwrap();
    server.wait().unwrap();
}

async fn measure(mode: &str, count: usize, subject: &Subject) {
    // The first ones pay for what is shared.
    let warm = open(mode, subject, 200).await;
    let before = resident_kib(subject.pid);
    let began = tokio::time::Instant::now();
    let all = open(mode, subject, count).await;
    let after = resident_kib(subject.pid);
    println!(
        "{mode}: {count} idle connections, {before} KiB before, {after} KiB after, {} bytes each, opened in {} ms",
        (after - before) * 1024 / u64::try_from(count).unwrap(),
        began.elapsed().as_millis(),
    );
    drop((warm, all));
}

trait Held: Send {}
impl<T: Send> Held for T {}

async fn open(mode: &str, subject: &Subject, count: usize) -> Vec<Box<dyn Held>> {
    let mut roots = rustls::RootCertStore::empty();
    if mode != "plain" {
        let root = CertificateDer::from_pem_slice(subject.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    if mode == "h2" {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let connector = TlsConnector::from(Arc::new(config));
    let mut held: Vec<Box<dyn Held>> = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(subject.address).await.unwrap();
        if mode == "plain" {
            ask(&mut stream).await;
            held.push(Box::new(stream));
            continue;
        }
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        if mode == "h2" {
            stream.write_all(&h2_request()).await.unwrap();
            answered(&mut stream, b"\0\x01\0\0\0\x01").await;
        } else {
            ask(&mut stream).await;
        }
        held.push(Box::new(stream));
    }
    held
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(REQUEST).await.unwrap();
    answered(stream, b"HTTP/1.1 ").await;
}

/// Reads until `mark` has come, and what came with it. For HTTP/2 the mark is the head of the frame that ends stream 1.
async fn answered(stream: &mut (impl AsyncRead + Unpin), mark: &[u8]) {
    let mut read = Vec::new();
    while !read.windows(mark.len()).any(|window| window == mark) {
        let mut piece = [0; 4096];
        let got = stream.read(&mut piece).await.unwrap();
        assert!(got > 0, "closed early");
        read.extend_from_slice(&piece[..got]);
    }
}

/// Preface, SETTINGS, and a GET of the root of localhost by the static table of HPACK.
fn h2_request() -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x84, 0x41, 9];
    block.extend(b"localhost");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0".to_vec();
    bytes.extend([u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    bytes
}

fn resident_kib(pid: u32) -> u64 {
    let mut text = String::new();
    std::fs::File::open(format!("/proc/{pid}/status"))
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
