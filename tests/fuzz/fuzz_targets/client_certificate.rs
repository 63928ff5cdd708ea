//! DER of a client certificate: names an organisation that could exist, or none.
#![no_main]

use dan_auth::certificate::organisation_named;
use dan_core::party::{OrgNumber, Realm};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|leaf: &[u8]| {
    for old_ones in [false, true] {
        if let Ok(org) = organisation_named(leaf, old_ones, Realm::Production) {
            assert_eq!(OrgNumber::parse(org.as_str()), Some(org));
        }
    }
});
