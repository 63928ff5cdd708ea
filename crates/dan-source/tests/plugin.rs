//! Plugins as they are: good ones, and those that are down, slow or talk nonsense.

#[cfg(test)]
mod scripted;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};

    use dan_core::caller::Caller;
    use dan_core::dataset::{BYTES_MAX_DEFAULT, Dataset, ValueType};
    use dan_core::error::{Code, Fault};
    use dan_core::evidence::{Evidence, EvidenceValue, Harvest};
    use dan_core::flow::{Answer as Shaping, Call, Envelope, Exchange, Presented, Presenter, Wish};
    use dan_core::inquiry::{Application, OfferedTokens, Parameter};
    use dan_core::meter::Meter;
    use dan_core::parts::next_part;
    use dan_core::ports::{
        CallContext, FetchError, HarvestOrder, PortFuture, Source, SourceError, SourceFailure,
    };
    use dan_core::requirement::{CpvList, OnFailure, Requirement};
    use dan_core::secret::Secret;
    use dan_core::statement::sha256;
    use dan_core::testkit::builders::{
        self, AGENCY, COMPANY, PERSON, application, caller, context,
    };
    use dan_core::testkit::fakes::{Fakes, START, StillClock, call_context};
    use dan_core::time::Timestamp;
    use dan_source::keeper::Discover;
    use dan_source::plugin::{DISCOVERY_BYTES_MAX, PluginSource, REPLY_BYTES_MAX};
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use crate::scripted::{Answer, Scripted, Seen};

    const SCOPE: &str = "altinn:dataaltinnno";
    const KEY: &str = "key-of-the-plugin";

    /// Keeps the order it gets, which only the core can make.
    #[derive(Default)]
    struct Tap(Mutex<Option<HarvestOrder>>);

    impl Source for Tap {
        fn id(&self) -> &str {
            "tap"
        }

        fn harvest<'a>(
            &'a self,
            order: &'a HarvestOrder,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<Harvest, SourceError>> {
            *self.0.lock().unwrap() = Some(order.clone());
            Box::pin(std::future::ready(Err(SourceError {
                failure: SourceFailure::Transient,
                source: "TAP".to_owned(),
                detail: 0,
                text: None,
                cause: "tapped".to_owned(),
            })))
        }
    }

    /// Shows names and values, one a line.
    struct Plain;

    impl Presenter for Plain {
        fn present(&self, answer: &Shaping<'_>) -> Result<Presented, Fault> {
            let mut body = String::new();
            if let Evidence::Values(values) = answer.evidence {
                for value in values {
                    writeln!(body, "{}={}", value.name, value.value).unwrap();
                }
            }
            Ok(Presented {
                body: body.into(),
                media_type: Some("text/plain".to_owned()),
                query: None,
            })
        }
    }

    fn exchange(source: Arc<dyn Source>, datasets: Vec<Dataset>) -> Exchange {
        let fakes = Fakes::new(|_| builders::catalog(context(Vec::new()), source, datasets));
        Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()))
    }

    async fn direct(
        exchange: &Exchange,
        application: Application,
        tokens: &OfferedTokens,
    ) -> Result<Envelope, Fault> {
        let caller: Caller = caller(AGENCY, &[SCOPE]);
        let wish = Wish {
            tokens,
            presenter: &Plain,
        };
        let ctx = call_context();
        let call = Call {
            caller: &caller,
            ctx: &ctx,
        };
        let released = exchange.direct_harvest(call, application, wish).await;
        released.map(|released| released.whole().unwrap())
    }

    async fn order_of(
        dataset: Dataset,
        application: Application,
        tokens: OfferedTokens,
    ) -> HarvestOrder {
        let tap = Arc::new(Tap::default());
        let exchange = exchange(Arc::clone(&tap) as _, vec![dataset]);
        let fault = direct(&exchange, application, &tokens).await.unwrap_err();
        tap.0
            .lock()
            .unwrap()
            .take()
            .unwrap_or_else(|| panic!("{fault:?}"))
    }

    async fn order(dataset: Dataset) -> HarvestOrder {
        let application = application(&[&dataset.name]);
        order_of(dataset, application, OfferedTokens::default()).await
    }

    async fn open_order(dataset: Dataset, identifier: &str) -> HarvestOrder {
        let tap = Arc::new(Tap::default());
        let name = dataset.name.clone();
        let exchange = exchange(Arc::clone(&tap) as _, vec![dataset]);
        let ctx = call_context();
        let fault = exchange
            .open_data(&name, Some(identifier), &Plain, &ctx)
            .await;
        assert!(fault.is_err());
        tap.0.lock().unwrap().take().unwrap()
    }

    fn plugin(fetch: &Arc<Scripted>) -> PluginSource {
        PluginSource::new(
            "ebevis",
            "http://127.0.0.1:7071/api/",
            Some(Arc::new(Secret::new(KEY.to_owned()))),
            Arc::clone(fetch) as _,
            Arc::new(StillClock::default()),
        )
    }

    async fn harvest(answer: Answer, order: &HarvestOrder) -> Result<Harvest, SourceError> {
        let fetch = Scripted::new([answer]);
        plugin(&fetch).harvest(order, &call_context()).await
    }

    #[expect(clippy::needless_pass_by_value, reason = "tables read better")]
    fn reply(status: u16, body: impl ToString) -> Answer {
        Answer::Reply(status, body.to_string())
    }

    fn values(harvest: Harvest) -> Vec<EvidenceValue> {
        match harvest.evidence {
            Evidence::Values(values) => values,
            Evidence::Binary { .. } | Evidence::Stream(_) => panic!("values were asked for"),
        }
    }

    fn sent(fetch: &Scripted) -> (Seen, Value) {
        let seen = fetch.seen().remove(0);
        let body = serde_json::from_str(&seen.body).unwrap();
        (seen, body)
    }

    #[tokio::test]
    async fn a_harvest_is_the_post_that_plugins_know_with_the_key_in_a_header_w16() {
        let fetch = Scripted::new([reply(200, "[]")]);
        let order = order(builders::dataset("Restanser.V2")).await;
        plugin(&fetch)
            .harvest(&order, &call_context())
            .await
            .unwrap();
        let (seen, body) = sent(&fetch);
        assert_eq!(seen.url, "http://127.0.0.1:7071/api/Restanser.V2");
        assert!(
            seen.headers
                .contains(&("x-functions-key".to_owned(), KEY.to_owned()))
        );
        assert!(
            seen.headers
                .contains(&("accept".to_owned(), "application/json".to_owned()))
        );
        assert_eq!(seen.bytes_max, REPLY_BYTES_MAX);
        assert_eq!(seen.shown, "FetchRequest(Post ebevis)");
        assert_eq!(
            body["accreditationId"],
            json!(order.accreditation().unwrap())
        );
        let party = |number| {
            json!({"scheme": "iso6523-actorid-upis",
            "id": format!("0192:{number}"), "norwegianOrganizationNumber": number})
        };
        let expected = json!({
            "organizationNumber": COMPANY,
            "accreditationId": body["accreditationId"],
            "requestor": AGENCY,
            "subjectParty": party(COMPANY),
            "requestorParty": party(AGENCY),
            "asyncEvidenceCodeAction": null,
            "serviceContext": "Test",
            "evidenceCodeName": "Restanser.V2",
            "parameters": null,
            "jwt": null,
            "mpToken": null
        });
        // As text: the order of members and every null count.
        assert_eq!(body.to_string(), expected.to_string());
    }

    #[tokio::test]
    async fn an_alias_goes_in_the_body_and_the_real_name_in_the_address() {
        let mut dataset = builders::dataset("Real");
        dataset.aliases = vec![dan_core::dataset::Alias {
            context: "Test".to_owned(),
            name: "Alias".to_owned(),
        }];
        let order = order_of(dataset, application(&["Alias"]), OfferedTokens::default()).await;
        let fetch = Scripted::new([reply(200, "[]")]);
        plugin(&fetch)
            .harvest(&order, &call_context())
            .await
            .unwrap();
        let (seen, body) = sent(&fetch);
        assert!(seen.url.ends_with("/api/Real"));
        assert_eq!(body["evidenceCodeName"], "Alias");
    }

    #[tokio::test]
    async fn parameters_travel_as_they_were_sent() {
        let mut dataset = builders::dataset("d");
        for (name, kind) in [("year", ValueType::Number), ("all", ValueType::Boolean)] {
            dataset.parameters.push(dan_core::dataset::ParameterSpec {
                name: name.to_owned(),
                parameter_type: Some(kind),
                required: false,
            });
        }
        let parameter = |name: &str, value| Parameter {
            name: name.to_owned(),
            value,
        };
        let mut application = application(&["d"]);
        application.datasets[0].parameters = vec![
            parameter("year", json!("2 024".replace(' ', ""))),
            parameter("all", json!(true)),
        ];
        let order = order_of(dataset, application, OfferedTokens::default()).await;
        let fetch = Scripted::new([reply(200, "[]")]);
        plugin(&fetch)
            .harvest(&order, &call_context())
            .await
            .unwrap();
        let expected = json!([{"evidenceParamName": "year", "value": "2024"},
            {"evidenceParamName": "all", "value": true}]);
        assert_eq!(sent(&fetch).1["parameters"], expected);
    }

    #[tokio::test]
    async fn a_person_is_in_the_body_and_nowhere_else_w26() {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let mut application = application(&["d"]);
        application.subject = Some(PERSON.to_owned());
        let order = order_of(
            builders::dataset("d"),
            application,
            OfferedTokens::default(),
        )
        .await;
        let fetch = Scripted::new([]);
        let source = plugin(&fetch);
        let said = json!({"code": 3002, "description": format!("no: {PERSON}")}).to_string();
        for (status, body) in [
            (200, PERSON),
            (500, PERSON),
            (404, PERSON),
            (400, said.as_str()),
        ] {
            fetch.then(status, body);
            let error = source.harvest(&order, &call_context()).await.unwrap_err();
            assert!(!error.cause.contains(PERSON), "{}", error.cause);
            let (seen, body) = sent(&fetch);
            assert_eq!(body["organizationNumber"], PERSON);
            assert_eq!(body["subjectParty"]["scheme"], "nor-freg");
            assert_eq!(
                body["subjectParty"]["norwegianSocialSecurityNumber"],
                PERSON
            );
            let elsewhere = format!("{} {} {:?}", seen.url, seen.shown, seen.headers);
            assert!(!elsewhere.contains(PERSON), "{elsewhere}");
        }
        fetch.then(
            200,
            json!([{"evidenceValueName": "navn", "value": PERSON}]).to_string(),
        );
        let harvest = source.harvest(&order, &call_context()).await.unwrap();
        tracing::error!(?harvest, ?order, "shown");
        let text = lines.0.lock().unwrap().clone();
        assert!(
            text.contains("shown") && !text.contains(PERSON) && !text.contains(KEY),
            "{text}"
        );
    }

    #[tokio::test]
    async fn open_data_is_asked_with_an_identifier_and_nothing_more() {
        let mut dataset = builders::dataset("Open");
        dataset.public = true;
        dataset.source_scopes = Some("a:b".to_owned());
        let fetch = Scripted::new([reply(200, "[]"), reply(200, "[]")]);
        let source = plugin(&fetch);
        let order = open_order(dataset.clone(), "0301-1/2").await;
        source.harvest(&order, &call_context()).await.unwrap();
        let body = sent(&fetch).1;
        assert_eq!(body["organizationNumber"], "0301-1/2");
        for unset in [
            "subjectParty",
            "requestor",
            "requestorParty",
            "accreditationId",
            "serviceContext",
            "parameters",
            "jwt",
            "mpToken",
        ] {
            assert_eq!(body.get(unset), Some(&Value::Null), "{unset}");
        }
        let order = open_order(dataset, COMPANY).await;
        source.harvest(&order, &call_context()).await.unwrap();
        let body = sent(&fetch).1;
        assert_eq!(body["organizationNumber"], COMPANY);
        assert_eq!(body["subjectParty"]["id"], format!("0192:{COMPANY}"));
    }

    #[tokio::test]
    async fn values_are_taken_with_their_time_and_bound_to_the_bytes_they_came_in() {
        let body = json!([
            {"evidenceValueName": "navn", "valueType": "string", "source": "Reg",
             "timestamp": "2025-01-02T03:04:05Z", "value": "x", "unknownMember": {"a": 1}},
            {"evidenceValueName": "navn", "valueType": "number", "value": 12.5},
            {"evidenceValueName": "undeclared", "valueType": "string", "value": "y"}
        ])
        .to_string();
        let order = order(builders::dataset("d")).await;
        for status in [200, 201, 202] {
            let harvest = harvest(reply(status, &body), &order).await.unwrap();
            assert_eq!(harvest.calls.len(), 1);
            assert_eq!(harvest.calls[0].id, "d");
            assert_eq!(harvest.calls[0].retrieved_at, START);
            assert_eq!(harvest.calls[0].digest, sha256(body.as_bytes()));
            let values = values(harvest);
            assert_eq!(values.len(), 2, "undeclared values stay out (W-42)");
            assert_eq!(
                values[0].timestamp,
                Timestamp::parse("2025-01-02T03:04:05Z")
            );
            assert_eq!(values[1].timestamp, Some(START));
            assert_eq!(values[1].value, json!(12.5));
        }
        assert!(values(harvest(reply(200, "[]"), &order).await.unwrap()).is_empty());
    }

    /// Answer of the plugin, and the error: class, source, detail, words for the client.
    type Row = (
        Answer,
        SourceFailure,
        &'static str,
        u32,
        Option<&'static str>,
    );

    fn model(status: u16, code: impl Into<Value>) -> Answer {
        let description = "Default text: no such: subject";
        let model = json!({"code": code.into(), "detailCode": "1003", "description": description,
            "stacktrace": "at X", "brandNew": 1});
        reply(status, model)
    }

    /// Error models: the code counts, whatever the status.
    fn models() -> Vec<Row> {
        use SourceFailure::{Broken, Refused, Transient};
        let words = Some("no such: subject");
        let mut rows = Vec::new();
        for status in [200, 400, 500, 502, 503] {
            rows.extend([
                (model(status, 3001), Transient, "EBEVIS", 1003, words),
                (model(status, "3002"), Refused, "EBEVIS", 1003, words),
                (model(status, 3003), Broken, "EBEVIS", 1003, words),
                (model(status, 1015), Broken, "EBEVIS", 5004, words),
                (model(status, Value::Null), Broken, "EBEVIS", 5004, words),
            ]);
        }
        for members in [
            json!({"code": 3002}),
            json!({"code": 3002, "description": "no colon"}),
            json!({"code": 3002, "detailCode": "no number"}),
        ] {
            rows.push((reply(400, members), Refused, "EBEVIS", 0, Some("")));
        }
        let nameless = reply(400, json!({"description": "a: b"}));
        rows.push((nameless, Broken, "EBEVIS", 5004, Some("b")));
        rows
    }

    /// What is no error model: empty, a crash, or nonsense. A list of values is no success when
    /// the status says otherwise.
    fn nonsense() -> Vec<Row> {
        let host = json!({"id": "1", "requestId": "2", "statusCode": 500, "errorCode": 0,
            "message": "secret", "errorDetails": "secret"})
        .to_string();
        let list = r#"[{"evidenceValueName":"navn","valueType":"string","value":"secret"}]"#;
        let deep = "[".repeat(100_000);
        [
            (500, host.as_str(), 5002),
            (500, "", 5002),
            (500, "null", 5002),
            (500, "<html>", 5003),
            (500, list, 5003),
            (400, "", 5001),
            (502, " null ", 5001),
            (503, "", 5001),
            (503, "<html>", 5003),
            (400, list, 5003),
            (503, list, 5003),
            (200, "", 5003),
            (204, "", 5003),
            (200, "null", 5003),
            (200, "{}", 5003),
            (200, "\"text\"", 5003),
            (200, "[{]", 5003),
            (200, "\u{feff}[]", 5003),
            (200, deep.as_str(), 5003),
            (200, r#"[{"value":"secret","value":2}]"#, 5003),
            (
                200,
                r#"[{"evidenceValueName":"navn","valueType":"secret"}]"#,
                5003,
            ),
            (200, host.as_str(), 5003),
            (503, host.as_str(), 5003),
        ]
        .map(|(status, body, detail)| {
            (
                reply(status, body),
                SourceFailure::Broken,
                "ES",
                detail,
                None,
            )
        })
        .into()
    }

    /// Nobody there, or nobody who answers us.
    fn out_of_reach() -> Vec<Row> {
        use SourceFailure::Unreachable;
        let mut rows = Vec::new();
        for status in [301, 302, 401, 403, 404, 408, 422, 429, 501, 504] {
            let answer = model(status, 3001);
            rows.push((answer, Unreachable, "EBEVIS", u32::from(status), None));
        }
        for error in [
            FetchError::Network("reset".to_owned()),
            FetchError::Refused("not on the list".to_owned()),
            FetchError::Timeout,
        ] {
            rows.push((Answer::Fails(error), Unreachable, "EBEVIS", 0, None));
        }
        let huge = Answer::Fails(FetchError::TooLarge);
        rows.push((huge, SourceFailure::Broken, "ES", 5003, None));
        rows
    }

    #[tokio::test]
    async fn every_failure_of_a_plugin_has_its_error_w35() {
        let order = order(builders::dataset("d")).await;
        let table = [models(), nonsense(), out_of_reach()];
        for (at, row) in table.into_iter().flatten().enumerate() {
            let (answer, failure, source, detail, text) = row;
            let error = harvest(answer, &order).await.unwrap_err();
            let found = (
                error.failure,
                error.source.as_str(),
                error.detail,
                error.text.as_deref(),
            );
            assert_eq!(
                found,
                (failure, source, detail, text),
                "row {at}: {}",
                error.cause
            );
            assert!(error.cause.starts_with("plugin ebevis: "), "row {at}");
            assert!(!error.cause.contains("secret"), "row {at}: {}", error.cause);
        }
    }

    #[tokio::test]
    async fn clients_are_told_the_codes_of_dan() {
        for (answer, code, detail) in [
            (
                model(503, 3001),
                Code::EvidenceSourceTransient,
                Some("EBEVIS-1003"),
            ),
            (
                model(400, 3002),
                Code::EvidenceSourcePermanentClient,
                Some("EBEVIS-1003"),
            ),
            (
                model(502, 3003),
                Code::EvidenceSourcePermanentServer,
                Some("EBEVIS-1003"),
            ),
            (
                reply(200, "<html>"),
                Code::EvidenceSourcePermanentServer,
                Some("ES-5003"),
            ),
            (reply(404, ""), Code::ServiceNotAvailable, None),
        ] {
            let fetch = Scripted::new([answer]);
            let exchange = exchange(Arc::new(plugin(&fetch)), vec![builders::dataset("d")]);
            let application = application(&["d"]);
            let fault = direct(&exchange, application, &OfferedTokens::default())
                .await
                .unwrap_err();
            assert_eq!(fault.code, code);
            assert_eq!(fault.detail.map(|detail| detail.code).as_deref(), detail);
        }
        let fetch = Scripted::new([reply(
            200,
            json!([{"evidenceValueName": "navn", "value": "x"}]),
        )]);
        let exchange = exchange(Arc::new(plugin(&fetch)), vec![builders::dataset("d")]);
        let answer = direct(&exchange, application(&["d"]), &OfferedTokens::default()).await;
        assert_eq!(answer.unwrap().body, "navn=\"x\"\n");
    }

    #[tokio::test]
    async fn a_plugin_that_never_answers_is_out_of_reach_at_the_deadline() {
        let order = order(builders::dataset("d")).await;
        let fetch = Scripted::new([Answer::Never, Answer::Never]);
        let ctx = CallContext {
            deadline: Instant::now(),
            ..call_context()
        };
        let error = plugin(&fetch).harvest(&order, &ctx).await.unwrap_err();
        assert_eq!(error.failure, SourceFailure::Unreachable);
        assert_eq!(
            plugin(&fetch).discover(None, &ctx).await.unwrap_err(),
            "no answer in time"
        );
    }

    #[tokio::test]
    async fn words_of_a_plugin_are_one_bounded_line() {
        let order = order(builders::dataset("d")).await;
        let description = format!("x: a\r\nb{}", "c".repeat(5_000));
        let answer = reply(400, json!({"code": 3002, "description": description}));
        let text = harvest(answer, &order).await.unwrap_err().text.unwrap();
        assert!(text.starts_with("a  bccc") && text.chars().count() == 1_000);
    }

    #[tokio::test]
    async fn binary_datasets_pass_bytes_through_and_know_no_error_model() {
        let mut dataset = builders::dataset("Bulk.zip");
        dataset.values[0].value_type = ValueType::Binary;
        let order = order(dataset).await;
        let fetch = Scripted::new([reply(202, "PK\u{3}\u{4}")]);
        let harvested = plugin(&fetch)
            .harvest(&order, &call_context())
            .await
            .unwrap();
        let Evidence::Stream(mut arriving) = harvested.evidence else {
            panic!("bytes were asked for");
        };
        let part = next_part(&mut arriving.parts).await.unwrap();
        assert_eq!(&part.unwrap()[..], b"PK\x03\x04");
        assert!(next_part(&mut arriving.parts).await.is_none());
        assert_eq!(arriving.media_type, "application/json");
        assert_eq!(arriving.call, "Bulk.zip");
        let (seen, _) = sent(&fetch);
        assert_eq!(seen.bytes_max as u64, BYTES_MAX_DEFAULT);
        for status in [302, 400, 404, 500, 503] {
            let error = harvest(model(status, 3002), &order).await.unwrap_err();
            assert_eq!(error.failure, SourceFailure::Unreachable, "{status}");
        }
    }

    #[tokio::test]
    async fn datasets_that_answer_later_are_refused_by_name() {
        // The core refuses them for direct harvests; open data is the way left to get an order.
        let mut dataset = builders::dataset("Later");
        dataset.asynchronous = true;
        dataset.public = true;
        let order = open_order(dataset, COMPANY).await;
        let fetch = Scripted::new([reply(200, "[]")]);
        let error = plugin(&fetch)
            .harvest(&order, &call_context())
            .await
            .unwrap_err();
        assert_eq!(error.failure, SourceFailure::Broken);
        assert!(error.text.unwrap().contains("answer later"));
        assert!(fetch.seen().is_empty());
    }

    /// One rule of every type there is (`wire-api.md` §5.6), as .NET plugins write them.
    const RULES: &str = r#"[
      {"$type": "Dan.Common.Models.AccreditationPartyRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "partyRequirements": ["RequestorAndOwnerAreEqual"]},
      {"$type": "Dan.Common.Models.AltinnRightsRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "serviceCode": "5616", "serviceEdition": "1",
       "offeredBy": "Subject", "coveredBy": "Requestor", "actions": ["Read", "Access"]},
      {"$type": "Dan.Common.Models.AltinnRoleRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "roleCode": "DAGL", "offeredBy": "Subject",
       "coveredBy": "Owner"},
      {"$type": "Dan.Common.Models.ConsentRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "serviceCode": "5616", "serviceEdition": 1,
       "requiresSrr": true, "consentPeriodInDays": null, "consentTokenScope": "a:restanser",
       "altinnResource": "digdir-restanser"},
      {"$type": "Dan.Common.Models.CustomSubjectRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "subjectRegex": "^\\d{1,8}$",
       "subjectRegexDescription": "1-8 digits"},
      {"$type": "Dan.Common.Models.LegalBasisRequirement, Dan.Common", "failureAction": 1,
       "requiredOnEvidenceHarvester": false, "validLegalBasisTypes": 2},
      {"$type": "Nadobe.Common.Models.MaskinportenScopeRequirement, Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "appliesToServiceContext": ["eBevis"],
       "requiredScopes": ["altinn:dataaltinnno/ebevis"]},
      {"$type": "Dan.Common.Models.PartyTypeRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "allowedPartyTypes": [{"Key": 2, "Value": 1}]},
      {"$type": "Dan.Common.Models.ProvideOwnTokenRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true},
      {"$type": "Dan.Common.Models.ReferenceRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "ReferenceType": 0,
       "AcceptedFormat": "^[0-9]{4}-[0-9]{1,8}$"},
      {"$type": "Dan.Common.Models.SrrRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "serviceCode": "5132", "serviceEdition": "1"},
      {"$type": "Dan.Common.Models.WhiteListRequirement, Dan.Common", "failureAction": 0,
       "requiredOnEvidenceHarvester": true, "allowedParties": [{"Key": 3, "Value": "991825827"}]}
    ]"#;

    fn definition(name: &str, rules: &[Value]) -> Value {
        json!({"evidenceCodeName": name, "belongsToServiceContexts": ["Test"],
            "isAsynchronous": false, "isPublic": false, "serviceEditionCode": 0,
            "values": [{"evidenceValueName": "navn", "source": "Reg", "valueType": "string"}],
            "authorizationRequirements": rules})
    }

    fn codes() -> Arc<CpvList> {
        Arc::new(CpvList {
            version: "v".to_owned(),
            codes: ["45000000-7".to_owned()].into(),
        })
    }

    async fn discover_with(metadata: &Value, cpv: Option<Arc<CpvList>>) -> Vec<Dataset> {
        let fetch = Scripted::new([reply(200, metadata)]);
        let plugin = plugin(&fetch);
        plugin.discover(cpv, &call_context()).await.unwrap()
    }

    async fn discover(metadata: &Value) -> Vec<Dataset> {
        discover_with(metadata, Some(codes())).await
    }

    #[tokio::test]
    async fn rules_that_need_what_this_node_does_not_know_close_their_dataset_w06() {
        let basis = json!({"type": "LegalBasisRequirement", "validLegalBasisTypes": 2});
        let list = json!({"$type":
            "Dan.Common.Models.WhiteListFromConfigRequirement, Dan.Common",
            "ownerConfigKey": null, "requestorConfigKey": "SomeSettingName"});
        let metadata = json!([definition("Basis", &[basis]), definition("List", &[list])]);
        let datasets = discover_with(&metadata, None).await;
        let reasons: Vec<&str> = datasets
            .iter()
            .map(|dataset| dataset.unavailable.as_deref().unwrap_or("open"))
            .collect();
        assert!(reasons[0].contains("no list of CPV codes"), "{reasons:?}");
        assert!(reasons[1].contains("settings"), "{reasons:?}");
        assert!(datasets.iter().all(|dataset| dataset.rules.len() == 1));
        let known = discover(&metadata).await;
        assert_eq!(known[0].unavailable, None);
    }

    #[tokio::test]
    async fn discovery_knows_every_type_of_rule() {
        let datasets = discover(&json!([definition(
            "All",
            &serde_json::from_str::<Vec<Value>>(RULES).unwrap()
        )]))
        .await;
        assert_eq!(datasets[0].unavailable, None);
        let found: Vec<&str> = datasets[0]
            .rules
            .iter()
            .map(|rule| rule.id.as_str())
            .collect();
        assert_eq!(
            found,
            [
                "All/relation",
                "All/right",
                "All/role",
                "All/consent",
                "All/subject",
                "All/legal-basis",
                "All/scope",
                "All/party",
                "All/own-token",
                "All/reference",
                "All/srr",
                "All/allow-list"
            ]
        );
        let basis = &datasets[0].rules[5];
        assert_eq!(
            (basis.on_failure, basis.at_harvest),
            (OnFailure::Skip, false)
        );
        assert!(matches!(&basis.requirement, Requirement::LegalBasis(b)
            if b.cpv.as_deref().is_some_and(|list| list.version == "v") && !b.espd));
        assert_eq!(datasets[0].rules[6].contexts, ["eBevis"]);
        assert!(
            datasets[0]
                .rules
                .iter()
                .all(|rule| rule.origin == "plugin ebevis")
        );
    }

    #[tokio::test]
    async fn discovery_asks_without_the_key_and_within_bounds_w16() {
        let fetch = Scripted::new([reply(200, json!([definition("Fine", &[])]))]);
        let plugin = Arc::new(plugin(&fetch));
        let ctx = call_context();
        let discover: &dyn Discover = &plugin;
        let datasets = discover.discover(None, &ctx).await.unwrap();
        assert_eq!(datasets[0].name, "Fine");
        assert_eq!(discover.source().id(), "ebevis");
        let seen = fetch.seen().remove(0);
        assert_eq!(seen.url, "http://127.0.0.1:7071/api/evidencecodes");
        assert_eq!(
            seen.headers,
            [("accept".to_owned(), "application/json".to_owned())]
        );
        assert_eq!(seen.bytes_max, DISCOVERY_BYTES_MAX);
        assert_eq!(seen.deadline, ctx.deadline);
    }

    #[tokio::test]
    async fn a_rule_without_type_closes_its_dataset_and_no_other_w06() {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let rule = json!({"requiredScopes": ["a:b"], "failureAction": 0});
        let unknown = json!({"$type": "Dan.Common.Models.BrandNewRequirement, Dan.Common"});
        let metadata = json!([
            definition("NoType", &[rule]),
            definition("NewType", &[unknown]),
            definition("Fine", &[])
        ]);
        let datasets = discover(&metadata).await;
        let text = lines.0.lock().unwrap().clone();
        assert!(
            text.contains("NoType") && text.contains("NewType"),
            "{text}"
        );
        assert!(text.contains("ERROR") && !text.contains("Fine"), "{text}");
        let body = json!([{"evidenceValueName": "navn", "value": "x"}]);
        let fetch = Scripted::new([reply(200, body)]);
        let exchange = exchange(Arc::new(plugin(&fetch)), datasets);
        for closed in ["NoType", "NewType"] {
            let asked = direct(&exchange, application(&[closed]), &OfferedTokens::default()).await;
            assert_eq!(asked.unwrap_err().code, Code::ServiceNotAvailable);
            assert!(fetch.seen().is_empty());
        }
        let fine = direct(&exchange, application(&["Fine"]), &OfferedTokens::default()).await;
        assert!(fine.is_ok());
    }

    #[tokio::test]
    async fn metadata_that_cannot_be_had_is_an_error_not_an_empty_list_w21() {
        for answer in [
            reply(500, "[]"),
            reply(404, "[]"),
            reply(302, "[]"),
            reply(200, ""),
            reply(200, "{}"),
            reply(200, "<html>"),
            Answer::Fails(FetchError::TooLarge),
            Answer::Fails(FetchError::Network("reset".to_owned())),
        ] {
            let fetch = Scripted::new([answer]);
            assert!(
                plugin(&fetch)
                    .discover(None, &call_context())
                    .await
                    .is_err()
            );
        }
    }

    /// Keeps every event as text.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<String>>);

    struct Line<'a>(&'a mut String);

    impl tracing::field::Visit for Line<'_> {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {field}={value:?}").unwrap();
        }
    }

    impl tracing::Subscriber for Lines {
        fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _span: &tracing::span::Id, _from: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut text = self.0.lock().unwrap();
            write!(text, "{}", event.metadata().level()).unwrap();
            event.record(&mut Line(&mut text));
            text.push('\n');
        }

        fn enter(&self, _span: &tracing::span::Id) {}

        fn exit(&self, _span: &tracing::span::Id) {}
    }
}
