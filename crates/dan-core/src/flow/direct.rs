//! Authorize and harvest in one call. Nothing is stored but the record.

use super::release::{Released, Wish};
use super::{Call, Exchange};
use crate::error::Fault;
use crate::inquiry::Application;

impl Exchange {
    /// Harvests the one dataset of an application (`wire-api.md` §4.8).
    ///
    /// # Errors
    /// The codes of [`Exchange::grant`] and [`Exchange::harvest`]; 1006 when the dataset needs
    /// consent or answers later.
    pub async fn direct_harvest(
        &self,
        call: Call<'_>,
        application: Application,
        wish: Wish<'_>,
    ) -> Result<Released, Fault> {
        let name = application
            .datasets
            .first()
            .map(|dataset| dataset.name.clone())
            .unwrap_or_default();
        let tokens = wish.tokens.clone();
        let permit = self.permit_direct(call, application, tokens).await;
        match permit.and_then(|permit| self.formed(permit, wish.presenter)) {
            Ok((permit, form)) => {
                let shape = (wish.presenter, form);
                self.fetch_and_release(permit, shape, call.ctx).await
            }
            Err(fault) => Err(self.refused_harvest(call, &name, None, fault).await),
        }
    }
}
