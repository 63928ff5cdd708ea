//! [`ServiceContext`]: a service, the agreement under which its consumers ask, and its rules.

use crate::requirement::Rule;

/// A service context, for instance eBevis. Data from `catalog/contexts/<file>.toml`.
#[derive(Clone, Debug)]
pub struct ServiceContext {
    /// Identifier that API keys are bound to, for instance `ebevis-product`. Compared without case.
    pub id: String,
    /// Name in models and in `belongsToServiceContexts`, for instance `eBevis`.
    pub name: String,
    /// The organisation that answers for the service.
    pub owner: String,
    /// One sentence for people.
    pub description: Option<String>,
    /// Languages a request may name, exact case; the first is the default.
    pub languages: Vec<String>,
    /// Rules added to every dataset of the service.
    pub rules: Vec<Rule>,
}

impl ServiceContext {
    /// The language of a request that names none (`wire-api.md` §4.1).
    pub const DEFAULT_LANGUAGE: &'static str = "no-nb";
}
