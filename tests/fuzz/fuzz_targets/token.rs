//! A bearer token: reads or does not, and is never good, since nobody here can sign.
#![no_main]

use std::sync::LazyLock;

use dan_auth::jwk::KeySet;
use dan_auth::jwt::Unverified;
use libfuzzer_sys::fuzz_target;

/// One P-256 key (RFC 7515 A.3) under a name, as an issuer publishes it.
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let document = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    KeySet::parse(document).expect("a key set")
});

fuzz_target!(|text: &str| {
    if let Ok(token) = Unverified::parse(text) {
        assert!(token.verify(&KEYS).is_err(), "a forged token");
    }
});
