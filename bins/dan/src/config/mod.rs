//! The configuration file: one TOML file, every key known, every secret elsewhere.

mod file;
mod keys;
mod nearest;
mod secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dan_core::limits::LimitSettings;
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
    /// How much one caller may ask.
    pub limits: LimitSettings,
    /// The file's own folder.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The file itself; `None` where there is none.
    #[serde(skip)]
    pub file: Option<PathBuf>,
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

/// Certificate and key of the public listener, and how clients' certificates are judged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM chain, the server's own certificate first; absent where a proxy ends TLS.
    pub certificate: Option<PathBuf>,
    /// PEM key.
    pub key: Option<SecretRef>,
    /// PEM file with the roots of client certificates.
    pub client_roots: Option<PathBuf>,
    /// PEM file with certificates between those and the clients'.
    pub client_intermediates: Option<PathBuf>,
    /// Folder of revocation lists.
    pub client_crls: Option<PathBuf>,
    /// Beginnings of the addresses of OCSP responders that may be asked.
    pub client_ocsp: Vec<String>,
    /// Responder for certificates that name none of these.
    pub client_ocsp_default: Option<String>,
    /// How long a certificate is taken when its status cannot be learnt.
    pub client_revocation_soft_s: u32,
    /// Take the organisation number of old certificates.
    pub client_seid_v1: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_roots: None,
            client_intermediates: None,
            client_crls: None,
            client_ocsp: Vec::new(),
            client_ocsp_default: None,
            client_revocation_soft_s: 3600,
            client_seid_v1: false,
        }
    }
}

/// The listener for health and metrics.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Management {
    /// Address; loopback or a network of operators.
    pub listen: SocketAddr,
    /// Who sends it may manage API keys there.
    pub token: Option<SecretRef>,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            token: None,
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
    /// Take tokens of persons, for their own data.
    #[serde(default)]
    pub persons: bool,
    /// Whose word is taken for that a supplier acts for a consumer.
    #[serde(default)]
    pub delegation_sources: Vec<String>,
    /// Take tokens of Altinn's system users.
    #[serde(default)]
    pub system_users: bool,
    /// Longest life of a token, in seconds.
    #[serde(default = "lifetime_default")]
    pub lifetime_max_s: u32,
    /// Verify a token once while the issuer's keys stay the same.
    #[serde(default = "yes")]
    pub remember_tokens: bool,
}

const fn lifetime_default() -> u32 {
    dan_auth::claims::LIFETIME_S_DEFAULT
}

const fn yes() -> bool {
    true
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

/// One signing key: `key` or `pkcs11`, one of the two.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigningKey {
    /// Identifier; absent means the key's thumbprint.
    pub kid: Option<String>,
    /// PEM key, P-256 or RSA.
    pub key: Option<SecretRef>,
    /// A key that lies in a PKCS#11 token.
    pub pkcs11: Option<TokenKey>,
    /// PEM chain, the key's own certificate first.
    pub certificate: Option<PathBuf>,
    /// RFC 3339; published at once, signing from this moment on.
    pub signs_from: Option<String>,
    /// RFC 3339; not signing from this moment on, published for ever.
    pub retired_at: Option<String>,
}

impl SigningKey {
    /// Where the key lies, in words.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.key, &self.pkcs11) {
            (Some(key), _) => key.to_string(),
            (None, Some(token)) => format!("token {}, label {}", token.token, token.label),
            (None, None) => "nowhere".to_owned(),
        }
    }
}

/// A key in a PKCS#11 token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The shared library of the token.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// Label of the key.
    pub label: String,
    /// The user's PIN.
    pub pin: SecretRef,
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
    /// PEM file with the key's certificate; present: the assertion carries it.
    pub certificate: Option<PathBuf>,
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
    /// Whether the public listener speaks TLS itself.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        let tls = self.server.tls.as_ref();
        tls.is_some_and(|tls| tls.certificate.is_some())
    }

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
