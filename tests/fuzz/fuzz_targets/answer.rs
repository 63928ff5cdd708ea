//! What somebody hands in as a signed answer: envelopes, key sets and statements; and a statement in words never
//! carries what could move a cursor.
#![no_main]

use dan_verify::jwk::{KEYS_MAX, KeySet};
use dan_verify::moment::{parse_rfc3339, rfc3339};
use dan_verify::{
    Expect, Language, Statement, cose, jws, verify_cose, verify_detached, verify_jose,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const NO_KEYS: &str = r#"{"keys":[]}"#;

fuzz_target!(|data: &[u8]| {
    assert!(verify_cose(data, NO_KEYS).is_err());
    // Taking apart is all that comes before a key: the order of members and the length of heads are held here.
    let _ = cose::parse(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = jws::parse(text);
    assert!(verify_jose(text, NO_KEYS).is_err());
    assert!(verify_detached(data, text, NO_KEYS).is_err());
    if let Ok(keys) = KeySet::parse(text) {
        assert!(keys.len() <= KEYS_MAX);
    }
    if let Some(moment) = parse_rfc3339(text) {
        assert_eq!(parse_rfc3339(&rfc3339(moment)), Some(moment));
    }
    let claims: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let Ok(statement) = Statement::read(&claims) else {
        return;
    };
    for language in [Language::Norwegian, Language::English] {
        let mut told = statement.remarks(language);
        told.push(statement.sentence(language));
        assert!(!told.concat().contains(char::is_control));
    }
    let expect = Expect {
        subject: Some("991825827"),
        retrieved_since: Some(0),
        ..Expect::default()
    };
    for difference in statement.differences(&expect) {
        assert!(!difference.to_string().contains(char::is_control));
    }
});
