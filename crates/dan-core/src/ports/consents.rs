//! Whether a subject consents, from the authority that knows.

use super::{CallContext, PortFuture};
use crate::accreditation::Accreditation;

/// The state of a consent (`wire-api.md` §10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    /// The subject has not answered, or nobody has asked.
    Pending,
    /// In force now.
    Granted,
    /// Denied, or withdrawn since.
    Denied,
    /// It has run out.
    Expired,
}

/// Why nothing is known. For the log, with the authority for the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentError {
    /// The authority, in words a consumer knows.
    pub authority: String,
    /// For the log.
    pub cause: String,
}

/// Asks about consents. Asked live at every harvest: an answer must never come from a cache
/// (`engine.md` W-18).
pub trait Consents: Send + Sync {
    /// The state of the consent that this grant needs for this dataset, now. May be dropped at any
    /// time.
    ///
    /// # Errors
    /// [`ConsentError`] when the authority cannot be asked.
    fn state<'a>(
        &'a self,
        grant: &'a Accreditation,
        dataset: &'a str,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<ConsentState, ConsentError>>;
}
