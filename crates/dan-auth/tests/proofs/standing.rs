//! Whom a token may stand for: suppliers, persons and system users, where the operator lets its issuer say so.

use dan_auth::IssuerConfig;
use dan_core::caller::{Proof, TokenProof};
use dan_core::party::PersonNumber;
use serde_json::{Value, json};

use super::issuer::{CONSUMER, FakeIssuer, Key, Node, claims, signed};

const OTHER: &str = "974760673";
const PERSON: &str = "07056120453";
const SYSTEM_USER: &str = "2f1c5a1e-6c0b-4b0e-9d7f-5a6b7c8d9e0f";
const SOURCE: &str = "https://altinn.example/delegations";

fn org(number: &str) -> Value {
    json!({"authority": "iso6523-actorid-upis", "ID": format!("0192:{number}")})
}

fn system_user() -> Value {
    json!([{
        "type": "urn:altinn:systemuser", "systemuser_id": [SYSTEM_USER],
        "systemuser_org": org(OTHER), "system_id": "991825827_x",
    }])
}

/// What a node makes of a token with these claims changed.
async fn proof(
    change: impl Fn(&mut IssuerConfig),
    changes: &[(&str, Value)],
) -> Option<TokenProof> {
    let issuer = FakeIssuer::new("one.example", vec![Key::rsa().public("a")]);
    let node = Node::trusting_as(&[&issuer], change);
    let mut claims = claims(&issuer.name());
    for (name, value) in changes {
        claims.insert((*name).to_owned(), value.clone());
    }
    let header = r#"{"alg":"RS256","kid":"a"}"#;
    let token = signed(header, Value::Object(claims).to_string(), &Key::rsa());
    // The second time from memory; it must be the same.
    let first = node.ask(&token).await.ok().flatten();
    let second = node.ask(&token).await.ok().flatten();
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    match second {
        Some(Proof::Token(proof)) => Some(proof),
        _ => None,
    }
}

#[tokio::test]
async fn a_delegated_token_needs_a_source_that_the_operator_trusts() {
    let trusts = |config: &mut IssuerConfig| config.delegation_sources = vec![SOURCE.to_owned()];
    let delegated = [
        ("supplier", org(OTHER)),
        ("delegation_source", json!(SOURCE)),
    ];
    let taken = proof(trusts, &delegated).await.unwrap();
    assert_eq!(taken.org.as_str(), CONSUMER);
    assert_eq!(taken.supplier.unwrap().as_str(), OTHER);
    assert!(proof(|_| (), &delegated).await.is_none());
    assert!(proof(trusts, &delegated[..1]).await.is_none());
    let elsewhere = [
        ("supplier", org(OTHER)),
        (
            "delegation_source",
            json!("https://altinn.example/delegations/"),
        ),
    ];
    assert!(proof(trusts, &elsewhere).await.is_none());
}

#[tokio::test]
async fn a_token_of_a_person_needs_an_issuer_that_may_say_so() {
    let claims = [("pid", json!(PERSON))];
    let taken = proof(|config| config.persons = true, &claims)
        .await
        .unwrap();
    assert_eq!(taken.person, PersonNumber::parse(PERSON));
    assert!(!format!("{taken:?}").contains(PERSON));
    assert!(proof(|_| (), &claims).await.is_none());
}

#[tokio::test]
async fn a_token_of_a_system_user_is_its_owners() {
    let claims = [("authorization_details", system_user())];
    let taken = proof(|config| config.system_users = true, &claims).await;
    let taken = taken.unwrap();
    assert_eq!(taken.org.as_str(), OTHER);
    assert_eq!(taken.supplier.unwrap().as_str(), CONSUMER);
    assert_eq!(taken.system_user.as_deref(), Some(SYSTEM_USER));
    assert!(proof(|_| (), &claims).await.is_none());
}
