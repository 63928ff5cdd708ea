//! Every form an answer can have, and every claim of its statement, each held against what is known from elsewhere: the
//! catalogue's own files, the source's own answers, and who asked.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{COMPANY, DAN_TEST, OWNER, PERSON};
use dan_tests::node::{Client, Node, proven_by};
use dan_tests::proof::sha256_hex;
use dan_tests::shapes::text;
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::place::{PUBLIC_URL, Place, copy_folder, shipped_catalogue, shown};

/// How far the clocks of test and node may be apart, and how long an answer may be on its way, in seconds.
const APART_MAX: i64 = 120;

/// Datasets that the shipped catalogue has nothing like.
const MORE: [(&str, &str); 5] = [
    (
        "Tomt",
        r#"
[dataset]
about = "Nothing"
source = "Testdata"
contexts = ["DAN-test"]
[[call]]
id = "document"
source = "testdata"
get = "/dokumenter/{subject.org}"
[[value]]
name = "merknad"
type = "string"
from = "document.merknad"
"#,
    ),
    (
        "TomtVedlegg",
        r#"
[dataset]
about = "No file"
source = "Testdata"
contexts = ["DAN-test"]
[[call]]
id = "document"
source = "testdata"
get = "/dokumenter/{subject.org}"
[[value]]
name = "fil"
type = "attachment"
mime_type = "application/pdf"
from = "document.merknad"
"#,
    ),
    (
        "ToKilder",
        r#"
[dataset]
about = "Two calls, and a name that repeats"
source = "Testdata"
contexts = ["DAN-test"]
[[call]]
id = "document"
source = "testdata"
get = "/dokumenter/{subject.org}"
[[call]]
id = "accounts"
source = "testdata"
get = "/regnskap/{subject.org}"
[[value]]
name = "navn"
type = "string"
from = "document.navn"
[[value]]
name = "aar"
type = "string"
each = "accounts.regnskap"
from = "item.aar"
"#,
    ),
    (
        "OmPerson",
        r#"
[dataset]
about = "Somebody"
source = "Testdata"
contexts = ["DAN-test"]
[[call]]
id = "document"
source = "testdata"
get = "/dokumenter/{subject.id}"
[[value]]
name = "navn"
type = "string"
from = "document.navn"
"#,
    ),
    (
        "ApentInnenfor",
        r#"
[dataset]
about = "Open data under another name"
source = "Testdata"
contexts = []
public = true
aliases = [{ context = "DAN-test", name = "ApentUtad" }]
[[call]]
id = "open"
source = "testdata"
get = "/apne/{subject.id}"
[[value]]
name = "navn"
type = "string"
from = "open.navn"
"#,
    ),
];

/// What nobody tried is not served; these are tried here.
const EXAMPLE: &str =
    "[[example]]\nsubject = \"310000019\"\nanswers = { CALL = 404 }\nfails = \"caller:1\"\n";

/// A node whose catalogue has [`MORE`].
struct Desk {
    place: Place,
    node: Node,
    keys: Value,
    client: Client,
}

impl Desk {
    async fn new() -> Self {
        let mut place = Place::new().await;
        let folder = place.scratch.path("catalog");
        copy_folder(&shipped_catalogue(), &folder);
        for (name, definition) in MORE {
            let call = if definition.contains("\"open\"") {
                "open"
            } else {
                "document"
            };
            let definition = format!("{definition}{}", EXAMPLE.replace("CALL", call));
            fs::write(folder.join(format!("datasets/{name}.toml")), definition).unwrap();
        }
        place.set("catalog", "path", shown(&folder));
        let node = place.node().await;
        let ready = node.ready().await;
        assert_eq!(ready["catalog"]["problems"], json!([]), "{ready}");
        let client = place.client(&node, DAN_TEST, OWNER).await;
        let keys = node.keys().await;
        Self {
            place,
            node,
            keys,
            client,
        }
    }

    /// Any address of the node, in a form of choice.
    async fn ask(&self, client: &Client, path: &str, accept: &str) -> Answer {
        let call = client.call(Method::GET, path).header("te", "trailers");
        call.header("accept", accept).send().await.ok()
    }

    /// What the source itself says at these addresses.
    async fn originals(&self, paths: &[&str]) -> Vec<Bytes> {
        let mut found = Vec::new();
        for path in paths {
            let url = format!("{}/testdata/{path}", self.place.sandbox.outside);
            found.push(Call::new(Method::GET, url).send().await.ok().body);
        }
        found
    }

    /// The `view` of a dataset's file and a query.
    fn view(&self, file: &str, query: Option<&str>) -> String {
        let folder = self.place.scratch.path("catalog");
        view(&folder.join(format!("datasets/{file}.toml")), query)
    }
}

/// RFC 8785 for what definitions hold: text, whole numbers, true and false.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|one, other| one.0.encode_utf16().cmp(other.0.encode_utf16()));
            let members = members.into_iter().map(|(name, value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

fn view(file: &Path, query: Option<&str>) -> String {
    let table: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
    let part = |name: &str| serde_json::to_value(table.get(name)).unwrap();
    let mapping = json!({"keep": part("keep"), "remove": part("remove"), "value": part("value")});
    let text = canonical(&json!({"mapping": mapping, "query": query}));
    sha256_hex(&Bytes::from(text))
}

/// What a statement must say; everything else it must not.
struct Claims {
    said: Map<String, Value>,
    /// The text that it is about, where that is no party.
    free: Option<&'static str>,
}

impl Claims {
    /// About this dataset under this view, from what the source said.
    fn about(dataset: &str, view: String, calls: &[(&str, Bytes)]) -> Self {
        let mut said = Map::new();
        let digests = calls.iter().map(|(_, body)| Sha256::digest(body));
        let source_digest = match calls {
            [(_, only)] => sha256_hex(only),
            _ => sha256_hex(&digests.flatten().collect()),
        };
        if calls.len() > 1 {
            let sources = calls
                .iter()
                .map(|(id, body)| json!({"id": id, "digest": sha256_hex(body)}));
            said.insert("sources".to_owned(), sources.collect());
        }
        for (name, value) in [
            ("iss", PUBLIC_URL),
            ("dataset", dataset),
            ("source", "Testdata"),
            ("source_digest", &source_digest),
            ("view", &view),
        ] {
            said.insert(name.to_owned(), Value::from(value));
        }
        Self { said, free: None }
    }

    fn and(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.said.insert(name.to_owned(), value.into());
        self
    }

    /// About text that is no party: it stands as a digest with a salt of its own.
    fn about_free(mut self, text: &'static str) -> Self {
        self.free = Some(text);
        self
    }

    /// Asked for by [`OWNER`], for itself, about a company.
    fn direct(self) -> Self {
        self.and("aud", format!("0192:{OWNER}"))
            .and("requestor", format!("0192:{OWNER}"))
            .and("context", DAN_TEST.name)
            .and("sub", format!("0192:{COMPANY}"))
    }

    /// Holds that the statement of an answer says this and nothing else. `body` is `None` where nobody can know its bytes.
    fn hold(&self, answer: &Answer, claims: &Value, body: Option<&[u8]>, media_type: &str) {
        let mut found = claims.as_object().unwrap().clone();
        let mut take = |name: &str| found.remove(name).unwrap_or_else(|| panic!("no {name}"));
        let now = Timestamp::now().as_second();
        let issued = take("iat").as_i64().unwrap();
        assert!((now - issued).abs() < APART_MAX, "{issued}");
        let retrieved: Timestamp = take("retrieved_at").as_str().unwrap().parse().unwrap();
        assert!((0..APART_MAX).contains(&(issued + 1 - retrieved.as_second())));
        let jti = take("jti");
        assert_eq!(jti, *answer.header("x-invocationid").unwrap());
        let digest = take("SHA256PayloadDigest");
        if let Some(body) = body {
            assert_eq!(digest, sha256_hex(&Bytes::copy_from_slice(body)));
        }
        assert_eq!(take("media_type"), media_type);
        if let Some(free) = self.free {
            let salt = take("sub_salt");
            let salt = URL_SAFE_NO_PAD.decode(salt.as_str().unwrap()).unwrap();
            let digest = Sha256::digest([&salt[..], free.as_bytes()].concat());
            let digest = URL_SAFE_NO_PAD.encode(digest);
            assert_eq!(take("sub"), format!("sha-256:{digest}"));
        }
        for source in found
            .get_mut("sources")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let at = source
                .as_object_mut()
                .unwrap()
                .remove("retrieved_at")
                .unwrap();
            let at: Timestamp = at.as_str().unwrap().parse().unwrap();
            assert!(at >= retrieved, "the oldest is told first");
        }
        assert_eq!(
            Value::Object(found),
            Value::Object(self.said.clone()),
            "{}",
            answer.what
        );
    }
}

/// Holds an answer in each of its three forms against the same claims.
async fn in_every_form(desk: &Desk, client: &Client, path: &str, claims: &Claims) -> Bytes {
    let plain = desk.ask(client, path, "*/*").await;
    let media_type = plain.header("content-type").unwrap_or_default();
    let signed = proven_by(&plain, &desk.keys);
    claims.hold(&plain, &signed, Some(&plain.body), media_type);
    let theirs = dan_verify::verify_detached(
        &plain.body,
        plain.proof("x-signature-jwt").unwrap(),
        &desk.keys.to_string(),
    );
    theirs.unwrap_or_else(|error| panic!("{path}: {error}"));
    for form in ["application/jose", "application/cose"] {
        let object = desk.ask(client, path, form).await;
        // The object itself is signed beside it, as any answer.
        let beside = proven_by(&object, &desk.keys);
        claims.hold(&object, &beside, Some(&object.body), form);
        let keys = desk.keys.to_string();
        let inside = match form {
            "application/jose" => {
                dan_verify::verify_jose(std::str::from_utf8(&object.body).unwrap(), &keys)
            }
            _ => dan_verify::verify_cose(&object.body, &keys),
        };
        let mut inside = inside
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .claims;
        let evidence = inside.remove("evidence");
        let bytes = inside.remove("evidence_base64");
        // An envelope tells a validity, which is another one each time.
        let repeats = !path.contains("envelope=true");
        let body = match (evidence, bytes) {
            // A CBOR value does not tell how the JSON was written that it was made from.
            (Some(value), None) if form == "application/cose" => {
                let written: Value = serde_json::from_slice(&plain.body).unwrap();
                assert!(!repeats || value == written, "{path}");
                repeats.then(|| plain.body.to_vec())
            }
            (Some(value), None) => Some(value.to_string().into_bytes()),
            (None, Some(text)) => Some(STANDARD.decode(text.as_str().unwrap()).unwrap()),
            (value, bytes) => panic!("{value:?} and {bytes:?}"),
        };
        let inside = Value::Object(inside);
        claims.hold(&object, &inside, body.as_deref(), media_type);
        if let Some(body) = body
            && repeats
        {
            assert_eq!(body, plain.body, "{path} {form}");
        }
    }
    plain.body
}

#[tokio::test]
async fn every_form_of_an_answer_has_every_claim_and_each_is_true() {
    let desk = Desk::new().await;
    let document = format!("dokumenter/{COMPANY}");
    let document = desk.originals(&[&document]).await.remove(0);
    let direct =
        |dataset: &str, more: &str| format!("directharvest/{dataset}?subject={COMPANY}{more}");
    let of = |file: &str, query: Option<&str>, calls: &[(&str, Bytes)]| {
        Claims::about(file, desk.view(file, query), calls).direct()
    };
    let one = [("document", document.clone())];
    let client = &desk.client;
    // Enveloped, bare, and by a query.
    let claims = of("DanTestDokument", None, &one);
    in_every_form(
        &desk,
        client,
        &direct("DanTestDokument", "&envelope=true"),
        &claims,
    )
    .await;
    in_every_form(
        &desk,
        client,
        &direct("DanTestDokument", "&envelope=false"),
        &claims,
    )
    .await;
    let query = "&envelope=false&query=dokumenter%5B0%5D.id";
    let claims = of("DanTestDokument", Some("dokumenter[0].id"), &one);
    let body = in_every_form(&desk, client, &direct("DanTestDokument", query), &claims).await;
    assert_eq!(body, "\"D-1\"");
    // Nothing at all, as text and as a file: an empty body is signed too.
    for dataset in ["Tomt", "TomtVedlegg"] {
        let claims = of(dataset, None, &one);
        let path = direct(dataset, "&envelope=false");
        assert!(
            in_every_form(&desk, client, &path, &claims)
                .await
                .is_empty()
        );
        in_every_form(&desk, client, &direct(dataset, "&envelope=true"), &claims).await;
    }
    // A file, and files of any size.
    let path = format!("vedlegg/{COMPANY}");
    let calls = [("file", desk.originals(&[&path]).await.remove(0))];
    let claims = of("DanTestVedlegg", None, &calls);
    let body = direct("DanTestVedlegg", "&envelope=false");
    let body = in_every_form(&desk, client, &body, &claims).await;
    assert!(body.starts_with(b"%PDF-"));
    in_every_form(
        &desk,
        client,
        &direct("DanTestVedlegg", "&envelope=true"),
        &claims,
    )
    .await;
    for kib in [1, 64, 65, 700] {
        let original = desk
            .originals(&[&format!("fil/{COMPANY}?kib={kib}")])
            .await
            .remove(0);
        let sent = Bytes::from(format!(r#"{{"kib":"{kib}"}}"#));
        let claims = of("DanTestFil", None, &[("fil", original.clone())])
            .and("parameters", sha256_hex(&sent));
        let path = direct("DanTestFil", &format!("&kib={kib}"));
        assert_eq!(in_every_form(&desk, client, &path, &claims).await, original);
    }
    // Several values, of which one repeats, from two calls.
    let accounts = format!("regnskap/{COMPANY}");
    let accounts = desk.originals(&[&accounts]).await.remove(0);
    let two = [("document", document), ("accounts", accounts)];
    let claims = of("ToKilder", None, &two);
    let path = direct("ToKilder", "&envelope=false");
    let body = in_every_form(&desk, client, &path, &claims).await;
    let body = std::str::from_utf8(&body).unwrap();
    assert_eq!(body.matches("\"aar\"").count(), 3, "{body}");
    desk.node.stop().await;
}

#[tokio::test]
async fn parties_grant_and_legal_basis_stand_in_a_statement_and_persons_as_digests() {
    let desk = Desk::new().await;
    let document = format!("dokumenter/{PERSON}");
    let document = desk.originals(&[&document]).await.remove(0);
    let application = json!({
        "requestor": OWNER,
        "subject": PERSON,
        "evidenceRequests": [{"evidenceCodeName": "OmPerson", "legalBasisId": "b1"}],
        "legalBasisList": [{"id": "b1", "type": "cpv", "content": "45000000-7"}],
    });
    let grant = desk
        .client
        .post("authorization", &application)
        .await
        .ok()
        .json();
    let id = text(&grant, "id");
    for envelope in [true, false] {
        let path = format!("evidence/{id}/OmPerson?envelope={envelope}");
        let answer = desk.ask(&desk.client, &path, "*/*").await;
        let claims = proven_by(&answer, &desk.keys);
        let salt = URL_SAFE_NO_PAD.decode(text(&claims, "sub_salt")).unwrap();
        let digest = Sha256::digest([&salt[..], PERSON.as_bytes()].concat());
        let sub = format!("sha-256:{}", URL_SAFE_NO_PAD.encode(digest));
        let view = desk.view("OmPerson", None);
        let calls = [("document", document.clone())];
        let expected = Claims::about("OmPerson", view, &calls)
            .direct()
            .and("sub", sub)
            .and("sub_salt", text(&claims, "sub_salt"))
            .and("accreditation", id)
            .and("legal_basis", json!(["b1"]));
        expected.hold(&answer, &claims, Some(&answer.body), "application/json");
        assert!(!claims.to_string().contains(PERSON));
    }
    desk.node.stop().await;
}

#[tokio::test]
async fn open_data_is_for_nobody_in_particular_under_each_of_its_names() {
    let desk = Desk::new().await;
    let nobody = desk.node.anonymous();
    for (id, sub) in [
        (COMPANY, Some(format!("0192:{COMPANY}"))),
        ("anything-1", None),
    ] {
        let original = desk.originals(&[&format!("apne/{id}")]).await.remove(0);
        for (file, name) in [
            ("DanTestApne", "DanTestApne"),
            ("ApentInnenfor", "ApentInnenfor"),
        ] {
            let path = format!("opendata/{name}/{id}");
            let calls = [("open", original.clone())];
            let mut claims = Claims::about(name, desk.view(file, None), &calls);
            claims = match &sub {
                Some(sub) => claims.and("sub", sub.as_str()),
                None => claims.about_free(id),
            };
            in_every_form(&desk, &nobody, &path, &claims).await;
        }
    }
    // Under its name in a service it is one of the service's datasets.
    let original = desk
        .originals(&[&format!("apne/{COMPANY}")])
        .await
        .remove(0);
    let calls = [("open", original)];
    let claims = Claims::about("ApentUtad", desk.view("ApentInnenfor", None), &calls).direct();
    let path = format!("directharvest/ApentUtad?subject={COMPANY}&envelope=false");
    in_every_form(&desk, &desk.client, &path, &claims).await;
    desk.node.stop().await;
}
