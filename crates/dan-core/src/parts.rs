//! [`Parts`]: bytes that arrive one part after another, and are never held all at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

/// Bytes on their way. Nobody reads ahead: a part is fetched when it is asked for, so that whoever sends them feels how
/// fast they are taken. Dropping it ends the exchange behind it.
pub trait Parts<E>: Send + Sync {
    /// The next part; `None` at the end, after which it is not asked again. A part may be empty, and is as large as the
    /// implementation likes: it should not be larger than 64 KiB.
    ///
    /// # Errors
    /// Why there are no more; nothing follows it.
    fn poll_part(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, E>>>;
}

/// What ports hand on.
pub type BoxParts<E> = Pin<Box<dyn Parts<E>>>;

/// The next part, as a future that may be dropped at any time without losing one.
///
/// # Errors
/// Of [`Parts::poll_part`].
pub async fn next_part<E>(parts: &mut BoxParts<E>) -> Option<Result<Bytes, E>> {
    poll_fn(|cx| parts.as_mut().poll_part(cx)).await
}

/// Parts that are there already.
pub struct Ready(VecDeque<Bytes>);

impl Ready {
    /// These, in order.
    #[must_use]
    pub fn of<E>(parts: impl IntoIterator<Item = Bytes>) -> BoxParts<E> {
        Box::pin(Self(parts.into_iter().collect()))
    }
}

impl<E> Parts<E> for Ready {
    fn poll_part(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, E>>> {
        Poll::Ready(self.get_mut().0.pop_front().map(Ok))
    }
}
