//! Tokens: the endpoint that clients get theirs from (checks 76–78), the generator for tests (79), and whom a token
//! may stand for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dan_tests::client::{Answer, Call};
use dan_tests::consumer::{
    COMPANY, Consumer, DIHE, EBEVIS, OWNER, PERSON, STRANGER, application_with, token,
};
use dan_tests::subject::subject;
use dan_tests::world::calm;
use http::Method;
use serde_json::{Value, json};

/// What is known of the fake identity provider.
async fn discovery() -> Value {
    let url = format!(
        "{}/.well-known/oauth-authorization-server",
        subject().outside
    );
    Call::new(Method::GET, url).send().await.ok().json()
}

/// Sends a JWT grant. Nobody there knows the client, so any signature is as good as another.
async fn grant(header: &Value, aud: &str, lifetime: i64) -> Answer {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "aud": aud, "iss": "conformance", "scope": "altinn:dataaltinnno", "jti": "1",
        "iat": now, "exp": now + lifetime,
    });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let assertion = format!("{}.{}.c2ln", encode(header), encode(&claims));
    let body = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
    );
    let endpoint = discovery().await["token_endpoint"].clone();
    Call::new(Method::POST, endpoint.as_str().expect("an address"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
}

async fn issuer() -> String {
    let issuer = discovery().await["issuer"].clone();
    issuer.as_str().expect("a name").to_owned()
}

/// An error of RFC 6749 §5.2.
fn assert_oauth_error(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.excerpt());
    let body = answer.json();
    for name in ["error", "error_description"] {
        let text = body[name].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{body}");
    }
}

#[tokio::test]
async fn check_76_a_grant_names_its_key_in_three_ways() {
    let _calm = calm().await;
    for header in [
        json!({"alg": "RS256", "kid": "key-1"}),
        json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}),
        json!({"alg": "RS256", "x5c": ["MIIBCg=="]}),
    ] {
        let answer = grant(&header, &issuer().await, 60).await.ok().json();
        assert!(answer["access_token"].is_string(), "{answer}");
        assert!(answer["expires_in"].is_u64(), "{answer}");
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!(answer["scope"], "altinn:dataaltinnno");
    }
}

#[tokio::test]
async fn check_77_an_assertion_lives_two_minutes_at_most() {
    let _calm = calm().await;
    let header = json!({"alg": "RS256", "kid": "key-1"});
    let issuer = issuer().await;
    for lifetime in [10, 60, 120] {
        grant(&header, &issuer, lifetime).await.ok();
    }
    for lifetime in [121, 3600, 0, -1] {
        assert_oauth_error(&grant(&header, &issuer, lifetime).await);
    }
}

#[tokio::test]
async fn check_78_the_audience_is_the_issuer_with_its_slash() {
    let _calm = calm().await;
    let header = json!({"alg": "RS256", "kid": "key-1"});
    let issuer = issuer().await;
    assert!(issuer.ends_with('/'));
    grant(&header, &issuer, 60).await.ok();
    for other in [issuer.trim_end_matches('/'), "https://maskinporten.no/"] {
        assert_oauth_error(&grant(&header, other, 60).await);
    }
}

#[tokio::test]
async fn check_79_the_body_is_the_bare_token() {
    let url = format!(
        "{}/api/GetEnterpriseToken?env=tt02&scopes=a%20b&org=digdir&orgNo={OWNER}",
        subject().outside
    );
    let answer = Call::new(Method::GET, url)
        .header("authorization", "Basic dXNlcjpwYXNzd29yZA==")
        .send()
        .await
        .ok();
    let token = std::str::from_utf8(&answer.body).expect("text");
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["scope"], "a b");
    assert_eq!(claims["consumer"]["authority"], "iso6523-actorid-upis");
    assert_eq!(claims["consumer"]["ID"], format!("0192:{OWNER}"));
}

#[tokio::test]
async fn what_the_generator_does_not_know_changes_nothing() {
    let url = format!(
        "{}/api/GetEnterpriseToken?scopes=a&suplier=1",
        subject().outside
    );
    let answer = Call::new(Method::GET, url).send().await;
    let body = String::from_utf8(answer.ok().body.to_vec()).unwrap();
    assert_eq!(body.split('.').count(), 3, "a bare token");
}

#[tokio::test]
async fn a_supplier_needs_a_source_of_its_delegation_that_is_trusted() {
    let base = format!("orgNo={OWNER}&scopes={}", EBEVIS.scope);
    let ask = async |more: &str| {
        let token = token(&format!("{base}&{more}")).await;
        Consumer::with(EBEVIS, &token).get("accreditations").await
    };
    let delegated = format!("supplier={COMPANY}&delegation_source=");
    ask(&delegated).await.ok();
    for untrusted in [
        format!("supplier={COMPANY}"),
        format!("{delegated}https://elsewhere.example/"),
    ] {
        ask(&untrusted).await.refused(401, 1024);
    }
}

/// What the vendor's machine gets is the owner's, and the vendor itself sees nothing of it.
#[tokio::test]
async fn a_system_user_is_its_owners() {
    let scopes = format!("scopes={}", EBEVIS.scope);
    let user = token(&format!(
        "{scopes}&orgNo={COMPANY}&systemuser=&systemuser_org={STRANGER}"
    ))
    .await;
    let wanted = application_with("UnitBasicInformation", json!({"requestor": STRANGER}));
    let granted = Consumer::with(EBEVIS, &user).apply(&wanted).await;
    let id = granted.ok().json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("accreditations/{id}");
    let vendor = Consumer::of_owner(EBEVIS, COMPANY).await;
    vendor.delete(&path).await.refused(404, 1002);
    let owner = Consumer::of_owner(EBEVIS, STRANGER).await;
    assert_eq!(owner.delete(&path).await.status, 204);
    for wrong in [
        "systemuser=x",
        "systemuser=&supplier=974760673&delegation_source=",
        "claim.authorization_details=[]",
    ] {
        let token = token(&format!("{scopes}&orgNo={OWNER}&{wrong}")).await;
        let list = Consumer::with(EBEVIS, &token).get("accreditations").await;
        list.refused(401, 1024);
    }
}

#[tokio::test]
async fn a_token_of_a_person_is_good_for_that_person_only() {
    let _calm = calm().await;
    let scopes = format!("scopes={}&orgNo={OWNER}", DIHE.scope);
    let token = token(&format!("{scopes}&pid={PERSON}")).await;
    let person = Consumer::with(DIHE, &token);
    let path = "directharvest/FregPerson?tokenOnBehalfOfOwner=true";
    person.post(path, &json!({"subject": PERSON})).await.ok();
    let other = "03065001488";
    let refused = person.post(path, &json!({"subject": other})).await;
    refused.refused(403, 1019);
    assert!(!refused.excerpt().contains(PERSON));
    person.get("accreditations").await.refused(403, 1019);

    let wanted = application_with("FregPerson", json!({"subject": other}));
    let whole = Consumer::of(DIHE).await;
    let apply = "authorization?tokenOnBehalfOfOwner=true";
    let id = whole.post(apply, &wanted).await.ok().json()["id"].clone();
    let id = id.as_str().expect("an id");
    person.post(apply, &wanted).await.refused(403, 1019);
    for path in [
        format!("evidence/{id}"),
        format!("evidence/{id}/FregPerson?tokenOnBehalfOfOwner=true"),
    ] {
        person.get(&path).await.refused(403, 1019);
    }
    whole.get(&format!("evidence/{id}")).await.ok();
    let path = format!("accreditations/{id}");
    person.delete(&path).await.refused(403, 1019);
    whole.delete(&path).await;
}

#[tokio::test]
async fn claims_that_are_not_met_are_401_1024() {
    let base = format!("orgNo={OWNER}&scopes={}", EBEVIS.scope);
    for wrong in [
        "nbf=60",
        "iat=60",
        "exp=3700",
        "iat=-3600",
        "cnf=thumbprint",
        "typ=JOSE",
        "header.crit=[]",
        "without=aud",
        "without=consumer",
        "pid=07056120454",
        "claim.exp=soon",
        "kid=../../x",
    ] {
        let token = token(&format!("{base}&{wrong}")).await;
        let list = Consumer::with(EBEVIS, &token).get("accreditations").await;
        assert_eq!(list.status, 401, "{wrong}");
        list.refused(401, 1024);
    }
}
