//! `examples/verify-page/index.html` in a real browser: it says what `dan-verify` says, of true
//! answers and of forged ones, and asks nobody.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_tests::browser::{Browser, installed};
use dan_tests::consumer::{COMPANY, EBEVIS, OTHER_COMPANY, OWNER, PERSON};
use dan_tests::node::Scratch;
use dan_verify::jwk::{PublishedKey, Validity, to_json};
use dan_verify::jws::Purpose;
use dan_verify::payload::{self, Evidence};
use dan_verify::public_key::PublicKey;
use dan_verify::{Language, Sign, Verified, VerifyError, cose, jws};
use dan_verify::{verify_cose, verify_detached, verify_jose};
use http::Method;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::archive::{Archive, keep};
use crate::place::{DATASET, Place, shown};

fn page() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("examples/verify-page/index.html")
}

/// Files that are chosen together: answer, signature, keys.
type Chosen<'a> = (&'a str, Option<&'a str>, &'a str);

/// What the page shows.
struct Shown {
    /// `yes`, `no` or nothing.
    state: String,
    outcome: String,
    sentence: String,
    remarks: Vec<String>,
}

struct Desk<'a> {
    browser: Browser,
    scratch: &'a Scratch,
}

impl<'a> Desk<'a> {
    fn new(scratch: &'a Scratch) -> Option<Self> {
        let browser = Browser::open(&installed()?, &page());
        Some(Self { browser, scratch })
    }

    fn speak(&mut self, language: &str) {
        self.browser.evaluate(&format!(
            "$('language').value = '{language}'; $('language').dispatchEvent(new Event('change'))"
        ));
    }

    /// As a person writes it, letter by letter or not.
    fn ask_about(&mut self, number: &str) {
        self.browser.evaluate(&format!(
            "$('subject').value = '{number}'; $('subject').dispatchEvent(new Event('input'))"
        ));
    }

    fn choose(&mut self, (answer, signature, keys): Chosen<'_>) {
        let files = [
            ("#answer", Some(answer)),
            ("#signature", signature),
            ("#keys", Some(keys)),
        ];
        for (input, name) in files {
            let file = name.map(|name| self.scratch.path(name));
            self.browser.choose(input, file.as_deref());
        }
    }

    fn shown(&mut self) -> Shown {
        self.browser
            .until("document.body.dataset.turn === String(latest)");
        let shown = self.browser.evaluate(
            "({state: $('verdict').className, outcome: $('outcome').textContent, sentence: $('sentence').textContent, \
             remarks: [...$('remarks').children].map((one) => one.textContent)})",
        );
        let text = |name: &str| shown[name].as_str().unwrap().to_owned();
        Shown {
            state: text("state"),
            outcome: text("outcome"),
            sentence: text("sentence"),
            remarks: serde_json::from_value(shown["remarks"].clone()).unwrap(),
        }
    }

    /// What the crate says of the same files.
    fn ours(&self, (answer, signature, keys): Chosen<'_>) -> Result<Verified, VerifyError> {
        let bytes = |name: &str| std::fs::read(self.scratch.path(name)).unwrap();
        let text = |name: &str| String::from_utf8_lossy(&bytes(name)).into_owned();
        let (body, keys) = (bytes(answer), text(keys));
        let inside = |verified: Verified| {
            verified.evidence()?;
            Ok(verified)
        };
        let verified = match signature {
            Some(signature) => verify_detached(&body, &text(signature), &keys),
            None if body.starts_with(&[0xd2]) => verify_cose(&body, &keys).and_then(inside),
            None => verify_jose(&text(answer), &keys).and_then(inside),
        }?;
        verified.statement()?;
        Ok(verified)
    }

    /// Holds that page and crate agree, in both languages.
    fn agree(&mut self, chosen: Chosen<'_>) -> bool {
        self.choose(chosen);
        let ours = self.ours(chosen);
        for (tag, language) in [("nb", Language::Norwegian), ("en", Language::English)] {
            self.speak(tag);
            let shown = self.shown();
            match &ours {
                Ok(verified) => {
                    let statement = verified.statement().unwrap();
                    assert_eq!(shown.state, "yes", "{chosen:?}: {}", shown.sentence);
                    assert_eq!(shown.sentence, statement.sentence(language));
                    assert_eq!(shown.remarks, statement.remarks(language));
                }
                Err(error) => {
                    assert_eq!(shown.state, "no", "{chosen:?}: {error}");
                    assert!(shown.remarks.is_empty() && !shown.sentence.is_empty());
                }
            }
        }
        ours.is_ok()
    }
}

#[tokio::test]
async fn the_page_says_of_real_answers_what_the_crate_says() {
    let archive = Archive::new().await;
    archive.keep("plain", "").await;
    archive.keep("bare", "&envelope=false").await;
    archive.keep_as("jose", "application/jose", "").await;
    archive.keep_as("cose", "application/cose", "").await;
    archive.keep_person("person").await;
    let Some(mut desk) = Desk::new(&archive.scratch) else {
        return;
    };
    assert!(desk.agree(("plain.body", Some("plain.sig"), "keys.json")));
    assert!(desk.agree(("bare.body", Some("bare.sig"), "keys.json")));
    assert!(desk.agree(("jose.body", None, "keys.json")));
    assert!(desk.agree(("cose.body", None, "keys.json")));
    // Genuine, each of them, and not of each other; and files in each other's places.
    for wrong in [
        ("plain.body", Some("bare.sig"), "keys.json"),
        ("plain.body", None, "keys.json"),
        ("plain.sig", None, "keys.json"),
        ("plain.body", Some("jose.body"), "keys.json"),
        ("plain.body", Some("plain.sig"), "plain.body"),
        ("plain.body", Some("plain.sig"), "plain.sig"),
        ("cose.body", Some("plain.sig"), "keys.json"),
    ] {
        assert!(!desk.agree(wrong), "{wrong:?}");
    }
    for (name, signature) in [
        ("plain.body", Some("plain.sig")),
        ("jose.body", None),
        ("cose.body", None),
    ] {
        let genuine = std::fs::read(archive.path(name)).unwrap();
        for place in [
            0,
            3,
            genuine.len() / 3,
            genuine.len() / 2,
            genuine.len() - 1,
        ] {
            let mut forged = genuine.clone();
            forged[place] ^= 1;
            archive.scratch.write("forged", &forged);
            assert!(
                !desk.agree(("forged", signature, "keys.json")),
                "{name} {place}"
            );
        }
    }
    about_whom(&mut desk);
    dropped(&mut desk);
    let asked = &desk.browser.asked;
    assert!(
        !asked.is_empty() && asked.iter().all(|url| url.starts_with("file://")),
        "{asked:?}"
    );
}

fn about_whom(desk: &mut Desk<'_>) {
    desk.speak("en");
    desk.choose(("person.body", Some("person.sig"), "keys.json"));
    let shown = desk.shown();
    assert!(
        shown.sentence.contains(" about a person "),
        "{}",
        shown.sentence
    );
    desk.ask_about(PERSON);
    let shown = desk.shown();
    assert!(
        shown.sentence.contains(&format!(" about {PERSON}, ")),
        "{}",
        shown.sentence
    );
    desk.choose(("plain.body", Some("plain.sig"), "keys.json"));
    for (number, state) in [
        (PERSON, "no"),
        (OTHER_COMPANY, "no"),
        (COMPANY, "yes"),
        (&*format!("0192:{COMPANY}"), "yes"),
        ("", "yes"),
    ] {
        desk.ask_about(number);
        let shown = desk.shown();
        assert_eq!(shown.state, state, "{number}: {}", shown.outcome);
        assert!(shown.sentence.contains(&format!(" about {COMPANY}, ")));
    }
}

/// All files at once onto the page, in any order: each finds its place.
fn dropped(desk: &mut Desk<'_>) {
    let encoded = |name: &str| STANDARD.encode(std::fs::read(desk.scratch.path(name)).unwrap());
    for files in [
        vec!["keys.json", "plain.body", "plain.sig"],
        vec!["plain.sig", "keys.json", "plain.body"],
    ] {
        let files: Vec<Value> = files
            .iter()
            .map(|name| json!([name, encoded(name)]))
            .collect();
        for input in ["#answer", "#signature", "#keys"] {
            desk.browser.choose(input, None);
        }
        assert_eq!(desk.shown().state, "");
        let script = format!(
            "(() => {{ const box = new DataTransfer(); \
             for (const [name, text] of {}) box.items.add(new File([fromBase64(text)], name)); \
             document.body.dispatchEvent(new DragEvent('drop', {{dataTransfer: box, bubbles: true}})); }})()",
            Value::Array(files)
        );
        desk.browser.evaluate(&script);
        desk.browser.until("$('verdict').className === 'yes'");
    }
}

struct Key(SigningKey);

impl Sign for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature: Signature = self.0.sign(message);
        Ok(signature.to_bytes().to_vec())
    }
}

/// Signs what no node of ours would.
struct Hand<'a> {
    key: Key,
    scratch: &'a Scratch,
}

impl<'a> Hand<'a> {
    fn new(scratch: &'a Scratch) -> Self {
        let key = Key(SigningKey::from_slice(&[7; 32]).unwrap());
        Self { key, scratch }
    }

    fn publish(&self, name: &str, validity: Validity) -> Value {
        let key = PublicKey::new(*self.key.0.verifying_key());
        let jwk = to_json("hand", &PublishedKey { key, validity });
        let set: Value = serde_json::from_str(&format!("{{\"keys\":[{jwk}]}}")).unwrap();
        self.scratch.write(name, set.to_string());
        set
    }

    fn claims(change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = json!({
            "SHA256PayloadDigest": format!("{:x}", HexOf(b"1")),
            "iss": "https://dan.example.no/v1", "iat": 1_795_521_601, "jti": "r-1",
            "aud": "0192:974760673", "sub": "0192:991825827", "requestor": "0192:958935420",
            "dataset": "UnitBasicInformation", "context": "eBevis",
            "retrieved_at": "2026-11-24T12:00:00Z", "source": "Brønnøysundregistrene",
            "source_digest": "00", "view": "01", "media_type": "application/json",
        });
        change(claims.as_object_mut().unwrap());
        claims.to_string()
    }

    fn sign(&self, payload: &str) {
        let header = jws::header(Purpose::Jwt, "hand");
        let signature = jws::sign(&header, payload.as_bytes(), &self.key).unwrap();
        self.scratch.write("hand.sig", signature);
    }
}

struct HexOf<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Sha256::digest(self.0)
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

const BY_HAND: Chosen<'_> = ("one", Some("hand.sig"), "hand.json");

#[tokio::test]
async fn the_page_words_and_refuses_strange_statements_as_the_crate_does() {
    type Change = fn(&mut Map<String, Value>);
    let archive = Archive::new().await;
    let Some(mut desk) = Desk::new(&archive.scratch) else {
        return;
    };
    let hand = Hand::new(&archive.scratch);
    let keys = hand.publish("hand.json", Validity::default());
    archive.scratch.write("one", "1");
    let set = |claims: &mut Map<String, Value>, name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    for source in [
        "KS",
        "Lex",
        "Kystverkå",
        "Register 7",
        "Registeret (prøve)",
        "",
        "A\u{1b}[2J\u{202e}b",
        "<b>æ",
    ] {
        hand.sign(&Hand::claims(|claims| set(claims, "source", json!(source))));
        assert!(desk.agree(BY_HAND), "{source}");
    }
    let told: [Change; 8] = [
        |it| {
            it.shift_remove("aud");
            it.shift_remove("requestor");
            it.shift_remove("sub");
        },
        |it| {
            it.shift_remove("requestor");
        },
        |it| {
            it.insert("sub".to_owned(), json!("0007:5560360793"));
        },
        |it| {
            it.insert("sub".to_owned(), json!("sha-256:x"));
        },
        |it| {
            it.insert("accreditation".to_owned(), json!("a-1"));
        },
        |it| {
            it.insert("legal_basis".to_owned(), json!(["a", "<i>b"]));
            it.insert("accreditation".to_owned(), json!("a"));
        },
        |it| {
            it.insert(
                "sources".to_owned(),
                json!([{"id": "a", "retrieved_at": "t", "digest": "d"}]),
            );
        },
        |it| {
            it.insert("unknown".to_owned(), json!({"a": [1.5, null]}));
        },
    ];
    for change in told {
        hand.sign(&Hand::claims(change));
        assert!(desk.agree(BY_HAND));
    }
    let refused: [Change; 8] = [
        |it| {
            it.shift_remove("dataset");
        },
        |it| {
            it.insert("sub".to_owned(), Value::Null);
        },
        |it| {
            it.insert("iat".to_owned(), json!("1795521601"));
        },
        |it| {
            it.insert("aud".to_owned(), json!(["0192:974760673"]));
        },
        |it| {
            it.insert("legal_basis".to_owned(), json!("a"));
        },
        |it| {
            it.insert("sources".to_owned(), json!([{"id": "a"}]));
        },
        |it| {
            it.shift_remove("SHA256PayloadDigest");
        },
        |it| {
            it.insert("SHA256PayloadDigest".to_owned(), json!("00"));
        },
    ];
    for change in refused {
        hand.sign(&Hand::claims(change));
        assert!(!desk.agree(BY_HAND));
    }
    for payload in ["", "[]", "null", r#"{"iat":1,"iat":2}"#] {
        hand.sign(payload);
        assert!(!desk.agree(BY_HAND), "{payload}");
    }
    let twice = Hand::claims(|_| {}).replacen("\"jti\"", "\"jt\\u0069\":\"r-0\",\"jti\"", 1);
    hand.sign(&twice);
    assert!(!desk.agree(BY_HAND), "a member twice");
    by_key(&mut desk, &hand, &keys);
    enveloped(&mut desk, &hand);
}

/// Keys that were not in use, are for something else, or cannot be trusted.
fn by_key(desk: &mut Desk<'_>, hand: &Hand<'_>, keys: &Value) {
    hand.sign(&Hand::claims(|_| {}));
    for (signs_from, retired_at, good) in [
        (Some(1_795_521_661), None, true),
        (Some(1_795_521_662), None, false),
        (None, Some(1_795_521_601), true),
        (None, Some(1_795_521_600), false),
    ] {
        hand.publish(
            "hand.json",
            Validity {
                signs_from,
                retired_at,
            },
        );
        assert_eq!(desk.agree(BY_HAND), good, "{signs_from:?} {retired_at:?}");
    }
    for (name, value) in [
        ("kid", json!("other")),
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("key_ops", json!(["sign"])),
        ("d", json!("AQ")),
        ("x", json!("AQ")),
        ("nbf", json!("1")),
    ] {
        let mut changed = keys.clone();
        changed["keys"][0][name] = value;
        hand.scratch.write("hand.json", changed.to_string());
        assert!(!desk.agree(BY_HAND), "{name}");
    }
    let key = &keys["keys"][0];
    hand.scratch
        .write("hand.json", json!({"keys": [key, key]}).to_string());
    assert!(!desk.agree(BY_HAND), "a key twice");
    hand.scratch.write("hand.json", keys.to_string());
    assert!(desk.agree(BY_HAND));
}

/// Evidence inside, as JSON and as bytes; and not what the digest says.
fn enveloped(desk: &mut Desk<'_>, hand: &Hand<'_>) {
    let chosen = ("envelope", None, "hand.json");
    let object = r#"{"b":1.0,"a":[1e+300,-5,18446744073709551615,"å"]}"#.as_bytes();
    let beyond = br#"{"a":123456789012345678901234567890}"#;
    for (evidence, body) in [
        (Some(Evidence::Json(object)), object),
        (Some(Evidence::Json(beyond)), beyond),
        (Some(Evidence::Json(br#"{ "a": 1 }"#)), br#"{ "a": 1 }"#),
        (Some(Evidence::Bytes(b"%PDF-")), b"%PDF-"),
        (Some(Evidence::Bytes(b"")), b""),
        (Some(Evidence::Bytes(b"%PDF-")), b"%PDF+"),
        (Some(Evidence::Json(b"1")), b"2"),
        (Some(Evidence::Json(beyond)), b"2"),
        (None, b""),
    ] {
        let digest = json!(format!("{:x}", HexOf(body)));
        let statement = Hand::claims(|claims| {
            claims.insert("SHA256PayloadDigest".to_owned(), digest);
        });
        let inside =
            matches!(evidence, Some(Evidence::Json(it) | Evidence::Bytes(it)) if it == body);
        let signed = payload::jose(&statement, evidence).unwrap();
        let header = jws::header(Purpose::Jose, "hand");
        let envelope = jws::sign(&header, signed.as_bytes(), &hand.key).unwrap();
        hand.scratch.write("envelope", envelope);
        assert_eq!(desk.agree(chosen), inside, "JOSE {evidence:?} {body:?}");
        let signed = payload::cose(&statement, evidence).unwrap();
        let protected = cose::protected_header("hand").unwrap();
        let input = cose::signing_input(&protected, &signed).unwrap();
        let signature = hand.key.sign(&input).unwrap();
        let envelope = cose::attach(&protected, &signed, &signature).unwrap();
        hand.scratch.write("envelope", envelope);
        // Of a value in CBOR the signature is proof enough.
        let is_value = matches!(evidence, Some(Evidence::Json(b"1")));
        assert_eq!(
            desk.agree(chosen),
            inside || is_value,
            "COSE {evidence:?} {body:?}"
        );
    }
}

#[tokio::test]
async fn the_page_checks_what_an_rsa_key_signed() {
    let Some(program) = installed() else { return };
    let mut place = Place::new().await;
    let pem = place.scratch.path("rsa.pem");
    let new = ["signing-key", "new", "--rsa", "--out", shown(&pem)];
    place.scratch.dan(&new).await.exits(0);
    let entry = "kid = \"rsa\"\nkey = { file = \"rsa.pem\" }";
    let entry = toml::Value::Table(entry.parse().unwrap());
    place.set("signing", "keys", vec![entry]);
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let keys = node.keys().await;
    assert_eq!(keys["keys"][0]["kty"], "RSA");
    let scratch = &place.scratch;
    scratch.write("keys.json", keys.to_string());
    let path = format!("directharvest/{DATASET}?subject={COMPANY}");
    keep(scratch, "plain", client.get(&path).await);
    let call = client.call(Method::GET, &path);
    keep(
        scratch,
        "jose",
        call.header("Accept", "application/jose").send().await,
    );
    node.stop().await;
    let browser = Browser::open(&program, &page());
    let mut desk = Desk { browser, scratch };
    assert!(desk.agree(("plain.body", Some("plain.sig"), "keys.json")));
    assert!(desk.agree(("jose.body", None, "keys.json")));
    assert!(!desk.agree(("jose.sig", Some("plain.sig"), "keys.json")));
    let signature = std::fs::read_to_string(scratch.path("plain.sig")).unwrap();
    let (signed, mac) = signature.trim().rsplit_once('.').unwrap();
    let flipped = if mac.starts_with('A') { 'B' } else { 'A' };
    scratch.write("forged.sig", format!("{signed}.{flipped}{}", &mac[1..]));
    assert!(!desk.agree(("plain.body", Some("forged.sig"), "keys.json")));
    // A header that names another algorithm than the key is for, and a key that is too short.
    let header = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9";
    let (_, payload) = signed.split_once('.').unwrap();
    scratch.write("forged.sig", format!("{header}.{payload}.{mac}"));
    assert!(!desk.agree(("plain.body", Some("forged.sig"), "keys.json")));
    let mut short = keys.clone();
    short["keys"][0]["n"] = json!("AQAB");
    scratch.write("short.json", short.to_string());
    assert!(!desk.agree(("plain.body", Some("plain.sig"), "short.json")));
}

/// What a reader without a mouse or with a screen reader needs, and what keeps the page offline.
#[test]
fn the_page_can_be_used_by_everybody_and_reaches_nobody() {
    let text = std::fs::read_to_string(page()).unwrap();
    for (tag, directive) in [("script", "script-src"), ("style", "style-src")] {
        let (_, rest) = text.split_once(&format!("<{tag}>")).unwrap();
        let (inline, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let digest = STANDARD.encode(Sha256::digest(inline));
        let needed = format!("{directive} 'sha256-{digest}'");
        assert!(text.contains(&needed), "the policy has to say {needed}");
    }
    assert!(text.contains("default-src 'none'"));
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
        "XMLHttpRequest",
        "http:",
        "https:",
        "<link",
        "src=",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    let Some(program) = installed() else { return };
    let mut browser = Browser::open(&program, &page());
    let unlabelled = "[...document.querySelectorAll('input, select')].filter((it) => it.labels.length === 0).length";
    assert_eq!(browser.evaluate(unlabelled), 0);
    let described = "[...document.querySelectorAll('[aria-describedby]')].every((it) => $(it.getAttribute('aria-describedby')))";
    assert_eq!(browser.evaluate(described), true);
    for language in ["nb", "en"] {
        browser.evaluate(&format!(
            "$('language').value = '{language}'; $('language').dispatchEvent(new Event('change'))"
        ));
        assert_eq!(browser.evaluate("document.documentElement.lang"), language);
        let wordless =
            "[...document.querySelectorAll('[data-text]')].filter((it) => !it.textContent).length";
        assert_eq!(browser.evaluate(wordless), 0);
    }
    assert_eq!(
        browser.evaluate("Object.keys(WORDS.nb).join() === Object.keys(WORDS.en).join()"),
        true
    );
    assert_eq!(
        browser.evaluate("$('verdict').getAttribute('role')"),
        "status"
    );
    // The policy keeps even the page's own script from asking anybody.
    let asked = "fetch('http://127.0.0.1:9/').then(() => 'reached', () => 'refused')";
    assert_eq!(browser.evaluate(asked), "refused");
}
