//! What the handshake agrees on: the protocol, and whose key the peer holds.

use std::sync::Arc;
use std::time::Duration;

use dan_core::ports::ClientCertificate;
use dan_http::client_auth::{CLIENT_CHAIN_BYTES_MAX, CLIENT_CHAIN_MAX};
use dan_http::listen::ListenLimits;
use dan_http::tls::server_config;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::server::{
    HANGS, Identity, REQUEST, Server, ask, client, client_identity, rest, server_identity, start,
    with_alpn,
};

#[tokio::test]
async fn alpn_chooses_the_protocol_and_nothing_else_does() {
    let server = start(ListenLimits::default(), None).await;
    let config = || client(&server, rustls::ALL_VERSIONS, None);
    for (offered, agreed) in [
        (&[][..], None),
        (&[&b"http/1.1"[..]][..], Some(&b"http/1.1"[..])),
        (&[b"h2"], Some(b"h2")),
        (&[b"http/1.1", b"h2"], Some(b"h2")),
    ] {
        let stream = server.connect(&with_alpn(config(), offered)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
    }
    assert!(
        server
            .connect(&with_alpn(config(), &[b"spdy/3"]))
            .await
            .is_err()
    );
    // Without ALPN it is HTTP/1.1, and stays that.
    let mut stream = server.connect(&Arc::new(config())).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    let mut stream = server.connect(&Arc::new(config())).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let said = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    let mut stream = server.connect(&Arc::new(config())).await.unwrap();
    let upgrade = "upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nconnection: upgrade, http2-settings";
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{upgrade}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let said = ask(&mut stream).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    // Bytes in clear are no handshake.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    assert!(!rest(&mut plain).await.starts_with(b"HTTP"));
}

#[tokio::test]
async fn a_peer_may_present_a_certificate_and_requests_of_resumed_sessions_have_it_too() {
    let (root, identity) = client_identity();
    let server = start(ListenLimits::default(), Some(&root)).await;
    let expected = Some(Arc::new(ClientCertificate {
        leaf: identity.chain[0].to_vec(),
        intermediates: vec![identity.chain[1].to_vec()],
    }));
    for version in [&TLS12, &TLS13] {
        for (presents, expected) in [(Some(&identity), &expected), (None, &None)] {
            let config = Arc::new(client(&server, &[version], presents));
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut stream = server.connect(&config).await.unwrap();
                ask(&mut stream).await.unwrap();
                ask(&mut stream).await.unwrap();
                assert_eq!(
                    stream.get_ref().1.handshake_kind(),
                    Some(kind),
                    "{version:?}"
                );
                stream.shutdown().await.unwrap();
                rest(&mut stream).await;
                let calls = std::mem::take(&mut *server.calls.lock().unwrap());
                assert_eq!(calls.len(), 2);
                assert!(calls.iter().all(|(_, peer)| peer.certificate == *expected));
            }
        }
    }
}

/// Gives a chain and signs with a key, whatever they have to do with each other.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
    fn has_certs(&self) -> bool {
        true
    }
}

fn presenting(
    server: &Server,
    version: &'static rustls::SupportedProtocolVersion,
    chain: Vec<CertificateDer<'static>>,
    key: &Identity,
) -> Arc<ClientConfig> {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.private_key()).unwrap();
    let mut config = client(server, &[version], None);
    config.client_auth_cert_resolver = Arc::new(Presents(Arc::new(CertifiedKey::new(chain, key))));
    Arc::new(config)
}

#[tokio::test]
async fn chains_that_are_too_long_malformed_or_of_others_never_reach_a_handler() {
    let (root, identity) = client_identity();
    let server = start(ListenLimits::default(), Some(&root)).await;
    let leaf = || identity.chain[0].clone();
    let filler = |bytes: usize| CertificateDer::from(vec![0; bytes]);
    let long = [vec![leaf()], vec![filler(9); CLIENT_CHAIN_MAX]].concat();
    let stranger = server_identity();
    for version in [&TLS12, &TLS13] {
        for (chain, key) in [
            (long.clone(), &identity),
            (vec![leaf(), filler(CLIENT_CHAIN_BYTES_MAX)], &identity),
            (vec![leaf(), filler(64 * 1024)], &identity),
            (vec![filler(300)], &identity),
            (vec![leaf()[..100].to_vec().into()], &identity),
            (vec![leaf()], &stranger),
        ] {
            let config = presenting(&server, version, chain, key);
            // Over TLS 1.3 a client may believe in the handshake before the server has judged it.
            let answered = match server.connect(&config).await {
                Ok(mut stream) => ask(&mut stream).await.is_ok(),
                Err(_) => false,
            };
            assert!(!answered, "{version:?}");
        }
        // The same road with nothing wrong.
        let config = presenting(&server, version, vec![leaf()], &identity);
        let mut stream = server.connect(&config).await.unwrap();
        ask(&mut stream).await.unwrap();
        assert_eq!(std::mem::take(&mut *server.calls.lock().unwrap()).len(), 1);
    }
    assert!(server.is_healthy().await);
}

#[tokio::test]
async fn a_reload_keeps_connections_shows_the_new_certificate_and_resumes_no_old_session() {
    let (root, identity) = client_identity();
    let mut server = start(ListenLimits::default(), Some(&root)).await;
    let before = Arc::new(client(&server, &[&TLS13], Some(&identity)));
    let mut old = server.connect(&before).await.unwrap();
    ask(&mut old).await.unwrap();

    let old_identity = server_identity_of(&mut server, &root);
    ask(&mut old).await.expect("the connection goes on");
    // The old trust does not know the new certificate, and its session is worth nothing.
    assert!(server.connect(&before).await.is_err());
    let after = Arc::new(client(&server, &[&TLS13], Some(&identity)));
    let mut new = server.connect(&after).await.unwrap();
    ask(&mut new).await.unwrap();
    assert_eq!(
        new.get_ref().1.peer_certificates().unwrap(),
        server.identity.chain
    );
    assert_ne!(server.identity.chain, old_identity.chain);

    // The same certificate with other client roots: what was presented before is asked for anew.
    let (other_root, _) = client_identity();
    let files = (
        server.identity.pem.as_bytes(),
        server.identity.key.as_bytes(),
    );
    let config = server_config(files.0, files.1, Some(other_root.as_bytes())).unwrap();
    server.live.replace(config);
    let mut stream = server.connect(&after).await.unwrap();
    ask(&mut stream).await.unwrap();
    let kind = stream.get_ref().1.handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Full));
}

/// Gives the server a new certificate while it runs; returns the old one.
fn server_identity_of(server: &mut Server, root: &str) -> Identity {
    let new = server_identity();
    let config = server_config(
        new.pem.as_bytes(),
        new.key.as_bytes(),
        Some(root.as_bytes()),
    );
    server.live.replace(config.unwrap());
    std::mem::replace(&mut server.identity, new)
}

#[tokio::test]
async fn a_drain_closes_idle_connections_in_good_order_and_waits_for_no_handshake() {
    let mut server = start(ListenLimits::default(), None).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let config = Arc::new(client(&server, rustls::ALL_VERSIONS, None));
    let mut idle = server.connect(&config).await.unwrap();
    ask(&mut idle).await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    let mut nothing = String::new();
    let read = timeout(HANGS, idle.read_to_string(&mut nothing)).await;
    assert_eq!(read.expect("closed").expect("with close_notify"), 0);
    assert!(rest(&mut silent).await.is_empty());
    let cut = timeout(HANGS, server.task.join_next()).await.expect("ends");
    assert_eq!(cut.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn what_is_no_handshake_is_closed_and_nobody_else_notices() {
    let limits = ListenLimits {
        handshake: Duration::from_millis(200),
        ..ListenLimits::default()
    };
    let server = start(limits, None).await;
    // A record head of each kind, one that promises more than comes, and noise from a fixed seed.
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut pieces: Vec<Vec<u8>> = (20..26).map(|kind| vec![kind, 3, 3, 0, 0]).collect();
    pieces.push(vec![22, 3, 1, 0x40, 0]);
    pieces.push(vec![22, 3, 1, 0xff, 0xff]);
    for _ in 0..40 {
        let mut piece = vec![22, 3, 1, 0, 200, 1, 0, 0, 196];
        for _ in 0..196 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            piece.push(noise.to_le_bytes()[0]);
        }
        pieces.push(piece);
    }
    for piece in pieces {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&piece).await.unwrap();
        assert!(!rest(&mut stream).await.starts_with(b"HTTP"));
    }
    assert!(server.notes().is_empty());
    assert!(server.is_healthy().await);
}
