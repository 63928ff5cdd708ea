//! A token of Maskinporten's kind: what its signature costs by itself, verified by the TLS library with a parsed
//! key, and what taking the token costs, the first time and again.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use dan_auth::{AuthConfig, Bearer, IssuerConfig};
use dan_core::ports::{
    Authenticator as _, CallContext, Clock, Credentials, Fetch, FetchError, FetchReply,
    FetchRequest, PortFuture,
};
use dan_core::secret::Secret;
use dan_core::testkit::fakes::{START, StillClock, call_context};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const ISSUER: &str = "https://maskinporten.example/";
const AUDIENCE: &str = "https://dan.example";
/// Rounds of the comparison, each of [`USES`] uses; the best of each counts.
const ROUNDS: u32 = 60;
const USES: u32 = 500;

/// Answers with the two documents of one issuer.
struct Documents {
    keys: String,
}

impl Fetch for Documents {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        let body = if request.url.ends_with("/jwk") {
            self.keys.clone()
        } else {
            json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}jwk")}).to_string()
        };
        Box::pin(std::future::ready(Ok(FetchReply {
            status: 200,
            media_type: None,
            retry_after_s: None,
            body: Bytes::from(body),
        })))
    }
}

struct Token {
    text: String,
    signature: Vec<u8>,
}

/// Tokens of one issuer, as long as those of Maskinporten are: about 900 bytes.
fn tokens_of(count: u32) -> Option<(KeyPair, Vec<Token>)> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let tokens: Option<Vec<Token>> = (0..count).map(|number| token(&pair, number)).collect();
    Some((pair, tokens?))
}

fn token(pair: &KeyPair, number: u32) -> Option<Token> {
    let now = START.as_seconds();
    let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let header = encode(json!({"kid": "bFJ5Mm1wLXByb2QtMjAyNi0wMQ", "alg": "RS256"}));
    let claims = encode(json!({
        "iss": ISSUER, "aud": AUDIENCE, "client_amr": "private_key_jwt", "token_type": "Bearer",
        "scope": "altinn:dataaltinnno altinn:dataaltinnno/ebevis", "iat": now, "exp": now + 120,
        "client_id": "5f3c1d2e-7a8b-4c9d-8e0f-1a2b3c4d5e6f", "jti": format!("kq0L3nq8y1T4uH0c2pB7dQ6fX{number:07}"),
        "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:991825827"},
    }));
    let signed = format!("{header}.{claims}");
    let mut signature = vec![0; pair.public_modulus_len()];
    let random = SystemRandom::new();
    pair.sign(
        &RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut signature,
    )
    .ok()?;
    Some(Token {
        text: format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature)),
        signature,
    })
}

fn node(pair: &KeyPair, remember_tokens: bool) -> Option<Bearer> {
    let public = pair.public_key();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let keys = json!({"keys": [{
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bFJ5Mm1wLXByb2QtMjAyNi0wMQ",
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
    }]});
    let config = AuthConfig {
        issuers: vec![IssuerConfig {
            name: "maskinporten".to_owned(),
            discovery: format!("{ISSUER}metadata"),
            audience: Some(AUDIENCE.to_owned()),
            remember_tokens,
            ..IssuerConfig::default()
        }],
    };
    let fetch: Arc<dyn Fetch> = Arc::new(Documents {
        keys: keys.to_string(),
    });
    let clock: Arc<dyn Clock> = Arc::new(StillClock::default());
    Bearer::new(config, &fetch, &clock).ok()
}

fn best(mut used: impl FnMut() -> bool) -> Duration {
    let mut round = || {
        let begun = Instant::now();
        for _ in 0..USES {
            assert!(black_box(used()), "the token is good");
        }
        begun.elapsed() / USES
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

/// The best of some rounds over tokens that a node sees for the first time each, all of them remembered.
fn first_uses(
    runtime: &Runtime,
    pair: &KeyPair,
    tokens: &[Credentials],
    ctx: &CallContext,
) -> Option<Duration> {
    let (first, others) = tokens.split_first()?;
    let count = u32::try_from(others.len()).ok()?;
    let round = || {
        let node = node(pair, true)?;
        let key_fetched = matches!(runtime.block_on(node.authenticate(first, ctx)), Ok(Some(_)));
        let begun = Instant::now();
        let taken = others
            .iter()
            .all(|token| is_taken_at_once(node.authenticate(token, ctx)));
        let spent = begun.elapsed();
        (key_fetched && taken).then_some(spent / count)
    };
    (0..ROUNDS).filter_map(|_| round()).min()
}

fn presented(token: &Token) -> Credentials {
    Credentials {
        api_key: None,
        bearer: Some(Arc::new(Secret::new(token.text.clone()))),
        certificate: None,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    }
}

fn tokens(criterion: &mut Criterion) {
    let Some((pair, tokens)) = tokens_of(USES) else {
        return;
    };
    let (Some(cold), Some(warm)) = (node(&pair, false), node(&pair, true)) else {
        return;
    };
    let all: Vec<Credentials> = tokens.iter().map(presented).collect();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    else {
        return;
    };
    let public = pair.public_key().as_ref();
    let Ok(key) = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public) else {
        return;
    };
    let (Some(token), Some(credentials)) = (tokens.first(), all.first()) else {
        return;
    };
    let Some((signed, _)) = token.text.rsplit_once('.') else {
        return;
    };
    let raw = || {
        let (message, signature) = (black_box(signed.as_bytes()), black_box(&token.signature));
        key.verify_sig(message, signature).is_ok()
    };
    let ctx = runtime.block_on(async { call_context() });
    let taken = |node: &Bearer| is_taken_at_once(node.authenticate(credentials, &ctx));
    // The first use fetches the keys.
    for node in [&cold, &warm] {
        assert!(matches!(
            runtime.block_on(node.authenticate(credentials, &ctx)),
            Ok(Some(_))
        ));
    }
    criterion.bench_function("token/rsa-2048 alone", |bencher| bencher.iter(raw));
    criterion.bench_function("token/taken", |bencher| bencher.iter(|| taken(&cold)));
    criterion.bench_function("token/remembered", |bencher| bencher.iter(|| taken(&warm)));
    // As a test it has shown that it runs; the comparison takes its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let first = first_uses(&runtime, &pair, &all, &ctx).unwrap_or_default();
    let (raw, cold, warm) = (best(raw), best(|| taken(&cold)), best(|| taken(&warm)));
    let ratio = |one: Duration| one.as_secs_f64() / raw.as_secs_f64();
    println!(
        "token: rsa-2048 alone {raw:?}; taken {cold:?} ({:.2} of it); taken and remembered {first:?} ({:.2}); \
         remembered {warm:?} ({:.2})",
        ratio(cold),
        ratio(first),
        ratio(warm)
    );
}

/// Polls a proof that has nothing to wait for.
fn is_taken_at_once<T, E>(mut proof: PortFuture<'_, Result<Option<T>, E>>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    matches!(
        proof.as_mut().poll(&mut context),
        std::task::Poll::Ready(Ok(Some(_)))
    )
}

criterion_group!(benches, tokens);
criterion_main!(benches);
