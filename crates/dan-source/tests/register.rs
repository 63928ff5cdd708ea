//! The entity register against recorded answers and against failures.

#[cfg(test)]
mod scripted;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use dan_core::party::OrgNumber;
    use dan_core::ports::{CallContext, Fact, FactError, FactQuery, Facts as _, FetchError, Unit};
    use dan_core::testkit::builders::{AGENCY, COMPANY, OTHER_AGENCY, org};
    use dan_core::testkit::fakes::{StillClock, call_context};
    use dan_source::authorities::entity_register::{
        ABSENT_MS, CALL_MS_MAX, EntityRegister, FRESH_MS, PAGES_MAX, STALE_MS,
    };
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use crate::scripted::{Answer, Scripted};

    const BASE: &str = "https://data.brreg.no/enhetsregisteret/api";

    struct Bench {
        register: EntityRegister,
        fetch: Arc<Scripted>,
        clock: Arc<StillClock>,
    }

    fn bench(answers: impl IntoIterator<Item = Answer>) -> Bench {
        let fetch = Scripted::new(answers);
        let clock = Arc::new(StillClock::default());
        Bench {
            register: EntityRegister::new(
                &format!("{BASE}/"),
                Arc::clone(&fetch) as _,
                Arc::clone(&clock) as _,
            ),
            fetch,
            clock,
        }
    }

    impl Bench {
        async fn unit(&self, number: &str) -> Result<Option<Arc<Unit>>, FactError> {
            let query = FactQuery::Unit(org(number));
            match self.register.find(&query, &call_context()).await? {
                Fact::Unit(unit) => Ok(unit),
                Fact::Units(_) | Fact::Held(_) => panic!("one unit was asked for"),
            }
        }

        async fn below(&self, number: &str) -> Result<Vec<Arc<Unit>>, FactError> {
            let query = FactQuery::SubUnits(org(number));
            match self.register.find(&query, &call_context()).await? {
                Fact::Units(units) => Ok(units),
                Fact::Unit(_) | Fact::Held(_) => panic!("a list was asked for"),
            }
        }

        fn urls(&self) -> Vec<String> {
            let seen = self.fetch.seen().into_iter();
            seen.map(|seen| seen.url.replace(BASE, "")).collect()
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "tables read better")]
    fn reply(status: u16, body: impl ToString) -> Answer {
        Answer::Reply(status, body.to_string())
    }

    fn living(number: &str) -> Value {
        json!({"organisasjonsnummer": number, "navn": "N", "organisasjonsform": {"kode": "AS"}})
    }

    fn recorded(name: &str) -> Option<String> {
        let shared = std::env::var_os("DAN_SHARED").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
            PathBuf::from,
        );
        let text = std::fs::read_to_string(shared.join("recorded/enhetsregisteret").join(name));
        if text.is_err() {
            tell("skipped: there is no folder shared/recorded/enhetsregisteret");
        }
        text.ok()
    }

    #[expect(clippy::print_stderr, reason = "a test must say what it skipped")]
    fn tell(text: &str) {
        eprintln!("{text}");
    }

    #[tokio::test]
    async fn a_recorded_unit_is_read_with_everything_decisions_rest_on() {
        let Some(text) = recorded("enheter-details-response.json") else {
            return;
        };
        // The recording has an invented number, which fails the check digit.
        let bench = bench([reply(200, text.replace("112233445", COMPANY))]);
        let unit = bench.unit(COMPANY).await.unwrap().unwrap();
        assert_eq!(unit.name, "SESAM STASJON");
        assert_eq!(unit.form, "AS");
        assert_eq!(unit.industries, ["52.292"]);
        assert!(!unit.is_sub_unit && unit.deleted.is_none() && !unit.is_public_agency());
        assert_eq!(unit.document["forretningsadresse"]["poststed"], "OSLO");
        assert_eq!(bench.urls(), [format!("/enheter/{COMPANY}")]);
    }

    #[tokio::test]
    async fn a_recorded_deleted_unit_is_an_answer_with_200_and_with_410() {
        let Some(text) = recorded("enheter-details-deleted-response.json") else {
            return;
        };
        for status in [200, 410] {
            let bench = bench([reply(status, text.replace("123456789", COMPANY))]);
            let unit = bench.unit(COMPANY).await.unwrap().unwrap();
            assert_eq!(unit.deleted.as_deref(), Some("2017-10-20"));
            assert_eq!(unit.form, "UTBG");
        }
    }

    #[tokio::test]
    async fn recorded_pages_are_followed_to_the_end_and_no_further() {
        let pages = ["page1", "page2"]
            .map(|page| recorded(&format!("enheter-search-{page}-response.json")));
        let [Some(first), Some(second)] = pages else {
            return;
        };
        // Recorded from a search for main units; pages of sub units differ in one name.
        let rename = |text: String| reply(200, text.replace("\"enheter\"", "\"underenheter\""));
        let bench = bench([rename(first), rename(second)]);
        let units = bench.below(COMPANY).await.unwrap();
        let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(
            names,
            ["SESAM AS", "SESAM FAMILIEBARNEHAGE", "SESAM FILMKLUBB"]
        );
        assert!(units.iter().all(|unit| unit.is_sub_unit));
        assert_eq!(units[0].sector.as_deref(), Some("2100"));
        let urls = bench.urls();
        assert_eq!(
            urls[0],
            format!("/underenheter?overordnetEnhet={COMPANY}&size=100")
        );
        assert_eq!(urls[1..], ["/enheter?navn=Sesam&page=1&size=2"]);
    }

    #[tokio::test]
    async fn a_sub_unit_is_found_where_no_main_unit_is() {
        let mut document = living(COMPANY);
        document["overordnetEnhet"] = json!(AGENCY);
        let bench = bench([reply(404, ""), reply(200, document)]);
        let unit = bench.unit(COMPANY).await.unwrap().unwrap();
        assert!(unit.is_sub_unit);
        assert_eq!(unit.parent, OrgNumber::parse(AGENCY));
        assert_eq!(
            bench.urls(),
            [
                format!("/enheter/{COMPANY}"),
                format!("/underenheter/{COMPANY}")
            ]
        );
    }

    #[tokio::test]
    async fn nobody_knows_it_only_when_both_say_so() {
        for (main, sub) in [(404, 404), (410, 404), (404, 410), (410, 410)] {
            let bench = bench([reply(main, ""), reply(sub, "")]);
            assert!(bench.unit(COMPANY).await.unwrap().is_none());
        }
        let bench = bench([
            reply(410, "<html>"),
            reply(
                410,
                json!({
            "organisasjonsnummer": COMPANY, "slettedato": "2020-01-01"}),
            ),
        ]);
        let unit = bench.unit(COMPANY).await.unwrap().unwrap();
        assert_eq!(unit.deleted.as_deref(), Some("2020-01-01"));
    }

    #[tokio::test]
    async fn an_outage_is_never_not_found_w23() {
        let wrong = reply(200, living(AGENCY));
        for answer in [
            reply(500, "{}"),
            reply(429, ""),
            reply(403, ""),
            reply(302, ""),
            reply(204, ""),
            reply(200, "<html>"),
            reply(200, "{}"),
            reply(200, ""),
            wrong,
            Answer::Fails(FetchError::Timeout),
            Answer::Fails(FetchError::TooLarge),
            Answer::Fails(FetchError::Network("reset".to_owned())),
            Answer::Fails(FetchError::Refused("egress".to_owned())),
        ] {
            let bench = bench([answer]);
            let error = bench.unit(COMPANY).await.unwrap_err();
            assert_eq!(error.authority, "the entity register");
            assert!(!error.cause.contains(COMPANY), "{}", error.cause);
            assert_eq!(bench.urls().len(), 1, "one that failed is not asked again");
        }
        let second = bench([reply(404, ""), reply(503, "")]);
        assert!(second.unit(COMPANY).await.is_err());
        let list = bench([reply(503, "")]);
        assert!(list.below(COMPANY).await.is_err());
    }

    #[tokio::test]
    async fn an_outage_is_not_remembered_as_an_answer_w23() {
        let bench = bench([reply(500, ""), reply(200, living(COMPANY))]);
        assert!(bench.unit(COMPANY).await.is_err());
        assert!(bench.unit(COMPANY).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_call_has_five_seconds_and_the_caller_may_have_less() {
        let bench = bench([reply(404, ""), reply(404, ""), Answer::Never]);
        let before = Instant::now();
        bench.unit(COMPANY).await.unwrap();
        let limit = before + Duration::from_millis(CALL_MS_MAX);
        for seen in bench.fetch.seen() {
            let late = seen.deadline - limit;
            assert!(seen.deadline < call_context().deadline && late < Duration::from_secs(5));
            assert!(seen.bytes_max < 1 << 20);
        }
        let ctx = CallContext {
            deadline: Instant::now(),
            ..call_context()
        };
        let query = FactQuery::Unit(org(AGENCY));
        assert!(bench.register.find(&query, &ctx).await.is_err());
    }

    #[tokio::test]
    async fn what_is_sent_is_a_bare_get_that_logs_show_without_its_address() {
        let bench = bench([reply(200, living(COMPANY))]);
        bench.unit(COMPANY).await.unwrap();
        let sent = bench.fetch.seen().remove(0);
        assert_eq!(
            sent.headers,
            [("accept".to_owned(), "application/json".to_owned())]
        );
        assert_eq!(sent.body, "");
        assert_eq!(sent.shown, "FetchRequest(Get the entity register)");
    }

    #[tokio::test]
    async fn many_who_ask_the_same_make_one_call() {
        let bench = bench([reply(200, living(COMPANY))]);
        let (a, b, c) = tokio::join!(
            bench.unit(COMPANY),
            bench.unit(COMPANY),
            bench.unit(COMPANY)
        );
        assert!(a.unwrap().is_some() && b.unwrap().is_some() && c.unwrap().is_some());
        assert_eq!(bench.urls().len(), 1);
    }

    #[tokio::test]
    async fn answers_are_fresh_for_half_a_day_and_stand_in_for_a_week() {
        let bench = bench([reply(200, living(COMPANY))]);
        bench.unit(COMPANY).await.unwrap();
        bench.clock.advance_ms(FRESH_MS - 1);
        bench.unit(COMPANY).await.unwrap();
        assert_eq!(bench.urls().len(), 1, "still fresh");
        bench.clock.advance_ms(1);
        assert!(bench.unit(COMPANY).await.unwrap().is_some(), "stale");
        assert_eq!(bench.urls().len(), 1, "but asked again");
        bench.fetch.then(404, "");
        bench.fetch.then(404, "");
        assert!(
            bench.unit(COMPANY).await.unwrap().is_none(),
            "news count at once"
        );
        bench.clock.advance_ms(ABSENT_MS);
        bench.fetch.then(200, living(COMPANY).to_string());
        assert!(bench.unit(COMPANY).await.unwrap().is_some());
        bench.clock.advance_ms(STALE_MS);
        assert!(bench.unit(COMPANY).await.is_err(), "too old to stand in");
    }

    #[tokio::test]
    async fn nothing_there_is_believed_for_ten_minutes() {
        let bench = bench([reply(404, ""), reply(404, ""), reply(200, "{}")]);
        assert!(bench.unit(COMPANY).await.unwrap().is_none());
        bench.clock.advance_ms(ABSENT_MS - 1);
        assert!(bench.unit(COMPANY).await.unwrap().is_none());
        assert_eq!(bench.urls().len(), 2);
        assert!(bench.below(AGENCY).await.unwrap().is_empty());
        assert!(bench.below(AGENCY).await.unwrap().is_empty());
        assert_eq!(bench.urls().len(), 1);
        bench.clock.advance_ms(ABSENT_MS);
        assert!(
            bench.unit(COMPANY).await.is_err(),
            "an outage is no \"none\""
        );
        assert!(bench.below(AGENCY).await.is_err());
    }

    #[tokio::test]
    async fn a_register_that_keeps_failing_is_left_alone_while_old_answers_stand_in() {
        let bench = bench([reply(200, living(COMPANY))]);
        bench.unit(COMPANY).await.unwrap();
        bench.clock.advance_ms(FRESH_MS);
        for _ in 0..20 {
            assert!(bench.unit(COMPANY).await.unwrap().is_some());
            assert!(bench.unit(OTHER_AGENCY).await.is_err());
        }
        assert_eq!(bench.urls().len(), 1 + 10, "then nobody asks");
        bench.clock.advance_ms(10_000);
        bench.fetch.then(200, living(OTHER_AGENCY).to_string());
        assert!(bench.unit(OTHER_AGENCY).await.unwrap().is_some());
    }

    fn page(next: &str) -> Answer {
        reply(
            200,
            json!({"_embedded": {"underenheter": [living(AGENCY)]}, "_links": {"next": {"href": next}}}),
        )
    }

    #[tokio::test]
    async fn a_next_page_elsewhere_is_not_followed_w43() {
        for next in [
            "https://evil.example/enhetsregisteret/api/underenheter?page=1",
            "http://data.brreg.no/enhetsregisteret/api/underenheter?page=1",
            "https://data.brreg.no@evil.example/",
            "https://data.brreg.no.evil.example/",
            "//evil.example/",
            "/underenheter?page=1",
            "file:///etc/passwd",
        ] {
            let bench = bench([page(next)]);
            assert!(bench.below(COMPANY).await.is_err(), "{next}");
            assert_eq!(bench.urls().len(), 1, "{next}");
        }
    }

    #[tokio::test]
    async fn pages_without_end_are_refused_not_cut_short() {
        let endless = (1..100).map(|at| page(&format!("{BASE}/underenheter?page={at}")));
        let bench = bench(endless);
        assert!(bench.below(COMPANY).await.is_err());
        assert_eq!(bench.urls().len(), PAGES_MAX);
        let circle = format!("{BASE}/underenheter?page=1");
        let bench = self::bench([page(&circle), page(&circle)]);
        assert!(bench.below(COMPANY).await.is_err());
        assert_eq!(bench.urls().len(), 2);
    }

    #[tokio::test]
    async fn a_list_nobody_knows_is_empty() {
        for answer in [
            reply(404, ""),
            reply(410, ""),
            reply(200, json!({"page": {}})),
        ] {
            assert!(bench([answer]).below(COMPANY).await.unwrap().is_empty());
        }
    }
}
