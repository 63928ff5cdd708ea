//! The stored shape of an audit row, and how the chain of rows is read.

use std::borrow::Cow;

use dan_core::audit::{Action, AuditRecord, Phase, link};
use dan_core::party::Party;
use dan_core::ports::{StoreError, StoredAudit};
use dan_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    StoredParty, VERSION, check_version, corrupt, from_text, read_org, to_text, write_org,
};
use crate::hex;
use crate::seal::{Place, Sealer};

const KIND: &str = "audit row";

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    v: u32,
    at: Timestamp,
    action: Cow<'a, str>,
    phase: StoredPhase,
    request_id: Cow<'a, str>,
    key_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    supplier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_user: Option<Cow<'a, str>>,
    context: Cow<'a, str>,
    dataset: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accreditation: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requestor: Option<StoredParty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<StoredParty>,
    basis: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_reference: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPhase {
    Done,
    Intent,
    Delivered {
        /// SHA-256 in hexadecimal.
        digest: String,
        body_bytes: u64,
    },
    BrokenOff {
        body_bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
    },
    Failed {
        code: u16,
    },
}

/// A row as it is kept.
pub(crate) struct AuditRow {
    pub(crate) sequence: u64,
    /// What [`encode_audit`] made; the link goes over its bytes.
    pub(crate) text: String,
    pub(crate) link: [u8; 32],
}

/// Sealed parties are tied to the request: the place in the chain is not known yet when a row is
/// made, and is guarded by the chain itself.
fn place<'a>(field: &'static str, request_id: &'a str) -> Place<'a> {
    Place {
        kind: KIND,
        field,
        id: request_id,
    }
}

/// The stored text of a row.
///
/// # Errors
/// [`StoreError::Unavailable`] when nothing can be sealed.
pub(crate) fn encode_audit(record: &AuditRecord, sealer: &Sealer) -> Result<String, StoreError> {
    let seal = |party: &Option<Party>, field| {
        party
            .as_ref()
            .map(|party| StoredParty::seal(party, place(field, &record.request_id), sealer))
            .transpose()
    };
    to_text(&Record {
        v: VERSION,
        at: record.at,
        action: record.action.name().into(),
        phase: match &record.phase {
            Phase::Done => StoredPhase::Done,
            Phase::Intent => StoredPhase::Intent,
            Phase::Delivered { digest, body_bytes } => StoredPhase::Delivered {
                digest: hex::encode(digest),
                body_bytes: *body_bytes,
            },
            Phase::BrokenOff { body_bytes, code } => StoredPhase::BrokenOff {
                body_bytes: *body_bytes,
                code: *code,
            },
            Phase::Failed { code } => StoredPhase::Failed { code: *code },
        },
        request_id: record.request_id.as_str().into(),
        key_id: record.key_id.as_str().into(),
        owner: record.owner.map(write_org),
        supplier: record.supplier.map(write_org),
        system_user: record.system_user.as_deref().map(Cow::from),
        context: record.context.as_str().into(),
        dataset: record.dataset.as_str().into(),
        accreditation: record.accreditation.as_deref().map(Cow::from),
        requestor: seal(&record.requestor, "requestor")?,
        subject: seal(&record.subject, "subject")?,
        basis: record.basis.as_slice().into(),
        external_reference: record.external_reference.as_deref().map(Cow::from),
    })
}

/// Reads rows that follow the link `previous`, and checks that each follows the one before it.
///
/// # Errors
/// [`StoreError::Corrupt`] for a gap, a link that does not follow, and a row that does not read.
pub(crate) fn decode_audit(
    first: u64,
    previous: [u8; 32],
    rows: Vec<AuditRow>,
    sealer: &Sealer,
) -> Result<Vec<StoredAudit>, StoreError> {
    let mut previous = previous;
    rows.into_iter()
        .zip(first..)
        .map(|(row, expected)| {
            let id = expected.to_string();
            if row.sequence != expected {
                return Err(corrupt(KIND, &id, "missing"));
            }
            if row.link != link(&previous, row.text.as_bytes()) {
                return Err(corrupt(KIND, &id, "does not follow from the row before it"));
            }
            previous = row.link;
            Ok(StoredAudit {
                sequence: row.sequence,
                record: decode(&id, &row.text, sealer)?,
                link: row.link,
            })
        })
        .collect()
}

fn decode(id: &str, text: &str, sealer: &Sealer) -> Result<AuditRecord, StoreError> {
    let record: Record<'_> = from_text(KIND, id, text)?;
    check_version(KIND, id, record.v)?;
    let org = |text: Option<String>| text.map(|text| read_org(KIND, id, &text)).transpose();
    let open = |party: Option<StoredParty>, field| {
        party
            .map(|party| party.open(place(field, &record.request_id), sealer))
            .transpose()
    };
    Ok(AuditRecord {
        at: record.at,
        action: Action::parse(&record.action)
            .ok_or_else(|| corrupt(KIND, id, "an action is unknown"))?,
        phase: match record.phase {
            StoredPhase::Done => Phase::Done,
            StoredPhase::Intent => Phase::Intent,
            StoredPhase::Delivered { digest, body_bytes } => Phase::Delivered {
                digest: hex::decode(&digest).ok_or_else(|| corrupt(KIND, id, "not a digest"))?,
                body_bytes,
            },
            StoredPhase::BrokenOff { body_bytes, code } => Phase::BrokenOff { body_bytes, code },
            StoredPhase::Failed { code } => Phase::Failed { code },
        },
        requestor: open(record.requestor, "requestor")?,
        subject: open(record.subject, "subject")?,
        request_id: record.request_id.into_owned(),
        key_id: record.key_id.into_owned(),
        owner: org(record.owner)?,
        supplier: org(record.supplier)?,
        system_user: record.system_user.map(Cow::into_owned),
        context: record.context.into_owned(),
        dataset: record.dataset.into_owned(),
        accreditation: record.accreditation.map(Cow::into_owned),
        basis: record.basis.into_owned(),
        external_reference: record.external_reference.map(Cow::into_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::testkit::store_suite::{self, CUSTOM, PERSON};

    fn sealer() -> Sealer {
        Sealer::new(&[7; 32])
    }

    fn chain(count: u8) -> Vec<AuditRow> {
        let mut previous = [0; 32];
        (1..=count)
            .map(|seed| {
                let text = encode_audit(&store_suite::row(seed), &sealer()).unwrap();
                previous = link(&previous, text.as_bytes());
                AuditRow {
                    sequence: u64::from(seed),
                    text,
                    link: previous,
                }
            })
            .collect()
    }

    fn told(rows: Vec<AuditRow>) -> String {
        match decode_audit(1, [0; 32], rows, &sealer()) {
            Err(StoreError::Corrupt(told)) => told,
            other => panic!("{other:?}"),
        }
    }

    /// Rows written before there were system users have no such member, and the chain goes over their bytes.
    #[test]
    fn a_row_without_a_system_user_is_written_and_read_as_before() {
        let mut record = store_suite::row(1);
        record.system_user = None;
        let text = encode_audit(&record, &sealer()).unwrap();
        assert!(!text.contains("system_user"), "{text}");
        let row = AuditRow {
            sequence: 1,
            link: link(&[0; 32], text.as_bytes()),
            text,
        };
        let read = decode_audit(1, [0; 32], vec![row], &sealer()).unwrap();
        assert_eq!(read[0].record, record);
    }

    #[test]
    fn a_row_hides_persons_and_shows_organisations() {
        let rows = chain(1);
        assert!(!rows[0].text.contains(PERSON) && !rows[0].text.contains(CUSTOM));
        assert!(rows[0].text.contains("0192:991825827"));
    }

    #[test]
    fn rows_of_one_person_share_an_index_and_nothing_else() {
        let rows = chain(2);
        let subject = |row: &AuditRow| {
            let value: serde_json::Value = serde_json::from_str(&row.text).unwrap();
            let sealed = &value["subject"]["sealed"];
            (sealed["text"].clone(), sealed["index"].clone())
        };
        let (one, two) = (subject(&rows[0]), subject(&rows[1]));
        assert_eq!(one.1, two.1);
        assert_ne!(one.0, two.0);
    }

    #[test]
    fn the_chain_is_verified_without_the_key() {
        let other = Sealer::new(&[8; 32]);
        let mut rows = chain(3);
        rows[1].text = rows[1].text.replace("case 9", "case 8");
        let Err(StoreError::Corrupt(text)) =
            decode_audit(2, rows[0].link, rows.split_off(1), &other)
        else {
            panic!("a forged row was read");
        };
        assert!(text.contains("does not follow"), "{text}");
    }

    #[test]
    fn changed_missing_exchanged_and_foreign_rows_are_found() {
        let mut changed = chain(3);
        changed[1].text = changed[1].text.replace("UnitBasicInformation", "Other");
        assert!(told(changed).contains("row 2: does not follow"));
        let mut missing = chain(3);
        missing.remove(1);
        assert!(told(missing).contains("row 2: missing"));
        let mut exchanged = chain(3);
        exchanged.swap(0, 1);
        (exchanged[0].sequence, exchanged[1].sequence) = (1, 2);
        assert!(told(exchanged).contains("row 1: does not follow"));
        let mut foreign = chain(1);
        foreign[0].text = foreign[0].text.replace("\"v\":1", "\"v\":2");
        foreign[0].link = link(&[0; 32], foreign[0].text.as_bytes());
        assert!(told(foreign).contains("version 2"));
    }
}
