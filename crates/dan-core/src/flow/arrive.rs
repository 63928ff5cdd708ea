//! What a source has begun to send, up to a limit: whole where it ends before that, and a stream where it does not.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::dataset::Dataset;
use crate::evidence::{Arriving, Evidence, Harvest, SourceCall};
use crate::parts::{BoxParts, Parts, next_part};
use crate::ports::{SourceError, SourceFailure};
use crate::statement::sha256;

/// Bytes of a binary answer that are read before it is decided how it leaves. One that ends within them leaves whole,
/// with its signature in the head.
pub const AHEAD_BYTES: usize = 64 * 1024;
/// Bytes of a binary answer that are held where it must leave whole: inside one signed object, or to a peer that
/// cannot be told that it was cut short.
pub const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads up to `bytes_max` bytes, and the part that goes beyond. A harvest of values passes as it is.
///
/// # Errors
/// The source's, and that it sends more than the dataset may have.
pub(super) async fn arrive(
    harvest: Harvest,
    bytes_max: usize,
    dataset: &Dataset,
) -> Result<Harvest, SourceError> {
    let Evidence::Stream(mut arriving) = harvest.evidence else {
        return Ok(harvest);
    };
    let mut calls = harvest.calls;
    let mut held = BytesMut::new();
    while held.len() <= bytes_max {
        let Some(part) = next_part(&mut arriving.parts).await else {
            let bytes = held.freeze();
            calls.push(SourceCall {
                id: arriving.call,
                retrieved_at: arriving.retrieved_at,
                digest: sha256(&bytes),
            });
            let media_type = arriving.media_type;
            let evidence = Evidence::Binary { bytes, media_type };
            return Ok(Harvest { evidence, calls });
        };
        held.extend_from_slice(&part?);
        let size = u64::try_from(held.len()).unwrap_or(u64::MAX);
        if size > dataset.bytes_max() {
            return Err(too_large(dataset));
        }
    }
    let ahead = Ahead {
        first: held.freeze(),
        rest: arriving.parts,
    };
    let evidence = Evidence::Stream(Arriving {
        parts: Box::pin(ahead),
        ..arriving
    });
    Ok(Harvest { evidence, calls })
}

/// The source sends more than the definition lets it.
pub(super) fn too_large(dataset: &Dataset) -> SourceError {
    SourceError {
        failure: SourceFailure::Broken,
        source: "ES".to_owned(),
        detail: 0,
        text: None,
        cause: format!(
            "{} is larger than the {} bytes it may have",
            dataset.name,
            dataset.bytes_max()
        ),
    }
}

/// What was read already, and then the rest.
struct Ahead {
    first: Bytes,
    rest: BoxParts<SourceError>,
}

impl Parts<SourceError> for Ahead {
    fn poll_part(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        if self.first.is_empty() {
            return self.rest.as_mut().poll_part(cx);
        }
        Poll::Ready(Some(Ok(std::mem::take(&mut self.first))))
    }
}
