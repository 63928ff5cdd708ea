//! [`Delegations`]: facts about roles and rights from Altinn 3.
//!
//! A right is decided by Altinn's decision point, action by action, and a role is read from the list
//! of parties that somebody may act for: nothing is searched for in text (`engine.md` W-13). Numbers
//! of persons travel in bodies only, and no answer is kept: what was taken back yesterday must not
//! hold today.

mod decision;
mod parties;

use std::sync::Arc;

use bytes::Bytes;
use dan_core::party::Party;
use dan_core::ports::{
    CallContext, Clock, Fact, FactError, FactQuery, Facts, Fetch, FetchRequest, Method, PortFuture,
};
use dan_core::secret::Secret;
use dan_core::strict::Strict;
use serde_json::{Value, json};
use tokio::time::timeout_at;

use super::line::{self, Line};
use super::tokens::{AltinnTokens, TokenIssuer, TokenWish, bearer};

/// The authority, in words a consumer knows.
pub(super) const ALTINN: &str = "Altinn";
/// Largest answer of the decision point, in bytes.
const DECISION_BYTES_MAX: usize = 1 << 20;
/// Largest list of parties, in bytes: accountants act for thousands.
const PARTIES_BYTES_MAX: usize = 16 << 20;
/// Where decisions are made, behind the address of the platform.
const AUTHORIZE_PATH: &str = "/authorization/api/v1/authorize";
/// Where parties are listed. Roles come with the part that was Altinn 2.
const PARTIES_PATH: &str =
    "/accessmanagement/api/v1/resourceowner/authorizedparties?includeAltinn2=true";
/// Header of a subscription to Altinn's interfaces.
const KEY_HEADER: &str = "ocp-apim-subscription-key";

/// How Altinn is asked.
pub struct AltinnConfig {
    /// The platform, for instance `https://platform.altinn.no`.
    pub url: String,
    /// Key of our subscription, where there is one.
    pub subscription_key: Option<Arc<Secret>>,
    /// Scopes of our token, with blanks between them: `altinn:authorization/authorize` and
    /// `altinn:accessmanagement/authorizedparties.resourceowner`.
    pub scope: String,
}

/// Facts about roles and rights. Ask it through [`Facts`].
pub struct Delegations {
    base: String,
    subscription_key: Option<Arc<Secret>>,
    wish: TokenWish,
    tokens: AltinnTokens,
    line: Line,
}

impl Delegations {
    /// Altinn as configured, with tokens from `issuer`.
    #[must_use]
    pub fn new(
        config: AltinnConfig,
        issuer: Arc<dyn TokenIssuer>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let base = config.url.trim_end_matches('/').to_owned();
        Self {
            tokens: AltinnTokens::new(
                ALTINN,
                &base,
                issuer,
                Arc::clone(&fetch),
                Arc::clone(&clock),
            ),
            line: Line::new(ALTINN, fetch, clock),
            base,
            subscription_key: config.subscription_key,
            wish: TokenWish::own(config.scope),
        }
    }

    async fn has_right(
        &self,
        (from, to): (&Party, &Party),
        resource: &str,
        actions: &[String],
        ctx: &CallContext,
    ) -> Result<bool, FactError> {
        let (Some(from), Some(to)) = (attribute(from), attribute(to)) else {
            return Ok(false);
        };
        if actions.is_empty() {
            return Err(self.line.failure("no action to decide about"));
        }
        let request = decision::request((from, to), resource, actions);
        let answer = self
            .ask(AUTHORIZE_PATH, &request, DECISION_BYTES_MAX, ctx)
            .await?;
        decision::all_permitted(&answer, actions.len()).map_err(|reason| self.line.failure(&reason))
    }

    async fn has_role(
        &self,
        (from, to): (&Party, &Party),
        role: &str,
        ctx: &CallContext,
    ) -> Result<bool, FactError> {
        let (Some(_), Some((kind, number))) = (attribute(from), attribute(to)) else {
            return Ok(false);
        };
        let body = json!({"type": kind, "value": number});
        let answer = self
            .ask(PARTIES_PATH, &body, PARTIES_BYTES_MAX, ctx)
            .await?;
        parties::role_given(&answer, from, role).map_err(|reason| self.line.failure(&reason))
    }

    /// One POST. Everything but 200 with one JSON document is a failure, never a no.
    async fn ask(
        &self,
        path: &str,
        body: &Value,
        bytes_max: usize,
        ctx: &CallContext,
    ) -> Result<Value, FactError> {
        let token = self
            .tokens
            .token(&self.wish, self.subscription(), ctx)
            .await?;
        let request = FetchRequest {
            method: Method::Post,
            url: format!("{}{path}", self.base),
            headers: vec![("accept", "application/json".to_owned())],
            authorization: Some(bearer(&token)),
            secret_headers: self.subscription().into_iter().collect(),
            body: Some(("application/json", Bytes::from(body.to_string()))),
            reply_bytes_max: bytes_max,
            peer: ALTINN.to_owned(),
        };
        let reply = self.line.send(request, line::is_answer, ctx).await?;
        if reply.status != 200 {
            let cause = format!("HTTP status {}", reply.status);
            return Err(self.line.failure(&cause));
        }
        let answer: Result<Strict, _> = serde_json::from_slice(&reply.body);
        answer.map(|Strict(value)| value).map_err(|error| {
            let cause = format!("the answer is no JSON document ({:?})", error.classify());
            self.line.failure(&cause)
        })
    }

    fn subscription(&self) -> Option<(String, Secret)> {
        let copy = |key: &Arc<Secret>| Secret::new(key.expose().to_owned());
        let key = self.subscription_key.as_ref().map(copy);
        key.map(|key| (KEY_HEADER.to_owned(), key))
    }
}

/// Name and value under which Altinn knows a party; `None` for those that can hold nothing there.
fn attribute(party: &Party) -> Option<(&'static str, &str)> {
    match party {
        Party::Organisation(number) => {
            Some(("urn:altinn:organization:identifier-no", number.as_str()))
        }
        Party::Person(number) => Some(("urn:altinn:person:identifier-no", number.expose())),
        Party::Foreign { .. } | Party::Custom(_) => None,
    }
}

impl Facts for Delegations {
    fn find<'a>(
        &'a self,
        query: &'a FactQuery,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Fact, FactError>> {
        Box::pin(async move {
            let asking = async {
                match query {
                    FactQuery::HasRole { from, to, role } => {
                        self.has_role((from, to), role, ctx).await
                    }
                    FactQuery::HasRight {
                        from,
                        to,
                        resource,
                        actions,
                    } => self.has_right((from, to), resource, actions, ctx).await,
                    FactQuery::Unit(_) | FactQuery::SubUnits(_) => {
                        Err(self.line.failure("it is not asked about units"))
                    }
                }
            };
            // Waiting for a token that somebody else is getting counts too.
            timeout_at(ctx.deadline, asking)
                .await
                .unwrap_or_else(|_elapsed| Err(self.line.late()))
                .map(Fact::Held)
        })
    }
}
