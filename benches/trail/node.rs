//! A node in a runtime of its own: real HTTP in and out, signatures and SQLite; stand-ins for who calls and what it may.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dan_core::caller::{KeyProof, Proof, TokenProof};
use dan_core::evidence::Harvest;
use dan_core::flow::Exchange;
use dan_core::meter::Meter;
use dan_core::ports::{
    AuthError, Authenticator, CallContext, Clock, Credentials, Fetch as _, FetchRequest,
    HarvestOrder, PortFuture, Source, SourceError, Store,
};
use dan_core::secret::Secret;
use dan_core::testkit::builders::{self, AGENCY};
use dan_core::testkit::fakes::{CountingEntropy, FakeSource, Fakes};
use dan_core::time::Timestamp;
use dan_http::body::AnswerBody;
use dan_http::client::HttpClient;
use dan_http::listen::{ListenLimits, serve};
use dan_http::{BuildInfo, Node as Api};
use dan_sign::key_ring::KeySpec;
use dan_sign::soft_key::SoftKey;
use dan_sign::{RingSigner, SignConfig};
use dan_store::{Durability, StoreConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::untracked::Untracked;

/// 32 bytes in base64.
const SUBJECT_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
const BUILD: BuildInfo = BuildInfo {
    version: "0",
    commit: "0",
    commit_date: "0",
};

/// Ends when it is dropped; the folder goes last.
pub struct Node {
    pub address: SocketAddr,
    store: Arc<dyn Store>,
    _tasks: JoinSet<()>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Node {
    pub fn start(durability: Durability, pause: Duration, is_tracked: bool) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let key = Some(Secret::new(SUBJECT_KEY.to_owned()));
        let url = format!("sqlite:{}", folder.path().join("dan.db").display());
        let mut config = StoreConfig::new(url, key);
        config.durability = durability;
        let store = dan_store::open(&config).expect("a store");
        let used: Arc<dyn Store> = match is_tracked {
            true => Arc::clone(&store),
            false => Arc::new(Untracked(Arc::clone(&store))),
        };
        let mut tasks = JoinSet::new();
        let sources = runtime.block_on(sources(&mut tasks, pause));
        let client = {
            let _entered = runtime.enter();
            HttpClient::new().expect("a client")
        };
        let exchange = Arc::new(exchange(used, sources, client));
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
            let address = listener.local_addr().expect("an address");
            let recording = Arc::clone(&exchange);
            tasks.spawn(async move { recording.keep_records().await });
            if is_tracked {
                let covering = Arc::clone(&exchange);
                tasks.spawn(async move { covering.keep_heads(std::future::pending()).await });
            }
            let chain: Vec<Arc<dyn Authenticator>> = vec![Arc::new(ByKey), Arc::new(ByToken)];
            let api = Arc::new(Api::new(exchange, chain, Vec::new(), BUILD));
            let answer = move |inbound, peer| Arc::clone(&api).answer(inbound, peer);
            let limits = ListenLimits::default();
            tasks.spawn(async move {
                serve(listener, None, limits, answer, std::future::pending()).await;
            });
            address
        });
        Self {
            address,
            store,
            _tasks: tasks,
            runtime,
            _folder: folder,
        }
    }

    /// Heads that were put over the trail.
    pub fn heads(&self) -> usize {
        let heads = self.runtime.block_on(self.store.heads(0, u32::MAX));
        heads.expect("heads").len()
    }

    /// Rows under them.
    pub fn rows(&self) -> u64 {
        let newest = self.runtime.block_on(self.store.newest_head());
        newest.expect("a head").map_or(0, |head| head.last)
    }
}

fn exchange(store: Arc<dyn Store>, sources: String, client: HttpClient) -> Exchange {
    let pem = SoftKey::generate(&CountingEntropy::default()).and_then(|key| key.to_pem());
    let keys = vec![KeySpec::new(pem.expect("a key"))];
    let signer = RingSigner::new(&SignConfig { keys }, WallClock.now()).expect("a signer");
    let fakes = Fakes::new(|source| {
        let source: Arc<dyn Source> = Arc::new(Asking {
            source,
            sources,
            client,
        });
        let context = builders::context(Vec::new());
        builders::catalog(context, source, vec![builders::dataset("A")])
    });
    let mut ports = fakes.ports();
    ports.store = store;
    ports.signer = Arc::new(signer);
    ports.clock = Arc::new(WallClock);
    Exchange::new(ports, Fakes::settings(), Arc::new(Meter::default()))
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(jiff::Timestamp::now().as_millisecond())
    }
}

/// Answers of 1 KiB over HTTP, each after a pause; its address.
async fn sources(tasks: &mut JoinSet<()>, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
    let address = listener.local_addr().expect("an address");
    let body = format!("{{\"tekst\":\"{}\"}}", "x".repeat(1000));
    let answer = move |_inbound, _peer| {
        let body = body.clone();
        async move {
            if !pause.is_zero() {
                tokio::time::sleep_until(Instant::now() + pause).await;
            }
            let mut response = http::Response::new(AnswerBody::from(Bytes::from(body)));
            let json = http::HeaderValue::from_static("application/json");
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, json);
            response
        }
    };
    tasks.spawn(async move {
        let limits = ListenLimits::default();
        serve(listener, None, limits, answer, std::future::pending()).await;
    });
    format!("http://{address}/")
}

/// Asks three sources over HTTP, as a dataset with three calls does.
struct Asking {
    source: Arc<FakeSource>,
    sources: String,
    client: HttpClient,
}

impl Source for Asking {
    fn id(&self) -> &str {
        self.source.id()
    }

    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>> {
        Box::pin(async move {
            let ask = || async {
                let request = FetchRequest::get("source", self.sources.clone(), 1 << 20);
                let reply = self.client.fetch(request, ctx).await.expect("an answer");
                let read = serde_json::from_slice::<serde_json::Value>(&reply.body);
                read.expect("JSON")
            };
            let answers = tokio::join!(ask(), ask(), ask());
            std::hint::black_box(answers);
            self.source.harvest(order, ctx).await
        })
    }
}

struct ByKey;

impl Authenticator for ByKey {
    fn authenticate<'a>(
        &'a self,
        _: &'a Credentials,
        _: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        let key = KeyProof::new("key".to_owned(), "test-product".to_owned(), None);
        Box::pin(std::future::ready(Ok(Some(Proof::Key(key)))))
    }
}

struct ByToken;

impl Authenticator for ByToken {
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        _: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        let token = presented.bearer.as_ref().map(|token| {
            let scopes = vec!["dan:test".to_owned()];
            Proof::Token(TokenProof::new(
                builders::org(AGENCY),
                scopes,
                Arc::clone(token),
            ))
        });
        Box::pin(std::future::ready(Ok(token)))
    }
}
