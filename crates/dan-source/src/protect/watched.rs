//! [`Watched`]: an answer that still arrives, under the eyes of the guard of its source.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dan_core::flow::{AHEAD_BYTES, STREAM_IDLE_MAX};
use dan_core::parts::{BoxParts, Parts};
use dan_core::ports::SourceError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::is_outage;
use crate::breaker::Pass;

/// An answer that still arrives: it holds its places, and its end is the outcome. Dropped while the source was waited for
/// longer than it may be, it tells of a source that is down; dropped because the reader left, of nothing.
pub(super) struct Watched {
    parts: BoxParts<SourceError>,
    pass: Option<Pass>,
    /// Somebody waits for the source.
    waits: bool,
    passed_bytes: usize,
    /// Until when what is read ahead must be here.
    head_by: Instant,
    _places: [OwnedSemaphorePermit; 2],
}

impl Watched {
    /// What a source was let send with `pass`, the first of it by `head_by`.
    pub(super) fn over(
        parts: BoxParts<SourceError>,
        pass: Pass,
        head_by: Instant,
        places: [OwnedSemaphorePermit; 2],
    ) -> BoxParts<SourceError> {
        Box::pin(Self {
            parts,
            pass: Some(pass),
            waits: true,
            passed_bytes: 0,
            head_by,
            _places: places,
        })
    }

    fn expect(&mut self, waits: bool) {
        if self.waits == waits {
            return;
        }
        self.waits = waits;
        if let Some(pass) = &mut self.pass {
            let by = if self.passed_bytes <= AHEAD_BYTES {
                Some(self.head_by)
            } else {
                Instant::now().checked_add(STREAM_IDLE_MAX)
            };
            pass.expect_by(by.filter(|_| waits));
        }
    }
}

impl Parts<SourceError> for Watched {
    fn poll_part(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        let next = self.parts.as_mut().poll_part(cx);
        let outcome = match &next {
            Poll::Pending => {
                self.expect(true);
                return next;
            }
            Poll::Ready(Some(Ok(part))) => {
                self.passed_bytes = self.passed_bytes.saturating_add(part.len());
                self.expect(false);
                // A probe has its answer: others need not wait for the last byte.
                if self.passed_bytes > AHEAD_BYTES
                    && self.pass.as_ref().is_some_and(Pass::is_probe)
                    && let Some(pass) = self.pass.take()
                {
                    pass.settle(false);
                }
                return next;
            }
            Poll::Ready(None) => false,
            Poll::Ready(Some(Err(error))) => is_outage(error),
        };
        if let Some(pass) = self.pass.take() {
            pass.settle(outcome);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dan_core::evidence::{Arriving, Evidence, Harvest};
    use dan_core::parts::next_part;
    use dan_core::ports::{Clock as _, SourceFailure};
    use dan_core::testkit::fakes::{StillClock, call_context};
    use tokio::sync::mpsc;
    use tokio::time::timeout_at;

    use super::super::{DETAIL_BUSY, Guard, Limits};
    use super::*;

    fn bad(failure: SourceFailure, detail: u32) -> SourceError {
        SourceError {
            failure,
            source: "FAKE".to_owned(),
            detail,
            text: None,
            cause: "test".to_owned(),
        }
    }

    async fn succeed(guard: &Guard) -> Result<(), u32> {
        let harvest = Harvest {
            evidence: Evidence::Values(Vec::new()),
            calls: Vec::new(),
        };
        let answer = guard.run(async { Ok(harvest) }, &call_context()).await;
        answer.map(drop).map_err(|error| error.detail)
    }

    /// A source that sends what it is told, when it is told.
    struct Tap(mpsc::UnboundedReceiver<Result<Bytes, SourceError>>);

    impl Parts<SourceError> for Tap {
        fn poll_part(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Bytes, SourceError>>> {
            self.0.poll_recv(cx)
        }
    }

    async fn stream(
        guard: &Guard,
    ) -> (
        mpsc::UnboundedSender<Result<Bytes, SourceError>>,
        BoxParts<SourceError>,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let arriving = Arriving {
            parts: Box::pin(Tap(receiver)),
            media_type: "a/b".to_owned(),
            call: "c".to_owned(),
            retrieved_at: StillClock::default().now(),
        };
        let harvest = Harvest {
            evidence: Evidence::Stream(arriving),
            calls: Vec::new(),
        };
        let answer = guard.run(async { Ok(harvest) }, &call_context()).await;
        match answer.unwrap().evidence {
            Evidence::Stream(arriving) => (sender, arriving.parts),
            Evidence::Values(_) | Evidence::Binary { .. } => panic!("no stream"),
        }
    }

    fn one_at_a_time() -> Guard {
        let limits = Limits {
            running_max: 1,
            waiting_max: 0,
            failures_max: 1,
        };
        let clock: Arc<dyn dan_core::ports::Clock> = Arc::new(StillClock::default());
        Guard::new("fake", limits, &clock)
    }

    #[tokio::test]
    async fn an_answer_under_way_holds_its_place_until_its_last_byte() {
        let guard = one_at_a_time();
        let (sender, mut parts) = stream(&guard).await;
        assert_eq!(succeed(&guard).await, Err(DETAIL_BUSY));
        sender.send(Ok(Bytes::from_static(b"x"))).unwrap();
        drop(sender);
        next_part(&mut parts).await.unwrap().unwrap();
        assert!(next_part(&mut parts).await.is_none());
        assert_eq!(
            succeed(&guard).await,
            Err(DETAIL_BUSY),
            "it is not let go of"
        );
        drop(parts);
        assert_eq!(succeed(&guard).await, Ok(()));
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_counts_against_its_source() {
        let guard = one_at_a_time();
        let (sender, mut parts) = stream(&guard).await;
        sender
            .send(Err(bad(SourceFailure::Unreachable, 0)))
            .unwrap();
        assert!(next_part(&mut parts).await.unwrap().is_err());
        assert!(guard.breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_a_source_that_sends_tells_nothing_of_it_and_who_waited_in_vain_does() {
        let guard = one_at_a_time();
        let (sender, mut parts) = stream(&guard).await;
        sender.send(Ok(Bytes::from_static(b"x"))).unwrap();
        next_part(&mut parts).await.unwrap().unwrap();
        // The reader took his time, and then left.
        tokio::time::advance(STREAM_IDLE_MAX * 10).await;
        drop(parts);
        assert!(!guard.breaker.is_open());
        let large = || Ok(Bytes::from(vec![b'x'; AHEAD_BYTES + 1]));
        for (waits, blamed) in [(STREAM_IDLE_MAX / 2, false), (STREAM_IDLE_MAX, true)] {
            let (silent, mut parts) = stream(&guard).await;
            silent.send(large()).unwrap();
            next_part(&mut parts).await.unwrap().unwrap();
            tokio::time::advance(STREAM_IDLE_MAX * 10).await;
            let waited = timeout_at(Instant::now(), next_part(&mut parts)).await;
            assert!(waited.is_err());
            tokio::time::advance(waits).await;
            drop(parts);
            assert_eq!(guard.breaker.is_open(), blamed, "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_sends_a_little_and_then_nothing_has_failed_when_time_is_up() {
        let guard = one_at_a_time();
        let (silent, mut parts) = stream(&guard).await;
        silent.send(Ok(Bytes::from_static(b"x"))).unwrap();
        next_part(&mut parts).await.unwrap().unwrap();
        let deadline = call_context().deadline;
        let waited = timeout_at(deadline, next_part(&mut parts)).await;
        assert!(waited.is_err());
        drop(parts);
        assert!(guard.breaker.is_open());
    }

    #[tokio::test]
    async fn a_probe_is_over_once_its_answer_has_begun() {
        let clock = Arc::new(StillClock::default());
        let shared: Arc<dyn dan_core::ports::Clock> = Arc::<StillClock>::clone(&clock);
        let limits = Limits {
            failures_max: 1,
            ..Limits::default()
        };
        let guard = Guard::new("fake", limits, &shared);
        let down = async { Err(bad(SourceFailure::Transient, 1)) };
        assert!(guard.run(down, &call_context()).await.is_err());
        clock.advance_ms(crate::breaker::REST_MS);
        let (sender, mut parts) = stream(&guard).await;
        assert!(
            succeed(&guard).await.is_err(),
            "the probe has said nothing yet"
        );
        let part = Bytes::from(vec![0; AHEAD_BYTES + 1]);
        sender.send(Ok(part)).unwrap();
        assert!(next_part(&mut parts).await.unwrap().is_ok());
        assert_eq!(succeed(&guard).await, Ok(()));
    }
}
