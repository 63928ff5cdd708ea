//! Files of any size, made while they are sent: the source behind a dataset that is streamed.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};

use crate::fault::Dropped;
use crate::reply::{self, Reply};

/// Bytes of one numbered block.
const BLOCK_BYTES: usize = 1024;
/// Blocks that are sent at a time.
const BLOCKS_AT_ONCE: u32 = 16;
/// Largest file, in blocks of a KiB.
pub(crate) const MAX_KIB: u32 = 1024 * 1024;

/// How a file ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With its last byte.
    #[default]
    Whole,
    /// In the middle, with the connection.
    Cut,
    /// In the middle, and the connection stays.
    Stuck,
}

/// What is sent: bytes that are there, or a file.
pub(crate) enum Body {
    Whole(Full<Bytes>),
    File(File),
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

/// A file on its way. Each KiB of it begins with its number, so that none can be missing or exchanged unseen.
pub(crate) struct File {
    next: u32,
    kib: u32,
    ending: Ending,
}

impl File {
    fn frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        let end = match self.ending {
            Ending::Whole => self.kib,
            Ending::Cut | Ending::Stuck => self.kib.div_ceil(2),
        };
        if self.next >= end {
            return match self.ending {
                Ending::Whole => Poll::Ready(None),
                Ending::Cut => Poll::Ready(Some(Err(Dropped))),
                Ending::Stuck => Poll::Pending,
            };
        }
        let until = self.next.saturating_add(BLOCKS_AT_ONCE).min(end);
        let mut bytes = BytesMut::new();
        for number in self.next..until {
            let start = bytes.len();
            bytes.extend_from_slice(format!("{number:016} ").as_bytes());
            bytes.resize(start.saturating_add(BLOCK_BYTES), b'.');
        }
        self.next = until;
        Poll::Ready(Some(Ok(Frame::data(bytes.freeze()))))
    }
}

/// A file of so many KiB.
pub(crate) fn answer(kib: u32, ending: Ending) -> Reply {
    let mut reply = reply::bytes(StatusCode::OK, "application/octet-stream", Bytes::new());
    *reply.body_mut() = Body::File(File {
        next: 0,
        kib: kib.min(MAX_KIB),
        ending,
    });
    reply
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                let frame = Pin::new(whole).poll_frame(cx);
                frame.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::File(file) => file.frame(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::File(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::File(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_is_as_large_as_was_asked_and_each_block_has_its_number() {
        let file = answer(33, Ending::Whole).into_body().collect().await;
        let bytes = file.unwrap().to_bytes();
        assert_eq!(bytes.len(), 33 * BLOCK_BYTES);
        assert!(bytes[32 * BLOCK_BYTES..].starts_with(b"0000000000000032 ..."));
        let cut = answer(33, Ending::Cut).into_body().collect().await;
        assert!(cut.is_err());
    }
}
