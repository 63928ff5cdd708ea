//! Keys are issued, replaced and ended, and the authenticator follows.

use std::sync::Arc;

use dan_auth::api_key::KEPT_MS;
use dan_auth::{ApiKey, Desk};
use dan_core::audit::Action;
use dan_core::caller::{Allowance, Proof};
use dan_core::network::Network;
use dan_core::party::OrgNumber;
use dan_core::ports::Batch;
use dan_core::ports::{
    AuthError, Authenticator as _, Clock, KeyDesk as _, KeyError, KeyGrant, KeyUse, Store as _,
    Write,
};
use dan_core::testkit::fakes::{CountingEntropy, FakeStore, START, StillClock, call_context};
use dan_core::time::DAY_MS;

use super::issuer::credentials;

struct Office {
    clock: Arc<StillClock>,
    store: Arc<FakeStore>,
    desk: Desk,
    door: ApiKey,
}

impl Office {
    fn new() -> Self {
        let clock = Arc::new(StillClock::default());
        let store = Arc::new(FakeStore::default());
        let (shared, time) = (Arc::clone(&store) as _, Arc::clone(&clock) as _);
        Self {
            desk: Desk::new(shared, Arc::new(CountingEntropy::default()), time),
            door: ApiKey::new(Arc::clone(&store) as _, Arc::clone(&clock) as _),
            clock,
            store,
        }
    }

    async fn lets_in(&self, key: &str) -> Result<Option<Proof>, AuthError> {
        let presented = credentials(Some(key), None);
        self.door.authenticate(&presented, &call_context()).await
    }

    async fn takes(&self, key: &str) -> bool {
        matches!(self.lets_in(key).await, Ok(Some(Proof::Key(_))))
    }

    fn actions(&self) -> Vec<Action> {
        let records = self.store.records();
        records.iter().map(|record| record.action).collect()
    }
}

fn grant() -> KeyGrant {
    KeyGrant {
        context_id: "ebevis-product".to_owned(),
        org: OrgNumber::parse("991825827"),
        name: "Etaten".to_owned(),
        scopes: vec!["altinn:dataaltinnno/ebevis".to_owned()],
        ..KeyGrant::default()
    }
}

#[tokio::test]
async fn a_revoked_key_stops_within_a_second_though_it_was_just_used() {
    let office = Office::new();
    let issued = office.desk.create(grant()).await.unwrap();
    let key = issued.key.expose();
    assert!(office.takes(key).await);
    office.desk.revoke(&issued.record.id).await.unwrap();
    office.clock.advance_ms(KEPT_MS);
    assert!(!office.takes(key).await);
    const { assert!(KEPT_MS < 1000) };
    assert_eq!(
        office.actions(),
        [Action::ApiKeyCreated, Action::ApiKeyRevoked]
    );
    assert_eq!(
        office.desk.revoke(&issued.record.id).await.unwrap_err(),
        KeyError::Ended(START)
    );
    assert_eq!(
        office.desk.revoke("nobody").await.unwrap_err(),
        KeyError::Unknown
    );
}

#[tokio::test]
async fn a_key_that_was_just_read_is_not_read_again_and_a_new_one_is_found_at_once() {
    let office = Office::new();
    let issued = office.desk.create(grant()).await.unwrap();
    assert!(office.takes(issued.key.expose()).await);
    office.store.set_keys_unreadable(true);
    assert!(
        office.takes(issued.key.expose()).await,
        "no question to the store"
    );
    office.clock.advance_ms(KEPT_MS);
    let outcome = office.lets_in(issued.key.expose()).await;
    assert!(
        matches!(outcome, Err(AuthError::Undecided(_))),
        "not served on old news"
    );
    office.store.set_keys_unreadable(false);
    let unknown = issued.key.expose().replace("dan_0", "dan_f");
    assert!(!office.takes(&unknown).await);
}

#[tokio::test]
async fn two_keys_overlap_when_one_replaces_the_other_and_never_three() {
    let office = Office::new();
    let first = office.desk.create(grant()).await.unwrap();
    let (second, old) = office.desk.rotate(&first.record.id, 14).await.unwrap();
    assert_eq!(old.expires, Some(START.plus_days(14)));
    assert_eq!(second.record.scopes, grant().scopes);
    assert!(office.takes(first.key.expose()).await && office.takes(second.key.expose()).await);
    let again = office.desk.rotate(&first.record.id, 14).await.unwrap_err();
    assert!(again.to_string().contains(&second.record.id), "{again}");
    let third = office.desk.rotate(&second.record.id, 14).await.unwrap_err();
    assert!(matches!(third, KeyError::Overlapping { .. }), "{third:?}");
    let (third, _) = office.desk.rotate(&second.record.id, 0).await.unwrap();
    assert!(office.takes(first.key.expose()).await && office.takes(third.key.expose()).await);

    office.clock.advance_ms(DAY_MS * 14);
    assert!(!office.takes(first.key.expose()).await);
    assert!(!office.takes(second.key.expose()).await);
    assert!(office.takes(third.key.expose()).await);
    office.desk.rotate(&third.record.id, 90).await.unwrap();
    assert!(office.desk.rotate(&third.record.id, 91).await.is_err());
}

#[tokio::test]
async fn a_successor_lives_as_long_as_its_predecessor_was_made_for() {
    let office = Office::new();
    let month = KeyGrant {
        expires: Some(START.plus_days(30)),
        ..grant()
    };
    let first = office.desk.create(month).await.unwrap();
    office.clock.advance_ms(DAY_MS * 20);
    let (second, old) = office.desk.rotate(&first.record.id, 14).await.unwrap();
    assert_eq!(
        old.expires,
        Some(START.plus_days(30)),
        "no later than before"
    );
    assert_eq!(second.record.expires, Some(START.plus_days(50)));
}

#[tokio::test]
async fn a_key_bound_to_networks_works_from_there_only() {
    let office = Office::new();
    let bound = KeyGrant {
        networks: vec![Network::parse("198.51.100.0/24").unwrap()],
        ..grant()
    };
    let issued = office.desk.create(bound).await.unwrap();
    let mut presented = credentials(Some(issued.key.expose()), None);
    for (address, inside) in [("198.51.100.9", true), ("192.0.2.1", false), ("::1", false)] {
        presented.address = address.parse().unwrap();
        let outcome = office.door.authenticate(&presented, &call_context()).await;
        assert_eq!(outcome.is_ok(), inside, "{address}");
        assert_eq!(
            matches!(outcome, Err(AuthError::Forbidden(_))),
            !inside,
            "{address}"
        );
    }
}

#[tokio::test]
async fn wishes_that_make_no_sense_are_refused_before_a_key_exists() {
    let office = Office::new();
    for wish in [
        KeyGrant {
            name: "x".repeat(201),
            ..grant()
        },
        KeyGrant {
            name: "a\nb".to_owned(),
            ..grant()
        },
        KeyGrant {
            scopes: vec!["a b".to_owned()],
            ..grant()
        },
        KeyGrant {
            scopes: vec![String::new()],
            ..grant()
        },
        KeyGrant {
            scopes: vec!["a".to_owned(); 33],
            ..grant()
        },
        KeyGrant {
            org: None,
            ..grant()
        },
        KeyGrant {
            expires: Some(START),
            ..grant()
        },
        KeyGrant {
            allowance: Allowance {
                per_second: Some(0),
                per_day: None,
            },
            ..grant()
        },
    ] {
        let refused = office.desk.create(wish.clone()).await;
        assert!(matches!(refused, Err(KeyError::Invalid(_))), "{wish:?}");
    }
    assert_eq!(office.desk.list().await.unwrap(), []);
    assert_eq!(office.actions(), []);
}

#[tokio::test]
async fn keys_are_listed_with_their_use() {
    let office = Office::new();
    let first = office.desk.create(grant()).await.unwrap();
    let second = office.desk.create(grant()).await.unwrap();
    let used = KeyUse {
        key_id: second.record.id.clone(),
        last_used: office.clock.now(),
        day: 1,
        count: 2,
    };
    let batch = Batch(vec![Write::CountKeyUse(used.clone())]);
    office.store.commit(&batch).await.unwrap();
    let listed = office.desk.list().await.unwrap();
    let of = |id: &str| listed.iter().find(|key| key.record.id == id).unwrap();
    assert_eq!(of(&first.record.id).used, None);
    assert_eq!(of(&second.record.id).used, Some(used));
}
