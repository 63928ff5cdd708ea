//! Authorize and harvest in one call. Nothing is stored but the record.

use super::Exchange;
use super::release::{Envelope, Wish};
use crate::caller::Caller;
use crate::error::Fault;
use crate::inquiry::Application;
use crate::ports::CallContext;

impl Exchange {
    /// Harvests the one dataset of an application (`wire-api.md` §4.8).
    ///
    /// # Errors
    /// The codes of [`Exchange::grant`] and [`Exchange::harvest`]; 1006 when the dataset needs
    /// consent or answers later.
    pub async fn direct_harvest(
        &self,
        caller: &Caller,
        application: Application,
        wish: Wish<'_>,
        ctx: &CallContext,
    ) -> Result<Envelope, Fault> {
        let name = application
            .datasets
            .first()
            .map(|dataset| dataset.name.clone())
            .unwrap_or_default();
        let tokens = wish.tokens.clone();
        match self.permit_direct(caller, application, tokens, ctx).await {
            Ok(permit) => self.fetch_and_release(permit, wish.presenter, ctx).await,
            Err(fault) => Err(self.refused_harvest(caller, &name, None, fault, ctx).await),
        }
    }
}
