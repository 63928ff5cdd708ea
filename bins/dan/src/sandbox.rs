//! `--sandbox`: a node and a fake outside world in one process, and the main job done once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dan_auth::api_key::mint;
use dan_auth::claims::LIFETIME_S_DEFAULT;
use dan_core::limits::LimitSettings;
use dan_core::ports::{Batch, Clock as _, Entropy as _, KeyGrant, Write};
use dan_core::secret::Secret;
use dan_sandbox::{
    PLUGIN_KEY, PRODUCTS_LOGIN, Parties, ROADS_KEY, Sandbox, SandboxConfig, parties,
};
use dan_sign::soft_key::SoftKey;
use serde::Serialize;
use tempfile::TempDir;

use crate::args::EdgeArgs;
use crate::commands::signing_key::write_secret;
use crate::config::{
    Altinn, Config, Issuer, Plugin, RealmName, SecretRef, SigningKey, TokenClient,
};
use crate::lifecycle;
use crate::output::{Ending, Misuse, Outcome, complain, say};
use crate::sandbox_demo::{Demo, demonstrate};
use crate::serve::Running;
use crate::system::{SystemClock, SystemEntropy};

/// Where the outside world listens, unless told otherwise (`contracts.md` §2).
const OUTSIDE_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8090);
/// What the node asks tokens to be issued for.
const AUDIENCE: &str = "https://dan.sandbox";
/// The owner in every example.
pub const OWNER: &str = "991825827";
/// The environment-free way to hand the plugin its key: a file in the data folder.
const PLUGIN_KEY_FILE: &str = "plugin.key";

/// `sandbox.json`, for tests and other programs (`contracts.md` §2).
#[derive(Serialize)]
struct Card {
    api: String,
    management: String,
    outside: String,
    jwks: String,
    keys: BTreeMap<String, String>,
    owner: &'static str,
    catalog: Option<PathBuf>,
    parties: Parties,
}

/// Starts both worlds, does the main job, and stays up unless told to do it once.
///
/// # Errors
/// What keeps it from starting. A main job that fails is no error but the answer no.
pub async fn run(args: &EdgeArgs) -> Ending {
    let folder = Folder::open(args.data_dir.as_deref())?;
    let clock = Arc::new(|| SystemClock.now().as_ms());
    let listen = args.sandbox_listen.unwrap_or(OUTSIDE_DEFAULT);
    let outside = Sandbox::start(SandboxConfig {
        listen,
        clock,
        audience: AUDIENCE.to_owned(),
    })
    .await
    .map_err(|error| {
        Misuse(format!(
            "--sandbox-listen: cannot listen on {listen}: {error}"
        ))
    })?;
    let config = config(args, &outside, folder.path())?;
    let running = Running::start(&config, Some(folder.path())).await?;
    let keys = mint_keys(&running).await?;
    let demo = demonstration(&running, &outside, &keys);
    let card = Card {
        api: demo.api.clone(),
        management: format!("http://{}", running.management),
        outside: demo.outside.clone(),
        jwks: demo.jwks.clone(),
        keys,
        owner: OWNER,
        catalog: args.catalog.clone(),
        parties: parties(),
    };
    write_card(folder.path(), &card)?;
    say(format!(
        "sandbox: everything in it is invented\n\n  data      {}",
        folder.path().display()
    ));
    say(format!(
        "  api       {}\n  management {}\n  outside   {}\n",
        card.api, card.management, card.outside
    ));
    let outcome = match demonstrate(&demo).await {
        Ok(()) => Outcome::Yes,
        Err(reason) => {
            complain(format!("the main job failed: {reason}"));
            Outcome::No
        }
    };
    outside.reset_calls();
    if !args.once {
        say(demo.curl_lines());
        say("Ctrl-C ends it.");
        lifecycle::signal(lifecycle::Hangup::Stops)
            .await
            .map_err(|error| Misuse(error.to_string()))?;
    }
    running.stop().await;
    outside.stop().await;
    Ok(outcome)
}

/// Where the sandbox keeps its things: the folder it is given, else one that ends with it.
enum Folder {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn open(given: Option<&Path>) -> Result<Self, Misuse> {
        match given {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|error| {
                    Misuse(format!(
                        "--data-dir: cannot make {}: {error}",
                        path.display()
                    ))
                })?;
                Ok(Self::Given(path.to_path_buf()))
            }
            None => tempfile::Builder::new()
                .prefix("dan-sandbox-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(|error| Misuse(format!("cannot make a temporary folder: {error}"))),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// The configuration of a node whose outside world is the sandbox.
fn config(args: &EdgeArgs, outside: &Sandbox, folder: &Path) -> Result<Config, Misuse> {
    let mut config = Config {
        folder: folder.to_path_buf(),
        ..Config::default()
    };
    config.server.realm = RealmName::Sandbox;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if let Some(listen) = args.management_listen {
        config.management.listen = listen;
    }
    if !config.server.listen.ip().is_loopback() {
        return Err(Misuse(
            "--listen: the sandbox vouches for anybody; it listens on loopback only".to_owned(),
        ));
    }
    config.catalog.path = args
        .catalog
        .as_ref()
        .map(|path| std::path::absolute(path).unwrap_or(path.clone()));
    config.registry.url = outside.register_url();
    config.settings = settings(outside);
    config.secrets = secrets(folder)?;
    config.issuers = vec![issuer(outside)];
    config.plugins = vec![Plugin {
        name: "sandbox-plugin".to_owned(),
        url: outside.plugin_url(),
        key: Some(keep(folder, PLUGIN_KEY_FILE, || {
            Ok(Secret::new(PLUGIN_KEY.to_owned()))
        })?),
    }];
    config.token_client = Some(TokenClient {
        token_endpoint: outside.token_url(),
        client_id: "dan-sandbox".to_owned(),
        audience: Some(outside.issuer()),
        key_id: None,
        key: keep(folder, "token-client.pem", new_token_key)?,
        certificate: None,
    });
    config.altinn = Some(Altinn {
        url: outside.altinn_url(),
        subscription_key: None,
        scope:
            "altinn:authorization/authorize altinn:accessmanagement/authorizedparties.resourceowner"
                .to_owned(),
    });
    // A sandbox has one user, and is measured.
    config.limits = LimitSettings::NONE;
    config.management.token = Some(keep(folder, "management.token", new_random_secret)?);
    config.store.subject_key = Some(keep(folder, "subject.key", new_random_secret)?);
    let pem = keep(folder, "signing.pem", || {
        let key = SoftKey::generate(&SystemEntropy::new()).and_then(|key| key.to_pem());
        key.map_err(|error| Misuse(error.to_string()))
    })?;
    config.signing.keys = vec![SigningKey {
        key: Some(pem),
        ..SigningKey::default()
    }];
    Ok(config)
}

/// What the shipped catalogue calls the addresses of its sources.
fn settings(outside: &Sandbox) -> BTreeMap<String, String> {
    [
        ("er", outside.register_url()),
        ("testdata", outside.testdata_url()),
        ("skatt", outside.skatt_url()),
        ("freg", outside.freg_url()),
        ("skatt_person", outside.skatt_person_url()),
        ("produkter", outside.products_url()),
        ("arbeidstilsynet", outside.labour_url()),
        ("vegvesen", outside.roads_url()),
    ]
    .into_iter()
    .map(|(name, url)| (name.to_owned(), url))
    .chain(outside.tilda_urls())
    .collect()
}

/// What it calls the secrets that those sources want.
fn secrets(folder: &Path) -> Result<BTreeMap<String, SecretRef>, Misuse> {
    [("produkter", PRODUCTS_LOGIN), ("vegvesen", ROADS_KEY)]
        .into_iter()
        .map(|(name, value)| {
            let file = format!("{name}.secret");
            let kept = keep(folder, &file, || Ok(Secret::new(value.to_owned())))?;
            Ok((name.to_owned(), kept))
        })
        .collect()
}

/// The sandbox's identity provider; all that it can say is to be tried.
fn issuer(outside: &Sandbox) -> Issuer {
    Issuer {
        name: "sandbox".to_owned(),
        discovery: outside.issuer_discovery_url(),
        audience: Some(AUDIENCE.to_owned()),
        accept_any_audience: false,
        persons: true,
        delegation_sources: vec![outside.delegation_source()],
        system_users: true,
        lifetime_max_s: LIFETIME_S_DEFAULT,
        remember_tokens: true,
    }
}

/// A secret in the folder, made the first time, so that a data folder can be used again.
fn keep(
    folder: &Path,
    name: &str,
    make: impl FnOnce() -> Result<Secret, Misuse>,
) -> Result<SecretRef, Misuse> {
    let path = folder.join(name);
    if !path.exists() {
        write_secret(&path, &make()?)?;
    }
    Ok(SecretRef::File(PathBuf::from(name)))
}

fn new_random_secret() -> Result<Secret, Misuse> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut bytes = [0; 32];
    SystemEntropy::new().fill(&mut bytes);
    Ok(Secret::new(STANDARD.encode(bytes)))
}

/// The RSA key of our own Maskinporten client.
fn new_token_key() -> Result<Secret, Misuse> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let failed = |_unspecified| Misuse("cannot make an RSA key".to_owned());
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
    let text = STANDARD.encode(der.as_ref());
    Ok(Secret::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
    )))
}

/// One API key for each context, bound to no organisation.
async fn mint_keys(running: &Running) -> Result<BTreeMap<String, String>, Misuse> {
    let mut keys = BTreeMap::new();
    let mut writes = Vec::new();
    for context in running.exchange.catalog().contexts() {
        let name = format!("sandbox key of {}", context.name);
        let grant = KeyGrant {
            context_id: context.id.clone(),
            org: None,
            name,
            ..KeyGrant::default()
        };
        let (record, key) = mint(&SystemEntropy::new(), grant, SystemClock.now());
        keys.insert(context.id.clone(), key.expose().to_owned());
        writes.push(Write::new_api_key(record));
    }
    let written = running.store.commit(&Batch(writes)).await;
    written.map_err(|error| Misuse(format!("cannot keep the API keys: {error:?}")))?;
    Ok(keys)
}

fn demonstration(running: &Running, outside: &Sandbox, keys: &BTreeMap<String, String>) -> Demo {
    let root = format!("http://{}", running.api);
    Demo {
        api: format!("{root}/v1"),
        jwks: format!("{root}/.well-known/jwks.json"),
        outside: outside.base_url(),
        key: keys.get("ebevis-product").cloned().unwrap_or_default(),
    }
}

/// Complete once the file is there: written beside it, then renamed.
fn write_card(folder: &Path, card: &Card) -> Result<(), Misuse> {
    let failed = |error: std::io::Error| Misuse(format!("cannot write sandbox.json: {error}"));
    let text = serde_json::to_string_pretty(card).map_err(|error| Misuse(error.to_string()))?;
    let unfinished = folder.join("sandbox.json.new");
    std::fs::write(&unfinished, text).map_err(failed)?;
    std::fs::rename(&unfinished, folder.join("sandbox.json")).map_err(failed)
}
