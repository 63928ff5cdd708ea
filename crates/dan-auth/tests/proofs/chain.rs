//! The chain: what a request proves as a whole, and what it costs when it proves nothing.

use std::sync::Arc;

use dan_auth::{AuthConfig, chain, mint};
use dan_core::caller::{Caller, Proof};
use dan_core::flow::prove;
use dan_core::party::OrgNumber;
use dan_core::ports::{
    AuthError, Authenticator, Batch, CallContext, ClientCertificate, Clock, Credentials, KeyGrant,
    PortFuture, Store as _, Write,
};
use dan_core::secret::Secret;
use dan_core::testkit::fakes::{CountingEntropy, FakeStore, START, StillClock, call_context};
use serde_json::Value;

use super::issuer::{CONSUMER, FakeIssuer, Key, Mood, Net, claims, credentials, signed};

struct House {
    issuer: Arc<FakeIssuer>,
    all: Vec<Arc<dyn Authenticator>>,
    key: Secret,
}

impl House {
    async fn new() -> Self {
        let issuer = FakeIssuer::new("one.example", vec![Key::ec(1).public("a")]);
        let store = Arc::new(FakeStore::default());
        let grant = KeyGrant {
            context_id: "ebevis-product".to_owned(),
            org: None,
            name: "test".to_owned(),
            ..KeyGrant::default()
        };
        let (record, key) = mint(&CountingEntropy::default(), grant, START);
        let batch = Batch(vec![Write::new_api_key(record)]);
        store.commit(&batch).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(StillClock::default());
        let config = AuthConfig {
            issuers: vec![issuer.config()],
        };
        let all = chain(config, store, &Net::of(&[&issuer]), &clock, None).unwrap();
        Self { issuer, all, key }
    }

    fn token(&self) -> String {
        let claims = Value::Object(claims(&self.issuer.name())).to_string();
        signed(r#"{"alg":"ES256","kid":"a"}"#, claims, &Key::ec(1))
    }

    async fn prove(&self, key: Option<&str>, token: Option<&str>) -> Result<Vec<Proof>, AuthError> {
        prove(&self.all, &credentials(key, token), &call_context()).await
    }
}

#[tokio::test]
async fn a_key_and_a_token_make_a_caller() {
    let house = House::new().await;
    let token = house.token();
    let proofs = house.prove(Some(house.key.expose()), Some(&token)).await;
    let caller = Caller::join(proofs.unwrap()).unwrap();
    assert_eq!(caller.owner().as_str(), CONSUMER);
    assert_eq!(caller.context_id(), "ebevis-product");
}

#[tokio::test]
async fn a_key_alone_is_proven_and_is_not_enough() {
    let house = House::new().await;
    let proofs = house.prove(Some(house.key.expose()), None).await.unwrap();
    assert_eq!(proofs.len(), 1);
    assert_eq!(Caller::join(proofs).unwrap_err().code.number(), 1023);
}

#[tokio::test]
async fn without_a_key_nobody_else_is_asked() {
    let house = House::new().await;
    house.issuer.become_(Mood::Down);
    for token in [None, Some("junk"), Some(house.token().as_str())] {
        let proofs = house.prove(None, token).await.unwrap();
        assert_eq!(Caller::join(proofs).unwrap_err().code.number(), 1023);
    }
    assert_eq!(house.issuer.calls(), (0, 0));
}

#[tokio::test]
async fn a_bad_proof_is_not_made_good_by_another() {
    let house = House::new().await;
    let token = house.token();
    let wrong_key = house.prove(Some("dan_x_y"), Some(&token)).await;
    assert!(matches!(wrong_key, Err(AuthError::Rejected(_))));
    for token in ["junk", ""] {
        let wrong_token = house.prove(Some(house.key.expose()), Some(token)).await;
        assert!(
            matches!(wrong_token, Err(AuthError::Rejected(_))),
            "{token:?}"
        );
    }
    assert_eq!(house.issuer.calls(), (0, 0));
}

/// Takes every certificate.
struct Certificates;

impl Authenticator for Certificates {
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        _: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        Box::pin(async move {
            Ok(presented.certificate.as_ref().map(|_| Proof::Certificate {
                org: OrgNumber::parse("974760673").unwrap(),
            }))
        })
    }
}

#[tokio::test]
async fn further_authenticators_are_asked_too() {
    let house = House::new().await;
    let mut presented = credentials(Some(house.key.expose()), Some(&house.token()));
    presented.certificate = Some(Arc::new(ClientCertificate {
        leaf: vec![1],
        intermediates: Vec::new(),
    }));
    let mut all = house.all;
    all.push(Arc::new(Certificates));
    let proofs = prove(&all, &presented, &call_context()).await.unwrap();
    assert_eq!(proofs.len(), 3);
    assert_eq!(Caller::join(proofs).unwrap_err().code.number(), 1019);
}
