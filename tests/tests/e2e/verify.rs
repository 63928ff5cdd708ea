//! `dan verify`: what it says in words, what it refuses, and how it makes a view again.

use std::fs;

use dan_tests::client::Call;
use dan_tests::consumer::{COMPANY, DAN_TEST, OTHER_COMPANY, OWNER, PERSON};
use dan_tests::shapes::text;
use http::Method;
use serde_json::Value;

use crate::archive::{Archive, keep};
use crate::place::{copy_folder, shipped_catalogue};

/// The first line: what was handed out.
fn sentence(said: &str) -> &str {
    said.lines().next().unwrap_or_default()
}

#[tokio::test]
async fn each_form_of_an_answer_is_told_in_words() {
    let archive = Archive::new().await;
    archive.keep("plain", "").await;
    archive
        .keep_as("jose", "application/jose", "&envelope=false")
        .await;
    archive
        .keep_as("cose", "application/cose", "&envelope=false")
        .await;
    for form in [
        "--body @plain.body --signature @plain.sig",
        "--jose @jose.body --out @jose.out",
        "--cose @cose.body --out @cose.out",
    ] {
        let said = archive.verify(form).await.exits(0).stdout;
        let told = sentence(&said);
        let start = format!(
            "Enhetsregisteret's UnitBasicInformation about {COMPANY}, for {OWNER}, retrieved 2"
        );
        assert!(
            told.starts_with(&start) && told.ends_with("Z, unchanged"),
            "{told}"
        );
        let said = archive
            .verify(&format!("{form} --lang nb"))
            .await
            .exits(0)
            .stdout;
        let told = sentence(&said);
        let start =
            format!("Enhetsregisterets UnitBasicInformation om {COMPANY}, for {OWNER}, hentet 2");
        assert!(
            told.starts_with(&start) && told.ends_with("Z, uendret"),
            "{told}"
        );
        let json = archive
            .verify(&format!("{form} --json"))
            .await
            .exits(0)
            .json();
        assert_eq!(json["verified"], true);
        assert!(text(&json, "sentence").starts_with("Enhetsregisteret's"));
        assert_eq!(json["claims"]["dataset"], "UnitBasicInformation");
    }
    let out = fs::read_to_string(archive.path("jose.out")).unwrap();
    let values: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        values["OrganizationNumber"],
        COMPANY.parse::<u64>().unwrap()
    );
    // COSE keeps the value, and not in which order its members stood.
    let out = fs::read_to_string(archive.path("cose.out")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), values);
}

#[tokio::test]
async fn what_was_required_and_is_not_so_is_a_no() {
    let archive = Archive::new().await;
    archive.keep("plain", "").await;
    archive.keep("other", "").await;
    let plain = "--body @plain.body --signature @plain.sig";
    let required = format!(
        "--subject {COMPANY} --expect-audience {OWNER} --expect-requestor 0192:{OWNER} --expect-dataset \
         UnitBasicInformation --expect-context eBevis --expect-issuer {} --retrieved-since 2020-01-01T00:00:00Z \
         --at 2100-01-01T00:00:00Z",
        archive.sandbox.node.api
    );
    archive
        .verify(&format!("{plain} {required}"))
        .await
        .exits(0);
    for (wrong, claim) in [
        (format!("--subject {OTHER_COMPANY}"), "`sub`"),
        (format!("--subject {PERSON}"), "`sub`"),
        (format!("--expect-audience {COMPANY}"), "`aud`"),
        (format!("--expect-requestor {COMPANY}"), "`requestor`"),
        ("--expect-dataset Roller".to_owned(), "`dataset`"),
        ("--expect-context Tilda".to_owned(), "`context`"),
        ("--expect-accreditation a".to_owned(), "`accreditation`"),
        ("--expect-issuer https://dan.example.no".to_owned(), "`iss`"),
        ("--expect-release r".to_owned(), "`jti`"),
        (
            "--retrieved-since 2100-01-01T00:00:00Z".to_owned(),
            "`retrieved_at`",
        ),
        (
            "--retrieved-until 2020-01-01T00:00:00Z".to_owned(),
            "`retrieved_at`",
        ),
        ("--at 2020-01-01T00:00:00Z".to_owned(), "later than"),
    ] {
        let said = archive
            .verify(&format!("{plain} {wrong}"))
            .await
            .exits(1)
            .stdout;
        let first = sentence(&said);
        assert!(
            first.starts_with("DOES NOT HOLD: ") && first.contains(claim),
            "{first}"
        );
        assert!(!said.contains(PERSON), "{said}");
        let json = archive
            .verify(&format!("{plain} {wrong} --json"))
            .await
            .exits(1)
            .json();
        assert_eq!(json["verified"], false);
        assert!(text(&json, "reason").contains(claim), "{json}");
    }
    // Genuine, each of them, and not of each other.
    let crossed = "--body @plain.body --signature @other.sig";
    let said = archive.verify(crossed).await.exits(1).stdout;
    assert!(
        said.starts_with("NOT VERIFIED: the body is not the one"),
        "{said}"
    );
    for misuse in [
        "",
        "--body @plain.body",
        "--body @plain.body --signature @nothing",
        "--jose @plain.sig --body @plain.body --signature @plain.sig",
        &format!("{plain} --lang se"),
        &format!("{plain} --at yesterday"),
        &format!("{plain} --out @out"),
        &format!("{plain} --query x"),
    ] {
        archive.verify(misuse).await.exits(2);
    }
    // What is no statement about an answer proves nothing of one: the signature of an envelope is none of its own.
    archive.verify("--jose @plain.sig").await.exits(1);
}

#[tokio::test]
async fn a_person_is_named_only_to_who_has_the_number() {
    let archive = Archive::new().await;
    archive.keep_person("person").await;
    let form = "--body @person.body --signature @person.sig";
    let said = archive.verify(form).await.exits(0).stdout;
    assert!(sentence(&said).contains(" about a person "), "{said}");
    assert!(!said.contains(PERSON));
    let asked = |number: &str| {
        let arguments = form.replace('@', &archive.file(""));
        let keys = archive.file("keys.json");
        format!("echo {number} | dan verify --jwks {keys} {arguments} --subject -")
    };
    let said = archive.scratch.shell(&asked(PERSON)).await.exits(0).stdout;
    assert!(
        sentence(&said).contains(&format!(" about {PERSON}, ")),
        "{said}"
    );
    let other = archive.scratch.shell(&asked("07056120454")).await.exits(1);
    assert!(!other.stdout.contains("07056120454"), "{}", other.stdout);
    archive.scratch.shell(&asked("")).await.exits(2);
}

#[tokio::test]
async fn a_view_is_made_again_from_what_the_source_answered() {
    let archive = Archive::new().await;
    archive.keep_origin("origin").await;
    archive.keep("plain", "").await;
    archive.keep("bare", "&envelope=false").await;
    archive
        .keep("asked", "&envelope=false&query=OrganizationName")
        .await;
    archive.keep_as("jose", "application/jose", "").await;
    archive
        .keep_as("cose", "application/cose", "&envelope=false")
        .await;
    for (form, how) in [
        ("--view @plain.body --signature @plain.sig", "one by one"),
        ("--view @bare.body --signature @bare.sig", "byte for byte"),
        (
            "--view @asked.body --signature @asked.sig --query OrganizationName",
            "byte for byte",
        ),
        ("--jose @jose.body", "one by one"),
        ("--cose @cose.body", "the same value"),
    ] {
        let said = archive
            .verify(&format!("{form} --origin @origin"))
            .await
            .exits(0)
            .stdout;
        assert!(
            said.contains("view: made again from the origin") && said.contains(how),
            "{said}"
        );
    }
}

#[tokio::test]
async fn bytes_that_were_passed_on_are_held_to_what_the_source_answered() {
    let archive = Archive::new().await;
    let client = archive.client(DAN_TEST).await;
    let answer = client
        .get(&format!("directharvest/DanTestFil?subject={COMPANY}&kib=4"))
        .await;
    keep(&archive.scratch, "file", answer);
    let outside = &archive.sandbox.outside;
    let url = format!("{outside}/testdata/fil/{COMPANY}?kib=4");
    let origin = Call::new(Method::GET, url).send().await.ok();
    archive.scratch.write("origin", &origin.body);
    let view = "--view @file.body --signature @file.sig --origin @origin";
    let said = archive.verify(view).await.exits(0).stdout;
    assert!(said.contains("byte for byte"), "{said}");
    archive
        .scratch
        .write("origin", [&origin.body[..], b"x"].concat());
    let said = archive.verify(view).await.exits(1).stdout;
    assert!(said.starts_with("DOES NOT HOLD: origin: "), "{said}");
}

#[tokio::test]
async fn a_view_that_cannot_be_made_again_is_a_no_that_names_the_step() {
    let archive = Archive::new().await;
    let origin = archive.keep_origin("origin").await;
    archive.keep("bare", "&envelope=false").await;
    archive
        .keep("asked", "&envelope=false&query=OrganizationName")
        .await;
    archive
        .scratch
        .write("altered", [&origin.body[..], b" "].concat());
    // The same name, another meaning.
    let folder = archive.path("catalog");
    copy_folder(&shipped_catalogue(), &folder);
    let file = folder.join("datasets/UnitBasicInformation.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("from = \"unit.navn\"", "from = \"unit.hjemmeside\""),
    )
    .unwrap();
    let bare = "--view @bare.body --signature @bare.sig";
    let asked = "--view @asked.body --signature @asked.sig --origin @origin";
    for (arguments, step) in [
        (
            format!("{bare} --origin @altered"),
            "origin: no file is the answer",
        ),
        (
            format!("{bare} --origin @origin --origin @origin"),
            "origin: the statement rests on 1",
        ),
        (
            format!("{bare} --origin @origin --catalog @catalog"),
            "mapping: ",
        ),
        (
            format!("{bare} --origin @origin --query x"),
            "mapping: no query was applied",
        ),
        (asked.to_owned(), "mapping: "),
        (format!("{asked} --query Email"), "mapping: "),
    ] {
        let said = archive.verify(&arguments).await.exits(1).stdout;
        assert!(
            sentence(&said).starts_with(&format!("DOES NOT HOLD: {step}")),
            "{said}"
        );
        assert!(!said.contains("made again from the origin"), "{said}");
    }
    for misuse in [
        "--query [[ --origin @origin",
        "--origin @nothing",
        "--origin @origin --parameter x",
    ] {
        archive.verify(&format!("{bare} {misuse}")).await.exits(2);
    }
}
