//! Is each dataset of a grant available?

use super::Exchange;
use crate::accreditation::Accreditation;
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::error::Fault;
use crate::evidence::DatasetStatus;
use crate::time::Timestamp;

/// The state of one dataset of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetState {
    /// Its name.
    pub dataset: String,
    /// Its status.
    pub status: DatasetStatus,
    /// Since when the grant holds.
    pub valid_from: Timestamp,
    /// Until when the grant holds.
    pub valid_to: Timestamp,
}

impl Exchange {
    /// The state of every dataset of a grant, in its order. Asks no source (`wire-api.md` §4.6).
    ///
    /// # Errors
    /// 1002 when it is not the caller's; 1013.
    pub async fn status(&self, caller: &Caller, id: &str) -> Result<Vec<DatasetState>, Fault> {
        let grant = self.own_accreditation(caller, id).await?.value;
        Ok(states_of(&grant, &self.catalog(), self.now()))
    }
}

/// Local checks only (`wire-api.md` §10.3); a grant that has run out shows as expired.
pub(super) fn states_of(
    grant: &Accreditation,
    catalog: &Catalog,
    now: Timestamp,
) -> Vec<DatasetState> {
    let state = |name: &str| {
        let offer = catalog
            .offer(&grant.context, name)
            .filter(|offer| offer.dataset.is_listed(now) && offer.dataset.unavailable.is_none());
        match offer {
            None => DatasetStatus::Unavailable,
            Some(_) if now > grant.valid_to => DatasetStatus::Expired,
            Some(offer) if offer.requires_consent() => DatasetStatus::PendingConsent,
            Some(offer) if offer.dataset.asynchronous => DatasetStatus::AggregateUnknown,
            Some(_) => DatasetStatus::Available,
        }
    };
    grant
        .datasets
        .iter()
        .map(|dataset| DatasetState {
            dataset: dataset.name.clone(),
            status: state(&dataset.name),
            valid_from: grant.issued,
            valid_to: grant.valid_to,
        })
        .collect()
}
