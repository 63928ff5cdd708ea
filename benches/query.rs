//! JMESPath over a document of about 150 kB: what a client's `query` costs.

use criterion::{Criterion, criterion_group, criterion_main};
use dan_core::projection::Query;
use serde_json::{Value, json};

fn document() -> Value {
    let role = |at: u32| json!({"kode": "MEDL", "person": {"navn": format!("Navn {at}"), "alder": at}, "aktiv": at.is_multiple_of(2)});
    json!({"roller": (0..1000).map(role).collect::<Vec<_>>()})
}

fn queries(criterion: &mut Criterion) {
    let document = document();
    for text in [
        "roller[0].person.navn",
        "roller[*].person.navn",
        "roller[?aktiv].{navn: person.navn}",
    ] {
        let query = Query::parse(text).ok().flatten();
        criterion.bench_function(text, |bencher| {
            bencher.iter(|| query.as_ref().map(|query| query.apply(&document)));
        });
    }
}

criterion_group!(benches, queries);
criterion_main!(benches);
