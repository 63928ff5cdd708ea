//! Signing an answer: the bare signature of each implementation, and what an answer costs beyond it.
//!
//! Prints at the end, from one run, the cost of an answer over a bare signature and one SHA-256 pass
//! over its body: the target is 1.15.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use dan_core::ports::{EnvelopeFormat, EvidencePart, Signable, Signer as _};
use dan_core::statement::{hex, sha256};
use dan_core::testkit::fakes::{CountingEntropy, START, call_context};
use dan_sign::RingSigner;
use dan_sign::fast_key::FastKey;
use dan_sign::key_ring::{KeyRing, KeySource, KeySpec};
use dan_sign::private_key::PrivateKey;
use dan_sign::rsa_key::RsaKey;
use dan_sign::soft_key::SoftKey;
use tokio::time::Instant;

/// Sizes of bodies, in bytes.
const BODIES: [usize; 2] = [1024, 64 * 1024];
/// Rounds of a measurement, and signatures of a round: the fastest round counts.
const ROUNDS: usize = 60;
const SIGNATURES: u32 = 20;

/// A body of JSON values as a source gives them.
fn body(bytes: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut number = 0_u32;
    while text.len() < bytes {
        let row = format!("{{\"name\":\"value {number}\",\"amount\":{number}.25,\"ok\":true}},");
        text.push_str(&row);
        number = number.wrapping_add(7);
    }
    text.push_str("null]");
    text.into_bytes()
}

/// A statement with the members of a real one.
fn statement(body: &[u8]) -> String {
    let digest = hex(&sha256(body));
    format!(
        r#"{{"SHA256PayloadDigest":"{digest}","iss":"https://dan.example.no/v1","iat":1800000000,"jti":"4bf92f3577b34da6a3ce929d0e0e4736","aud":"0192:991825827","sub":"0192:998997801","dataset":"UnitBasicInformation","context":"eBevis","requestor":"0192:991825827","legal_basis":["basis-1"],"retrieved_at":"2027-01-15T08:00:00Z","source":"Brønnøysundregistrene","source_digest":"{digest}","view":"{digest}","media_type":"application/json"}}"#
    )
}

fn soft() -> SoftKey {
    SoftKey::generate(&CountingEntropy::default()).expect("a key")
}

fn fast() -> FastKey {
    FastKey::new(&soft()).expect("a key")
}

fn ring(key: impl PrivateKey + 'static) -> RingSigner {
    let spec = KeySpec::new(KeySource::Held(Arc::new(key)));
    RingSigner::of(KeyRing::new(&[spec], START).expect("a ring"))
}

/// With a key in memory the signature is there when the future is first asked.
fn envelope(signer: &RingSigner, signable: Signable<'_>, format: EnvelopeFormat) -> Vec<u8> {
    let ctx = call_context();
    let mut signing = signer.sign(signable, format, START, &ctx);
    let mut context = Context::from_waker(Waker::noop());
    match signing.as_mut().poll(&mut context) {
        Poll::Ready(signed) => signed.expect("a signature"),
        Poll::Pending => panic!("a key in memory does not wait"),
    }
}

/// An answer as the node makes it: the digest of the body, the statement, its signature.
fn answer(signer: &RingSigner, body: &[u8]) -> Vec<u8> {
    let statement = statement(body);
    envelope(signer, statement.as_str().into(), EnvelopeFormat::Jwt)
}

fn bare(criterion: &mut Criterion) {
    let message = statement(b"");
    let mut group = criterion.benchmark_group("bare");
    let keys: [(&str, Box<dyn PrivateKey>); 3] = [
        ("p256", Box::new(soft())),
        ("aws-lc", Box::new(fast())),
        ("rsa-3072", Box::new(RsaKey::generate().expect("a key"))),
    ];
    for (name, key) in keys {
        group.bench_function(name, |bencher| {
            bencher.iter(|| key.sign(black_box(message.as_bytes())));
        });
    }
    group.finish();
}

/// Microseconds of one of these: the fastest round, so that what else the machine does counts little.
fn microseconds(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..SIGNATURES {
            work();
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e6 / f64::from(SIGNATURES));
    }
    best
}

fn ratios(_criterion: &mut Criterion) {
    let implementations: [(&str, Box<dyn PrivateKey>, RingSigner); 2] = [
        ("p256", Box::new(soft()), ring(soft())),
        ("aws-lc", Box::new(fast()), ring(fast())),
    ];
    println!(
        "\nbare signature + one SHA-256 of the body, in µs; below it each form, and its ratio to that:"
    );
    for (name, key, signer) in implementations {
        for bytes in BODIES {
            let body = body(bytes);
            let message = statement(&body);
            let bare = microseconds(|| {
                black_box(key.sign(black_box(message.as_bytes()))).expect("a signature");
            });
            let digest = microseconds(|| {
                black_box(sha256(black_box(&body)));
            });
            let floor = bare + digest;
            println!("{name} {bytes} bytes: {bare:.1} + {digest:.1} = {floor:.1}");
            let show = |form: &str, whole: f64| {
                println!("    {form:10} {whole:6.1}  {:.2}", whole / floor);
            };
            let whole = microseconds(|| {
                black_box(answer(&signer, black_box(&body)));
            });
            show("plain", whole);
            for (form, signable, format) in archives(&message, &body) {
                let whole = microseconds(|| {
                    black_box(envelope(&signer, black_box(signable), format));
                });
                show(form, whole);
            }
        }
    }
}

/// The signed objects that carry their evidence, as JSON and as bytes.
fn archives<'a>(
    statement: &'a str,
    body: &'a [u8],
) -> [(&'static str, Signable<'a>, EnvelopeFormat); 4] {
    let with = |evidence| Signable {
        statement,
        evidence: Some(evidence),
    };
    let (json, bytes) = (EvidencePart::Json(body), EvidencePart::Bytes(body));
    [
        ("jose json", with(json), EnvelopeFormat::Jose),
        ("jose bytes", with(bytes), EnvelopeFormat::Jose),
        ("cose json", with(json), EnvelopeFormat::Cose),
        ("cose bytes", with(bytes), EnvelopeFormat::Cose),
    ]
}

criterion_group!(benches, ratios, bare);
criterion_main!(benches);
