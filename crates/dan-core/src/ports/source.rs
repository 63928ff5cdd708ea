//! Gets data.

use std::sync::Arc;

use super::{CallContext, PortFuture};
use crate::dataset::Dataset;
use crate::evidence::Harvest;
use crate::flow::Permit;
use crate::inquiry::{OfferedTokens, Parameter};
use crate::party::{OrgNumber, Party};
use crate::secret::Secret;

/// What a source is asked for. Only the core makes one, and only from a [`Permit`].
#[derive(Clone, Debug)]
pub struct HarvestOrder {
    dataset: Arc<Dataset>,
    name: String,
    context: Option<String>,
    accreditation: Option<String>,
    owner: Option<OrgNumber>,
    requestor: Option<Party>,
    subject: Option<Party>,
    subject_text: Option<String>,
    parameters: Vec<Parameter>,
    tokens: OfferedTokens,
    caller_token: Option<Arc<Secret>>,
    rests_on_consent: bool,
}

impl HarvestOrder {
    pub(crate) fn from_permit(permit: &Permit) -> Self {
        Self {
            dataset: Arc::clone(&permit.offer().dataset),
            name: permit.offer().name.clone(),
            context: permit.context().map(str::to_owned),
            accreditation: permit.accreditation().map(str::to_owned),
            owner: permit.owner(),
            requestor: permit.requestor().cloned(),
            subject: permit.subject().cloned(),
            subject_text: permit.subject_text().map(str::to_owned),
            parameters: permit.parameters().to_vec(),
            tokens: permit.tokens().clone(),
            caller_token: permit.caller_token().cloned(),
            rests_on_consent: permit.offer().requires_consent(),
        }
    }

    /// Whether a rule of the dataset is the subject's consent.
    #[must_use]
    pub const fn rests_on_consent(&self) -> bool {
        self.rests_on_consent
    }

    /// Definition of the dataset.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The name it was asked under: an alias, where there is one.
    #[must_use]
    pub fn public_name(&self) -> &str {
        &self.name
    }

    /// Name of the service context; `None` for open data.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Identifier of the grant, also of the one that is never stored (direct harvest); `None` for open data.
    #[must_use]
    pub fn accreditation(&self) -> Option<&str> {
        self.accreditation.as_deref()
    }

    /// The owner; `None` for open data.
    #[must_use]
    pub const fn owner(&self) -> Option<OrgNumber> {
        self.owner
    }

    /// The requesting party; `None` for open data.
    #[must_use]
    pub const fn requestor(&self) -> Option<&Party> {
        self.requestor.as_ref()
    }

    /// The party asked about.
    #[must_use]
    pub const fn subject(&self) -> Option<&Party> {
        self.subject.as_ref()
    }

    /// The subject as the plugin contract wants it: bare number or custom text; for open data the
    /// identifier of the path, also where it is no party (`engine.md` §5.8).
    #[must_use]
    pub fn expose_subject_text(&self) -> Option<&str> {
        self.subject_text
            .as_deref()
            .or_else(|| self.subject.as_ref().and_then(Party::expose_bare))
    }

    /// Parameters, as they were sent.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Tokens the caller offers for the source.
    #[must_use]
    pub const fn tokens(&self) -> &OfferedTokens {
        &self.tokens
    }

    /// The caller's own token, to be used only when [`OfferedTokens::reuse`] says so.
    #[must_use]
    pub const fn caller_token(&self) -> Option<&Arc<Secret>> {
        self.caller_token.as_ref()
    }
}

/// Class of a source's failure; the codes 3001 to 3003 and 1013.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFailure {
    /// Down, overloaded, late: 3001.
    Transient,
    /// Cannot answer for this subject or these parameters: 3002.
    Refused,
    /// Misconfigured, or answered nonsense: 3003.
    Broken,
    /// Out of reach, or later than the dataset's time limit: 1013.
    Unreachable,
}

/// Why a source gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// Class.
    pub failure: SourceFailure,
    /// `<SOURCE>` of the detail code, upper case.
    pub source: String,
    /// `<number>` of the detail code.
    pub detail: u32,
    /// The source's own words for the client; never an upstream body.
    pub text: Option<String>,
    /// For the log; never evidence.
    pub cause: String,
}

/// Gets data.
pub trait Source: Send + Sync {
    /// Name, as in the configuration; breaker, faults and statistics go by it.
    fn id(&self) -> &str;

    /// Gets what the order says, within `ctx.deadline`. May be dropped at any time.
    ///
    /// # Errors
    /// [`SourceError`], with the class that decides what the client is told.
    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>>;
}
