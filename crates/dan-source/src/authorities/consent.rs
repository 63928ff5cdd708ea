//! [`NoConsents`]: what is known about consents while nobody can be asked for one.

use dan_core::accreditation::Accreditation;
use dan_core::ports::{CallContext, ConsentError, ConsentState, Consents, PortFuture};

/// This version cannot ask a subject: the dialogue with Altinn is not built. So every consent is
/// pending, and datasets that need one can be applied for but not harvested.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoConsents;

impl Consents for NoConsents {
    fn state<'a>(
        &'a self,
        _grant: &'a Accreditation,
        _dataset: &'a str,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<ConsentState, ConsentError>> {
        Box::pin(std::future::ready(Ok(ConsentState::Pending)))
    }
}
