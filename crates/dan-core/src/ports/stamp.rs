//! Gets the word of a time-stamping authority.

use super::{CallContext, PortFuture};

/// Why there is no stamp. For the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampError(pub String);

/// A time-stamping authority (RFC 3161).
pub trait TimeStamper: Send + Sync {
    /// A `TimeStampToken` in DER over this SHA-256, within `ctx.deadline`. That the authority said yes
    /// to this digest and this question has been checked; its signature has not. May be dropped at
    /// any time.
    ///
    /// # Errors
    /// [`StampError`]: it is out of reach, said no, or answered something else.
    fn stamp<'a>(
        &'a self,
        digest: &'a [u8; 32],
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, StampError>>;
}
