//! Answers that leave while they arrive: what is handed out when, what is recorded, and what proves them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use serde_json::Value;

use super::{Desk, Plain, SCOPE, code};
use crate::audit::Phase;
use crate::caller::Caller;
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::flow::{
    AHEAD_BYTES, Answer, BrokenOff, Call, FRAME_BYTES_MAX, Form, Frame, HELD_BYTES_MAX, PROOF_MS,
    Presented, Presenter, Released, STREAM_IDLE_MAX, STREAM_TIME_MAX, STREAMS_MAX, Seal, Streamed,
    Wish,
};
use crate::inquiry::OfferedTokens;
use crate::parts::{BoxParts, Parts, Ready};
use crate::ports::{SourceError, SourceFailure};
use crate::statement::{hex, sha256};
use crate::testkit::builders::{self, OTHER_AGENCY};
use crate::testkit::fakes::call_context;

const KIB: usize = 1024;
const JTI: &str = "11111111-2222-4333-8444-555555555555";

/// Sends parts of one size as long as it is asked, then ends, fails or says nothing more.
struct Sender {
    left: usize,
    part: usize,
    end: End,
    gone: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Good,
    Failure,
    Silence,
}

impl Parts<SourceError> for Sender {
    fn poll_part(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        if self.left > 0 {
            self.left = self.left.saturating_sub(1);
            return Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; self.part]))));
        }
        match self.end {
            End::Good => Poll::Ready(None),
            End::Failure => Poll::Ready(Some(Err(SourceError {
                failure: SourceFailure::Transient,
                source: "FAKE".to_owned(),
                detail: 7,
                text: None,
                cause: "cut".to_owned(),
            }))),
            End::Silence => Poll::Pending,
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

fn sender(left: usize, part: usize, end: End) -> (BoxParts<SourceError>, Arc<AtomicBool>) {
    let gone = Arc::new(AtomicBool::new(false));
    let sender = Sender {
        left,
        part,
        end,
        gone: Arc::clone(&gone),
    };
    (Box::pin(sender), gone)
}

/// As the test presenter, in another form or for a peer that cannot be told of the end.
struct Whole(Form);

impl Presenter for Whole {
    fn form(&self, _dataset: &Dataset) -> Result<Form, Fault> {
        Ok(self.0)
    }

    fn streams(&self) -> bool {
        false
    }

    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault> {
        Plain.present(answer)
    }
}

fn desk() -> Desk {
    Desk::with(vec![], vec![builders::dataset("A")])
}

async fn release(
    desk: &Desk,
    parts: BoxParts<SourceError>,
    presenter: &dyn Presenter,
) -> Result<Released, Fault> {
    desk.fakes.source.send(parts);
    let (ctx, tokens) = (call_context(), OfferedTokens::default());
    let wish = Wish {
        tokens: &tokens,
        presenter,
    };
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    let application = builders::application(&["A"]);
    desk.exchange.direct_harvest(call, application, wish).await
}

async fn streamed(desk: &Desk, parts: BoxParts<SourceError>) -> Streamed {
    match release(desk, parts, &Plain).await.unwrap() {
        Released::Streamed(streamed) => *streamed,
        Released::Whole(envelope) => panic!("{envelope:?}"),
    }
}

/// What a reader sees: the bytes, and how they end.
async fn read(streamed: &mut Streamed) -> (Vec<u8>, Result<Seal, BrokenOff>) {
    let mut body = Vec::new();
    loop {
        let frame = poll_fn(|cx| streamed.poll_frame(cx)).await;
        match frame.expect("an end before the end") {
            Ok(Frame::Part(part)) => {
                assert!((1..=FRAME_BYTES_MAX).contains(&part.len()));
                body.extend_from_slice(&part);
            }
            Ok(Frame::End(seal)) => return (body, Ok(seal)),
            Err(broken) => return (body, Err(broken)),
        }
    }
}

/// The same beside a recorder that writes.
async fn read_recorded(desk: &Desk, streamed: &mut Streamed) -> (Vec<u8>, Result<Seal, BrokenOff>) {
    tokio::select! {
        () = desk.exchange.keep_records() => panic!("nobody closed it"),
        read = read(streamed) => read,
    }
}

async fn phases(desk: &Desk) -> Vec<Phase> {
    desk.records()
        .await
        .into_iter()
        .map(|(_, phase)| phase)
        .collect()
}

#[tokio::test]
async fn what_ends_early_leaves_whole_and_is_signed_in_front() {
    for (left, part) in [(0, 1), (1, 1), (1, AHEAD_BYTES), (AHEAD_BYTES / KIB, KIB)] {
        let desk = desk();
        let released = release(&desk, sender(left, part, End::Good).0, &Plain).await;
        let envelope = released.unwrap().whole().unwrap();
        assert_eq!(envelope.body.len(), left * part);
        let claims = envelope.signature.strip_prefix("Jwt.").unwrap();
        let claims: Value = serde_json::from_str(claims).unwrap();
        assert_eq!(claims["source_digest"], hex(&sha256(&envelope.body)));
        assert!(matches!(phases(&desk).await[1], Phase::Delivered { .. }));
        assert!(desk.exchange.proof(Some(&desk.caller), JTI).await.is_err());
    }
}

#[tokio::test]
async fn a_large_answer_is_signed_at_its_end_and_its_proof_is_kept() {
    let desk = desk();
    let (parts, gone) = sender(100, 10 * KIB + 1, End::Good);
    let mut streamed = streamed(&desk, parts).await;
    assert_eq!(streamed.media_type(), "application/zip");
    assert_eq!(streamed.release(), JTI);
    let absent = desk.exchange.proof(Some(&desk.caller), JTI).await;
    assert_eq!(absent.unwrap_err().status, 404, "while it is under way");
    let (body, end) = read_recorded(&desk, &mut streamed).await;
    let seal = end.unwrap();
    assert_eq!(body.len(), 100 * (10 * KIB + 1));
    assert!(gone.load(Ordering::SeqCst), "the source is held no longer");
    assert!(poll_fn(|cx| streamed.poll_frame(cx)).await.is_none());
    assert_eq!(seal.digest, sha256(&body));
    let claims: Value = serde_json::from_str(seal.signature.strip_prefix("Jwt.").unwrap()).unwrap();
    assert_eq!(claims["SHA256PayloadDigest"], hex(&sha256(&body)));
    assert_eq!(claims["source_digest"], hex(&sha256(&body)));
    assert_eq!(claims["jti"], JTI);
    assert_eq!(claims["aud"], "0192:991825827");
    assert_eq!(claims["media_type"], "application/zip");
    let proof = desk.exchange.proof(Some(&desk.caller), JTI).await.unwrap();
    assert_eq!(proof, seal.signature);
    let body_bytes = body.len().try_into().unwrap();
    let digest = seal.digest;
    let delivered = Phase::Delivered { digest, body_bytes };
    assert_eq!(phases(&desk).await, [Phase::Intent, delivered]);
}

#[tokio::test]
async fn a_proof_is_for_whom_the_answer_was_and_for_an_hour() {
    let desk = desk();
    let mut streamed = streamed(&desk, sender(3, AHEAD_BYTES, End::Good).0).await;
    read_recorded(&desk, &mut streamed).await.1.unwrap();
    let stranger = builders::caller(OTHER_AGENCY, &[SCOPE]);
    let ask = async |caller: Option<&Caller>, id: &str| desk.exchange.proof(caller, id).await;
    assert!(ask(Some(&desk.caller), JTI).await.is_ok());
    for (caller, id) in [
        (None, JTI.to_owned()),
        (Some(&stranger), JTI.to_owned()),
        (Some(&desk.caller), "another".to_owned()),
        (Some(&desk.caller), JTI.repeat(100)),
    ] {
        let fault = ask(caller, &id).await.unwrap_err();
        assert_eq!((fault.status, fault.code.number()), (404, 1014));
    }
    desk.fakes.clock.advance_ms(PROOF_MS - 1);
    assert!(ask(Some(&desk.caller), JTI).await.is_ok());
    desk.fakes.clock.advance_ms(1);
    assert!(ask(Some(&desk.caller), JTI).await.is_err());
    desk.fakes.clock.advance_ms(1);
    desk.exchange.sweep().await.unwrap();
    desk.fakes.clock.advance_ms(-2);
    assert!(
        ask(Some(&desk.caller), JTI).await.is_err(),
        "it is forgotten"
    );
}

#[tokio::test]
async fn proofs_of_open_data_are_for_everybody() {
    let open = Dataset {
        public: true,
        ..builders::dataset("Open")
    };
    let desk = Desk::with(vec![], vec![open]);
    desk.fakes.source.send(sender(3, AHEAD_BYTES, End::Good).0);
    let ctx = call_context();
    let released = desk.exchange.open_data("Open", None, &Plain, &ctx).await;
    let Released::Streamed(mut streamed) = released.unwrap() else {
        panic!("whole");
    };
    let seal = read_recorded(&desk, &mut streamed).await.1.unwrap();
    assert_eq!(
        desk.exchange.proof(None, JTI).await.unwrap(),
        seal.signature
    );
    let anybody = builders::caller(OTHER_AGENCY, &[SCOPE]);
    assert!(desk.exchange.proof(Some(&anybody), JTI).await.is_ok());
}

#[tokio::test]
async fn a_source_that_breaks_off_leaves_no_end_and_is_recorded() {
    let desk = desk();
    let mut streamed = streamed(&desk, sender(4, 30 * KIB, End::Failure).0).await;
    let (body, end) = read_recorded(&desk, &mut streamed).await;
    assert_eq!((body.len(), end), (120 * KIB, Err(BrokenOff)));
    assert!(poll_fn(|cx| streamed.poll_frame(cx)).await.is_none());
    let broken = Phase::BrokenOff {
        body_bytes: 120 * 1024,
        code: Some(3001),
    };
    assert_eq!(phases(&desk).await, [Phase::Intent, broken]);
    assert!(desk.exchange.proof(Some(&desk.caller), JTI).await.is_err());
}

#[tokio::test]
async fn a_source_that_sends_more_than_it_may_is_cut() {
    let small = |bytes| {
        let dataset = Dataset {
            bytes_max: Some(bytes),
            ..builders::dataset("A")
        };
        Desk::with(vec![], vec![dataset])
    };
    let desk = small(100 * 1024);
    let mut streamed = streamed(&desk, sender(10, 30 * KIB, End::Good).0).await;
    let (body, end) = read_recorded(&desk, &mut streamed).await;
    assert!(body.len() <= 100 * KIB && end.is_err());
    assert!(matches!(
        phases(&desk).await[1],
        Phase::BrokenOff { code: Some(3003), body_bytes } if usize::try_from(body_bytes) == Ok(body.len())
    ));
    let desk = small(10);
    let released = release(&desk, sender(1, 11, End::Good).0, &Plain).await;
    assert_eq!(code(released), Some(Code::EvidenceSourcePermanentServer));
    assert_eq!(phases(&desk).await[1], Phase::Failed { code: 3003 });
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_given_up_and_a_slow_reader_is_not_its_fault() {
    let desk = desk();
    let mut slow = streamed(&desk, sender(4, 30 * KIB, End::Silence).0).await;
    tokio::time::advance(STREAM_IDLE_MAX * 3).await;
    let begun = tokio::time::Instant::now();
    let (body, end) = read_recorded(&desk, &mut slow).await;
    assert_eq!((body.len(), end), (120 * KIB, Err(BrokenOff)));
    assert_eq!(begun.elapsed().as_secs(), STREAM_IDLE_MAX.as_secs());
    let late = Phase::BrokenOff {
        body_bytes: 120 * 1024,
        code: Some(1013),
    };
    assert_eq!(phases(&desk).await[1], late);
}

#[tokio::test(start_paused = true)]
async fn no_answer_takes_for_ever() {
    let desk = desk();
    let mut slow = streamed(&desk, sender(100, 30 * KIB, End::Good).0).await;
    poll_fn(|cx| slow.poll_frame(cx)).await;
    tokio::time::advance(STREAM_TIME_MAX).await;
    let (body, end) = read_recorded(&desk, &mut slow).await;
    assert!(body.len() < 100 * KIB && end.is_err());
}

#[tokio::test]
async fn whoever_goes_away_is_recorded_with_what_he_had() {
    let desk = desk();
    let (parts, gone) = sender(100, 30 * KIB, End::Good);
    let mut left = streamed(&desk, parts).await;
    poll_fn(|cx| left.poll_frame(cx)).await.unwrap().unwrap();
    drop(left);
    assert!(gone.load(Ordering::SeqCst));
    let untouched = streamed(&desk, sender(100, 30 * KIB, End::Good).0).await;
    drop(untouched);
    let broken = |body_bytes| Phase::BrokenOff {
        body_bytes,
        code: None,
    };
    let first = u64::try_from(FRAME_BYTES_MAX).unwrap();
    assert_eq!(
        phases(&desk).await,
        [Phase::Intent, Phase::Intent, broken(first), broken(0)]
    );
}

#[tokio::test]
async fn there_is_no_end_where_the_outcome_is_not_durable() {
    let desk = desk();
    let mut streamed = streamed(&desk, sender(4, 30 * KIB, End::Good).0).await;
    desk.fakes.store.set_down(true);
    let (body, end) = read_recorded(&desk, &mut streamed).await;
    assert_eq!((body.len(), end), (120 * KIB, Err(BrokenOff)));
    desk.fakes.store.set_down(false);
    assert_eq!(phases(&desk).await, [Phase::Intent]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_nobody_records_is_not_waited_for() {
    let desk = desk();
    let mut streamed = streamed(&desk, sender(4, 30 * KIB, End::Good).0).await;
    let (_, end) = read(&mut streamed).await;
    assert_eq!(end, Err(BrokenOff));
    assert!(matches!(phases(&desk).await[1], Phase::Delivered { .. }));
}

#[tokio::test]
async fn who_drops_an_answer_at_its_end_has_had_it() {
    let desk = desk();
    let mut streamed = streamed(&desk, sender(4, 30 * KIB, End::Good).0).await;
    // Nobody writes, so the end waits.
    tokio::select! {
        biased;
        _end = read(&mut streamed) => panic!("an end"),
        () = tokio::task::yield_now() => {}
    }
    drop(streamed);
    assert!(
        matches!(phases(&desk).await[1], Phase::Delivered { body_bytes, .. } if body_bytes == 120 * 1024)
    );
}

#[tokio::test]
async fn one_signed_object_holds_so_much_and_not_more() {
    let most = HELD_BYTES_MAX / KIB / 64;
    for form in [Form::Plain, Form::Jose, Form::Cose] {
        let desk = desk();
        let presenter = Whole(form);
        let fits = release(&desk, sender(most, 64 * KIB, End::Good).0, &presenter).await;
        let envelope = fits.unwrap().whole().unwrap();
        assert!(envelope.body.len() >= HELD_BYTES_MAX, "{form:?}");
        let more = sender(most + 1, 64 * KIB, End::Good).0;
        let fault = release(&desk, more, &presenter).await.unwrap_err();
        assert_eq!((fault.status, fault.code.number()), (406, 1014));
        assert_eq!(phases(&desk).await[3], Phase::Failed { code: 1014 });
    }
}

#[tokio::test]
async fn there_is_a_place_for_so_many_and_the_rest_may_come_again() {
    let desk = desk();
    let mut all = Vec::new();
    for _ in 0..STREAMS_MAX {
        all.push(streamed(&desk, sender(3, AHEAD_BYTES, End::Good).0).await);
    }
    let one_more = release(&desk, sender(3, AHEAD_BYTES, End::Good).0, &Plain).await;
    let fault = one_more.unwrap_err();
    assert_eq!(fault.code, Code::ServiceNotAvailable);
    assert!(fault.retry_after_s.is_some());
    let small = release(&desk, Ready::of([Bytes::from_static(b"x")]), &Plain).await;
    assert!(small.unwrap().whole().is_some());
    drop(all);
    let ended = phases(&desk).await;
    let broken = |phase: &&Phase| matches!(phase, Phase::BrokenOff { .. });
    assert_eq!(ended.iter().filter(broken).count(), STREAMS_MAX);
    assert_eq!(
        ended
            .iter()
            .filter(|phase| **phase == Phase::Failed { code: 1013 })
            .count(),
        1
    );
}

#[tokio::test]
async fn nothing_is_handed_out_before_the_intent_is_durable() {
    let desk = desk();
    desk.fakes.store.set_down(true);
    let released = release(&desk, sender(9, AHEAD_BYTES, End::Good).0, &Plain).await;
    assert_eq!(code(released), Some(Code::ServiceNotAvailable));
}
