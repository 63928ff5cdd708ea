//! Sources with an authorization server of their own.

use dan_core::ports::{FetchError, SourceFailure};
use serde_json::json;

use super::kept::Node;
use super::{Outside, Reply, call, definition_with};

const SOURCE: &str = "address = \"https://reg.example/api\"\n[credential.oauth2]\ntoken_endpoint = \"{setting.reg}/token\"\nclient = \"secret:key\"\nscope = \"a:b\"\n";

fn found() -> (&'static str, Reply) {
    ("/units/991825827", Reply::Json(json!({"navn": "Fjord AS"})))
}

#[tokio::test]
async fn a_token_is_got_once_sent_and_renewed_before_it_expires() {
    let definition = definition_with(&call("get = \"/units/{subject.org}\""), SOURCE, &[]);
    let token =
        Reply::Json(json!({"access_token": "t0k3n", "token_type": "Bearer", "expires_in": 60}));
    let node = Node::new(Outside::new([("/token", token), found()]));
    for (ms, asked) in [(0, 2), (29_999, 3), (1, 5)] {
        node.clock.advance_ms(ms);
        node.harvest(&definition, "974760673")
            .await
            .expect("an answer");
        assert_eq!(node.outside.urls().len(), asked);
    }
    let asked = node.outside.asked.lock().expect("no panic");
    let sent = |at: usize| {
        asked[at]
            .authorization
            .as_ref()
            .map(|secret| secret.expose().to_owned())
    };
    assert_eq!(sent(0).as_deref(), Some("Basic czNjcmV0Ong="));
    let (_, form) = asked[0].body.clone().expect("a form");
    assert_eq!(&form[..], b"grant_type=client_credentials&scope=a%3Ab");
    assert_eq!(sent(1).as_deref(), Some("Bearer t0k3n"));
    assert!(!format!("{:?}", asked[1]).contains("t0k3n"));
}

#[tokio::test]
async fn without_a_token_the_source_is_not_asked() {
    let definition = definition_with(&call("get = \"/units/{subject.org}\""), SOURCE, &[]);
    for reply in [
        Reply::Fails(FetchError::Timeout),
        Reply::Raw(
            401,
            Some("application/json"),
            b"{\"error\":\"invalid_client\"}".to_vec(),
        ),
        Reply::Json(json!({"access_token": "a\r\nb", "expires_in": 60})),
    ] {
        let node = Node::new(Outside::new([("/token", reply), found()]));
        let error = node
            .harvest(&definition, "974760673")
            .await
            .expect_err("no token");
        assert_eq!(error.failure, SourceFailure::Unreachable);
        let text = error.text.expect("words");
        assert_eq!(
            text,
            "there is no token for the source: the authorization server of reg gives none"
        );
        assert_eq!(node.outside.urls(), ["https://reg.example/api/token"]);
    }
}
