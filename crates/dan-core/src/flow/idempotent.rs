//! `Idempotency-Key`: the same application under the same key gives the same grant for a day.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::grant::Granted;
use super::{Call, Exchange, store_fault};
use crate::catalog::Catalog;
use crate::error::{Code, Fault};
use crate::ports::IdempotencyRecord;
use crate::time::{DAY_MS, Timestamp};

/// How long a key is remembered.
pub const IDEMPOTENCY_MS: i64 = DAY_MS;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// What a client says so that a repeat is recognised. Neither is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    key_digest: [u8; 32],
    request_digest: [u8; 32],
}

impl Idempotency {
    /// From the header and the body it stands over. Keys are separate for each service context.
    ///
    /// # Errors
    /// 1014 when the key is empty, longer than [`KEY_BYTES_MAX`] or not visible ASCII.
    pub fn new(key: &str, context_id: &str, body: &[u8]) -> Result<Self, Fault> {
        let fits = !key.is_empty()
            && key.len() <= KEY_BYTES_MAX
            && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            let text = "Idempotency-Key must be 1 to 255 visible ASCII characters";
            return Err(Fault::with(Code::InvalidAuthorizationRequest, text));
        }
        let mut hash = Sha256::new();
        hash.update(context_id.to_lowercase());
        hash.update([0]);
        hash.update(key);
        Ok(Self {
            key_digest: hash.finalize().into(),
            request_digest: Sha256::digest(body).into(),
        })
    }

    pub(super) fn record(&self, granted: &Granted, now: Timestamp) -> IdempotencyRecord {
        IdempotencyRecord {
            owner: granted.accreditation.owner,
            key_digest: self.key_digest,
            request_digest: self.request_digest,
            accreditation: granted.accreditation.id.clone(),
            expires: now.plus_ms(IDEMPOTENCY_MS),
        }
    }
}

impl Exchange {
    /// The grant that an earlier application under the same key got; `None` when there was none.
    pub(super) async fn remembered(
        &self,
        call: Call<'_>,
        idempotency: &Idempotency,
        catalog: &Arc<Catalog>,
    ) -> Result<Option<Granted>, Fault> {
        let owner = call.caller.owner();
        let found = self
            .ports
            .store
            .idempotency(owner, &idempotency.key_digest)
            .await;
        let Some(found) = found
            .map_err(store_fault)?
            .filter(|found| found.expires > self.now())
        else {
            return Ok(None);
        };
        if found.request_digest != idempotency.request_digest {
            let text = "the Idempotency-Key was used for another application; use a new one";
            return Err(Fault::with(Code::InvalidAuthorizationRequest, text).status(422));
        }
        let grant = self
            .own_accreditation(call.caller, found.accreditation.as_str())
            .await?;
        Ok(Some(Granted {
            accreditation: grant.value,
            catalog: Arc::clone(catalog),
        }))
    }
}
