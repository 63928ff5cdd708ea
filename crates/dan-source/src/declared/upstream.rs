//! [`Upstream`]: a source as `sources/<name>.toml` declares it, and its share of the node.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::call::SourcePorts;
use super::token;
use crate::authorities::tokens::{ClientCredentials, bearer};
use crate::protect::WAIT_MS_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::ports::{CallContext, FetchRequest, SourceError};
use dan_core::secret::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Largest answer that is read when the source's file does not say, in bytes (`security.md` F6).
pub const REPLY_BYTES_DEFAULT: u32 = 10 * 1024 * 1024;
/// Largest answer a source's file may allow, in bytes.
pub const REPLY_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Seconds a call may take when nothing says otherwise (`security.md` F2).
pub const CALL_TIMEOUT_S_DEFAULT: u32 = 10;
/// Calls to one source at the same time when its file does not say.
pub const PARALLEL_DEFAULT: u32 = 64;
/// Most calls to one source at the same time that its file may allow.
pub const PARALLEL_MAX: u32 = 1024;
/// How many calls may wait for each one that is running; more are told to come back.
const WAITING_PER_SLOT: usize = 4;

/// How a source is convinced that it is us.
#[derive(Clone)]
pub(crate) enum Credential {
    /// It asks for nothing.
    None,
    /// HTTP Basic (RFC 7617); the secret is `user:password`.
    Basic(Arc<Secret>),
    /// A key in a header of its own.
    ApiKey {
        /// Lower-case name of the header.
        header: String,
        /// The key.
        key: Arc<Secret>,
    },
    /// A token of its own authorization server.
    OAuth2(Arc<ClientCredentials>),
}

/// Shows the kind, nothing else.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Credential(none)",
            Self::Basic(_) => "Credential(basic)",
            Self::ApiKey { .. } => "Credential(api key)",
            Self::OAuth2(_) => "Credential(oauth2)",
        })
    }
}

/// A source that calls name.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) credential: Credential,
    pub(crate) reply_bytes_max: usize,
    pub(crate) timeout_s: u32,
    /// The setting that its address needs and this node does not have.
    pub(crate) unset: Option<String>,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A call that found no room in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

impl Upstream {
    pub(crate) fn new(
        name: &str,
        address: String,
        credential: Credential,
        (reply_bytes_max, timeout_s, parallel_max): (u32, u32, u32),
    ) -> Self {
        let parallel = usize::try_from(parallel_max).unwrap_or(1);
        Self {
            name: name.to_owned(),
            address,
            credential,
            reply_bytes_max: usize::try_from(reply_bytes_max).unwrap_or(usize::MAX),
            timeout_s,
            unset: None,
            slots: Arc::new(Semaphore::new(parallel)),
            waiting: AtomicUsize::new(0),
            waiting_max: parallel.saturating_mul(WAITING_PER_SLOT),
        }
    }

    /// A source that this node is not set up for: `setting` is missing.
    pub(crate) fn without(self, setting: Option<String>) -> Self {
        Self {
            unset: setting,
            ..self
        }
    }

    /// Waits for a place among the calls to this source. Dropping it gives up the place in line.
    ///
    /// # Errors
    /// [`Crowded`] when too many wait already, or none came free by the deadline.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Crowded> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(permit);
        }
        let _queued = Queued::join(self)?;
        let waiting = Arc::clone(&self.slots).acquire_owned();
        let patience = Instant::now().checked_add(Duration::from_millis(WAIT_MS_MAX));
        let until = patience.map_or(deadline, |patience| patience.min(deadline));
        match timeout_at(until, waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Crowded),
        }
    }

    /// The value of `Authorization` that has to be got first, if there is one.
    ///
    /// # Errors
    /// Unreachable when the authorization server of the source gives no token.
    pub(crate) async fn authorization(
        &self,
        (source, call): (&str, &str),
        ports: &SourcePorts,
        ctx: &CallContext,
    ) -> Result<Option<Secret>, SourceError> {
        let Credential::OAuth2(client) = &self.credential else {
            return Ok(None);
        };
        let asking = client.token(ports.fetch.as_ref(), ports.clock.as_ref(), ctx);
        let got = timeout_at(ctx.deadline, asking).await;
        let got = got.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()));
        let token = got.map_err(|why| {
            let whose = format!("the authorization server of {source}");
            token::without((source, call), &whose, &why)
        })?;
        Ok(Some(bearer(&token)))
    }

    /// Puts the credential on a request.
    pub(crate) fn sign_on(&self, request: &mut FetchRequest) {
        match &self.credential {
            // A token has to be got first: see `Line`.
            Credential::None | Credential::OAuth2(_) => {}
            Credential::Basic(secret) => {
                let encoded = STANDARD.encode(secret.expose());
                request.authorization = Some(Secret::new(format!("Basic {encoded}")));
            }
            Credential::ApiKey { header, key } => {
                let copy = Secret::new(key.expose().to_owned());
                request.secret_headers.push((header.clone(), copy));
            }
        }
    }
}

/// A place in the line, given back when dropped.
struct Queued<'a>(&'a Upstream);

impl<'a> Queued<'a> {
    fn join(upstream: &'a Upstream) -> Result<Self, Crowded> {
        let before = upstream.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(upstream);
        if before >= upstream.waiting_max {
            return Err(Crowded);
        }
        Ok(place)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(credential: Credential, parallel: u32) -> Upstream {
        Upstream::new(
            "reg",
            "https://reg.example".to_owned(),
            credential,
            (1000, 10, parallel),
        )
    }

    #[test]
    fn credentials_are_put_where_they_belong_and_are_not_shown() {
        let secret = || Arc::new(Secret::new("user:pass".to_owned()));
        let mut request = FetchRequest::get("reg", String::new(), 1);
        let basic = upstream(Credential::Basic(secret()), 1);
        basic.sign_on(&mut request);
        let sent = request.authorization.as_ref().map(Secret::expose);
        assert_eq!(sent, Some("Basic dXNlcjpwYXNz"));
        assert!(!format!("{basic:?}").contains("pass"));

        let mut request = FetchRequest::get("reg", String::new(), 1);
        let keyed = Credential::ApiKey {
            header: "x-api-key".to_owned(),
            key: secret(),
        };
        upstream(keyed, 1).sign_on(&mut request);
        assert!(request.authorization.is_none());
        assert_eq!(request.secret_headers[0].0, "x-api-key");
        assert_eq!(request.secret_headers[0].1.expose(), "user:pass");
    }

    #[tokio::test]
    async fn a_full_source_lets_nobody_in_after_the_deadline() {
        let reg = upstream(Credential::None, 1);
        let now = Instant::now();
        let held = reg.enter(now).await.expect("a free place");
        assert_eq!(reg.enter(now).await.err(), Some(Crowded));
        drop(held);
        assert!(reg.enter(now).await.is_ok());
        assert_eq!(reg.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_line_has_an_end() {
        let reg = upstream(Credential::None, 1);
        let _held = reg.slots.try_acquire().expect("free");
        let line: Vec<_> = (0..WAITING_PER_SLOT)
            .map(|_| Queued::join(&reg).expect("room"))
            .collect();
        assert!(Queued::join(&reg).is_err());
        drop(line);
        assert!(Queued::join(&reg).is_ok());
    }
}
