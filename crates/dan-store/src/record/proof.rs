//! The stored shape of a proof. The statement is sealed: it holds a person as a digest beside its salt, and eleven
//! digits are found again by trying them all.

use dan_core::ports::{ProofRecord, StoreError};
use dan_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    VERSION, check_version, corrupt, from_text, not_opened, not_sealed, read_org, to_text,
    write_org,
};
use crate::seal::{Place, Sealer};

const KIND: &str = "proof";

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    expires: Timestamp,
    /// Sealed compact JWS.
    statement: String,
}

fn place(id: &str) -> Place<'_> {
    Place {
        kind: KIND,
        field: "statement",
        id,
    }
}

/// The stored text of a proof.
///
/// # Errors
/// [`StoreError::Unavailable`] when nothing can be sealed.
pub(crate) fn encode_proof(value: &ProofRecord, sealer: &Sealer) -> Result<String, StoreError> {
    to_text(&Record {
        v: VERSION,
        owner: value.owner.map(write_org),
        expires: value.expires,
        statement: sealer
            .seal(place(&value.id), value.statement.as_bytes())
            .map_err(not_sealed)?,
    })
}

/// Reads what [`encode_proof`] wrote for the release `id`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn decode_proof(
    id: &str,
    text: &str,
    sealer: &Sealer,
) -> Result<ProofRecord, StoreError> {
    let record: Record = from_text(KIND, id, text)?;
    check_version(KIND, id, record.v)?;
    let statement = sealer
        .open(place(id), &record.statement)
        .map_err(|error| not_opened(place(id), error))?;
    let owner = record.owner.map(|owner| read_org(KIND, id, &owner));
    Ok(ProofRecord {
        id: id.to_owned(),
        owner: owner.transpose()?,
        statement: String::from_utf8(statement.to_vec())
            .map_err(|_bytes| corrupt(KIND, id, "a statement is no text"))?,
        expires: record.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::testkit::store_suite::{self, PARAMETER};

    fn sealer() -> Sealer {
        Sealer::new(&[7; 32])
    }

    #[test]
    fn a_statement_is_not_readable_and_does_not_pass_for_another() {
        let (value, other) = (store_suite::proof(1), store_suite::proof(2));
        let text = encode_proof(&value, &sealer()).unwrap();
        assert!(!text.contains(PARAMETER), "{text}");
        assert_eq!(decode_proof(&value.id, &text, &sealer()), Ok(value.clone()));
        let read = |id: &str, text: &str, sealer: &Sealer| {
            matches!(decode_proof(id, text, sealer), Err(StoreError::Corrupt(_)))
        };
        assert!(read(&other.id, &text, &sealer()));
        assert!(read(&value.id, &text, &Sealer::new(&[8; 32])));
        assert!(read(&value.id, &text.replace("0192:", "x"), &sealer()));
        assert!(read(
            &value.id,
            &text.replace("\"v\":1", "\"v\":2"),
            &sealer()
        ));
    }
}
