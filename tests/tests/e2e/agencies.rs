//! The datasets of Tilda from a running sandbox: every authority at once, and nothing that nobody may have.

use std::collections::BTreeSet;

use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{AGENCY, COMPANY, OWNER, PERSON, TILDA};
use dan_tests::node::{Client, Sandbox, Scratch, proven_by};
use dan_tests::shapes::{items, text};
use http::Method;
use serde_json::{Value, json};

const REPORTS: &str = "TildaTilsynsrapportv1";
const COORDINATION: &str = "TildaTilsynskoordineringv1";
const TREND: &str = "TildaTrendrapportv1";
/// A sole proprietor, and an object of the petroleum register.
const SOLE: &str = "905501003";
const NPDID: &str = "4711";
/// What authorities say that is about the person behind a sole proprietor.
const ABOUT_PERSONS: [&str; 4] = [
    "KANARI-ANMERKNING",
    "KANARI-EGENSKAP",
    "KANARI-MELDING",
    "4242424",
];
/// What is for nobody.
const FOR_NOBODY: [&str; 2] = ["KANARI-NOTAT", "KANARI-UDEKLARERT"];

struct Tilda {
    sandbox: Sandbox,
    client: Client,
    _scratch: Scratch,
}

impl Tilda {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let sandbox = Sandbox::start(&scratch, &[]).await;
        let token = sandbox.token(TILDA.scope, OWNER).await;
        let client = sandbox.node.client(sandbox.key(TILDA.id), &token);
        Self {
            sandbox,
            client,
            _scratch: scratch,
        }
    }

    async fn ask(&self, dataset: &str, query: &str) -> Answer {
        let path = format!("directharvest/{dataset}?subject={query}");
        self.client.get(&path).await
    }

    /// Name, source and document of each value; how long it took is taken out.
    async fn values(&self, dataset: &str, query: &str) -> Vec<(String, String, Value)> {
        let answer = self.ask(dataset, query).await.ok();
        proven_by(&answer, &self.sandbox.node.keys().await);
        let body = answer.json();
        let values = items(&body["evidenceValues"]).iter().map(|one| {
            let document = match &one["value"] {
                Value::String(text) => serde_json::from_str(text).expect("JSON text"),
                inline => inline.clone(),
            };
            let (name, source) = (text(one, "evidenceValueName"), text(one, "source"));
            (name.to_owned(), source.to_owned(), timeless(document))
        });
        values.collect()
    }

    async fn asked(&self, source: &str) -> Vec<String> {
        let url = format!("{}/control/calls/{source}", self.sandbox.outside);
        let calls = Call::new(Method::GET, url).send().await.ok().json();
        let paths = items(&calls["calls"]).iter();
        paths.map(|call| text(call, "path").to_owned()).collect()
    }

    /// Whether an answer, or the log, holds any of these.
    fn holds(&self, answer: &Answer, canaries: &[&str]) -> bool {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let everywhere = format!("{body}{}", self.sandbox.node.log());
        canaries.iter().any(|canary| everywhere.contains(canary))
    }
}

fn timeless(mut document: Value) -> Value {
    if let Some(text) = document["statustekst"].as_str() {
        let (text, ms) = text.split_once("ElapsedMs: ").expect("how long it took");
        assert!(ms.parse::<u64>().is_ok(), "{ms}");
        document["statustekst"] = Value::from(text.trim());
    }
    document
}

fn report(agency: &str, subject: &str) -> Value {
    json!({
        "tildaenhet": subject,
        "tilsynutfoertav": agency,
        "ansvarligTilsynsmyndighet": agency,
        "kontrolladresser": [{
            "lokalitetsreferanse": 1, "lokalitetsbeskrivelse": "Lager", "adressenavn": "Isbjørnveien",
            "adressenummer": "4", "postnummer": "5003", "poststedsnavn": "BERGEN", "kommunenummer": "4601",
        }],
        "utfoerteTilsynsaktiviteter": [{
            "tilsynsaktivitetreferanse": "1", "lokalitetsreferanse": 1,
            "startdatoForTilsynsaktivitet": "2025-10-14T08:00:00Z",
            "varighetForTilsynsaktivitet": 3, "aktivitetsutfoerelse": "stedlig",
        }],
        "kontaktpunkt": [{ "avdeling": format!("Tilsyn {agency}"), "epost": "tilsyn@tilda.example" }],
        "bruddOgReaksjoner": [{
            "bruddOgReaksjonsreferanse": 1, "tilsynsaktivitetreferanse": 1, "lovparagraf": "§ 4-1",
            "reaksjonsdato": "2025-10-14T08:00:00Z", "antallGangerVirkemiddelErTattIBruk": 1,
        }],
    })
}

fn value(source: &str, rows: Value) -> (String, String, Value) {
    let document = json!({
        "status": "ok", "statustekst": "OK.", "tilsynsmyndighet": source, "tilsynsrapporter": rows,
    });
    ("tilsynsrapporter".to_owned(), source.to_owned(), document)
}

#[tokio::test]
async fn reports_of_a_sole_proprietor_are_the_golden_ones() {
    let tilda = Tilda::new().await;
    let query = format!("{SOLE}&tilsynskilder=974761211;974762994,BRANN");
    let unit = json!({
        "tildaenhet": SOLE, "tildaenhetNavn": "SYNTETISK PERSON SNEKKER", "organisasjonsform": "ENK",
        "naeringskode": "43.320", "driftsstatus": "ok",
        "besoeksadresse": {
            "adressenavn": "Høvelbenken 7", "postnummer": "0150", "poststedsnavn": "OSLO",
            "kommunenummer": "0301",
        },
    });
    let unit = (
        "enhetsinformasjon".to_owned(),
        "Enhetsregisteret".to_owned(),
        unit,
    );
    let agencies = ["974761211", "BRANN", "974762994"];
    let reports = agencies.map(|agency| value(agency, json!([report(agency, SOLE)])));
    let expected = [&[unit][..], &reports].concat();
    assert_eq!(tilda.values(REPORTS, &query).await, expected);
}

#[tokio::test]
async fn every_authority_of_a_dataset_is_asked_in_its_own_way_with_a_token_of_ours() {
    let tilda = Tilda::new().await;
    for (dataset, count) in [(REPORTS, 18), (COORDINATION, 17), (TREND, 5)] {
        let values = tilda.values(dataset, COMPANY).await;
        let (first, others) = values.split_first().expect("values");
        assert_eq!(first.0, "enhetsinformasjon");
        let sources: BTreeSet<&str> = others.iter().map(|one| one.1.as_str()).collect();
        assert_eq!((others.len(), sources.len()), (count, count), "{dataset}");
        for (_, source, document) in others {
            assert_eq!(document["status"], "ok", "{dataset} {document}");
            assert_eq!(document["tilsynsmyndighet"], **source);
        }
    }
    let query = format!(
        "{COMPANY}&tilsynskilder=974761211,974762994,DLE&startdato=2025-01-01T00:00:00Z&sluttdato=2025-10-13T12:00:00%2B02:00"
    );
    let values = tilda.values(REPORTS, &query).await;
    assert!(
        values[1..]
            .iter()
            .all(|one| one.2["tilsynsrapporter"] == json!([]))
    );
    let moments = "?requestor=991825827&fromDate=2025-01-01T00%3A00%3A00.000Z&toDate=2025-10-13T10%3A00%3A00.000Z";
    for (source, path) in [
        (
            "tilda-arbeidstilsynet",
            format!("/tilda/arbeidstilsynet/tilsyn/{COMPANY}{moments}"),
        ),
        ("tilda-el", format!("/tilda/el/{COMPANY}{moments}")),
        (
            "tilda-agder",
            format!(
                "/tilda/agder/tilsyn/{COMPANY}/?requestor=991825827&fromDate=2025-01-01&toDate=2025-10-13"
            ),
        ),
    ] {
        assert_eq!(tilda.asked(source).await.last(), Some(&path));
    }
    assert_eq!(tilda.asked("tilda-mattilsynet").await, [""; 0]);
}

#[tokio::test]
async fn nothing_about_a_sole_proprietor_or_for_nobody_leaves() {
    let tilda = Tilda::new().await;
    for dataset in [REPORTS, COORDINATION, TREND] {
        let answer = tilda.ask(dataset, SOLE).await.ok();
        assert!(answer.excerpt().contains("ENK"), "{}", answer.excerpt());
        assert!(!tilda.holds(&answer, &ABOUT_PERSONS), "{dataset}");
        assert!(!tilda.holds(&answer, &FOR_NOBODY), "{dataset}");
    }
    // Of a company it does, so the texts that were looked for are those that are sent.
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for dataset in [REPORTS, COORDINATION, TREND] {
        let answer = tilda.ask(dataset, COMPANY).await.ok();
        assert!(!tilda.holds(&answer, &FOR_NOBODY), "{dataset}");
        let found = ABOUT_PERSONS
            .iter()
            .filter(|canary| tilda.holds(&answer, &[canary]));
        seen.extend(found);
    }
    assert_eq!(seen.len(), ABOUT_PERSONS.len());
}

#[tokio::test]
async fn a_silent_register_makes_everybody_a_sole_proprietor() {
    let tilda = Tilda::new().await;
    // As an authority it is believed for a while.
    tilda.ask(REPORTS, COMPANY).await.ok();
    tilda.sandbox.break_it("er", &json!({"status": 503})).await;
    for subject in [COMPANY, NPDID] {
        for dataset in [REPORTS, COORDINATION, TREND] {
            if (dataset, subject) == (TREND, NPDID) {
                continue;
            }
            let answer = tilda.ask(dataset, subject).await.ok();
            let body = answer.json();
            let values = items(&body["evidenceValues"]);
            assert!(values.len() >= 5, "{dataset}");
            let named = |one: &Value| one["evidenceValueName"] == "enhetsinformasjon";
            assert!(!values.iter().any(named), "{dataset}");
            assert!(!tilda.holds(&answer, &ABOUT_PERSONS), "{dataset} {subject}");
            assert!(!tilda.holds(&answer, &FOR_NOBODY), "{dataset} {subject}");
        }
    }
}

#[tokio::test]
async fn who_may_not_ask_and_what_cannot_be_asked_is_refused_before_any_agency_is() {
    let tilda = Tilda::new().await;
    for (query, refusal) in [
        (format!("{COMPANY}&inkluderUnderenheter=true"), (400, 3002)),
        (format!("{COMPANY}&requestor={AGENCY}"), (403, 1019)),
        ("123456789".to_owned(), (403, 1019)),
        ("47-11".to_owned(), (403, 1019)),
    ] {
        let answer = tilda.ask(REPORTS, &query).await;
        let code = answer.json()["code"].as_u64();
        assert_eq!(
            (answer.status.as_u16(), code),
            (refusal.0, Some(refusal.1)),
            "{query}: {}",
            answer.excerpt()
        );
    }
    let person = json!({"subject": PERSON});
    for dataset in [REPORTS, COORDINATION, TREND] {
        let path = format!("directharvest/{dataset}");
        let answer = tilda.client.post(&path, &person).await;
        answer.refused(400, 3002);
        assert!(!tilda.holds(&answer, &[PERSON]), "{dataset}");
    }
    let without = format!("{COMPANY}&inkluderUnderenheter=false&tilsynskilder=DLE");
    tilda.ask(REPORTS, &without).await.ok();
    let asked = tilda.asked("tilda-arbeidstilsynet").await;
    assert!(!asked.iter().any(|path| path.contains(PERSON)), "{asked:?}");
}
