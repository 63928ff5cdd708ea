//! [`Bearer`]: the authenticator of bearer tokens from configured issuers.

use std::sync::Arc;

use dan_core::caller::{Proof, TokenProof};
use dan_core::ports::{
    AuthError, Authenticator, CallContext, Clock, Credentials, Fetch, PortFuture,
};
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use crate::claims::{Audience, Claims, LIFETIME_S_DEFAULT, LIFETIME_S_MAX, Policy, Principal};
use crate::jwk::KeySet;
use crate::jwks::IssuerKeys;
use crate::jwt::{JwtError, Unverified, shown, trace_of};
use crate::remembered::{Remembered, TokenDigest, Verified};
use crate::{AuthConfig, ConfigError};

/// Most issuers one node may trust.
pub const ISSUERS_MAX: usize = 16;
/// Most delegation sources of one issuer.
pub const DELEGATION_SOURCES_MAX: usize = 16;

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
    /// Takes tokens that stand for a person (`pid`), for that person's own data.
    pub persons: bool,
    /// Takes tokens of a supplier, where one of these texts is their `delegation_source`; none: takes
    /// no delegated token.
    pub delegation_sources: Vec<String>,
    /// Takes tokens of Altinn's system users (`authorization_details`).
    pub system_users: bool,
    /// Longest life of a token, in seconds, 1 to [`LIFETIME_S_MAX`].
    pub lifetime_max_s: u32,
    /// Whether a token is verified once for as long as the issuer's keys stay the same, rather than at
    /// each use.
    pub remember_tokens: bool,
}

/// An issuer without name and address that vouches for organisations only.
impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            discovery: String::new(),
            audience: None,
            accept_any_audience: false,
            persons: false,
            delegation_sources: Vec::new(),
            system_users: false,
            lifetime_max_s: LIFETIME_S_DEFAULT,
            remember_tokens: true,
        }
    }
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
        if !(1..=LIFETIME_S_MAX).contains(&self.lifetime_max_s) {
            return wrong("lifetime_max_s must be 1 to 86400");
        }
        if self.delegation_sources.len() > DELEGATION_SOURCES_MAX {
            return wrong("delegation_sources lists more than 16");
        }
        if self.delegation_sources.iter().any(String::is_empty) {
            return wrong("delegation_sources holds an empty text");
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
    config: IssuerConfig,
    keys: IssuerKeys,
}

impl Issuer {
    fn policy(&self) -> Policy<'_> {
        let audience = self.config.audience.as_deref();
        Policy {
            audience: match audience {
                Some(ours) if !self.config.accept_any_audience => Audience::Exactly(ours),
                Some(_) | None => Audience::Any,
            },
            lifetime_max_s: self.config.lifetime_max_s,
            persons: self.config.persons,
            system_users: self.config.system_users,
            delegation_sources: &self.config.delegation_sources,
        }
    }
}

/// Finds [`Proof::Token`]: a JWT signed by a configured issuer, judged by `claims.rs`.
pub struct Bearer {
    issuers: Vec<Arc<Issuer>>,
    remembered: Remembered,
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
                keys: IssuerKeys::new(
                    issuer.name.clone(),
                    issuer.discovery.clone(),
                    Arc::clone(fetch),
                    Arc::clone(clock),
                ),
                config: issuer,
            }));
        }
        Ok(Self {
            issuers,
            remembered: Remembered::default(),
            clock: Arc::clone(clock),
        })
    }

    /// How many verified tokens are remembered, at most [`crate::remembered::TOKENS_MAX`].
    #[must_use]
    pub fn remembered_count(&self) -> usize {
        self.remembered.len()
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
        // Another caller's flight can land between two lines here, so the name is looked for last.
        let all_known = self.issuers.iter().all(|issuer| issuer.keys.is_known());
        if let Some(issuer) = called() {
            return Ok(issuer);
        }
        if all_known {
            Err(AuthError::Rejected("the issuer is not trusted".to_owned()))
        } else {
            // It may be the token of the issuer that we could not ask for its name.
            Err(AuthError::Undecided(
                "an issuer was never reached".to_owned(),
            ))
        }
    }

    async fn prove(&self, token: &str, ctx: &CallContext) -> Result<Principal, AuthError> {
        let digest = Remembered::digest(token);
        if let Some(known) = digest.and_then(|digest| self.remembered.find(&digest))
            && let Some(principal) = self.prove_again(&known, ctx).await?
        {
            return Ok(principal);
        }
        self.verify(token, digest, ctx).await
    }

    /// Judges a token that was verified before; `None` when the issuer's keys are not the same any more.
    async fn prove_again(
        &self,
        known: &Verified,
        ctx: &CallContext,
    ) -> Result<Option<Principal>, AuthError> {
        let issuer = self.issuer(known.claims.issuer(), ctx).await?;
        let keys = issuer.keys.keys(ctx).await?;
        if !Arc::ptr_eq(&keys, &known.keys) {
            return Ok(None);
        }
        self.judge(&known.claims, issuer).map(Some).map_err(|why| {
            let iss = shown(Some(known.claims.issuer()));
            AuthError::Rejected(format!("{why} (verified before, iss {iss})"))
        })
    }

    fn judge(&self, claims: &Claims, issuer: &Issuer) -> Result<Principal, &'static str> {
        claims.judge(&issuer.policy(), self.clock.now())
    }

    async fn verify(
        &self,
        token: &str,
        digest: Option<TokenDigest>,
        ctx: &CallContext,
    ) -> Result<Principal, AuthError> {
        let token = Unverified::parse(token).map_err(|why| {
            let trace = trace_of(token);
            AuthError::Rejected(format!("{why} ({trace})"))
        })?;
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
        let (claims, keys) = verified(&token, issuer, ctx)
            .await?
            .map_err(|why| traced(why.to_string()))?;
        let claims = Claims::read(claims).map_err(|why| traced(why.to_owned()))?;
        let principal = self.judge(&claims, issuer);
        let principal = principal.map_err(|why| traced(why.to_owned()))?;
        if let Some(digest) = digest.filter(|_| issuer.config.remember_tokens) {
            let verified = Verified { claims, keys };
            self.remembered.keep(digest, verified, self.clock.now());
        }
        Ok(principal)
    }
}

/// The claims of a token that a key of its issuer vouches for, and the set with that key. An unknown key is
/// looked for once more among newer ones.
async fn verified<'a>(
    token: &'a Unverified<'_>,
    issuer: &Issuer,
    ctx: &CallContext,
) -> Result<Result<(&'a Map<String, Value>, Arc<KeySet>), JwtError>, AuthError> {
    let keys = issuer.keys.keys(ctx).await?;
    match token.verify(&keys) {
        Ok(claims) => Ok(Ok((claims, keys))),
        Err(JwtError::UnknownKey) => match issuer.keys.newer(&keys, ctx).await {
            Some(newer) => Ok(token.verify(&newer).map(|claims| (claims, newer))),
            None => Ok(Err(JwtError::UnknownKey)),
        },
        Err(why) => Ok(Err(why)),
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
                person: principal.person,
                system_user: principal.system_user,
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
            ..IssuerConfig::default()
        }
    }

    #[test]
    fn what_an_issuer_may_vouch_for_has_bounds() {
        let wrong = |change: fn(&mut IssuerConfig)| {
            let mut config = issuer();
            change(&mut config);
            config.check().is_err()
        };
        assert!(wrong(|config| config.lifetime_max_s = 0));
        assert!(wrong(|config| config.lifetime_max_s = 86_401));
        assert!(!wrong(|config| config.lifetime_max_s = 86_400));
        assert!(wrong(
            |config| config.delegation_sources = vec![String::new()]
        ));
        assert!(wrong(|config| {
            config.delegation_sources =
                vec!["a".to_owned(); DELEGATION_SOURCES_MAX.saturating_add(1)];
        }));
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
