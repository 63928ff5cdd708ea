//! API keys against a store: who has one, who has had one, who guesses.

use std::net::IpAddr;
use std::sync::Arc;

use dan_auth::{ApiKey, mint, throttle};
use dan_core::accreditation::{Accreditation, AccreditationId};
use dan_core::caller::{KeyProof, Proof};
use dan_core::party::OrgNumber;
use dan_core::ports::{
    AccreditationFilter, ApiKeyRecord, AuthError, Authenticator as _, Batch, Clock,
    IdempotencyRecord, KeyGrant, KeyUse, PortFuture, ProofRecord, Store, StoreError, Stored,
    StoredAudit, Write,
};
use dan_core::secret::Secret;
use dan_core::testkit::fakes::{CountingEntropy, FakeStore, START, StillClock, call_context};
use dan_core::time::Timestamp;
use dan_core::usage::UsageRow;

use super::issuer::credentials;

struct Door {
    clock: Arc<StillClock>,
    keys: ApiKey,
    store: Arc<FakeStore>,
}

impl Door {
    fn new() -> Self {
        let clock = Arc::new(StillClock::default());
        let store = Arc::new(FakeStore::default());
        let keys = ApiKey::new(
            Arc::<FakeStore>::clone(&store),
            Arc::<StillClock>::clone(&clock),
        );
        Self { clock, keys, store }
    }

    async fn knock(&self, key: &str) -> Result<Option<Proof>, AuthError> {
        self.knock_from(key, "192.0.2.1").await
    }

    async fn knock_from(&self, key: &str, address: &str) -> Result<Option<Proof>, AuthError> {
        let mut presented = credentials(Some(key), None);
        presented.address = address.parse::<IpAddr>().unwrap();
        self.keys.authenticate(&presented, &call_context()).await
    }

    async fn issue(&self, entropy: &CountingEntropy, life_ms: Option<i64>) -> Secret {
        let grant = KeyGrant {
            context_id: "ebevis-product".to_owned(),
            org: OrgNumber::parse("991825827"),
            name: "test".to_owned(),
            expires: life_ms.map(|ms| START.plus_ms(ms)),
            ..KeyGrant::default()
        };
        let (record, key) = mint(entropy, grant, self.clock.now());
        let batch = Batch(vec![Write::new_api_key(record)]);
        self.store.commit(&batch).await.unwrap();
        key
    }
}

fn rejected(outcome: &Result<Option<Proof>, AuthError>) -> bool {
    matches!(outcome, Err(AuthError::Rejected(_)))
}

/// The key with its last digit changed: identifier known, secret wrong.
fn guessed(key: &Secret) -> String {
    let mut text = key.expose().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    text
}

#[tokio::test]
async fn a_key_in_force_proves_its_context_and_organisation() {
    let door = Door::new();
    let key = door.issue(&CountingEntropy::default(), None).await;
    let Ok(Some(Proof::Key(KeyProof {
        id,
        context_id,
        org,
        ..
    }))) = door.knock(key.expose()).await
    else {
        panic!("refused");
    };
    assert!(key.expose().contains(&id));
    assert_eq!(context_id, "ebevis-product");
    assert_eq!(org, OrgNumber::parse("991825827"));
}

#[tokio::test]
async fn no_key_proves_nothing_and_is_no_fault() {
    let door = Door::new();
    assert!(matches!(door.knock("").await, Ok(None)));
    let nothing = credentials(None, Some("token"));
    let outcome = door.keys.authenticate(&nothing, &call_context()).await;
    assert!(matches!(outcome, Ok(None)));
}

#[tokio::test]
async fn wrong_keys_are_rejected() {
    let door = Door::new();
    let entropy = CountingEntropy::default();
    let (one, two) = (
        door.issue(&entropy, None).await,
        door.issue(&entropy, None).await,
    );
    let (one, two) = (one.expose(), two.expose());
    let halves = |key: &str| {
        let (id, secret) = key.rsplit_once('_').unwrap();
        (id.to_owned(), secret.to_owned())
    };
    for (address, wrong) in [
        guessed(&Secret::new(one.to_owned())),
        format!("{}_{}", halves(one).0, halves(two).1),
        format!("dan_{}_{}", "f".repeat(12), "f".repeat(48)),
        one.to_uppercase(),
        format!("{one} "),
        format!("{one}\0"),
        one.replacen('_', "__", 1),
        "Ocp-Apim".to_owned(),
        "٠".repeat(33),
    ]
    .iter()
    .enumerate()
    {
        let outcome = door.knock_from(wrong, &format!("192.0.2.{address}")).await;
        assert!(rejected(&outcome), "{wrong}");
    }
}

#[tokio::test]
async fn a_key_ends_at_the_moment_it_expires() {
    let door = Door::new();
    let key = door.issue(&CountingEntropy::default(), Some(1000)).await;
    door.clock.advance_ms(999);
    assert!(door.knock(key.expose()).await.is_ok());
    door.clock.advance_ms(1);
    assert!(rejected(&door.knock(key.expose()).await));
}

#[tokio::test]
async fn after_ten_wrong_keys_wrong_ones_wait_and_valid_ones_pass() {
    let door = Door::new();
    let key = door.issue(&CountingEntropy::default(), None).await;
    let wrong = guessed(&key);
    for _ in 0..throttle::WRONG_TRIES_MAX {
        assert!(rejected(&door.knock(&wrong).await));
        assert!(door.knock(key.expose()).await.is_ok());
    }
    for _ in 0..100 {
        let outcome = door.knock(&wrong).await;
        assert_eq!(
            outcome.unwrap_err(),
            AuthError::Throttled { retry_after_s: 60 }
        );
    }
    assert!(door.knock(key.expose()).await.is_ok());
    assert!(rejected(&door.knock_from(&wrong, "192.0.2.2").await));
    door.clock.advance_ms(throttle::WINDOW_MS);
    assert!(rejected(&door.knock(&wrong).await));
}

#[tokio::test]
async fn a_store_that_cannot_be_read_leaves_it_undecided_and_counts_nothing() {
    let clock = Arc::new(StillClock::default());
    let keys = ApiKey::new(Arc::new(BrokenStore), clock);
    let key = format!("dan_{}_{}", "0".repeat(12), "0".repeat(48));
    let presented = credentials(Some(&key), None);
    for _ in 0..20 {
        let outcome = keys.authenticate(&presented, &call_context()).await;
        assert!(matches!(outcome, Err(AuthError::Undecided(_))));
    }
}

#[tokio::test]
async fn neither_reasons_nor_debug_hold_the_key() {
    let door = Door::new();
    let key = door.issue(&CountingEntropy::default(), Some(1)).await;
    door.clock.advance_ms(1);
    for wrong in [
        key.expose().to_owned(),
        guessed(&key),
        "dan_short_secret".to_owned(),
    ] {
        let secret = wrong.rsplit_once('_').unwrap().1;
        let printed = format!(
            "{:?} {:?}",
            door.knock(&wrong).await.unwrap_err(),
            credentials(Some(&wrong), Some(&wrong))
        );
        assert!(!printed.contains(secret), "{printed}");
    }
}

/// A store that answers no question.
struct BrokenStore;

fn broken<'a, T: Send + 'a>() -> PortFuture<'a, Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::Unavailable("closed".to_owned())) })
}

impl Store for BrokenStore {
    fn accreditation<'a>(
        &'a self,
        _: &'a AccreditationId,
    ) -> PortFuture<'a, Result<Option<Stored<Accreditation>>, StoreError>> {
        broken()
    }

    fn accreditations<'a>(
        &'a self,
        _: &'a AccreditationFilter,
    ) -> PortFuture<'a, Result<Vec<Stored<Accreditation>>, StoreError>> {
        broken()
    }

    fn api_key<'a>(
        &'a self,
        _: &'a str,
    ) -> PortFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        broken()
    }

    fn ended(
        &self,
        _: Timestamp,
        _: u32,
    ) -> PortFuture<'_, Result<Vec<Stored<Accreditation>>, StoreError>> {
        broken()
    }

    fn idempotency<'a>(
        &'a self,
        _: OrgNumber,
        _: &'a [u8; 32],
    ) -> PortFuture<'a, Result<Option<IdempotencyRecord>, StoreError>> {
        broken()
    }

    fn proof<'a>(&'a self, _: &'a str) -> PortFuture<'a, Result<Option<ProofRecord>, StoreError>> {
        broken()
    }

    fn api_keys(&self) -> PortFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>> {
        broken()
    }

    fn key_uses<'a>(
        &'a self,
        _: Option<&'a str>,
    ) -> PortFuture<'a, Result<Vec<KeyUse>, StoreError>> {
        broken()
    }

    fn usage(&self, _: i32, _: i32) -> PortFuture<'_, Result<Vec<UsageRow>, StoreError>> {
        broken()
    }

    fn audit(&self, _: u64, _: u32) -> PortFuture<'_, Result<Vec<StoredAudit>, StoreError>> {
        broken()
    }

    fn ready(&self) -> PortFuture<'_, Result<(), StoreError>> {
        broken()
    }

    fn commit<'a>(&'a self, _: &'a Batch) -> PortFuture<'a, Result<(), StoreError>> {
        broken()
    }
}
