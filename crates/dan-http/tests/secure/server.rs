//! A listener with certificates of its own, and clients of it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dan_http::body::AnswerBody;
use dan_http::head_guard::refusal_of_body;
use dan_http::listen::{Inbound, ListenLimits, PeerInfo, serve};
use dan_http::tls::{Reloadable, server_config};
use http_body_util::BodyExt as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything here takes; reached only when something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

pub(crate) fn server_identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Identity {
        chain: vec![made.cert.der().clone()],
        pem: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

/// A root, and a client under it.
pub(crate) fn client_identity() -> (String, Identity) {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "a root for clients");
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "a client");
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let identity = Identity {
        chain: vec![leaf.der().clone(), root.der().clone()],
        pem: leaf.pem(),
        key: key.serialize_pem(),
    };
    (root.pem(), identity)
}

/// The listener and what it was asked.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) live: Arc<Reloadable>,
    pub(crate) identity: Identity,
    pub(crate) calls: Arc<Mutex<Vec<(String, PeerInfo)>>>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinSet<usize>,
}

/// Answers with method, target and body; `/big` with a mebibyte, `/never` not at all, a refusal with its status.
async fn answer(
    inbound: Inbound,
    peer: PeerInfo,
    calls: Arc<Mutex<Vec<(String, PeerInfo)>>>,
) -> http::Response<AnswerBody> {
    let status = |status: u16| {
        let body = Bytes::from_static(br#"{"code":1014}"#);
        let mut response = http::Response::new(AnswerBody::from(body));
        *response.status_mut() = status.try_into().unwrap();
        response
    };
    let (parts, body) = match inbound {
        Inbound::Refused(refusal) => return status(refusal.status),
        Inbound::Request(request) => request.into_parts(),
    };
    let path = parts.uri.path().to_owned();
    let note = format!("{} {path}", parts.method);
    calls.lock().unwrap().push((note.clone(), peer));
    if path == "/never" {
        std::future::pending::<()>().await;
    }
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return status(refusal_of_body(&error).status),
    };
    let said = match path.as_str() {
        "/big" => Bytes::from(vec![b'x'; 1024 * 1024]),
        _ => format!("{note} {} done", body.len()).into(),
    };
    http::Response::new(AnswerBody::from(said))
}

pub(crate) async fn start(limits: ListenLimits, client_roots: Option<&str>) -> Server {
    let identity = server_identity();
    let roots = client_roots.map(str::as_bytes);
    let config = server_config(identity.pem.as_bytes(), identity.key.as_bytes(), roots).unwrap();
    let live = Arc::new(Reloadable::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    let service = move |inbound, peer| answer(inbound, peer, Arc::clone(&noted));
    let (stop, stopped) = oneshot::channel();
    let mut task = JoinSet::new();
    let tls = Some(Arc::clone(&live));
    task.spawn(serve(listener, tls, limits, service, async {
        stopped.await.ok();
    }));
    Server {
        address,
        live,
        identity,
        calls,
        stop: Some(stop),
        task,
    }
}

/// Settings of a client that trusts `server`.
pub(crate) fn client(
    server: &Server,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Identity>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(server.identity.chain[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.private_key())
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}

pub(crate) fn with_alpn(mut config: ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

impl Server {
    pub(crate) async fn connect(
        &self,
        config: &Arc<ClientConfig>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(config))
            .connect(name, tcp)
            .await
    }

    /// A connection that speaks HTTP/2.
    pub(crate) async fn connect_h2(&self) -> TlsStream<TcpStream> {
        let config = client(self, rustls::ALL_VERSIONS, None);
        self.connect(&with_alpn(config, &[b"h2"])).await.unwrap()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(note, _)| note.clone()).collect()
    }

    /// It still answers somebody else.
    pub(crate) async fn is_healthy(&self) -> bool {
        let config = client(self, rustls::ALL_VERSIONS, None);
        let mut stream = self.connect(&Arc::new(config)).await.unwrap();
        ask(&mut stream).await.unwrap().contains("200")
    }
}

/// One request over HTTP/1.1, and its answer.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    stream.write_all(REQUEST).await?;
    let mut text = Vec::new();
    while !text.ends_with(b" done") {
        text.push(timeout(HANGS, stream.read_u8()).await.expect("answered")?);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// What is said until the end, however that comes.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut said = Vec::new();
    let read = stream.read_to_end(&mut said);
    timeout(HANGS, read).await.expect("closed").ok();
    said
}
