//! An owner's grants under one context.

use std::sync::Arc;

use super::status::states_of;
use super::{Call, Exchange, store_fault};
use crate::accreditation::Accreditation;
use crate::audit::Action;
use crate::catalog::Catalog;
use crate::error::{Code, Fault};
use crate::evidence::DatasetStatus;
use crate::ports::{AccreditationFilter, Write};
use crate::time::Timestamp;

/// Most grants one answer lists; more are refused with advice rather than cut silently.
pub const LIST_COUNT_MAX: u32 = 10_000;

/// Which grants to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Exact text of `requestor` as it stands in the list.
    pub requestor: Option<String>,
    /// Changed strictly after this moment.
    pub changed_after: Option<Timestamp>,
    /// Only those whose datasets are all available.
    pub only_available: bool,
}

/// One listed grant.
#[derive(Debug)]
pub struct Listed {
    /// The grant.
    pub accreditation: Accreditation,
    /// The first status that is not available, in dataset order; else available.
    pub aggregate: DatasetStatus,
}

impl Exchange {
    /// The caller's grants under its context, oldest change first, with the catalogue they were
    /// judged by (`wire-api.md` §4.2).
    ///
    /// # Errors
    /// 1013; 1014 when there are more than [`LIST_COUNT_MAX`].
    pub async fn list(
        &self,
        call: Call<'_>,
        query: ListQuery,
    ) -> Result<(Vec<Listed>, Arc<Catalog>), Fault> {
        let catalog = self.catalog();
        let context = catalog
            .context_by_id(call.caller.context_id())
            .ok_or_else(|| {
                Fault::with(
                    Code::ServiceContext,
                    "the API key belongs to a service this node does not serve",
                )
            })?;
        let filter = AccreditationFilter {
            owner: call.caller.owner(),
            context: context.name.clone(),
            changed_after: query.changed_after,
            count_max: LIST_COUNT_MAX.saturating_add(1),
        };
        let stored = self
            .ports
            .store
            .accreditations(&filter)
            .await
            .map_err(store_fault)?;
        if stored.len() > usize::try_from(LIST_COUNT_MAX).unwrap_or(usize::MAX) {
            return Err(Fault::with(
                Code::InvalidAuthorizationRequest,
                "more than 10000 accreditations match; narrow the list with changedafter",
            ));
        }
        let now = self.now();
        let wanted = |grant: &Accreditation| {
            query
                .requestor
                .as_deref()
                .is_none_or(|text| grant.requestor.expose_bare().unwrap_or_default() == text)
        };
        let listed: Vec<Listed> = stored
            .into_iter()
            .map(|stored| stored.value)
            .filter(wanted)
            .map(|accreditation| {
                let states = states_of(&accreditation, &catalog, now);
                let aggregate = states
                    .iter()
                    .map(|state| state.status)
                    .find(|status| *status != DatasetStatus::Available)
                    .unwrap_or(DatasetStatus::Available);
                Listed {
                    accreditation,
                    aggregate,
                }
            })
            .filter(|row| !query.only_available || row.aggregate == DatasetStatus::Available)
            .collect();
        let record = self.record(call, Action::AccreditationsRetrieved);
        self.recorder
            .write(vec![Write::AppendAudit(Box::new(record))])
            .await;
        Ok((listed, catalog))
    }
}
