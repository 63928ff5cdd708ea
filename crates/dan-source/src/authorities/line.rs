//! [`Line`]: one way to an authority: a time limit for each call, and a breaker over all of them.

use std::sync::Arc;
use std::time::Duration;

use dan_core::ports::{CallContext, Clock, FactError, Fetch, FetchError, FetchReply, FetchRequest};
use tokio::time::{Instant, timeout_at};

use crate::breaker::Breaker;

/// Longest wait for one call, in milliseconds (`engine.md` §5.3).
pub(crate) const CALL_MS_MAX: u64 = 5_000;
/// Failures among the last 50 calls after which an authority is left alone for 10 s.
const FAILURES_MAX: u32 = 10;

/// One way to an authority.
pub(crate) struct Line {
    /// The authority, in words a consumer knows.
    authority: &'static str,
    fetch: Arc<dyn Fetch>,
    breaker: Arc<Breaker>,
}

impl Line {
    pub(crate) fn new(
        authority: &'static str,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            authority,
            fetch,
            breaker: Arc::new(Breaker::new(authority, FAILURES_MAX, clock)),
        }
    }

    /// Sends a request. A status that is no answer counts as a failure of the authority, just as
    /// silence does; what an answer means is the caller's to say.
    ///
    /// # Errors
    /// [`FactError`], which says what happened and nothing of the request.
    pub(crate) async fn send(
        &self,
        request: FetchRequest,
        is_answer: fn(u16) -> bool,
        ctx: &CallContext,
    ) -> Result<FetchReply, FactError> {
        let limit = Instant::now()
            .checked_add(Duration::from_millis(CALL_MS_MAX))
            .unwrap_or(ctx.deadline);
        let Some(pass) = self.breaker.admit() else {
            return Err(self.failure("it failed too often just now"));
        };
        let own = CallContext {
            request_id: Arc::clone(&ctx.request_id),
            deadline: limit.min(ctx.deadline),
        };
        let pass = pass.until(limit);
        let answer = timeout_at(own.deadline, self.fetch.fetch(request, &own)).await;
        let result = match answer.unwrap_or(Err(FetchError::Timeout)) {
            Ok(reply) if is_answer(reply.status) => Ok(reply),
            Ok(reply) => Err(self.failure(&format!("HTTP status {}", reply.status))),
            Err(FetchError::Timeout) if own.deadline < limit => {
                // Our caller had no time; the authority is not to blame.
                return Err(self.late());
            }
            Err(error) => Err(self.failure(&error.to_string())),
        };
        pass.settle(result.is_err());
        if let Err(error) = &result {
            tracing::warn!(
                authority = self.authority,
                cause = error.cause,
                "an authority cannot be asked"
            );
        }
        result
    }

    pub(crate) fn failure(&self, cause: &str) -> FactError {
        FactError {
            authority: self.authority.to_owned(),
            cause: cause.to_owned(),
        }
    }

    pub(crate) fn late(&self) -> FactError {
        self.failure(&FetchError::Timeout.to_string())
    }
}

/// Every status but those that tell of a service that is down or overloaded. A refusal is an answer:
/// it says that we are wrong, not that nobody is there.
pub(crate) const fn is_answer(status: u16) -> bool {
    status < 500 && status != 429 && status != 408
}
