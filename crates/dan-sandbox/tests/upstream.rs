//! The sources and the plugin: what they answer and what they refuse.

#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use dan_sandbox::{PLUGIN_KEY, parties};
    use serde_json::{Value, json};

    use super::world::{Answer, get, send, world};

    #[tokio::test]
    async fn documents_are_nested_and_have_every_type_of_json() {
        let world = world().await;
        let answer = get(world.address, "/testdata/dokumenter/992037601").await;
        assert!(answer.has("content-type: application/json"));
        let answer = answer.json();
        assert_eq!(answer["part"], "992037601");
        assert_eq!(answer["areal"], 127.25);
        assert_eq!(answer["saldo"], -1050);
        assert_eq!(answer["godkjent"], true);
        assert_eq!(answer["merknad"], Value::Null);
        assert_eq!(answer["dokumenter"][0]["vedlegg"][0]["navn"], "kart.pdf");
        assert!(answer["kontakt"]["tegn"].as_str().unwrap().contains("漢字"));
        let person = get(
            world.address,
            &format!("/testdata/dokumenter/{}", parties().person),
        )
        .await;
        assert_eq!(person.status, 200);
    }

    #[tokio::test]
    async fn an_attachment_is_a_pdf_in_base64() {
        let world = world().await;
        let answer = get(world.address, "/testdata/vedlegg/991825827")
            .await
            .json();
        assert_eq!(answer["mime"], "application/pdf");
        let content = STANDARD
            .decode(answer["innhold"].as_str().unwrap())
            .unwrap();
        assert!(content.starts_with(b"%PDF-1.4") && content.ends_with(b"%%EOF\n"));
    }

    #[tokio::test]
    async fn open_data_needs_no_party() {
        let world = world().await;
        let to = world.address;
        let answer = get(to, "/testdata/apne/bl%C3%A5b%C3%A6r").await.json();
        assert_eq!(
            answer,
            json!({"navn": "Åpen oppføring blåbær", "verdi": 12.5})
        );
        assert_eq!(get(to, "/testdata/apne").await.status, 200);
        assert_eq!(get(to, "/testdata/apne/").await.status, 200);
        assert_eq!(get(to, "/testdata/apne/finnes-ikke").await.status, 404);
        assert_eq!(get(to, "/testdata/apne/%ff").await.status, 400);
        let long = format!("/testdata/apne/{}", "a".repeat(65));
        assert_eq!(get(to, &long).await.status, 400);
    }

    #[tokio::test]
    async fn accounts_come_newest_first_as_many_as_asked_for() {
        let world = world().await;
        let path = "/testdata/regnskap/998997801";
        for years in 1..=5 {
            let answer = get(world.address, &format!("{path}?antall={years}"))
                .await
                .json();
            let accounts = answer["regnskap"].as_array().unwrap();
            let found: Vec<&str> = accounts
                .iter()
                .map(|one| one["aar"].as_str().unwrap())
                .collect();
            assert_eq!(found, ["2025", "2024", "2023", "2022", "2021"][..years]);
            assert!(accounts[0]["pdf"].as_str().unwrap().starts_with("https://"));
        }
        let by_itself = get(world.address, path).await.json();
        assert_eq!(by_itself["regnskap"].as_array().unwrap().len(), 3);
        for wrong in ["0", "6", "-1", "to", "", "%zz"] {
            let answer = get(world.address, &format!("{path}?antall={wrong}")).await;
            assert_eq!(answer.status, 400, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_large_answer_is_as_large_as_asked_for() {
        let world = world().await;
        let path = "/testdata/stor/991825827";
        let answer = get(world.address, &format!("{path}?kib=1500")).await.json();
        assert_eq!(answer["tekst"].as_str().unwrap().len(), 1500 * 1024);
        assert!(get(world.address, path).await.body.len() > 1024 * 1024);
        for wrong in ["0", "16385", "mye"] {
            let answer = get(world.address, &format!("{path}?kib={wrong}")).await;
            assert_eq!(answer.status, 400, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_party_nobody_knows_is_not_found() {
        let world = world().await;
        for path in [
            "/testdata/dokumenter/123456785",
            "/testdata/vedlegg/x",
            "/testdata/regnskap/",
            "/testdata/stor/123456785?kib=1",
            "/testdata/annet/991825827",
            "/testdata/",
            "/skatt/v2/ebevis/123456785",
            "/skatt/v2/ebevis/07056120453",
            "/skatt/v1/ebevis/991825827",
        ] {
            let answer = get(world.address, path).await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.json()["error"].is_string(), "{path}");
        }
        for head in ["POST /testdata/apne/1", "PUT /skatt/v2/ebevis/991825827"] {
            let answer = send(world.address, head, b"").await.unwrap();
            assert_eq!(answer.status, 405, "{head}");
        }
    }

    #[tokio::test]
    async fn head_is_answered_as_get_without_a_body() {
        let world = world().await;
        let answer = send(world.address, "HEAD /testdata/apne/1", b"").await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }

    #[tokio::test]
    async fn arrears_have_the_shape_the_tax_dataset_reads() {
        let world = world().await;
        let path = "/skatt/v2/ebevis/998997801";
        let answer = get(world.address, path).await;
        let body = answer.json();
        assert_eq!(body["forespurteOrganisasjon"], "998997801");
        assert!(body["levert"].as_str().unwrap().ends_with('Z'));
        let names: Vec<&String> = body["restanser"].as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            [
                "arbeidsgiveravgift",
                "forskuddstrekk",
                "forskuddsskatt",
                "restskatt",
                "gebyr",
                "merverdiavgift"
            ]
        );
        for name in names {
            let owed = &body["restanser"][name.as_str()]["forfaltOgUbetalt"];
            assert!(owed.is_u64(), "{name}");
        }
        assert_eq!(get(world.address, path).await.body, answer.body);
    }

    async fn harvest(to: SocketAddr, dataset: &str, key: &str, body: &Value) -> Answer {
        let head = format!(
            "POST /plugin/api/{dataset}\nx-functions-key: {key}\ncontent-type: application/json"
        );
        send(to, &head, body.to_string().as_bytes()).await.unwrap()
    }

    fn request(parameters: &Value) -> Value {
        json!({
            "organizationNumber": "992037601", "accreditationId": "1", "requestor": "991825827",
            "subjectParty": null, "requestorParty": null, "asyncEvidenceCodeAction": null,
            "serviceContext": "eBevis", "evidenceCodeName": "x", "parameters": parameters,
            "jwt": null, "mpToken": null,
        })
    }

    #[tokio::test]
    async fn the_plugin_describes_its_datasets_as_newtonsoft_does() {
        let world = world().await;
        let answer = get(world.address, "/plugin/api/evidencecodes").await;
        assert!(answer.text().contains(
            r#"{"$type":"Dan.Common.Models.PartyTypeRequirement, Dan.Common","allowedPartyTypes":[{"Key":2,"Value":1}]"#
        ));
        let codes = answer.json();
        let codes = codes.as_array().unwrap();
        let names: Vec<&str> = codes
            .iter()
            .map(|code| code["evidenceCodeName"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            ["PluginEnhetsfakta", "PluginBinar", "PluginParameter"]
        );
        for code in codes {
            assert_eq!(
                code["belongsToServiceContexts"],
                json!(["eBevis", "DAN-test"])
            );
            for requirement in code["authorizationRequirements"].as_array().unwrap() {
                let first = requirement.as_object().unwrap().keys().next().unwrap();
                assert_eq!(first, "$type");
            }
        }
        let schema = codes[0]["values"][2]["jsonSchemaDefintion"]
            .as_str()
            .unwrap();
        assert!(serde_json::from_str::<Value>(schema).unwrap().is_object());
        assert_eq!(codes[1]["values"][0]["valueType"], "binary");
        assert_eq!(codes[2]["parameters"][0]["required"], true);
    }

    #[tokio::test]
    async fn the_plugin_answers_values_with_no_other_members() {
        let world = world().await;
        let answer = harvest(
            world.address,
            "PluginEnhetsfakta",
            PLUGIN_KEY,
            &request(&json!([])),
        )
        .await;
        assert_eq!(answer.status, 200);
        let described = r#"{"form":"AS","naering":["45.200","43.320","62.010"]}"#;
        let value = |name, kind, value: Value| {
            json!({"evidenceValueName": name, "valueType": kind, "source": "Sandkassen",
                "timestamp": "2027-01-15T08:00:00Z", "value": value})
        };
        assert_eq!(
            answer.json(),
            json!([
                value("navn", "string", json!("HJELPSOM RASK ISBJØRN AS")),
                value("antall", "number", json!(27)),
                value("beskrivelse", "jsonSchema", json!(described)),
            ])
        );
    }

    #[tokio::test]
    async fn a_binary_dataset_answers_bytes() {
        let world = world().await;
        let answer = harvest(
            world.address,
            "PluginBinar",
            PLUGIN_KEY,
            &request(&Value::Null),
        )
        .await;
        assert!(answer.has("content-type: application/octet-stream"));
        assert!(std::str::from_utf8(&answer.body).is_err());
    }

    #[tokio::test]
    async fn a_parameter_comes_as_number_or_text_and_may_ask_for_a_failure() {
        let world = world().await;
        let asked = |parameters: Value| {
            let to = world.address;
            async move { harvest(to, "PluginParameter", PLUGIN_KEY, &request(&parameters)).await }
        };
        let parameter =
            |name: &str, value: Value| json!({"evidenceParamName": name, "value": value});
        for year in [json!(2024), json!("2024")] {
            let answer = asked(json!([parameter("Aar", year)])).await.json();
            assert_eq!(answer[0]["value"], 2024);
            assert_eq!(answer[1]["value"], "992037601");
        }
        let year = parameter("Aar", json!(2024));
        for (parameters, status, code, detail) in [
            (json!([]), 400, 3002, "1002"),
            (Value::Null, 400, 3002, "1002"),
            (json!([parameter("Aar", json!(1))]), 400, 3002, "1002"),
            (json!([parameter("Aar", json!(true))]), 400, 3002, "1002"),
            (
                json!([year, parameter("Feil", json!("annet"))]),
                400,
                3002,
                "1002",
            ),
            (
                json!([year, parameter("Feil", json!("midlertidig"))]),
                503,
                3001,
                "1001",
            ),
            (
                json!([year, parameter("Feil", json!("varig"))]),
                502,
                3003,
                "1004",
            ),
        ] {
            let answer = asked(parameters.clone()).await;
            assert_eq!(answer.status, status, "{parameters}");
            let answer = answer.json();
            assert_eq!(answer["code"], code, "{parameters}");
            assert_eq!(answer["detailCode"], detail, "{parameters}");
            assert!(answer["description"].as_str().unwrap().contains(": "));
        }
    }

    #[tokio::test]
    async fn the_plugin_refuses_a_wrong_key_a_wrong_body_and_a_wrong_name() {
        let world = world().await;
        let to = world.address;
        let good = request(&json!([]));
        let wrong = harvest(to, "PluginBinar", "guess", &good).await;
        assert_eq!((wrong.status, wrong.body.len()), (401, 0));
        let none = send(to, "POST /plugin/api/PluginBinar", b"{}").await;
        assert_eq!(none.unwrap().status, 401);
        let unknown = harvest(to, "PluginAnnet", PLUGIN_KEY, &good).await;
        assert_eq!(unknown.status, 404);
        assert_eq!(get(to, "/plugin/api/PluginBinar").await.status, 405);
        assert_eq!(get(to, "/plugin/x").await.status, 404);
        for (body, detail) in [
            (json!(null), "1002"),
            (json!([]), "1002"),
            (json!({}), "1002"),
            (json!({"organizationNumber": null}), "1002"),
            (json!({"organizationNumber": "123456785"}), "1003"),
        ] {
            let answer = harvest(to, "PluginEnhetsfakta", PLUGIN_KEY, &body).await;
            assert_eq!(answer.status, 400, "{body}");
            assert_eq!(answer.json()["code"], 3002, "{body}");
            assert_eq!(answer.json()["detailCode"], detail, "{body}");
        }
    }
}
