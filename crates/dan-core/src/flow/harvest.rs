//! Harvest from a permit: the intent becomes durable while the source is asked.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::arrive::{AHEAD_BYTES, HELD_BYTES_MAX, arrive};
use super::gate::Permit;
use super::release::{Form, Presenter, Released, Wish};
use super::stream::no_place;
use super::{Call, Exchange, store_fault};
use crate::accreditation::AccreditationId;
use crate::audit::{Action, AuditRecord, Phase};
use crate::error::{Code, Fault, FaultDetail};
use crate::evidence::{Evidence, Harvest};
use crate::inquiry::OfferedTokens;
use crate::party::Party;
use crate::ports::{Batch, CallContext, HarvestOrder, SourceError, SourceFailure, Write};

impl Exchange {
    /// Harvests one dataset of a stored grant (`wire-api.md` §4.7).
    ///
    /// # Errors
    /// 1002, 1003, 1006, 1013, 1014, 1019, 1027 and the source's 3001 to 3003.
    pub async fn harvest(
        &self,
        call: Call<'_>,
        id: &str,
        dataset: &str,
        wish: Wish<'_>,
    ) -> Result<Released, Fault> {
        let tokens: OfferedTokens = wish.tokens.clone();
        let permit = self.permit_stored(call, id, dataset, tokens).await;
        match permit.and_then(|permit| self.formed(permit, wish.presenter)) {
            Ok((permit, form)) => {
                let shape = (wish.presenter, form);
                self.fetch_and_release(permit, shape, call.ctx).await
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
        (presenter, form): (&dyn Presenter, Form),
        ctx: &CallContext,
    ) -> Result<Released, Fault> {
        let whole = form != Form::Plain || !presenter.streams();
        let intent = self.harvest_record(&permit, Phase::Intent, ctx);
        let batch = Batch(vec![Write::AppendAudit(Box::new(intent))]);
        let recorded = async { self.ports.store.commit(&batch).await.map_err(store_fault) };
        let asked = async { Ok(ask(&permit, whole, ctx).await) };
        let released = match tokio::try_join!(recorded, asked) {
            Ok(((), Ok(harvest))) => match harvest.evidence {
                Evidence::Stream(arriving) => match self.recorder.place(permit.owner().is_none()) {
                    Some(place) => {
                        let streamed = self.stream((place, permit), harvest.calls, arriving, ctx);
                        return Ok(Released::Streamed(Box::new(streamed)));
                    }
                    None => Err((permit, no_place())),
                },
                Evidence::Values(_) | Evidence::Binary { .. } => {
                    let shape = (presenter, form);
                    let released = self.release(&permit, harvest, shape, ctx).await;
                    released.map_err(|fault| (permit, fault))
                }
            },
            Ok(((), Err(fault))) | Err(fault) => Err((permit, fault)),
        };
        match released {
            Ok(envelope) => Ok(Released::Whole(envelope)),
            Err((permit, fault)) => Err(self.failed_harvest(&permit, fault, ctx).await),
        }
    }

    /// Records that an intent came to nothing.
    async fn failed_harvest(&self, permit: &Permit, fault: Fault, ctx: &CallContext) -> Fault {
        self.meter.harvests_failed.count();
        let failed = Phase::Failed {
            code: fault.code.number(),
        };
        let record = self.harvest_record(permit, failed, ctx);
        self.recorder
            .write(vec![Write::AppendAudit(Box::new(record))])
            .await;
        fault
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
            subject: permit.subject().cloned().or_else(|| {
                // Open data may be about free text; it is sealed like a person.
                let text = permit.subject_text()?;
                Some(Party::Custom(text.to_owned()))
            }),
            basis: permit.basis().to_vec(),
            external_reference: permit.external_reference().map(str::to_owned),
            node: None,
        }
    }
}

/// What the source gives; `whole` where nothing of it may leave before all of it is here.
async fn ask(permit: &Permit, whole: bool, ctx: &CallContext) -> Result<Harvest, Fault> {
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
    let bytes_max = if whole { HELD_BYTES_MAX } else { AHEAD_BYTES };
    let answering = async {
        let harvest = permit.offer().source.harvest(&order, &ctx).await?;
        arrive(harvest, bytes_max, dataset).await
    };
    match timeout_at(deadline, answering).await {
        Ok(Ok(harvest)) if whole && matches!(harvest.evidence, Evidence::Stream(_)) => {
            Err(too_large_to_hold())
        }
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

fn too_large_to_hold() -> Fault {
    let text = format!(
        "the answer is larger than {} MiB and leaves as a stream only; ask for it in its own media type, over HTTP/1.1 \
        or HTTP/2",
        HELD_BYTES_MAX >> 20
    );
    Fault::with(Code::InvalidAuthorizationRequest, text).status(406)
}

pub(super) fn source_fault(error: SourceError) -> Fault {
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
