//! What an envelope holds, and that it holds.

use serde_json::json;

use super::{Bench, FORMATS, NOW, bytes_of, context, statement};
use crate::ports::{EnvelopeFormat, EvidencePart, Signable};

const BODY: EvidencePart<'static> = EvidencePart::Json(br#"{"name":"B","n":[1,2.5]}"#);

/// Every format that can be made verifies with the published keys and names one of them.
///
/// # Panics
/// When it does not.
pub async fn what_is_signed_verifies_with_what_is_published(bench: Bench) {
    assert!(!bench.formats.is_empty());
    let set = bench.signer.key_set(NOW);
    for format in &bench.formats {
        let envelope = bench.envelope(BODY, *format).await;
        let opened = bench.open(*format, bytes_of(BODY), &envelope);
        let opened = opened.unwrap_or_else(|why| panic!("{format:?}: {why}"));
        let name = serde_json::to_string(&opened.kid).expect("a name");
        assert!(set.contains(&name), "{name} is not published");
        // With nothing published it does not.
        let outcome = (bench.verify)(*format, bytes_of(BODY), &envelope, r#"{"keys":[]}"#);
        assert!(outcome.is_err(), "{format:?}");
    }
}

/// Names, texts, numbers, lists and objects are the same after the way through any format.
///
/// # Panics
/// When they are not.
pub async fn the_members_of_a_statement_come_out_as_they_went_in(bench: Bench) {
    for format in &bench.formats {
        let envelope = bench.envelope(BODY, *format).await;
        let opened = bench.open(*format, bytes_of(BODY), &envelope);
        let claims = opened.expect("it verifies").claims;
        assert_eq!(claims["dataset"], "Bås", "{format:?}");
        assert_eq!(claims["iat"], NOW.as_seconds(), "{format:?}");
        assert_eq!(claims["n"], json!([1, -2, 1.5, true, null]), "{format:?}");
        assert_eq!(claims["o"], json!({"b": 1, "aa": 2}), "{format:?}");
    }
}

/// JSON of every writing, and what is no JSON, comes out as it was: as bytes where the envelope tells
/// them, else as the same value.
///
/// # Panics
/// When it does not.
pub async fn evidence_of_every_kind_comes_out(bench: Bench) {
    for body in [
        BODY,
        EvidencePart::Json(b"null"),
        EvidencePart::Json(br#"{ "a" : 1E2, "\u0062": 18446744073709551615 }"#),
        EvidencePart::Json(br#"{"a":1,"a":2}"#),
        EvidencePart::Json(br#"{"a":123456789012345678901234567890}"#),
        EvidencePart::Json(b"{"),
        EvidencePart::Json(b""),
        EvidencePart::Bytes(b"%PDF-1.7 \xff\x00"),
        EvidencePart::Bytes(b""),
        EvidencePart::Bytes(b"{}"),
    ] {
        let bytes = bytes_of(body);
        for format in &bench.formats {
            if *format == EnvelopeFormat::Jwt {
                continue;
            }
            let envelope = bench.envelope(body, *format).await;
            let opened = bench.open(*format, bytes, &envelope);
            let opened = opened.unwrap_or_else(|why| panic!("{format:?} {body:?}: {why}"));
            if let Some(told) = opened.body {
                assert_eq!(told, bytes, "{format:?}");
            } else {
                let same: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
                assert_eq!(opened.claims["evidence"], same, "{format:?}");
            }
        }
    }
}

/// No bit of an envelope can be turned.
///
/// # Panics
/// When one can.
pub async fn no_changed_byte_goes_unnoticed(bench: Bench) {
    for format in &bench.formats {
        let envelope = bench.envelope(BODY, *format).await;
        // Every eleventh byte meets every part; all of them is what the verifier's own tests do.
        for place in (0..envelope.len()).step_by(11) {
            let mut changed = envelope.clone();
            changed[place] ^= 1;
            let outcome = bench.open(*format, bytes_of(BODY), &changed);
            assert!(outcome.is_err(), "{format:?} at {place}");
        }
        let cut = bench.open(*format, bytes_of(BODY), &envelope[..envelope.len() - 1]);
        assert!(cut.is_err(), "{format:?}");
    }
}

/// A signature is one of its body.
///
/// # Panics
/// When it is one of another too.
pub async fn another_body_does_not_verify(bench: Bench) {
    let envelope = bench.envelope(BODY, EnvelopeFormat::Jwt).await;
    let open = |body: &[u8]| bench.open(EnvelopeFormat::Jwt, body, &envelope);
    assert!(open(bytes_of(BODY)).is_ok());
    assert!(open(b"").is_err());
    assert!(open(br#"{"name":"C"}"#).is_err());
}

/// What was signed as one thing is not another.
///
/// # Panics
/// When it is.
pub async fn a_format_is_not_taken_for_another(bench: Bench) {
    for made in &bench.formats {
        let envelope = bench.envelope(BODY, *made).await;
        for taken in FORMATS {
            let outcome = bench.open(taken, bytes_of(BODY), &envelope);
            assert_eq!(outcome.is_ok(), taken == *made, "{made:?} as {taken:?}");
        }
    }
}

/// Where evidence is put beside the statement, the statement is one JSON object and has none yet.
///
/// # Panics
/// When something else is signed.
pub async fn a_statement_that_is_none_carries_no_evidence(bench: Bench) {
    for format in &bench.formats {
        if *format == EnvelopeFormat::Jwt {
            continue;
        }
        for statement in ["", "[]", "{} {}", r#"{"a":1,"a":1}"#, r#"{"evidence":1}"#] {
            let signable = Signable {
                statement,
                evidence: Some(BODY),
            };
            let outcome = bench.sign(signable, *format).await;
            assert!(outcome.is_err(), "{format:?} {statement}");
        }
    }
}

/// A signature beside its body does not carry the body as well.
///
/// # Panics
/// When it does.
pub async fn a_header_carries_no_evidence(bench: Bench) {
    let statement = statement(bytes_of(BODY));
    let signable = Signable {
        statement: &statement,
        evidence: Some(BODY),
    };
    assert!(bench.sign(signable, EnvelopeFormat::Jwt).await.is_err());
}

/// A future that nobody waits for any more keeps nothing: the next signature is as good.
///
/// # Panics
/// When it is not.
pub async fn a_dropped_signature_leaves_the_signer_as_it_was(bench: Bench) {
    let statement = statement(bytes_of(BODY));
    let ctx = context();
    for _ in 0..100 {
        let format = EnvelopeFormat::Jwt;
        let signable = Signable::from(statement.as_str());
        let begun = bench.signer.sign(signable, format, NOW, &ctx);
        // Polled once, and let go.
        tokio::select! {
            biased;
            _signed = begun => {}
            () = std::future::ready(()) => {}
        }
    }
    let envelope = bench.envelope(BODY, EnvelopeFormat::Jwt).await;
    let opened = bench.open(EnvelopeFormat::Jwt, bytes_of(BODY), &envelope);
    assert!(opened.is_ok(), "{opened:?}");
}
