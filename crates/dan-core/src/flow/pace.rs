//! [`Pace`]: how long a source may take over an answer that leaves while it arrives.

use std::future::pending;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::{Code, Fault};
use crate::ports::PortFuture;

/// How long a stream may take, all in all.
pub const STREAM_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a source may send nothing of an answer that it has begun.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(30);
/// How long the source may take.
pub(super) struct Pace {
    end: Instant,
    /// Until when the source must send something; `None` while nobody waits for it.
    idle: Option<Instant>,
    timer: Option<(Instant, PortFuture<'static, ()>)>,
}

impl Pace {
    /// From now on.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            end: now.checked_add(STREAM_TIME_MAX).unwrap_or(now),
            idle: None,
            timer: None,
        }
    }

    /// Something came.
    pub(super) const fn heard(&mut self) {
        self.idle = None;
    }

    /// Whether there is time left for the whole.
    pub(super) fn check(&self) -> Result<(), Fault> {
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
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
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
