//! What is published, who may sign, and many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use super::{Bench, FORMATS, NOW, context, statement};
use crate::ports::{EnvelopeFormat, EvidencePart, Signable};

/// Tasks that sign at once.
const TASKS: u16 = 100;
/// Members of a JWK that belong to a private or symmetric key (RFC 7518 §6).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn keys(bench: &Bench) -> Vec<Value> {
    let set: Value = serde_json::from_str(&bench.signer.key_set(NOW)).expect("JSON");
    set["keys"].as_array().expect("a list").clone()
}

/// Signatures that are asked for at once all verify, each for its own statement.
///
/// # Panics
/// When one does not.
pub async fn many_at_once_are_signed(bench: Bench) {
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let signer = Arc::clone(&bench.signer);
        tasks.spawn(async move {
            let body = number.to_string();
            let statement = statement(body.as_bytes());
            let (signable, ctx) = (Signable::from(statement.as_str()), context());
            let signed = signer.sign(signable, EnvelopeFormat::Jwt, NOW, &ctx);
            (body, signed.await)
        });
    }
    let mut signed = 0;
    while let Some(done) = tasks.join_next().await {
        let (body, envelope) = done.expect("a task");
        let envelope = envelope.expect("a signature");
        let opened = bench.open(EnvelopeFormat::Jwt, body.as_bytes(), &envelope);
        assert!(opened.is_ok(), "{body}: {opened:?}");
        signed += 1;
    }
    assert_eq!(signed, TASKS);
}

/// A signer says beforehand which formats it can make, and makes those and no other.
///
/// # Panics
/// When it does otherwise.
pub async fn what_cannot_be_made_is_said_before(bench: Bench) {
    for format in FORMATS {
        let can = bench.formats.contains(&format);
        assert_eq!(bench.signer.can_sign(format, NOW), can, "{format:?}");
        let statement = statement(b"x");
        let signable = Signable {
            statement: &statement,
            evidence: (format != EnvelopeFormat::Jwt).then_some(EvidencePart::Bytes(b"x")),
        };
        let outcome = bench.sign(signable, format).await;
        assert_eq!(outcome.is_ok(), can, "{format:?}");
    }
}

/// Every published key says what it is for, has a name of its own, and nothing secret.
///
/// # Panics
/// When one does not.
pub async fn the_published_keys_are_public_and_have_names(bench: Bench) {
    let keys = keys(&bench);
    let mut names = BTreeSet::new();
    for key in &keys {
        assert_eq!(key["use"], "sig", "{key}");
        assert!(key["alg"].is_string() && key["kty"].is_string(), "{key}");
        let secret = SECRET_MEMBERS.iter().find(|name| key.get(**name).is_some());
        assert_eq!(secret, None, "a private member is published");
        names.insert(key["kid"].as_str().expect("a name").to_owned());
    }
    assert_eq!(names.len(), keys.len(), "two keys have one name");
}

/// The name decides nothing: the numbers of the key do.
///
/// # Panics
/// When a signature verifies with a key that did not make it.
pub async fn another_key_of_that_name_does_not_verify(bench: Bench) {
    let envelope = bench
        .envelope(EvidencePart::Json(b"{}"), EnvelopeFormat::Jwt)
        .await;
    let verify = |keys: &[Value]| {
        let set = serde_json::json!({ "keys": keys }).to_string();
        (bench.verify)(EnvelopeFormat::Jwt, b"{}", &envelope, &set)
    };
    let mut keys = keys(&bench);
    assert!(verify(&keys).is_ok());
    for key in &mut keys {
        // The generator of P-256 is a key as well: the one of the number 1.
        *key = serde_json::json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key["kid"],
            "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
            "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
        });
    }
    assert!(verify(&keys).is_err());
}
