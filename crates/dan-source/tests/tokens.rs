//! Our client at Maskinporten: what it sends, what it keeps, and what it does not take for a token.

#[cfg(test)]
mod scripted;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use dan_core::ports::{CallContext, FactError, FetchError};
    use dan_core::secret::Secret;
    use dan_core::testkit::builders::{AGENCY, OTHER_AGENCY, org};
    use dan_core::testkit::fakes::{CountingEntropy, START, StillClock, call_context};
    use dan_source::authorities::tokens::{
        MaskinportenClient, MaskinportenConfig, TokenIssuer as _, TokenWish,
    };
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use crate::scripted::{Answer, Scripted, Seen};

    const ENDPOINT: &str = "https://maskinporten.example/token";

    /// PEM and public half of one key; making one takes a while.
    fn key() -> &'static (String, Vec<u8>) {
        static KEY: OnceLock<(String, Vec<u8>)> = OnceLock::new();
        KEY.get_or_init(|| {
            let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let text = STANDARD.encode(der.as_ref());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            (pem, pair.public_key().as_ref().to_vec())
        })
    }

    fn config() -> MaskinportenConfig {
        MaskinportenConfig {
            token_endpoint: ENDPOINT.to_owned(),
            audience: None,
            client_id: "client-1".to_owned(),
            key_id: Some("key-1".to_owned()),
            key: Secret::new(key().0.clone()),
            certificate: None,
        }
    }

    struct Bench {
        client: MaskinportenClient,
        fetch: Arc<Scripted>,
        clock: Arc<StillClock>,
    }

    fn bench(answers: impl IntoIterator<Item = Answer>) -> Bench {
        bench_with(config(), answers)
    }

    fn bench_with(config: MaskinportenConfig, answers: impl IntoIterator<Item = Answer>) -> Bench {
        let fetch = Scripted::new(answers);
        let clock = Arc::new(StillClock::default());
        let client = MaskinportenClient::new(
            config,
            Arc::clone(&fetch) as _,
            Arc::clone(&clock) as _,
            Arc::new(CountingEntropy::default()),
        );
        Bench {
            client: client.unwrap(),
            fetch,
            clock,
        }
    }

    impl Bench {
        async fn token(&self, wish: &TokenWish) -> Result<String, FactError> {
            let token = self.client.token(wish, &call_context()).await?;
            Ok(token.expose().to_owned())
        }
    }

    fn given(token: &str, lifetime: i64) -> Answer {
        let body = json!({"access_token": token, "token_type": "Bearer", "scope": "a:b",
            "expires_in": lifetime});
        Answer::Reply(200, body.to_string())
    }

    fn wish() -> TokenWish {
        TokenWish::own("a:b".to_owned())
    }

    /// Header and claims of the assertion that was sent, and whether the signature holds.
    fn assertion(seen: &Seen) -> (Value, Value, bool) {
        let prefix = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
        let jws = seen.body.strip_prefix(prefix).unwrap();
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let part = |text: &str| serde_json::from_slice(&decode(text)).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key().1);
        let holds = public.verify(signed.as_bytes(), &decode(signature)).is_ok();
        (part(header), part(claims), holds)
    }

    #[tokio::test]
    async fn a_grant_is_what_maskinporten_knows() {
        let bench = bench([given("t1", 120), given("t2", 120)]);
        assert_eq!(bench.token(&wish()).await.unwrap(), "t1");
        let full = TokenWish {
            scope: "a:b c:d".to_owned(),
            consumer: Some(org(AGENCY)),
            resource: Some("https://api.example".to_owned()),
        };
        assert_eq!(bench.token(&full).await.unwrap(), "t2");
        let seen = bench.fetch.seen();
        let own = &seen[0];
        assert_eq!(own.url, ENDPOINT);
        assert_eq!(
            own.headers,
            [("accept".to_owned(), "application/json".to_owned())]
        );
        let (header, claims, holds) = assertion(own);
        assert!(holds);
        assert_eq!(
            header,
            json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
        );
        let now = START.as_seconds();
        assert_eq!(claims["aud"], "https://maskinporten.example/");
        assert_eq!(claims["iss"], "client-1");
        assert_eq!(claims["scope"], "a:b");
        assert_eq!(claims["iat"], now);
        assert_eq!(claims["exp"], now + 60);
        assert!(claims.get("consumer_org").is_none() && claims.get("resource").is_none());
        let (_, full, holds) = assertion(&seen[1]);
        assert!(holds);
        assert_eq!(full["scope"], "a:b c:d");
        assert_eq!(full["consumer_org"], AGENCY);
        assert_eq!(full["resource"], "https://api.example");
        assert_ne!(claims["jti"], full["jti"]);
        assert_eq!(own.shown, "FetchRequest(Post Maskinporten)");
        assert!(own.bytes_max <= 64 << 10 && own.deadline < call_context().deadline);
    }

    #[tokio::test]
    async fn a_key_goes_by_its_name_its_certificate_or_its_thumbprint() {
        let header = async |config: MaskinportenConfig| {
            let bench = bench_with(config, [given("t", 120)]);
            bench.token(&wish()).await.unwrap();
            assertion(&bench.fetch.seen()[0]).0
        };
        let thumbprint = header(MaskinportenConfig {
            key_id: None,
            ..config()
        })
        .await;
        assert_eq!(thumbprint["kid"].as_str().unwrap().len(), 43);
        let der = STANDARD.encode([b"certificate".as_slice(), &key().1].concat());
        let certificate =
            format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
        let text = format!("{certificate}{}", key().0);
        let certified = header(MaskinportenConfig {
            key_id: None,
            key: Secret::new(text),
            ..config()
        })
        .await;
        assert_eq!(certified, json!({"alg": "RS256", "x5c": [der]}));
        let beside = header(MaskinportenConfig {
            key_id: None,
            certificate: Some(certificate),
            ..config()
        })
        .await;
        assert_eq!(beside, certified);
        let audience = bench_with(
            MaskinportenConfig {
                audience: Some("https://other.example/".to_owned()),
                ..config()
            },
            [given("t", 120)],
        );
        audience.token(&wish()).await.unwrap();
        let (_, claims, _) = assertion(&audience.fetch.seen()[0]);
        assert_eq!(claims["aud"], "https://other.example/");
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_and_not_shown() {
        let new = |config| {
            let fetch = Scripted::new([]);
            let clock = Arc::new(StillClock::default());
            let entropy = Arc::new(CountingEntropy::default());
            MaskinportenClient::new(config, fetch, clock, entropy).err()
        };
        for (config, reason) in [
            (
                MaskinportenConfig {
                    key: Secret::new("hunter2".to_owned()),
                    ..config()
                },
                "the key: the file holds no private key in PEM form",
            ),
            (
                MaskinportenConfig {
                    certificate: Some("x".to_owned()),
                    ..config()
                },
                "key_id and certificate exclude each other; leave one out",
            ),
            (
                MaskinportenConfig {
                    key_id: None,
                    certificate: Some("x".to_owned()),
                    ..config()
                },
                "the certificate: the file holds no certificate in PEM form",
            ),
            (
                MaskinportenConfig {
                    client_id: String::new(),
                    ..config()
                },
                "the client identifier is empty",
            ),
            (
                MaskinportenConfig {
                    token_endpoint: "maskinporten".to_owned(),
                    ..config()
                },
                "the token endpoint is no address",
            ),
        ] {
            assert_eq!(new(config).as_deref(), Some(reason));
        }
    }

    #[tokio::test]
    async fn a_token_is_kept_until_half_a_minute_before_its_end() {
        let bench = bench([given("t1", 120), given("t2", 30), given("t3", 120)]);
        assert_eq!(bench.token(&wish()).await.unwrap(), "t1");
        bench.clock.advance_ms(89_999);
        assert_eq!(bench.token(&wish()).await.unwrap(), "t1");
        bench.clock.advance_ms(1);
        assert_eq!(bench.token(&wish()).await.unwrap(), "t2");
        assert_eq!(
            bench.token(&wish()).await.unwrap(),
            "t3",
            "too short to keep"
        );
        assert_eq!(bench.fetch.seen().len(), 3);
    }

    #[tokio::test]
    async fn a_token_that_has_ended_is_not_used_while_no_new_one_can_be_had() {
        let down = || Answer::Fails(FetchError::Network("reset".to_owned()));
        let bench = bench([given("t1", 120), down(), down(), given("t2", 120)]);
        assert_eq!(bench.token(&wish()).await.unwrap(), "t1");
        bench.clock.advance_ms(119_999);
        assert!(bench.token(&wish()).await.is_err(), "inside the margin");
        bench.clock.advance_ms(1);
        assert!(bench.token(&wish()).await.is_err());
        assert_eq!(bench.token(&wish()).await.unwrap(), "t2");
    }

    #[tokio::test]
    async fn tokens_for_others_are_other_tokens() {
        let bench = bench([given("t1", 120), given("t2", 120), given("t3", 120)]);
        let on_behalf = |number: &str| TokenWish {
            consumer: Some(org(number)),
            ..wish()
        };
        let (one, other) = (on_behalf(AGENCY), on_behalf(OTHER_AGENCY));
        for (wish, token) in [(&wish(), "t1"), (&one, "t2"), (&other, "t3")] {
            assert_eq!(bench.token(wish).await.unwrap(), token);
        }
        assert_eq!(bench.token(&one).await.unwrap(), "t2");
        assert_eq!(bench.fetch.seen().len(), 3);
    }

    #[tokio::test]
    async fn many_who_want_the_same_ask_once() {
        let bench = bench([given("t1", 120)]);
        let wish = wish();
        let (a, b, c) = tokio::join!(bench.token(&wish), bench.token(&wish), bench.token(&wish));
        for token in [a, b, c] {
            assert_eq!(token.unwrap(), "t1");
        }
        assert_eq!(bench.fetch.seen().len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_token_is_an_error_that_repeats_nothing() {
        let body = |body: Value| Answer::Reply(200, body.to_string());
        let refused = json!({"error": "invalid_scope", "error_description": "secret canary"});
        for (answer, cause) in [
            (Answer::Reply(400, refused.to_string()), "invalid_scope"),
            (Answer::Reply(400, "canary".to_owned()), "no error code"),
            (
                Answer::Reply(401, json!({"error": "Canary!"}).to_string()),
                "no error code",
            ),
            (Answer::Reply(302, String::new()), "HTTP status 302"),
            (Answer::Reply(503, "canary".to_owned()), "HTTP status 503"),
            (Answer::Reply(200, String::new()), "not understood"),
            (
                Answer::Reply(200, "\"canary\"".to_owned()),
                "not understood",
            ),
            (body(json!({"expires_in": 120})), "no token"),
            (
                body(json!({"access_token": "", "expires_in": 120})),
                "no token",
            ),
            (
                body(json!({"access_token": "can\r\nary", "expires_in": 120})),
                "no token",
            ),
            (
                body(json!({"access_token": "can ary", "expires_in": 120})),
                "no token",
            ),
            (body(json!({"access_token": "canary"})), "how long"),
            (
                body(json!({"access_token": "canary", "expires_in": "120"})),
                "how long",
            ),
            (
                body(json!({"access_token": "canary", "expires_in": 120, "token_type": "MAC"})),
                "another type",
            ),
            (
                Answer::Reply(
                    200,
                    r#"{"access_token":"a","access_token":"canary","expires_in":9}"#.to_owned(),
                ),
                "not understood",
            ),
            (Answer::Fails(FetchError::TooLarge), "too large"),
            (
                Answer::Fails(FetchError::Network("reset".to_owned())),
                "reset",
            ),
        ] {
            let bench = bench([answer]);
            let error = bench.token(&wish()).await.unwrap_err();
            assert_eq!(error.authority, "Maskinporten");
            assert!(error.cause.contains(cause), "{}", error.cause);
            assert!(
                !error.cause.to_lowercase().contains("canary"),
                "{}",
                error.cause
            );
            let body = json!({"access_token": "t", "expires_in": 120});
            bench.fetch.then(200, body.to_string());
            assert_eq!(
                bench.token(&wish()).await.unwrap(),
                "t",
                "failures are not kept"
            );
        }
    }

    /// Scopes we have not do not keep us from tokens for those that we have (`engine.md` W-24).
    #[tokio::test]
    async fn refusals_do_not_count_as_an_outage_and_outages_do() {
        let refused = || Answer::Reply(400, json!({"error": "invalid_scope"}).to_string());
        let down = || Answer::Reply(500, String::new());
        let refusals = bench((0..60).map(|_| refused()));
        for _ in 0..60 {
            refusals.token(&wish()).await.unwrap_err();
        }
        assert_eq!(refusals.fetch.seen().len(), 60);
        let outages = bench((0..60).map(|_| down()));
        for _ in 0..60 {
            outages.token(&wish()).await.unwrap_err();
        }
        assert_eq!(outages.fetch.seen().len(), 10);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_he_has_time() {
        let bench = bench([Answer::Never]);
        let ctx = CallContext {
            deadline: Instant::now() + Duration::from_millis(5),
            ..call_context()
        };
        let error = bench.client.token(&wish(), &ctx).await.unwrap_err();
        assert_eq!(error.cause, "no answer in time");
    }
}
