//! The one place where adapters are chosen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use dan_auth::{AuthConfig, Desk, IssuerConfig};
use dan_core::catalog::CatalogHandle;
use dan_core::flow::{Exchange, Ports, Settings};
use dan_core::inquiry::ValidityDays;
use dan_core::meter::Meter;
use dan_core::network::Network;
use dan_core::party::Realm;
use dan_core::ports::{Clock, Entropy, Fetch, Store, TimeStamper};
use dan_core::secret::Secret;
use dan_http::client::HttpClient;
use dan_http::management::Management;
use dan_http::{BuildInfo, Node};
use dan_source::authorities::Authorities;
use dan_source::authorities::consent::NoConsents;
use dan_source::authorities::delegations::{AltinnConfig, Delegations};
use dan_source::authorities::entity_register::EntityRegister;
use dan_source::authorities::timestamps::TimestampAuthority;
use dan_source::authorities::tokens::TokenIssuer;
use dan_source::authorities::tokens::{MaskinportenClient, MaskinportenConfig};
use dan_source::catalog_folder::{CatalogFiles, Environment, Loaded, Problem, load};
use dan_source::declared::SourcePorts;
use dan_source::keeper::{CatalogKeeper, CatalogOrigin, Discover, KeeperConfig};
use dan_source::plugin::PluginSource;
use dan_source::protect::{Limits, Protection};
use dan_store::{Access, StoreConfig};

use crate::client_certificates::ClientCertificates;
use crate::config::{Config, Durability, RealmName, TokenClient};
use crate::expiries::{Expiries, of_token_client};
use crate::output::Misuse;
use crate::server_tls::ChainEnds;
use crate::signing_keys::SigningKeys;
use crate::system::{SystemClock, SystemEntropy};

/// Which build this is.
pub const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("DAN_COMMIT"),
    commit_date: env!("DAN_COMMIT_DATE"),
};

/// Shortest token that may manage keys.
const TOKEN_CHARS_MIN: usize = 32;

/// A node put together, not serving yet.
pub struct Composition {
    /// The use cases.
    pub exchange: Arc<Exchange>,
    /// The public API.
    pub node: Arc<Node>,
    /// Keeps the catalogue up to date.
    pub keeper: CatalogKeeper,
    /// State.
    pub store: Arc<dyn Store>,
    /// What the second listener answers.
    pub management: Arc<Management>,
    /// Judges client certificates, where the node takes them.
    pub clients: Option<Arc<ClientCertificates>>,
    /// Signs, and looks after its keys.
    pub signing: SigningKeys,
    /// Stamps heads of the audit trail, where an authority is configured.
    pub stamper: Option<Arc<dyn TimeStamper>>,
}

/// Puts a node together.
///
/// # Errors
/// What is wrong with the configuration, in words for the operator.
pub fn compose(
    config: &Config,
    store: Arc<dyn Store>,
    public_url: String,
    server: Option<Arc<ArcSwap<ChainEnds>>>,
) -> Result<Composition, Misuse> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let fetch: Arc<dyn Fetch> = Arc::new(HttpClient::new()?);
    let catalog = Arc::new(CatalogHandle::default());
    let ports = SourcePorts::new(
        Arc::clone(&fetch),
        Arc::clone(&clock),
        token_client(config, &fetch, &clock)?,
    );
    let keeper = keeper(config, Arc::clone(&catalog), ports)?;
    let clients = ClientCertificates::open(config, &fetch, &clock)?.map(Arc::new);
    let judge = clients.as_ref().map(|clients| Arc::clone(clients) as _);
    let chain = dan_auth::chain(auth(config), Arc::clone(&store), &fetch, &clock, judge)
        .map_err(|error| Misuse(error.to_string()))?;
    let signing = SigningKeys::open(config)?;
    let ports = Ports {
        catalog,
        facts: Arc::new(authorities(config, &fetch, &clock)?),
        consents: Arc::new(NoConsents),
        signer: signing.signer(),
        store: Arc::clone(&store),
        clock,
        entropy,
    };
    let stamper = stamper(config, &fetch);
    let settings = Settings {
        public_url,
        realm: realm(config.server.realm),
        validity: ValidityDays::default(),
        retention_days: config.retention.ended_days,
    };
    let host_names = host_names(config, &settings.public_url);
    let exchange = Exchange::new(ports, settings, Arc::new(Meter::default()));
    let exchange = Arc::new(exchange.limited(config.limits));
    let proxies = config
        .server
        .behind_proxy
        .iter()
        .filter_map(|text| Network::parse(text))
        .collect();
    let node = Node::new(Arc::clone(&exchange), chain, proxies, BUILD);
    let node = Arc::new(node.with_host_names(host_names));
    let expiries = Expiries {
        server,
        clients: clients.clone(),
        signing: signing.signer(),
        fixed: of_token_client(config),
    };
    let management = Arc::new(Management {
        exchange: Arc::clone(&exchange),
        desk: Arc::new(key_desk(&store)),
        token: management_token(config)?,
        expiries: Box::new(move || expiries.read()),
        signing: signing.health(),
    });
    Ok(Composition {
        management,
        clients,
        stamper,
        exchange,
        node,
        keeper,
        store,
        signing,
    })
}

/// Who stamps heads of the audit trail.
fn stamper(config: &Config, fetch: &Arc<dyn Fetch>) -> Option<Arc<dyn TimeStamper>> {
    let url = config.trail.timestamp_url.as_deref()?;
    let entropy = Arc::new(SystemEntropy::new());
    let authority = TimestampAuthority::new(url, Arc::clone(fetch), entropy);
    Some(Arc::new(authority))
}

/// Opens the store; a relative file lies in `data_dir`, else beside the configuration file.
///
/// # Errors
/// What is wrong with the address, the key or the file, and what to do.
pub fn open_store(
    config: &Config,
    data_dir: Option<&Path>,
    access: Access,
) -> Result<Arc<dyn Store>, Misuse> {
    let url = match config.store.url.strip_prefix("sqlite:") {
        Some(file) => {
            let folder = data_dir.map_or_else(|| config.folder.clone(), Path::to_path_buf);
            format!("sqlite:{}", folder.join(file).display())
        }
        None => config.store.url.clone(),
    };
    if access != Access::Node && url == "memory:" {
        return Err(Misuse(
            "store.url = \"memory:\" lives inside a running node; use sqlite".to_owned(),
        ));
    }
    let subject_key = config.store.subject_key.as_ref();
    let subject_key = subject_key
        .map(|key| config.secret("store.subject_key", key))
        .transpose()?;
    let durability = match config.store.durability {
        Durability::Process => dan_store::Durability::Process,
        Durability::Power => dan_store::Durability::Power,
    };
    dan_store::open(&StoreConfig {
        url,
        subject_key,
        durability,
        access,
    })
    .map_err(|error| Misuse(error.to_string()))
}

fn management_token(config: &Config) -> Result<Option<Secret>, Misuse> {
    let Some(token) = &config.management.token else {
        return Ok(None);
    };
    let token = config.secret("management.token", token)?;
    if token.expose().len() < TOKEN_CHARS_MIN {
        return Err(Misuse(format!(
            "management.token: shorter than {TOKEN_CHARS_MIN} characters; make one with `openssl rand -hex 32`"
        )));
    }
    Ok(Some(token))
}

/// The desk that issues API keys.
#[must_use]
pub fn key_desk(store: &Arc<dyn Store>) -> Desk {
    let entropy = Arc::new(SystemEntropy::new());
    Desk::new(Arc::clone(store), entropy, Arc::new(SystemClock))
}

pub(crate) fn auth(config: &Config) -> AuthConfig {
    let issuer = |issuer: &crate::config::Issuer| IssuerConfig {
        name: issuer.name.clone(),
        discovery: issuer.discovery.clone(),
        audience: issuer.audience.clone(),
        accept_any_audience: issuer.accept_any_audience,
        persons: issuer.persons,
        delegation_sources: issuer.delegation_sources.clone(),
        system_users: issuer.system_users,
        lifetime_max_s: issuer.lifetime_max_s,
        remember_tokens: issuer.remember_tokens,
    };
    AuthConfig {
        issuers: config.issuers.iter().map(issuer).collect(),
    }
}

pub(crate) const fn realm(name: RealmName) -> Realm {
    match name {
        RealmName::Production => Realm::Production,
        RealmName::Test => Realm::Test,
        RealmName::Sandbox => Realm::Sandbox,
    }
}

/// The folder of the catalogue; `None` for the one that is built in.
#[must_use]
pub fn catalog_folder(config: &Config) -> Option<PathBuf> {
    config
        .catalog
        .path
        .as_ref()
        .map(|path| config.resolve(path))
}

/// The secrets that catalogue files may name.
///
/// # Errors
/// A secret that cannot be read.
pub fn catalog_secrets(config: &Config) -> Result<BTreeMap<String, Arc<Secret>>, Misuse> {
    let read = |(name, secret): (&String, &crate::config::SecretRef)| {
        let secret = config.secret(&format!("secrets.{name}"), secret)?;
        Ok((name.clone(), Arc::new(secret)))
    };
    config
        .secrets
        .iter()
        .map(read)
        .collect::<Result<_, String>>()
        .map_err(Misuse)
}

fn keeper(
    config: &Config,
    handle: Arc<CatalogHandle>,
    ports: SourcePorts,
) -> Result<CatalogKeeper, Misuse> {
    let mut plugins: Vec<Arc<dyn Discover>> = Vec::new();
    for plugin in &config.plugins {
        let name = format!("plugins.{}.key", plugin.name);
        let key = plugin
            .key
            .as_ref()
            .map(|key| config.secret(&name, key))
            .transpose()?;
        let (fetch, clock) = (Arc::clone(&ports.fetch), Arc::clone(&ports.clock));
        let source = PluginSource::new(&plugin.name, &plugin.url, key.map(Arc::new), fetch, clock)
            .with_tokens(ports.tokens.clone());
        plugins.push(Arc::new(Arc::new(source)));
    }
    let protection = Protection::new(Limits::default(), Arc::clone(&ports.clock));
    let origin = catalog_folder(config).map_or(CatalogOrigin::Embedded, CatalogOrigin::Folder);
    let config = KeeperConfig {
        origin,
        settings: config.settings.clone(),
        secrets: catalog_secrets(config)?,
        ports,
        plugins,
        decorate: Arc::new(move |source| protection.around(source)),
    };
    Ok(CatalogKeeper::new(handle, config))
}

/// Who answers questions about parties.
///
/// # Errors
/// A secret that cannot be read, or Altinn without a token client.
pub fn authorities(
    config: &Config,
    fetch: &Arc<dyn Fetch>,
    clock: &Arc<dyn Clock>,
) -> Result<Authorities, Misuse> {
    let register = EntityRegister::new(&config.registry.url, Arc::clone(fetch), Arc::clone(clock));
    let Some(altinn) = &config.altinn else {
        return Ok(Authorities {
            register,
            delegations: None,
        });
    };
    let issuer = token_client(config, fetch, clock)?.ok_or_else(|| {
        Misuse("altinn: needs [token_client], to get tokens from Maskinporten".to_owned())
    })?;
    let key = altinn.subscription_key.as_ref();
    let key = key
        .map(|key| config.secret("altinn.subscription_key", key))
        .transpose()?;
    let settings = AltinnConfig {
        url: altinn.url.clone(),
        subscription_key: key.map(Arc::new),
        scope: altinn.scope.clone(),
    };
    let delegations = Delegations::new(settings, issuer, Arc::clone(fetch), Arc::clone(clock));
    Ok(Authorities {
        register,
        delegations: Some(delegations),
    })
}

/// Our own Maskinporten client, where one is configured.
///
/// # Errors
/// A key that cannot be read.
pub fn token_client(
    config: &Config,
    fetch: &Arc<dyn Fetch>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn TokenIssuer>>, Misuse> {
    let Some(client) = &config.token_client else {
        return Ok(None);
    };
    let settings = MaskinportenConfig {
        token_endpoint: client.token_endpoint.clone(),
        audience: client.audience.clone(),
        client_id: client.client_id.clone(),
        key_id: client.key_id.clone(),
        key: config.secret("token_client.key", &client.key)?,
        certificate: token_certificate(config, client)?,
    };
    let entropy = Arc::new(SystemEntropy::new());
    let client = MaskinportenClient::new(settings, Arc::clone(fetch), Arc::clone(clock), entropy)
        .map_err(|error| Misuse(format!("token_client: {error}")))?;
    Ok(Some(Arc::new(client)))
}

/// The text of the certificate file of our own client.
fn token_certificate(config: &Config, client: &TokenClient) -> Result<Option<String>, Misuse> {
    let Some(path) = &client.certificate else {
        return Ok(None);
    };
    let path = config.resolve(path);
    std::fs::read_to_string(&path).map(Some).map_err(|error| {
        Misuse(format!(
            "token_client.certificate: cannot read {}: {error}",
            path.display()
        ))
    })
}

/// Reads the configured catalogue once, without a node, and runs its examples.
///
/// # Errors
/// Every mistake in it.
pub fn load_catalog(config: &Config) -> Result<Loaded, Misuse> {
    let secrets = catalog_secrets(config)?;
    let lookup = |name: &str| secrets.get(name).cloned();
    let environment = Environment::new(&config.settings, &lookup);
    let files = catalog_files(catalog_folder(config).as_deref())?;
    let refuse = |problems: Vec<Problem>| Misuse(list_problems(&problems));
    let loaded = load(&files, &environment).map_err(refuse)?;
    // As the node does before it takes a catalogue over.
    let failing = loaded.run_examples();
    if failing.is_empty() {
        Ok(loaded)
    } else {
        Err(refuse(failing))
    }
}

/// Files to load a catalogue from: a folder, else those that are built in.
///
/// # Errors
/// A folder that cannot be read.
pub fn catalog_files(folder: Option<&Path>) -> Result<CatalogFiles, Misuse> {
    match folder {
        None => Ok(CatalogFiles::embedded()),
        Some(folder) => {
            CatalogFiles::read_folder(folder).map_err(|problems| Misuse(list_problems(&problems)))
        }
    }
}

/// Problems for people, one a line.
#[must_use]
pub fn list_problems(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!(
        "the catalogue has {} mistakes:\n  {}",
        problems.len(),
        lines.join("\n  ")
    )
}

/// The public URL: as configured, else where the node listens.
#[must_use]
pub fn public_url(config: &Config, listening: SocketAddr) -> String {
    let scheme = if config.speaks_tls() { "https" } else { "http" };
    config
        .server
        .public_url
        .clone()
        .unwrap_or_else(|| format!("{scheme}://{listening}/v1"))
}

/// The host of the public address and those that are named besides it.
fn host_names(config: &Config, public_url: &str) -> Vec<String> {
    let public = public_url.parse::<http::Uri>().ok();
    let public = public.as_ref().and_then(http::Uri::host).map(str::to_owned);
    public
        .into_iter()
        .chain(config.server.host_names.iter().cloned())
        .collect()
}
