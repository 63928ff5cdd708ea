//! The stored shape of an API key.

use dan_core::caller::Allowance;
use dan_core::network::Network;
use dan_core::ports::{ApiKeyRecord, StoreError};
use dan_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{VERSION, check_version, corrupt, from_text, read_org, to_text, write_org};
use crate::hex;

const KIND: &str = "API key";

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    id: String,
    /// SHA-256 in hexadecimal.
    digest: String,
    context_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org: Option<String>,
    name: String,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    networks: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_second: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_day: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
}

/// The stored text of a key.
///
/// # Errors
/// [`StoreError::Unavailable`], in theory.
pub(crate) fn encode_api_key(key: &ApiKeyRecord) -> Result<String, StoreError> {
    to_text(&Record {
        v: VERSION,
        id: key.id.clone(),
        digest: hex::encode(&key.digest),
        context_id: key.context_id.clone(),
        org: key.org.map(write_org),
        name: key.name.clone(),
        created: key.created,
        expires: key.expires,
        scopes: key.scopes.clone(),
        networks: key.networks.iter().map(ToString::to_string).collect(),
        per_second: key.allowance.per_second,
        per_day: key.allowance.per_day,
        replaces: key.replaces.clone(),
    })
}

/// Reads what [`encode_api_key`] wrote under this identifier.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn decode_api_key(id: &str, text: &str) -> Result<ApiKeyRecord, StoreError> {
    let record: Record = from_text(KIND, id, text)?;
    check_version(KIND, id, record.v)?;
    // A key under another's identifier would let one caller in as the other.
    if record.id != id {
        return Err(corrupt(KIND, id, "the record is of another key"));
    }
    Ok(ApiKeyRecord {
        digest: hex::decode(&record.digest).ok_or_else(|| corrupt(KIND, id, "not a digest"))?,
        org: record
            .org
            .map(|text| read_org(KIND, id, &text))
            .transpose()?,
        id: record.id,
        context_id: record.context_id,
        name: record.name,
        created: record.created,
        expires: record.expires,
        scopes: record.scopes,
        // A binding that cannot be read must not become no binding.
        networks: record
            .networks
            .iter()
            .map(|text| Network::parse(text).ok_or_else(|| corrupt(KIND, id, "not a network")))
            .collect::<Result<_, _>>()?,
        allowance: Allowance {
            per_second: record.per_second,
            per_day: record.per_day,
        },
        replaces: record.replaces,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dan_core::testkit::store_suite;

    #[test]
    fn a_key_reads_back_under_its_own_identifier_only() {
        let mut key = store_suite::key(1);
        key.org = store_suite::row(1).owner;
        let text = encode_api_key(&key).unwrap();
        assert_eq!(decode_api_key(&key.id, &text), Ok(key));
        for changed in [
            text.replace("key-1", "key-2"),
            text.replace("0101", "01"),
            text.replace("0192:", ""),
            text.replace("/24", "/99"),
            text.replace("\"v\":1", "\"v\":9"),
        ] {
            let read = decode_api_key("key-1", &changed);
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{changed}");
        }
    }
}
