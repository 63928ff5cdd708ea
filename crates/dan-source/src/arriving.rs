//! Answers that are bytes, passed on as they come: their media type, and what their failures mean.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dan_core::parts::{BoxParts, Parts};
use dan_core::ports::{FetchError, SourceError};

/// Media type of answers that name none.
const BYTES_MEDIA_TYPE: &str = "application/octet-stream";
/// Longest media type that is passed on, in bytes.
const MEDIA_TYPE_BYTES_MAX: usize = 100;

/// The media type that an answer names, where it can be passed on.
pub(crate) fn media_type_of(named: Option<String>) -> String {
    named
        .filter(|text| is_media_type(text))
        .unwrap_or_else(|| BYTES_MEDIA_TYPE.to_owned())
}

/// The body of an answer; `meaning` says what it means when it breaks off.
pub(crate) fn told(
    body: BoxParts<FetchError>,
    meaning: impl Fn(&FetchError) -> SourceError + Send + Sync + Unpin + 'static,
) -> BoxParts<SourceError> {
    Box::pin(Told { body, meaning })
}

struct Told<F> {
    body: BoxParts<FetchError>,
    meaning: F,
}

impl<F> Parts<SourceError> for Told<F>
where
    F: Fn(&FetchError) -> SourceError + Send + Sync + Unpin,
{
    fn poll_part(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        let next = self.body.as_mut().poll_part(cx);
        next.map(|part| part.map(|part| part.map_err(|error| (self.meaning)(&error))))
    }
}

/// A type and a subtype, perhaps with parameters; nothing that could end the header.
fn is_media_type(text: &str) -> bool {
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text
            .split_once('/')
            .is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_plain_or_left_out() {
        for good in ["application/zip", "text/csv; charset=utf-8"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "zip", "/", "a/", "a/b\r\nx: y", "a/æ"] {
            assert!(!is_media_type(bad), "{bad}");
        }
        assert!(!is_media_type(&format!("a/{}", "b".repeat(200))));
    }
}
