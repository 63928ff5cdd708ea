//! The sources of eBevis and Tilda: what they answer, and how they want to be asked.

#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use dan_sandbox::{PRODUCTS_LOGIN, ROADS_KEY, parties};
    use serde_json::{Value, json};

    use super::world::{Answer, get, send, world};

    const LIST: &str =
        "<p:listProducts><orgnr>{org}</orgnr><productType>2000</productType></p:listProducts>";
    const ORDER: &str =
        "<p:orderProducts><orgnr>{org}</orgnr><productId>F-{org}</productId></p:orderProducts>";
    const COMPANY: &str = "992037601";

    async fn products(to: SocketAddr, login: &str, body: &str) -> Answer {
        let login = STANDARD.encode(login);
        let head = format!("POST /produkter/v1\nauthorization: Basic {login}");
        send(to, &head, body.as_bytes()).await.unwrap()
    }

    #[tokio::test]
    async fn a_certificate_is_listed_and_ordered_for_a_login() {
        let world = world().await;
        let to = world.address;
        let list = LIST.replace("{org}", COMPANY);
        let answer = products(to, PRODUCTS_LOGIN, &list).await;
        assert!(answer.has("content-type: text/xml; charset=utf-8"));
        assert!(answer.text().contains("<id>F-992037601</id>"));
        let order = ORDER.replace("{org}", COMPANY);
        let answer = products(to, PRODUCTS_LOGIN, &order).await;
        assert!(
            answer
                .text()
                .contains("992037601.pdf?v=1&amp;spraak=nb</url>")
        );
        let none = LIST.replace("{org}", parties().sole_proprietor);
        let answer = products(to, PRODUCTS_LOGIN, &none).await;
        assert!(answer.text().contains("<return></return>"));

        assert_eq!(products(to, "a:b", &list).await.status, 401);
        for wrong in [
            "",
            "<orgnr>1</orgnr>",
            &list.replace("listProducts", "dropProducts"),
            &order.replace("F-992037601", "F-998997801"),
            &ORDER.replace("{org}", parties().sole_proprietor),
        ] {
            let answer = products(to, PRODUCTS_LOGIN, wrong).await;
            assert_eq!(answer.status, 500, "{wrong}");
            assert!(answer.text().contains("<soapenv:Fault>"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn registers_of_the_labour_inspection_want_to_know_who_asks() {
        let world = world().await;
        let to = world.address;
        let ask = async |path: &str| {
            let head = format!("GET /arbeidstilsynet/{path}\nuser-agent: test");
            send(to, &head, b"").await.unwrap()
        };
        let main = parties().main_unit;
        let care = ask(&format!("bilpleie/{main}")).await.json();
        assert_eq!(care["data"]["registerstatus"], 1);
        let below = care["data"]["underenheter"].as_array().unwrap();
        let approved = |unit: &Value| unit["godkjenningsstatus"] == "godkjent";
        assert_eq!(below.iter().filter(|unit| approved(unit)).count(), 2);
        let staff = ask(&format!("bemanning/{main}")).await.json();
        assert_eq!(staff["data"]["godkjenningsstatus"], "Godkjent");
        let changed = |answer: Answer| answer.json()["data"]["statusEndret"].clone();
        assert!(changed(ask(&format!("renhold/{main}")).await).is_string());
        assert!(changed(ask(&format!("renhold/{COMPANY}")).await).is_null());
        for (path, status) in [
            (format!("bilpleie/{}", parties().sub_unit), 404),
            ("bilpleie/998997801".to_owned(), 404),
            (format!("annet/{main}"), 404),
        ] {
            assert_eq!(ask(&path).await.status, status, "{path}");
        }
        let path = format!("GET /arbeidstilsynet/bilpleie/{main}\nuser-agent: ");
        assert_eq!(send(to, &path, b"").await.unwrap().status, 403);
    }

    #[tokio::test]
    async fn workshops_are_told_for_a_key() {
        let world = world().await;
        let to = world.address;
        let ask = async |number: &str, key: &str| {
            let head = format!("GET /vegvesen/verksted/{number}\nx-api-key: {key}");
            send(to, &head, b"").await.unwrap()
        };
        let answer = ask(COMPANY, ROADS_KEY).await.json();
        assert_eq!(answer["godkjenningsnumre"], json!(["V-1001", "K-2002"]));
        for (number, key, status) in [
            (COMPANY, "x", 401),
            ("998997801", ROADS_KEY, 204),
            ("1", ROADS_KEY, 400),
        ] {
            assert_eq!(ask(number, key).await.status, status, "{number}");
        }
    }

    #[tokio::test]
    async fn agencies_are_asked_each_in_its_own_way() {
        let world = world().await;
        let to = world.address;
        let token = get(to, "/api/GetEnterpriseToken?scopes=brreg:tilda").await;
        let token = token.text().to_owned();
        let ask = async |path: &str, token: &str| {
            let head = format!("GET /tilda/{path}\nauthorization: Bearer {token}");
            send(to, &head, b"").await.unwrap()
        };
        let who = "?requestor=991825827";
        let moment = format!("{who}&fromDate=2025-01-01T00:00:00.000Z");
        let date = format!("{who}&fromDate=2025-01-01");
        for (path, status) in [
            (format!("arbeidstilsynet/tilsyn/{COMPANY}{who}"), 200),
            (format!("arbeidstilsynet/tilsyn/{COMPANY}{moment}"), 200),
            (format!("arbeidstilsynet/tilsyn/{COMPANY}{date}"), 400),
            (format!("arbeidstilsynet/tilsyn/{COMPANY}"), 400),
            (format!("arbeidstilsynet/tilsyn/{COMPANY}/{who}"), 404),
            (format!("arbeidstilsynet/{COMPANY}{who}"), 404),
            (format!("brann/{COMPANY}{moment}"), 200),
            (format!("brann/tilsyn/{COMPANY}{who}"), 404),
            (format!("agder/tilsyn/{COMPANY}/{date}"), 200),
            (format!("agder/tilsyn/{COMPANY}/{moment}"), 400),
            (format!("agder/tilsyn/{COMPANY}{who}"), 404),
            (format!("agder/trend/{COMPANY}/{who}"), 404),
            (format!("dirmin/trend/{COMPANY}{who}"), 404),
            (format!("digdir/trend/{COMPANY}{who}"), 200),
            (format!("dsb/tilsyn/{COMPANY}{who}"), 404),
            (format!("arbeidstilsynet/tilsyn/999999999{who}"), 404),
            (format!("arbeidstilsynet/tilsyn/4711{who}"), 200),
        ] {
            assert_eq!(ask(&path, &token).await.status, status, "{path}");
        }
        let path = format!("digdir/tilsyn/{COMPANY}{who}");
        assert_eq!(ask(&path, "x").await.status, 401);
        let rows = async |query: &str| {
            let path = format!("digdir/tilsyn/{COMPANY}{who}{query}");
            let answer = ask(&path, &token).await.json();
            answer["tilsynsrapporter"].as_array().unwrap().len()
        };
        assert_eq!(rows("&toDate=2025-10-14T23:59:59.000Z").await, 1);
        assert_eq!(rows("&fromDate=2025-10-15T00:00:00.000Z").await, 0);
        assert_eq!(rows("&toDate=2025-10-13T23:59:59.000Z").await, 0);
    }

    #[tokio::test]
    async fn agencies_say_what_nobody_may_have() {
        let world = world().await;
        let to = world.address;
        let token = get(to, "/api/GetEnterpriseToken?scopes=brreg:tilda").await;
        let number = parties().sole_proprietor;
        for (dataset, canaries) in [
            (
                "tilsyn",
                &["NOTAT", "ANMERKNING", "EGENSKAP", "UDEKLARERT"][..],
            ),
            ("koordinering", &["NOTAT", "MELDING", "UDEKLARERT"]),
            ("trend", &["NOTAT", "UDEKLARERT"]),
        ] {
            let path = format!("/tilda/digdir/{dataset}/{number}?requestor=991825827");
            let head = format!("GET {path}\nauthorization: Bearer {}", token.text());
            let answer = send(to, &head, b"").await.unwrap();
            for canary in canaries {
                let canary = format!("KANARI-{canary}");
                assert!(answer.text().contains(&canary), "{dataset} {canary}");
            }
        }
    }
}
