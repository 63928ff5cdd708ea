//! What the node sends: a body that is there, or one that leaves while it arrives and ends with its proof.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dan_core::flow::{self, BrokenOff, Seal, Streamed};
use dan_core::limits::Admission;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use crate::h2_guard::{AtWork, Link};
use crate::untaken::Lane;

/// The lawful body digest, RFC 9530.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The signed statement.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("x-signature-jwt");

/// A body on its way out.
pub enum AnswerBody {
    /// All of it.
    Whole(Full<Bytes>),
    /// It is still arriving.
    Stream(Box<StreamBody>),
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Default for AnswerBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

/// What a stream is made from.
pub(crate) trait Frames: Send {
    /// See [`Streamed::poll_frame`].
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<flow::Frame, BrokenOff>>>;
}

impl Frames for Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<flow::Frame, BrokenOff>>> {
        Self::poll_frame(self, cx)
    }
}

/// A body that leaves while it arrives. More of it is asked for only when the peer has taken what is here.
pub struct StreamBody {
    frames: Box<dyn Frames>,
    /// Its caller has a request under way for as long.
    admission: Option<Admission>,
    lane: Option<Lane>,
    /// Over HTTP/2: who is to know that it is the source that is waited for, and not the peer.
    link: Option<Arc<Link>>,
    at_work: Option<AtWork>,
}

impl StreamBody {
    pub(crate) fn new(frames: Box<dyn Frames>) -> Self {
        Self {
            frames,
            admission: None,
            lane: None,
            link: None,
            at_work: None,
        }
    }

    /// It ends together with this.
    pub(crate) fn hold(&mut self, admission: Option<Admission>) {
        self.admission = admission;
    }

    /// It waits for its peer there.
    pub(crate) fn enter(&mut self, lane: Lane) {
        self.lane = Some(lane);
    }

    /// It works on this connection.
    pub(crate) fn work_on(&mut self, link: Arc<Link>) {
        self.link = Some(link);
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(lane) = &self.lane
            && lane.poll_room(cx).is_pending()
        {
            self.at_work = None;
            return Poll::Pending;
        }
        if self.at_work.is_none() {
            self.at_work = self.link.as_ref().map(Link::work);
        }
        let next = ready!(self.frames.poll_frame(cx));
        self.at_work = None;
        Poll::Ready(next.map(|frame| match frame? {
            flow::Frame::Part(bytes) => Ok(Frame::data(match &self.lane {
                Some(lane) => lane.hold(bytes),
                None => bytes,
            })),
            flow::Frame::End(seal) => Ok(Frame::trailers(trailers(&seal))),
        }))
    }
}

/// What proves the body, as fields. What cannot be a field value is left out: a JWS and a digest always can.
fn trailers(seal: &Seal) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        (CONTENT_DIGEST, content_digest(&seal.digest)),
        (SIGNATURE, seal.signature.clone()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    }
    fields
}

/// The value of `Content-Digest`.
pub(crate) fn content_digest(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                let frame = ready!(Pin::new(whole).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Stream(stream) => stream.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    /// Nothing is promised of a stream: a length in front would tell the peer that it has everything before that is
    /// known and recorded.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
