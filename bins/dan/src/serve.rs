//! Runs a node: listeners, background work, and the order of stopping.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dan_core::error::Fault;
use dan_core::flow::Exchange;
use dan_core::ports::{Store, TimeStamper};
use dan_http::listen::{ListenLimits, serve};
use dan_source::keeper::{CatalogKeeper, Refresh};
use dan_store::Access;
use dan_verify::{VerifyError, verify_head};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::compose::{BUILD, Composition, compose, list_problems, open_store, public_url};
use crate::config::Config;
use crate::lifecycle::Shutdown;
use crate::output::Misuse;
use crate::server_tls::ServerTls;

/// How often ended grants are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How often the use of API keys is kept; a node that dies forgets at most this much of it.
const KEEP_USES_EVERY: Duration = Duration::from_secs(10);
/// How long starting waits for plugins; the rest is asked for while serving.
const PLUGINS_WAIT: Duration = Duration::from_secs(5);

/// A node that serves.
pub struct Running {
    /// Where the public API listens.
    pub api: SocketAddr,
    /// What the API calls itself.
    pub public_url: String,
    /// Where health, metrics, the newest head and the management of keys listen.
    pub management: SocketAddr,
    /// The use cases.
    pub exchange: Arc<Exchange>,
    /// State.
    pub store: Arc<dyn Store>,
    shutdown: Shutdown,
    listeners: JoinSet<()>,
    background: JoinSet<()>,
}

impl Running {
    /// Opens everything and starts to serve. Once it returns, both listeners answer.
    ///
    /// # Errors
    /// What is wrong with the configuration or an address, and what to do.
    pub async fn start(config: &Config, data_dir: Option<&Path>) -> Result<Self, Misuse> {
        let store = open_store(config, data_dir, Access::Node)?;
        let server_tls = ServerTls::open(config)?;
        let listener = bind("server.listen", config.server.listen).await?;
        let managing = bind("management.listen", config.management.listen).await?;
        let (api, management) = (address(&listener)?, address(&managing)?);
        let public_url = public_url(config, api);
        let ends = server_tls.as_ref().map(ServerTls::ends);
        let Composition {
            exchange,
            node,
            mut keeper,
            store,
            management: managed,
            clients,
            signing,
            stamper,
        } = compose(config, store, public_url.clone(), ends)?;
        if let Refresh::Refused(problems) = keeper.refresh_folder().await {
            return Err(Misuse(list_problems(&problems)));
        }
        let request_id: Arc<str> = Arc::from(exchange.new_id());
        first_plugins(&mut keeper, &request_id).await;

        record_start(&exchange).await?;
        let shutdown = Shutdown::default();
        let stop = || {
            let stopping = shutdown.clone();
            async move { stopping.begun().await }
        };
        let mut background = JoinSet::new();
        keep_trail(&mut background, &exchange, stamper, &shutdown);
        background.spawn(keeper.run(request_id, stop()));
        background.spawn(sweep(Arc::clone(&exchange), stop()));
        background.spawn(keep_key_uses(Arc::clone(&exchange), stop()));
        let live = server_tls.as_ref().map(ServerTls::live);
        if let Some(server_tls) = server_tls {
            background.spawn(server_tls.watch(stop()));
        }
        background.spawn(signing.watch(stop()));
        if let Some(clients) = clients {
            background.spawn(clients.watch(stop()));
        }

        let mut listeners = JoinSet::new();
        let stopped = stop();
        listeners.spawn(async move {
            let answer = move |inbound, peer| Arc::clone(&node).answer(inbound, peer);
            let cut = serve(listener, live, ListenLimits::default(), answer, stopped).await;
            if cut > 0 {
                tracing::warn!(cut, "connections were cut at the drain deadline");
            }
        });
        let stopped = stop();
        listeners.spawn(async move {
            let answer = move |inbound, peer| Arc::clone(&managed).answer(inbound, peer);
            serve(managing, None, ListenLimits::default(), answer, stopped).await;
        });
        tracing::info!(%api, %management, public_url, "serving");
        Ok(Self {
            api,
            public_url,
            management,
            exchange,
            store,
            shutdown,
            listeners,
            background,
        })
    }

    /// Stops: no new requests, answers out, records written, background work ended, and what was
    /// recorded under a signed head.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        self.shutdown.begin();
        while self.listeners.join_next().await.is_some() {}
        keep_uses(&self.exchange).await;
        self.exchange.close().await;
        while self.background.join_next().await.is_some() {}
        self.exchange.record_stop(BUILD.version).await;
        tracing::info!("stopped");
    }
}

/// What plugins offer, as far as they say so in time.
async fn first_plugins(keeper: &mut CatalogKeeper, request_id: &Arc<str>) {
    let first = keeper.refresh_plugins(request_id);
    if tokio::time::timeout(PLUGINS_WAIT, first).await.is_err() {
        tracing::warn!("some plugins are slow to say what they offer; they are asked again");
    }
}

/// Outcomes are recorded behind the answers, heads are put over what was recorded, and stamped.
fn keep_trail(
    background: &mut JoinSet<()>,
    exchange: &Arc<Exchange>,
    stamper: Option<Arc<dyn TimeStamper>>,
    shutdown: &Shutdown,
) {
    let recording = Arc::clone(exchange);
    background.spawn(async move { recording.keep_records().await });
    let (covering, stopping) = (Arc::clone(exchange), shutdown.clone());
    background.spawn(async move { covering.keep_heads(stopping.begun()).await });
    if let Some(stamper) = stamper {
        let (stamping, stopping) = (Arc::clone(exchange), shutdown.clone());
        background.spawn(async move { stamping.keep_stamps(stamper, stopping.begun()).await });
    }
}

/// Whether the newest head is signed by a key of this node. Nothing is put over one that is not; one
/// whose key is not published any more cannot be told from it, and is only said.
async fn check_newest_head(exchange: &Exchange) -> Result<(), Fault> {
    let Some(head) = exchange.newest_head().await? else {
        return Ok(());
    };
    match verify_head(&head.jws, &exchange.key_set()) {
        Ok(_verified) => {}
        Err(error @ VerifyError::UnknownKid { .. }) => tracing::warn!(
            rows = head.last,
            reason = %error,
            "whether the newest head of the audit trail is this node's cannot be told"
        ),
        Err(error) => {
            exchange.distrust_trail(format!("the head over record {}: {error}", head.last));
        }
    }
    Ok(())
}

/// A node that cannot record does not start.
async fn record_start(exchange: &Exchange) -> Result<(), Misuse> {
    let started = async {
        check_newest_head(exchange).await?;
        exchange.record_start(BUILD.version).await
    };
    started.await.map_err(|fault| {
        Misuse(format!(
            "store: the start of the node cannot be recorded: {}",
            fault.cause.unwrap_or_default()
        ))
    })
}

/// Purges what has ended, once at the start and then every [`SWEEP_EVERY`].
async fn sweep(exchange: Arc<Exchange>, stop: impl Future<Output = ()> + Send) {
    tokio::pin!(stop);
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => match exchange.sweep().await {
                Ok(0) => {}
                Ok(purged) => tracing::info!(purged, "accreditations that had ended were purged"),
                Err(fault) => tracing::warn!(cause = fault.cause, "nothing could be purged"),
            },
        }
    }
}

/// Keeps what was asked with each API key, every [`KEEP_USES_EVERY`].
async fn keep_key_uses(exchange: Arc<Exchange>, stop: impl Future<Output = ()> + Send) {
    tokio::pin!(stop);
    let mut ticks = tokio::time::interval(KEEP_USES_EVERY);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => keep_uses(&exchange).await,
        }
    }
}

async fn keep_uses(exchange: &Exchange) {
    if let Err(fault) = exchange.keep_key_uses().await {
        let cause = fault.cause;
        tracing::warn!(cause, "the use of API keys could not be kept yet");
    }
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Misuse> {
    TcpListener::bind(address).await.map_err(|error| {
        Misuse(format!(
            "{key}: cannot listen on {address}: {error}; is another node running there?"
        ))
    })
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Misuse> {
    listener
        .local_addr()
        .map_err(|error| Misuse(format!("a listener has no address: {error}")))
}
