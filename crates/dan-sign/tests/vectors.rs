//! Signatures, keys and canonical texts made by others: what must verify does, everything else is
//! refused. The files are read where they lie (`DAN_SHARED`) and never copied; without them the
//! tests say so and pass.

#[cfg(test)]
mod suites {
    use std::collections::BTreeMap;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeyPairComponents};
    use aws_lc_rs::signature::RsaPublicKeyComponents;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use std::path::{Path, PathBuf};

    use dan_core::canonical::canonical_json;
    use dan_core::secret::Secret;
    use dan_sign::private_key::KeyError;
    use dan_sign::private_key::PrivateKey as _;
    use dan_sign::rsa_key::RsaKey;
    use dan_sign::soft_key::SoftKey;
    use dan_verify::jwk::KeySet;
    use dan_verify::public_key::{Algorithm, PublicKey};
    use dan_verify::{VerifyError, verify_cose, verify_detached, verify_jose};
    use dan_verify::{cose, jws};
    use serde_json::{Value, json};

    fn suite(name: &str) -> Option<PathBuf> {
        let shared = std::env::var_os("DAN_SHARED")
            .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
        let folder = Path::new(&shared).join("suites").join(name);
        if folder.is_dir() {
            return Some(folder);
        }
        say(&format!("skipped: the suite {name} is not there"));
        None
    }

    #[expect(clippy::print_stderr, reason = "a suite that was skipped must be seen")]
    fn say(text: &str) {
        eprintln!("{text}");
    }

    fn read_json(file: &Path) -> Value {
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// The JSON files of a folder, by name.
    fn json_files(folder: &Path) -> BTreeMap<String, Value> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                (name, read_json(&path))
            })
            .collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    /// A published key from a JWK of the suite: public members only, named `k`, for signatures.
    fn key_set(jwk: &Value) -> String {
        let mut public = json!({"use": "sig", "kid": "k"});
        for name in ["kty", "crv", "x", "y", "n", "e"] {
            if let Some(value) = jwk.get(name) {
                public[name] = value.clone();
            }
        }
        json!({"keys": [public]}).to_string()
    }

    fn public_key(jwk: &Value) -> PublicKey {
        KeySet::parse(&key_set(jwk))
            .unwrap()
            .get("k")
            .unwrap()
            .key
            .clone()
    }

    /// The private RSA key of a JWK of the suite, as a node reads one.
    fn rsa_key(jwk: &Value) -> RsaKey {
        let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let components = KeyPairComponents {
            public_key: RsaPublicKeyComponents {
                n: number("n"),
                e: number("e"),
            },
            d: number("d"),
            p: number("p"),
            q: number("q"),
            dP: number("dp"),
            dQ: number("dq"),
            qInv: number("qi"),
        };
        let pair = KeyPair::from_components(&components).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        RsaKey::from_pem(&Secret::new(pem)).unwrap()
    }

    /// `text` verifies with the key, and what the key signs over the same is the same, byte for byte.
    fn is_rs256_of(text: &str, jwk: &Value) -> Vec<u8> {
        let signed = jws::parse(text).unwrap();
        assert_eq!(signed.algorithm, Algorithm::Rs256);
        let payload = signed.verify(&public_key(jwk)).unwrap();
        let key = rsa_key(jwk);
        assert_eq!(key.public(), &public_key(jwk));
        let (input, _) = text.rsplit_once('.').unwrap();
        let signature = key.sign(input.as_bytes()).unwrap();
        assert_eq!(jws::attach(input.to_owned(), &signature), text);
        payload
    }

    #[test]
    fn of_the_examples_of_rfc_7515_only_es256_and_rs256_are_read() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let vectors = read_json(&folder.join("vectors.json"));
        let compact = |name: &str| vectors["compact"][name]["compact"].as_str().unwrap();

        let key = public_key(&vectors["A3_example"]["key"]);
        let payload = jws::parse(compact("A3")).unwrap().verify(&key).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["iss"], "joe");

        let payload = is_rs256_of(compact("A2"), &vectors["A2_example"]["key"]);
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["iss"], "joe");
        // Neither key is one for the other's signature, whatever its header says.
        for (text, key) in [("A3", "A2_example"), ("A2", "A3_example")] {
            let outcome = jws::parse(compact(text)).unwrap();
            let outcome = outcome.verify(&public_key(&vectors[key]["key"]));
            assert!(matches!(outcome, Err(VerifyError::OtherAlgorithm { .. })));
        }

        for (name, algorithm) in [("A1", "HS256"), ("A4", "ES512"), ("A5", "none")] {
            let found = algorithm.to_owned();
            let outcome = jws::parse(compact(name));
            assert_eq!(outcome.unwrap_err(), VerifyError::Algorithm { found });
        }
        let negative = jws::parse(vectors["E_negative"].as_str().unwrap());
        assert!(matches!(negative, Err(VerifyError::Algorithm { .. })));
        for name in ["A6_serialized", "A7_example"] {
            assert!(
                jws::parse(vectors[name].as_str().unwrap()).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn another_key_does_not_verify_the_example_of_rfc_7515() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let vectors = read_json(&folder.join("vectors.json"));
        let text = vectors["compact"]["A3"]["compact"].as_str().unwrap();
        let other = public_key(&vectors["PublicKeys"]["keys"][0]);
        let outcome = jws::parse(text).unwrap().verify(&other);
        assert_eq!(outcome, Err(VerifyError::BadSignature));
        let text = vectors["compact"]["A2"]["compact"].as_str().unwrap();
        let other = public_key(&vectors["PublicKeys"]["keys"][1]);
        let outcome = jws::parse(text).unwrap().verify(&other);
        assert_eq!(outcome, Err(VerifyError::BadSignature));
    }

    #[test]
    fn key_sets_of_rfc_7517_are_read_for_what_they_are() {
        let Some(folder) = suite("rfc7515-7517") else {
            return;
        };
        let vectors = read_json(&folder.join("vectors.json"));
        let mut public = vectors["PublicKeys"].clone();
        // Its P-256 key is for encryption, the other one is RSA.
        let set = KeySet::parse(&public.to_string()).unwrap();
        assert_eq!(set.len(), 1);
        public["keys"][0]["use"] = json!("sig");
        let set = KeySet::parse(&public.to_string()).unwrap();
        assert_eq!(set.len(), 2);
        let thumbprints = vectors["PublicKeys"]["thumbprints"].as_array().unwrap();
        for (key, thumbprint) in public["keys"].as_array().unwrap().iter().zip(thumbprints) {
            let published = set.get(key["kid"].as_str().unwrap()).unwrap();
            assert_eq!(&json!(published.key.thumbprint()), thumbprint);
        }

        let mut private = vectors["PrivateKeys"].clone();
        private["keys"][0]["use"] = json!("sig");
        let outcome = KeySet::parse(&private.to_string());
        assert!(matches!(outcome, Err(VerifyError::KeySet(_))));
        assert!(
            KeySet::parse(&vectors["SymmetricKeys"].to_string())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_rs256_signature_of_the_cookbook_verifies_and_is_made_again() {
        let Some(folder) = suite("jose-cookbook") else {
            return;
        };
        let example = read_json(&folder.join("jws/4_1.rsa_v15_signature.json"));
        let text = example["output"]["compact"].as_str().unwrap();
        let payload = is_rs256_of(text, &example["input"]["key"]);
        assert_eq!(
            payload,
            example["input"]["payload"].as_str().unwrap().as_bytes()
        );
        for place in (0..text.len()).step_by(7) {
            let mut changed = text.to_owned().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let key = public_key(&example["input"]["key"]);
            let outcome = jws::parse(&changed).and_then(|signed| signed.verify(&key));
            assert!(outcome.is_err(), "{place}");
        }
    }

    #[test]
    fn all_else_of_the_cookbook_is_refused() {
        let Some(folder) = suite("jose-cookbook") else {
            return;
        };
        let mut texts = Vec::new();
        let nested = read_json(&folder.join("6.nesting_signatures_and_encryption.json"));
        texts.push(("nested".to_owned(), nested["sign"]["output"].clone()));
        texts.push(("encrypted".to_owned(), nested["encrypt"]["output"].clone()));
        for part in ["jws", "curve25519", "rfc7797"] {
            for (name, file) in json_files(&folder.join(part)) {
                texts.push((name, file["output"].clone()));
            }
        }
        let jwks = json!({"keys": []}).to_string();
        let mut count = 0;
        for (name, output) in texts {
            for form in ["compact", "json", "json_flat"] {
                let text = match output.get(form) {
                    None => continue,
                    Some(Value::String(text)) => text.clone(),
                    Some(object) => object.to_string(),
                };
                count += 1;
                // What is RS256 can be taken apart; it is no answer of ours.
                let rs256 = name == "4_1.rsa_v15_signature" && form == "compact";
                assert_eq!(jws::parse(&text).is_ok(), rs256, "{name} {form}");
                assert!(verify_jose(&text, &jwks).is_err(), "{name} {form}");
                assert!(verify_detached(b"", &text, &jwks).is_err(), "{name} {form}");
            }
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn of_the_keys_of_the_cookbook_the_rsa_key_is_one_to_verify_with() {
        let Some(folder) = suite("jose-cookbook") else {
            return;
        };
        let keys: Vec<Value> = json_files(&folder.join("jwk")).into_values().collect();
        assert!(keys.len() > 4);
        let is_private = |key: &Value| key.get("d").is_some();
        let (private, public): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_private);
        let set = KeySet::parse(&json!({ "keys": public }).to_string()).unwrap();
        assert_eq!(set.len(), 1);
        assert!(set.get("bilbo.baggins@hobbiton.example").is_ok());
        // Everybody has its private half, so it proves nothing.
        let outcome = KeySet::parse(&json!({ "keys": private }).to_string());
        assert!(matches!(outcome, Err(VerifyError::KeySet(_))));
    }

    /// What a stanza of the file says, by the word before `=`.
    fn stanzas(text: &str) -> Vec<BTreeMap<&str, &str>> {
        text.split("\n\n")
            .map(|stanza| {
                stanza
                    .lines()
                    .filter_map(|line| line.split_once('='))
                    .map(|(name, value)| (name.trim(), value.trim()))
                    .collect()
            })
            .collect()
    }

    fn pem_after(text: &str, name: &str) -> Secret {
        let (_, rest) = text.split_once(&format!("PrivateKey={name}\n")).unwrap();
        let (pem, _) = rest.split_once("\n\n").unwrap();
        Secret::new(pem.to_owned())
    }

    /// The file writes signatures as `SEQUENCE { INTEGER r, INTEGER s }`.
    fn der_to_raw(der: &[u8]) -> [u8; 64] {
        let signature = p256::ecdsa::Signature::from_der(der).unwrap();
        signature.to_bytes().into()
    }

    #[test]
    fn signatures_are_those_of_rfc_6979() {
        let Some(folder) = suite("ecdsa-rfc6979") else {
            return;
        };
        let text = std::fs::read_to_string(folder.join("evppkey_ecdsa_rfc6979.txt")).unwrap();
        let key = SoftKey::from_pem(&pem_after(&text, "P-256_PRIV")).unwrap();
        let (mut signed, mut refused) = (0, 0);
        for stanza in stanzas(&text) {
            let (Some(input), Some(output)) = (stanza.get("Input"), stanza.get("Output")) else {
                continue;
            };
            let message = input.trim_matches('"').as_bytes();
            let is_sign = stanza.get("DigestSign") == Some(&"SHA256");
            let is_verify = stanza.get("DigestVerify") == Some(&"SHA256");
            match stanza.get("Key") {
                Some(&"P-256_PRIV") if is_sign => {
                    signed += 1;
                    assert_eq!(key.sign(message).unwrap(), der_to_raw(&unhex(output)));
                }
                Some(&"P-256_PUB") if is_verify => {
                    let valid = stanza.get("Result") != Some(&"VERIFY_ERROR");
                    refused += usize::from(!valid);
                    let signature = der_to_raw(&unhex(output));
                    assert_eq!(key.public().verifies(message, &signature), valid);
                }
                _ => {}
            }
        }
        assert_eq!((signed, refused), (2, 2));
    }

    #[test]
    fn keys_of_other_curves_are_named_and_refused() {
        let Some(folder) = suite("ecdsa-rfc6979") else {
            return;
        };
        let text = std::fs::read_to_string(folder.join("evppkey_ecdsa_rfc6979.txt")).unwrap();
        let mut count = 0;
        for line in text.lines() {
            let Some(name) = line.strip_prefix("PrivateKey=") else {
                continue;
            };
            if name == "P-256_PRIV" {
                continue;
            }
            count += 1;
            let error = SoftKey::from_pem(&pem_after(&text, name)).unwrap_err();
            assert!(matches!(error, KeyError::Unsupported(_)), "{name}: {error}");
            assert!(
                error
                    .to_string()
                    .contains("only P-256 keys (ES256) and RSA keys"),
                "{error}"
            );
        }
        assert!(count > 10, "{count}");
    }

    /// The key of an example, when it is one of P-256.
    fn cose_key(example: &Value) -> Option<PublicKey> {
        let key = &example["input"]["sign0"]["key"];
        if key["crv"] != "P-256" {
            return None;
        }
        if key["x"].is_string() {
            return Some(public_key(key));
        }
        let coordinate = |name: &str| unhex(key[name].as_str().unwrap()).try_into().unwrap();
        PublicKey::from_coordinates(&coordinate("x_hex"), &coordinate("y_hex"))
    }

    fn cose_outcome(example: &Value) -> Result<Vec<u8>, VerifyError> {
        let bytes = unhex(example["output"]["cbor"].as_str().unwrap());
        let sign1 = cose::parse(&bytes)?;
        sign1.verify(&cose_key(example).ok_or(VerifyError::NoKid)?)
    }

    /// Examples whose signature is ES256 under tag 18 with a protected algorithm and no external
    /// data: all that is to verify.
    const COSE_GOOD: [&str; 3] = ["ecdsa-sig-01", "Appendix_C_2_1", "A_3"];

    #[test]
    fn cose_examples_verify_when_es256_and_are_refused_otherwise() {
        let Some(folder) = suite("cose-wg") else {
            return;
        };
        let (mut good, mut refused) = (0, 0);
        for part in [
            "sign1-tests",
            "ecdsa-examples",
            "RFC8152",
            "CWT",
            "sign-tests",
            "x509-examples",
        ] {
            for (name, example) in json_files(&folder.join(part)) {
                let outcome = cose_outcome(&example);
                if COSE_GOOD.contains(&name.as_str()) {
                    let input = &example["input"];
                    let payload = match input["plaintext"].as_str() {
                        Some(text) => text.as_bytes().to_vec(),
                        None => unhex(input["plaintext_hex"].as_str().unwrap()),
                    };
                    assert_eq!(outcome.unwrap(), payload, "{part}/{name}");
                    good += 1;
                } else {
                    assert!(outcome.is_err(), "{part}/{name}");
                    refused += 1;
                }
                // None of them is an answer of ours: names lie outside the signature, or nowhere.
                let bytes = unhex(example["output"]["cbor"].as_str().unwrap());
                assert!(
                    verify_cose(&bytes, "{\"keys\":[]}").is_err(),
                    "{part}/{name}"
                );
            }
        }
        assert_eq!(good, COSE_GOOD.len());
        assert!(refused > 40, "{refused}");
    }

    #[test]
    fn cose_examples_are_refused_for_the_right_reason() {
        let Some(folder) = suite("cose-wg") else {
            return;
        };
        let tests = json_files(&folder.join("sign1-tests"));
        let examples = json_files(&folder.join("ecdsa-examples"));
        let algorithm = |found: &str| {
            let found = found.to_owned();
            Err(VerifyError::Algorithm { found })
        };
        let bad = || Err(VerifyError::BadSignature);
        for (example, expected) in [
            (&tests["sign-fail-02"], bad()),
            (&tests["sign-fail-03"], algorithm("-999")),
            (&tests["sign-fail-04"], algorithm("unknown")),
            (&tests["sign-fail-06"], bad()),
            (&tests["sign-fail-07"], bad()),
            // External data is never empty for somebody else's protocol; ours has none.
            (&tests["sign-pass-02"], bad()),
            (&examples["ecdsa-sig-02"], algorithm("-35")),
            (&examples["ecdsa-sig-03"], algorithm("-36")),
            (&examples["ecdsa-sig-04"], algorithm("-36")),
        ] {
            assert_eq!(cose_outcome(example), expected, "{}", example["title"]);
        }
        // Wrong tag; an algorithm that is not protected; no tag: all legal somewhere, none here.
        for name in ["sign-fail-01", "sign-pass-01", "sign-pass-03"] {
            let outcome = cose_outcome(&tests[name]);
            assert!(
                matches!(outcome, Err(VerifyError::Malformed { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn canonical_json_is_that_of_rfc_8785_byte_for_byte() {
        let Some(folder) = suite("jcs-rfc8785") else {
            return;
        };
        let inputs = json_files(&folder.join("input"));
        assert_eq!(inputs.len(), 6);
        for (name, input) in inputs {
            let canonical = canonical_json(&input).unwrap();
            let text = std::fs::read(folder.join(format!("output/{name}.json"))).unwrap();
            assert_eq!(canonical.as_bytes(), text, "{name}");
            let digits = std::fs::read_to_string(folder.join(format!("outhex/{name}.txt")));
            assert_eq!(canonical.as_bytes(), unhex(&digits.unwrap()), "{name}");
            // Canonical text is its own canonical text.
            let again: Value = serde_json::from_str(&canonical).unwrap();
            assert_eq!(canonical_json(&again).unwrap(), canonical, "{name}");
        }
    }
}
