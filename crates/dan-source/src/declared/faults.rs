//! The fault table that comes with every definition: each of its calls fails in every way there is,
//! and the answer must be what the definition says of it (`services.md` 12.8).

use bytes::Bytes;
use dan_core::evidence::EvidenceValue;
use dan_core::ports::{FetchReply, SourceError};

use super::Definition;
use super::call::{Call, How};
use super::example::{Example, Expected};
use super::failure::Event;
use crate::catalog_folder::problem::Problem;

/// Stands in what a failing source says: it must come out nowhere.
const CANARY: &str = "dan-canary";

/// A way in which a source fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Status(u16),
    Timeout,
    Reset,
    Empty,
    /// Not the format that is expected, though its media type says so.
    Malformed,
    /// Another media type.
    WrongType,
    /// Larger than the source may answer.
    Huge,
}

impl Fault {
    /// All of them.
    const ALL: [Self; 12] = [
        Self::Status(302),
        Self::Status(400),
        Self::Status(401),
        Self::Status(404),
        Self::Status(429),
        Self::Status(500),
        Self::Timeout,
        Self::Reset,
        Self::Empty,
        Self::Malformed,
        Self::WrongType,
        Self::Huge,
    ];

    /// What comes back from a source that should answer with this media type, or that nothing does.
    pub(crate) fn reply(self, expected: &str, bytes_max: usize) -> Result<FetchReply, Event> {
        let (status, media_type, body) = match self {
            Self::Timeout => return Err(Event::Timeout),
            Self::Reset => return Err(Event::Network),
            Self::Status(status) => (status, "text/plain", Bytes::from_static(CANARY.as_bytes())),
            Self::Empty => (200, expected, Bytes::new()),
            // No JSON, no XML, and as CSV one column too few in the second row.
            Self::Malformed => (200, expected, Bytes::from(format!("{CANARY},b\n<"))),
            Self::WrongType => (200, "text/html", Bytes::from_static(CANARY.as_bytes())),
            Self::Huge => {
                let body = vec![b' '; bytes_max.saturating_add(1)];
                (200, expected, Bytes::from(body))
            }
        };
        Ok(FetchReply {
            status,
            media_type: Some(media_type.to_owned()),
            retry_after_s: None,
            body,
        })
    }

    /// The row of the `fail` table that it comes under.
    fn event(self, call: &Call) -> Event {
        match self {
            Self::Status(status) => Event::Status(status),
            Self::Timeout => Event::Timeout,
            Self::Reset => Event::Network,
            Self::Empty => Event::Empty,
            Self::Malformed | Self::WrongType => call.format.unread(),
            Self::Huge => Event::TooLarge,
        }
    }
}

impl Definition {
    /// Lets each call fail in each way, on the ground of the first example that gives values. A
    /// call that is not asked in that example is not tried.
    ///
    /// Gives what does not come out as declared, and how many faults were tried.
    #[must_use]
    pub fn try_faults(&self) -> (Vec<Problem>, usize) {
        let gives = |example: &&Example| matches!(example.expected, Expected::Values(_));
        let Some(example) = self.examples.iter().find(gives) else {
            return (Vec::new(), 0);
        };
        let mut problems = Vec::new();
        let mut tried = 0_usize;
        for call in &self.calls {
            if matches!(call.how, How::Dataset(_)) || !example.answers.contains_key(&call.id) {
                continue;
            }
            for fault in Fault::ALL {
                tried = tried.saturating_add(1);
                let made = self.harvest_recorded(example, Some((&call.id, fault)));
                let said = |value: &EvidenceValue| value.value.to_string().contains(CANARY);
                let made = made.map(|values| values.iter().any(said));
                if let Some(what) = wrong(call, fault, made) {
                    problems.push(Problem {
                        file: example.place.file.to_string(),
                        line: example.place.line,
                        marked: example.place.marked,
                        what: format!("when the call `{}` meets {fault:?}, {what}", call.id),
                        hint: None,
                    });
                }
            }
        }
        (problems, tried)
    }
}

/// What is wrong with an outcome; whether words of the source are in the values.
fn wrong(call: &Call, fault: Fault, made: Result<bool, SourceError>) -> Option<String> {
    let tolerated = call.optional || call.each.as_ref().is_some_and(|each| each.failed.is_some());
    match made {
        Ok(true) => Some("the source's words come out".to_owned()),
        Ok(false) if tolerated => None,
        Ok(false) => Some("there is an answer all the same".to_owned()),
        Err(error) => {
            let told = error.text.as_deref().unwrap_or_default();
            if told.contains(CANARY) || error.cause.contains(CANARY) {
                return Some("the source's words come out in the error".to_owned());
            }
            let meaning = call.failures.meaning(fault.event(call));
            let declared = error.failure == meaning.failure && error.detail == meaning.detail;
            if tolerated || declared {
                return None;
            }
            let (failure, detail) = (error.failure, error.detail);
            Some(format!(
                "it fails as {failure:?}:{detail}, declared is {:?}:{}",
                meaning.failure, meaning.detail
            ))
        }
    }
}
