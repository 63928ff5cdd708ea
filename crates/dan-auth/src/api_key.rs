//! [`ApiKey`]: the authenticator of API keys, and how keys are made.
//!
//! A key is `dan_<id>_<secret>`: 12 and 48 lower-case hex digits. The identifier is public and
//! finds the record; the record has a SHA-256 digest of the whole key, which is enough because the
//! secret is 192 random bits. The digest is compared in constant time, also when there is no
//! record, so that time does not tell which identifiers exist.

use std::sync::Arc;

use dan_core::caller::{Allowance, KeyProof, Proof};
use dan_core::network::Network;
use dan_core::party::OrgNumber;
use dan_core::ports::{
    ApiKeyRecord, AuthError, Authenticator, CallContext, Clock, Credentials, Entropy, PortFuture,
    Store, StoreError,
};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::throttle::Throttle;

/// What every key begins with, so that scanners of leaked secrets can find it.
pub const PREFIX: &str = "dan_";
/// Hex digits of a key's public identifier.
pub const ID_DIGITS: usize = 12;
/// Hex digits of a key's secret.
pub const SECRET_DIGITS: usize = 48;

/// What a new key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGrant {
    /// Identifier of the service context.
    pub context_id: String,
    /// The organisation the key is bound to.
    pub org: Option<OrgNumber>,
    /// A name for people.
    pub name: String,
    /// Not valid from this moment on.
    pub expires: Option<Timestamp>,
    /// Scopes of a holder who comes with a certificate.
    pub scopes: Vec<String>,
    /// Where it may be used from; empty means anywhere.
    pub networks: Vec<Network>,
    /// How much its holder may ask.
    pub allowance: Allowance,
}

/// Makes a key: the record to keep, and the key itself, which is shown once and never kept.
#[must_use]
pub fn mint(entropy: &dyn Entropy, grant: KeyGrant, now: Timestamp) -> (ApiKeyRecord, Secret) {
    let mut id = [0; ID_DIGITS / 2];
    entropy.fill(&mut id);
    let mut secret = Zeroizing::new([0; SECRET_DIGITS / 2]);
    entropy.fill(secret.as_mut());
    let id = hex(&id);
    let hidden = Zeroizing::new(hex(secret.as_ref()));
    let key = Secret::new([PREFIX, &id, "_", &hidden].concat());
    let record = ApiKeyRecord {
        id,
        digest: digest_of(&key),
        context_id: grant.context_id,
        org: grant.org,
        name: grant.name,
        created: now,
        expires: grant.expires,
        scopes: grant.scopes,
        networks: grant.networks,
        allowance: grant.allowance,
    };
    (record, key)
}

/// SHA-256 of the whole key, as it is kept in [`ApiKeyRecord::digest`].
#[must_use]
pub fn digest_of(key: &Secret) -> [u8; 32] {
    Sha256::digest(key.expose().as_bytes()).into()
}

/// The public identifier of a key; `None` when the text has not the form of a key.
#[must_use]
pub fn id_of(key: &Secret) -> Option<&str> {
    let (id, secret) = key.expose().strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, digits| {
        text.len() == digits
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS)).then_some(id)
}

fn hex(bytes: &[u8]) -> String {
    // Filled without growing, so that no copy of a secret is left behind.
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}

/// Finds [`Proof::Key`] by asking the store.
pub struct ApiKey {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    throttle: Throttle,
}

impl ApiKey {
    /// An authenticator that has seen no wrong key yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            throttle: Throttle::default(),
        }
    }

    /// The record of a key that is in force; otherwise the reason why not.
    async fn find(
        &self,
        key: &Secret,
        now: Timestamp,
    ) -> Result<Result<ApiKeyRecord, &'static str>, AuthError> {
        let Some(id) = id_of(key) else {
            return Ok(Err("not the form of an API key"));
        };
        let record = self.store.api_key(id).await.map_err(undecided)?;
        let kept = record.as_ref().map_or([0; 32], |record| record.digest);
        let same = bool::from(digest_of(key).ct_eq(&kept));
        Ok(match record {
            None => Err("unknown API key"),
            Some(_) if !same => Err("wrong secret of an API key"),
            Some(record) if record.expires.is_some_and(|end| end <= now) => Err("expired API key"),
            Some(record) => Ok(record),
        })
    }
}

fn undecided(error: StoreError) -> AuthError {
    AuthError::Undecided(match error {
        StoreError::Conflict => "API key not read: conflict".to_owned(),
        StoreError::Unavailable(why) => format!("API key not read: {why}"),
        StoreError::Corrupt(why) => format!("API key not read, corrupt: {why}"),
    })
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
                Ok(record) => Ok(Some(Proof::Key(KeyProof {
                    scopes: record.scopes,
                    allowance: record.allowance,
                    ..KeyProof::new(record.id, record.context_id, record.org)
                }))),
                Err(why) => match self.throttle.count_wrong(presented.address, now) {
                    Ok(()) => Err(AuthError::Rejected(why.to_owned())),
                    Err(retry_after_s) => Err(AuthError::Throttled { retry_after_s }),
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    }

    fn minted() -> (ApiKeyRecord, Secret) {
        let grant = KeyGrant {
            context_id: "ebevis-product".to_owned(),
            name: "test".to_owned(),
            ..KeyGrant::default()
        };
        mint(&Counting(0.into()), grant, Timestamp::from_ms(1))
    }

    #[test]
    fn a_minted_key_has_its_form_and_finds_its_record() {
        let (record, key) = minted();
        assert_eq!(
            key.expose(),
            "dan_000102030405_060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
        );
        assert_eq!(id_of(&key), Some(record.id.as_str()));
        assert_eq!(record.digest, digest_of(&key));
        assert_eq!(record.created, Timestamp::from_ms(1));
    }

    #[test]
    fn what_has_not_the_form_of_a_key_has_no_identifier() {
        let (_, key) = minted();
        let good = key.expose();
        for wrong in [
            String::new(),
            "dan_".to_owned(),
            good.to_uppercase(),
            good.replace("dan_", "DAN_"),
            good.replace('_', "-"),
            good.replacen('0', "g", 1),
            good.replacen('0', "\0", 1),
            good.replacen('0', "０", 1),
            format!("{good}0"),
            format!("{good} "),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{good}_00"),
            good.trim_end_matches('d').to_owned(),
            "x".repeat(100_000),
        ] {
            assert_eq!(id_of(&Secret::new(wrong.clone())), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_and_printed_does_not_hold_the_key() {
        let (record, key) = minted();
        let printed = format!("{record:?} {key:?}");
        assert!(!printed.contains("060708"), "{printed}");
    }
}
