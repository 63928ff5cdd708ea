//! Which token a plugin is asked with (`wire-api.md` §2.5), by the whole way of a harvest.

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use dan_core::caller::{Caller, KeyProof, Proof};
    use dan_core::error::Fault;
    use dan_core::flow::{Answer as Shaping, Call, Exchange, Presented, Presenter, Wish};
    use dan_core::inquiry::OfferedTokens;
    use dan_core::meter::Meter;
    use dan_core::ports::{
        CallContext, ConsentState, FactError, Fetch, FetchError, FetchReply, FetchRequest,
        PortFuture,
    };
    use dan_core::requirement::{ConsentRule, Requirement, Rule};
    use dan_core::secret::Secret;
    use dan_core::testkit::builders::{self, AGENCY, application, caller, org, rule};
    use dan_core::testkit::fakes::{Fakes, StillClock, call_context};
    use dan_source::authorities::tokens::{AccessToken, TokenIssuer, TokenWish};
    use dan_source::plugin::PluginSource;
    use serde_json::{Value, json};

    /// Answers with no values, and keeps what it was sent: what a log would show, and the body.
    #[derive(Default)]
    struct Plugin(Mutex<Vec<(String, Value)>>);

    impl Fetch for Plugin {
        fn fetch<'a>(
            &'a self,
            request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            let shown = format!("{request:?}");
            let (_, body) = request.body.unwrap();
            let body = serde_json::from_slice(&body).unwrap();
            self.0.lock().unwrap().push((shown, body));
            let reply = FetchReply {
                status: 200,
                media_type: Some("application/json".to_owned()),
                retry_after_s: None,
                body: Bytes::from_static(b"[]"),
            };
            Box::pin(std::future::ready(Ok(reply)))
        }
    }

    /// Gives tokens that nobody else has, and notes what they are for.
    #[derive(Default)]
    struct Issuer {
        wishes: Mutex<Vec<TokenWish>>,
        down: bool,
    }

    impl TokenIssuer for Issuer {
        fn token<'a>(
            &'a self,
            wish: &'a TokenWish,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<AccessToken, FactError>> {
            self.wishes.lock().unwrap().push(wish.clone());
            let answer = if self.down {
                Err(FactError {
                    authority: "Maskinporten".to_owned(),
                    cause: "HTTP status 500".to_owned(),
                })
            } else {
                Ok(Arc::new(Secret::new("ours".to_owned())))
            };
            Box::pin(std::future::ready(answer))
        }
    }

    struct Plain;

    impl Presenter for Plain {
        fn present(&self, _answer: &Shaping<'_>) -> Result<Presented, Fault> {
            Ok(Presented {
                body: Bytes::new(),
                media_type: Some("text/plain".to_owned()),
                query: None,
            })
        }
    }

    struct House {
        issuer: Option<Arc<Issuer>>,
        scopes: Option<&'static str>,
        rules: Vec<Rule>,
        caller: Caller,
    }

    fn house() -> House {
        House {
            issuer: Some(Arc::default()),
            scopes: Some("a:b c:d"),
            rules: Vec::new(),
            caller: caller(AGENCY, &["dan:test"]),
        }
    }

    impl House {
        /// The `mpToken` that the plugin gets, or why it is not asked.
        async fn sent(&self, tokens: OfferedTokens) -> Result<Value, Fault> {
            let fetch = Arc::new(Plugin::default());
            let issuer = self
                .issuer
                .clone()
                .map(|issuer| issuer as Arc<dyn TokenIssuer>);
            let url = "http://127.0.0.1:7071/api";
            let clock = Arc::new(StillClock::default());
            let plugin = PluginSource::new("ebevis", url, None, Arc::clone(&fetch) as _, clock)
                .with_tokens(issuer);
            let mut dataset = builders::dataset("d");
            dataset.source_scopes = self.scopes.map(str::to_owned);
            dataset.rules.clone_from(&self.rules);
            let context = builders::context(Vec::new());
            let fakes = Fakes::new(|_| builders::catalog(context, Arc::new(plugin), vec![dataset]));
            fakes.consents.set(Ok(ConsentState::Granted));
            let meter = Arc::new(Meter::default());
            let exchange = Exchange::new(fakes.ports(), Fakes::settings(), meter);
            let ctx = call_context();
            let call = Call {
                caller: &self.caller,
                ctx: &ctx,
            };
            let mut asked = application(&["d"]);
            asked.consent_reference = Some("2026-1".to_owned());
            asked.datasets[0].request_consent = !self.rules.is_empty();
            let none = OfferedTokens::default();
            let granted = exchange.grant(call, asked, none, None).await?;
            let id = granted.accreditation.id.to_string();
            let wish = Wish {
                tokens: &tokens,
                presenter: &Plain,
            };
            let harvested = exchange.harvest(call, &id, "d", wish).await;
            let mut seen = std::mem::take(&mut *fetch.0.lock().unwrap());
            if let Err(fault) = harvested {
                assert!(seen.is_empty(), "the plugin was asked without its token");
                return Err(fault);
            }
            let (shown, body) = seen.pop().unwrap();
            assert!(!shown.contains("ours"));
            Ok(body["mpToken"].clone())
        }

        fn wishes(&self) -> Vec<TokenWish> {
            let issuer = self.issuer.as_ref().unwrap();
            std::mem::take(&mut *issuer.wishes.lock().unwrap())
        }
    }

    fn offered(reuse: bool, forwarded: &str, on_behalf_of_owner: bool) -> OfferedTokens {
        let forwarded =
            (!forwarded.is_empty()).then(|| Arc::new(Secret::new(forwarded.to_owned())));
        OfferedTokens {
            reuse,
            forwarded,
            on_behalf_of_owner,
        }
    }

    fn own() -> TokenWish {
        TokenWish::own("a:b c:d".to_owned())
    }

    fn on_behalf() -> TokenWish {
        TokenWish {
            consumer: Some(org(AGENCY)),
            ..own()
        }
    }

    #[tokio::test]
    async fn the_first_that_is_offered_wins_and_ours_comes_last() {
        let house = house();
        for (tokens, sent, asked) in [
            (offered(true, "forwarded", true), "token", vec![]),
            (offered(true, "", true), "token", vec![]),
            (offered(false, "forwarded", true), "forwarded", vec![]),
            (offered(false, "", true), "ours", vec![on_behalf()]),
            (offered(false, "", false), "ours", vec![own()]),
        ] {
            assert_eq!(house.sent(tokens).await.unwrap(), sent);
            assert_eq!(house.wishes(), asked);
        }
    }

    #[tokio::test]
    async fn a_dataset_without_scopes_and_one_that_rests_on_consent_get_no_token() {
        let without = House {
            scopes: None,
            ..house()
        };
        let consent = rule("d/consent", Requirement::Consent(ConsentRule::default()));
        let consented = House {
            rules: vec![consent],
            ..house()
        };
        for house in [without, consented] {
            for tokens in [offered(true, "forwarded", true), OfferedTokens::default()] {
                assert_eq!(house.sent(tokens).await.unwrap(), json!(null));
            }
            assert!(house.wishes().is_empty());
        }
    }

    #[tokio::test]
    async fn a_caller_without_a_token_has_none_to_reuse() {
        let proofs = vec![
            Proof::Key(KeyProof {
                scopes: vec!["dan:test".to_owned()],
                ..KeyProof::new("key".to_owned(), "test-product".to_owned(), None)
            }),
            Proof::Certificate { org: org(AGENCY) },
        ];
        let house = House {
            caller: Caller::join(proofs).unwrap(),
            ..house()
        };
        assert_eq!(house.sent(offered(true, "", true)).await.unwrap(), "ours");
        assert_eq!(house.wishes(), [on_behalf()]);
    }

    #[tokio::test]
    async fn without_a_token_the_plugin_is_not_asked_w22() {
        let down = Issuer {
            down: true,
            ..Issuer::default()
        };
        for (issuer, authority) in [(Some(Arc::new(down)), "Maskinporten"), (None, "this node")] {
            let house = House { issuer, ..house() };
            for tokens in [offered(false, "", true), offered(false, "", false)] {
                let fault = house.sent(tokens).await.unwrap_err();
                assert_eq!((fault.code.number(), fault.status), (1013, 503));
            }
            // What the caller brings needs nobody.
            let sent = house.sent(offered(false, "forwarded", false)).await;
            assert_eq!(sent.unwrap(), "forwarded", "{authority}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_none_is_refused_and_not_shown() {
        let house = house();
        for text in ["can\r\nary", "can ary", "Bearer canary", "canaræ"] {
            let fault = house.sent(offered(false, text, true)).await.unwrap_err();
            assert!(!format!("{fault:?}").contains("canar"), "{fault:?}");
        }
        assert!(house.wishes().is_empty());
    }
}
