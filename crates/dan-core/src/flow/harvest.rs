//! Harvest from a permit: the intent becomes durable while the source is asked.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::gate::Permit;
use super::release::{Envelope, Presenter, Wish};
use super::{Call, Exchange, store_fault};
use crate::accreditation::AccreditationId;
use crate::audit::{Action, AuditRecord, Phase};
use crate::error::{Code, Fault, FaultDetail};
use crate::evidence::{Evidence, Harvest};
use crate::inquiry::OfferedTokens;
use crate::ports::{Batch, CallContext, HarvestOrder, SourceError, SourceFailure, Write};

impl Exchange {
    /// Harvests one dataset of a stored grant (`wire-api.md` §4.7).
    ///
    /// # Errors
    /// 1002, 1003, 1006, 1013, 1019, 1027 and the source's 3001 to 3003.
    pub async fn harvest(
        &self,
        call: Call<'_>,
        id: &str,
        dataset: &str,
        wish: Wish<'_>,
    ) -> Result<Envelope, Fault> {
        let tokens: OfferedTokens = wish.tokens.clone();
        match self.permit_stored(call, id, dataset, tokens).await {
            Ok(permit) => {
                self.fetch_and_release(permit, wish.presenter, call.ctx)
                    .await
            }
            Err(fault) => Err(self.refused_harvest(call, dataset, Some(id), fault).await),
        }
    }

    /// Records that a harvest was refused before any source was asked.
    pub(super) async fn refused_harvest(
        &self,
        call: Call<'_>,
        dataset: &str,
        accreditation: Option<&str>,
        fault: Fault,
    ) -> Fault {
        self.meter.harvests_refused.count();
        let record = AuditRecord {
            phase: Phase::Failed {
                code: fault.code.number(),
            },
            dataset: self.catalog().name_for_record(dataset).to_owned(),
            // What is no identifier is left out: anything might stand there, a person number too.
            accreditation: accreditation
                .and_then(AccreditationId::parse)
                .map(|id| id.as_str().to_owned()),
            ..self.record(call, Action::HarvestRefused)
        };
        self.recorder
            .write(vec![Write::AppendAudit(Box::new(record))])
            .await;
        fault
    }

    /// Asks the source while the intent is written; both must be done before anything leaves.
    pub(super) async fn fetch_and_release(
        &self,
        permit: Permit,
        presenter: &dyn Presenter,
        ctx: &CallContext,
    ) -> Result<Envelope, Fault> {
        let intent = self.harvest_record(&permit, Phase::Intent, ctx);
        let batch = Batch(vec![Write::AppendAudit(Box::new(intent))]);
        let recorded = async { self.ports.store.commit(&batch).await.map_err(store_fault) };
        let asked = async { Ok(ask(&permit, ctx).await) };
        let released = match tokio::try_join!(recorded, asked) {
            Ok(((), Ok(harvest))) => self.release(&permit, harvest, presenter, ctx).await,
            Ok(((), Err(fault))) | Err(fault) => Err(fault),
        };
        if let Err(fault) = &released {
            self.meter.harvests_failed.count();
            let failed = Phase::Failed {
                code: fault.code.number(),
            };
            let record = self.harvest_record(&permit, failed, ctx);
            self.recorder
                .write(vec![Write::AppendAudit(Box::new(record))])
                .await;
        }
        released
    }

    pub(super) fn harvest_record(
        &self,
        permit: &Permit,
        phase: Phase,
        ctx: &CallContext,
    ) -> AuditRecord {
        AuditRecord {
            at: self.now(),
            action: match permit.context() {
                Some(_) => Action::DatasetRetrieved,
                None => Action::OpenDatasetRetrieved,
            },
            phase,
            request_id: ctx.request_id.to_string(),
            key_id: permit.key_id().to_owned(),
            owner: permit.owner(),
            supplier: permit.supplier(),
            system_user: permit.system_user().map(str::to_owned),
            context: permit.context().unwrap_or("OpenData").to_owned(),
            dataset: permit.offer().name.clone(),
            accreditation: permit.accreditation().map(str::to_owned),
            requestor: permit.requestor().cloned(),
            subject: permit.subject().cloned(),
            basis: permit.basis().to_vec(),
            external_reference: permit.external_reference().map(str::to_owned),
            node: None,
        }
    }
}

async fn ask(permit: &Permit, ctx: &CallContext) -> Result<Harvest, Fault> {
    let dataset = &permit.offer().dataset;
    let limit = Duration::from_secs(u64::from(dataset.timeout_s()));
    // The time limit of the dataset and the deadline of the request: the earlier one holds.
    let deadline = Instant::now()
        .checked_add(limit)
        .map_or(ctx.deadline, |at| at.min(ctx.deadline));
    let ctx = CallContext {
        request_id: ctx.request_id.clone(),
        deadline,
    };
    let order = HarvestOrder::from_permit(permit);
    let answer = timeout_at(deadline, permit.offer().source.harvest(&order, &ctx)).await;
    match answer {
        Ok(Ok(mut harvest)) => {
            minimise(&mut harvest, permit);
            Ok(harvest)
        }
        Ok(Err(error)) => Err(source_fault(error)),
        Err(_elapsed) => Err(Fault::with(
            Code::ServiceNotAvailable,
            format!("the source gave no answer within {} s", dataset.timeout_s()),
        )),
    }
}

/// Nothing leaves that the definition does not declare (`engine.md` W-42).
fn minimise(harvest: &mut Harvest, permit: &Permit) {
    if let Evidence::Values(values) = &mut harvest.evidence {
        let declared = &permit.offer().dataset.values;
        values.retain(|value| declared.iter().any(|spec| spec.name == value.name));
    }
}

fn source_fault(error: SourceError) -> Fault {
    let code = match error.failure {
        SourceFailure::Transient => Code::EvidenceSourceTransient,
        SourceFailure::Refused => Code::EvidenceSourcePermanentClient,
        SourceFailure::Broken => Code::EvidenceSourcePermanentServer,
        SourceFailure::Unreachable => {
            return Fault::with(Code::ServiceNotAvailable, "the source is out of reach")
                .because(error.cause);
        }
    };
    let detail = FaultDetail {
        code: format!("{}-{}", error.source, error.detail),
        description: error.text,
    };
    Fault {
        detail: Some(Box::new(detail)),
        ..Fault::new(code).because(error.cause)
    }
}
