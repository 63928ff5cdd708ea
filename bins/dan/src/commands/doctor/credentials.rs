//! Why is this consumer not let in: judges a token or a certificate as the node would.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use dan_auth::Bearer;
use dan_core::caller::Proof;
use dan_core::ports::{AuthError, Authenticator, ClientCertificate, Clock, Credentials, Fetch};
use dan_core::secret::Secret;
use dan_http::client::HttpClient;
use dan_http::tls::certificates;

use super::certificates::clients;
use super::outside::bounds;
use super::{Finding, Presented, look};
use crate::compose;
use crate::config::Config;
use crate::output::Misuse;
use crate::system::SystemClock;

/// Largest file a credential is read from, in bytes.
const CREDENTIAL_BYTES_MAX: u64 = 64 * 1024;

/// One finding for each credential that was given.
pub(super) async fn findings(config: &Config, shown: &Presented) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(file) = &shown.token {
        findings.push(look("token", token(config, file).await));
    }
    if let Some(file) = &shown.certificate {
        findings.push(look("certificate", certificate(config, file).await));
    }
    findings
}

async fn token(config: &Config, file: &Path) -> Result<String, Misuse> {
    let text = read(file)?;
    let fetch: Arc<dyn Fetch> = Arc::new(HttpClient::new()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bearer = Bearer::new(compose::auth(config), &fetch, &clock);
    let bearer = bearer.map_err(|error| Misuse(error.to_string()))?;
    let presented = Credentials {
        api_key: None,
        bearer: Some(Arc::new(Secret::new(text.trim().to_owned()))),
        certificate: None,
        address: IpAddr::from([127, 0, 0, 1]),
    };
    judged(bearer.authenticate(&presented, &bounds()).await)
}

async fn certificate(config: &Config, file: &Path) -> Result<String, Misuse> {
    let pem = read(file)?;
    let mut chain = certificates(pem.as_bytes()).into_iter();
    let Some(leaf) = chain.next() else {
        return Err(Misuse(format!(
            "{} holds no PEM certificate",
            file.display()
        )));
    };
    let Some(judge) = clients(config)? else {
        return Err(Misuse(
            "the node takes no certificates; server.tls.client_roots names the roots".to_owned(),
        ));
    };
    let presented = Credentials {
        api_key: None,
        bearer: None,
        certificate: Some(Arc::new(ClientCertificate {
            leaf,
            intermediates: chain.collect(),
        })),
        address: IpAddr::from([127, 0, 0, 1]),
    };
    judged(judge.authenticate(&presented, &bounds()).await)
}

/// What the node says, and what to do when it is no.
fn judged(outcome: Result<Option<Proof>, AuthError>) -> Result<String, Misuse> {
    match outcome {
        Ok(Some(Proof::Token(proof))) => Ok(format!(
            "good; stands for {}, scopes {}",
            proof.org,
            proof.scopes.join(" ")
        )),
        Ok(Some(Proof::Certificate { org })) => Ok(format!("good; stands for {org}")),
        Ok(Some(Proof::Key(_)) | None) => {
            Err(Misuse("the file holds nothing of the kind".to_owned()))
        }
        Err(AuthError::Undecided(why)) => Err(Misuse(format!("cannot be told: {why}"))),
        Err(
            AuthError::Rejected(why) | AuthError::BadCertificate(why) | AuthError::Forbidden(why),
        ) => Err(Misuse(format!("{why}; {}", fix(&why)))),
        Err(AuthError::Throttled { .. }) => Err(Misuse("too many tries".to_owned())),
    }
}

/// Words of a reason, and what to do about it.
#[rustfmt::skip]
const FIXES: [(&str, &str); 11] = [
    ("aud does not name us", "issuers[].audience and the `resource` that the consumer asks Maskinporten for must be the same text"),
    ("issuer is not trusted", "issuers[].discovery must be that of the environment the token is from"),
    ("no key of the issuer", "the token is from another environment, or its key is not published any more"),
    ("does not verify", "the token was changed on its way, or is from another environment"),
    ("no path to a trusted root", "its issuer's root is missing in server.tls.client_roots, or an intermediate in what the consumer sends"),
    ("not signed by its issuer", "server.tls.client_roots has an issuer of that name with another key: put its newer root in too"),
    ("no organisation number", "it is no enterprise certificate, or an old one: server.tls.client_seid_v1"),
    ("the soft period is over", "no list and no responder knows it: server.tls.client_crls, client_ocsp"),
    ("revoked", "the consumer needs a new certificate"),
    ("of the path has expired", "the consumer needs a new certificate"),
    ("expired", "the consumer fetches a new token for each few calls; check both clocks"),
];

/// What to do about the commonest reasons.
fn fix(why: &str) -> &'static str {
    let known = FIXES.iter().find(|(reason, _)| why.contains(reason));
    known.map_or("the consumer must bring another one", |(_, fix)| fix)
}

fn read(file: &Path) -> Result<String, Misuse> {
    let shown = file.display();
    let size = std::fs::metadata(file).map_or(0, |about| about.len());
    if size > CREDENTIAL_BYTES_MAX {
        return Err(Misuse(format!("{shown} is larger than 64 KiB")));
    }
    std::fs::read_to_string(file).map_err(|error| Misuse(format!("cannot read {shown}: {error}")))
}
