//! An owner's grants under one context, whole or page by page.

use std::sync::Arc;

use super::status::states_of;
use super::{Call, Exchange, store_fault};
use crate::accreditation::Accreditation;
use crate::audit::Action;
use crate::catalog::Catalog;
use crate::error::{Code, Fault};
use crate::evidence::DatasetStatus;
use crate::ports::{AccreditationFilter, Place, Stored, Write};
use crate::time::Timestamp;

/// Most grants one answer lists; more are refused with advice rather than cut silently.
pub const LIST_COUNT_MAX: u32 = 10_000;
/// Most grants of one page.
pub const PAGE_COUNT_MAX: u32 = 1_000;

/// Which grants to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Exact text of `requestor` as it stands in the list.
    pub requestor: Option<String>,
    /// Changed strictly after this moment.
    pub changed_after: Option<Timestamp>,
    /// Only those whose datasets are all available.
    pub only_available: bool,
    /// Look at this many grants at most, 1 to [`PAGE_COUNT_MAX`]; `None`: at all.
    pub limit: Option<u32>,
    /// Go on behind this place.
    pub after: Option<Place>,
}

/// One listed grant.
#[derive(Debug)]
pub struct Listed {
    /// The grant.
    pub accreditation: Accreditation,
    /// The first status that is not available, in dataset order; else available.
    pub aggregate: DatasetStatus,
}

/// Listed grants with the one catalogue they were judged by.
#[derive(Debug)]
pub struct List {
    /// Ordered by last change.
    pub rows: Vec<Listed>,
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Place>,
}

impl Exchange {
    /// The caller's grants under its context (`wire-api.md` §4.2). A page may hold fewer rows than
    /// its limit, since filters apply to what was looked at.
    ///
    /// # Errors
    /// 1013; 1014 when the limit is out of bounds, or when without one there are more than
    /// [`LIST_COUNT_MAX`]; 1019 when the caller's token stands for one person.
    pub async fn list(&self, call: Call<'_>, query: ListQuery) -> Result<List, Fault> {
        call.caller.check_not_for_one_person()?;
        let refuse = |text: &str| Err(Fault::with(Code::InvalidAuthorizationRequest, text));
        if query
            .limit
            .is_some_and(|limit| limit == 0 || limit > PAGE_COUNT_MAX)
        {
            return refuse("limit must lie between 1 and 1000");
        }
        let catalog = self.catalog();
        let context = catalog
            .context_by_id(call.caller.context_id())
            .ok_or_else(|| {
                Fault::with(
                    Code::ServiceContext,
                    "the API key belongs to a service this node does not serve",
                )
            })?;
        let most = query.limit.unwrap_or(LIST_COUNT_MAX);
        let filter = AccreditationFilter {
            owner: call.caller.owner(),
            context: context.name.clone(),
            changed_after: query.changed_after,
            after: query.after.clone(),
            // One more than asked for shows whether there is more.
            count_max: most.saturating_add(1),
        };
        let mut stored = self
            .ports
            .store
            .accreditations(&filter)
            .await
            .map_err(store_fault)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let more = stored.len() > most;
        if more && query.limit.is_none() {
            return refuse("more than 10000 accreditations match; page with limit and cursor");
        }
        stored.truncate(most);
        let next = stored.last().filter(|_| more).map(|last| Place {
            last_changed: last.value.last_changed,
            id: last.value.id.clone(),
        });
        let rows = self.judge_rows(stored, &query, &catalog);
        let record = self.record(call, Action::AccreditationsRetrieved);
        self.recorder
            .write(vec![Write::AppendAudit(Box::new(record))])
            .await;
        Ok(List {
            rows,
            catalog,
            next,
        })
    }

    fn judge_rows(
        &self,
        stored: Vec<Stored<Accreditation>>,
        query: &ListQuery,
        catalog: &Catalog,
    ) -> Vec<Listed> {
        let now = self.now();
        let wanted = |grant: &Accreditation| {
            let requestor = grant.requestor.expose_bare().unwrap_or_default();
            query
                .requestor
                .as_deref()
                .is_none_or(|text| requestor == text)
        };
        let rows = stored.into_iter().map(|stored| stored.value).filter(wanted);
        let rows = rows.map(|accreditation| {
            let aggregate = states_of(&accreditation, catalog, now)
                .iter()
                .map(|state| state.status)
                .find(|status| *status != DatasetStatus::Available)
                .unwrap_or(DatasetStatus::Available);
            Listed {
                accreditation,
                aggregate,
            }
        });
        rows.filter(|row| !query.only_available || row.aggregate == DatasetStatus::Available)
            .collect()
    }
}
