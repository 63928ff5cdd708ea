//! The keys of one issuer, fetched through the Fetch port: its metadata (RFC 8414) says how it is
//! called and where its keys are, and those are kept in memory.
//!
//! At most one flight to the issuer is under way, however many ask. A flight does not belong to
//! the request that started it: a caller who goes away cannot keep the others from new keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dan_core::ports::{AuthError, CallContext, Clock, Fetch, FetchRequest};
use dan_core::time::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use crate::jwk::{KEY_SET_BYTES_MAX, KeySet};
use dan_core::strict;

/// Largest metadata document, in bytes.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;
/// How long keys are used without asking again, in ms.
pub const FRESH_MS: i64 = 10 * 60 * 1000;
/// How long keys are used while the issuer is out of reach, in ms (`security.md` F12).
pub const STALE_MS: i64 = 24 * 60 * 60 * 1000;
/// Pause between tries to renew keys that still serve, in ms.
pub const RENEW_PAUSE_MS: i64 = 30 * 1000;
/// Pause between tries to get keys at all, in ms: long enough to spare an issuer that is down,
/// short enough to be back within seconds.
pub const FIRST_PAUSE_MS: i64 = 1000;
/// Pause between refreshes that tokens with an unknown `kid` cause, all callers together, in ms.
pub const UNKNOWN_KID_PAUSE_MS: i64 = 60 * 1000;
/// Longest time that one flight may take, whatever the request's deadline.
pub const FLIGHT_MAX: Duration = Duration::from_secs(10);
/// Longest time that known metadata may take to be read again: the keys still need their share.
pub const METADATA_RENEW_MAX: Duration = Duration::from_secs(5);

/// What is known of an issuer.
struct Known {
    issuer: String,
    key_set_url: String,
    keys: Option<(Arc<KeySet>, Timestamp)>,
}

/// What a flight needs; it may outlive the request, not the [`IssuerKeys`].
struct Desk {
    name: String,
    metadata_url: String,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    known: ArcSwapOption<Known>,
    landed: Mutex<Option<Timestamp>>,
}

/// The flight under way, and what limits the next one.
#[derive(Default)]
struct Tower {
    landing: Option<watch::Receiver<()>>,
    for_unknown_kid: Option<Timestamp>,
    flights: JoinSet<()>,
}

/// What a flight is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// Metadata, then keys.
    Everything,
    /// Keys only: a token has a `kid` that is not among them.
    UnknownKid,
}

/// One issuer's name and keys, kept fresh.
pub(crate) struct IssuerKeys {
    desk: Arc<Desk>,
    tower: Mutex<Tower>,
}

impl IssuerKeys {
    pub(crate) fn new(
        name: String,
        metadata_url: String,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            desk: Arc::new(Desk {
                name,
                metadata_url,
                fetch,
                clock,
                known: ArcSwapOption::empty(),
                landed: Mutex::new(None),
            }),
            tower: Mutex::default(),
        }
    }

    /// Whether the issuer's metadata was ever read.
    pub(crate) fn is_known(&self) -> bool {
        self.desk.known.load().is_some()
    }

    /// Whether a token with this `iss` is for these keys: the text is the very name that the
    /// issuer's metadata gives.
    pub(crate) fn is_called(&self, iss: &str) -> bool {
        self.desk
            .known
            .load()
            .as_ref()
            .is_some_and(|known| known.issuer == iss)
    }

    /// Tries to learn the issuer's name, and waits for the outcome.
    pub(crate) async fn introduce(&self, ctx: &CallContext) {
        self.await_flight(Errand::Everything, ctx).await;
    }

    /// Starts to renew what is old, without waiting.
    pub(crate) fn renew_if_old(&self, ctx: &CallContext) {
        if self.keys_now().is_none_or(|(_, fresh)| !fresh) {
            drop(self.board(Errand::Everything, ctx));
        }
    }

    /// The keys: fresh ones, or old ones that are being renewed, or new ones after waiting.
    ///
    /// # Errors
    /// [`AuthError::Undecided`] when there are none that may be used.
    pub(crate) async fn keys(&self, ctx: &CallContext) -> Result<Arc<KeySet>, AuthError> {
        if let Some((keys, _)) = self.keys_now() {
            self.renew_if_old(ctx);
            return Ok(keys);
        }
        self.await_flight(Errand::Everything, ctx).await;
        self.keys_now().map(|(keys, _)| keys).ok_or_else(|| {
            AuthError::Undecided(format!("no keys of issuer {} at hand", self.desk.name))
        })
    }

    /// Newer keys than `seen`, in which a `kid` was not found, if there are any: one refresh a
    /// minute is all that such tokens can cause.
    pub(crate) async fn newer(&self, seen: &Arc<KeySet>, ctx: &CallContext) -> Option<Arc<KeySet>> {
        let unseen = || {
            let (keys, _) = self.keys_now()?;
            (!Arc::ptr_eq(&keys, seen)).then_some(keys)
        };
        if let Some(keys) = unseen() {
            return Some(keys);
        }
        self.await_flight(Errand::UnknownKid, ctx).await;
        unseen()
    }

    /// Keys that may be used, and whether they are fresh.
    fn keys_now(&self) -> Option<(Arc<KeySet>, bool)> {
        let known = self.desk.known.load();
        let (keys, at) = known.as_ref()?.keys.as_ref()?;
        let now = self.desk.clock.now();
        // With the clock set back, keys look as if they came from the future: they are used, and
        // renewed.
        let usable = is_within(*at, now, STALE_MS) || is_within(now, *at, STALE_MS);
        usable.then(|| (Arc::clone(keys), is_within(*at, now, FRESH_MS)))
    }

    async fn await_flight(&self, errand: Errand, ctx: &CallContext) {
        let Some(mut landing) = self.board(errand, ctx) else {
            return;
        };
        // The sender says nothing: it is dropped when the flight ends, however it ends. Who waits
        // looks for keys afterwards, so the outcome of the wait itself does not matter.
        match timeout_at(ctx.deadline, landing.changed()).await {
            Ok(_) | Err(_) => (),
        }
    }

    /// The end of the flight under way, or of a new one; `None` when it is too early for one.
    fn board(&self, errand: Errand, ctx: &CallContext) -> Option<watch::Receiver<()>> {
        let mut tower = lock(&self.tower);
        if let Some(landing) = &tower.landing
            && landing.has_changed().is_ok()
        {
            return Some(landing.clone());
        }
        let now = self.desk.clock.now();
        let (last, pause) = match errand {
            Errand::UnknownKid => (tower.for_unknown_kid, UNKNOWN_KID_PAUSE_MS),
            Errand::Everything if self.keys_now().is_some() => {
                (*lock(&self.desk.landed), RENEW_PAUSE_MS)
            }
            Errand::Everything => (*lock(&self.desk.landed), FIRST_PAUSE_MS),
        };
        if last.is_some_and(|last| is_within(last, now, pause)) {
            return None;
        }
        if errand == Errand::UnknownKid {
            tower.for_unknown_kid = Some(now);
        }
        let (landed, landing) = watch::channel(());
        let desk = Arc::clone(&self.desk);
        let ctx = ctx.clone();
        while tower.flights.try_join_next().is_some() {}
        tower.flights.spawn(async move {
            desk.fly(errand, &ctx).await;
            drop(landed);
        });
        tower.landing = Some(landing.clone());
        Some(landing)
    }
}

impl Desk {
    async fn fly(&self, errand: Errand, ctx: &CallContext) {
        let outcome = timeout(FLIGHT_MAX, self.refresh(errand, ctx)).await;
        *lock(&self.landed) = Some(self.clock.now());
        match outcome {
            Ok(Ok(())) => tracing::debug!(issuer = self.name, "keys of issuer fetched"),
            Ok(Err(error)) => {
                tracing::warn!(issuer = self.name, error, "keys of issuer not fetched");
            }
            Err(_) => {
                let error = "no answer in time";
                tracing::warn!(issuer = self.name, error, "keys of issuer not fetched");
            }
        }
    }

    async fn refresh(&self, errand: Errand, ctx: &CallContext) -> Result<(), String> {
        let mut place = self.known.load_full();
        if errand == Errand::Everything || place.is_none() {
            let limit = place.as_ref().map_or(FLIGHT_MAX, |_| METADATA_RENEW_MAX);
            let answer = timeout(limit, self.metadata(ctx)).await;
            match answer.unwrap_or_else(|late| Err(format!("metadata: {late}"))) {
                Ok(found) => {
                    let found = Arc::new(found.keeping_keys_of(place.as_deref()));
                    self.known.store(Some(Arc::clone(&found)));
                    place = Some(found);
                }
                // The keys may still be where they were.
                Err(error) if place.is_some() => {
                    tracing::warn!(issuer = self.name, error, "metadata of issuer not fetched");
                }
                Err(error) => return Err(error),
            }
        }
        let place = place.ok_or("no metadata")?;
        let document = self
            .document(place.key_set_url.clone(), KEY_SET_BYTES_MAX, ctx)
            .await
            .map_err(|error| format!("key set: {error}"))?;
        let keys = KeySet::parse(&document).map_err(|error| error.to_string())?;
        if keys.is_empty() {
            return Err("the key set has no key we can use".to_owned());
        }
        // What has not changed stays the same set: tokens that it has verified need not be verified again.
        let keys = match &place.keys {
            Some((old, _)) if old.is_same_document(&keys) => Arc::clone(old),
            Some(_) | None => Arc::new(keys),
        };
        self.known.store(Some(Arc::new(Known {
            issuer: place.issuer.clone(),
            key_set_url: place.key_set_url.clone(),
            keys: Some((keys, self.clock.now())),
        })));
        Ok(())
    }

    async fn metadata(&self, ctx: &CallContext) -> Result<Known, String> {
        let document = self
            .document(self.metadata_url.clone(), METADATA_BYTES_MAX, ctx)
            .await
            .map_err(|error| format!("metadata: {error}"))?;
        let members = strict::json_object(&document)
            .ok()
            .ok_or("the metadata is no strict JSON object")?;
        let text = |name| {
            members
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let issuer = text("issuer").ok_or("the metadata names no issuer")?;
        let key_set_url = text("jwks_uri").ok_or("the metadata has no jwks_uri")?;
        if !is_as_safe_as(key_set_url, &self.metadata_url) {
            return Err("jwks_uri is no address as safe as that of the metadata".to_owned());
        }
        Ok(Known {
            issuer: issuer.to_owned(),
            key_set_url: key_set_url.to_owned(),
            keys: None,
        })
    }

    async fn document(
        &self,
        url: String,
        bytes_max: usize,
        ctx: &CallContext,
    ) -> Result<Vec<u8>, String> {
        let peer = format!("issuer {}", self.name);
        let reply = self
            .fetch
            .fetch(FetchRequest::get(&peer, url, bytes_max), ctx)
            .await
            .map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(format!("status {}", reply.status));
        }
        if reply.body.len() > bytes_max {
            return Err("the answer is too large".to_owned());
        }
        Ok(reply.body.to_vec())
    }
}

impl Known {
    /// Keys go with the issuer's name: a new name starts without any.
    fn keeping_keys_of(self, old: Option<&Self>) -> Self {
        let keys = old
            .filter(|old| old.issuer == self.issuer)
            .and_then(|old| old.keys.clone());
        Self { keys, ..self }
    }
}

/// Keys that arrive over `http` are worth no more than the network between.
fn is_as_safe_as(address: &str, metadata_url: &str) -> bool {
    address.starts_with("https://")
        || (address.starts_with("http://") && metadata_url.starts_with("http://"))
}

/// Whether `moment` lies less than `span_ms` back. A moment in the future does not count: the clock
/// was set back, and nothing may wait for it to come round again.
pub(crate) const fn is_within(moment: Timestamp, now: Timestamp, span_ms: i64) -> bool {
    let age = now.as_ms().saturating_sub(moment.as_ms());
    0 <= age && age < span_ms
}

/// A lock whose holder panicked still guards whole values: each is written in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use dan_core::ports::{FetchError, FetchReply, PortFuture};
    use dan_core::testkit::fakes::{StillClock, call_context};

    use super::*;

    #[test]
    fn the_clock_set_back_blocks_nothing() {
        let at = Timestamp::from_ms(10_000);
        assert!(is_within(at, at, 1));
        assert!(is_within(at, at.plus_ms(99), 100));
        assert!(!is_within(at, at.plus_ms(100), 100));
        assert!(!is_within(at, at.plus_ms(-1), 100));
    }

    #[test]
    fn keys_are_not_fetched_over_a_weaker_line_than_the_metadata() {
        assert!(is_as_safe_as("https://a/jwk", "https://a/m"));
        assert!(is_as_safe_as("https://a/jwk", "http://a/m"));
        assert!(is_as_safe_as("http://a/jwk", "http://a/m"));
        assert!(!is_as_safe_as("http://a/jwk", "https://a/m"));
        for odd in ["", "/jwk", "file:///etc/jwk", "HTTPS://a", "ftp://a/jwk"] {
            assert!(!is_as_safe_as(odd, "http://a/m"), "{odd}");
        }
    }

    /// One issuer that publishes the key it is told to.
    struct Publisher(Mutex<&'static str>);

    impl Fetch for Publisher {
        fn fetch<'a>(
            &'a self,
            request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            let body = match request.url.ends_with("/jwk") {
                true => serde_json::json!({"keys": [{
                    "kty": "EC", "crv": "P-256", "kid": *lock(&self.0),
                    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                }]}),
                false => serde_json::json!({"issuer": "a", "jwks_uri": "https://a/jwk"}),
            };
            Box::pin(std::future::ready(Ok(FetchReply {
                status: 200,
                media_type: None,
                retry_after_s: None,
                body: bytes::Bytes::from(body.to_string()),
            })))
        }
    }

    #[tokio::test]
    async fn a_set_that_has_not_changed_stays_the_same_one() {
        let publisher = Arc::new(Publisher(Mutex::new("k")));
        let clock = Arc::new(StillClock::default());
        let keys = IssuerKeys::new(
            "a".to_owned(),
            "https://a/m".to_owned(),
            Arc::clone(&publisher) as _,
            Arc::clone(&clock) as _,
        );
        let ctx = call_context();
        let refreshed = async || {
            clock.advance_ms(FRESH_MS);
            keys.await_flight(Errand::Everything, &ctx).await;
            keys.keys(&ctx).await.unwrap()
        };
        let first = keys.keys(&ctx).await.unwrap();
        assert!(Arc::ptr_eq(&first, &refreshed().await));
        *lock(&publisher.0) = "l";
        assert!(!Arc::ptr_eq(&first, &refreshed().await));
    }
}
