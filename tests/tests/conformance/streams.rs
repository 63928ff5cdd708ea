//! Answers that leave while they arrive: signed behind the body, proven afterwards by `GET /v1/proofs/…`, and never
//! taken for whole where they are not.

use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{
    AGENCY, Consumer, DAN_TEST, EBEVIS, OTHER_COMPANY, OWNER, PERSON, token,
};
use dan_tests::proof::{Expected, proven, self_contained, sha256_hex};
use dan_tests::subject::subject;
use dan_tests::world::{TEST_SOURCE, alone, calm};
use http::Method;
use serde_json::json;

const DATASET: &str = "DanTestFil";
const EXPECTED: Expected<'static> = Expected::direct(DATASET, DAN_TEST.name, OTHER_COMPANY);

async fn file(kib: u32, more: &str) -> Call {
    let path = format!("directharvest/{DATASET}?subject={OTHER_COMPANY}&kib={kib}{more}");
    Consumer::of(DAN_TEST).await.call(Method::GET, &path)
}

/// What the source says itself.
async fn original(kib: u32) -> Answer {
    let url = format!(
        "{}/testdata/fil/{OTHER_COMPANY}?kib={kib}",
        subject().outside
    );
    Call::new(Method::GET, url).send().await.ok()
}

/// The proof of an answer, as a consumer gets it.
async fn proof_of(answer: &Answer, consumer: &Consumer) -> Answer {
    let release = answer.header("x-invocationid").unwrap();
    consumer.get(&format!("proofs/{release}")).await
}

#[tokio::test]
async fn a_large_answer_is_proven_behind_its_body_and_afterwards() {
    let _calm = calm().await;
    let kib = 3000;
    let call = file(kib, "").await.header("te", "trailers");
    let answer = call.send().await.ok();
    for name in ["content-length", "content-digest", "x-signature-jwt"] {
        assert!(answer.header(name).is_none(), "{name} in front");
    }
    let announced = answer.header("trailer").unwrap();
    assert_eq!(announced, "content-digest, x-signature-jwt");
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.header("vary"), Some("accept"));
    let claims = proven(&answer, &EXPECTED).await;
    let original = original(kib).await;
    assert_eq!(answer.body, original.body);
    assert_eq!(claims["source_digest"], sha256_hex(&original.body));
    assert_eq!(claims["media_type"], "application/octet-stream");
    let release = answer.header("x-invocationid").unwrap();
    let link = format!(
        "<{}/proofs/{release}>; rel=\"describedby\"; type=\"application/jwt\"",
        subject().public_url
    );
    assert_eq!(answer.header("link"), Some(&*link));
    let kept = proof_of(&answer, &Consumer::of(DAN_TEST).await).await.ok();
    assert_eq!(kept.header("content-type"), Some("application/jwt"));
    assert_eq!(kept.header("cache-control"), Some("private, no-store"));
    let signature = answer.proof("x-signature-jwt").unwrap();
    assert_eq!(kept.body, signature.as_bytes());
}

#[tokio::test]
async fn who_reads_no_trailers_gets_the_proof_afterwards() {
    let _calm = calm().await;
    let mut answer = file(500, "").await.send().await.ok();
    assert!(answer.trailers.is_empty());
    let kept = proof_of(&answer, &Consumer::of(DAN_TEST).await).await.ok();
    let signature = std::str::from_utf8(&kept.body).unwrap();
    answer
        .trailers
        .insert("x-signature-jwt", signature.parse().unwrap());
    let claims = dan_tests::proof::checked(signature, &dan_tests::proof::published_keys().await);
    assert_eq!(
        claims.unwrap()["SHA256PayloadDigest"],
        sha256_hex(&answer.body)
    );
}

#[tokio::test]
async fn a_proof_is_for_its_owner_and_for_nobody_else() {
    let _calm = calm().await;
    let answer = file(200, "").await.send().await.ok();
    let owner = Consumer::of(DAN_TEST).await;
    // The same organisation under another service is the same owner.
    for consumer in [&owner, &Consumer::of(EBEVIS).await] {
        proof_of(&answer, consumer).await.ok();
    }
    let others = [
        Consumer::of_owner(DAN_TEST, AGENCY).await,
        Consumer::anonymous(),
    ];
    for consumer in &others {
        let refused = proof_of(&answer, consumer).await;
        assert_eq!(refused.status.as_u16(), 404, "{}", refused.excerpt());
        assert_eq!(refused.media_type(), "application/problem+json");
        let unknown = consumer
            .get("proofs/00000000-0000-4000-8000-000000000000")
            .await;
        assert_eq!(unknown.status, refused.status);
        let detail = |answer: &Answer| {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["code"], 1014);
            body["detail"].clone()
        };
        assert_eq!(detail(&unknown), detail(&refused), "they can be told apart");
    }
    let scope = DAN_TEST.scope;
    let person = token(&format!("scopes={scope}&orgNo={OWNER}&pid={PERSON}")).await;
    let person = proof_of(&answer, &Consumer::with(DAN_TEST, &person)).await;
    assert_eq!(person.status.as_u16(), 403, "{}", person.excerpt());
    // Who presents something presents something valid.
    let unreadable = proof_of(&answer, &Consumer::with(DAN_TEST, "x")).await;
    assert_eq!(unreadable.status.as_u16(), 401, "{}", unreadable.excerpt());
    let keyless = proof_of(&answer, &owner.without_key()).await;
    assert_eq!(keyless.status.as_u16(), 401, "{}", keyless.excerpt());
}

#[tokio::test]
async fn a_small_answer_is_proven_in_front_and_has_no_proof_to_fetch() {
    let _calm = calm().await;
    for kib in [1, 64] {
        let answer = file(kib, "").await.send().await.ok();
        assert!(answer.header("trailer").is_none() && answer.header("link").is_none());
        let length = (kib * 1024).to_string();
        assert_eq!(answer.header("content-length"), Some(&*length));
        proven(&answer, &EXPECTED).await;
        let absent = proof_of(&answer, &Consumer::of(DAN_TEST).await).await;
        assert_eq!(absent.status.as_u16(), 404);
    }
    let answer = file(65, "")
        .await
        .header("te", "trailers")
        .send()
        .await
        .ok();
    assert!(answer.header("trailer").is_some());
    proven(&answer, &EXPECTED).await;
}

#[tokio::test]
async fn envelope_and_query_mean_nothing_to_bytes_however_they_leave() {
    let _calm = calm().await;
    let mut views = Vec::new();
    for more in ["", "&envelope=true", "&envelope=false&query=x"] {
        let answer = file(100, more)
            .await
            .header("te", "trailers")
            .send()
            .await
            .ok();
        assert_eq!(answer.body.len(), 100 * 1024);
        views.push(proven(&answer, &EXPECTED).await["view"].clone());
    }
    assert!(views.iter().all(|view| *view == views[0]));
}

#[tokio::test]
async fn a_source_that_breaks_off_is_never_taken_for_whole() {
    let world = alone().await;
    for te in ["trailers", ""] {
        let call = file(2000, "&slutt=brudd").await.header("te", te);
        let cut = call.try_send().await;
        assert!(cut.is_err(), "{}", cut.unwrap().excerpt());
    }
    // Before anything has left it is an error like any other.
    let early = file(20, "&slutt=brudd").await.send().await;
    early.refused(503, 3001);
    world
        .break_it(TEST_SOURCE, &json!({"drop": true, "times": 1}))
        .await;
    let early = file(2000, "").await.send().await;
    early.refused(503, 3001);
    world.mend().await;
}

#[tokio::test]
async fn one_signed_object_holds_eight_mib() {
    let _calm = calm().await;
    for media_type in ["application/jose", "application/cose"] {
        let answer = file(1000, "")
            .await
            .header("accept", media_type)
            .send()
            .await
            .ok();
        assert_eq!(answer.media_type(), media_type);
        let inside = self_contained(&answer).await;
        let original = original(1000).await;
        use base64::Engine as _;
        let evidence = base64::engine::general_purpose::STANDARD.encode(&original.body);
        assert_eq!(inside["evidence_base64"], evidence);
        assert_eq!(inside["SHA256PayloadDigest"], sha256_hex(&original.body));
        let larger = file(8 * 1024 + 1, "").await.header("accept", media_type);
        let refused = larger.send().await;
        refused.refused(406, 1014);
    }
}

#[tokio::test]
async fn http_1_0_has_no_end_and_therefore_no_stream() {
    let _calm = calm().await;
    let consumer = Consumer::of(DAN_TEST).await;
    let ask = async |kib: u32| {
        let (host, _) = dan_tests::client::split_url(&subject().api);
        let head = format!(
            "GET /v1/directharvest/{DATASET}?subject={OTHER_COMPANY}&kib={kib} HTTP/1.0\r\nhost: {host}\r\n\
             ocp-apim-subscription-key: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            subject().key(DAN_TEST.id),
            consumer.token(),
        );
        dan_tests::client::send_verbatim(&subject().api, &head).await
    };
    let answer = ask(1000).await.ok();
    assert_eq!(answer.header("content-length"), Some("1024000"));
    proven(&answer, &EXPECTED).await;
    ask(8 * 1024 + 1).await.refused(406, 1014);
}

#[tokio::test]
async fn what_is_not_acceptable_is_refused_before_anybody_is_asked() {
    let world = alone().await;
    world.forget_calls(TEST_SOURCE).await;
    let consumer = Consumer::of(DAN_TEST).await;
    let path = format!("directharvest/DanTestDokument?subject={OTHER_COMPANY}");
    for accept in ["image/png", "application/json;q=0, text/*", "*/*;q=0"] {
        let call = consumer.call(Method::GET, &path).header("accept", accept);
        call.send().await.refused(406, 1014);
    }
    assert!(world.calls(TEST_SOURCE).await.is_empty());
    for (accept, form) in [
        ("*/*", "application/json"),
        ("text/html, application/json;q=0.5", "application/json"),
        (
            "application/jose;q=0.5, application/json",
            "application/json",
        ),
        (
            "application/jose, application/json;q=0.5",
            "application/jose",
        ),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0, application/cose", "application/cose"),
    ] {
        let call = consumer.call(Method::GET, &path).header("accept", accept);
        let answer = call.send().await.ok();
        assert_eq!(answer.media_type(), form, "{accept}");
        assert_eq!(answer.header("vary"), Some("accept"));
    }
    // What a file is, is known once it is there.
    let answer = file(1, "").await.header("accept", "image/png").send().await;
    proven(&answer.ok(), &EXPECTED).await;
}
