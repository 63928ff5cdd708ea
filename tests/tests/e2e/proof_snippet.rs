//! Checks an answer: the program of `docs/proof.md`.

use dan_verify::{Expect, Language, verify_detached, verify_jose};

/// Says what was proven, or why not.
pub(crate) fn check(body: &[u8], signature: &str, keys: &str) -> Result<String, String> {
    let verified = verify_detached(body, signature, keys).map_err(|error| error.to_string())?;
    let statement = verified.statement().map_err(|error| error.to_string())?;
    let differences = statement.differences(&Expect {
        subject: Some("992037601"),
        audience: Some("991825827"),
        dataset: Some("UnitBasicInformation"),
        ..Expect::default()
    });
    match differences.first() {
        Some(difference) => Err(difference.to_string()),
        None => Ok(statement.sentence(Language::English)),
    }
}

/// The evidence inside an envelope.
pub(crate) fn open(envelope: &str, keys: &str) -> Result<Vec<u8>, String> {
    let verified = verify_jose(envelope, keys).map_err(|error| error.to_string())?;
    let evidence = verified.evidence().map_err(|error| error.to_string())?;
    Ok(evidence.bytes)
}
