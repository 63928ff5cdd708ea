//! Norwegian identifiers against the published vectors (`security.md` §1.4).
#![expect(clippy::print_stderr, reason = "a test says when it was skipped")]

use std::path::PathBuf;

use dan_core::party::{OrgNumber, PersonNumber};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    value: String,
    expect: String,
    kind: String,
    note: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the vectors lie is the tester's choice"
)]
fn shared() -> PathBuf {
    std::env::var("DAN_SHARED").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    )
}

#[test]
fn every_vector_is_judged_as_its_source_judges() {
    let path = shared().join("suites/norwegian-ids/vectors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no vectors (set DAN_SHARED)");
        return;
    };
    let rows: Vec<Row> = serde_json::from_str(&text).unwrap();
    assert!(rows.len() > 100);
    for row in rows {
        // Separators are python-stdnum's leniency; wire-api.md §8 takes digits only.
        if row.kind.contains("separators") {
            assert!(OrgNumber::parse(&row.value).is_none());
            assert!(PersonNumber::parse(&row.value).is_none());
            continue;
        }
        let actual = if row.kind.starts_with("org") {
            OrgNumber::parse(&row.value).is_some()
        } else {
            PersonNumber::parse(&row.value).is_some()
        };
        if let Some(flag) = row.expect.strip_prefix("is_synthetic=") {
            // Some of these rows have control digits that do not fit; then it is no number at all.
            if let Some(number) = PersonNumber::parse(&row.value) {
                assert_eq!(number.is_synthetic().to_string(), flag, "{}", row.value);
            }
            continue;
        }
        // Whether it is a D-number, or which real number a synthetic one was made from, is nothing
        // this software may ask: century, sex and kind are not derived.
        if row.expect.starts_with("is_dnumber=") || row.expect.starts_with("unsynthetic=") {
            continue;
        }
        let expected = match row.expect.as_str() {
            "valid" => true,
            "invalid" => false,
            "as-documented" => row.note == "mod11 ok",
            other => panic!("unknown verdict {other} in the vectors"),
        };
        assert_eq!(
            actual, expected,
            "{} ({}): {}",
            row.value, row.kind, row.note
        );
    }
}
