//! Harvest without a caller.

use super::Exchange;
use super::release::{Presenter, Released};
use crate::error::Fault;
use crate::ports::CallContext;

impl Exchange {
    /// Harvests a public dataset, about `identifier` where it needs one (`wire-api.md` §4.9).
    ///
    /// # Errors
    /// 1006 when there is no such open dataset; 1013, 1014, 1027 and the source's 3001 to 3003.
    pub async fn open_data(
        &self,
        dataset: &str,
        identifier: Option<&str>,
        presenter: &dyn Presenter,
        ctx: &CallContext,
    ) -> Result<Released, Fault> {
        let permit = self.permit_open(dataset, identifier)?;
        let (permit, form) = self.formed(permit, presenter)?;
        self.fetch_and_release(permit, (presenter, form), ctx).await
    }
}
