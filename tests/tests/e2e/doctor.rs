//! `dan doctor` against faults that operators have: it names the cause and one way to mend it, and nothing else.

use std::net::TcpListener as BlockingListener;

use dan_tests::consumer::{DAN_TEST, OWNER};
use dan_tests::shapes::{items, text};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use toml::{Table, Value};

use crate::place::{Place, shown};
use crate::stub::Address;

/// What doctor finds wrong: the thing and the words.
async fn wrong(place: &Place, more: &[&str]) -> Vec<(String, String)> {
    let file = place.file();
    let arguments = [&["doctor", "--config", shown(&file), "--json"], more].concat();
    let said = place.scratch.dan(&arguments).await;
    let code = said.code;
    let said = said.json();
    let findings = items(&said["findings"]).iter();
    let wrong: Vec<_> = findings
        .filter(|one| one["well"] == false)
        .map(|one| (text(one, "what").to_owned(), text(one, "wrong").to_owned()))
        .collect();
    assert_eq!(code, Some(i32::from(!wrong.is_empty())), "{said}");
    wrong
}

/// Exactly one thing is wrong, and all these words are said of it.
#[track_caller]
fn one(found: &[(String, String)], what: &str, words: &[&str]) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, what, "{found:?}");
    for word in words {
        assert!(found[0].1.contains(word), "{word}: {found:?}");
    }
}

/// An issuer of certificates, valid from 2020 until the given year.
fn authority(name: &str, until: i32) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// A certificate of this issuer and its key.
fn issued(issuer: &Issuer<'static, KeyPair>, until: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

/// Answers everything with this JSON, and says that it is 2026-01-01.
async fn new_years_issuer(listener: TcpListener, base: String) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        let keys = String::from_utf8_lossy(&request[..read]).starts_with("GET /jwk");
        let body = if keys {
            json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})
        } else {
            json!({"issuer": base, "jwks_uri": format!("{base}/jwk")})
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_seen_by_the_issuers_answer() {
    let mut place = Place::new().await;
    assert_eq!(wrong(&place, &[]).await, []);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut issuer = JoinSet::new();
    issuer.spawn(new_years_issuer(listener, base.clone()));
    place.config["issuers"][0]["discovery"] = format!("{base}/meta").into();
    let found = wrong(&place, &[]).await;
    one(
        &found,
        "clock, by issuer sandbox",
        &["ahead of", "set the clock"],
    );
}

#[tokio::test]
async fn keys_that_are_out_of_reach_are_told_from_metadata_that_are() {
    let mut place = Place::new().await;
    let nowhere = Address::reserve();
    let keys = format!("{}/jwk", nowhere.base());
    let address = Address::reserve();
    place.config["issuers"][0]["discovery"] = format!("{}/meta", address.base()).into();
    let metadata = json!({"issuer": address.base(), "jwks_uri": keys});
    let _issuer = address.serve(move |_| (200, metadata.clone()));
    let found = wrong(&place, &[]).await;
    one(
        &found,
        "issuer sandbox",
        &["the keys are not", nowhere.base(), "firewall"],
    );
}

#[tokio::test]
async fn a_token_for_somebody_else_is_told_by_its_audience() {
    let place = Place::new().await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    let good = place.scratch.write("good", token);
    assert_eq!(wrong(&place, &["--token", shown(&good)]).await, []);
    let scope = format!("{}&aud=https://another.example.no", DAN_TEST.scope);
    let token = place.sandbox.token(&scope, OWNER).await;
    let bad = place.scratch.write("bad", token);
    let found = wrong(&place, &["--token", shown(&bad)]).await;
    one(
        &found,
        "token",
        &["aud does not name us", "issuers[].audience"],
    );
}

#[tokio::test]
async fn certificates_that_ended_are_named_with_what_to_do() {
    let mut place = Place::new().await;
    let (issuer, root) = authority("Example Root", 2100);
    let (certificate, key) = issued(&issuer, 2021);
    place.scratch.write("node.pem", certificate);
    place.scratch.write("node.key", key);
    let tls = "certificate = \"node.pem\"\nkey = { file = \"node.key\" }";
    place.set("server", "tls", table(tls));
    let found = wrong(&place, &[]).await;
    one(
        &found,
        "certificate of the node",
        &["ended at 2021-01-01", "new chain"],
    );

    let (certificate, key) = issued(&issuer, 2100);
    place.scratch.write("node.pem", certificate);
    place.scratch.write("node.key", key);
    place.scratch.write("roots.pem", &root);
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2020, 2, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap().pem().unwrap();
    std::fs::create_dir(place.scratch.path("crls")).unwrap();
    place.scratch.write("crls/root.crl", list);
    let tls = format!("{tls}\nclient_roots = \"roots.pem\"\nclient_crls = \"crls\"");
    place.set("server", "tls", table(&tls));
    let found = wrong(&place, &[]).await;
    one(
        &found,
        "enterprise certificates",
        &["ended at 2020-02-01", "newest list"],
    );
}

#[tokio::test]
async fn a_consumer_whose_issuer_is_not_trusted_is_told_from_one_that_is() {
    let mut place = Place::new().await;
    let (_, trusted) = authority("Example Root", 2100);
    place.scratch.write("roots.pem", trusted);
    place.set("server", "tls", table("client_roots = \"roots.pem\""));
    for (name, why) in [
        ("Another Root", "no path to a trusted root"),
        ("Example Root", "not signed by its issuer"),
    ] {
        let (other, _) = authority(name, 2100);
        let (certificate, _) = issued(&other, 2100);
        let file = place.scratch.write("consumer.pem", certificate);
        let found = wrong(&place, &["--certificate", shown(&file)]).await;
        one(&found, "certificate", &[why, "client_roots"]);
    }
}

#[tokio::test]
async fn files_ports_proxies_and_locks_are_named() {
    let mut place = Place::new().await;
    let good = place.config.clone();

    let key = table("key = { file = \"no-such.pem\" }");
    place.set("signing", "keys", vec![key]);
    let found = wrong(&place, &[]).await;
    one(&found, "signing keys", &["no-such.pem", "correct the path"]);

    place.config = good.clone();
    place.set("server", "behind_proxy", Value::Array(Vec::new()));
    let found = wrong(&place, &[]).await;
    one(&found, "proxies", &["not trusted", "server.behind_proxy"]);

    place.config = good.clone();
    let taken = BlockingListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.set("server", "listen", address.as_str());
    let found = wrong(&place, &[]).await;
    one(
        &found,
        "server.listen",
        &[&address, "another program", "ss -ltnp"],
    );

    place.config = good;
    assert_eq!(wrong(&place, &[]).await, []);
    let database = rusqlite::Connection::open(place.data().join("dan.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let found = wrong(&place, &[]).await;
    one(&found, "store", &["locked", "end it"]);
}
