//! The configuration file: one TOML file, every key known, every secret elsewhere.

mod file;
mod keys;
mod nearest;
mod secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use file::{check, read};
pub use keys::{KEYS, Key};
pub use nearest::nearest;
pub use secret::SecretRef;

/// Everything a node is told. Relative paths have been made relative to the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The public listener.
    pub server: Server,
    /// The listener for health and metrics.
    pub management: Management,
    /// Who may vouch for a caller.
    pub issuers: Vec<Issuer>,
    /// The catalogue.
    pub catalog: Catalog,
    /// Existing DAN plugins.
    pub plugins: Vec<Plugin>,
    /// State.
    pub store: Store,
    /// Signing keys.
    pub signing: Signing,
    /// What catalogue files call `{setting.x}`.
    pub settings: BTreeMap<String, String>,
    /// What catalogue files call `secret:x`.
    pub secrets: BTreeMap<String, SecretRef>,
    /// The entity register.
    pub registry: Registry,
    /// Our own Maskinporten client.
    pub token_client: Option<TokenClient>,
    /// The consent provider.
    pub consent: Option<Consent>,
    /// Altinn, for rules about roles and rights.
    pub altinn: Option<Altinn>,
    /// How long grants are kept after their end.
    pub retention: Retention,
    /// The file's own folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// The public listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address.
    pub listen: SocketAddr,
    /// What `Location`, receipts and `iss` say; ends in `/v1`.
    pub public_url: Option<String>,
    /// Names in absolute-form targets, besides that of `public_url`.
    pub host_names: Vec<String>,
    /// Networks of proxies whose forwarding headers count.
    pub behind_proxy: Vec<String>,
    /// Certificate and key; absent means plain HTTP.
    pub tls: Option<Tls>,
    /// Which national numbers are real here.
    pub realm: RealmName,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            host_names: Vec::new(),
            behind_proxy: Vec::new(),
            tls: None,
            realm: RealmName::Production,
        }
    }
}

/// Name of a realm in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RealmName {
    /// Real numbers only.
    #[default]
    Production,
    /// Synthetic persons only.
    Test,
    /// Both; set by `--sandbox`, refused in a file.
    #[serde(skip)]
    Sandbox,
}

/// Certificate and key of the public listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: SecretRef,
    /// PEM file with the roots of client certificates.
    pub client_roots: Option<PathBuf>,
    /// Folder of revocation lists.
    pub client_crls: Option<PathBuf>,
}

/// The listener for health and metrics.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Management {
    /// Address; loopback or a network of operators.
    pub listen: SocketAddr,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
        }
    }
}

/// An identity provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Name for logs.
    pub name: String,
    /// Address of its discovery document.
    pub discovery: String,
    /// Audience that tokens must carry.
    pub audience: Option<String>,
    /// Take tokens for any audience.
    #[serde(default)]
    pub accept_any_audience: bool,
}

/// The catalogue.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// Folder; absent means the one that is built in.
    pub path: Option<PathBuf>,
}

/// An existing DAN plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Short name.
    pub name: String,
    /// Address up to and including `/api`.
    pub url: String,
    /// Function key.
    pub key: Option<SecretRef>,
}

/// State.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite:FILE` or `memory:`.
    pub url: String,
    /// Key that national identity numbers are encrypted with.
    pub subject_key: Option<SecretRef>,
    /// What a crash may lose.
    pub durability: Durability,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: "sqlite:dan.db".to_owned(),
            subject_key: None,
            durability: Durability::Process,
        }
    }
}

/// What a crash may lose: nothing of a killed process, or nothing of a power cut either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A killed process loses nothing.
    #[default]
    Process,
    /// Nor does a power cut.
    Power,
}

/// Signing keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signing {
    /// The first signs, all are published.
    pub keys: Vec<SigningKey>,
}

/// One signing key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Identifier; absent means the key's thumbprint.
    pub kid: Option<String>,
    /// PEM key, P-256.
    pub key: SecretRef,
    /// RFC 3339; published at once, signing from this moment on.
    pub signs_from: Option<String>,
    /// RFC 3339; not signing from this moment on, published for ever.
    pub retired_at: Option<String>,
}

/// The entity register.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    /// Address up to and including `/api`.
    pub url: String,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            url: "https://data.brreg.no/enhetsregisteret/api".to_owned(),
        }
    }
}

/// Our own Maskinporten client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenClient {
    /// Address.
    pub token_endpoint: String,
    /// Client.
    pub client_id: String,
    /// Audience of our assertions; absent means the endpoint up to its last slash.
    pub audience: Option<String>,
    /// Identifier the key is registered under; absent means its thumbprint.
    pub key_id: Option<String>,
    /// PEM key.
    pub key: SecretRef,
}

/// The consent provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// `altinn3` or `local`.
    pub provider: String,
}

/// Altinn 3: who may act for whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Altinn {
    /// Address of the platform.
    pub url: String,
    /// Subscription key.
    pub subscription_key: Option<SecretRef>,
    /// Scope that a token is fetched for.
    pub scope: String,
}

/// How long grants are kept after their end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days after its end at which a grant is purged.
    pub ended_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { ended_days: 30 }
    }
}

impl Config {
    /// A path of the file, relative to the file's folder.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The text of a secret.
    ///
    /// # Errors
    /// Which file or variable is missing or unreadable; never its content.
    pub fn secret(
        &self,
        key: &str,
        secret: &SecretRef,
    ) -> Result<dan_core::secret::Secret, String> {
        secret
            .read(&self.folder)
            .map_err(|error| format!("{key}: {error}"))
    }
}
