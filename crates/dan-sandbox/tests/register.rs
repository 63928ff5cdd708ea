//! The entity register: every unit has the members and types of its OpenAPI document and of recorded answers.

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part of the client")]
mod world;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::path::PathBuf;

    use dan_sandbox::parties;
    use serde_json::{Map, Value, json};

    use super::world::{get, send, world};

    const API: &str = "/enhetsregisteret/api";

    /// Members that neither the OpenAPI document nor the recorded answers show, with an example of their type
    /// (wire-api.md §5.13; the last three from the register's own documentation).
    fn further_members() -> Map<String, Value> {
        let members = json!({
            "hjemmeside": "", "overordnetEnhet": "", "oppstartsdato": "", "slettedato": "",
            "beliggenhetsadresse": {
                "land": "", "landkode": "", "postnummer": "", "poststed": "", "adresse": [""],
                "kommune": "", "kommunenummer": "",
            },
            "_links": { "overordnetEnhet": { "href": "" } },
            "aktivitet": [""], "epostadresse": "", "registreringsdatoFrivillighetsregisteret": "",
        });
        members.as_object().unwrap().clone()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "where the vectors lie is the tester's to say"
    )]
    fn shared(name: &str) -> Option<Value> {
        let folder = std::env::var("DAN_SHARED").map_or_else(
            |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
            PathBuf::from,
        );
        let text = std::fs::read(folder.join("recorded").join(name)).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn skipped() {
        eprintln!("SKIPPED: the recorded answers of the register are not here (DAN_SHARED)");
    }

    /// What a member may be: the names of JSON types, and the members of objects.
    #[derive(Default)]
    struct Shape {
        types: Vec<&'static str>,
        members: BTreeMap<String, Self>,
        items: Option<Box<Self>>,
    }

    fn type_of(value: &Value) -> &'static str {
        match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    impl Shape {
        /// Adds what an answer shows.
        fn learn(&mut self, example: &Value) {
            self.types.push(type_of(example));
            match example {
                Value::Object(members) => {
                    for (name, value) in members {
                        self.members.entry(name.clone()).or_default().learn(value);
                    }
                }
                Value::Array(items) => {
                    for item in items {
                        self.items.get_or_insert_default().learn(item);
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }

        /// Adds what the OpenAPI document says.
        fn study(&mut self, schema: &Value, schemas: &Value) {
            if let Some(reference) = schema["$ref"].as_str() {
                let name = reference.rsplit('/').next().unwrap();
                return self.study(&schemas[name], schemas);
            }
            match schema["type"].as_str() {
                Some("string") => self.types.push("string"),
                Some("boolean") => self.types.push("boolean"),
                Some("integer") => self.types.push("integer"),
                Some("array") => {
                    self.types.push("array");
                    let items = self.items.get_or_insert_default();
                    items.study(&schema["items"], schemas);
                }
                _ => self.types.push("object"),
            }
            if let Some(members) = schema["properties"].as_object() {
                for (name, member) in members {
                    let shape = self.members.entry(name.clone()).or_default();
                    shape.study(member, schemas);
                }
            }
        }

        /// Every member of `value` that is not as it should be.
        fn faults(&self, at: &str, value: &Value, faults: &mut Vec<String>) {
            if !self.types.contains(&type_of(value)) {
                faults.push(format!("{at} is {}", type_of(value)));
            }
            match value {
                Value::Object(members) => {
                    for (name, member) in members {
                        match self.members.get(name) {
                            Some(shape) => shape.faults(&format!("{at}.{name}"), member, faults),
                            None => faults.push(format!("{at}.{name} is unknown")),
                        }
                    }
                }
                Value::Array(items) => {
                    for item in items {
                        match &self.items {
                            Some(shape) => shape.faults(&format!("{at}[]"), item, faults),
                            None => faults.push(format!("{at}[] is unknown")),
                        }
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }

        fn wrong(&self, value: &Value) -> Vec<String> {
            let mut faults = Vec::new();
            self.faults("", value, &mut faults);
            faults
        }
    }

    fn unit_shape() -> Option<Shape> {
        let document = shared("openapi/enhetsregisteret.json")?;
        let mut shape = Shape::default();
        let schemas = &document["components"]["schemas"];
        shape.study(&schemas["Enhet"], schemas);
        shape.learn(&shared("enhetsregisteret/enheter-details-response.json")?);
        for page in 1..=2 {
            let page = shared(&format!(
                "enhetsregisteret/enheter-search-page{page}-response.json"
            ))?;
            for unit in page["_embedded"]["enheter"].as_array().unwrap() {
                shape.learn(unit);
            }
        }
        shape.learn(&Value::Object(further_members()));
        Some(shape)
    }

    async fn everyone(to: SocketAddr) -> Vec<Value> {
        let mut units = Vec::new();
        for half in ["enheter", "underenheter"] {
            let page = get(to, &format!("{API}/{half}?size=1000")).await.json();
            for unit in page["_embedded"][half].as_array().unwrap() {
                let number = unit["organisasjonsnummer"].as_str().unwrap();
                let alone = get(to, &format!("{API}/{half}/{number}")).await;
                assert_eq!(alone.status, 200);
                assert_eq!(alone.json(), *unit);
                units.push(alone.json());
            }
        }
        units
    }

    #[tokio::test]
    async fn every_unit_has_the_members_and_types_of_the_real_register() {
        let Some(shape) = unit_shape() else {
            return skipped();
        };
        let world = world().await;
        let units = everyone(world.address).await;
        assert_eq!(units.len(), 12);
        for unit in &units {
            assert_eq!(shape.wrong(unit), [""; 0], "{}", unit["navn"]);
        }
    }

    #[test]
    fn the_check_of_shapes_finds_what_is_wrong() {
        let Some(shape) = unit_shape() else {
            return skipped();
        };
        for (unit, fault) in [
            (json!({"antallAnsatte": "12"}), ".antallAnsatte is string"),
            (json!({"antallansatte": 12}), ".antallansatte is unknown"),
            (
                json!({"naeringskode1": {"kode": 62}}),
                ".naeringskode1.kode is integer",
            ),
            (
                json!({"postadresse": {"adresse": [1]}}),
                ".postadresse.adresse[] is integer",
            ),
        ] {
            assert_eq!(shape.wrong(&unit), [fault]);
        }
    }

    #[tokio::test]
    async fn a_deleted_unit_is_answered_with_what_is_left_of_it() {
        let world = world().await;
        let path = format!("{API}/enheter/{}", parties().deleted);
        let answer = get(world.address, &path).await;
        assert_eq!(answer.status, 200);
        let unit = answer.json();
        assert_eq!(unit["slettedato"], "2021-06-30");
        let Some(recorded) = shared("enhetsregisteret/enheter-details-deleted-response.json")
        else {
            return skipped();
        };
        let mut shape = Shape::default();
        shape.learn(&recorded);
        assert_eq!(shape.wrong(&unit), [""; 0]);
        let query = format!("{API}/enheter?organisasjonsnummer={}", parties().deleted);
        let found = get(world.address, &query).await.json();
        assert_eq!(found["page"]["totalElements"], 0);
        assert!(found.get("_embedded").is_none());
    }

    #[tokio::test]
    async fn roles_have_the_members_and_types_of_the_real_register() {
        let Some(recorded) = shared("enhetsregisteret/enheter-roller-enhet-response.json") else {
            return skipped();
        };
        let mut shape = Shape::default();
        shape.learn(&recorded);
        // A person in a role, which the recorded answer does not show (services.md §1.1).
        shape.learn(&json!({"rollegrupper": [{"roller": [{
            "person": {
                "fodselsdato": "", "erDoed": false,
                "navn": {"fornavn": "", "etternavn": ""},
            },
            "fratraadt": false,
        }]}]}));
        let world = world().await;
        for unit in everyone(world.address).await {
            let number = unit["organisasjonsnummer"].as_str().unwrap();
            let answer = get(world.address, &format!("{API}/enheter/{number}/roller")).await;
            if unit.get("overordnetEnhet").is_some() {
                assert_eq!(answer.status, 404);
            } else {
                assert_eq!(shape.wrong(&answer.json()), [""; 0], "{number}");
            }
        }
        let path = format!("{API}/enheter/{}/roller", parties().sole_proprietor);
        let owner = get(world.address, &path).await.json();
        let role = &owner["rollegrupper"][0]["roller"][0];
        assert_eq!(role["type"]["kode"], "INNH");
        assert_eq!(role["person"]["fodselsdato"], "1961-05-07");
    }

    #[tokio::test]
    async fn the_companies_of_todays_clients_have_much_to_tell() {
        let world = world().await;
        for number in ["991825827", "992037601", "998997801"] {
            let unit = get(world.address, &format!("{API}/enheter/{number}"))
                .await
                .json();
            for name in [
                "forretningsadresse",
                "postadresse",
                "naeringskode1",
                "naeringskode2",
                "antallAnsatte",
                "stiftelsesdato",
                "registreringsdatoEnhetsregisteret",
                "hjemmeside",
                "epostadresse",
                "institusjonellSektorkode",
                "aktivitet",
            ] {
                assert!(unit.get(name).is_some(), "{number} {name}");
            }
        }
    }

    #[tokio::test]
    async fn main_and_sub_units_are_kept_apart_and_linked() {
        let world = world().await;
        let parties = parties();
        let to = world.address;
        let (main, sub) = (parties.main_unit, parties.sub_unit);
        let unit = get(to, &format!("{API}/underenheter/{sub}")).await.json();
        assert_eq!(unit["overordnetEnhet"], main);
        assert_eq!(
            unit["_links"]["overordnetEnhet"]["href"],
            format!("{}/enheter/{main}", world.register_url())
        );
        for wrong in [format!("enheter/{sub}"), format!("underenheter/{main}")] {
            let answer = get(to, &format!("{API}/{wrong}")).await;
            assert_eq!(answer.status, 404, "{wrong}");
        }
        let bankrupt = get(to, &format!("{API}/enheter/{}", parties.bankrupt)).await;
        assert_eq!(bankrupt.json()["konkurs"], true);
        let synthetic = get(to, &format!("{API}/enheter/{}", parties.synthetic)).await;
        assert_eq!(synthetic.status, 200);
    }

    #[tokio::test]
    async fn the_pages_of_a_search_lead_from_one_to_the_next() {
        let world = world().await;
        let to = world.address;
        let above = parties().main_unit;
        let mut path = format!("{API}/underenheter?overordnetEnhet={above}&size=2");
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            let page = get(to, &path).await.json();
            let about = json!({"size": 2, "totalElements": 3, "totalPages": 2, "number": pages});
            assert_eq!(page["page"], about);
            for unit in page["_embedded"]["underenheter"].as_array().unwrap() {
                found.push(unit["organisasjonsnummer"].as_str().unwrap().to_owned());
            }
            pages += 1;
            assert_eq!(page["_links"].get("prev").is_some(), pages == 2);
            let Some(next) = page["_links"]["next"]["href"].as_str() else {
                break;
            };
            path = next.strip_prefix(&world.base_url()).unwrap().to_owned();
        }
        assert_eq!((pages, found.len()), (2, 3));
        assert_eq!(found[0], parties().sub_unit);
    }

    #[tokio::test]
    async fn a_search_finds_by_name_number_and_form() {
        let world = world().await;
        for (query, expected) in [
            ("navn=isbj%C3%B8rn", vec!["992037601"]),
            ("navn=ISBJ%C3%98RN+AS", vec!["992037601"]),
            (
                "organisasjonsnummer=998997801,991825827",
                vec!["991825827", "998997801"],
            ),
            ("organisasjonsform=KOMM", vec!["958935420"]),
            ("navn=ingen", vec![]),
            ("page=7", vec![]),
        ] {
            let page = get(world.address, &format!("{API}/enheter?{query}"))
                .await
                .json();
            let found: Vec<&str> = page["_embedded"]["enheter"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|unit| unit["organisasjonsnummer"].as_str().unwrap())
                .collect();
            assert_eq!(found, expected, "{query}");
        }
    }

    #[tokio::test]
    async fn what_the_register_does_not_have_is_refused_in_its_own_form() {
        let world = world().await;
        let to = world.address;
        for path in [
            "/enheter/123456785",
            "/underenheter/991825827",
            "/enheter/123456785/roller",
            "/annet",
            "/enheter/991825827/annet",
            "",
        ] {
            let answer = get(to, &format!("{API}{path}")).await;
            assert_eq!(answer.status, 404, "{path}");
            let body = answer.json();
            assert_eq!(body["status"], 404);
            assert!(body["feilmelding"].is_string(), "{path}");
            assert_eq!(body["sti"], format!("{API}{path}"));
        }
        for (path, parameter, value) in [
            ("/enheter/12345678", "organisasjonsnummer", "12345678"),
            ("/enheter/07056120453", "organisasjonsnummer", "07056120453"),
            ("/enheter/99182582x", "organisasjonsnummer", "99182582x"),
            ("/enheter?page=x", "page", "x"),
            ("/enheter?size=0", "size", "0"),
            ("/enheter?size=10001", "size", "10001"),
            ("/enheter?page=500&size=20", "size", "20"),
            ("/enheter?farge=r%C3%B8d", "farge", "rød"),
        ] {
            let answer = get(to, &format!("{API}{path}")).await;
            assert_eq!(answer.status, 400, "{path}");
            let body = answer.json();
            assert_eq!(body["antallFeil"], 1);
            assert_eq!(body["valideringsfeil"][0]["parametere"], json!([parameter]));
            assert_eq!(body["valideringsfeil"][0]["feilaktigVerdi"], value);
        }
        assert_eq!(
            get(to, &format!("{API}/enheter?navn=%zz")).await.status,
            400
        );
        let posted = send(to, &format!("POST {API}/enheter"), b"{}").await;
        assert_eq!(posted.unwrap().status, 405);
    }
}
