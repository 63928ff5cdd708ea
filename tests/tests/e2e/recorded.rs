//! Recorded answers of the entity register come out as the right values, signed. The recordings lie
//! outside the project (`recorded/enhetsregisteret/` of the folder `DAN_SHARED` names, `shared` beside
//! the workspace by default); without them the tests say so and hold nothing.
//!
//! The expected values are written down from the recordings by hand. The recorded numbers have no valid
//! check digit, so the documents are served under numbers that have one.

use std::fs;
use std::path::PathBuf;

use dan_tests::client::Answer;
use dan_tests::consumer::{DAN_TEST, NOBODY, OWNER};
use dan_tests::node::{Node, proven_by};
use dan_tests::shapes::items;
use serde_json::{Value, json};

use crate::place::{PUBLIC_URL, Place, shown};
use crate::stub::{Address, Stub};

/// Where the stub has the register.
const REGISTER: &str = "/enhetsregisteret/api";
/// The numbers the recorded documents are served under.
const LIVING: &str = "992037601";
const DELETED: &str = "998997801";
/// Deleted in the other way: 410 with the document.
const GONE: &str = "974760673";
/// With a role that is not in the default list beside those of the recording.
const MANY_ROLES: &str = "958935420";

fn recording(name: &str) -> Option<Value> {
    let shared = std::env::var_os("DAN_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
        PathBuf::from,
    );
    let path = shared.join(format!(
        "recorded/enhetsregisteret/enheter-{name}-response.json"
    ));
    let Ok(text) = fs::read_to_string(path) else {
        eprintln!("SKIPPED: the recorded answers of the register are not here (DAN_SHARED)");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// The recording with another text in place of one, wherever it stands.
fn replaced(recording: &Value, recorded: &str, ours: &str) -> Value {
    serde_json::from_str(&recording.to_string().replace(recorded, ours)).unwrap()
}

/// A register that knows what was recorded.
fn register() -> Option<(String, Stub)> {
    let address = Address::reserve();
    let base = format!("{}{REGISTER}", address.base());
    let living = replaced(&recording("details")?, "112233445", LIVING);
    let deleted = recording("details-deleted")?;
    let gone = replaced(&deleted, "123456789", GONE);
    let deleted = replaced(&deleted, "123456789", DELETED);
    let roles = recording("roller-enhet")?;
    let many_roles = with_a_trustee(&roles);
    let pages = ["search-page1", "search-page2"].map(|name| page(&recording(name)?, &base));
    let [Some(first), Some(second)] = pages else {
        return None;
    };
    let below = format!("/underenheter?overordnetEnhet={LIVING}&");
    let stub = address.serve(move |target| {
        let path = target.strip_prefix(REGISTER).unwrap_or_default();
        let of = |number: &str, rest: &str| path == format!("/enheter/{number}{rest}");
        if of(LIVING, "") {
            (200, living.clone())
        } else if of(DELETED, "") {
            (200, deleted.clone())
        } else if of(GONE, "") {
            (410, gone.clone())
        } else if of(LIVING, "/roller") {
            (200, roles.clone())
        } else if of(MANY_ROLES, "/roller") {
            (200, many_roles.clone())
        } else if path.starts_with(&below) && path.contains("page=1") {
            (200, second.clone())
        } else if path.starts_with(&below) {
            (200, first.clone())
        } else {
            (404, json!({"status": 404, "feilmelding": "finnes ikke"}))
        }
    });
    Some((base, stub))
}

/// The recorded roles, and the second of them again with a code that is not usually listed.
fn with_a_trustee(roles: &Value) -> Value {
    let mut roles = roles.clone();
    let list = roles["rollegrupper"][0]["roller"].as_array_mut().unwrap();
    let mut another = list[1].clone();
    another["type"]["kode"] = json!("BOBE");
    list.push(another);
    roles
}

/// A recorded page of a search by name, as a page of the units below one.
fn page(recording: &Value, base: &str) -> Option<Value> {
    let mut page = replaced(
        recording,
        "https://data.brreg.no/enhetsregisteret/api",
        base,
    );
    let asked = format!("underenheter?overordnetEnhet={LIVING}&");
    page = replaced(&page, "enheter?navn=Sesam&", &asked);
    let units = page["_embedded"].as_object_mut()?.remove("enheter")?;
    page["_embedded"]["underenheter"] = units;
    Some(page)
}

/// A node of production whose register plays the recording.
async fn node() -> Option<(Place, Node, Stub)> {
    let (base, stub) = register()?;
    let mut place = Place::new().await;
    place.register_at(&base);
    let node = place.node().await;
    Some((place, node, stub))
}

async fn open_data(node: &Node, path: &str) -> Answer {
    let answer = node.anonymous().get(&format!("opendata/{path}")).await;
    answer.ok()
}

#[tokio::test]
async fn basic_information_is_what_the_register_said_and_nothing_empty() {
    let Some((place, node, _register)) = node().await else {
        return;
    };
    let answer = open_data(&node, &format!("UnitBasicInformation/{LIVING}")).await;
    assert_eq!(
        answer.json(),
        json!({
            "OrganizationNumber": 992_037_601,
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
    let claims = proven_by(&answer, &node.keys().await);
    assert_eq!(claims["iss"], PUBLIC_URL);
    assert_eq!(claims["dataset"], "UnitBasicInformation");
    assert_eq!(claims["source"], "Enhetsregisteret");
    assert_eq!(claims["sub"], format!("0192:{LIVING}"));
    people_verify(&place, &node, &answer).await;
}

/// What anybody does with body, header and key set in files, offline; and that nothing else verifies.
async fn people_verify(place: &Place, node: &Node, answer: &Answer) {
    let scratch = &place.scratch;
    let body = scratch.write("body.json", &answer.body);
    let signature = answer.header("x-signature-jwt").unwrap();
    let signature = scratch.write("signature.txt", format!("{signature}\r\n"));
    let keys = scratch.write("jwks.json", node.keys().await.to_string());
    let files = [
        "--body",
        shown(&body),
        "--signature",
        shown(&signature),
        "--json",
    ];
    let verify = async |jwks: &str| {
        let arguments = [&["verify", "--jwks", jwks], &files[..]].concat();
        scratch.dan(&arguments).await
    };
    let published = format!("{}/.well-known/jwks.json", node.root);
    for jwks in [shown(&keys), &published] {
        let said = verify(jwks).await.exits(0).json();
        assert_eq!(said["verified"], true, "{said}");
        assert_eq!(said["claims"]["dataset"], "UnitBasicInformation");
    }
    let mut changed = answer.body.to_vec();
    let at = changed.iter().position(|byte| *byte == b'5').unwrap();
    changed[at] = b'6';
    scratch.write("body.json", &changed);
    let said = verify(shown(&keys)).await.exits(1).json();
    assert_eq!(said["verified"], false, "{said}");
    scratch.write("body.json", &answer.body);
    let other = place.sandbox.node.keys().await;
    let other = scratch.write("other.json", other.to_string());
    verify(shown(&other)).await.exits(1);
    verify(shown(&scratch.path("absent.json"))).await.exits(2);
}

#[tokio::test]
async fn roles_are_those_of_the_recording_by_the_usual_codes() {
    let Some((place, node, _register)) = node().await else {
        return;
    };
    let role = |name: &str, number: &str| {
        json!({
            "Kode": "DTPR",
            "Beskrivelse": "Deltaker med delt ansvar",
            "Navn": name,
            "Organisasjonsnummer": number,
        })
    };
    let both = json!({"Roller": [
        role("Rolfsens Deltakerorganisasjon AS", "810006242"),
        role("Sult AS", "810004282"),
    ]});
    let keys = node.keys().await;
    for number in [LIVING, MANY_ROLES] {
        let answer = open_data(&node, &format!("Roller/{number}")).await;
        assert_eq!(answer.json(), both, "{number}");
        let claims = proven_by(&answer, &keys);
        assert_eq!(claims["dataset"], "Roller");
        assert_eq!(claims["sub"], format!("0192:{number}"));
    }
    let client = place.client(&node, DAN_TEST, OWNER).await;
    for (filter, count) in [("BOBE", 1), ("DAGL", 0), ("DTPR,%20BOBE", 3), ("*", 3)] {
        // The register is asked about the subject, which it must know: so the roles of the living.
        let path = format!("directharvest/Roller?subject={LIVING}&RolleFilter={filter}");
        let answer = client.get(&format!("{path}&envelope=false")).await;
        proven_by(&answer, &keys);
        let listed = items(&answer.json()["Roller"]).len();
        let count = if filter.contains("BOBE") || filter == "*" {
            count - 1
        } else {
            count
        };
        assert_eq!(listed, count, "{filter}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_told_as_the_catalogue_declares() {
    let Some((place, node, _register)) = node().await else {
        return;
    };
    // The register answers 200 with what is left of a deleted unit.
    let answer = open_data(&node, &format!("UnitBasicInformation/{DELETED}")).await;
    let left = json!({
        "OrganizationNumber": 998_997_801,
        "OrganizationName": "SLETTET ENHET AS",
        "OrganizationForm": "UTBG",
    });
    assert_eq!(answer.json(), left);
    proven_by(&answer, &node.keys().await);
    // `"410" = "caller:1"`, and the same for 404 in both halves of the register.
    for number in [GONE, NOBODY] {
        let nobody = node.anonymous();
        let answer = nobody
            .get(&format!("opendata/UnitBasicInformation/{number}"))
            .await;
        answer.refused(400, 3002);
        assert_eq!(answer.header("x-signature-jwt"), None);
    }
    // About a deleted unit nothing is granted, however the register says that it is.
    let client = place.client(&node, DAN_TEST, OWNER).await;
    for number in [DELETED, GONE] {
        let path = format!("directharvest/UnitBasicInformation?subject={number}");
        client.get(&path).await.refused(404, 1005);
    }
    let path = format!("directharvest/UnitBasicInformation?subject={NOBODY}");
    client.get(&path).await.refused(400, 1004);
}

#[tokio::test]
async fn units_below_are_gathered_from_every_page() {
    let Some((_place, node, register)) = node().await else {
        return;
    };
    let nobody = node.anonymous();
    let below = nobody.get(&format!("ccr/{LIVING}/subunits")).await;
    let below = below.ok().json();
    let units: Vec<_> = items(&below)
        .iter()
        .map(|unit| (&unit["organisasjonsnummer"], &unit["navn"]))
        .collect();
    assert_eq!(
        units,
        [
            (&json!("976030788"), &json!("SESAM AS")),
            (&json!("971497017"), &json!("SESAM FAMILIEBARNEHAGE")),
            (&json!("988879134"), &json!("SESAM FILMKLUBB")),
        ]
    );
    assert_eq!(below[0]["antallAnsatte"], 10);
    assert_eq!(below[0]["sisteInnsendteAarsregnskap"], "2022");
    // The last page names itself as the next one, and is not asked for again.
    assert_eq!(register.calls().len(), 2, "{:?}", register.calls());
    let unknown = nobody.get(&format!("ccr/{NOBODY}/subunits")).await;
    assert_eq!(unknown.ok().json(), json!([]));
    let unit = nobody.get(&format!("ccr/{LIVING}")).await.ok().json();
    assert_eq!(unit["navn"], "SESAM STASJON");
    let public = nobody.get(&format!("ccr/{LIVING}/ispublic")).await;
    assert_eq!(public.ok().json(), json!(false));
}
