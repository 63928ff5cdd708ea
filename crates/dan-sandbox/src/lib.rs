//! A fake outside world for the sandbox, the tests and the benches (contracts.md §2).
//!
//! [`Sandbox::start`] opens one listener on loopback and serves, until the [`Sandbox`] is dropped or stopped:
//!
//! | Address | What | Name in `/control` |
//! |---|---|---|
//! | `/.well-known/oauth-authorization-server`, `/jwk`, `/token` | an identity provider shaped like Maskinporten | `issuer` |
//! | `/api/GetEnterpriseToken` | tokens for tests, true and false | none |
//! | `/enhetsregisteret/api/…` | the entity register | `register`, also `er` |
//! | `/testdata/…` | a source with answers of every shape | `testdata` |
//! | `/skatt/v2/ebevis/{org}` | tax arrears | `skatt` |
//! | `/plugin/api/…` | a plugin of the existing kind | `sandbox-plugin` |
//! | `/skatt_person/…` | the tax basis of a person, for a token | `skatt_person` |
//! | `/freg/…` | the population register, for a token | `freg` |
//! | `/produkter` | the SOAP service for certificates of registration, for a login | `produkter` |
//! | `/arbeidstilsynet/…` | registers of the labour inspection | `arbeidstilsynet` |
//! | `/vegvesen/verksted/{org}` | workshops, for a key | `vegvesen` |
//! | `/tilda/{agency}/…` | inspection authorities, one service each, for a token | `tilda-{agency}` |
//! | `/altinn/…` | Altinn 3: exchange of tokens, rights, roles, for a token | `altinn` |
//! | `PUT`, `DELETE /control/faults/{name}` | makes a service fail, or ends it | |
//! | `GET`, `DELETE /control/calls/{name}` | counts its calls, or starts over | |
//! | `POST`, `PUT /control/issuer/rotate` | signs tokens with new keys; `?drop=true`: the old ones are published no more | |
//!
//! A fault is `{"delay_ms", "status", "body", "times", "drop"}`, all optional: wait, answer with that status (200 when
//! only a body is given) and that body (text as it stands, anything else as JSON) instead of the real answer, for that
//! many calls, or close the connection without an answer. `path` in the calls has the query.
//!
//! The token generator takes `scopes` and `orgNo`, and to lie:
//!
//! | Name | What the token then says |
//! |---|---|
//! | `iss`, `aud`, `pid` | that text |
//! | `exp`, `iat`, `nbf` | that many whole seconds from now, perhaps negative |
//! | `supplier` | that organisation acts for `orgNo`; only with `delegation_source` does the sandbox's node believe it |
//! | `delegation_source` | that text; empty: the one that the sandbox's node trusts |
//! | `systemuser`, `systemuser_org` | that system user (a UUID; empty: some) of that organisation; `orgNo` is the vendor |
//! | `cnf` | bound to the key with that thumbprint |
//! | `claim.NAME`, `without` | any claim (JSON, else text); that claim is left out |
//! | `typ`, `kid`, `header.NAME` | that in the header |
//! | `alg` | that in the header, beside the key id of the RSA key, and signed so where it exists |
//! | `key` | `unknown`: signed with a key nobody can look up; `ec`: with the published P-256 key, which is no lie |
//!
//! Names that Altinn's own generator has (`env`, `org` and others) change nothing; every other name is refused.
//!
//! Everything in it is invented, nothing is stored, and nobody is let in from outside the machine.

mod altinn;
mod assertion;
pub mod consumer;
mod control;
mod fault;
mod file;
mod issuer;
mod keys;
mod people;
mod plugin;
mod register;
mod reply;
mod ring;
mod server;
mod services;
mod units;
mod upstream;
mod wish;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::control::Control;
use crate::issuer::Issuer;
use crate::server::World;

pub use crate::people::{Parties, parties};
pub use crate::plugin::PLUGIN_KEY;
pub use crate::upstream::products::PRODUCTS_LOGIN;
pub use crate::upstream::roads::ROADS_KEY;

/// Tells the time in milliseconds since the Unix epoch, UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a fake world needs to know.
pub struct SandboxConfig {
    /// A loopback address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Decides when tokens are issued and expire, and when calls were made. Delays run on the machine's own clock.
    pub clock: Clock,
    /// The audience of honest tokens: what the node asks for.
    pub audience: String,
}

/// A running fake world. It ends when this is dropped; requests under way are cut.
pub struct Sandbox {
    /// Where it listens.
    pub address: SocketAddr,
    control: Arc<Control>,
    /// Never used: that it is there keeps the task going.
    stop: oneshot::Sender<Infallible>,
    tasks: JoinSet<()>,
}

impl Sandbox {
    /// Listens and serves. Takes about a tenth of a second, for the keys.
    ///
    /// # Errors
    /// `InvalidInput` for an address that others can reach, what binding it gives, and `Other` when the keys cannot be
    /// made.
    pub async fn start(config: SandboxConfig) -> io::Result<Self> {
        if !config.listen.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the fake world listens on loopback only: it vouches for anybody",
            ));
        }
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let base = base_url(address);
        let issuer = Issuer::new(&base, config.audience)
            .await
            .map_err(|error| io::Error::other(format!("the keys of the issuer: {error}")))?;
        let control = Arc::new(Control::new(Arc::clone(&config.clock)));
        let world = Arc::new(World {
            base,
            clock: config.clock,
            control: Arc::clone(&control),
            issuer,
        });
        let mut tasks = JoinSet::new();
        let (stop, stopping) = oneshot::channel();
        tasks.spawn(server::serve(listener, world, stopping));
        Ok(Self {
            address,
            control,
            stop,
            tasks,
        })
    }

    /// `http://{address}`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        base_url(self.address)
    }

    /// The name of the identity provider, the `iss` of its tokens; ends in a slash.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/", self.base_url())
    }

    /// The discovery document of the identity provider: `issuers.discovery` of the configuration.
    #[must_use]
    pub fn issuer_discovery_url(&self) -> String {
        format!("{}/.well-known/oauth-authorization-server", self.base_url())
    }

    /// What `delegation_source` of its suppliers' tokens says: one of `issuers.delegation_sources` of the
    /// configuration.
    #[must_use]
    pub fn delegation_source(&self) -> String {
        issuer::delegation_source(&self.base_url())
    }

    /// The endpoint for JWT grants: `token_client.token_endpoint` of the configuration.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/token", self.base_url())
    }

    /// The entity register: `registry.url` and `settings.er` of the configuration.
    #[must_use]
    pub fn register_url(&self) -> String {
        format!("{}{}", self.base_url(), register::PATH)
    }

    /// The source `testdata`.
    #[must_use]
    pub fn testdata_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::testdata::PATH)
    }

    /// The source `skatt`, before `/v2/ebevis/{org}`.
    #[must_use]
    pub fn skatt_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::skatt::PATH)
    }

    /// The source `skatt_person`: `settings.skatt_person` of the configuration.
    #[must_use]
    pub fn skatt_person_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::skatt_person::PATH)
    }

    /// The source `freg`: `settings.freg` of the configuration.
    #[must_use]
    pub fn freg_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::freg::PATH)
    }

    /// The source `produkter`: `settings.produkter` of the configuration. Its login is [`PRODUCTS_LOGIN`].
    #[must_use]
    pub fn products_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::products::PATH)
    }

    /// The source `arbeidstilsynet`: `settings.arbeidstilsynet` of the configuration.
    #[must_use]
    pub fn labour_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::labour::PATH)
    }

    /// The source `vegvesen`: `settings.vegvesen` of the configuration. Its key is [`ROADS_KEY`].
    #[must_use]
    pub fn roads_url(&self) -> String {
        format!("{}{}", self.base_url(), upstream::roads::PATH)
    }

    /// The inspection authorities: name of the setting (`tilda_brann`) and address of each.
    #[must_use]
    pub fn tilda_urls(&self) -> Vec<(String, String)> {
        let agencies = upstream::tilda::AGENCIES.iter();
        let address = |agency: &upstream::tilda::Agency| {
            let place = format!(
                "{}/{}/{}",
                self.base_url(),
                upstream::tilda::FOLDER,
                agency.key()
            );
            (agency.source.replace('-', "_"), place)
        };
        agencies.map(address).collect()
    }

    /// Altinn 3. 998997801 has given 991825827 the role DAGL, and 992037601 the right to `read` the resource `dan-test`.
    #[must_use]
    pub fn altinn_url(&self) -> String {
        format!("{}{}", self.base_url(), altinn::PATH)
    }

    /// The plugin `sandbox-plugin`: `plugins.url` of the configuration. Its key is [`PLUGIN_KEY`].
    #[must_use]
    pub fn plugin_url(&self) -> String {
        format!("{}{}", self.base_url(), plugin::PATH)
    }

    /// Forgets every call counted so far, as `DELETE /control/calls/{name}` does for one name. Faults stay.
    pub fn reset_calls(&self) {
        self.control.reset_calls();
    }

    /// Ends it and waits until nothing of it runs.
    pub async fn stop(mut self) {
        drop(self.stop);
        if let Some(Err(error)) = self.tasks.join_next().await {
            tracing::error!(%error, "the fake world ended in a panic");
        }
    }
}

fn base_url(address: SocketAddr) -> String {
    format!("http://{address}")
}
