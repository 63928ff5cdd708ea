//! Delete a grant.

use super::{Call, Exchange, store_fault};
use crate::audit::{Action, AuditRecord};
use crate::error::Fault;
use crate::ports::{Batch, Write};

impl Exchange {
    /// Deletes the caller's grant; the record that it was there stays (`wire-api.md` §4.3).
    ///
    /// # Errors
    /// 1002 when it is not there, or not the caller's; 1013.
    pub async fn withdraw(&self, call: Call<'_>, id: &str) -> Result<(), Fault> {
        let stored = self.own_accreditation(call.caller, id).await?;
        let grant = stored.value;
        let names: Vec<&str> = grant
            .datasets
            .iter()
            .map(|dataset| dataset.name.as_str())
            .collect();
        let record = AuditRecord {
            dataset: names.join(","),
            accreditation: Some(grant.id.to_string()),
            requestor: Some(grant.requestor.clone()),
            subject: grant.subject.clone(),
            external_reference: grant.external_reference.clone(),
            ..self.record(call, Action::AccreditationDeleted)
        };
        let batch = Batch(vec![
            Write::DeleteAccreditation {
                id: grant.id,
                expect: stored.revision,
            },
            Write::AppendAudit(Box::new(record)),
        ]);
        self.ports.store.commit(&batch).await.map_err(store_fault)
    }
}
