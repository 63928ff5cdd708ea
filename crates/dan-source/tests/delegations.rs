//! Roles and rights: what Altinn is asked, and that nothing but a clear yes is one.

#[cfg(test)]
mod scripted;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use dan_core::accreditation::{Accreditation, AccreditationId};
    use dan_core::party::{Party, Realm};
    use dan_core::ports::{
        CallContext, ConsentState, Consents as _, Fact, FactError, FactQuery, Facts, FetchError,
        PortFuture,
    };
    use dan_core::secret::Secret;
    use dan_core::testkit::builders::{AGENCY, COMPANY, PERSON, org};
    use dan_core::testkit::fakes::{START, StillClock, call_context};
    use dan_source::authorities::Authorities;
    use dan_source::authorities::consent::NoConsents;
    use dan_source::authorities::delegations::{AltinnConfig, Delegations};
    use dan_source::authorities::entity_register::EntityRegister;
    use dan_source::authorities::tokens::{AccessToken, TokenIssuer, TokenWish};
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use crate::scripted::{Answer, Scripted};

    const ALTINN: &str = "https://platform.example";

    /// Gives the same token, or none.
    struct Issuer {
        answer: Mutex<Result<&'static str, FactError>>,
        asked: AtomicUsize,
    }

    impl TokenIssuer for Issuer {
        fn token<'a>(
            &'a self,
            wish: &'a TokenWish,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<AccessToken, FactError>> {
            assert_eq!(*wish, TokenWish::own("altinn:a altinn:b".to_owned()));
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = self.answer.lock().unwrap().clone();
            let token = answer.map(|text| Arc::new(Secret::new(text.to_owned())));
            Box::pin(std::future::ready(token))
        }
    }

    struct Bench {
        delegations: Delegations,
        fetch: Arc<Scripted>,
        issuer: Arc<Issuer>,
        clock: Arc<StillClock>,
    }

    fn bench(answers: impl IntoIterator<Item = Answer>) -> Bench {
        let fetch = Scripted::new(answers);
        let issuer = Arc::new(Issuer {
            answer: Mutex::new(Ok("maskinporten-token")),
            asked: AtomicUsize::new(0),
        });
        let clock = Arc::new(StillClock::default());
        let config = AltinnConfig {
            url: format!("{ALTINN}/"),
            subscription_key: Some(Arc::new(Secret::new("subscription".to_owned()))),
            scope: "altinn:a altinn:b".to_owned(),
        };
        let delegations = Delegations::new(
            config,
            Arc::clone(&issuer) as _,
            Arc::clone(&fetch) as _,
            Arc::clone(&clock) as _,
        );
        Bench {
            delegations,
            fetch,
            issuer,
            clock,
        }
    }

    impl Bench {
        async fn ask(&self, query: &FactQuery) -> Result<bool, FactError> {
            match self.delegations.find(query, &call_context()).await? {
                Fact::Held(held) => Ok(held),
                Fact::Unit(_) | Fact::Units(_) => panic!("yes or no"),
            }
        }
    }

    fn token() -> Answer {
        Answer::Reply(200, "altinn-token".to_owned())
    }

    #[expect(clippy::needless_pass_by_value, reason = "tables read better")]
    fn reply(status: u16, body: impl ToString) -> Answer {
        Answer::Reply(status, body.to_string())
    }

    fn decision(text: &str) -> Answer {
        reply(200, json!({"response": [{"decision": text}]}))
    }

    fn party(text: &str) -> Party {
        Party::parse(text, Realm::Sandbox).unwrap()
    }

    fn right(from: &str, to: &str) -> FactQuery {
        FactQuery::HasRight {
            from: party(from),
            to: party(to),
            resource: "dan-test".to_owned(),
            actions: vec!["read".to_owned()],
        }
    }

    fn role(from: &str, to: &str) -> FactQuery {
        FactQuery::HasRole {
            from: party(from),
            to: party(to),
            role: "DAGL".to_owned(),
        }
    }

    fn list(number: &str) -> Value {
        json!([{"organizationNumber": number, "authorizedRoles": ["DAGL"], "subunits": []}])
    }

    #[tokio::test]
    async fn a_right_is_asked_of_the_decision_point_with_numbers_in_the_body_only() {
        let bench = bench([token(), decision("Permit")]);
        assert_eq!(bench.ask(&right(PERSON, AGENCY)).await, Ok(true));
        let seen = bench.fetch.seen();
        let [exchange, decision] = seen.as_slice() else {
            panic!("an exchange and a decision");
        };
        assert_eq!(
            exchange.url,
            format!("{ALTINN}/authentication/api/v1/exchange/maskinporten")
        );
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let key = header("ocp-apim-subscription-key", "subscription");
        assert!(exchange.headers.contains(&key));
        let bearer = header("authorization", "Bearer maskinporten-token");
        assert!(exchange.headers.contains(&bearer));

        assert_eq!(
            decision.url,
            format!("{ALTINN}/authorization/api/v1/authorize")
        );
        let bearer = header("authorization", "Bearer altinn-token");
        assert!(decision.headers.contains(&bearer) && decision.headers.contains(&key));
        let body: Value = serde_json::from_str(&decision.body).unwrap();
        let what = &body["Request"]["Resource"][0]["Attribute"];
        assert_eq!(what[0]["Value"], "dan-test");
        assert_eq!(what[1]["AttributeId"], "urn:altinn:person:identifier-no");
        assert_eq!(what[1]["Value"], PERSON);
        let who = &body["Request"]["AccessSubject"][0]["Attribute"][0];
        assert_eq!(who["AttributeId"], "urn:altinn:organization:identifier-no");
        assert_eq!(who["Value"], AGENCY);
        for seen in &seen {
            assert!(seen.bytes_max <= 1 << 20 && seen.deadline < call_context().deadline);
            assert!(!seen.url.contains(PERSON) && !seen.shown.contains(PERSON));
            assert!(
                seen.headers
                    .iter()
                    .all(|(_, value)| !value.contains(PERSON))
            );
        }
    }

    #[tokio::test]
    async fn a_role_is_read_from_the_list_of_parties() {
        let bench = bench([token(), reply(200, list(COMPANY)), reply(200, list(AGENCY))]);
        assert_eq!(bench.ask(&role(COMPANY, PERSON)).await, Ok(true));
        assert_eq!(bench.ask(&role(COMPANY, PERSON)).await, Ok(false));
        let seen = bench.fetch.seen();
        assert_eq!(
            seen[1].url,
            format!(
                "{ALTINN}/accessmanagement/api/v1/resourceowner/authorizedparties?includeAltinn2=true"
            )
        );
        let body: Value = serde_json::from_str(&seen[1].body).unwrap();
        assert_eq!(
            body,
            json!({"type": "urn:altinn:person:identifier-no", "value": PERSON})
        );
    }

    #[tokio::test]
    async fn answers_are_not_kept_and_tokens_are() {
        let bench = bench([token(), decision("Permit"), decision("NotApplicable")]);
        assert_eq!(bench.ask(&right(COMPANY, AGENCY)).await, Ok(true));
        assert_eq!(bench.ask(&right(COMPANY, AGENCY)).await, Ok(false));
        assert_eq!(bench.issuer.asked.load(Ordering::SeqCst), 1);
        bench.clock.advance_ms(300_000);
        bench.fetch.then(200, "altinn-token");
        let yes = json!({"response": [{"decision": "Permit"}]});
        bench.fetch.then(200, yes.to_string());
        assert_eq!(bench.ask(&right(COMPANY, AGENCY)).await, Ok(true));
        assert_eq!(bench.issuer.asked.load(Ordering::SeqCst), 2);
        assert_eq!(bench.fetch.seen().len(), 5);
    }

    #[tokio::test]
    async fn an_altinn_that_cannot_be_understood_is_no_no() {
        for answer in [
            || reply(400, json!({"response": [{"decision": "Permit"}]})),
            || reply(401, "{}"),
            || reply(403, ""),
            || reply(404, ""),
            || reply(429, ""),
            || reply(500, json!({"response": [{"decision": "Permit"}]})),
            || reply(204, ""),
            || reply(200, ""),
            || reply(200, "<html>Permit</html>"),
            || reply(200, "{}"),
            || reply(200, "[{}"),
            || {
                reply(
                    200,
                    r#"{"response":[{"decision":"Deny","decision":"Permit"}]}"#,
                )
            },
            || Answer::Fails(FetchError::Network("reset".to_owned())),
            || Answer::Fails(FetchError::TooLarge),
        ] {
            let bench = bench([token(), answer(), answer()]);
            let error = bench.ask(&right(COMPANY, AGENCY)).await.unwrap_err();
            assert_eq!(error.authority, "Altinn");
            let error = bench.ask(&role(COMPANY, AGENCY)).await.unwrap_err();
            assert_eq!(error.authority, "Altinn");
            assert!(!error.cause.contains(COMPANY), "{}", error.cause);
        }
    }

    #[tokio::test]
    async fn without_a_token_nothing_is_asked() {
        let bench = bench([]);
        *bench.issuer.answer.lock().unwrap() = Err(FactError {
            authority: "Maskinporten".to_owned(),
            cause: "down".to_owned(),
        });
        let error = bench.ask(&right(COMPANY, AGENCY)).await.unwrap_err();
        assert_eq!(error.authority, "Maskinporten");
        assert!(bench.fetch.seen().is_empty());
        for answer in [
            reply(401, ""),
            reply(500, ""),
            reply(200, ""),
            reply(200, "\"\""),
            reply(200, "to ken"),
            reply(200, "\"token"),
            reply(200, json!({"token": "x"})),
        ] {
            let bench = self::bench([answer, decision("Permit")]);
            let error = bench.ask(&right(COMPANY, AGENCY)).await.unwrap_err();
            assert_eq!(error.authority, "Altinn");
            assert_eq!(bench.fetch.seen().len(), 1, "the exchange only");
        }
    }

    #[tokio::test]
    async fn the_exchanged_token_may_come_as_a_json_string() {
        let bench = bench([reply(200, "\"altinn-token\"\n"), decision("Permit")]);
        assert_eq!(bench.ask(&right(COMPANY, AGENCY)).await, Ok(true));
        let sent = ("authorization".to_owned(), "Bearer altinn-token".to_owned());
        assert!(bench.fetch.seen()[1].headers.contains(&sent));
    }

    #[tokio::test]
    async fn parties_that_altinn_does_not_know_hold_nothing() {
        let bench = bench([]);
        let foreign = "iso6523-actorid-upis::9999:x";
        for query in [
            right(foreign, AGENCY),
            right(COMPANY, foreign),
            role(foreign, AGENCY),
            role(COMPANY, foreign),
        ] {
            assert_eq!(bench.ask(&query).await, Ok(false));
        }
        let FactQuery::HasRight { from, to, .. } = right(COMPANY, AGENCY) else {
            panic!("a right");
        };
        let nothing = FactQuery::HasRight {
            from,
            to,
            resource: "dan-test".to_owned(),
            actions: Vec::new(),
        };
        assert!(
            bench.ask(&nothing).await.is_err(),
            "every one of none is no yes"
        );
        let unit = FactQuery::Unit(org(COMPANY));
        assert!(
            bench
                .delegations
                .find(&unit, &call_context())
                .await
                .is_err()
        );
        assert!(bench.fetch.seen().is_empty());
    }

    #[tokio::test]
    async fn a_silent_altinn_is_left_when_time_is_up() {
        let bench = bench([token(), Answer::Never]);
        let ctx = CallContext {
            deadline: Instant::now() + Duration::from_millis(5),
            ..call_context()
        };
        let query = right(COMPANY, AGENCY);
        let error = bench.delegations.find(&query, &ctx).await.unwrap_err();
        assert_eq!(error.cause, "no answer in time");
    }

    fn authorities(with: bool, answers: impl IntoIterator<Item = Answer>) -> (Authorities, Bench) {
        let bench = bench(answers);
        let other = self::bench([token(), decision("Permit")]);
        let register = EntityRegister::new(
            "https://er.example",
            Arc::clone(&bench.fetch) as _,
            Arc::clone(&bench.clock) as _,
        );
        let delegations = with.then_some(other.delegations);
        let authorities = Authorities {
            register,
            delegations,
        };
        (authorities, bench)
    }

    /// Nobody can be asked yet, so nobody has consented.
    #[tokio::test]
    async fn a_consent_is_pending_while_nobody_can_be_asked() {
        let grant = Accreditation {
            id: AccreditationId::from_random([1; 16]),
            owner: org(AGENCY),
            context: "Test".to_owned(),
            requestor: party(AGENCY),
            subject: Some(party(COMPANY)),
            datasets: Vec::new(),
            skipped: Vec::new(),
            legal_bases: Vec::new(),
            issued: START,
            last_changed: START,
            valid_to: START.plus_days(90),
            consent_reference: None,
            external_reference: None,
            language: "no-nb".to_owned(),
            consent_receipt_redirect_url: None,
        };
        let state = NoConsents
            .state(&grant, "RestanserV2", &call_context())
            .await;
        assert_eq!(state, Ok(ConsentState::Pending));
    }

    #[tokio::test]
    async fn each_question_goes_to_the_authority_that_knows() {
        let unit = json!({"organisasjonsnummer": COMPANY, "navn": "N",
            "organisasjonsform": {"kode": "AS"}});
        let (authorities, bench) = authorities(true, [reply(200, unit)]);
        let found = authorities
            .find(&FactQuery::Unit(org(COMPANY)), &call_context())
            .await;
        assert!(matches!(found, Ok(Fact::Unit(Some(_)))));
        let held = authorities
            .find(&right(COMPANY, AGENCY), &call_context())
            .await;
        assert!(matches!(held, Ok(Fact::Held(true))));
        assert_eq!(bench.fetch.seen().len(), 1, "the register is asked once");
    }

    #[tokio::test]
    async fn without_altinn_there_is_no_answer_and_never_a_silent_no() {
        let (authorities, bench) = authorities(false, []);
        for query in [right(COMPANY, AGENCY), role(COMPANY, AGENCY)] {
            let error = authorities.find(&query, &call_context()).await.unwrap_err();
            assert_eq!(error.authority, "Altinn");
            assert_eq!(error.cause, "not configured");
            let register = &authorities.register;
            assert!(register.find(&query, &call_context()).await.is_err());
        }
        assert!(bench.fetch.seen().is_empty());
    }
}
