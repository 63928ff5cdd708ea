//! Recorded answers of the entity register through the shipped definitions, by the whole way of an
//! open-data request. What must come out was worked out by hand.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use dan_core::catalog::Catalog;
    use dan_core::error::{Code, Fault};
    use dan_core::evidence::Evidence;
    use dan_core::flow::{Answer, Exchange, Presented, Presenter};
    use dan_core::meter::Meter;
    use dan_core::ports::{CallContext, Fetch, FetchError, FetchReply, FetchRequest, PortFuture};
    use dan_core::testkit::fakes::{Fakes, call_context};
    use dan_source::catalog_folder::{CatalogFiles, Environment, Loaded, load};
    use dan_source::declared::SourcePorts;
    use serde_json::{Value, json};

    const SUBJECT: &str = "998997801";

    /// A register that knows one document under one address.
    struct Register {
        path: &'static str,
        body: String,
        asked: Mutex<Vec<String>>,
    }

    impl Fetch for Register {
        fn fetch<'a>(
            &'a self,
            request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            let known = request.url == format!("https://er.example/api{}", self.path);
            self.asked.lock().unwrap().push(request.url);
            let (status, body) = if known {
                (200, self.body.clone())
            } else {
                (404, String::new())
            };
            Box::pin(std::future::ready(Ok(FetchReply {
                status,
                media_type: Some("application/json;charset=UTF-8".to_owned()),
                retry_after_s: None,
                body: Bytes::from(body),
            })))
        }
    }

    /// Hands out names and values as one object.
    struct Plain;

    impl Presenter for Plain {
        fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault> {
            let Evidence::Values(values) = answer.evidence else {
                return Err(Fault::new(Code::InternalServerError));
            };
            let members: serde_json::Map<String, Value> = values
                .iter()
                .map(|value| (value.name.clone(), value.value.clone()))
                .collect();
            Ok(Presented {
                body: Bytes::from(Value::Object(members).to_string()),
                media_type: Some("application/json".to_owned()),
                query: None,
            })
        }
    }

    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn recorded(name: &str) -> Option<Value> {
        let folder = std::env::var_os("DAN_SHARED").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
            PathBuf::from,
        );
        let path = folder
            .join("recorded/enhetsregisteret")
            .join(format!("{name}.json"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {} is not there (DAN_SHARED)", path.display());
            return None;
        };
        serde_json::from_str(&text).ok()
    }

    fn shipped() -> Loaded {
        let settings: BTreeMap<String, String> =
            ["er", "freg", "skatt", "skatt_person", "testdata"]
                .map(|name| (name.to_owned(), format!("https://{name}.example/api")))
                .into();
        let no_secrets = |_: &str| None;
        let environment = Environment::new(&settings, &no_secrets);
        load(&CatalogFiles::embedded(), &environment).expect("no mistake")
    }

    async fn open_data(
        dataset: &str,
        path: &'static str,
        body: &Value,
    ) -> (Result<Value, Fault>, Vec<String>) {
        let loaded = shipped();
        let register = Arc::new(Register {
            path,
            body: body.to_string(),
            asked: Mutex::default(),
        });
        let fakes = Fakes::new(|_| Catalog::default());
        let ports = SourcePorts::new(
            Arc::clone(&register) as _,
            Arc::clone(&fakes.clock) as _,
            None,
        );
        let contexts = loaded.service_contexts();
        let supplies = loaded.supplies(&ports);
        let (catalog, left_out) = Catalog::build(contexts, supplies, loaded.version);
        assert_eq!(left_out, [""; 0]);
        fakes.catalog.replace(catalog);
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        let answer = exchange
            .open_data(dataset, Some(SUBJECT), &Plain, &call_context())
            .await;
        let answer = answer.map(|released| {
            let envelope = released.whole().unwrap();
            serde_json::from_slice(&envelope.body).unwrap()
        });
        let asked = register.asked.lock().unwrap().clone();
        (answer, asked)
    }

    async fn basic(unit: &Value) -> Value {
        let path = "/enheter/998997801";
        let (answer, asked) = open_data("UnitBasicInformation", path, unit).await;
        assert_eq!(asked, ["https://er.example/api/enheter/998997801"]);
        answer.expect("an answer")
    }

    #[tokio::test]
    async fn a_unit_with_odd_empties_comes_out_right() {
        let Some(unit) = recorded("enheter-details-response") else {
            return;
        };
        assert_eq!(
            basic(&unit).await,
            json!({
                "OrganizationNumber": 112_233_445,
                "OrganizationName": "SESAM STASJON",
                "OrganizationForm": "AS",
                "IndustryCode1": "52.292",
                "IndustryCode1Description": "Skipsmegling",
                "BusinessAddressStreet": "Tyvholmen 1",
                "BusinessAddressZip": "0101",
                "BusinessAddressCity": "OSLO",
                "PostalAddressStreet": "c/o reder K. Rusing, Postboks 1752 Vika",
                "PostalAddressZip": "0122",
                "PostalAddressCity": "OSLO",
                "PostalAddressCountryCode": "Norge",
                "CreatedInCentralRegisterForLegalEntities": "2017-10-20",
                "Established": "2017-10-20",
                "IsInRegisterOfBusinessEnterprises": true,
                "IsInValueAddedTaxRegister": true,
                "NumberOfEmployees": 50,
                "IsBeingDissolved": false,
                "IsUnderBankruptcy": false,
                "IsBeingForciblyDissolved": false,
                "IsInRegistryOfNonProfitOrganizations": false,
            })
        );
    }

    #[tokio::test]
    async fn a_deleted_unit_has_little_left_to_tell() {
        let Some(unit) = recorded("enheter-details-deleted-response") else {
            return;
        };
        assert_eq!(
            basic(&unit).await,
            json!({
                "OrganizationNumber": 123_456_789,
                "OrganizationName": "SLETTET ENHET AS",
                "OrganizationForm": "UTBG",
            })
        );
    }

    #[tokio::test]
    async fn units_of_search_pages_come_out_right() {
        for (page, at, expected) in [
            (
                "enheter-search-page1-response",
                0,
                json!({
                    "OrganizationNumber": 976_030_788,
                    "OrganizationName": "SESAM AS",
                    "OrganizationForm": "AS",
                    "IndustryCode1": "56.101",
                    "IndustryCode1Description": "Drift av restauranter og kafeer",
                    "BusinessAddressStreet": "Elgeseter gate 1",
                    "BusinessAddressZip": "7030",
                    "BusinessAddressCity": "TRONDHEIM",
                    "CreatedInCentralRegisterForLegalEntities": "1996-01-25",
                    "Established": "1995-12-12",
                    "IsInRegisterOfBusinessEnterprises": true,
                    "IsInValueAddedTaxRegister": true,
                    "LatestFinacialStatement": 2022,
                    "NumberOfEmployees": 10,
                    "IsBeingDissolved": false,
                    "IsUnderBankruptcy": false,
                    "IsBeingForciblyDissolved": false,
                    "IsInRegistryOfNonProfitOrganizations": false,
                    "SectorCode": "2100",
                    "SectorCodeDescription": "Private aksjeselskaper mv.",
                }),
            ),
            (
                "enheter-search-page2-response",
                0,
                json!({
                    "OrganizationNumber": 988_879_134,
                    "OrganizationName": "SESAM FILMKLUBB",
                    "OrganizationForm": "FLI",
                    "IndustryCode1": "94.991",
                    "IndustryCode1Description":
                        "Aktiviteter i andre interesseorganisasjoner ikke nevnt annet sted",
                    "BusinessAddressStreet": "Frivilligsentralen, Violgata 14",
                    "BusinessAddressZip": "1776",
                    "BusinessAddressCity": "HALDEN",
                    "PostalAddressStreet": "FVS, Boks 40",
                    "PostalAddressZip": "1751",
                    "PostalAddressCity": "HALDEN",
                    "PostalAddressCountryCode": "Norge",
                    "CreatedInCentralRegisterForLegalEntities": "2005-11-12",
                    "Established": "2005-06-20",
                    "IsInRegisterOfBusinessEnterprises": false,
                    "IsInValueAddedTaxRegister": false,
                    "NumberOfEmployees": 0,
                    "IsBeingDissolved": false,
                    "IsUnderBankruptcy": false,
                    "IsBeingForciblyDissolved": false,
                    "IsInRegistryOfNonProfitOrganizations": false,
                    "HomePage": "www.sesam.filmklubb.blogspot.com",
                    "SectorCode": "7000",
                    "SectorCodeDescription": "Ideelle organisasjoner",
                }),
            ),
        ] {
            let Some(page) = recorded(page) else { return };
            assert_eq!(basic(&page["_embedded"]["enheter"][at]).await, expected);
        }
    }

    #[tokio::test]
    async fn roles_held_by_units_come_out_right() {
        let Some(roles) = recorded("enheter-roller-enhet-response") else {
            return;
        };
        let (answer, _) = open_data("roller", "/enheter/998997801/roller", &roles).await;
        let partner = |name: &str, number: &str| {
            json!({
                "Kode": "DTPR",
                "Beskrivelse": "Deltaker med delt ansvar",
                "Navn": name,
                "Organisasjonsnummer": number,
            })
        };
        assert_eq!(
            answer.expect("an answer"),
            json!({"default": {"Roller": [
                partner("Rolfsens Deltakerorganisasjon AS", "810006242"),
                partner("Sult AS", "810004282"),
            ]}})
        );
    }

    #[tokio::test]
    async fn a_unit_that_nobody_knows_is_the_callers_mistake() {
        let (answer, asked) = open_data("UnitBasicInformation", "/nowhere", &json!({})).await;
        assert_eq!(
            asked,
            [
                "https://er.example/api/enheter/998997801",
                "https://er.example/api/underenheter/998997801",
            ]
        );
        let fault = answer.expect_err("nobody knows it");
        assert_eq!(fault.code, Code::EvidenceSourcePermanentClient);
        assert_eq!(
            fault.detail.map(|detail| detail.code),
            Some("ER-1".to_owned())
        );
    }
}
