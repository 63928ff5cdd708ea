//! What is only answered for a token of the identity provider: Altinn, the population register, the tax administration
//! on persons.

#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use dan_sandbox::parties;
    use serde_json::{Value, json};

    use super::world::{Answer, NOW, get, send, world};

    const AUTHORIZE: &str = "/altinn/authorization/api/v1/authorize";
    const PARTIES: &str = "/altinn/accessmanagement/api/v1/resourceowner/authorizedparties";
    const EXCHANGE: &str = "/altinn/authentication/api/v1/exchange/maskinporten";
    const PERSONS: &str = "/freg/folkeregisteret/offentlig-med-hjemmel/api/v1/personer";

    /// A token by the grant that a node uses.
    async fn granted(to: SocketAddr) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg": "RS256", "kid": "k"}));
        let claims = part(
            json!({"aud": format!("http://{to}/"), "iss": "client", "scope": "a:b",
            "iat": NOW, "exp": NOW + 60, "jti": "1"}),
        );
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={header}.{claims}.c2ln"
        );
        let head = "POST /token\ncontent-type: application/x-www-form-urlencoded";
        let answer = send(to, head, form.as_bytes()).await.unwrap().json();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask(to: SocketAddr, head: &str, token: &str, body: &Value) -> Answer {
        let head = format!("{head}\nauthorization: Bearer {token}");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        send(to, &head, body.as_bytes()).await.unwrap()
    }

    #[tokio::test]
    async fn nothing_is_told_without_a_token_of_the_identity_provider() {
        let world = world().await;
        let to = world.address;
        let person = parties().person;
        let generate = async |query: &str| {
            let path = format!("/api/GetEnterpriseToken?scopes=a:b{query}");
            get(to, &path).await.text().to_owned()
        };
        let bad = [
            String::new(),
            "x".to_owned(),
            generate("&exp=-1").await,
            generate("&key=unknown").await,
            generate("&alg=none").await,
        ];
        let good = [
            granted(to).await,
            generate("").await,
            generate("&key=ec").await,
        ];
        let latest = format!("/skatt_person/sistetilgjengeligeskatteoppgjoer/v1/{person}");
        for head in [
            format!("POST {AUTHORIZE}"),
            format!("POST {PARTIES}"),
            format!("GET {EXCHANGE}"),
            format!("GET {PERSONS}/{person}"),
            format!("GET {latest}"),
        ] {
            let bare = send(to, &head, b"").await.unwrap();
            assert_eq!(bare.status, 401, "{head}");
            assert!(bare.has("www-authenticate: Bearer"));
            for token in &bad {
                assert_eq!(
                    ask(to, &head, token, &Value::Null).await.status,
                    401,
                    "{token}"
                );
            }
            for token in &good {
                let status = ask(to, &head, token, &Value::Null).await.status;
                // The bodies that Altinn wants are missing here.
                let expected = if head.starts_with("POST") { 400 } else { 200 };
                assert_eq!(status, expected, "{head}");
            }
        }
    }

    #[tokio::test]
    async fn the_exchanged_token_opens_altinn() {
        let world = world().await;
        let to = world.address;
        let token = granted(to).await;
        let exchanged = ask(to, &format!("GET {EXCHANGE}"), &token, &Value::Null).await;
        assert!(exchanged.has("content-type: text/plain; charset=utf-8"));
        let one =
            |name: &str, value: &str| json!({"Attribute": [{"AttributeId": name, "Value": value}]});
        let organisation = "urn:altinn:organization:identifier-no";
        let mut what = one("urn:altinn:resource", "dan-test");
        what["Attribute"]
            .as_array_mut()
            .unwrap()
            .push(json!({"AttributeId": organisation, "Value": "992037601"}));
        let request = json!({"Request": {
            "AccessSubject": [one(organisation, "991825827")],
            "Action": [one("urn:oasis:names:tc:xacml:1.0:action:action-id", "read")],
            "Resource": [what],
        }});
        let answer = ask(to, &format!("POST {AUTHORIZE}"), exchanged.text(), &request).await;
        assert_eq!(answer.json()["response"][0]["decision"], "Permit");

        let body = json!({"type": organisation, "value": "991825827"});
        let head = format!("POST {PARTIES}?includeAltinn2=true");
        let list = ask(to, &head, exchanged.text(), &body).await.json();
        assert_eq!(list[0]["organizationNumber"], "998997801");
        assert_eq!(list[0]["authorizedRoles"], json!(["DAGL"]));
        for (head, status) in [
            (format!("GET {AUTHORIZE}"), 405),
            (format!("POST {EXCHANGE}"), 405),
            (format!("POST {AUTHORIZE}/x"), 404),
        ] {
            assert_eq!(ask(to, &head, &token, &Value::Null).await.status, status);
        }
    }

    #[tokio::test]
    async fn a_person_comes_part_by_part() {
        let world = world().await;
        let to = world.address;
        let token = granted(to).await;
        let person = parties().person;
        let find = async |rest: &str| {
            let head = format!("GET {PERSONS}/{rest}");
            ask(to, &head, &token, &Value::Null).await
        };
        let basis = find(person).await.json();
        let number = &basis["identifikasjonsnummer"][0]["foedselsEllerDNummer"];
        assert_eq!(number, person);
        let named = find(&format!("{person}?part=person-basis")).await.json();
        assert_eq!(named, basis);
        let both = find(&format!("{person}?part=person-basis&part=relasjon-utvidet")).await;
        let both = both.json();
        assert!(both["navn"].is_array() && both["sivilstand"].is_array());
        for (rest, status) in [
            (format!("{person}?part=alt"), 400),
            (format!("{person}?part=%zz"), 400),
            ("01819000049".to_owned(), 404),
            ("991825827".to_owned(), 404),
            (String::new(), 404),
        ] {
            assert_eq!(find(&rest).await.status, status, "{rest}");
        }
        let other = ask(
            to,
            &format!("GET /freg/annet/{person}"),
            &token,
            &Value::Null,
        )
        .await;
        assert_eq!(other.status, 404);
    }

    #[tokio::test]
    async fn the_tax_basis_is_that_of_the_settled_year() {
        let world = world().await;
        let to = world.address;
        let token = granted(to).await;
        let person = parties().person;
        let find = async |path: &str| {
            let head = format!("GET /skatt_person/{path}");
            ask(to, &head, &token, &Value::Null).await
        };
        let latest = find(&format!("sistetilgjengeligeskatteoppgjoer/v1/{person}")).await;
        let year = latest.json()["sisteTilgjengeligePeriode"].clone();
        let year = year.as_str().unwrap().to_owned();
        let path = |stage: &str, package: &str, year: &str, number: &str| {
            format!("summertskattegrunnlag/v2/{stage}/{package}/{year}/{number}")
        };
        let package = "kommuneforeldrebetaling";
        let basis = find(&path("oppgjoer", package, &year, person)).await.json();
        assert_eq!(basis["inntektsaar"], year.as_str());
        assert_eq!(basis["grunnlag"][0]["kategori"], "inntekt");
        assert_eq!(
            find(&path("utkast", package, &year, person)).await.status,
            200
        );
        for (path, status) in [
            (path("annet", package, &year, person), 400),
            (path("oppgjoer", "nav", &year, person), 403),
            (path("oppgjoer", package, "1999", person), 404),
            (path("oppgjoer", package, &year, "01819000049"), 404),
            (
                "sistetilgjengeligeskatteoppgjoer/v1/01819000049".to_owned(),
                404,
            ),
            ("sistetilgjengeligeskatteoppgjoer/v2/x".to_owned(), 404),
        ] {
            assert_eq!(find(&path).await.status, status, "{path}");
        }
    }

    #[tokio::test]
    async fn they_can_be_made_to_fail_and_are_counted() {
        let world = world().await;
        let to = world.address;
        for (name, path) in [
            ("altinn", EXCHANGE),
            ("freg", PERSONS),
            ("skatt_person", "/skatt_person/x"),
        ] {
            let head = format!("PUT /control/faults/{name}");
            let put = send(to, &head, br#"{"status":503,"times":1}"#)
                .await
                .unwrap();
            assert_eq!(put.status, 204);
            assert_eq!(get(to, path).await.status, 503, "{name}");
            assert_ne!(get(to, path).await.status, 503, "{name}");
            let calls = get(to, &format!("/control/calls/{name}")).await.json();
            assert_eq!(calls["count"], 2, "{name}");
        }
    }
}
