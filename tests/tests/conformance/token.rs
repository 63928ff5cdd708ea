//! The token generator of the outside world: check 79. (76–78 are about Maskinporten's own endpoint.)

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dan_tests::client::Call;
use dan_tests::consumer::OWNER;
use dan_tests::subject::subject;
use http::Method;
use serde_json::Value;

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
