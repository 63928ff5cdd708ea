//! [`Streamed`]: an answer that leaves while it is still arriving, and is signed at its end.
//!
//! The intent is durable before there is one. Its outcome is recorded whatever becomes of it: it has its place in the
//! recorder's queue from the start, and dropping it says how much of it left. Only once the outcome and the proof are
//! durable is the end handed out, which tells the peer that the answer is whole.

use std::future::pending;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::arrive::too_large;
use super::gate::Permit;
use super::harvest::source_fault;
use super::proof::{PROOF_MS, PROOFS_MAX};
use super::record::Place;
use super::release::{Said, sign_statement, statement, usage_key};
use super::{Exchange, Ports, store_fault};
use crate::audit::{AuditRecord, Phase};
use crate::error::{Code, Fault};
use crate::evidence::{Arriving, SourceCall};
use crate::meter::Meter;
use crate::parts::BoxParts;
use crate::ports::{CallContext, Clock, PortFuture, ProofRecord, SourceError, Write};
use crate::time::Timestamp;

/// How long a stream may take, all in all.
pub const STREAM_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a source may send nothing of an answer that it has begun.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(30);
/// How long signing and recording may take at the end of a stream.
pub const SEAL_TIME_MAX: Duration = Duration::from_secs(10);
/// Most bytes that are handed out at a time; a larger part of the source's is cut.
pub const FRAME_BYTES_MAX: usize = 32 * 1024;
/// Seconds after which there may be room for one more stream.
const NO_PLACE_RETRY_S: u32 = 10;

/// What proves an answer that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// SHA-256 of the body, for `Content-Digest`.
    pub digest: [u8; 32],
    /// Value of `X-Signature-JWT`.
    pub signature: String,
}

/// What is handed out next.
#[derive(Debug)]
pub enum Frame {
    /// Bytes of the body, at most [`FRAME_BYTES_MAX`], never none.
    Part(Bytes),
    /// All bytes were handed out, and what proves them is durable. Nothing follows.
    End(Seal),
}

/// The answer is not whole, and the peer must be left to see that. It was logged and recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer broke off")
    }
}

impl std::error::Error for BrokenOff {}

/// An answer whose body is still arriving. Nobody reads ahead of [`Streamed::poll_frame`], but for the part at hand.
pub struct Streamed {
    media_type: String,
    release: Arc<str>,
    state: State,
}

enum State {
    Passing(Box<Passing>),
    Sealing(PortFuture<'static, Result<Seal, Fault>>),
    Ended,
}

/// While bytes pass.
struct Passing {
    parts: BoxParts<SourceError>,
    /// Of the last part, what was not handed out.
    rest: Bytes,
    hash: Sha256,
    pace: Pace,
    call: String,
    retrieved_at: Timestamp,
    closing: Closing,
}

/// What is needed at the end.
struct Closing {
    ports: Ports,
    public_url: String,
    permit: Permit,
    calls: Vec<SourceCall>,
    media_type: String,
    request_id: Arc<str>,
    outcome: Outcome,
}

/// Records how the answer ended: as broken off, when it is dropped before it was delivered.
struct Outcome {
    place: Option<Place>,
    record: Box<AuditRecord>,
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
    sent_bytes: u64,
    code: Option<Code>,
}

impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Streamed({})", self.release)
    }
}

impl Streamed {
    /// Media type of the body.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Identifier of the release, under which its proof is found afterwards.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// What comes next; `None` after the end, and after an error.
    ///
    /// # Errors
    /// [`BrokenOff`] when the source failed, was late or sent too much, and when the answer could not be signed or
    /// recorded.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BrokenOff>>> {
        loop {
            let end = match &mut self.state {
                State::Passing(passing) => match ready!(passing.poll(cx)) {
                    Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::Part(bytes)))),
                    Ok(None) => None,
                    Err(fault) => {
                        passing.closing.outcome.fail(&fault);
                        Some(Err(BrokenOff))
                    }
                },
                State::Sealing(sealing) => {
                    let sealed = ready!(sealing.as_mut().poll(cx));
                    Some(sealed.map(Frame::End).map_err(|_recorded| BrokenOff))
                }
                State::Ended => return Poll::Ready(None),
            };
            let state = std::mem::replace(&mut self.state, State::Ended);
            match (end, state) {
                (None, State::Passing(passing)) => {
                    self.state = State::Sealing(Box::pin(passing.seal()));
                }
                (end, _) => return Poll::Ready(end),
            }
        }
    }
}

impl Passing {
    /// The next bytes; `None` at the end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        while self.rest.is_empty() {
            self.pace.check()?;
            match self.parts.as_mut().poll_part(cx) {
                Poll::Ready(Some(part)) => self.rest = part.map_err(source_fault)?,
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => return self.pace.poll_late(cx).map(Err),
            }
            self.pace.heard();
        }
        let bytes = self.rest.split_to(self.rest.len().min(FRAME_BYTES_MAX));
        let outcome = &mut self.closing.outcome;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let sent_bytes = outcome.sent_bytes.saturating_add(size);
        let dataset = &self.closing.permit.offer().dataset;
        if sent_bytes > dataset.bytes_max() {
            return Poll::Ready(Err(source_fault(too_large(dataset))));
        }
        outcome.sent_bytes = sent_bytes;
        self.hash.update(&bytes);
        Poll::Ready(Ok(Some(bytes)))
    }

    /// Lets go of the source, and closes.
    async fn seal(self) -> Result<Seal, Fault> {
        let Self {
            parts,
            hash,
            call,
            retrieved_at,
            mut closing,
            ..
        } = self;
        drop(parts);
        let digest = hash.finalize().into();
        closing.calls.push(SourceCall {
            id: call,
            retrieved_at,
            digest,
        });
        closing.close(digest).await
    }
}

impl Closing {
    /// Signs, and waits until outcome and proof are durable.
    async fn close(self, digest: [u8; 32]) -> Result<Seal, Fault> {
        let now = Instant::now();
        let deadline = now.checked_add(SEAL_TIME_MAX).unwrap_or(now);
        let ctx = CallContext {
            request_id: Arc::clone(&self.request_id),
            deadline,
        };
        let late = |_elapsed| Fault::with(Code::ServiceNotAvailable, "signing took too long");
        let Self {
            ports,
            permit,
            mut outcome,
            ..
        } = self;
        let said = Said {
            permit: &permit,
            calls: &self.calls,
            digest,
            media_type: Some(&self.media_type),
            query: None,
            request_id: &self.request_id,
        };
        let claims = statement(&ports, &self.public_url, &said);
        let signing = timeout_at(deadline, sign_statement(&ports, &claims, &ctx)).await;
        let signed = signing.map_err(late).and_then(|signed| signed);
        let signature = signed.inspect_err(|fault| outcome.fail(fault))?;
        let proof = ProofRecord {
            id: self.request_id.to_string(),
            owner: permit.owner(),
            statement: signature.clone(),
            expires: ports.clock.now().plus_ms(PROOF_MS),
        };
        let delivered = outcome.deliver(digest, proof);
        timeout_at(deadline, delivered)
            .await
            .map_err(late)
            .and_then(|delivered| delivered)
            .inspect_err(|fault| tell(&self.request_id, None, fault))?;
        Ok(Seal { digest, signature })
    }
}

impl Outcome {
    /// It will be recorded as broken off for this reason.
    fn fail(&mut self, fault: &Fault) {
        tell(&self.record.request_id, Some(self.sent_bytes), fault);
        self.code = Some(fault.code);
    }

    /// Waits until it is durable that everything left. Once begun, it is recorded whether or not anybody waits.
    async fn deliver(mut self, digest: [u8; 32], proof: ProofRecord) -> Result<(), Fault> {
        let record = AuditRecord {
            at: self.clock.now(),
            phase: Phase::Delivered {
                digest,
                body_bytes: self.sent_bytes,
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

fn tell(request_id: &str, body_bytes: Option<u64>, fault: &Fault) {
    let cause = fault.cause.as_deref().or(fault.text.as_deref());
    tracing::warn!(
        request.id = request_id,
        body_bytes = body_bytes.unwrap_or_default(),
        fault.code = fault.code.number(),
        cause = cause.unwrap_or_default(),
        "an answer broke off"
    );
}

/// How long the source may take.
struct Pace {
    end: Instant,
    /// Until when the source must send something; `None` while nobody waits for it.
    idle: Option<Instant>,
    timer: Option<(Instant, PortFuture<'static, ()>)>,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            end: now.checked_add(STREAM_TIME_MAX).unwrap_or(now),
            idle: None,
            timer: None,
        }
    }

    const fn heard(&mut self) {
        self.idle = None;
    }

    fn check(&self) -> Result<(), Fault> {
        if Instant::now() < self.end {
            return Ok(());
        }
        let text = format!(
            "the answer was not whole within {} s",
            STREAM_TIME_MAX.as_secs()
        );
        Err(Fault::with(Code::ServiceNotAvailable, text))
    }

    /// Ready when the source has been waited for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let now = Instant::now();
        let idle = now.checked_add(STREAM_IDLE_MAX).unwrap_or(now);
        let until = self.end.min(*self.idle.get_or_insert(idle));
        loop {
            if now >= until {
                let text = format!(
                    "the source sent nothing for {} s",
                    STREAM_IDLE_MAX.as_secs()
                );
                let late = || Fault::with(Code::ServiceNotAvailable, text);
                return Poll::Ready(self.check().err().unwrap_or_else(late));
            }
            // One that rings early is set again, which is rarer than setting it for each part.
            match &mut self.timer {
                Some((rings, timer)) if *rings <= until && *rings > now => {
                    ready!(timer.as_mut().poll(cx));
                    return self.poll_late(cx);
                }
                Some(_) | None => {
                    let timer = async move {
                        timeout_at(until, pending::<()>()).await.ok();
                    };
                    self.timer = Some((until, Box::pin(timer)));
                }
            }
        }
    }
}

/// There are as many streams as there may be.
pub(super) fn no_place() -> Fault {
    let text = "too many large answers are under way";
    Fault::with(Code::ServiceNotAvailable, text).retry_after(NO_PLACE_RETRY_S)
}

impl Exchange {
    /// An answer that begins to leave. What it ends as is recorded in `place`.
    pub(super) fn stream(
        &self,
        (place, permit): (Place, Permit),
        calls: Vec<SourceCall>,
        arriving: Arriving,
        ctx: &CallContext,
    ) -> Streamed {
        let outcome = Outcome {
            place: Some(place),
            record: Box::new(self.harvest_record(&permit, Phase::Intent, ctx)),
            clock: Arc::clone(&self.ports.clock),
            meter: Arc::clone(&self.meter),
            sent_bytes: 0,
            code: None,
        };
        let passing = Passing {
            parts: arriving.parts,
            rest: Bytes::new(),
            hash: Sha256::new(),
            pace: Pace::new(),
            call: arriving.call,
            retrieved_at: arriving.retrieved_at,
            closing: Closing {
                ports: self.ports.clone(),
                public_url: self.settings.public_url.clone(),
                permit,
                calls,
                media_type: arriving.media_type.clone(),
                request_id: Arc::clone(&ctx.request_id),
                outcome,
            },
        };
        Streamed {
            media_type: arriving.media_type,
            release: Arc::clone(&ctx.request_id),
            state: State::Passing(Box::new(passing)),
        }
    }
}
