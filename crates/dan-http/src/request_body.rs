//! The body of a request on its way in. Over HTTP/1.1 the guard in front of hyper bounds its silences; over HTTP/2, where
//! many bodies share one connection, each is bounded here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::framing::Refusal;
use crate::patience::{Phase, Wait};

/// A request body; [`crate::head_guard::refusal_of_body`] explains its errors.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    /// How long it may be silent while it is read, and the wait under way. `None`: somebody else sees to it.
    bound: Option<(Duration, Wait)>,
}

impl RequestBody {
    pub(crate) const fn guarded(inner: Incoming) -> Self {
        Self { inner, bound: None }
    }

    pub(crate) fn bounded(inner: Incoming, silence: Duration) -> Self {
        Self {
            inner,
            bound: Some((silence, Wait::default())),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.inner).poll_frame(cx);
        let Some((silence, wait)) = &mut this.bound else {
            return progress.map_err(io::Error::other);
        };
        if progress.is_ready() {
            wait.over();
            return progress.map_err(io::Error::other);
        }
        ready!(wait.poll_over(Phase::Body, *silence, cx));
        let late = Refusal::late("the request body stalled");
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, late))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
