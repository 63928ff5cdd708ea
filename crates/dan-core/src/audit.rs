//! [`AuditRecord`]: who, what, about whom, on which basis; and the chain that shows tampering.

use sha2::{Digest, Sha256};

use crate::party::{OrgNumber, Party};
use crate::time::Timestamp;

/// What was done (`engine.md` §7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A grant was given.
    AuthorizationGranted,
    /// A grant was refused.
    AuthorizationRefused,
    /// A grant was deleted by its owner.
    AccreditationDeleted,
    /// A grant that had ended was purged by policy.
    AccreditationPurged,
    /// Grants were listed.
    AccreditationsRetrieved,
    /// A dataset was harvested for an owner.
    DatasetRetrieved,
    /// A dataset was harvested as open data.
    OpenDatasetRetrieved,
    /// A harvest was refused before any source was asked.
    HarvestRefused,
    /// An operator made an API key.
    ApiKeyCreated,
    /// An operator replaced an API key; it works for a while yet.
    ApiKeyReplaced,
    /// An operator ended an API key.
    ApiKeyRevoked,
}

impl Action {
    /// Every action with the name it is stored under.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::AuthorizationGranted, "AuthorizationGranted"),
        (Self::AuthorizationRefused, "AuthorizationRefused"),
        (Self::AccreditationDeleted, "AccreditationDeleted"),
        (Self::AccreditationPurged, "AccreditationPurged"),
        (Self::AccreditationsRetrieved, "AccreditationsRetrieved"),
        (Self::DatasetRetrieved, "DatasetRetrieved"),
        (Self::OpenDatasetRetrieved, "OpenDatasetRetrieved"),
        (Self::HarvestRefused, "HarvestRefused"),
        (Self::ApiKeyCreated, "ApiKeyCreated"),
        (Self::ApiKeyReplaced, "ApiKeyReplaced"),
        (Self::ApiKeyRevoked, "ApiKeyRevoked"),
    ];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(action, _)| *action == self)
            .map_or("", |(_, name)| name)
    }

    /// Reads a stored name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(action, _)| *action)
    }
}

/// Where in its life an act is. A harvest has two rows: intent before anything can leave, and
/// outcome afterwards. An intent without outcome after a crash means: may have been received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Done, in one row.
    Done,
    /// The source is being asked; nothing leaves before this row is durable.
    Intent,
    /// The intent of the same request ended with these bytes (SHA-256).
    Delivered {
        /// SHA-256 of the body.
        digest: [u8; 32],
        /// Size of the body in bytes.
        body_bytes: u64,
    },
    /// The answer to the intent of the same request left in part, and nobody was told that it is whole.
    BrokenOff {
        /// Bytes of the body that were handed to the connection; fewer may have arrived.
        body_bytes: u64,
        /// Number of the code that says why; `None` when the peer went away.
        code: Option<u16>,
    },
    /// The intent of the same request, or the request itself, ended with this error code.
    Failed {
        /// Number of the code.
        code: u16,
    },
}

/// One row of the audit trail. Holds no evidence. Stores keep persons encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// How far.
    pub phase: Phase,
    /// The request; ties intent and outcome together, and is the `jti` of what was released.
    pub request_id: String,
    /// Public identifier of the API key; empty for open data.
    pub key_id: String,
    /// For whom; `None` for open data.
    pub owner: Option<OrgNumber>,
    /// Who acts for the owner: the supplier, or the vendor of the system whose user it is.
    pub supplier: Option<OrgNumber>,
    /// Identifier of the Altinn system user that asked, if one did.
    pub system_user: Option<String>,
    /// Name of the service context.
    pub context: String,
    /// The dataset, or several joined by a comma.
    pub dataset: String,
    /// By which grant.
    pub accreditation: Option<String>,
    /// The requesting party.
    pub requestor: Option<Party>,
    /// About whom.
    pub subject: Option<Party>,
    /// On which legal bases or rules it rests.
    pub basis: Vec<String>,
    /// The caller's own reference.
    pub external_reference: Option<String>,
}

/// The chain: SHA-256 over the link before and the stored bytes of this row. Stores call it with
/// exactly the bytes they keep, so that anybody can recompute it without a key.
#[must_use]
pub fn link(previous: &[u8; 32], row: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(row);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_row_changes_every_later_link() {
        let first = link(&[0; 32], b"one");
        assert_ne!(link(&first, b"two"), link(&link(&[0; 32], b"One"), b"two"));
        assert_ne!(link(&first, b"two"), link(&first, b"Two"));
    }
}
