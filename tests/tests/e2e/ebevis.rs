//! What the datasets of eBevis give from a running sandbox: those that are made of others, and what they are made of.

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, EBEVIS, OTHER_COMPANY, OWNER};
use dan_tests::node::{Client, Sandbox, Scratch};
use dan_tests::shapes::{items, names, text};
use serde_json::{Value, json};

const STAFF: &str =
    "CRITERION.SELECTION.TECHNICAL_PROFESSIONAL_ABILITY.MANAGEMENT.MANAGERIAL_STAFF";
const MANPOWER: &str =
    "CRITERION.SELECTION.TECHNICAL_PROFESSIONAL_ABILITY.MANAGEMENT.AVERAGE_ANNUAL_MANPOWER";
const BANKRUPTCY: &str = "CRITERION.EXCLUSION.BUSINESS.BANKRUPTCY";
const INSOLVENCY: &str = "CRITERION.EXCLUSION.BUSINESS.INSOLVENCY";
const ENROLMENT: &str = "CRITERION.SELECTION.SUITABILITY.TRADE_REGISTER_ENROLMENT";
const SET_UP: &str = "CRITERION.SELECTION.ECONOMIC_FINANCIAL_STANDING.TURNOVER.SET_UP";
const YEARLY: &str = "CRITERION.SELECTION.ECONOMIC_FINANCIAL_STANDING.TURNOVER.GENERAL_YEARLY";
const CARE: &str = "BilpleieregisteretEbevis";
/// Main unit, its sub units, a bankrupt company and a sole proprietor of the sandbox.
const MAIN: &str = "902201076";
const SUB: &str = "903301287";
const BANKRUPT: &str = "904401005";
const SOLE: &str = "905501003";

async fn consumer(sandbox: &Sandbox, owner: &str) -> Client {
    let token = sandbox.token(EBEVIS.scope, owner).await;
    sandbox.node.client(sandbox.key(EBEVIS.id), &token)
}

async fn ask(client: &Client, dataset: &str, query: &str) -> Answer {
    let path = format!("directharvest/{dataset}?subject={query}");
    client.get(&path).await
}

/// Values by name; none of these names repeats.
async fn values(client: &Client, dataset: &str, query: &str) -> Value {
    let body = ask(client, dataset, query).await.ok().json();
    let values = items(&body["evidenceValues"]).iter();
    let pairs = values.map(|one| {
        (
            text(one, "evidenceValueName").to_owned(),
            one["value"].clone(),
        )
    });
    Value::Object(pairs.collect())
}

fn certificate(number: &str) -> String {
    format!("https://produkter.sandbox.example/firmaattest/{number}.pdf?v=1&spraak=nb")
}

fn golden() -> Vec<(&'static str, String, Value)> {
    let of = |number: &str| number.to_owned();
    let staff =
        json!({"NumberOfEmployees": 27, "CertificateOfRegistrationPdfUrl": certificate(COMPANY)});
    let year = |year: u32| format!("https://regnskap.sandbox.example/{COMPANY}/{year}.pdf");
    let types = "Bilverksted 01 - Alle kjøretøy, Kontrollorgan 04";
    vec![
        (BANKRUPTCY, of(BANKRUPT), json!({"IsUnderBankruptcy": true})),
        (
            INSOLVENCY,
            of(COMPANY),
            json!({"IsBeingDissolved": false, "IsBeingForciblyDissolved": false}),
        ),
        (
            SET_UP,
            of(COMPANY),
            json!({"CreatedInCentralRegisterForLegalEntities": "2008-01-24", "Established": "2007-12-18"}),
        ),
        (
            ENROLMENT,
            of(COMPANY),
            json!({"IsInRegisterOfBusinessEnterprises": true}),
        ),
        (
            YEARLY,
            format!("{COMPANY}&NumberOfYears=2"),
            json!({"Year1": "2025", "Year1PdfUrl": year(2025), "Year2": "2024", "Year2PdfUrl": year(2024)}),
        ),
        (MANPOWER, of(COMPANY), staff.clone()),
        (STAFF, of(COMPANY), staff),
        (
            "CertificateOfRegistration",
            of(OTHER_COMPANY),
            json!({"CertificateOfRegistrationPdfUrl": certificate(OTHER_COMPANY)}),
        ),
        (
            "Bilpleieregisteret",
            of(SUB),
            json!({"organisasjonsnummer": SUB, "registerstatus": "3",
                "registerstatusTekst": "Under behandling", "godkjenningsstatus": "ikke godkjent"}),
        ),
        (
            "Bemanningsforetakregisteret",
            of(SUB),
            json!({"organisasjonsnummer": MAIN, "godkjenningsstatus": "Godkjent"}),
        ),
        (
            "Renholdsregisteret",
            of(COMPANY),
            json!({"organisasjonsnummer": COMPANY, "status": "Godkjent med ansatte"}),
        ),
        (
            "Verkstedregisteret",
            of(COMPANY),
            json!({"organisasjonsnummer": COMPANY, "godkjenningstyper": types, "godkjenningsnumre": "V-1001, K-2002"}),
        ),
        (
            CARE,
            of(COMPANY),
            json!({"organisasjonsnummer": COMPANY, "godkjenningsstatusArbeidstilsynet": "godkjent",
                "registerstatusArbeidstilsynet": "Registrert", "godkjenningsstatusStatensVegvesen": types,
                "godkjenningsnumreStatensVegvesen": "V-1001, K-2002", "godkjentEbevis": true}),
        ),
        (
            CARE,
            of(SUB),
            json!({"organisasjonsnummer": MAIN, "godkjenningsstatusArbeidstilsynet": "godkjent",
                "registerstatusArbeidstilsynet": "Registrert", "godkjentEbevis": true}),
        ),
        (CARE, of(OTHER_COMPANY), json!({"godkjentEbevis": false})),
    ]
}

#[tokio::test]
async fn datasets_give_their_golden_values_and_no_name_that_is_not_promised() {
    let scratch = Scratch::new();
    let sandbox = Sandbox::start(&scratch, &[]).await;
    let client = consumer(&sandbox, OWNER).await;
    let nobody = sandbox.node.anonymous();
    let all = nobody.get("public/metadata/evidencecodes/eBevis").await;
    let all = all.ok().json();
    for (dataset, query, expected) in golden() {
        let found = values(&client, dataset, &query).await;
        assert_eq!(found, expected, "{dataset} {query}");
        let mut metadata = items(&all).iter();
        let metadata = metadata.find(|one| one["evidenceCodeName"] == dataset);
        let metadata = metadata.unwrap_or_else(|| panic!("{dataset} is not in the metadata"));
        let promised = names(&metadata["values"], "evidenceValueName");
        let given = expected.as_object().unwrap().keys();
        for name in given {
            assert!(promised.contains(name.as_str()), "{dataset} {name}");
        }
        let old = metadata["deprecationWarning"].is_string() || dataset != STAFF;
        assert!(old, "{metadata}");
    }
    // Private enterprises ask for none of them.
    let private = consumer(&sandbox, OTHER_COMPANY).await;
    for (dataset, query, _) in golden() {
        ask(&private, dataset, &query).await.refused(403, 1019);
    }
}

#[tokio::test]
async fn what_sources_fail_at_has_the_meaning_that_is_written() {
    let scratch = Scratch::new();
    let sandbox = Sandbox::start(&scratch, &[]).await;
    let client = consumer(&sandbox, OWNER).await;
    for (dataset, subject, detail) in [
        (STAFF, SOLE, "PRODUKTER-5"),
        ("CertificateOfRegistration", SOLE, "PRODUKTER-5"),
        ("Bilpleieregisteret", OTHER_COMPANY, "ARBEIDSTILSYNET-1001"),
        ("Verkstedregisteret", OTHER_COMPANY, "VEGVESEN-2"),
    ] {
        let answer = ask(&client, dataset, subject).await;
        answer.refused(400, 3002);
        assert_eq!(answer.json()["detailCode"], detail, "{dataset}");
    }
    let fault = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault/></e:Body></e:Envelope>";
    for (source, fault, dataset, refusal, detail) in [
        (
            "produkter",
            json!({"status": 503}),
            STAFF,
            (503, 3001),
            "PRODUKTER-10",
        ),
        (
            "produkter",
            json!({"status": 404}),
            STAFF,
            (400, 3002),
            "PRODUKTER-9",
        ),
        // Text of no media type is no XML, whatever it says.
        (
            "produkter",
            json!({"body": fault}),
            STAFF,
            (502, 3003),
            "PRODUKTER-3",
        ),
        (
            "arbeidstilsynet",
            json!({"status": 403}),
            "Bilpleieregisteret",
            (503, 3001),
            "ARBEIDSTILSYNET-1002",
        ),
        (
            "arbeidstilsynet",
            json!({"body": "<html>"}),
            "Renholdsregisteret",
            (503, 3001),
            "ARBEIDSTILSYNET-1003",
        ),
        (
            "vegvesen",
            json!({"status": 500}),
            "Verkstedregisteret",
            (400, 3002),
            "VEGVESEN-3",
        ),
        (
            "vegvesen",
            json!({"drop": true}),
            "Verkstedregisteret",
            (502, 3003),
            "VEGVESEN-4",
        ),
    ] {
        sandbox.break_it(source, &fault).await;
        let answer = ask(&client, dataset, COMPANY).await;
        answer.refused(refusal.0, refusal.1);
        assert_eq!(answer.json()["detailCode"], detail, "{dataset} {fault}");
        sandbox.mend(source).await;
    }
}

#[tokio::test]
async fn a_register_that_is_down_is_neither_a_yes_nor_a_no() {
    let scratch = Scratch::new();
    let sandbox = Sandbox::start(&scratch, &[]).await;
    let client = consumer(&sandbox, OWNER).await;
    for source in ["arbeidstilsynet", "vegvesen"] {
        sandbox.break_it(source, &json!({"status": 403})).await;
        let approved = values(&client, CARE, COMPANY).await;
        assert_eq!(approved["godkjentEbevis"], true, "{source}");
        let body = ask(&client, CARE, OTHER_COMPANY).await.ok().json();
        assert_eq!(body["evidenceValues"], json!([]), "{source}");
        sandbox.mend(source).await;
    }
    let unlisted = values(&client, CARE, OTHER_COMPANY).await;
    assert_eq!(unlisted, json!({"godkjentEbevis": false}));
}
