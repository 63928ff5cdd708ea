//! Stored shapes, shared by all adapters: JSON text with a version number in each record.
//!
//! What identifies a person is sealed here, so that no adapter can forget it: persons, custom
//! subjects, every parameter value, the content of legal bases, the address a subject is sent back
//! to, and what is known of an application. Organisations and foreign parties stay readable. Evidence has no shape here: it is
//! never stored.
//!
//! A shape never changes. A new one gets the next version number, and the old one stays readable:
//! history is never made unreadable by a new rule (`engine.md` W-10).

mod accreditation;
mod api_key;
mod audit;
mod idempotency;
mod proof;

use dan_core::party::{OrgNumber, Party};
use dan_core::ports::StoreError;
use serde::{Deserialize, Serialize};

use crate::seal::{Place, SealError, Sealer};

pub(crate) use accreditation::{decode_accreditation, encode_accreditation};
pub(crate) use api_key::{decode_api_key, encode_api_key};
pub(crate) use audit::{AuditRow, decode_audit, encode_audit};
pub(crate) use idempotency::{decode_idempotency, encode_idempotency, idempotency_id};
pub(crate) use proof::{decode_proof, encode_proof};

/// Version of every shape so far.
const VERSION: u32 = 1;

/// A party: canonical text where it is public, sealed with an index where it is not.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredParty {
    Clear(String),
    Sealed {
        text: String,
        /// The same for the same party: finds a person's rows without the number.
        index: String,
    },
}

impl StoredParty {
    fn seal(party: &Party, place: Place<'_>, sealer: &Sealer) -> Result<Self, StoreError> {
        let canonical = zeroize::Zeroizing::new(party.expose_canonical());
        if party.is_public() {
            return Ok(Self::Clear(canonical.to_string()));
        }
        Ok(Self::Sealed {
            text: sealer
                .seal(place, canonical.as_bytes())
                .map_err(not_sealed)?,
            index: sealer.index(&canonical),
        })
    }

    fn open(&self, place: Place<'_>, sealer: &Sealer) -> Result<Party, StoreError> {
        let party = match self {
            Self::Clear(text) => Party::from_canonical(text),
            Self::Sealed { text, .. } => {
                let plain = sealer
                    .open(place, text)
                    .map_err(|error| not_opened(place, error))?;
                std::str::from_utf8(&plain)
                    .ok()
                    .and_then(Party::from_canonical)
            }
        };
        party.ok_or_else(|| corrupt(place.kind, place.id, "a party is none"))
    }
}

fn write_org(org: OrgNumber) -> String {
    org.actor_id()
}

fn read_org(kind: &str, id: &str, text: &str) -> Result<OrgNumber, StoreError> {
    Party::from_canonical(text)
        .and_then(|party| party.org())
        .ok_or_else(|| corrupt(kind, id, "an organisation is none"))
}

fn to_text<T: Serialize>(record: &T) -> Result<String, StoreError> {
    // Only a map with keys that are no text can fail, and there is none in any shape.
    serde_json::to_string(record)
        .map_err(|_never| StoreError::Unavailable("a record cannot be written as JSON".to_owned()))
}

/// Reads a record. What is wrong is told by position only: a message of serde repeats the text.
fn from_text<'a, T: Deserialize<'a>>(kind: &str, id: &str, text: &'a str) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    serde_json::from_str(text).map_err(|error| match serde_json::from_str(text) {
        Ok(Versioned { v }) if v != VERSION => newer(kind, id, v),
        Ok(_) | Err(_) => corrupt(
            kind,
            id,
            &format!(
                "does not read at line {} column {}",
                error.line(),
                error.column()
            ),
        ),
    })
}

fn check_version(kind: &str, id: &str, version: u32) -> Result<(), StoreError> {
    if version == VERSION {
        Ok(())
    } else {
        Err(newer(kind, id, version))
    }
}

fn newer(kind: &str, id: &str, version: u32) -> StoreError {
    let reason = format!("version {version} is not known here; this program is older than it");
    corrupt(kind, id, &reason)
}

fn corrupt(kind: &str, id: &str, reason: &str) -> StoreError {
    StoreError::Corrupt(format!("{kind} {id}: {reason}"))
}

fn not_opened(place: Place<'_>, _error: SealError) -> StoreError {
    let reason = format!("{} does not open with this subject key", place.field);
    corrupt(place.kind, place.id, &reason)
}

fn not_sealed(_error: SealError) -> StoreError {
    StoreError::Unavailable("the random source of the machine failed".to_owned())
}
