//! A JWKS document: never more keys than allowed.
#![no_main]

use dan_auth::jwk::{KEYS_MAX, KeySet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    if let Ok(keys) = KeySet::parse(document) {
        assert!(keys.len() <= KEYS_MAX);
    }
});
