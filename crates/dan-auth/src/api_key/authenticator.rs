//! [`ApiKey`]: the authenticator of API keys.

use std::net::IpAddr;
use std::sync::Arc;

use dan_core::caller::{KeyProof, Proof};
use dan_core::ports::{
    ApiKeyRecord, AuthError, Authenticator, CallContext, Clock, Credentials, PortFuture, Store,
    StoreError,
};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_core::ttl::{Freshness, TtlMap};
use subtle::ConstantTimeEq as _;

use super::{digest_of, id_of};
use crate::jwks::is_within;
use crate::throttle::Throttle;

/// How long a key that was read is used without asking the store again, in ms. With this and nothing else between
/// nodes, a key that is revoked on one stops working on all within a second.
pub const KEPT_MS: i64 = 900;
/// Most keys kept.
const KEPT_MAX: usize = 10_000;

/// Finds [`Proof::Key`] by asking the store, once for all that come within [`KEPT_MS`].
pub struct ApiKey {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    throttle: Throttle,
    kept: TtlMap<String, Arc<ApiKeyRecord>>,
}

/// Why a record was not had.
enum Missing {
    Unknown,
    Unread(StoreError),
}

impl ApiKey {
    /// An authenticator that has seen no key yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            throttle: Throttle::default(),
            kept: TtlMap::new(KEPT_MAX),
        }
    }

    /// The record of a key that is in force; otherwise the reason why not.
    async fn find(
        &self,
        key: &Secret,
        now: Timestamp,
    ) -> Result<Result<Arc<ApiKeyRecord>, &'static str>, AuthError> {
        let Some(id) = id_of(key) else {
            return Ok(Err("not the form of an API key"));
        };
        let record = match self.record(id, now).await {
            Ok(record) => Some(record),
            Err(Missing::Unknown) => None,
            Err(Missing::Unread(error)) => return Err(undecided(error)),
        };
        let kept = record.as_ref().map_or([0; 32], |record| record.digest);
        let same = bool::from(digest_of(key).ct_eq(&kept));
        Ok(match record {
            None => Err("unknown API key"),
            Some(_) if !same => Err("wrong secret of an API key"),
            Some(record) if record.expires.is_some_and(|end| end <= now) => Err("expired API key"),
            Some(record) => Ok(record),
        })
    }

    async fn record(&self, id: &str, now: Timestamp) -> Result<Arc<ApiKeyRecord>, Missing> {
        let judge = |_: &Arc<ApiKeyRecord>, read: Timestamp| {
            if is_within(read, now, KEPT_MS) {
                Freshness::Fresh
            } else {
                Freshness::Dead
            }
        };
        let ask = async {
            let found = self.store.api_key(id).await.map_err(Missing::Unread)?;
            found.map(Arc::new).ok_or(Missing::Unknown)
        };
        self.kept.get_or_make(&id.to_owned(), now, judge, ask).await
    }
}

fn undecided(error: StoreError) -> AuthError {
    AuthError::Undecided(match error {
        StoreError::Conflict => "API key not read: conflict".to_owned(),
        StoreError::Unavailable(why) => format!("API key not read: {why}"),
        StoreError::Corrupt(why) => format!("API key not read, corrupt: {why}"),
    })
}

/// Whether the key may be used from there.
fn reaches(record: &ApiKeyRecord, address: IpAddr) -> bool {
    let networks = &record.networks;
    networks.is_empty() || networks.iter().any(|network| network.contains(address))
}

impl Authenticator for ApiKey {
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        Box::pin(async move {
            let Some(key) = presented.api_key.as_ref().filter(|key| !key.is_empty()) else {
                return Ok(None);
            };
            let now = self.clock.now();
            match self.find(key, now).await? {
                Ok(record) if !reaches(&record, presented.address) => Err(AuthError::Forbidden(
                    "this API key may not be used from your address".to_owned(),
                )),
                Ok(record) => Ok(Some(Proof::Key(KeyProof {
                    scopes: record.scopes.clone(),
                    allowance: record.allowance,
                    ..KeyProof::new(record.id.clone(), record.context_id.clone(), record.org)
                }))),
                Err(why) => match self.throttle.count_wrong(presented.address, now) {
                    Ok(()) => Err(AuthError::Rejected(why.to_owned())),
                    Err(retry_after_s) => Err(AuthError::Throttled { retry_after_s }),
                },
            }
        })
    }
}
