//! A make-believe issuer: signs tokens, and answers for its documents in the ways the world does.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dan_auth::{AuthConfig, Bearer, IssuerConfig};
use dan_core::caller::Proof;
use dan_core::ports::{
    AuthError, Authenticator as _, CallContext, Clock, Credentials, Fetch, FetchError, FetchReply,
    FetchRequest, PortFuture,
};
use dan_core::secret::Secret;
use dan_core::testkit::fakes::{START, StillClock, call_context};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

pub(crate) const AUDIENCE: &str = "https://dan.example";
pub(crate) const CONSUMER: &str = "991825827";

static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// The second the tests start at.
pub(crate) fn now_s() -> i64 {
    START.as_seconds()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key of a make-believe issuer, or of an attacker.
pub(crate) enum Key {
    Es256(Box<SigningKey>),
    Rs(&'static dyn RsaEncoding),
}

impl Key {
    pub(crate) fn ec(seed: u8) -> Self {
        Self::Es256(Box::new(SigningKey::from_slice(&[seed; 32]).unwrap()))
    }

    pub(crate) fn rsa() -> Self {
        Self::Rs(&RSA_PKCS1_SHA256)
    }

    pub(crate) fn sign(&self, message: &str) -> Vec<u8> {
        match self {
            Self::Es256(key) => {
                let signature: Signature = key.sign(message.as_bytes());
                signature.to_bytes().to_vec()
            }
            Self::Rs(encoding) => {
                let mut signature = vec![0; RSA.public_modulus_len()];
                let random = aws_lc_rs::rand::SystemRandom::new();
                RSA.sign(*encoding, &random, message.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    pub(crate) fn public(&self, kid: &str) -> Value {
        match self {
            Self::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid,
                       "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Self::Rs(_) => {
                let (n, e) = rsa_numbers();
                json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid,
                       "n": b64(n), "e": b64(e)})
            }
        }
    }
}

/// DER of the RSA public key (`RSAPublicKey`): something an attacker has.
pub(crate) fn rsa_der() -> &'static [u8] {
    RSA.public_key().as_ref()
}

/// Modulus and exponent: `30 82 ll ll  02 82 01 01 00 <n>  02 03 <e>`.
fn rsa_numbers() -> (&'static [u8], &'static [u8]) {
    let der = rsa_der();
    assert_eq!((der[4], der[8], der.len()), (2, 0, 270));
    (&der[9..265], &der[267..])
}

/// A token of any shape, signed over the very bytes given.
pub(crate) fn signed(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, key: &Key) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = b64(key.sign(&input));
    format!("{input}.{signature}")
}

/// Claims that are good in every way.
pub(crate) fn claims(issuer: &str) -> Map<String, Value> {
    let claims = json!({
        "iss": issuer,
        "aud": AUDIENCE,
        "iat": now_s(),
        "exp": now_s().saturating_add(120),
        "jti": "1",
        "scope": "altinn:dataaltinnno/ebevis",
        "consumer": {"authority": "iso6523-actorid-upis", "ID": format!("0192:{CONSUMER}")},
    });
    claims.as_object().unwrap().clone()
}

/// How the issuer answers.
#[derive(Clone)]
pub(crate) enum Mood {
    Well,
    Down,
    Silent,
    SilentMetadata,
    /// Answers once it is told to.
    Held(Arc<Notify>),
    Status(u16),
    Metadata(String),
    KeySet(String),
}

/// One issuer. It counts what it is asked for.
pub(crate) struct FakeIssuer {
    host: &'static str,
    name: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    mood: Mutex<Mood>,
    metadata_calls: AtomicUsize,
    key_set_calls: AtomicUsize,
}

impl FakeIssuer {
    pub(crate) fn new(host: &'static str, keys: Vec<Value>) -> Arc<Self> {
        Arc::new(Self {
            host,
            name: Mutex::new(format!("https://{host}/")),
            keys: Mutex::new(keys),
            mood: Mutex::new(Mood::Well),
            metadata_calls: AtomicUsize::new(0),
            key_set_calls: AtomicUsize::new(0),
        })
    }

    pub(crate) fn name(&self) -> String {
        self.name.lock().unwrap().clone()
    }

    pub(crate) fn rename(&self, name: &str) {
        name.clone_into(&mut self.name.lock().unwrap());
    }

    pub(crate) fn publish(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    pub(crate) fn become_(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Calls for metadata and for keys so far.
    pub(crate) fn calls(&self) -> (usize, usize) {
        (
            self.metadata_calls.load(Ordering::SeqCst),
            self.key_set_calls.load(Ordering::SeqCst),
        )
    }

    pub(crate) fn config(&self) -> IssuerConfig {
        IssuerConfig {
            name: self.host.to_owned(),
            discovery: format!("https://{}/metadata", self.host),
            audience: Some(AUDIENCE.to_owned()),
            ..IssuerConfig::default()
        }
    }

    async fn answer(&self, path: &str) -> Result<FetchReply, FetchError> {
        let is_metadata = path == "metadata";
        let counter = if is_metadata {
            &self.metadata_calls
        } else {
            &self.key_set_calls
        };
        counter.fetch_add(1, Ordering::SeqCst);
        let metadata = json!({
            "issuer": self.name(),
            "jwks_uri": format!("https://{}/jwk", self.host),
            "token_endpoint": "https://elsewhere.example/token",
        });
        let key_set = json!({"keys": *self.keys.lock().unwrap()});
        let usual = if is_metadata { metadata } else { key_set }.to_string();
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Well => reply(200, usual),
            Mood::Down => Err(FetchError::Network("refused".to_owned())),
            Mood::Silent => std::future::pending().await,
            Mood::SilentMetadata if is_metadata => std::future::pending().await,
            Mood::Held(gate) => {
                gate.notified().await;
                reply(200, usual)
            }
            Mood::Status(status) => reply(status, usual),
            Mood::Metadata(text) if is_metadata => reply(200, text),
            Mood::KeySet(text) if !is_metadata => reply(200, text),
            Mood::SilentMetadata | Mood::Metadata(_) | Mood::KeySet(_) => reply(200, usual),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is one arm of many")]
fn reply(status: u16, body: String) -> Result<FetchReply, FetchError> {
    Ok(FetchReply {
        status,
        media_type: None,
        retry_after_s: None,
        body: Bytes::from(body),
    })
}

/// The network: issuers by host.
#[derive(Default)]
pub(crate) struct Net(BTreeMap<&'static str, Arc<FakeIssuer>>);

impl Net {
    pub(crate) fn of(issuers: &[&Arc<FakeIssuer>]) -> Arc<dyn Fetch> {
        let by_host = issuers
            .iter()
            .map(|issuer| (issuer.host, Arc::clone(issuer)));
        Arc::new(Self(by_host.collect()))
    }
}

impl Fetch for Net {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        Box::pin(async move {
            let rest = request.url.strip_prefix("https://").unwrap();
            let (host, path) = rest.split_once('/').unwrap();
            self.0[host].answer(path).await
        })
    }
}

/// A node that trusts issuers, at a moment that the test decides.
pub(crate) struct Node {
    pub(crate) clock: Arc<StillClock>,
    pub(crate) bearer: Bearer,
}

impl Node {
    pub(crate) fn trusting(issuers: &[&Arc<FakeIssuer>]) -> Self {
        Self::trusting_as(issuers, |_| ())
    }

    /// A node whose operator has changed something about every issuer.
    pub(crate) fn trusting_as(
        issuers: &[&Arc<FakeIssuer>],
        change: impl Fn(&mut IssuerConfig),
    ) -> Self {
        let clock = Arc::new(StillClock::default());
        let mut config = AuthConfig {
            issuers: issuers.iter().map(|issuer| issuer.config()).collect(),
        };
        config.issuers.iter_mut().for_each(change);
        let port: Arc<dyn Clock> = Arc::<StillClock>::clone(&clock);
        Self {
            bearer: Bearer::new(config, &Net::of(issuers), &port).unwrap(),
            clock,
        }
    }

    pub(crate) async fn ask(&self, token: &str) -> Result<Option<Proof>, AuthError> {
        let presented = credentials(None, Some(token));
        self.bearer.authenticate(&presented, &call_context()).await
    }

    pub(crate) async fn takes(&self, token: &str) -> bool {
        matches!(self.ask(token).await, Ok(Some(Proof::Token(_))))
    }

    pub(crate) async fn rejects(&self, token: &str) -> bool {
        matches!(self.ask(token).await, Err(AuthError::Rejected(_)))
    }

    pub(crate) async fn cannot_tell(&self, token: &str) -> bool {
        matches!(self.ask(token).await, Err(AuthError::Undecided(_)))
    }
}

pub(crate) fn credentials(api_key: Option<&str>, bearer: Option<&str>) -> Credentials {
    Credentials {
        api_key: api_key.map(|key| Secret::new(key.to_owned())),
        bearer: bearer.map(|token| Arc::new(Secret::new(token.to_owned()))),
        certificate: None,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}
