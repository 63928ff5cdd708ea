//! Evidence: what a source gave, held so that it can be neither logged nor stored.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use crate::dataset::ValueType;
use crate::parts::BoxParts;
use crate::ports::SourceError;
use crate::time::Timestamp;

/// A value that came from a source. It has no `Serialize`, and `Debug` shows only its name.
pub struct EvidenceValue {
    /// Name, as declared.
    pub name: String,
    /// Type, as declared.
    pub value_type: ValueType,
    /// The register it comes from.
    pub source: String,
    /// When the source answered.
    pub timestamp: Option<Timestamp>,
    /// Media type of an attachment.
    pub mime_type: Option<String>,
    /// The value; `Null` means that the source has none.
    pub value: Value,
}

impl fmt::Debug for EvidenceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "EvidenceValue({}: {})",
            self.name,
            self.value_type.wire_name()
        )
    }
}

/// The content of a harvest.
pub enum Evidence {
    /// Named values, in the order of the definition; names may repeat.
    Values(Vec<EvidenceValue>),
    /// Raw bytes of a binary dataset.
    Binary {
        /// The bytes, as the source sent them.
        bytes: Bytes,
        /// Their media type.
        media_type: String,
    },
    /// The same, while they are still arriving.
    Stream(Arriving),
}

/// Raw bytes that a source has begun to send.
pub struct Arriving {
    /// What is still to come.
    pub parts: BoxParts<SourceError>,
    /// Their media type.
    pub media_type: String,
    /// Identifier of the call that they answer. It belongs behind the `calls` of the harvest once its digest is known,
    /// which is taken over what arrives.
    pub call: String,
    /// When the source answered.
    pub retrieved_at: Timestamp,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => write!(f, "Evidence({} values)", values.len()),
            Self::Binary { bytes, .. } => write!(f, "Evidence({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Evidence(bytes on their way)"),
        }
    }
}

/// One call that a harvest rests on, for the signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCall {
    /// Identifier of the call in the definition.
    pub id: String,
    /// When the source answered; the true age of a cached answer.
    pub retrieved_at: Timestamp,
    /// SHA-256 of what the source answered.
    pub digest: [u8; 32],
}

/// What a source gave for one order.
#[derive(Debug)]
pub struct Harvest {
    /// The content.
    pub evidence: Evidence,
    /// The calls it rests on, in the order of the definition; at least one, but for what is still arriving.
    pub calls: Vec<SourceCall>,
}

/// Status of a dataset in a grant (`wire-api.md` §10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetStatus {
    /// Not set.
    Unknown,
    /// Can be harvested.
    Available,
    /// The subject has not answered yet.
    PendingConsent,
    /// The subject said no, or withdrew.
    Denied,
    /// The consent, or the grant, has run out.
    Expired,
    /// The source has not finished.
    Waiting,
    /// An asynchronous dataset, not asked yet.
    AggregateUnknown,
    /// Not in the catalogue any more, or its rules cannot be understood.
    Unavailable,
}

impl DatasetStatus {
    /// The statuses shown by `metadata/statuscodes`: 1 to 5 (`wire-api.md` §4.10).
    pub const LISTED: [Self; 5] = [
        Self::Available,
        Self::PendingConsent,
        Self::Denied,
        Self::Expired,
        Self::Waiting,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Available => 1,
            Self::PendingConsent => 2,
            Self::Denied => 3,
            Self::Expired => 4,
            Self::Waiting => 5,
            Self::AggregateUnknown => 6,
            Self::Unavailable => 7,
        }
    }

    /// The text on the wire; empty for [`DatasetStatus::Unknown`].
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Available => "The dataset can be harvested",
            Self::PendingConsent => "The subject has not answered the consent request yet",
            Self::Denied => "The subject has denied or withdrawn consent",
            Self::Expired => "The consent or the accreditation has expired",
            Self::Waiting => "The source has not finished yet",
            Self::AggregateUnknown => "The status is known once the source is asked",
            Self::Unavailable => "The dataset is not available",
        }
    }
}
