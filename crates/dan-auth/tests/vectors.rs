//! Published examples: RFC 7515 to 7517, and the JOSE cookbook (RFC 7520, 7797, 8037). What we
//! support verifies; everything else comes back refused, which is the point there.

#[cfg(test)]
mod published {
    use std::path::{Path, PathBuf};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use dan_auth::jwk::{Jwk, KeySet};
    use dan_auth::jwt::{Compact, JwtError, verify};
    use serde_json::{Value, json};

    /// The suite's folder, or `None` with a plain word that it is not there.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration file to read"
    )]
    fn suite(name: &str) -> Option<PathBuf> {
        let root = std::env::var("DAN_SHARED")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
        let folder = Path::new(&root).join("suites").join(name);
        if folder.is_dir() {
            return Some(folder);
        }
        #[expect(clippy::print_stderr, reason = "says why nothing was tested")]
        {
            eprintln!("skipped: no suite {name}");
        }
        None
    }

    fn read(path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The public half of a key, whatever its `use`.
    fn public(key: &Value) -> Value {
        let mut key = key.as_object().unwrap().clone();
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            key.shift_remove(private);
        }
        key.into()
    }

    fn set(keys: &[&Value]) -> KeySet {
        let keys: Vec<Value> = keys.iter().map(|key| public(key)).collect();
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn signed_by(token: &str, key: &Value) -> Result<(), JwtError> {
        Compact::parse(token)?.check(&set(&[key]))
    }

    fn text<'a>(value: &'a Value, path: &str) -> &'a str {
        value.pointer(path).and_then(Value::as_str).unwrap()
    }

    #[test]
    fn rfc_7515_appendix_a() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let all = read(&folder.join("vectors.json"));
        for (name, ours) in [
            ("A1", false),
            ("A2", true),
            ("A3", true),
            ("A4", false),
            ("A5", false),
        ] {
            let compact = text(&all, &format!("/compact/{name}/compact"));
            let key = &all["compact"][name]["key"];
            assert_eq!(verify(compact, &set(&[key])).is_ok(), ours, "{name}");
            for other in ["A2", "A3"].iter().filter(|other| **other != name) {
                let key = &all["compact"][other]["key"];
                assert!(verify(compact, &set(&[key])).is_err(), "{name} {other}");
            }
        }
        let claims = verify(
            text(&all, "/compact/A2/compact"),
            &set(&[&all["compact"]["A2"]["key"]]),
        );
        assert_eq!(claims.unwrap()["iss"], "joe");
        let keys = set(&[&all["A2_example"]["key"], &all["A3_example"]["key"]]);
        for name in ["A6_serialized", "A7_example", "E_negative"] {
            assert!(
                verify(text(&all, &format!("/{name}")), &keys).is_err(),
                "{name}"
            );
        }
        let flattened: Value = serde_json::from_str(text(&all, "/A7_example")).unwrap();
        let part = |name| text(&flattened, name);
        let compact = format!(
            "{}.{}.{}",
            part("/protected"),
            part("/payload"),
            part("/signature")
        );
        assert!(verify(&compact, &set(&[&all["A3_example"]["key"]])).is_ok());
    }

    /// Two signatures over one payload: each is a token by itself, by its own key only.
    #[test]
    fn rfc_7515_appendix_a6() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let all = read(&folder.join("vectors.json"));
        let general: Value = serde_json::from_str(text(&all, "/A6_serialized")).unwrap();
        let example = &all["A6_example"];
        for (at, own, other) in [(0, "key1", "key2"), (1, "key2", "key1")] {
            let part = |name: &str| text(&general, &format!("/signatures/{at}/{name}"));
            let compact = format!(
                "{}.{}.{}",
                part("protected"),
                text(&general, "/payload"),
                part("signature")
            );
            assert!(verify(&compact, &set(&[&example[own]])).is_ok(), "{own}");
            assert!(
                verify(&compact, &set(&[&example[other]])).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn every_changed_character_of_a_token_is_noticed() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let all = read(&folder.join("vectors.json"));
        for name in ["A2", "A3"] {
            let compact = text(&all, &format!("/compact/{name}/compact"));
            let keys = set(&[&all["compact"][name]["key"]]);
            for (at, was) in compact.char_indices() {
                let other = if was == 'A' { "B" } else { "A" };
                let mut changed = compact.to_owned();
                changed.replace_range(at..at.saturating_add(1), other);
                assert!(verify(&changed, &keys).is_err(), "{name} at {at}");
            }
        }
    }

    #[test]
    fn rfc_7517_keys() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let all = read(&folder.join("vectors.json"));
        let bytes = |value: &Value| value.to_string().into_bytes();
        // One key is for encryption, the other checks signatures.
        assert_eq!(KeySet::parse(&bytes(&all["PublicKeys"])).unwrap().len(), 1);
        assert!(
            KeySet::parse(&bytes(&all["PrivateKeys"]))
                .unwrap()
                .is_empty()
        );
        assert!(
            KeySet::parse(&bytes(&all["SymmetricKeys"]))
                .unwrap()
                .is_empty()
        );
        let with_x5c = all["Useofx5c"].as_object().unwrap();
        assert!(Jwk::from_members(with_x5c).is_ok());
    }

    #[test]
    fn rfc_7515_signatures_are_over_the_very_bytes() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let all = read(&folder.join("vectors.json"));
        for name in ["A2", "A3"] {
            let example = format!("/{name}_example/payload/$bytes_base64");
            let compact = text(&all, &format!("/compact/{name}/compact"));
            let payload = STANDARD.decode(text(&all, &example)).unwrap();
            assert_eq!(
                Compact::parse(compact).unwrap().payload(),
                payload,
                "{name}"
            );
        }
    }

    #[test]
    fn the_jose_cookbook() {
        let Some(folder) = suite("jose-cookbook") else {
            return;
        };
        let rs256 = read(&folder.join("jws/4_1.rsa_v15_signature.json"));
        let key = &rs256["input"]["key"];
        let compact = text(&rs256, "/output/compact");
        assert_eq!(signed_by(compact, key), Ok(()));
        // Well signed, but no JWT: its payload is a line of prose.
        assert!(matches!(
            verify(compact, &set(&[key])),
            Err(JwtError::Malformed(_))
        ));
        let mut several = 0_usize;
        for (file, pointer) in [
            ("jws/4_2.rsa-pss_signature.json", "/output/compact"),
            ("jws/4_3.ecdsa_signature.json", "/output/compact"),
            (
                "jws/4_4.hmac-sha2_integrity_protection.json",
                "/output/compact",
            ),
            (
                "jws/4_5.signature_with_detached_content.json",
                "/output/compact",
            ),
            ("rfc7797/hmac-sha2_b64_false.json", "/output/compact"),
            ("curve25519/jws.json", "/output/compact"),
            ("curve25519/ecdh-es.json", "/output/compact"),
            (
                "6.nesting_signatures_and_encryption.json",
                "/sign/output/compact",
            ),
            (
                "6.nesting_signatures_and_encryption.json",
                "/encrypt/output/compact",
            ),
        ] {
            let example = read(&folder.join(file));
            let own = example.pointer("/input/key").unwrap_or(key);
            let token = text(&example, pointer);
            assert!(signed_by(token, own).is_err(), "{file}");
            assert!(signed_by(token, key).is_err(), "{file}");
            several = several.saturating_add(1);
        }
        assert_eq!(several, 9);
    }

    #[test]
    fn json_serialisations_of_the_cookbook_are_no_tokens() {
        let Some(folder) = suite("jose-cookbook") else {
            return;
        };
        let key = &read(&folder.join("jws/4_1.rsa_v15_signature.json"))["input"]["key"];
        for file in [
            "jws/4_1.rsa_v15_signature.json",
            "jws/4_6.protecting_specific_header_fields.json",
            "jws/4_7.protecting_content_only.json",
            "jws/4_8.multiple_signatures.json",
            "rfc7797/4.2.hmac-sha2_b64_false.json",
        ] {
            let output = &read(&folder.join(file))["output"];
            for form in ["json", "json_flat"] {
                if let Some(serialised) = output.get(form) {
                    assert!(signed_by(&serialised.to_string(), key).is_err(), "{file}");
                }
            }
        }
        // The RS256 one of the three signatures verifies once it is written compactly.
        let several = read(&folder.join("jws/4_8.multiple_signatures.json"));
        let part = |name| text(&several["output"]["json"], name);
        let compact = format!(
            "{}.{}.{}",
            part("/signatures/0/protected"),
            part("/payload"),
            part("/signatures/0/signature")
        );
        assert_eq!(signed_by(&compact, key), Ok(()));
    }

    #[test]
    fn cookbook_keys_that_we_cannot_use_are_left_out() {
        let Some(folder) = suite("jose-cookbook") else {
            return;
        };
        for (file, usable) in [
            ("jwk/3_1.ec_public_key.json", false),
            ("jwk/3_2.ec_private_key.json", false),
            ("jwk/3_3.rsa_public_key.json", true),
            ("jwk/3_4.rsa_private_key.json", false),
            ("jwk/3_5.symmetric_key_mac_computation.json", false),
            ("jwk/3_6.symmetric_key_encryption.json", false),
        ] {
            let key = read(&folder.join(file));
            let outcome = Jwk::from_members(key.as_object().unwrap());
            assert_eq!(outcome.is_ok(), usable, "{file}");
        }
    }
}
