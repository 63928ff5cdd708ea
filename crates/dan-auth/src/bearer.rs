//! [`Bearer`]: the authenticator of bearer tokens from configured issuers.

use std::sync::Arc;

use dan_core::caller::{Proof, TokenProof};
use dan_core::ports::{
    AuthError, Authenticator, CallContext, Clock, Credentials, Fetch, PortFuture,
};
use tokio::task::JoinSet;

use crate::claims::{self, Audience};
use crate::jwks::IssuerKeys;
use crate::jwt::{JwtError, Unverified};
use crate::{AuthConfig, ConfigError};

/// Most issuers one node may trust.
pub const ISSUERS_MAX: usize = 16;

/// Who may vouch for a caller (`contracts.md` §3, `[[issuers]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Name for logs, for instance `maskinporten`.
    pub name: String,
    /// Address of the issuer's metadata document, `https` (`http` for the sandbox).
    pub discovery: String,
    /// What `aud` must be or hold; required unless `accept_any_audience`.
    pub audience: Option<String>,
    /// Takes tokens whoever they were issued for. Then another API of the same issuer can replay
    /// them here.
    pub accept_any_audience: bool,
}

impl IssuerConfig {
    /// Checks what can be checked without asking anyone.
    ///
    /// # Errors
    /// [`ConfigError`], in words for the operator.
    fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let wrong = |what: &str| Err(ConfigError(format!("issuer {name:?}: {what}")));
        if name.is_empty() {
            return wrong("name is empty");
        }
        if !self.discovery.starts_with("https://") && !self.discovery.starts_with("http://") {
            return wrong("discovery must be an http or https address");
        }
        match &self.audience {
            Some(audience) if audience.is_empty() => wrong("audience is empty"),
            None if !self.accept_any_audience => {
                wrong("audience is required unless accept_any_audience = true")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// One issuer and its keys.
struct Issuer {
    audience: Option<String>,
    keys: IssuerKeys,
}

/// Finds [`Proof::Token`]: a JWT signed by a configured issuer, judged by `claims.rs`.
pub struct Bearer {
    issuers: Vec<Arc<Issuer>>,
    clock: Arc<dyn Clock>,
}

impl Bearer {
    /// Takes the issuers of `config`; asks none of them yet.
    ///
    /// # Errors
    /// [`ConfigError`] for an issuer that is not set up safely, a name given twice, or more than
    /// [`ISSUERS_MAX`].
    pub fn new(
        config: AuthConfig,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        if config.issuers.len() > ISSUERS_MAX {
            return Err(ConfigError(format!("more than {ISSUERS_MAX} issuers")));
        }
        let mut names: Vec<String> = Vec::new();
        let mut issuers = Vec::new();
        for issuer in config.issuers {
            issuer.check()?;
            if names.contains(&issuer.name) {
                return Err(ConfigError(format!("issuer {:?} twice", issuer.name)));
            }
            names.push(issuer.name.clone());
            issuers.push(Arc::new(Issuer {
                audience: issuer.audience.filter(|_| !issuer.accept_any_audience),
                keys: IssuerKeys::new(
                    issuer.name,
                    issuer.discovery,
                    Arc::clone(fetch),
                    Arc::clone(clock),
                ),
            }));
        }
        Ok(Self {
            issuers,
            clock: Arc::clone(clock),
        })
    }

    /// The issuer that calls itself `iss`. Issuers that were never reached are asked, all at once;
    /// the answer is given as soon as one of them is the one.
    async fn issuer(&self, iss: &str, ctx: &CallContext) -> Result<&Arc<Issuer>, AuthError> {
        let called = || {
            self.issuers
                .iter()
                .find(|issuer| issuer.keys.is_called(iss))
        };
        if let Some(issuer) = called() {
            return Ok(issuer);
        }
        let mut introductions = JoinSet::new();
        for issuer in &self.issuers {
            if issuer.keys.is_known() {
                // It may have a new name by now.
                issuer.keys.renew_if_old(ctx);
            } else {
                let (issuer, ctx) = (Arc::clone(issuer), ctx.clone());
                introductions.spawn(async move { issuer.keys.introduce(&ctx).await });
            }
        }
        while introductions.join_next().await.is_some() {
            if let Some(issuer) = called() {
                return Ok(issuer);
            }
        }
        if self.issuers.iter().all(|issuer| issuer.keys.is_known()) {
            Err(AuthError::Rejected("the issuer is not trusted".to_owned()))
        } else {
            // It may be the token of the issuer that we could not ask for its name.
            Err(AuthError::Undecided(
                "an issuer was never reached".to_owned(),
            ))
        }
    }

    async fn prove(&self, token: &str, ctx: &CallContext) -> Result<claims::Principal, AuthError> {
        let rejected = |why: JwtError| AuthError::Rejected(why.to_string());
        let token = Unverified::parse(token).map_err(rejected)?;
        let traced = |why: String| AuthError::Rejected(format!("{why} ({})", token.trace()));
        let Some(iss) = token.stated_issuer() else {
            return Err(traced("iss is missing or no text".to_owned()));
        };
        let issuer = self.issuer(iss, ctx).await.map_err(|error| match error {
            AuthError::Rejected(why) => traced(why),
            AuthError::BadCertificate(_)
            | AuthError::Forbidden(_)
            | AuthError::Throttled { .. }
            | AuthError::Undecided(_) => error,
        })?;
        let keys = issuer.keys.keys(ctx).await?;
        let mut verified = token.verify(&keys);
        if verified == Err(JwtError::UnknownKey)
            && let Some(newer) = issuer.keys.newer(&keys, ctx).await
        {
            verified = token.verify(&newer);
        }
        let claims = verified.map_err(|why| traced(why.to_string()))?;
        let audience = issuer
            .audience
            .as_deref()
            .map_or(Audience::Any, Audience::Exactly);
        claims::judge(claims, iss, audience, self.clock.now()).map_err(|why| traced(why.to_owned()))
    }
}

impl Authenticator for Bearer {
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        Box::pin(async move {
            let Some(token) = &presented.bearer else {
                return Ok(None);
            };
            let principal = self.prove(token.expose(), ctx).await?;
            Ok(Some(Proof::Token(TokenProof {
                supplier: principal.supplier,
                ..TokenProof::new(principal.consumer, principal.scopes, Arc::clone(token))
            })))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> IssuerConfig {
        IssuerConfig {
            name: "maskinporten".to_owned(),
            discovery: "https://issuer.example/m".to_owned(),
            audience: Some("https://dan.example".to_owned()),
            accept_any_audience: false,
        }
    }

    #[test]
    fn an_issuer_needs_an_audience_or_a_plain_word_that_it_does_not() {
        assert_eq!(issuer().check(), Ok(()));
        let mut config = issuer();
        config.audience = None;
        assert!(
            config
                .check()
                .unwrap_err()
                .0
                .contains("audience is required")
        );
        config.accept_any_audience = true;
        assert_eq!(config.check(), Ok(()));
        config.audience = Some(String::new());
        assert!(config.check().is_err());
    }

    #[test]
    fn an_issuer_has_a_name_and_an_address() {
        for discovery in ["", "issuer.example", "file:///etc/passwd"] {
            let mut config = issuer();
            config.discovery = discovery.to_owned();
            assert!(config.check().is_err(), "{discovery}");
        }
        let mut config = issuer();
        config.name = String::new();
        assert!(config.check().is_err());
    }
}
