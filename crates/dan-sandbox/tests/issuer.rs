//! The identity provider: what it publishes, the tokens it gives, and the lies it tells when asked.

#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RsaParameters,
        RsaPublicKeyComponents, UnparsedPublicKey,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::world::{AUDIENCE, Answer, NOW, get, send, world};

    const GENERATOR: &str = "/api/GetEnterpriseToken";

    struct Token {
        header: Value,
        claims: Value,
        signed: String,
        signature: Vec<u8>,
    }

    fn decode(part: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(part).unwrap()
    }

    fn taken_apart(token: &str) -> Token {
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3, "{token}");
        Token {
            header: serde_json::from_slice(&decode(parts[0])).unwrap(),
            claims: serde_json::from_slice(&decode(parts[1])).unwrap(),
            signed: format!("{}.{}", parts[0], parts[1]),
            signature: decode(parts[2]),
        }
    }

    async fn generated(to: SocketAddr, query: &str) -> Token {
        let answer = get(to, &format!("{GENERATOR}?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert!(answer.has("content-type: text/plain; charset=utf-8"));
        taken_apart(answer.text())
    }

    async fn published(to: SocketAddr) -> Vec<Value> {
        get(to, "/jwk").await.json()["keys"]
            .as_array()
            .unwrap()
            .clone()
    }

    fn text<'a>(key: &'a Value, name: &str) -> &'a str {
        key[name].as_str().unwrap()
    }

    fn verifies(token: &Token, key: &Value, algorithm: &'static RsaParameters) -> bool {
        let numbers = RsaPublicKeyComponents {
            n: decode(text(key, "n")),
            e: decode(text(key, "e")),
        };
        numbers
            .verify(algorithm, token.signed.as_bytes(), &token.signature)
            .is_ok()
    }

    #[tokio::test]
    async fn discovery_names_its_own_addresses_and_an_issuer_with_a_slash() {
        let world = world().await;
        let base = world.base_url();
        let document = get(world.address, "/.well-known/oauth-authorization-server")
            .await
            .json();
        assert_eq!(document["issuer"], format!("{base}/"));
        assert_eq!(document["issuer"], world.issuer());
        assert_eq!(document["jwks_uri"], format!("{base}/jwk"));
        assert_eq!(document["token_endpoint"], world.token_url());
        assert_eq!(
            document["grant_types_supported"],
            json!(["urn:ietf:params:oauth:grant-type:jwt-bearer"])
        );
        assert_eq!(
            world.issuer_discovery_url(),
            format!("{base}/.well-known/oauth-authorization-server")
        );
        world.stop().await;
    }

    #[tokio::test]
    async fn an_honest_token_verifies_with_the_published_key_and_says_who_it_is_for() {
        let world = world().await;
        let keys = published(world.address).await;
        assert_eq!(text(&keys[0], "kty"), "RSA");
        assert_eq!(text(&keys[0], "alg"), "RS256");
        assert_eq!(text(&keys[0], "e"), "AQAB");
        assert_eq!(decode(text(&keys[0], "n")).len(), 256);
        let token = generated(
            world.address,
            "env=tt02&scopes=altinn:dataaltinnno/ebevis,dan:test&org=x&orgNo=974760673&suplier=991825827",
        )
        .await;
        assert!(verifies(&token, &keys[0], &RSA_PKCS1_2048_8192_SHA256));
        assert_eq!(
            token.header,
            json!({"alg": "RS256", "typ": "JWT", "kid": keys[0]["kid"]})
        );
        let claims = &token.claims;
        assert_eq!(claims["iss"], world.issuer());
        assert_eq!(claims["aud"], AUDIENCE);
        assert_eq!(claims["iat"], NOW);
        assert_eq!(claims["exp"], NOW + 600);
        assert_eq!(claims["scope"], "altinn:dataaltinnno/ebevis dan:test");
        assert_eq!(
            claims["consumer"],
            json!({"authority": "iso6523-actorid-upis", "ID": "0192:974760673"})
        );
        assert!(!text(claims, "jti").is_empty() && !text(claims, "client_id").is_empty());
        assert!(claims.get("supplier").is_none() && claims.get("pid").is_none());
        let other = generated(world.address, "scopes=").await;
        assert_ne!(other.claims["jti"], claims["jti"]);
        assert_eq!(other.claims["consumer"]["ID"], "0192:991825827");
        assert_eq!(other.claims["scope"], "");
    }

    #[tokio::test]
    async fn scopes_come_with_space_plus_or_comma_and_null_brings_ebevis() {
        let world = world().await;
        for (scopes, expected) in [
            ("a%20b", "a b"),
            ("a+b", "a b"),
            ("a,b", "a b"),
            (
                "altinn:dataaltinnno/null",
                "altinn:dataaltinnno/null altinn:dataaltinnno/ebevis",
            ),
        ] {
            let token = generated(world.address, &format!("scopes={scopes}")).await;
            assert_eq!(token.claims["scope"], expected);
        }
    }

    #[tokio::test]
    async fn the_second_published_key_signs_when_it_is_asked_for() {
        let world = world().await;
        let keys = published(world.address).await;
        let token = generated(world.address, "scopes=a&key=ec").await;
        assert_eq!(token.header["alg"], "ES256");
        assert_eq!(token.header["kid"], keys[1]["kid"]);
        let mut point = vec![4];
        point.extend(decode(text(&keys[1], "x")));
        point.extend(decode(text(&keys[1], "y")));
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .verify(token.signed.as_bytes(), &token.signature)
            .unwrap();
    }

    #[tokio::test]
    async fn claims_lie_as_they_are_told_to() {
        let world = world().await;
        let lie = |query: &'static str| generated(world.address, query);
        let token = lie("scopes=a&iss=https://evil/&aud=other&pid=07056120453").await;
        assert_eq!(token.claims["iss"], "https://evil/");
        assert_eq!(token.claims["aud"], "other");
        assert_eq!(token.claims["pid"], "07056120453");
        let token = lie("scopes=a&supplier=992037601&orgNo=12%2034").await;
        assert_eq!(token.claims["supplier"]["ID"], "0192:992037601");
        assert_eq!(token.claims["consumer"]["ID"], "0192:12 34");
        let token = lie("scopes=a&exp=-31").await;
        assert_eq!(token.claims["exp"], NOW - 31);
        assert_eq!(token.claims["iat"], NOW - 631);
        let token = lie("scopes=a&exp=7200").await;
        assert_eq!(token.claims["exp"], NOW + 7200);
        assert_eq!(token.claims["iat"], NOW);
    }

    #[tokio::test]
    async fn the_algorithm_lies_beside_the_key_id_of_the_rsa_key() {
        let world = world().await;
        let keys = published(world.address).await;
        for (alg, length) in [
            ("none", 0),
            ("nOnE", 0),
            ("HS256", 32),
            ("HS512", 64),
            ("ES256", 64),
            ("RS1", 256),
            ("", 256),
        ] {
            let token = generated(world.address, &format!("scopes=a&alg={alg}")).await;
            assert_eq!(token.header["alg"], alg);
            assert_eq!(token.header["kid"], keys[0]["kid"]);
            assert_eq!(token.signature.len(), length, "{alg}");
        }
        for (alg, algorithm) in [
            ("RS256", &RSA_PKCS1_2048_8192_SHA256),
            ("RS384", &RSA_PKCS1_2048_8192_SHA384),
            ("RS512", &RSA_PKCS1_2048_8192_SHA512),
            ("PS256", &RSA_PSS_2048_8192_SHA256),
        ] {
            let token = generated(world.address, &format!("scopes=a&alg={alg}")).await;
            assert_eq!(token.header["alg"], alg);
            assert!(verifies(&token, &keys[0], algorithm), "{alg}");
        }
    }

    #[tokio::test]
    async fn an_unknown_key_is_not_published_and_signs_nothing_that_verifies() {
        let world = world().await;
        let keys = published(world.address).await;
        let token = generated(world.address, "scopes=a&key=unknown").await;
        assert!(keys.iter().all(|key| key["kid"] != token.header["kid"]));
        assert!(!verifies(&token, &keys[0], &RSA_PKCS1_2048_8192_SHA256));
        assert_eq!(token.signature.len(), 256);
        let again = generated(world.address, "scopes=a&key=unknown").await;
        assert_eq!(again.header["kid"], token.header["kid"]);
    }

    #[tokio::test]
    async fn keys_are_rotated_and_the_old_ones_stay_until_they_are_dropped() {
        let world = world().await;
        let rotate = |method: &'static str, query: &'static str| async move {
            let head = format!("{method} /control/issuer/rotate{query}");
            send(world.address, &head, b"").await.unwrap()
        };
        let first = generated(world.address, "scopes=a").await;
        let answer = rotate("POST", "").await;
        assert_eq!(answer.status, 200);
        let second = generated(world.address, "scopes=a").await;
        assert_eq!(second.header["kid"], answer.json()["kid"]);
        assert_ne!(second.header["kid"], first.header["kid"]);
        let keys = published(world.address).await;
        assert_eq!(keys.len(), 4);
        assert!(verifies(&second, &keys[0], &RSA_PKCS1_2048_8192_SHA256));
        assert!(verifies(&first, &keys[2], &RSA_PKCS1_2048_8192_SHA256));
        assert_eq!(rotate("PUT", "?drop=true").await.status, 200);
        assert_eq!(published(world.address).await.len(), 2);
        assert_eq!(rotate("POST", "?drop=maybe").await.status, 400);
        assert_eq!(rotate("GET", "").await.status, 405);
        world.stop().await;
    }

    #[tokio::test]
    async fn any_basic_credentials_will_do_and_no_others() {
        let world = world().await;
        let asked = |credentials: &'static str| async move {
            let head = format!("GET {GENERATOR}?scopes=a{credentials}");
            send(world.address, &head, b"").await.unwrap()
        };
        assert_eq!(asked("").await.status, 200);
        assert_eq!(asked("\nauthorization: Basic dTpw\nx: y").await.status, 200);
        assert_eq!(asked("\nauthorization: basic").await.status, 200);
        let refused = asked("\nauthorization: Bearer x").await;
        assert_eq!(refused.status, 401);
        assert!(refused.has("www-authenticate: Basic"));
    }

    #[tokio::test]
    async fn the_generator_refuses_what_it_cannot_understand() {
        let world = world().await;
        for query in [
            "",
            "orgNo=991825827",
            "scopes=a&exp=soon",
            "scopes=a&exp=1.5",
            "scopes=a&exp=99999999999999999999",
            "scopes=a&key=mine",
            "scopes=%zz",
        ] {
            let answer = get(world.address, &format!("{GENERATOR}?{query}")).await;
            assert_eq!(answer.status, 400, "{query}");
            assert_eq!(answer.json()["error"], "invalid_request", "{query}");
        }
        let posted = send(world.address, &format!("POST {GENERATOR}?scopes=a"), b"").await;
        assert_eq!(posted.unwrap().status, 405);
    }

    fn assertion(claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": "k1"});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}.c2ln", encode(&header), encode(claims))
    }

    async fn post_token(to: SocketAddr, media_type: &str, body: &str) -> Answer {
        let head = format!("POST /token\ncontent-type: {media_type}");
        send(to, &head, body.as_bytes()).await.unwrap()
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
    const JWT_GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";

    #[tokio::test]
    async fn a_grant_becomes_a_token_for_the_client_or_whom_it_acts_for() {
        let world = world().await;
        let keys = published(world.address).await;
        let mut claims = json!({
            "aud": world.issuer(), "iss": "client-7", "scope": "x:y z",
            "iat": NOW, "exp": NOW + 60, "jti": "1",
        });
        let body = format!("grant_type={JWT_GRANT}&assertion={}", assertion(&claims));
        let answer = post_token(world.address, FORM, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!(answer["expires_in"], 600);
        assert_eq!(answer["scope"], "x:y z");
        let token = taken_apart(text(&answer, "access_token"));
        assert!(verifies(&token, &keys[0], &RSA_PKCS1_2048_8192_SHA256));
        assert_eq!(token.claims["client_id"], "client-7");
        assert_eq!(token.claims["consumer"]["ID"], "0192:991825827");
        assert_eq!(token.claims["aud"], AUDIENCE);
        assert!(token.claims.get("supplier").is_none());

        claims["consumer_org"] = json!("974760673");
        claims["resource"] = json!("https://source.example");
        let body = format!("grant_type={JWT_GRANT}&assertion={}", assertion(&claims));
        let answer = post_token(world.address, FORM, &body).await.json();
        let token = taken_apart(text(&answer, "access_token"));
        assert_eq!(token.claims["consumer"]["ID"], "0192:974760673");
        assert_eq!(token.claims["supplier"]["ID"], "0192:991825827");
        assert!(token.claims["delegation_source"].is_string());
        assert_eq!(token.claims["delegation_source"], world.delegation_source());
        assert_eq!(token.claims["aud"], "https://source.example");

        claims["consumer_org"] = Value::Null;
        let owner = json!({"authority": "iso6523-actorid-upis", "ID": "0192:974760673"});
        claims["authorization_details"] =
            json!([{"type": "urn:altinn:systemuser", "systemuser_org": owner}]);
        let body = format!("grant_type={JWT_GRANT}&assertion={}", assertion(&claims));
        let answer = post_token(world.address, FORM, &body).await.json();
        let token = taken_apart(text(&answer, "access_token"));
        let details = &token.claims["authorization_details"][0];
        assert_eq!(details["systemuser_org"], owner);
        assert_eq!(token.claims["consumer"]["ID"], "0192:991825827");
    }

    #[tokio::test]
    async fn a_grant_that_is_not_one_is_refused_with_an_oauth_error() {
        let world = world().await;
        let claims = json!({
            "aud": world.base_url(), "iss": "c", "scope": "x", "iat": NOW, "exp": NOW + 60,
        });
        let assertion = assertion(&claims);
        let form = |grant: &str| format!("grant_type={grant}&assertion={assertion}");
        for (media_type, body, error) in [
            (FORM, form(JWT_GRANT), "invalid_grant"),
            (FORM, form("client_credentials"), "unsupported_grant_type"),
            (FORM, String::new(), "unsupported_grant_type"),
            (FORM, format!("grant_type={JWT_GRANT}"), "invalid_request"),
            (FORM, "grant_type=%zz".to_owned(), "invalid_request"),
            ("application/json", form(JWT_GRANT), "invalid_request"),
        ] {
            let answer = post_token(world.address, media_type, &body).await;
            assert_eq!(answer.status, 400, "{body}");
            let answer = answer.json();
            assert_eq!(answer["error"], error, "{body}");
            assert!(answer["error_description"].is_string(), "{body}");
        }
        assert_eq!(get(world.address, "/token").await.status, 405);
        let posted = send(world.address, "POST /jwk", b"").await.unwrap();
        assert_eq!(posted.status, 405);
        assert!(posted.has("allow: GET, HEAD"));
    }
}
