//! [`Outcome`]: what becomes of an answer that leaves as a stream, recorded wherever it ends.

use std::sync::Arc;

use super::proof::PROOFS_MAX;
use super::record::Place;
use super::release::usage_key;
use super::store_fault;
use crate::audit::{AuditRecord, Phase, kid_of};
use crate::error::{Code, Fault};
use crate::meter::Meter;
use crate::ports::{Clock, ProofRecord, Write};

/// Records how the answer ended: as broken off, when it is dropped before it was delivered.
pub(super) struct Outcome {
    place: Option<Place>,
    record: Box<AuditRecord>,
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
    /// Bytes of the body that were handed out.
    pub(super) sent_bytes: u64,
    code: Option<Code>,
}

impl Outcome {
    /// Of what this record is the intent.
    pub(super) fn of(
        intent: AuditRecord,
        place: Place,
        (clock, meter): (Arc<dyn Clock>, Arc<Meter>),
    ) -> Self {
        Self {
            place: Some(place),
            record: Box::new(intent),
            clock,
            meter,
            sent_bytes: 0,
            code: None,
        }
    }

    /// It will be recorded as broken off for this reason.
    pub(super) fn fail(&mut self, fault: &Fault) {
        tell(&self.record.request_id, Some(self.sent_bytes), fault);
        self.code = Some(fault.code);
    }

    /// Waits until it is durable that everything left. Once begun, it is recorded whether or not anybody waits.
    pub(super) async fn deliver(
        mut self,
        digest: [u8; 32],
        proof: ProofRecord,
    ) -> Result<(), Fault> {
        let record = AuditRecord {
            at: self.clock.now(),
            phase: Phase::Delivered {
                digest,
                body_bytes: self.sent_bytes,
                kid: kid_of(&proof.statement),
            },
            ..(*self.record).clone()
        };
        let used = usage_key(&record);
        let writes = vec![
            Write::AppendAudit(Box::new(record)),
            Write::CountUse(used),
            Write::KeepProof {
                value: Box::new(proof),
                count_max: PROOFS_MAX,
            },
        ];
        let gone = || Fault::with(Code::ServiceNotAvailable, "the node's own store");
        let place = self.place.take().ok_or_else(gone)?;
        let written = place.commit(writes).await;
        written.map_err(|_gone| gone())?.map_err(store_fault)?;
        self.meter.harvests.count();
        Ok(())
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        self.meter.harvests_failed.count();
        if self.code.is_none() {
            tracing::info!(
                request.id = self.record.request_id,
                body_bytes = self.sent_bytes,
                "the peer left before its answer was whole"
            );
        }
        let record = AuditRecord {
            at: self.clock.now(),
            phase: Phase::BrokenOff {
                body_bytes: self.sent_bytes,
                code: self.code.map(Code::number),
            },
            ..(*self.record).clone()
        };
        place.write(vec![Write::AppendAudit(Box::new(record))]);
    }
}

/// The line in the log about an answer that is not whole by our doing or the source's.
pub(super) fn tell(request_id: &str, body_bytes: Option<u64>, fault: &Fault) {
    let cause = fault.cause.as_deref().or(fault.text.as_deref());
    tracing::warn!(
        request.id = request_id,
        body_bytes = body_bytes.unwrap_or_default(),
        fault.code = fault.code.number(),
        cause = cause.unwrap_or_default(),
        "an answer broke off"
    );
}
