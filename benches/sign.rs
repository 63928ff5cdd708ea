//! One signature, as every answer carries.

use criterion::{Criterion, criterion_group, criterion_main};
use dan_core::ports::{EnvelopeFormat, Signer as _};
use dan_core::testkit::fakes::{CountingEntropy, START, call_context};
use dan_sign::key_ring::KeySpec;
use dan_sign::soft_key::SoftKey;
use dan_sign::{RingSigner, SignConfig};

fn signatures(criterion: &mut Criterion) {
    let pem = SoftKey::generate(&CountingEntropy::default()).and_then(|key| key.to_pem());
    let keys = pem.map(KeySpec::new).into_iter().collect();
    let Ok(signer) = RingSigner::new(&SignConfig { keys }, START) else {
        return;
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    let payload = br#"{"SHA256PayloadDigest":"00","iss":"https://dan.example.no/v1"}"#;
    criterion.bench_function("sign/jwt", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                signer
                    .sign(payload, EnvelopeFormat::Jwt, START, &call_context())
                    .await
            })
        });
    });
}

criterion_group!(benches, signatures);
criterion_main!(benches);
