//! The shipped datasets that are asked with a token of the caller, by the whole way of a direct harvest.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use dan_core::caller::{Caller, KeyProof, Proof, TokenProof};
    use dan_core::catalog::Catalog;
    use dan_core::error::{Code, Fault};
    use dan_core::evidence::Evidence;
    use dan_core::flow::{Answer as Shaping, Call, Exchange, Presented, Presenter, Wish};
    use dan_core::inquiry::{Application, DatasetRequest, OfferedTokens, Parameter};
    use dan_core::meter::Meter;
    use dan_core::ports::{
        CallContext, FactError, Fetch, FetchError, FetchReply, FetchRequest, PortFuture,
    };
    use dan_core::secret::Secret;
    use dan_core::testkit::builders::{AGENCY, COMPANY, PERSON, org};
    use dan_core::testkit::fakes::{Fakes, call_context};
    use dan_source::authorities::tokens::{AccessToken, TokenIssuer, TokenWish};
    use dan_source::catalog_folder::{CatalogFiles, Environment, load};
    use dan_source::declared::SourcePorts;
    use serde_json::{Value, json};

    /// Gives tokens that say what they are for.
    #[derive(Default)]
    struct Issuer(Mutex<Vec<TokenWish>>);

    impl TokenIssuer for Issuer {
        fn token<'a>(
            &'a self,
            wish: &'a TokenWish,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<AccessToken, FactError>> {
            self.0.lock().unwrap().push(wish.clone());
            let token = Secret::new("on-behalf".to_owned());
            Box::pin(std::future::ready(Ok(Arc::new(token))))
        }
    }

    /// The sources: answers in turn, and what was sent for them.
    struct Outside {
        answers: Mutex<VecDeque<(u16, Value)>>,
        /// Address and `Authorization`.
        sent: Mutex<Vec<(String, String)>>,
    }

    impl Fetch for Outside {
        fn fetch<'a>(
            &'a self,
            request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            let token = request.authorization.as_ref().map(Secret::expose);
            let token = token.unwrap_or_default().to_owned();
            self.sent.lock().unwrap().push((request.url, token));
            let answer = self.answers.lock().unwrap().pop_front();
            let reply = answer.map(|(status, body)| FetchReply {
                status,
                media_type: Some("application/json".to_owned()),
                retry_after_s: None,
                body: Bytes::from(body.to_string()),
            });
            Box::pin(std::future::ready(reply.ok_or(FetchError::Timeout)))
        }
    }

    struct Plain;

    impl Presenter for Plain {
        fn present(&self, answer: &Shaping<'_>) -> Result<Presented, Fault> {
            let Evidence::Values(values) = answer.evidence else {
                return Err(Fault::new(Code::InternalServerError));
            };
            let values = values.iter().map(|value| value.value.clone());
            let body = Value::Array(values.collect()).to_string();
            Ok(Presented {
                body: Bytes::from(body),
                media_type: Some("application/json".to_owned()),
                query: None,
            })
        }
    }

    struct Bench {
        exchange: Exchange,
        outside: Arc<Outside>,
        issuer: Arc<Issuer>,
    }

    fn bench(answers: &[(u16, Value)]) -> Bench {
        let outside = Arc::new(Outside {
            answers: Mutex::new(answers.to_vec().into()),
            sent: Mutex::default(),
        });
        let issuer = Arc::new(Issuer::default());
        let settings: BTreeMap<String, String> =
            ["er", "freg", "skatt", "skatt_person", "testdata"]
                .map(|name| (name.to_owned(), format!("https://{name}.example")))
                .into();
        let no_secrets = |_: &str| None;
        let environment = Environment::new(&settings, &no_secrets);
        let loaded = load(&CatalogFiles::embedded(), &environment).expect("no mistake");
        let fakes = Fakes::new(|_| Catalog::default());
        let ports = SourcePorts::new(
            Arc::clone(&outside) as _,
            Arc::clone(&fakes.clock) as _,
            Some(Arc::clone(&issuer) as _),
        );
        let (contexts, supplies) = (loaded.service_contexts(), loaded.supplies(&ports));
        let (catalog, _) = Catalog::build(contexts, supplies, loaded.version);
        fakes.catalog.replace(catalog);
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        Bench {
            exchange,
            outside,
            issuer,
        }
    }

    fn caller() -> Caller {
        Caller::join(vec![
            Proof::Key(KeyProof::new(
                "key".to_owned(),
                "dihe-product".to_owned(),
                None,
            )),
            Proof::Token(TokenProof::new(
                org(AGENCY),
                vec!["altinn:dataaltinnno/dihe".to_owned()],
                Arc::new(Secret::new("callers-own".to_owned())),
            )),
        ])
        .unwrap()
    }

    fn about(subject: &str, dataset: &str, parameters: &[(&str, &str)]) -> Application {
        let parameters = parameters.iter().map(|(name, value)| Parameter {
            name: (*name).to_owned(),
            value: Value::from(*value),
        });
        Application {
            requestor: Some(AGENCY.to_owned()),
            subject: Some(subject.to_owned()),
            datasets: vec![DatasetRequest {
                name: dataset.to_owned(),
                parameters: parameters.collect(),
                ..DatasetRequest::default()
            }],
            ..Application::default()
        }
    }

    const ON_BEHALF: OfferedTokens = OfferedTokens {
        reuse: false,
        forwarded: None,
        on_behalf_of_owner: true,
    };

    impl Bench {
        async fn harvest(
            &self,
            application: Application,
            tokens: &OfferedTokens,
        ) -> Result<Value, Fault> {
            let (caller, ctx) = (caller(), call_context());
            let wish = Wish {
                tokens,
                presenter: &Plain,
            };
            let call = Call {
                caller: &caller,
                ctx: &ctx,
            };
            let envelope = self
                .exchange
                .direct_harvest(call, application, wish)
                .await?;
            Ok(serde_json::from_slice(&envelope.whole().unwrap().body).unwrap())
        }

        fn sent(&self) -> Vec<(String, String)> {
            self.outside.sent.lock().unwrap().clone()
        }
    }

    const FREG: &str = "https://freg.example/folkeregisteret/offentlig-med-hjemmel/api/v1/personer";

    /// `clients.md` §9, 64.
    #[tokio::test]
    async fn a_person_is_asked_for_on_behalf_of_the_owner() {
        let bench = bench(&[(200, json!({"navn": []}))]);
        let asked = about(PERSON, "FregPerson", &[("part", "relasjon-utvidet")]);
        let answer = bench.harvest(asked, &ON_BEHALF).await.expect("an answer");
        assert_eq!(answer, json!([{"navn": []}]));
        assert_eq!(
            bench.sent(),
            [(
                format!("{FREG}/{PERSON}?part=relasjon-utvidet"),
                "Bearer on-behalf".to_owned()
            )]
        );
        let wishes = bench.issuer.0.lock().unwrap();
        assert_eq!(wishes[0].consumer, Some(org(AGENCY)));
        assert_eq!(wishes[0].scope, "folkeregister:deling/offentligmedhjemmel");
    }

    #[tokio::test]
    async fn tokens_that_are_offered_are_sent_as_they_are() {
        for (tokens, expected) in [
            (
                OfferedTokens {
                    reuse: true,
                    ..OfferedTokens::default()
                },
                "Bearer callers-own",
            ),
            (
                OfferedTokens {
                    forwarded: Some(Arc::new(Secret::new("forwarded.token".to_owned()))),
                    ..OfferedTokens::default()
                },
                "Bearer forwarded.token",
            ),
        ] {
            let bench = bench(&[(200, json!({}))]);
            let asked = about(PERSON, "FregPerson", &[]);
            bench.harvest(asked, &tokens).await.expect("an answer");
            let sent = bench.sent();
            assert_eq!(
                sent,
                [(
                    format!("{FREG}/{PERSON}?part=person-basis"),
                    expected.to_owned()
                )]
            );
            assert!(bench.issuer.0.lock().unwrap().is_empty());
        }
    }

    /// `clients.md` §9, 39 and 40.
    #[tokio::test]
    async fn without_a_token_or_about_an_organisation_nothing_is_asked() {
        for dataset in ["FregPerson", "SummertSkattegrunnlag"] {
            let bench = bench(&[(200, json!({}))]);
            let none = OfferedTokens::default();
            let refused = bench.harvest(about(PERSON, dataset, &[]), &none).await;
            let refused = refused.expect_err("no token");
            assert_eq!(refused.code, Code::AuthorizationFailed);
            assert_eq!(refused.rules, [format!("{dataset}/own-token")]);
            let refused = bench
                .harvest(about(COMPANY, dataset, &[]), &ON_BEHALF)
                .await;
            let refused = refused.expect_err("no person");
            assert_eq!(refused.rules, [format!("{dataset}/party")]);
            let mut other = about(PERSON, dataset, &[]);
            other.requestor = Some(COMPANY.to_owned());
            let refused = bench.harvest(other, &ON_BEHALF).await;
            assert_eq!(
                refused.expect_err("not the owner").code,
                Code::AuthorizationFailed
            );
            assert!(bench.sent().is_empty());
            assert!(bench.issuer.0.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn the_tax_basis_is_that_of_the_year_the_first_answer_names() {
        let bench = bench(&[
            (200, json!({"sisteTilgjengeligePeriode": "2023"})),
            (
                200,
                json!({"personidentifikator": PERSON, "inntektsaar": "2023", "skjermet": false,
                    "grunnlag": [{"tekniskNavn": "a", "beloep": 1, "kategori": "inntekt"}],
                    "hemmelig": "canary"}),
            ),
        ]);
        let asked = about(PERSON, "SummertSkattegrunnlag", &[("stadie", "utkast")]);
        let answer = bench.harvest(asked, &ON_BEHALF).await.expect("an answer");
        assert_eq!(answer[0]["grunnlag"][0]["kategori"], json!(["inntekt"]));
        assert!(!answer.to_string().contains("canary"));
        let token = "Bearer on-behalf".to_owned();
        let base = "https://skatt_person.example";
        assert_eq!(
            bench.sent(),
            [
                (
                    format!("{base}/sistetilgjengeligeskatteoppgjoer/v1/{PERSON}"),
                    token.clone()
                ),
                (
                    format!(
                        "{base}/summertskattegrunnlag/v2/utkast/kommuneforeldrebetaling/2023/{PERSON}"
                    ),
                    token
                ),
            ]
        );
    }

    /// An identity number stands in these addresses: no text that leaves the node may have it.
    #[tokio::test]
    async fn a_failure_of_the_source_names_no_person() {
        for status in [401, 403, 404, 500] {
            let bench = bench(&[(status, json!({"error": PERSON}))]);
            let failed = bench
                .harvest(about(PERSON, "FregPerson", &[]), &ON_BEHALF)
                .await;
            let failed = failed.expect_err("a failure");
            assert!(!format!("{failed:?}").contains(PERSON), "{failed:?}");
        }
    }
}
