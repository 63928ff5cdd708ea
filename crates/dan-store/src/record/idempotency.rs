//! The stored shape of an answered application.
//!
//! Neither digest is kept in clear: an application names a person, and eleven digits are found
//! again by trying them all. The one is a keyed index, the other is sealed.

use dan_core::accreditation::AccreditationId;
use dan_core::party::OrgNumber;
use dan_core::ports::{IdempotencyRecord, StoreError};
use dan_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    VERSION, check_version, corrupt, from_text, not_opened, not_sealed, read_org, to_text,
    write_org,
};
use crate::hex;
use crate::seal::{Place, Sealer};

const KIND: &str = "idempotency";

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    /// [`idempotency_id`].
    id: String,
    owner: String,
    accreditation: String,
    expires: Timestamp,
    /// Sealed digest of the application.
    request: String,
}

fn place(id: &str) -> Place<'_> {
    Place {
        kind: KIND,
        field: "request",
        id,
    }
}

/// Where the application of this owner under this key is kept.
pub(crate) fn idempotency_id(owner: OrgNumber, key_digest: &[u8; 32], sealer: &Sealer) -> String {
    let key = hex::encode(key_digest);
    sealer.index(&format!("{KIND}\0{owner}\0{key}"))
}

/// The stored text of an application that is kept under this [`idempotency_id`].
///
/// # Errors
/// [`StoreError::Unavailable`] when nothing can be sealed.
pub(crate) fn encode_idempotency(
    id: &str,
    value: &IdempotencyRecord,
    sealer: &Sealer,
) -> Result<String, StoreError> {
    to_text(&Record {
        v: VERSION,
        id: id.to_owned(),
        owner: write_org(value.owner),
        accreditation: value.accreditation.as_str().to_owned(),
        expires: value.expires,
        request: sealer
            .seal(place(id), &value.request_digest)
            .map_err(not_sealed)?,
    })
}

/// Reads what [`encode_idempotency`] wrote for this owner and key.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn decode_idempotency(
    owner: OrgNumber,
    key_digest: &[u8; 32],
    text: &str,
    sealer: &Sealer,
) -> Result<IdempotencyRecord, StoreError> {
    let id = idempotency_id(owner, key_digest, sealer);
    let record: Record = from_text(KIND, &id, text)?;
    check_version(KIND, &id, record.v)?;
    // The answer to another's application would give its grant away.
    if record.id != id || read_org(KIND, &id, &record.owner)? != owner {
        return Err(corrupt(KIND, &id, "the record is of another application"));
    }
    let request = sealer
        .open(place(&id), &record.request)
        .map_err(|error| not_opened(place(&id), error))?;
    Ok(IdempotencyRecord {
        owner,
        key_digest: *key_digest,
        request_digest: request
            .as_slice()
            .try_into()
            .map_err(|_length| corrupt(KIND, &id, "not a digest"))?,
        accreditation: AccreditationId::parse(&record.accreditation)
            .ok_or_else(|| corrupt(KIND, &id, "not an identifier"))?,
        expires: record.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::testkit::store_suite;

    fn sealer() -> Sealer {
        Sealer::new(&[7; 32])
    }

    fn stored(value: &IdempotencyRecord) -> String {
        let id = idempotency_id(value.owner, &value.key_digest, &sealer());
        encode_idempotency(&id, value, &sealer()).unwrap()
    }

    #[test]
    fn an_application_reads_back_and_hides_its_digests() {
        let value = store_suite::remembered(1);
        let text = stored(&value);
        let read = decode_idempotency(value.owner, &value.key_digest, &text, &sealer());
        assert_eq!(read.as_ref(), Ok(&value));
        for digest in [value.key_digest, value.request_digest] {
            assert!(!text.contains(&hex::encode(&digest)), "{text}");
        }
        assert_ne!(text, stored(&value), "the same application looks the same");
        let other_key = Sealer::new(&[8; 32]);
        assert_ne!(
            idempotency_id(value.owner, &value.key_digest, &other_key),
            idempotency_id(value.owner, &value.key_digest, &sealer()),
        );
    }

    #[test]
    fn an_application_does_not_pass_for_another() {
        let (one, two) = (store_suite::remembered(1), store_suite::remembered(2));
        let id =
            |value: &IdempotencyRecord| idempotency_id(value.owner, &value.key_digest, &sealer());
        let read = |text: &str| decode_idempotency(two.owner, &two.key_digest, text, &sealer());
        let text = stored(&one);
        assert!(matches!(read(&text), Err(StoreError::Corrupt(_))));
        // With the identifier exchanged as well, the sealed part does not open.
        let forged = text.replace(&id(&one), &id(&two));
        assert!(matches!(read(&forged), Err(StoreError::Corrupt(_))));
        let mut strange = two.clone();
        strange.owner = dan_core::testkit::builders::org("998997801");
        let theirs = stored(&strange).replace(&id(&strange), &id(&two));
        assert!(matches!(read(&theirs), Err(StoreError::Corrupt(_))));
        assert_eq!(read(&stored(&two)), Ok(two.clone()));
    }

    #[test]
    fn newer_and_broken_records_are_told_apart() {
        let value = store_suite::remembered(1);
        let text = stored(&value);
        for (changed, expected) in [
            (text.replace("\"v\":1", "\"v\":2"), "version 2"),
            (text.replace("0192:", ""), "organisation"),
            (
                text.replace(value.accreditation.as_str(), "1"),
                "identifier",
            ),
            (text.replace("\"request\":\"", "\"request\":\"A"), "open"),
            (
                text.replace("\"expires\":", "\"expires\":\"\",\"x\":"),
                "line 1",
            ),
            (String::new(), "line 1"),
        ] {
            let read = decode_idempotency(value.owner, &value.key_digest, &changed, &sealer());
            let Err(StoreError::Corrupt(told)) = read else {
                panic!("{changed} was read");
            };
            assert!(told.contains(expected), "{told}");
        }
    }
}
