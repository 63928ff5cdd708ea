//! Whatever is signed, in every form and with every kind of key, verifies as it was signed; nothing else
//! does: no flipped bit, and no part of another genuine answer.
//!
//! `DAN_SEED=<number>` chooses the seed, `DAN_LONG=1` tries many more cases.

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test may stop at an overflow"
)]
mod properties {
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use dan_core::ports::{
        CallContext, Entropy, EnvelopeFormat, EvidencePart, SignError, Signable, Signer as _,
    };
    use dan_core::secret::Secret;
    use dan_core::statement::{hex, sha256};
    use dan_core::time::Timestamp;
    use dan_sign::fast_key::FastKey;
    use dan_sign::key_ring::{KeySource, KeySpec};
    use dan_sign::private_key::PrivateKey;
    use dan_sign::rsa_key::RsaKey;
    use dan_sign::soft_key::SoftKey;
    use dan_sign::{RingSigner, SignConfig};
    use dan_verify::public_key::PublicKey;
    use dan_verify::{Expect, Verified, VerifyError, verify_cose, verify_detached, verify_jose};
    use serde_json::{Map, Value, json};

    const SEED_DEFAULT: u64 = 20_261_124;
    const NOW: Timestamp = Timestamp::from_ms(1_795_521_601_000);
    const FORMATS: [EnvelopeFormat; 3] = [
        EnvelopeFormat::Jwt,
        EnvelopeFormat::Jose,
        EnvelopeFormat::Cose,
    ];

    /// `SplitMix64`: the same numbers for the same seed, for ever.
    struct Chance(u64);

    impl Chance {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }

        fn below(&mut self, limit: u64) -> u64 {
            self.next() % limit
        }

        fn bytes(&mut self, most: u64) -> Vec<u8> {
            let count = self.below(most + 1);
            (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
        }

        fn text(&mut self) -> String {
            const LETTERS: [char; 12] = [
                'a', 'Z', '0', ' ', '"', '\\', 'ø', '\n', '\u{1}', '€', '😀', '.',
            ];
            let count = self.below(6);
            (0..count)
                .map(|_| LETTERS[usize::try_from(self.below(12)).unwrap()])
                .collect()
        }

        fn json(&mut self, depth: u64) -> Value {
            match self.below(if depth == 0 { 6 } else { 8 }) {
                0 => Value::Null,
                1 => json!(self.below(2) == 0),
                2 => json!(self.next()),
                3 => json!(-i64::try_from(self.next() >> 1).unwrap()),
                4 => json!(f64::from_bits(self.next() & !(1 << 62))),
                5 => json!(self.text()),
                6 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
                _ => {
                    let members = (0..self.below(4)).map(|_| (self.text(), self.json(depth - 1)));
                    Value::Object(members.collect::<Map<_, _>>())
                }
            }
        }
    }

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    /// The slow one: the ring would take the fast one in its place.
    #[derive(Debug)]
    struct Slow(SoftKey);

    impl PrivateKey for Slow {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            self.0.sign(message).map(|signature| signature.to_vec())
        }
    }

    /// One of each kind.
    fn signers() -> Vec<(&'static str, RingSigner)> {
        let soft = || SoftKey::generate(&Fixed(7)).unwrap();
        let rsa = RsaKey::generate().unwrap();
        let pem: Secret = soft().to_pem().unwrap();
        let sources = [
            ("p256", KeySource::Held(Arc::new(Slow(soft())))),
            (
                "aws-lc",
                KeySource::Held(Arc::new(FastKey::new(&soft()).unwrap())),
            ),
            ("pem", KeySource::Pem(pem)),
            ("rsa", KeySource::Held(Arc::new(rsa))),
        ];
        sources
            .into_iter()
            .map(|(name, source)| {
                let mut spec = KeySpec::new(source);
                spec.kid = Some(name.to_owned());
                let config = SignConfig { keys: vec![spec] };
                (name, RingSigner::new(&config, NOW).unwrap())
            })
            .collect()
    }

    /// An answer as it leaves: the body with a signature beside it, or an envelope.
    struct Leaving {
        format: EnvelopeFormat,
        body: Vec<u8>,
        signed: Vec<u8>,
        keys: String,
    }

    impl Leaving {
        async fn new(
            signer: &RingSigner,
            format: EnvelopeFormat,
            claims: &Value,
            body: &[u8],
            is_json: bool,
        ) -> Self {
            let part = if is_json {
                EvidencePart::Json(body)
            } else {
                EvidencePart::Bytes(body)
            };
            let statement = claims.to_string();
            let signable = Signable {
                statement: &statement,
                evidence: (format != EnvelopeFormat::Jwt).then_some(part),
            };
            let ctx = CallContext {
                request_id: Arc::from("r"),
                deadline: tokio::time::Instant::now() + std::time::Duration::from_secs(60),
            };
            let signed = signer.sign(signable, format, NOW, &ctx).await.unwrap();
            Self {
                format,
                body: body.to_vec(),
                signed,
                keys: signer.key_set(NOW),
            }
        }

        fn verify(&self) -> Result<Verified, VerifyError> {
            self.verify_as(&self.body, &self.signed)
        }

        fn verify_as(&self, body: &[u8], signed: &[u8]) -> Result<Verified, VerifyError> {
            // A file that is no text is no signature, and no way to ask whether it is one.
            let text = || String::from_utf8_lossy(signed).into_owned();
            match self.format {
                EnvelopeFormat::Jwt => verify_detached(body, &text(), &self.keys),
                EnvelopeFormat::Jose => verify_jose(&text(), &self.keys),
                EnvelopeFormat::Cose => verify_cose(signed, &self.keys),
            }
        }
    }

    fn claims(body: &[u8], change: &[(&str, Value)]) -> Value {
        let mut claims = json!({
            "SHA256PayloadDigest": hex(&sha256(body)), "iss": "https://dan.example.no/v1",
            "iat": NOW.as_seconds(), "jti": "r-1", "aud": "0192:974760673", "sub": "0192:991825827",
            "requestor": "0192:958935420", "dataset": "D", "context": "C",
            "retrieved_at": "2026-11-24T12:00:00Z", "source": "S", "source_digest": "00",
            "view": "01", "media_type": "application/json",
        });
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        claims
    }

    /// The seed, and how many cases to try. Both are printed.
    #[expect(clippy::print_stderr, reason = "a case that fails must be found again")]
    #[expect(clippy::disallowed_methods, reason = "a test reads its seed")]
    fn chance(few: u32, many: u32) -> (Chance, u32) {
        let seed = std::env::var("DAN_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or(SEED_DEFAULT);
        let long = std::env::var("DAN_LONG").is_ok_and(|text| text == "1");
        let cases = if long { many } else { few };
        eprintln!("seed {seed} (DAN_SEED), {cases} cases (DAN_LONG)");
        (Chance(seed), cases)
    }

    #[tokio::test]
    async fn whatever_is_signed_verifies_as_it_was_signed() {
        let (mut chance, cases) = chance(60, 3000);
        let signers = signers();
        for case in 0..cases {
            let is_json = chance.below(2) == 0;
            let body = if is_json {
                chance.json(4).to_string().into_bytes()
            } else {
                chance.bytes(300)
            };
            let claims = claims(
                &body,
                &[("x", chance.json(3)), ("source", json!(chance.text()))],
            );
            for (name, signer) in &signers {
                for format in FORMATS {
                    if !signer.can_sign(format, NOW) {
                        assert_eq!((*name, format), ("rsa", EnvelopeFormat::Cose));
                        continue;
                    }
                    let leaving = Leaving::new(signer, format, &claims, &body, is_json).await;
                    let verified = leaving.verify();
                    let verified =
                        verified.unwrap_or_else(|why| panic!("{case} {name} {format:?}: {why}"));
                    assert_eq!(verified.kid, *name);
                    verified.statement().unwrap();
                    let mut said = verified.claims.clone();
                    for inside in ["evidence", "evidence_base64"] {
                        said.shift_remove(inside);
                    }
                    assert_eq!(Value::Object(said), claims, "{case} {name} {format:?}");
                    match verified.evidence() {
                        Err(why) => assert_eq!(
                            (format, why),
                            (EnvelopeFormat::Jwt, VerifyError::NoEvidence)
                        ),
                        Ok(inside) if inside.is_original => assert_eq!(inside.bytes, body),
                        Ok(inside) => {
                            assert_eq!(format, EnvelopeFormat::Cose);
                            let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
                            assert_eq!(read(&inside.bytes), read(&body), "{case}");
                        }
                    }
                }
            }
        }
    }

    /// Exhaustive: each bit of a small answer, in each form, of a key of each algorithm; with `DAN_LONG`
    /// of every kind of key.
    #[tokio::test]
    async fn no_bit_can_be_flipped() {
        let (_, kinds) = chance(2, 4);
        for (name, signer) in signers() {
            if kinds == 2 && !["aws-lc", "rsa"].contains(&name) {
                continue;
            }
            for format in FORMATS {
                if !signer.can_sign(format, NOW) {
                    continue;
                }
                let body = br#"{"b":1.5,"a":"\u00e5"}"#;
                let leaving = Leaving::new(&signer, format, &claims(body, &[]), body, true).await;
                leaving.verify().unwrap();
                let flipped = |bytes: &[u8], bit: usize| {
                    let mut bytes = bytes.to_vec();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    bytes
                };
                for bit in 0..leaving.signed.len() * 8 {
                    let forged = flipped(&leaving.signed, bit);
                    let outcome = leaving.verify_as(body, &forged);
                    assert!(outcome.is_err(), "{name} {format:?}: bit {bit}");
                }
                for bit in 0..if format == EnvelopeFormat::Jwt {
                    body.len() * 8
                } else {
                    0
                } {
                    let outcome = leaving.verify_as(&flipped(body, bit), &leaving.signed);
                    assert!(
                        matches!(outcome, Err(VerifyError::OtherBody { .. })),
                        "{bit}"
                    );
                }
            }
        }
    }

    /// What two genuine answers may differ in, alone.
    const DIFFERENCES: [(&str, &str); 7] = [
        ("sub", "0192:998997801"),
        ("aud", "0192:958935420"),
        ("requestor", "0192:974760673"),
        ("dataset", "E"),
        ("retrieved_at", "2026-11-24T12:00:01Z"),
        ("jti", "r-2"),
        ("accreditation", "a-1"),
    ];

    fn required() -> Expect<'static> {
        Expect {
            subject: Some("991825827"),
            audience: Some("974760673"),
            requestor: Some("958935420"),
            dataset: Some("D"),
            release: Some("r-1"),
            retrieved_since: Some(1_795_521_600),
            retrieved_until: Some(1_795_521_600),
            ..Expect::default()
        }
    }

    #[tokio::test]
    async fn parts_of_two_genuine_answers_do_not_go_together() {
        for (name, signer) in signers() {
            for format in FORMATS {
                if !signer.can_sign(format, NOW) {
                    continue;
                }
                let body = br#"{"a":1}"#;
                let ours = Leaving::new(&signer, format, &claims(body, &[]), body, true).await;
                let statement = ours.verify().unwrap().statement().unwrap();
                assert_eq!(statement.differences(&required()), []);
                for (claim, value) in DIFFERENCES {
                    let theirs = claims(body, &[(claim, json!(value))]);
                    let theirs = Leaving::new(&signer, format, &theirs, body, true).await;
                    let told = theirs.verify().unwrap().statement().unwrap();
                    let told = told.differences(&required());
                    if claim != "accreditation" {
                        assert_eq!(told.len(), 1, "{claim}");
                        assert_eq!(told[0].claim, claim);
                    }
                    spliced(&ours, &theirs, &format!("{name} {format:?} {claim}"));
                    spliced(&theirs, &ours, &format!("{name} {format:?} {claim}"));
                }
                let other = br#"{"a":2}"#;
                let theirs = Leaving::new(&signer, format, &claims(other, &[]), other, true).await;
                spliced(&ours, &theirs, "the body");
                if format == EnvelopeFormat::Jwt {
                    for (one, two) in [(&ours, &theirs), (&theirs, &ours)] {
                        let outcome = one.verify_as(&two.body, &one.signed);
                        assert!(matches!(outcome, Err(VerifyError::OtherBody { .. })));
                    }
                }
            }
        }
    }

    /// The signature of one on the content of the other.
    fn spliced(content: &Leaving, signature: &Leaving, what: &str) {
        let forged = match content.format {
            EnvelopeFormat::Cose => {
                // The signature is the last 64 bytes of both.
                let end = content.signed.len() - 64;
                let (_, mac) = signature.signed.split_at(signature.signed.len() - 64);
                [&content.signed[..end], mac].concat()
            }
            EnvelopeFormat::Jwt | EnvelopeFormat::Jose => {
                let text = |leaving: &Leaving| String::from_utf8(leaving.signed.clone()).unwrap();
                let (content, signature) = (text(content), text(signature));
                let (signed, _) = content.rsplit_once('.').unwrap();
                let (_, mac) = signature.rsplit_once('.').unwrap();
                assert!(URL_SAFE_NO_PAD.decode(mac).is_ok());
                format!("{signed}.{mac}").into_bytes()
            }
        };
        let outcome = content.verify_as(&content.body, &forged);
        assert_eq!(outcome, Err(VerifyError::BadSignature), "{what}");
    }

    /// Signed, but for something else: a signature beside a body is no envelope, and the other way round.
    #[tokio::test]
    async fn one_form_does_not_pass_for_another() {
        for (name, signer) in signers() {
            let body = b"1";
            let beside =
                Leaving::new(&signer, EnvelopeFormat::Jwt, &claims(body, &[]), body, true).await;
            let inside = Leaving::new(
                &signer,
                EnvelopeFormat::Jose,
                &claims(body, &[]),
                body,
                true,
            )
            .await;
            assert!(inside.verify_as(body, &beside.signed).is_err(), "{name}");
            assert!(beside.verify_as(body, &inside.signed).is_err(), "{name}");
            if signer.can_sign(EnvelopeFormat::Cose, NOW) {
                let cose = Leaving::new(
                    &signer,
                    EnvelopeFormat::Cose,
                    &claims(body, &[]),
                    body,
                    true,
                )
                .await;
                assert!(cose.verify_as(body, &inside.signed).is_err(), "{name}");
                assert!(inside.verify_as(body, &cose.signed).is_err(), "{name}");
            }
        }
    }
}
